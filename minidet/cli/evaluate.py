"""``minidet evaluate``: measure a detector on annotated photographs."""

from __future__ import annotations

import argparse
from typing import Any

from minidet.cli.arguments import (
    add_jobs_option,
    add_model_options,
    pixels,
    pixels_from_zero,
    share,
    share_above_zero,
)

DESCRIPTION = """\
Measure a detector on annotated photographs: average precision, recall by overlap and by size of the face,
landmark errors; on WIDER FACE also the official easy, medium and hard. Every figure comes with its recipe."""

EPILOG = """\
data:
  widerface:PATH  a folder of WIDER FACE, wider_face_*_bbx_gt.txt, RetinaFace's label.txt
  voc:PATH        a folder with annotations/*.xml and images/
  coco:PATH       a json file, or a folder that holds one
  yolo:PATH       a folder with labels/*.txt and images/
  celeba:PATH     a folder with CelebA's lists
  points:PATH     a list or a json file of landmarks
  synthetic:COUNT images the package draws itself; see minidet train --help

scales:
  native            the photograph's own size (default)
  short=SIDE        shorter side, in pixels; short=SIDE:LONGEST limits the longer one
  long=SIDE         longer side
  WIDTHxHEIGHT      fitted into a frame of that size, filled up with black

examples:
  minidet evaluate --data voc:masks/ --model retinaface --save results/
  minidet evaluate --data points:afw/annotations.json --model mtcnn --min-height 0
  minidet evaluate --data voc:masks/ --flip --scales short=500,short=800,native --merge vote
  minidet evaluate --data voc:masks/ --only runs/masks/held_out.txt --weights runs/masks/retinaface.npz
  minidet evaluate --data widerface:WIDER/ --ground-truth eval_tools/ground_truth --save wider/
  minidet evaluate --ground-truth eval_tools/ground_truth --predictions other/widerface_txt/

With --save, a run that was broken off goes on where it stopped."""


def add_parser(verbs: Any) -> None:
    """Add this verb and its options to the command line."""
    parser = verbs.add_parser(
        "evaluate",
        help="measure a detector on annotated photographs",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data", metavar="KIND:PATH", help="the photographs and their annotations; see below"
    )
    parser.add_argument(
        "--slice",
        type=_slice,
        metavar="START:STOP:STEP",
        help="only these photographs, counted from 0, as in Python: ::5 is every fifth. Write --slice=-5: "
        "for the last five, since a word that begins with - is an option",
    )
    parser.add_argument(
        "--only",
        metavar="FILE",
        help="only the photographs that this file names, one per line, such as held_out.txt of a training; "
        "--slice then counts these",
    )
    _add_detector_options(parser.add_argument_group("the detector"))
    _add_view_options(parser.add_argument_group("how it looks at a photograph"))
    _add_measure_options(parser.add_argument_group("what counts"))
    _add_output_options(parser.add_argument_group("output"))
    parser.set_defaults(run=run, default=parser.get_default)


def _add_detector_options(group: Any) -> None:
    add_model_options(group)
    group.add_argument(
        "--min-score",
        type=share,
        metavar="S",
        help="keep detections that score above S. A curve needs the doubtful ones (default: 0.02 for "
        "retinaface, 0.7 for mtcnn)",
    )
    group.add_argument(
        "--stage-scores",
        type=_two_shares,
        metavar="P,R",
        help="score thresholds of mtcnn's first two networks (default: 0.6,0.7)",
    )
    group.add_argument(
        "--min-face",
        type=pixels,
        metavar="N",
        help="mtcnn looks for faces from N pixels up (default: 20)",
    )
    group.add_argument(
        "--pyramid-factor", type=share, metavar="F", help="between sizes of mtcnn's pyramid (default: 0.709)"
    )
    group.add_argument(
        "--nms", type=share, metavar="IOU", help="retinaface drops boxes that overlap by more (default: 0.4)"
    )


def _add_view_options(group: Any) -> None:
    group.add_argument("--scales", metavar="RULE,...", default="native", help="at which sizes; see below")
    group.add_argument("--flip", action="store_true", help="in the mirror, too")
    group.add_argument(
        "--turns",
        type=_turns,
        metavar="DEGREES,...",
        default=(0,),
        help="turned clockwise by 0, 90, 180, 270 (default: 0)",
    )
    group.add_argument(
        "--merge",
        choices=("nms", "soft-linear", "soft-gaussian", "vote"),
        help="how overlapping boxes of all views become one per face. For retinaface this takes the place of "
        "its own NMS (default: nms with several views; the detector's own with one)",
    )
    group.add_argument(
        "--merge-iou",
        type=share,
        metavar="IOU",
        help="overlap for --merge (default: 0.4; 0.3 for soft-linear)",
    )


def _add_measure_options(group: Any) -> None:
    group.add_argument(
        "--iou",
        type=share_above_zero,
        default=0.5,
        metavar="IOU",
        help="how well a box has to fit (default: %(default)s)",
    )
    group.add_argument(
        "--min-height",
        type=pixels_from_zero,
        default=10,
        metavar="N",
        help="faces of less than N pixels do not count, found or not (default: %(default)s)",
    )
    group.add_argument(
        "--ground-truth",
        metavar="DIR",
        help="folder with the four .mat files of the official WIDER FACE evaluation",
    )
    group.add_argument(
        "--predictions",
        metavar="DIR",
        help="measure these official WIDER FACE prediction files, of any detector; needs --ground-truth",
    )


def _add_output_options(group: Any) -> None:
    group.add_argument(
        "--save",
        metavar="DIR",
        help="write report.json, curves and a sheet of mistakes into this folder; keep every result in it",
    )
    group.add_argument("--json", action="store_true", help="print the report as JSON instead of a table")
    add_jobs_option(group)


def run(options: argparse.Namespace) -> int:
    """Measure and print; return the exit status."""
    # Here, because every other command would wait for what only this one needs.
    from minidet.cli.evaluate_run import run_evaluate

    return run_evaluate(options)


def _slice(text: str) -> slice:
    parts = text.split(":")
    try:
        bounds = [int(part) if part.strip() else None for part in parts]
        if not 2 <= len(bounds) <= 3 or 0 in bounds[2:]:
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}; expected START:STOP:STEP, such as ::5 or :100") from None
    return slice(*bounds)


def _turns(text: str) -> tuple[int, ...]:
    quarters = {"0": 0, "90": 1, "180": 2, "270": 3}
    parts = [part.strip() for part in text.split(",")]
    if not set(parts) <= set(quarters):
        raise argparse.ArgumentTypeError(f"{text!r}; expected some of 0,90,180,270")
    return tuple(quarters[part] for part in parts)


def _two_shares(text: str) -> tuple[float, float]:
    parts = [share(part) for part in text.split(",")]
    if len(parts) != 2:
        raise argparse.ArgumentTypeError(f"{text!r}; expected two numbers, such as 0.6,0.7")
    return parts[0], parts[1]
