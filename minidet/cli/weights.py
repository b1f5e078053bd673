"""``minidet weights``: what comes with the package, whether it is intact, and other people's checkpoints."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import minidet
from minidet.cli.terminal import show, show_error
from minidet.errors import InputError
from minidet.weights import SHIPPED, checksum, load_npz, read_checkpoint, save_npz


def add_parser(verbs: Any) -> None:
    """Add this verb and its three actions to the command line."""
    parser = verbs.add_parser(
        "weights",
        help="list, verify and convert trained weights",
        description="The trained numbers of the networks.",
    )
    parser.set_defaults(run=parser.show_help)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")

    action = actions.add_parser(
        "list",
        help="show what comes with minidet",
        description="Show the weights that come with minidet: licence, size, origin, and the page that "
        "describes them.",
    )
    action.set_defaults(run=run_list)

    action = actions.add_parser(
        "verify",
        help="check that the shipped files are intact",
        description="Load shipped weights and compare their checksums. The exit status is 2 if one differs.",
    )
    action.add_argument("names", nargs="*", metavar="NAME", help="which ones (default: all)")
    action.set_defaults(run=run_verify)

    action = actions.add_parser(
        "convert",
        help="turn a PyTorch checkpoint into a file for --weights",
        description="Turn a PyTorch checkpoint into a file for --weights. PyTorch is not needed.",
    )
    action.add_argument(
        "source",
        metavar="SRC",
        help="a RetinaFace .pth of biubug6/Pytorch_Retinaface (MobileNet x 0.25 or ResNet-50), or a folder "
        "with facenet-pytorch's pnet.pt, rnet.pt and onet.pt",
    )
    action.add_argument("destination", metavar="DST", type=Path, help="the file to write, ending in .npz")
    action.add_argument("--force", action="store_true", help="overwrite DST (default: refuse)")
    action.set_defaults(run=run_convert)


def run_list(options: argparse.Namespace) -> int:
    """Print a table of the shipped weights."""
    rows = [("name", "architecture", "licence", "size", "origin", "card")]
    for shipped in SHIPPED.values():
        size = f"{shipped.path.stat().st_size / 1e6:.1f} MB"
        rows.append(
            (shipped.name, shipped.architecture, shipped.licence, size, shipped.origin, str(shipped.card))
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        show("  ".join(cells).rstrip())
    return 0


def run_verify(options: argparse.Namespace) -> int:
    """Compare shipped files with the checksums in the package; return 2 if one is different."""
    for name in options.names:
        if name not in SHIPPED:
            raise InputError(f"no weights {name!r} come with minidet; expected {' or '.join(SHIPPED)}")
    status = 0
    for name in options.names or SHIPPED:
        shipped = SHIPPED[name]
        try:
            _, state = load_npz(shipped.path)
            found = checksum(state)
            if found != shipped.sha256:
                raise InputError(f"{shipped.path} has checksum {found}; expected {shipped.sha256}")
        except (InputError, OSError) as error:
            show_error(error)
            status = 2
        else:
            show(f"{name}: intact, sha256 {found}")
    return status


def run_convert(options: argparse.Namespace) -> int:
    """Convert a checkpoint, and prove that the result loads, before it gets its name."""
    destination: Path = options.destination
    if destination.suffix != ".npz":
        raise InputError(f"DST is {str(destination)!r}; expected a name ending in .npz")
    if not destination.parent.is_dir():
        raise InputError(f"DST is {str(destination)!r}, but there is no folder {str(destination.parent)!r}")
    if destination.exists() and not options.force:
        raise InputError(f"{str(destination)!r} exists; give another DST, or --force to overwrite it")

    architecture, state = read_checkpoint(options.source)
    with tempfile.TemporaryDirectory(dir=destination.parent) as folder:
        draft = Path(folder, destination.name)
        save_npz(draft, state, architecture=architecture)
        detector = minidet.MTCNN if architecture == "mtcnn" else minidet.RetinaFace
        detector(weights=draft)  # raises InputError if a network has other layers
        draft.replace(destination)

    numbers = np.sum([array.size for array in state.values()])
    show(f"architecture  {architecture}")
    show(f"parameters    {numbers:,} in {len(state)} arrays, batch norm statistics included")
    show(f"sha256        {checksum(state)}")
    show(f"written to    {destination}")
    return 0
