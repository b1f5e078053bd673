"""Two recipes side by side: what is different, for the message that refuses to mix their results."""

from __future__ import annotations

import json
from typing import Any


def first_difference(there: dict[str, Any], here: dict[str, Any]) -> str | None:
    """Name the first entry that differs; None if none does, whatever their order.

    Parameters
    ----------
    there, here : dict
        What a file says, and what it should say; plain values, as they come out of a json. Entries within
        entries get a dotted name.

    Returns
    -------
    str or None

    Examples
    --------
    >>> first_difference({"seed": 1, "views": {"flip": True}}, {"seed": 1, "views": {"flip": False}})
    'views.flip: true there, false here'
    >>> first_difference({"seed": 1}, {})
    'seed: 1 there, nothing here'
    """
    old, new = _flat(there), _flat(here)
    for name in [*new, *old]:
        # As text, since in Python 1, 1.0 and True are equal.
        then, now = (
            json.dumps(flat[name], sort_keys=True) if name in flat else "nothing" for flat in (old, new)
        )
        if then != now:
            return f"{name}: {then} there, {now} here"
    return None


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        # One that is empty stays: it would be lost otherwise.
        is_group = isinstance(value, dict) and value
        flat |= _flat(value, f"{prefix}{name}.") if is_group else {prefix + name: value}
    return flat
