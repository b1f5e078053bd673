"""``minidet label``: write what a detector finds as a data set, or complete one that is there."""

from __future__ import annotations

import argparse
from typing import Any

from minidet.cli.arguments import add_jobs_option, add_model_options, pixels, share

DESCRIPTION = """\
Let a detector be the teacher: what it finds in photographs becomes a data set with boxes and landmarks. With
--data it completes annotations: faces without landmarks get some, and faces that nobody marked are added."""

EPILOG = """\
formats of FILE:
  coco        .json  boxes, landmarks and faces to be ignored; says by whom it was made
  points      .json  the same, for photographs that may lie anywhere, of which not every face has to be known
  widerface   .txt   RetinaFace's label.txt: boxes and landmarks

where the photographs have to lie for the two that keep names, unless they are copied:
  coco        in the folder of FILE, or in images/ beside FILE or beside its folder annotations
  widerface   in images/ beside FILE

examples:
  minidet label photos/ --out photos/faces.json
  minidet label photos/ --out set/label.txt --copy-images --min-score 0.9
  minidet label --data voc:masks/ --out masks/faces.json               add landmarks
  minidet label --data points:helen.json --boxes teacher --format points --out helen_boxes.json

The exit status is 2 if a photograph could not be read; the others are done all the same."""


def add_parser(verbs: Any) -> None:
    """Add this verb and its options to the command line."""
    parser = verbs.add_parser(
        "label",
        help="let a detector annotate photographs",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folder",
        nargs="?",
        metavar="DIR",
        help="photographs, also those in subfolders, with nothing annotated",
    )
    parser.add_argument(
        "--data",
        metavar="KIND:PATH",
        help="in place of DIR: annotated photographs; see minidet evaluate --help. Their faces are all kept",
    )
    _add_output_options(parser.add_argument_group("output"))
    _add_label_options(parser.add_argument_group("what becomes a label"))
    _add_detector_options(parser.add_argument_group("the teacher"))
    # The functions of `evaluate` that make detector and views ask for these, too.
    parser.set_defaults(run=run, nms=None, stage_scores=None, pyramid_factor=None)
    parser.set_defaults(turns=(0,), merge=None, merge_iou=None)


def _add_output_options(group: Any) -> None:
    group.add_argument("--out", metavar="FILE", required=True, help="written, or replaced, when all is done")
    group.add_argument(
        "--format",
        choices=("coco", "points", "widerface"),
        help="(default: coco if FILE ends in .json, widerface if it ends in .txt)",
    )
    group.add_argument(
        "--copy-images",
        action="store_true",
        help="copy the photographs into images/ beside FILE; points needs no copies",
    )


def _add_label_options(group: Any) -> None:
    group.add_argument(
        "--min-score",
        type=share,
        default=0.8,
        metavar="S",
        help="a detection that scores above S is a face (default: %(default)s)",
    )
    group.add_argument(
        "--ignore-score",
        type=_share_or_none,
        default=0.3,
        metavar="S|none",
        help="one that scores above S only is doubtful, and written as a face to be ignored, so that it is "
        "not taught as background; none leaves such out, as does widerface (default: %(default)s)",
    )
    group.add_argument(
        "--min-face",
        type=pixels,
        metavar="N",
        help="detections whose longer side is below N pixels are doubtful; mtcnn looks for no smaller ones "
        "(default: all sizes, and 20 for mtcnn)",
    )
    group.add_argument(
        "--only-annotated",
        action="store_true",
        help="with --data: add no faces, complete only those that are annotated",
    )
    group.add_argument(
        "--boxes",
        choices=("annotated", "teacher"),
        default="annotated",
        help="with --data: teacher replaces the box of an annotated face if the landmarks of both agree; for "
        "sets of landmarks, whose boxes were made from them (default: %(default)s)",
    )


def _add_detector_options(group: Any) -> None:
    add_model_options(group)
    group.add_argument(
        "--scales",
        metavar="RULE,...",
        default="native",
        help="look at these sizes, such as native,long=1600; see minidet evaluate --help "
        "(default: %(default)s)",
    )
    group.add_argument("--flip", action="store_true", help="look in the mirror, too")
    add_jobs_option(group)


def run(options: argparse.Namespace) -> int:
    """Label and print; return the exit status."""
    # Here, because every other command would wait for what only this one needs.
    from minidet.cli.label_run import run_label

    return run_label(options)


def _share_or_none(text: str) -> float | None:
    return None if text.strip().lower() == "none" else share(text)
