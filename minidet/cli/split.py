"""``minidet split``: choose photographs to measure on, near-duplicates together."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from minidet.cli.arguments import count
from minidet.cli.files import open_photographs
from minidet.cli.terminal import show
from minidet.datasets import (
    Dataset,
    group_by_content,
    split_by_content,
    summarize_dataset,
    write_name_list,
)

DESCRIPTION = """\
Choose photographs to measure on, and write their names into a file, one per line. Photographs that show the
same picture, to the byte or nearly, stay together: what is measured is not learnt from."""

EPILOG = """\
examples:
  minidet split voc:masks/ --every 5 --out held_out.txt
  minidet evaluate --data voc:masks/ --only held_out.txt
  minidet train retinaface --data voc:masks/ --held-out held_out.txt --out runs/masks

The choice depends on the photographs and their names, not on their order."""


def add_parser(verbs: Any) -> None:
    """Add this verb and its options to the command line."""
    parser = verbs.add_parser(
        "split",
        help="choose photographs to measure on, near-duplicates together",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="KIND:PATH", help="the data set; see minidet evaluate --help")
    parser.add_argument(
        "--every", type=count, default=5, metavar="N", help="hold out one in N (default: %(default)s)"
    )
    parser.add_argument("--out", metavar="FILE", required=True, help="the file with the names")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Split and print; return the exit status."""
    dataset = open_photographs(options.source)
    groups = group_by_content(dataset)
    learning, held_out = split_by_content(dataset, options.every, groups=groups)
    write_name_list(options.out, [annotation.name for annotation in held_out.annotations])
    together = np.bincount(groups)
    show(
        f"{dataset.source}: {_count(dataset)}\n"
        f"near-duplicates: {together[together > 1].sum():,} photographs in {(together > 1).sum():,} groups\n"
        f"to learn from: {_count(learning)}\n"
        f"held out: {_count(held_out)}, named in {options.out}"
    )
    return 0


def _count(dataset: Dataset) -> str:
    summary = summarize_dataset(dataset)
    return f"{summary.photographs:,} photographs, {summary.faces:,} faces"
