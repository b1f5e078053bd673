"""What the verbs share: a parser with one-line errors, and printing beside a progress bar."""

from __future__ import annotations

import argparse
import sys
from typing import Any, NoReturn, TextIO

from tqdm import tqdm

from minidet.errors import InputError


class CommandParser(argparse.ArgumentParser):
    """An ``ArgumentParser`` whose errors are ``InputError``, so that they end as every other error does."""

    def __init__(self, **kwargs: Any) -> None:
        # Without abbreviations: a script with `--js` would break on the day of a second option with j.
        super().__init__(allow_abbrev=False, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Raise, in place of the three lines and the exit of argparse."""
        raise InputError(f"{message}; see {self.prog} --help")

    def show_help(self, options: argparse.Namespace) -> int:
        """Do what a command without its verb does: print the help."""
        show(self.format_help().rstrip())
        return 0


def show(text: str, *, file: TextIO | None = None) -> None:
    """Print lines to standard output or ``file`` at once; a progress bar makes room for them."""
    with tqdm.external_write_mode(file=file):
        print(text, file=file, flush=True)


def show_error(error: Exception) -> None:
    """Print an error in one line on standard error."""
    show(f"minidet: error: {' '.join(str(error).splitlines())}", file=sys.stderr)
