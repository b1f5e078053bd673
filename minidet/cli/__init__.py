"""The command line: one file per verb, each of which parses, calls the library and prints.

``main`` is the frame around every verb. What it promises: results go to standard output, everything
else to standard error; an error is one line; the exit status is 0, or 2 if something could not be done.
``check-data`` looks for problems and, as linters do, ends with 1 if there are any.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Sequence

from tqdm.contrib.logging import logging_redirect_tqdm

import minidet
from minidet.cli import benchmark, check_data, detect, evaluate, explain, label, split, train, weights
from minidet.cli.terminal import CommandParser, show, show_error
from minidet.errors import InputError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        What follows ``minidet``; by default what the user has typed.

    Returns
    -------
    int
        The exit status: 0, or 1 if ``check-data`` found problems, 2 after an error, 130 after Ctrl-C, 141 if
        the reader of the output has gone.

    Raises
    ------
    SystemExit
        With status 0, after ``--help`` and ``--version``.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file name may hold what the terminal cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        # The library logs that it compiles its kernels; through tqdm, so that a progress bar makes room.
        with logging_redirect_tqdm([logging.getLogger("minidet")]):
            options = make_parser().parse_args(argv)
            status: int = options.run(options)
            return status
    except BrokenPipeError:  # as in `minidet detect photos/ | head`; an OSError, so it comes first
        return 141  # 128 + SIGPIPE, which is how `cat` ends there
    except KeyboardInterrupt:
        show("minidet: interrupted", file=sys.stderr)
        return 130  # 128 + SIGINT
    except (InputError, OSError) as error:
        show_error(error)
        return 2
    finally:
        _drop_unwritable()


def make_parser() -> CommandParser:
    """Return the parser of all verbs; each leaves in ``options.run`` the function that does it."""
    parser = CommandParser(prog="minidet", description="Find faces in photographs.")
    parser.add_argument("--version", action="version", version=f"minidet {minidet.__version__}")
    parser.set_defaults(run=parser.show_help)
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND")
    detect.add_parser(verbs)
    weights.add_parser(verbs)
    explain.add_parser(verbs)
    check_data.add_parser(verbs)
    evaluate.add_parser(verbs)
    label.add_parser(verbs)
    split.add_parser(verbs)
    train.add_parser(verbs)
    benchmark.add_parser(verbs)
    return parser


def _drop_unwritable() -> None:
    # Python flushes both streams when it ends, and would complain of a closed pipe or a full disk once more.
    for stream in (sys.stdout, sys.stderr):
        try:
            print(end="", file=stream, flush=True)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
