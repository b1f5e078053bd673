"""Results as a table to look at, as Markdown, and as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping, Sequence

from minidet.benchmark.cases import CASES
from minidet.benchmark.roofline import Roofline
from minidet.benchmark.run import Results, Row, Start
from minidet.benchmark.timing import Spread

HEADER = ("contestant", "threads", "ms", "minidet / this", "agreement")


def as_table(rows: Iterable[Row]) -> str:
    """Return the rows as aligned text, under a line for every case and instance.

    Examples
    --------
    >>> rows = [
    ...     Row("nms", "9 boxes", "minidet", 1, "the same", Spread(3, 2.9, 3.2)),
    ...     Row("nms", "9 boxes", "torchvision", 1, "the same", Spread(60, 58, 66), Spread(0.05, 0.04, 0.06)),
    ... ]
    >>> print(as_table(rows))
    NMS at IoU 0.4: 9 boxes
      contestant   threads     ms  minidet / this       agreement
      minidet            1   3.00                       the same
      torchvision        1   60.0  0.050 (0.040-0.060)  the same
    """
    lines = []
    for title, group in _grouped(rows):
        lines += [title, *_aligned([HEADER, *map(_cells, group)], right=(1, 2))]
    return "\n".join(lines)


def as_markdown(
    results: Results, machine: Mapping[str, str], absent: Sequence[str], roofline: Roofline | None = None
) -> str:
    """Return everything as a page of Markdown."""
    lines = ["# Benchmark", ""]
    lines += [f"- {name}: {value}" for name, value in machine.items()]
    lines += ["- " + ", ".join(f"{name} {version}" for name, version in sorted(results.versions.items()))]
    if absent:
        lines.append(f"- not installed: {', '.join(absent)}")
    lines += [
        "",
        "Milliseconds are medians of blocks of runs; contestants took turns block by block. `minidet / this`",
        "is minidet's time as a share of the other's in the same round, the median and in brackets the",
        "quartiles: below 1 minidet is faster.",
    ]
    for title, group in _grouped(results.rows):
        lines += ["", f"## {title}", "", *_markdown_table(HEADER, map(_cells, group), right=(1, 2, 3))]
    if results.starts:
        lines += ["", "## Start", "", *_markdown_table(START_HEADER, map(_start_cells, results.starts))]
    if roofline is not None:
        lines += ["", "## Roofline", "", *_roofline_lines(roofline)]
    return "\n".join(lines) + "\n"


def as_json(
    results: Results, machine: Mapping[str, str], absent: Sequence[str], roofline: Roofline | None = None
) -> str:
    """Return everything as a JSON document; NaN, which JSON does not have, is null."""
    document = {
        "machine": dict(machine),
        "versions": results.versions,
        "not installed": list(absent),
        "rows": [_as_dict(row) for row in results.rows],
        "starts": [_as_dict(start) for start in results.starts],
        "roofline": None if roofline is None else _as_dict(roofline),
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def describe_starts(starts: Sequence[Start]) -> str:
    """Return the table of first runs as aligned text."""
    return "\n".join(["Start", *_aligned([START_HEADER, *map(_start_cells, starts)], right=(2, 4, 5, 6))])


def describe_roofline(roofline: Roofline) -> str:
    """Return the roofline as aligned text."""
    summary, _, *rows = _roofline_rows(roofline)
    return "\n".join([summary[0], *_aligned(rows, right=(1, 2, 3, 4, 5))])


# ---- Cells -----------------------------------------------------------------------------------------


def format_milliseconds(value: float) -> str:
    """Return three figures.

    Examples
    --------
    >>> [format_milliseconds(value) for value in (0.01234, 5.678, 45.67, 345.6, 12345.6)]
    ['0.0123', '5.68', '45.7', '346', '12346']
    """
    if value <= 0 or not math.isfinite(value):
        return "-"
    return f"{value:.{min(max(2 - math.floor(math.log10(value)), 0), 6)}f}"


def _cells(row: Row) -> tuple[str, ...]:
    share = "" if row.share is None else "{:.3f} ({:.3f}-{:.3f})".format(*row.share)
    milliseconds = "-" if row.milliseconds is None else format_milliseconds(row.milliseconds.median)
    return row.contestant, str(row.threads), milliseconds, share, row.agreement


START_HEADER = ("case", "contestant", "threads", "machine code", "load s", "first run s", "peak MB")


def _start_cells(start: Start) -> tuple[str, ...]:
    ours = start.contestant.startswith("minidet")
    return (
        start.case,
        start.contestant,
        str(start.threads or "-"),
        ("compiled" if start.compiled else "on disk") if ours else "-",
        f"{start.load_seconds:.2f}" if start.load_seconds else "-",
        f"{start.first_seconds:.3f}",
        f"{start.megabytes:.0f}" if math.isfinite(start.megabytes) else "-",
    )


def _roofline_rows(roofline: Roofline) -> list[tuple[str, ...]]:
    total = sum(layer.seconds for layer in roofline.layers)
    rows = [
        (
            f"One core: {roofline.peak_gflops:.0f} GFLOP/s of fused multiply-add, copies "
            f"{roofline.copy_gigabytes:.1f} GB/s",
        ),
        (),
        ("step", "MMAC", "MB", "ms", "GFLOP/s", "% of roof"),
    ]
    for layer in roofline.layers:
        gflops = 2e-9 * layer.multiply_adds / layer.seconds if layer.seconds else 0.0
        roof = roofline.roof_seconds(layer)
        rows.append(
            (
                layer.name,
                f"{layer.multiply_adds / 1e6:.2f}",
                f"{layer.bytes / 1e6:.2f}",
                f"{1000 * layer.seconds:.3f}",
                f"{gflops:.0f}",
                f"{100 * roof / layer.seconds:.0f}" if layer.seconds else "-",
            )
        )
    work = sum(layer.multiply_adds for layer in roofline.layers)
    rows.append(
        (
            "all",
            f"{work / 1e6:.1f}",
            f"{sum(layer.bytes for layer in roofline.layers) / 1e6:.1f}",
            f"{1000 * total:.2f}",
            f"{2e-9 * work / total:.0f}" if total else "-",
            f"{100 * sum(map(roofline.roof_seconds, roofline.layers)) / total:.0f}" if total else "-",
        )
    )
    return rows


def _roofline_lines(roofline: Roofline) -> list[str]:
    summary, _, header, *rows = _roofline_rows(roofline)
    return [summary[0], "", *_markdown_table(header, rows, right=(1, 2, 3, 4, 5))]


# ---- Tables ----------------------------------------------------------------------------------------


def _grouped(rows: Iterable[Row]) -> list[tuple[str, list[Row]]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.case, row.instance), []).append(row)
    return [
        (f"{CASES[case].title if case in CASES else case}: {instance}", group)
        for (case, instance), group in groups.items()
    ]


def _aligned(rows: Sequence[tuple[str, ...]], *, right: tuple[int, ...]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  "
        + "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _markdown_table(
    header: tuple[str, ...], rows: Iterable[tuple[str, ...]], *, right: tuple[int, ...] = ()
) -> list[str]:
    line = "|" + "|".join("---:" if i in right else "---" for i in range(len(header))) + "|"
    return [f"| {' | '.join(row)} |" if i != 1 else line for i, row in enumerate((header, (), *rows))]


def _as_dict(record: object) -> object:
    if isinstance(record, Spread):
        return record._asdict()
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {f.name: _as_dict(getattr(record, f.name)) for f in dataclasses.fields(record)}
    if isinstance(record, tuple | list):
        return [_as_dict(item) for item in record]
    if isinstance(record, float) and not math.isfinite(record):
        return None
    return record
