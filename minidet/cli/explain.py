"""``minidet explain``: one image, every step of the detectors, as a page to look at."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import minidet
from minidet._typing import RGBImage
from minidet.cli.arguments import pixels, share
from minidet.cli.detect import make_detector
from minidet.cli.files import STDIN, InputImage
from minidet.cli.terminal import show
from minidet.datasets import group_picture
from minidet.datasets._files import write_text
from minidet.detectors import MTCNNSettings, RetinaFaceSettings
from minidet.errors import InputError
from minidet.explain import explain

DESCRIPTION = """\
Show how a detector found the faces of one image, and where it lost the others.

The result is one HTML file for any browser; it needs no network. It has the pyramid, the feature maps, the
boxes before and after every step, the crops that R-Net and O-Net saw, and sliders for the thresholds."""

EPILOG = """\
examples:
  minidet explain -o report.html                              try it on a group picture
  minidet explain photo.jpg -o report.html                    both detectors, a tab for each
  minidet explain photo.jpg -o report.html --model mtcnn      one of them, half the size
  cat photo.jpg | minidet explain - -o report.html            read standard input"""


def add_parser(verbs: Any) -> None:
    """Add this verb and its options to the command line."""
    parser = verbs.add_parser(
        "explain",
        help="show every step of a detector on one image, as a page",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "image",
        nargs="?",
        metavar="IMAGE",
        help="an image; - for standard input (default: a group picture, composed of the portrait that comes "
        "with matplotlib)",
    )
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="the page, such as report.html")
    parser.add_argument(
        "--model",
        choices=("mtcnn", "retinaface", "both"),
        default="both",
        help="the detector (default: %(default)s)",
    )
    parser.add_argument(
        "--min-score",
        type=share,
        metavar="S",
        help="where the slider for the score begins: faces score above S, 0 to 1 "
        f"(default: {RetinaFaceSettings.score_threshold} for retinaface, "
        f"{MTCNNSettings.score_thresholds[2]} for mtcnn's O-Net)",
    )
    parser.add_argument(
        "--min-face",
        type=pixels,
        metavar="N",
        help=f"smallest face, in pixels (default: {MTCNNSettings.min_face_size} for mtcnn, 0 for retinaface)",
    )
    parser.add_argument(
        "--backend",
        metavar="B",
        help="what computes the networks: readable (default: the library's choice)",
    )
    parser.add_argument(
        "--weights",
        metavar="NAME|PATH",
        help="other weights, for one model: a name from `minidet weights list`, or a file (default: its own)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Detect, write the page and say so; return the exit status."""
    if options.weights is not None and options.model == "both":
        raise InputError(
            f"--weights {options.weights} with --model both; expected --model mtcnn or --model retinaface, "
            "whichever they are for"
        )
    models = ("retinaface", "mtcnn") if options.model == "both" else (options.model,)
    detectors = [make_detector(argparse.Namespace(**{**vars(options), "model": model})) for model in models]
    name, pixels = read(options.image)
    page = explain(pixels, detectors, name=name, min_face=options.min_face or 0)
    write_text(Path(options.out), page)
    show(f"minidet: {options.out} written, {len(page) / 1e6:.1f} MB; open it in a browser", file=sys.stderr)
    return 0


def read(argument: str | None) -> tuple[str, RGBImage]:
    """Return the name and the pixels of the image; a group picture if there is none."""
    if argument is None:
        show("minidet: no image given; using a group picture of the bundled portrait", file=sys.stderr)
        return "a group picture", group_picture()
    name = "standard input" if argument == STDIN else Path(argument).name
    return name, minidet.read_image(InputImage(argument).source)
