"""The operations as PyTorch has them, called with minidet's arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from tests.oracles.cases import Arrays, each_array, with_gradient


def torch_call(op: str, arrays: Arrays, options: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """Run PyTorch's operation in the type of ``arrays`` and return its outputs by name."""
    tensors = each_array(torch.tensor, arrays)  # copies
    return {output: np.asarray(tensor) for output, tensor in OPS[op](**tensors, **options).items()}


def torch_backward(
    op: str, arrays: Arrays, options: dict[str, Any], grad_output: NDArray[Any]
) -> dict[str, NDArray[Any]]:
    """Let PyTorch differentiate its operation, and return the gradient of every array by its name."""
    leaves = {
        name: torch.tensor(array, requires_grad=True) for name, array in with_gradient(op, arrays).items()
    }
    others = {name: torch.tensor(array) for name, array in arrays.items() if name.startswith("running_")}
    inputs = {"xs": list(leaves.values())} if op == "concat" else leaves
    y = OPS[op](**inputs, **others, **options)["y"]
    gradients = torch.autograd.grad(y, list(leaves.values()), torch.tensor(grad_output))
    return {name: gradient.numpy() for name, gradient in zip(leaves, gradients, strict=True)}


def _depthwise_conv2d(x, weight, bias=None, **options):
    return {"y": functional.conv2d(x, weight, bias, groups=x.shape[1], **options)}


def _deform_conv2d(x, offset, weight, bias=None, mask=None, stride=1, padding=0):
    """Gather the four pixels around every sample, blend them, and multiply: torchvision's definition."""
    N, IC, H, W = x.shape
    KH, KW = weight.shape[2:]
    OH, OW = offset.shape[2:]
    G = offset.shape[1] // (2 * KH * KW)
    shift_y, shift_x = offset.reshape(N, G, KH, KW, 2, OH, OW).unbind(4)  # (N, G, KH, KW, OH, OW)
    iy = shift_y + (torch.arange(OH) * stride - padding)[:, None] + torch.arange(KH)[:, None, None, None]
    ix = shift_x + (torch.arange(OW) * stride - padding) + torch.arange(KW)[:, None, None]
    top, left = iy.floor(), ix.floor()
    fy, fx = iy - top, ix - left
    groups = x.reshape(N, G, IC // G, H * W)
    samples = 0
    for row, share_y in [(top, 1 - fy), (top + 1, fy)]:
        for column, share_x in [(left, 1 - fx), (left + 1, fx)]:
            exists = (row >= 0) & (row < H) & (column >= 0) & (column < W)
            places = (row.clamp(0, H - 1) * W + column.clamp(0, W - 1)).long()
            places = places.reshape(N, G, 1, -1).expand(N, G, IC // G, -1)
            pixels = groups.gather(3, places).reshape(N, G, IC // G, KH, KW, OH, OW)
            samples = samples + (share_y * share_x * exists)[:, :, None] * pixels
    if mask is not None:
        samples = samples * mask.reshape(N, G, 1, KH, KW, OH, OW)
    y = torch.einsum("oiab,niabyx->noyx", weight, samples.reshape(N, IC, KH, KW, OH, OW))
    return {"y": y if bias is None else y + bias[:, None, None]}


def _max_pool2d(x, **options):
    y, argmax = functional.max_pool2d(x, return_indices=True, **options)
    return {"y": y, "argmax": argmax}


def _batch_norm2d(x, weight, bias, running_mean, running_var, **options):
    y = functional.batch_norm(x, running_mean, running_var, weight, bias, **options)  # updates in place
    return {"y": y, "running_mean": running_mean, "running_var": running_var}


OPS = {
    "batch_norm2d": _batch_norm2d,
    "concat": lambda xs, axis=1: {"y": torch.cat(xs, dim=axis)},
    "conv2d": lambda x, weight, bias=None, **options: {"y": functional.conv2d(x, weight, bias, **options)},
    "deform_conv2d": _deform_conv2d,
    "depthwise_conv2d": _depthwise_conv2d,
    "leaky_relu": lambda x, negative_slope: {"y": functional.leaky_relu(x, negative_slope)},
    "linear": lambda x, weight, bias=None: {"y": functional.linear(x, weight, bias)},
    "max_pool2d": _max_pool2d,
    "prelu": lambda x, slope: {"y": functional.prelu(x, slope)},
    "relu": lambda x: {"y": functional.relu(x)},
    "sigmoid": lambda x: {"y": torch.sigmoid(x)},
    "softmax": lambda x, axis=-1: {"y": functional.softmax(x, dim=axis)},
    "upsample_nearest2d": lambda x, size: {"y": functional.interpolate(x, size=size, mode="nearest")},
}
