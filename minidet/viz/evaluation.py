"""Figures of an evaluation: precision and recall, and recall by size, overlap and angle; landmark errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from minidet._typing import Float64Array
from minidet.errors import InputError
from minidet.viz.figure import COLOURS, DASHES

RECALL = "recall: share of the faces that are found"

LANDMARK_LIMIT = 0.3
"""Where the axis of landmark errors ends."""


def draw_precision_recall(ax: Axes, curves: Mapping[str, tuple[ArrayLike, ArrayLike, float]]) -> Axes:
    """Draw precision against recall, and above each curve the envelope whose area is the average precision.

    The curve is faint and the envelope strong: it is the number in the legend made visible. It falls to 0 at
    the last recall, beyond which nothing adds to the area.

    Parameters
    ----------
    ax : matplotlib axes
    curves : dict of (recall, precision, average precision)
        By label: two (T,) arrays, with recall not falling, and a number, NaN if there is none.

    Returns
    -------
    matplotlib axes

    Raises
    ------
    InputError
        If recall and precision differ in length.
    """
    for i, (label, (recall, precision, ap)) in enumerate(curves.items()):
        x, y = _points("draw_precision_recall", label, recall, precision)
        envelope = np.maximum.accumulate(y[::-1])[::-1]  # (T,)
        ax.plot(x, y, color=_style(i)["color"], linewidth=0.8, alpha=0.45, clip_on=False)
        ax.plot(
            [0, *x, *x[-1:]],
            [*envelope[:1], *envelope, 0],
            drawstyle="steps-pre",  # a precision holds from the recall before up to its own
            label=f"{label}, AP {ap:.3f}" if np.isfinite(ap) else label,
            clip_on=False,
            **_style(i),
        )
    _share_axes(ax)
    ax.set_xlim(0, 1)
    ax.set_xlabel(RECALL)
    ax.set_ylabel("precision: share of the detections that are right")
    _legend(ax, "lower left")
    return ax


def draw_true_against_false(ax: Axes, curves: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Axes:
    """Draw recall against the number of false positives over the whole set, the form of FDDB's curves.

    The axis of false positives has a place for 0 and is logarithmic from 1 up: the first ten decide whether a
    detector can be let loose on photographs, and thousands of them follow.

    Parameters
    ----------
    ax : matplotlib axes
    curves : dict of (false positives, recall)
        By label: two (T,) arrays, neither falling.

    Returns
    -------
    matplotlib axes

    Raises
    ------
    InputError
        If the two differ in length.
    """
    most = 1.0
    for i, (label, (false_positives, recall)) in enumerate(curves.items()):
        x, y = _points("draw_true_against_false", label, false_positives, recall)
        most = max(most, x.max(initial=0))
        # Until the next mistake is made, no more faces are found.
        ax.plot(
            [0, *x],
            [0, *y],
            drawstyle="steps-post",
            marker="o",
            markevery=[len(x)],  # where all of its detections are counted
            markersize=4,
            label=label,
            clip_on=False,
            **_style(i),
        )
    _share_axes(ax)
    ax.set_xscale("symlog", linthresh=1, linscale=0.4)
    ax.set_xlim(0, most)
    ax.set_xticks([0, *(10.0**k for k in range(int(np.log10(most)) + 1))])
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_xlabel("false positives over all photographs")
    ax.set_ylabel(RECALL)
    _legend(ax, "lower right")
    return ax


def draw_recall_by_size(ax: Axes, bins: Mapping[str, Mapping[tuple[float, float], tuple[int, int]]]) -> Axes:
    """Draw a bar for each range of heights, with the number of found faces and of all faces above it.

    Parameters
    ----------
    ax : matplotlib axes
    bins : dict of dict of (found, faces)
        By label, and by the (lower, upper) height in pixels. The bars of several labels stand side by side.

    Returns
    -------
    matplotlib axes
    """
    ranges = list(dict.fromkeys(size for of_one in bins.values() for size in of_one))
    width = 0.8 / max(len(bins), 1)
    for i, (label, of_one) in enumerate(bins.items()):
        places = [ranges.index(size) + (i - (len(bins) - 1) / 2) * width for size in of_one]
        shares = [found / faces if faces else 0.0 for found, faces in of_one.values()]
        ax.bar(places, shares, width=0.92 * width, color=COLOURS[i % len(COLOURS)], label=label)
        for place, share, (found, faces) in zip(places, shares, of_one.values(), strict=True):
            ax.annotate(
                f"{found}/{faces}",
                (place, share),
                (0, 3),
                textcoords="offset points",
                ha="center",
                va="bottom",
                size=8,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
                rotation=0 if len(bins) == 1 else 90,
            )
    _share_axes(ax)
    ax.set_ylim(0, 1.06 if len(bins) <= 1 else 1.2)  # room for the numbers above a full bar
    ax.spines["left"].set_bounds(0, 1)
    ax.set_xticks(range(len(ranges)), [_size_label(*size) for size in ranges])
    ax.grid(visible=False, axis="x")
    ax.set_xlabel("height of the face in pixels")
    ax.set_ylabel(RECALL)
    _legend(ax, "above")
    return ax


def draw_recall_by_iou(ax: Axes, curves: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Axes:
    """Draw recall against how well a box has to fit.

    Parameters
    ----------
    ax : matplotlib axes
    curves : dict of (IoU, recall)
        By label: two (T,) arrays; a recall of NaN leaves a gap.

    Returns
    -------
    matplotlib axes

    Raises
    ------
    InputError
        If the two differ in length.
    """
    for i, (label, (iou, recall)) in enumerate(curves.items()):
        x, y = _columns("draw_recall_by_iou", label, iou, recall)
        ax.plot(x, y, marker="o", markersize=4, label=label, clip_on=False, **_style(i))
        if len(curves) == 1:
            for place, share in zip(x[np.isfinite(y)], y[np.isfinite(y)], strict=True):
                ax.annotate(f"{share:.3f}", (place, share), (4, 4), textcoords="offset points", size=8)
    _share_axes(ax)
    ax.set_xlabel("IoU that a box needs")
    ax.set_ylabel(RECALL)
    _legend(ax, "lower left")
    return ax


def draw_landmark_errors(
    ax: Axes, curves: Mapping[str, tuple[ArrayLike, int]], *, normalised_by: str = "distance of the eyes"
) -> Axes:
    """Draw the share of all faces whose error is at most x.

    What a curve lacks to 1 at its end are the faces that were not found, and those with a larger error.

    Parameters
    ----------
    ax : matplotlib axes
    curves : dict of (errors, faces)
        By label: an (M,) array, one error for each face that was found, and how many faces there are.
    normalised_by : str
        What the errors are a share of.

    Returns
    -------
    matplotlib axes
    """
    for i, (label, (errors, faces)) in enumerate(curves.items()):
        (error,) = _columns("draw_landmark_errors", label, errors)
        x = np.sort(error[error <= LANDMARK_LIMIT])
        y = np.arange(1, len(x) + 1) / max(faces, 1)
        median = f", median {np.median(error):.3f}" if len(error) else ""
        ax.plot(
            [0, *x, LANDMARK_LIMIT],
            [0, *y, *(y[-1:] if len(y) else [0])],
            drawstyle="steps-post",
            label=f"{label}{median}, {len(error)} of {faces} found",
            clip_on=False,
            **_style(i),
        )
    _share_axes(ax)
    ax.set_xlim(0, LANDMARK_LIMIT)
    ax.set_xlabel(f"mean error of the five points / {normalised_by}")
    ax.set_ylabel("share of all faces")
    _legend(ax, "lower right")
    return ax


def draw_recall_by_angle(ax: Axes, curves: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Axes:
    """Draw recall against the angle by which photographs are rotated.

    Parameters
    ----------
    ax : matplotlib axes
    curves : dict of (angles, recall)
        By label: two (T,) arrays, the first in degrees, -180 to 180, in any order. -180 and 180 are the
        same: where only one is given, it is drawn at both ends. A recall of NaN leaves a gap.

    Returns
    -------
    matplotlib axes

    Raises
    ------
    InputError
        If the two differ in length.
    """
    for i, (label, (angles, recall)) in enumerate(curves.items()):
        x, y = _columns("draw_recall_by_angle", label, angles, recall)
        upside_down = np.abs(x) == 180
        if upside_down.sum() == 1:
            x, y = np.append(x, -x[upside_down]), np.append(y, y[upside_down])
        order = np.argsort(x)
        ax.plot(x[order], y[order], marker="o", markersize=4, label=label, clip_on=False, **_style(i))
    _share_axes(ax)
    ax.set_xlim(-180, 180)
    ax.set_xticks(range(-180, 181, 45))
    ax.xaxis.set_major_formatter("{x:g}°")
    ax.set_xlabel("rotation of the photograph")
    ax.set_ylabel(RECALL)
    _legend(ax, "above")
    return ax


def _columns(function: str, label: str, *columns: ArrayLike) -> list[Float64Array]:
    """Return (T,) arrays of one length."""
    arrays = [np.asarray(column, np.float64).ravel() for column in columns]
    lengths = [len(array) for array in arrays]
    if len(set(lengths)) > 1:
        raise InputError(f"{function}: the arrays of {label!r} have lengths {lengths}; expected one length")
    return arrays


def _points(function: str, label: str, x: ArrayLike, y: ArrayLike) -> tuple[Float64Array, Float64Array]:
    """Return two arrays of one length without the points that are no numbers."""
    xs, ys = _columns(function, label, x, y)
    known = np.isfinite(xs) & np.isfinite(ys)
    return xs[known], ys[known]


def _style(i: int) -> dict[str, Any]:
    """Return the look of the i-th curve, which can be told from its neighbours without colour, too."""
    return {"color": COLOURS[i % len(COLOURS)], "linestyle": DASHES[i % len(DASHES)], "linewidth": 1.8}


def _share_axes(ax: Axes) -> None:
    ax.set_ylim(0, 1)
    ax.set_yticks(np.arange(0, 1.01, 0.2))
    ax.grid(alpha=0.25)
    ax.set_axisbelow(True)


def _size_label(lower: float, upper: float) -> str:
    if np.isinf(upper):
        return f"{lower:g}+"
    return f"{lower:g}-{upper:g}" if lower > 0 else f"<{upper:g}"


def _legend(ax: Axes, place: Literal["lower left", "lower right", "above"]) -> None:
    """Explain the curves, if there are any; "above" is outside, for figures without a free corner."""
    names = ax.get_legend_handles_labels()[1]
    if place == "above" and names:
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=min(len(names), 4), frameon=False)
    elif place != "above" and names:
        ax.legend(loc=place, frameon=False)
