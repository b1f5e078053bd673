"""What all figures share: their axes, colours and dashes, and how they become a file."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = ("#1b6ca8", "#c8553d", "#588157", "#8d6a9f", "#b08900", "#6c757d")

DASHES = ("-", "--", ":", "-.")


def new_axes(width: float = 8.0, height: float = 4.5) -> Axes:
    """Return the axes of a new figure; width and height in inches.

    Parameters
    ----------
    width, height : float
        Of the figure, inches.

    Returns
    -------
    Axes
    """
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    axes: Axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def save_figure(ax: Axes, path: Path) -> None:
    """Write the figure of :func:`new_axes` as a picture.

    Parameters
    ----------
    ax : Axes
    path : path
        Its ending says the format.
    """
    figure = ax.figure
    assert isinstance(figure, Figure)
    figure.savefig(path)
