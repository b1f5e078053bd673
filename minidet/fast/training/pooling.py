"""Fast twin of the pooling layer."""

from __future__ import annotations

from typing import NamedTuple

from minidet._check import check_float, check_shape
from minidet._typing import Float32Array, FloatArray
from minidet.fast.team import run_plan
from minidet.fast.training.conv import is_map
from minidet.fast.training.kernels.max_pool import max_pool_backward_plan, max_pool_plan
from minidet.fast.training.kernels.windows import Windows
from minidet.fast.training.maps import SMALL, memory_of, new_map, padded
from minidet.nn import MaxPool2d


class Kept(NamedTuple):
    """What a fast forward pass leaves for the way back.

    Attributes
    ----------
    winner : (N * OH * OW * C,) array
        Which element of each window was the maximum.
    windows : Windows
    channels : int
    """

    winner: Float32Array
    windows: Windows
    channels: int


class FastMaxPool2d(MaxPool2d):
    """Twin of :class:`minidet.nn.MaxPool2d` on channels-last maps.

    float32 inputs take the fast way, everything else the definition's. The result is exact; gradients of
    overlapping windows agree to 1e-6.
    """

    def forward(self, x: FloatArray) -> FloatArray:
        """Pool (N, C, H, W) to (N, C, OH, OW)."""
        s = self._windows(x)
        if s is None:
            return super().forward(x)
        memory = memory_of(x)
        out, y = new_map(s.N, x.shape[1], s.OH, s.OW)
        winner, _ = new_map(s.N, x.shape[1], s.OH, s.OW)
        run_plan(max_pool_plan, memory, out, winner, s, steps=1, alone=x.size < SMALL)
        self.keep_for_backward(Kept(winner, s, x.shape[1]))
        return y

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`."""
        if not isinstance(self._kept, Kept):
            return super().backward(grad_output)
        winner, s, channels = self._kept
        check_float("max_pool2d", grad_output=grad_output, winner=winner)
        expected = (s.N, channels, s.OH, s.OW)
        check_shape("max_pool2d", "grad_output", grad_output, expected, "the shape of the output")
        self.kept()
        memory, grad_x = new_map(s.N, channels, s.H, s.W)
        run_plan(
            max_pool_backward_plan,
            memory_of(grad_output),
            winner,
            memory,
            s,
            steps=1,
            alone=grad_x.size < SMALL,
        )
        return grad_x

    def _windows(self, x: FloatArray) -> Windows | None:
        """Return the geometry, or None if the definition is to see to it, if only to refuse."""
        size, stride, padding = self.kernel_size, self.stride, self.padding
        if not (is_map(x) and all(isinstance(value, int) for value in (size, stride, padding))):
            return None
        if not (size >= 1 and stride >= 1 and 0 <= padding <= size // 2):
            return None
        N, C, H, W = x.shape
        OH, OW = (_windows_along(side, size, stride, padding, self.ceil_mode) for side in (H, W))
        if OH < 1 or OW < 1:
            return None
        return Windows(N, H, W, padded(C), OH, OW, padded(C), size, stride, padding)


def _windows_along(side: int, size: int, stride: int, padding: int, ceil_mode: bool) -> int:
    """Count the windows along a side."""
    room = side + 2 * padding - size
    windows = (-(-room // stride) if ceil_mode else room // stride) + 1
    # With ceil_mode the last window may begin in the far padding; then it is none.
    return windows - 1 if ceil_mode and (windows - 1) * stride >= side + padding else windows
