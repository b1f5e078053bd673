"""The curves of a training: losses, learning rate, and the figures of the validations, against the steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from numpy.typing import ArrayLike

from minidet._check import check_whole
from minidet._typing import Float64Array
from minidet.errors import InputError
from minidet.viz.figure import COLOURS, DASHES, save_figure

NO_FIGURES = ("kind", "step", "lr", "seconds")
"""What a record holds besides losses, or figures of a validation."""

POINTS = 50
"""A smoothed curve is a mean over 1 / 50 of the steps: a bend remains, and the noise of the batches goes."""


LEGEND_WIDTH, LEGEND_MARK = 95, 8
"""Characters that fit beside each other above a drawing; and the room of a curve's sample, in characters."""


def save_curves(records: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw everything there is to a run, one drawing below the other, and write it as a picture.

    Parameters
    ----------
    records : sequence of dict
        The lines of the log, as :meth:`minidet.training.log.RunLog.read` returns them.
    path : Path
        Its ending decides the kind of picture.

    Raises
    ------
    InputError
        If there is nothing to draw.
    """
    drawings: dict[Callable[[Axes, Sequence[dict[str, Any]]], Axes], bool] = {
        draw_losses: bool(_names(records, "train")),
        draw_learning_rate: bool(len(_column(records, "train", "lr")[0])),
        draw_validation: any(not _is_small(name) for name in _names(records, "validation")),
        draw_validation_errors: any(_is_small(name) for name in _names(records, "validation")),
    }
    wanted = [draw for draw, is_there in drawings.items() if is_there]
    if not wanted:
        raise InputError(f"{path}: no curves to draw; the log has no training step and no validation")
    heights = [1.0 if draw is draw_learning_rate else 2.0 for draw in wanted]  # its shape is simple
    figure = Figure(figsize=(8.0, 1.0 + 1.5 * sum(heights)), dpi=120, layout="constrained")
    columns = figure.subplots(len(wanted), sharex=True, squeeze=False, height_ratios=heights)
    for draw, ax in zip(wanted, columns[:, 0], strict=True):
        draw(ax, records)
        ax.label_outer()  # the steps are told once, at the bottom
    figure.align_ylabels()
    save_figure(columns[0, 0], path)


def draw_losses(ax: Axes, records: Sequence[dict[str, Any]]) -> Axes:
    """Draw the loss and its parts: each step thin, and the mean of the steps just before it strong.

    The axis of the losses is logarithmic, since the parts may differ by orders of magnitude. Single steps
    with nearly no loss may lie below its end.

    Parameters
    ----------
    ax : matplotlib axes
    records : sequence of dict
        Those of kind "train" count: "step", and all other numbers but "lr" and "seconds". A null is a gap.

    Returns
    -------
    matplotlib axes
    """
    names = _names(records, "train")
    count = len({record["step"] for record in records if record["kind"] == "train"})
    window = max(1, count // POINTS)
    lows: list[float] = []
    highs: list[float] = []
    for i, name in enumerate(names):
        steps, values = _column(records, "train", name)
        smooth = running_mean(values, window)
        style = _style(i)
        ax.plot(steps, values, color=style["color"], linewidth=0.6, alpha=0.35)
        ax.plot(steps, smooth, label=name.replace("_", " "), **style)
        lows += smooth[smooth > 0].tolist()
        highs += values[values > 0].tolist()
    if highs:  # there is no logarithm of a loss of 0
        ax.set_yscale("log", nonpositive="mask")
        ax.set_ylim(0.7 * min(lows), 1.2 * max(highs))
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())
    steps_text = f"; strong: mean of {window} steps" if window > 1 else ""
    return _finish(ax, f"loss{steps_text}")


def draw_learning_rate(ax: Axes, records: Sequence[dict[str, Any]]) -> Axes:
    """Draw the learning rate of each step.

    Parameters
    ----------
    ax : matplotlib axes
    records : sequence of dict
        Those of kind "train" count: "step" and "lr".

    Returns
    -------
    matplotlib axes
    """
    ax.plot(*_column(records, "train", "lr"), color=COLOURS[0], linewidth=1.8)
    ax.set_ylim(bottom=0)
    return _finish(ax, "learning rate")


def draw_validation(ax: Axes, records: Sequence[dict[str, Any]]) -> Axes:
    """Draw the figures of the validations that should be large, such as recall, each with its best.

    Parameters
    ----------
    ax : matplotlib axes
    records : sequence of dict
        Those of kind "validation" count: "step", and all other numbers but those of
        :func:`draw_validation_errors`.

    Returns
    -------
    matplotlib axes
    """
    names = [name for name in _names(records, "validation") if not _is_small(name)]
    most = _draw_figures(ax, records, names, best=max)
    ax.set_ylim(0, 1 if most <= 1 else None)
    return _finish(ax, "validation: larger is better")


def draw_validation_errors(ax: Axes, records: Sequence[dict[str, Any]]) -> Axes:
    """Draw the figures of the validations that should be small, such as the landmark error, with their best.

    Parameters
    ----------
    ax : matplotlib axes
    records : sequence of dict
        Those of kind "validation" count: "step", and all numbers with "error" or "per_photograph" in
        their name.

    Returns
    -------
    matplotlib axes
    """
    names = [name for name in _names(records, "validation") if _is_small(name)]
    _draw_figures(ax, records, names, best=min)
    ax.set_ylim(bottom=0)
    return _finish(ax, "validation: smaller is better")


def running_mean(values: ArrayLike, window: int) -> Float64Array:
    """Return the mean of each value and those just before it.

    Parameters
    ----------
    values : (T,) array-like
        At least one. What is not finite does not count.
    window : int
        So many values at most; there are fewer at the beginning.

    Returns
    -------
    (T,) float64 array
        NaN where nothing counts.

    Raises
    ------
    InputError
        If ``window`` is below 1.

    Examples
    --------
    >>> running_mean([2, 4, 9, np.nan, 5], 2)
    array([2. , 3. , 6.5, 9. , 5. ])
    """
    check_whole("running_mean", "window", window, least=1)
    x = np.asarray(values, np.float64)
    known = np.isfinite(x)
    # Not as the difference of two running sums: next to the large losses of the start, small ones drown.
    last = np.ones(window)
    total = np.convolve(np.where(known, x, 0), last)[: len(x)]
    count = np.convolve(known, last)[: len(x)]
    return np.divide(total, count, out=np.full(len(x), np.nan), where=count > 0)


def _draw_figures(
    ax: Axes,
    records: Sequence[dict[str, Any]],
    names: Sequence[str],
    best: Callable[[Iterable[float]], float],
) -> float:
    """Draw a curve with dots for each figure, its best ringed, and return the largest value."""
    most = 0.0
    for i, name in enumerate(names):
        steps, values = _column(records, "validation", name)
        known = values[np.isfinite(values)].tolist()
        label = name.replace("_", " ")
        if known:
            at = values.tolist().index(best(known))
            label += f", best {values[at]:.4g} at step {steps[at]:.0f}"
            ax.plot(
                steps[at],
                values[at],
                "o",
                markersize=10,
                fillstyle="none",
                color=_style(i)["color"],
                clip_on=False,
            )
            most = max(most, *known)
        ax.plot(steps, values, marker="o", markersize=4, label=label, clip_on=False, **_style(i))
    return most


def _names(records: Sequence[dict[str, Any]], kind: str) -> list[str]:
    """List the figures in records of one kind, in the order in which they come up."""
    names = dict.fromkeys(
        name
        for record in records
        if record["kind"] == kind
        for name, value in record.items()
        if value is None or isinstance(value, int | float)
    )
    return [name for name in names if name not in NO_FIGURES]


def _column(records: Sequence[dict[str, Any]], kind: str, name: str) -> tuple[Float64Array, Float64Array]:
    """Return steps and values of one figure; what was not finite is NaN."""
    found = [record for record in records if record["kind"] == kind and name in record]
    steps = [record["step"] for record in found]
    values = [math.nan if record[name] is None else record[name] for record in found]
    return np.array(steps, np.float64), np.array(values, np.float64)


def _is_small(name: str) -> bool:
    """Tell whether a figure should be small: an error, or how many boxes there are to look at."""
    return "error" in name or "per_photograph" in name


def _style(i: int) -> dict[str, Any]:
    """Return the look of the i-th curve, which can be told from its neighbours without colour, too."""
    return {"color": COLOURS[i % len(COLOURS)], "linestyle": DASHES[i % len(DASHES)], "linewidth": 1.6}


def _finish(ax: Axes, label: str) -> Axes:
    """Name the axes, and explain the curves, if any needs it, beside the drawing."""
    ax.set_xlabel("step")
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 2.5, 5, 10]))
    ax.set_ylabel(label)
    ax.grid(alpha=0.25)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    names = ax.get_legend_handles_labels()[1]
    if names:
        beside = max(1, LEGEND_WIDTH // (LEGEND_MARK + max(map(len, names))))
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=min(len(names), beside, 4), frameon=False)
    return ax
