"""``minidet check-data``: what a data set holds, and what is wrong with it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from minidet.cli.arguments import pixels_from_zero
from minidet.cli.terminal import show
from minidet.datasets.check import (
    PROBLEM_KINDS,
    TOLERANCE,
    DatasetSummary,
    Problem,
    check_dataset,
    summarize_dataset,
)
from minidet.datasets.open import READERS, open_dataset

SHOWN = 20

DESCRIPTION = """\
Look for what is wrong with data sets: photographs that are missing, damaged or there twice; boxes without
area or outside the photograph; landmarks outside, far from the box or in the wrong order.

Printed for each data set: how many photographs and faces it has, and every problem with its numbers. Faces
are counted from 0, in the order of the file."""

EPILOG = f"""\
KIND is {", ".join(READERS)}; synthetic:COUNT are images the package draws itself.

examples:
  minidet check-data voc:masks/                             a folder with annotations/ and images/
  minidet check-data points:list.txt yolo:more/ --all       two data sets, and all that is found
  minidet check-data widerface:WIDER/ --no-images           quickly: without decoding the photographs
  minidet check-data coco:instances.json --json             everything, for another program

The exit status is 1 if there is a problem, and 2 if a data set cannot be read."""


def add_parser(verbs: Any) -> None:
    """Add this verb and its options to the command line."""
    parser = verbs.add_parser(
        "check-data",
        help="find what is wrong with a data set",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sources", nargs="+", metavar="KIND:PATH", help="data sets; see below")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON document instead: a list with counts and problems, per data set",
    )
    parser.add_argument(
        "--no-images",
        action="store_true",
        help="read only the headers of the photographs, and so miss damage further on",
    )
    parser.add_argument(
        "--tolerance",
        type=pixels_from_zero,
        default=TOLERANCE,
        metavar="PX",
        help="let boxes and landmarks reach so many pixels outside the photograph (default: %(default)s, "
        "for coordinates that were rounded)",
    )
    parser.add_argument(
        "--all", action="store_true", help=f"print all problems (default: the first {SHOWN} of each kind)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check and print; return the exit status."""
    datasets = [open_dataset(source) for source in options.sources]  # all, before the first takes its time
    records = []
    photographs = problems = affected = 0
    for dataset in datasets:
        summary = summarize_dataset(dataset)
        found = check_dataset(dataset, decode=not options.no_images, tolerance=options.tolerance)
        photographs += summary.photographs
        problems += len(found)
        affected += len({problem.photograph for problem in found})
        if options.json:
            records.append(as_record(dataset.source, summary, found))
        else:
            show(describe_summary(dataset.source, summary) + "\n")
            if found:
                show(describe_problems(found, None if options.all else SHOWN) + "\n")
    if options.json:
        show(json.dumps(records, indent=1))
    else:
        show(describe_total(problems, affected if problems else photographs))
    return 1 if problems else 0


def as_record(source: str, summary: DatasetSummary, problems: Sequence[Problem]) -> dict[str, Any]:
    """Return what JSON says of a data set."""
    record: dict[str, Any] = {"source": source, **asdict(summary)}
    if summary.box_heights is not None:
        record["box_heights"] = dict(zip(("smallest", "median", "largest"), summary.box_heights, strict=True))
    return record | {"problems": [asdict(problem) for problem in problems]}


def describe_summary(source: str, summary: DatasetSummary) -> str:
    """Return the counts as a table.

    Examples
    --------
    >>> print(describe_summary("voc:photos/", DatasetSummary(1200, 3, 4567, 0, 12, (3.0, 24.5, 310.0))))
    voc:photos/
      photographs                 1,200
        without faces                 3
      faces                       4,567
        with landmarks                0
        ignored                      12
      smallest box height, px       3.0
      median box height, px        24.5
      largest box height, px      310.0
    """
    rows = [
        ("photographs", f"{summary.photographs:,}"),
        ("  without faces", f"{summary.without_faces:,}"),
        ("faces", f"{summary.faces:,}"),
        ("  with landmarks", f"{summary.with_landmarks:,}"),
        ("  ignored", f"{summary.ignored:,}"),
    ]
    if summary.box_heights is not None:
        names = ("smallest", "median", "largest")
        rows += [
            (f"{name} box height, px", f"{height:.1f}")
            for name, height in zip(names, summary.box_heights, strict=True)
        ]
    label_width = max(len(label) for label, _ in rows)
    value_width = max(len(value) for _, value in rows)
    return "\n".join([source, *(f"  {label:{label_width}}  {value:>{value_width}}" for label, value in rows)])


def describe_problems(problems: Sequence[Problem], most: int | None) -> str:
    """Return the problems by kind, at most so many of each.

    Examples
    --------
    >>> problems = [Problem("a.jpg", 2, "box outside", "by 1"), Problem("b.jpg", 0, "box outside", "by 2")]
    >>> print(describe_problems(problems, 1))
    box outside: 2
      a.jpg, face 2: by 1
      and 1 more; --all prints all
    """
    lines = []
    for kind in PROBLEM_KINDS:
        of_kind = [problem for problem in problems if problem.kind == kind]
        if not of_kind:
            continue
        lines.append(f"{kind}: {len(of_kind):,}")
        for problem in of_kind[:most]:
            face = "" if problem.face is None else f", face {problem.face}"
            lines.append(f"  {problem.photograph}{face}: {problem.message}")
        if most is not None and len(of_kind) > most:
            lines.append(f"  and {len(of_kind) - most:,} more; --all prints all")
    return "\n".join(lines)


def describe_total(problems: int, photographs: int) -> str:
    """Return the last line.

    Examples
    --------
    >>> describe_total(9, 8), describe_total(1, 1), describe_total(0, 638)
    ('9 problems in 8 photographs', '1 problem in 1 photograph', 'no problems in 638 photographs')
    """
    found = {0: "no problems", 1: "1 problem"}.get(problems, f"{problems:,} problems")
    return f"{found} in {photographs:,} photograph{'s' * (photographs != 1)}"
