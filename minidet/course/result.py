"""What the student is told."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

from minidet.course.exercise import Case


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """What came of checking an answer. It prints as a few lines of plain text, and is true if passed.

    Attributes
    ----------
    exercise : str
        Its name.
    passed : bool
    message : str
        What is printed.
    mistakes : tuple of str
        The typical mistakes that were recognised, one sentence each; empty if none was.
    case : dict or None
        The input that is shown; None if passed, or if the function could not be called.
    returned, expected : object
        Of that input. ``returned`` is the exception where one was raised.
    """

    exercise: str
    passed: bool
    message: str
    mistakes: tuple[str, ...] = ()
    case: Case | None = None
    returned: Any = None
    expected: Any = None

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return self.message

    def _repr_html_(self) -> str:
        colour = "#2e8b57" if self.passed else "#c8502d"
        first, _, rest = self.message.partition("\n")
        lines = rest.split("\n")
        named = lines[: len(self.mistakes)]  # sentences; set as text, so that lines break
        details = "\n".join(lines[len(named) :]).strip("\n")
        parts = [f"<b>{escape(first)}</b>"]
        parts += [f'<div style="margin: 0.4em 0">{escape(line)}</div>' for line in named]
        if details:
            parts.append(f'<pre style="margin: 0.4em 0 0; overflow-x: auto">{escape(details)}</pre>')
        style = f"border-left: 4px solid {colour}; padding-left: 0.8em"
        return f'<div style="{style}">{"".join(parts)}</div>'
