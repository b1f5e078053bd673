"""Figures of the benchmark: shares of time, time against size, and the roofline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, NullFormatter

from minidet.viz.figure import COLOURS, DASHES


def draw_shares(ax: Axes, labels: Sequence[str], shares: Sequence[tuple[float, float, float]]) -> Axes:
    """Draw minidet's time as a share of each peer's: a bar to the median, a line between the quartiles.

    Parameters
    ----------
    ax : matplotlib axes
    labels : N strings
    shares : N times (median, low, high)

    Returns
    -------
    matplotlib axes
    """
    places = range(len(labels))
    medians = [median for median, _, _ in shares]
    errors = [
        [max(median - low, 0) for median, low, _ in shares],
        [max(high - median, 0) for median, _, high in shares],
    ]
    colours = [COLOURS[0] if median < 1 else COLOURS[1] for median in medians]
    ax.barh(places, medians, xerr=errors, color=colours, height=0.7, error_kw={"elinewidth": 1})
    ax.axvline(1, color="black", linewidth=1)
    for place, (median, _, high) in zip(places, shares, strict=True):
        ax.annotate(f"{median:.2f}", (high, place), (4, 0), textcoords="offset points", va="center", size=8)
    ax.set_yticks(places, labels, fontsize=8)
    ax.invert_yaxis()
    ax.margins(y=0.01)
    ax.set_xlim(0, 1.12 * max([1.0, *(high for _, _, high in shares)]))
    ax.set_xlabel("time of minidet / time of the peer (left of the line minidet is faster)")
    return ax


def draw_times(
    ax: Axes, x: Sequence[str], lines: Mapping[tuple[str, str], Sequence[float | None]], *, x_label: str
) -> Axes:
    """Draw milliseconds, on a logarithmic axis, against what varies; None leaves a gap.

    Parameters
    ----------
    ax : matplotlib axes
    x : N strings
        Evenly spaced, in this order.
    lines : dict of N numbers each
        By two names: lines that share the first have one colour, those that share the second one dash.
    x_label : str

    Returns
    -------
    matplotlib axes
    """
    colours = list(dict.fromkeys(first for first, _ in lines))
    dashes = list(dict.fromkeys(second for _, second in lines))
    for (first, second), values in lines.items():
        heights = [float("nan") if value is None else value for value in values]
        ax.plot(
            range(len(x)),
            heights,
            marker="o",
            markersize=4,
            color=COLOURS[colours.index(first) % len(COLOURS)],
            linestyle=DASHES[dashes.index(second) % len(DASHES)],
            label=f"{first}, {second}",
        )
    ax.set_xticks(range(len(x)), x)
    ax.set_xlabel(x_label)
    ax.set_yscale("log")
    _plain_numbers(ax.yaxis)
    ax.set_ylabel("milliseconds")
    ax.grid(axis="y", which="both", alpha=0.25)
    ax.legend(frameon=False, fontsize=8)
    return ax


def draw_roofline(ax: Axes, peak: float, bandwidth: float, points: Mapping[str, tuple[float, float]]) -> Axes:
    """Draw what steps reach under what the machine can do.

    Parameters
    ----------
    ax : matplotlib axes
    peak : float
        GFLOP/s.
    bandwidth : float
        GB/s.
    points : dict
        FLOP per byte and GFLOP/s of each step. Of neighbours only the first is labelled; those above what can
        be computed, which save multiplications, have another colour.

    Returns
    -------
    matplotlib axes
    """
    intensities = [intensity for intensity, _ in points.values()]
    left, right = min([*intensities, 1.0]) / 2, max([*intensities, 100.0]) * 2
    ridge = peak / bandwidth
    ax.plot([left, ridge, right], [left * bandwidth, peak, peak], color="black", linewidth=1)
    ax.annotate(f"{peak:.0f} GFLOP/s", (right, peak), (-4, 4), textcoords="offset points", ha="right", size=8)
    ax.annotate(
        f"{bandwidth:.0f} GB/s", (left, left * bandwidth), (14, -2), textcoords="offset points", size=8
    )
    labelled: list[tuple[float, float]] = []
    for name, (intensity, gflops) in points.items():
        ax.plot(intensity, gflops, "o", color=COLOURS[0 if gflops <= peak else 1], markersize=4)
        if all(_far_apart((intensity, gflops), other) for other in labelled):
            ax.annotate(name, (intensity, gflops), (4, -3), textcoords="offset points", size=6)
            labelled.append((intensity, gflops))
    ax.set_xscale("log")
    ax.set_yscale("log")
    _plain_numbers(ax.xaxis)
    _plain_numbers(ax.yaxis)
    ax.set_xlabel("FLOP per byte")
    ax.set_ylabel("GFLOP/s")
    return ax


def _far_apart(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Tell whether two points of a logarithmic plot have room for two labels."""
    return abs(math.log(one[0] / other[0])) > 0.45 or abs(math.log(one[1] / other[1])) > 0.06


def _plain_numbers(axis: Axis) -> None:
    """Write 1, 2, 5, 10, 20 ... at a logarithmic axis, and not powers of ten."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())
