"""``minidet train``: teach a detector, from nothing or from given weights."""

from __future__ import annotations

import argparse
from typing import Any

from minidet.cli.arguments import count, number, pixels

DESCRIPTION = """\
Train MTCNN, network after network, or RetinaFace. The folder OUT gets the weights, a log in JSON lines,
curves and checkpoints. A killed training goes on with --resume, bit for bit as if it had never stopped."""

EPILOG = """\
data:
  widerface:PATH voc:PATH coco:PATH yolo:PATH celeba:PATH points:PATH
                  annotated photographs; see minidet evaluate --help
  synthetic:COUNT[,seed=S][,size=WxH][,faces=A-B][,heights=A-B]
                  images the package draws itself

recipes:
  small           for a CPU: minutes on the synthetic images (default). With --init retinaface learns more
                  slowly, from larger squares, so as to keep what it knows
  paper           the sizes of the papers, for WIDER FACE and CelebA; reference (retinaface only): those of
                  biubug6/Pytorch_Retinaface

networks of retinaface:
  BACKBONE[_p2p6][_deform|_deform2], with [_shared][_cascade] or _anchorfree after it, where BACKBONE is
  mobilenet025, resnet50 or resnet152; p2p6 has the paper's five levels and dense anchors, deform deformable
  convolutions in pyramid and context modules, deform2 those with masks, shared one set of heads for all
  levels, cascade a second branch that starts from the boxes of the first, anchorfree heads that start from
  no boxes. Weights remember their network. The large ones, and the deformable ones, are slow on a CPU

examples:
  minidet train retinaface --data synthetic:2000 --out runs/first
  minidet train mtcnn --data voc:masks/ --data points:helen.json --out runs/mtcnn
  minidet train retinaface --data voc:masks/ --init retinaface_mobilenet025 --norms frozen --out runs/masks
  minidet train retinaface --data voc:masks/ --out runs/masks --resume
  minidet train retinaface --data synthetic:2000 --network mobilenet025_p2p6_cascade --out runs/cascade
  minidet detect --weights runs/first/retinaface.npz photo.jpg

What is not annotated in a photograph is learnt as background; sets of landmarks, of which not every face is
known, give MTCNN faces but no background. Without --val and --held-out a tenth of the photographs, at most
200, is kept for measuring, near-duplicates together; OUT/held_out.txt names them, for minidet evaluate
--only. Weights are those of the best validation, or of a later one hardly worse."""


def add_parser(verbs: Any) -> None:
    """Add this verb and its options to the command line."""
    parser = verbs.add_parser(
        "train",
        help="train a detector on annotated photographs",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", choices=("mtcnn", "retinaface"))
    parser.add_argument(
        "--data",
        metavar="KIND:PATH",
        action="append",
        required=True,
        help="photographs to learn from; may be given several times, and one set twice counts twice",
    )
    parser.add_argument("--out", metavar="DIR", required=True, help="folder of the run")
    parser.add_argument("--resume", action="store_true", help="go on with the run that is in the folder")
    measured = parser.add_mutually_exclusive_group()
    measured.add_argument(
        "--val", metavar="KIND:PATH", help="photographs to measure on (default: a tenth of the others)"
    )
    measured.add_argument(
        "--held-out",
        metavar="FILE",
        help="measure on the photographs of --data that this file names, one per line, and do not learn from "
        "them; minidet split makes one",
    )
    parser.add_argument(
        "--init", metavar="NAME|PATH", help="first weights, for fine-tuning (default: random ones)"
    )
    parser.add_argument(
        "--network",
        metavar="NAME",
        help="of retinaface; see below (default: mobilenet025, or what the weights of --init are for)",
    )
    parser.add_argument(
        "--norms",
        choices=("learn", "frozen", "reestimated"),
        help="retinaface's batch norms: learn statistics; keep what they have; or take those of the data "
        "first, without changing the outputs, and then learn (default: learn from random weights, "
        "reestimated with --init)",
    )
    _add_recipe_options(parser.add_argument_group("recipe"))
    _add_machine_options(parser.add_argument_group("machine"))
    parser.set_defaults(run=run)


def _add_recipe_options(group: Any) -> None:
    group.add_argument(
        "--recipe", choices=("small", "paper", "reference"), default="small", help="(default: %(default)s)"
    )
    length = group.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=count, metavar="N", help="times through the data, of each network")
    length.add_argument(
        "--steps", type=_counts, metavar="N|P,R,O", help="steps; of mtcnn one number or three"
    )
    group.add_argument("--batch-size", type=count, metavar="N", help="images or crops of a step")
    group.add_argument("--lr", type=_rate, metavar="LR", help="highest learning rate")
    group.add_argument("--size", type=pixels, metavar="N", help="retinaface is shown squares of N pixels")
    group.add_argument(
        "--min-face",
        type=pixels,
        metavar="N",
        help="mtcnn learns from faces whose longer side has N pixels or more, landmarks from 2N, and looks "
        "for such (default: 20, landmarks from 40)",
    )
    group.add_argument("--patience", type=count, metavar="N", help="end after N validations without progress")
    group.add_argument("--seed", type=_seed, default=0, metavar="S", help="(default: %(default)s)")


def _add_machine_options(group: Any) -> None:
    group.add_argument(
        "--workers",
        type=count,
        default=1,
        metavar="N",
        help="threads that make batches while the network computes (default: %(default)s)",
    )
    group.add_argument(
        "--threads", type=count, metavar="N", help="threads of the network (default: one per processor)"
    )


def run(options: argparse.Namespace) -> int:
    """Train; return the exit status."""
    # Here, because every other command would wait for what only this one needs.
    from minidet.cli.train_run import run_train

    return run_train(options)


def _counts(text: str) -> tuple[int, ...]:
    values = tuple(count(part) for part in text.split(","))
    if len(values) not in (1, 3):
        raise argparse.ArgumentTypeError(f"{text!r}; expected one number, or three such as 6000,3000,2500")
    return values


def _rate(text: str) -> float:
    value = number(text, 0, 1, "a learning rate between 0 and 1")
    if value in (0, 1):
        raise argparse.ArgumentTypeError(f"{text!r}; expected a learning rate between 0 and 1")
    return value


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}; expected a whole number from 0 up")
    return int(text)
