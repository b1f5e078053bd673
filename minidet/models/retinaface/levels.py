"""What stands on the levels of a pyramid: one part for each, or one for all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from minidet._typing import FloatArray
from minidet.models.retinaface.heads import Heads
from minidet.nn import Layer, Module
from minidet.ops import concat_backward, concat_forward

Outputs = tuple[FloatArray, FloatArray, FloatArray]
"""box_deltas (N, A, 4), logits (N, A, 2) and landmark_deltas (N, A, 10)."""


class PerLevel(Module):
    """A layer for each level, with weights of its own; the one of P3 is named "p3".

    Parameters
    ----------
    levels : sequence of int
        2 for P2 and so on.
    layers : sequence of Layer
        One for each level, in the same order.
    """

    def __init__(self, levels: Sequence[int], layers: Sequence[Layer]) -> None:
        self.layers = dict(zip(levels, layers, strict=True))

    def parts(self) -> Iterator[tuple[str, Module]]:
        """List the layers under the names of their levels."""
        for level, layer in self.layers.items():
            yield f"p{level}", layer

    def forward(self, maps: Sequence[FloatArray]) -> list[FloatArray]:
        """Give every map to the layer of its level."""
        return [layer.forward(x) for layer, x in zip(self.layers.values(), maps, strict=True)]

    def backward(self, grad_maps: Sequence[FloatArray]) -> list[FloatArray]:
        """Go back through :meth:`forward`."""
        return [layer.backward(grad) for layer, grad in zip(self.layers.values(), grad_maps, strict=True)]


class HeadsPerLevel(Module):
    """Heads with weights of their own on each level, as in the released networks.

    Parameters
    ----------
    levels : sequence of int
    heads : sequence of Module
        One for each level, in the same order. Each takes a map (N, C, h, w), and returns several arrays
        (N, anchors or locations, numbers).
    """

    def __init__(self, levels: Sequence[int], heads: Sequence[Any]) -> None:
        self.heads = dict(zip(levels, heads, strict=True))

    def parts(self) -> Iterator[tuple[str, Module]]:
        """List the heads under the names of their levels."""
        for level, heads in self.heads.items():
            yield f"p{level}", heads

    def forward(self, maps: Sequence[FloatArray]) -> tuple[FloatArray, ...]:
        """Compute what the heads compute, box_deltas (N, A, 4) and so on, level after level."""
        outputs = [heads.forward(x) for heads, x in zip(self.heads.values(), maps, strict=True)]
        self.keep_for_backward([level[0].shape[1] for level in outputs])
        return tuple(concat_forward(levels, axis=1) for levels in zip(*outputs, strict=True))

    def backward(self, *grad_outputs: FloatArray) -> list[FloatArray]:
        """Go back through :meth:`forward`, line by line, to the gradient of every map."""
        anchors = self.kept()  # of each level
        grads = zip(*(concat_backward(grad, anchors, axis=1) for grad in grad_outputs), strict=True)
        return [heads.backward(*grad) for heads, grad in zip(self.heads.values(), grads, strict=True)]


class SharedHeads(Module):
    """The same heads on every level, as in the paper.

    A 1x1 convolution sees one pixel at a time, so it does not matter which map a pixel comes from: the maps
    are laid out as rows of pixels, one after the other, and the heads answer for the whole row at once.

    Parameters
    ----------
    in_channels : int
    anchors_per_position : int
    """

    def __init__(self, in_channels: int, anchors_per_position: int) -> None:
        self.heads = Heads(in_channels, anchors_per_position)

    def forward(self, maps: Sequence[FloatArray]) -> Outputs:
        """Compute box_deltas (N, A, 4), logits (N, A, 2), landmark_deltas (N, A, 10), level after level."""
        rows = [x.reshape(*x.shape[:2], 1, x.shape[2] * x.shape[3]) for x in maps]  # (N, C, 1, H * W)
        pixels = concat_forward(rows, axis=3)  # (N, C, 1, pixels of all levels)
        self.keep_for_backward([x.shape for x in maps])
        return self.heads.forward(pixels)

    def backward(
        self, grad_box_deltas: FloatArray, grad_logits: FloatArray, grad_landmark_deltas: FloatArray
    ) -> list[FloatArray]:
        """Go back through :meth:`forward`, line by line, to the gradient of every map."""
        grad_pixels = self.heads.backward(grad_box_deltas, grad_logits, grad_landmark_deltas)
        shapes = self.kept()
        grad_rows = concat_backward(grad_pixels, [shape[2] * shape[3] for shape in shapes], axis=3)
        return [grad.reshape(shape) for grad, shape in zip(grad_rows, shapes, strict=True)]
