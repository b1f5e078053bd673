"""The heads of one pyramid level: three 1x1 convolutions that answer for every anchor."""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray
from minidet.nn import Conv2d, Module


class Heads(Module):
    """Face or not, box and landmarks, for the anchors of every position.

    Parameters
    ----------
    in_channels : int
    anchors_per_position : int
    """

    def __init__(self, in_channels: int, anchors_per_position: int) -> None:
        self.class_head = Conv2d(in_channels, anchors_per_position * 2, 1)
        self.box_head = Conv2d(in_channels, anchors_per_position * 4, 1)
        self.landmark_head = Conv2d(in_channels, anchors_per_position * 10, 1)

    def forward(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Compute box_deltas (N, A, 4), logits (N, A, 2), landmark_deltas (N, A, 10) of a map (N, C, H, W).

        A = H * W * anchors_per_position, in the order of :func:`minidet.boxes.generate_anchors`: row by row,
        column by column, the anchors of one position together.
        """
        box_deltas = per_anchor(self.box_head.forward(x), 4)
        logits = per_anchor(self.class_head.forward(x), 2)
        landmark_deltas = per_anchor(self.landmark_head.forward(x), 10)
        self.keep_for_backward((x.shape[2], x.shape[3]))
        return box_deltas, logits, landmark_deltas

    def backward(
        self, grad_box_deltas: FloatArray, grad_logits: FloatArray, grad_landmark_deltas: FloatArray
    ) -> FloatArray:
        """Go back through :meth:`forward`, line by line, to the gradient of the map (N, C, H, W)."""
        plane = self.kept()
        # x is used by three heads, so their gradients add.
        grad_x = self.landmark_head.backward(per_position(grad_landmark_deltas, plane))
        grad_x = grad_x + self.class_head.backward(per_position(grad_logits, plane))
        return grad_x + self.box_head.backward(per_position(grad_box_deltas, plane))


def per_anchor(x: FloatArray, values: int) -> FloatArray:
    """Turn a map of answers (N, anchors * values, H, W) into rows (N, H * W * anchors, values)."""
    N, C, H, W = x.shape
    x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))  # (N, H, W, anchors * values)
    return x.reshape(N, H * W * C // values, values)  # (N, H * W * anchors, values)


def per_position(grad_output: FloatArray, plane: tuple[int, int]) -> FloatArray:
    """Undo :func:`per_anchor` for a map of ``plane`` = (H, W)."""
    H, W = plane
    N, A, values = grad_output.shape
    grad_output = grad_output.reshape(N, H, W, A // (H * W) * values)  # (N, H, W, anchors * values)
    return np.ascontiguousarray(grad_output.transpose(0, 3, 1, 2))  # (N, anchors * values, H, W)
