"""Convolution from loops to a matrix product."""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray


def output_size(size: int, kernel_size: int, stride: int, padding: int) -> int:
    """Return how many windows fit a side."""
    return (size + 2 * padding - kernel_size) // stride + 1


def conv2d(x: FloatArray, weight: FloatArray, bias: FloatArray, stride: int, padding: int) -> FloatArray:
    """Return (N, OC, OH, OW)."""
    N, _, H, W = x.shape
    OC, _, KH, KW = weight.shape
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    OH, OW = output_size(H, KH, stride, padding), output_size(W, KW, stride, padding)
    y = np.empty((N, OC, OH, OW), x.dtype)
    for n in range(N):
        for oc in range(OC):
            for oy in range(OH):
                for ox in range(OW):
                    top, left = oy * stride, ox * stride
                    window = padded[n, :, top : top + KH, left : left + KW]  # (IC, KH, KW)
                    y[n, oc, oy, ox] = (window * weight[oc]).sum() + bias[oc]
    return y


def im2col(x: FloatArray, kernel_size: int, stride: int, padding: int) -> FloatArray:
    """Return (N, IC * K * K, OH * OW): one column per window."""
    N, IC, H, W = x.shape
    K = kernel_size
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    OH, OW = output_size(H, K, stride, padding), output_size(W, K, stride, padding)
    columns = np.empty((N, IC, K, K, OH, OW), x.dtype)
    for ky in range(K):
        for kx in range(K):
            columns[:, :, ky, kx] = padded[
                :, :, ky : ky + OH * stride : stride, kx : kx + OW * stride : stride
            ]
    return columns.reshape(N, IC * K * K, OH * OW)


def depthwise_conv2d(
    x: FloatArray, weight: FloatArray, bias: FloatArray, stride: int, padding: int
) -> FloatArray:
    """Return (N, C, OH, OW): every channel with a filter of its own."""
    channels = [
        conv2d(x[:, c : c + 1], weight[c : c + 1], bias[c : c + 1], stride, padding)
        for c in range(x.shape[1])
    ]
    return np.concatenate(channels, axis=1)


def upsample_nearest2d(x: FloatArray, height: int, width: int) -> FloatArray:
    """Return (N, C, height, width)."""
    H, W = x.shape[2:]
    rows = np.arange(height) * H // height
    columns = np.arange(width) * W // width
    return x[:, :, rows][:, :, :, columns]


def bilinear_samples(x: FloatArray, places: FloatArray) -> FloatArray:
    """Return (K,): values between the pixels of x."""
    H, W = x.shape
    samples = np.zeros(len(places), x.dtype)
    for k, (row, column) in enumerate(places):
        top, left = int(np.floor(row)), int(np.floor(column))
        fy, fx = row - top, column - left
        for i, share_y in ((top, 1 - fy), (top + 1, fy)):
            for j, share_x in ((left, 1 - fx), (left + 1, fx)):
                if 0 <= i < H and 0 <= j < W:
                    samples[k] += share_y * share_x * x[i, j]
    return samples
