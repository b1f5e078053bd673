"""Pictures for notebooks: panels side by side, small arrays with their numbers, boxes over a photograph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from minidet.errors import InputError
from minidet.viz.figure import COLOURS

DOTS_PER_INCH = 100
"""Large enough for the last row of a lecture hall, small enough to store a notebook's pictures in it."""

FRAME = "#ff2bd6"
"""A colour that neither skin nor sky, neither light nor shade has."""


def panels(
    pictures: Sequence[ArrayLike],
    titles: Sequence[str] = (),
    *,
    columns: int = 4,
    width: float = 9.0,
    cmap: str = "gray",
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Show pictures or maps side by side.

    Parameters
    ----------
    pictures : sequence of (H, W, 3) or (H, W) arrays
        Colours from 0 to 255; a map has any values.
    titles : sequence of texts
        One per picture, or none at all.
    columns : int
        At most so many in a row.
    width : float
        Of the figure, in inches.
    cmap : str
        Matplotlib's name of the colours of maps.
    limits : (lowest, highest), optional
        Values of a map at the ends of its colours. Left out, each map has its own.

    Returns
    -------
    figure : matplotlib Figure
        Its ``axes`` are in the order of the pictures; in each, pixel (row, column) covers x from column to
        column + 1 and y from row to row + 1, so that boxes can be drawn over it.

    Raises
    ------
    InputError
        If there is no picture, or a number of titles that fits neither.

    Examples
    --------
    >>> figure = panels([np.zeros((4, 6)), np.full((4, 6, 3), 255)], ["a map", "white"])
    >>> [ax.get_title() for ax in figure.axes]
    ['a map', 'white']
    """
    arrays = [np.asarray(picture) for picture in pictures]
    if not arrays:
        raise InputError("panels: no pictures; expected at least one")
    if len(titles) not in (0, len(arrays)):
        raise InputError(f"panels: {len(titles)} titles for {len(arrays)} pictures")
    columns = min(columns, len(arrays))
    rows = -(-len(arrays) // columns)
    cell = width / columns
    shape = max(array.shape[0] / array.shape[1] for array in arrays)
    height = rows * (cell * min(shape, 2.0) + (0.3 if titles else 0.05))
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for ax, array in zip(grid.flat, arrays, strict=False):
        _show(ax, array, cmap, limits)
    for ax, title in zip(grid.flat, titles, strict=False):
        ax.set_title(title, fontsize=10)
    for ax in grid.flat[len(arrays) :]:
        ax.remove()
    return figure


def numbers(
    arrays: Sequence[ArrayLike],
    titles: Sequence[str] = (),
    *,
    form: str = "g",
    width: float = 9.0,
    marked: NDArray[np.bool_] | None = None,
) -> Figure:
    """Show small arrays as squares with their numbers in them.

    Parameters
    ----------
    arrays : sequence of (H, W) arrays
    titles : sequence of texts
        One per array, or none at all.
    form : str
        How a number is written, as after the colon of an f-string.
    width : float
        Of the figure, in inches.
    marked : (H, W) bool array, optional
        Elements of the first array that are framed.

    Returns
    -------
    figure : matplotlib Figure

    Raises
    ------
    InputError
        As of :func:`panels`.

    Examples
    --------
    >>> figure = numbers([np.array([[1.5, 2.0]])])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1.5', '2']
    """
    maps = [np.asarray(array) for array in arrays]
    figure = panels(maps, titles, columns=len(maps), width=width, cmap="Blues")
    for ax, array in zip(figure.axes, maps, strict=True):
        low, high = float(np.min(array)), float(np.max(array))
        for (row, column), value in np.ndenumerate(array):
            is_dark = high > low and (value - low) / (high - low) > 0.6
            ax.text(
                column + 0.5,
                row + 0.5,
                format(value, form),
                ha="center",
                va="center",
                fontsize=9,
                color="white" if is_dark else "black",
            )
    if marked is not None:
        for row, column in np.argwhere(marked):
            frame = Rectangle((column, row), 1, 1, fill=False, edgecolor=COLOURS[1], linewidth=2.5)
            figure.axes[0].add_patch(frame)
    return figure


def add_boxes(
    ax: Axes,
    boxes: ArrayLike,
    texts: Sequence[str] = (),
    *,
    colour: str = FRAME,
    line: float = 1.5,
    dashes: str = "-",
) -> Axes:
    """Draw boxes over a picture of :func:`panels`.

    Parameters
    ----------
    ax : matplotlib Axes
    boxes : (K, 4) array
        x1 y1 x2 y2, in pixels of the picture.
    texts : sequence of texts
        One above each box, or none at all.
    colour, line, dashes
        Of the frame: Matplotlib's colour, width in points, and style.

    Returns
    -------
    ax : matplotlib Axes

    Raises
    ------
    InputError
        If a shape is not (any number, 4), or the number of texts fits neither.

    Examples
    --------
    >>> ax = panels([np.zeros((4, 6))]).axes[0]
    >>> add_boxes(ax, [[1, 1, 3, 4]]).patches[0].get_bbox()
    Bbox([[1.0, 1.0], [3.0, 4.0]])
    """
    corners: NDArray[Any] = np.asarray(boxes, np.float64)
    if corners.ndim != 2 or corners.shape[1] != 4:
        raise InputError(f"add_boxes: boxes of shape {corners.shape}; expected (any number, 4)")
    if len(texts) not in (0, len(corners)):
        raise InputError(f"add_boxes: {len(texts)} texts for {len(corners)} boxes")
    for x1, y1, x2, y2 in corners:
        style: dict[str, Any] = {"edgecolor": colour, "linewidth": line, "linestyle": dashes}
        ax.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, **style))
    for (x1, y1, _, _), text in zip(corners, texts, strict=False):
        paper = {"facecolor": colour, "edgecolor": "none", "pad": 1}
        ax.text(x1, y1, text, color="white", fontsize=8, va="bottom", bbox=paper)
    return ax


def _show(ax: Axes, array: NDArray[Any], cmap: str, limits: tuple[float, float] | None) -> None:
    H, W = array.shape[:2]
    if array.ndim == 3:
        array = np.clip(array, 0, 255).astype(np.uint8)
    low, high = limits or (None, None)
    # Pixels begin at whole numbers, as boxes count them; Matplotlib puts their centres there.
    ax.imshow(array, cmap=cmap, vmin=low, vmax=high, extent=(0, W, H, 0), interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
