"""Where a deformable convolution looks from one position."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from minidet.errors import InputError
from minidet.viz.figure import COLOURS


def add_taps(
    ax: Axes,
    offset: ArrayLike,
    position: tuple[int, int],
    mask: ArrayLike | None = None,
    *,
    stride: int = 1,
    padding: int = 0,
    pixels: float = 1.0,
) -> Axes:
    """Draw over a picture what the taps of one output position read.

    Rings are where a plain convolution would look, dots where this one does, and a line joins the two. A dot
    is the fainter the smaller its mask.

    Parameters
    ----------
    ax : matplotlib Axes
        Of :func:`minidet.viz.panels.panels`.
    offset : (2 * K * K,) array
        Of one position and one group, as :meth:`minidet.nn.DeformConv2d.predict` returns them.
    position : (row, column)
        Of the output.
    mask : (K * K,) array, optional
        From 0 to 1.
    stride, padding : int
        Of the convolution.
    pixels : float
        Of the picture for each pixel of the map that the convolution reads: 8, 16 or 32 on levels 3 to 5.

    Returns
    -------
    ax : matplotlib Axes

    Raises
    ------
    InputError
        If there are not two offsets for each of K * K taps, or not as many masks as taps.

    Examples
    --------
    A window of 1x1, sent two pixels down, on a map of stride 8: pixel (1, 3) of the map has its centre at
    x = 28, y = 12.

    >>> from minidet.viz.panels import panels
    >>> ax = add_taps(panels([np.zeros((64, 64))]).axes[0], [2.0, 0.0], (1, 3), pixels=8)
    >>> rings, dots = ax.collections
    >>> rings.get_offsets().tolist(), dots.get_offsets().tolist()
    ([[28.0, 12.0]], [[28.0, 28.0]])
    """
    shifts: NDArray[Any] = np.asarray(offset, np.float64)
    K = round(np.sqrt(shifts.size / 2))
    if shifts.ndim != 1 or shifts.size == 0 or shifts.size != 2 * K * K:
        raise InputError(f"add_taps: offset of shape {shifts.shape}; expected (2 * K * K,)")
    alpha: NDArray[Any] = np.ones(K * K) if mask is None else np.asarray(mask, np.float64)
    if alpha.shape != (K * K,):
        raise InputError(f"add_taps: mask of shape {alpha.shape}; expected ({K * K},)")
    first = np.asarray(position) * stride - padding
    grid = first + np.indices((K, K)).reshape(2, -1).T  # (K * K, 2), rows and columns
    plain = (grid[:, ::-1] + 0.5) * pixels  # x, y: pixel 0 lies between 0 and 1
    moved = plain + shifts.reshape(-1, 2)[:, ::-1] * pixels
    for ring, dot, strength in zip(plain, moved, alpha, strict=True):
        ax.plot(*zip(ring, dot, strict=True), color="white", linewidth=1.2, alpha=strength, zorder=2)
    rings: dict[str, Any] = {"facecolors": "none", "edgecolors": "white", "linewidths": 1.0}
    ax.scatter(plain[:, 0], plain[:, 1], s=26, zorder=3, **rings)
    dots: dict[str, Any] = {"color": COLOURS[0], "edgecolors": "white", "linewidths": 0.8, "alpha": alpha}
    ax.scatter(moved[:, 0], moved[:, 1], s=30, zorder=4, **dots)
    return ax
