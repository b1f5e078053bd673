"""A synthetic data set in one line: ``COUNT,seed=S,size=WxH,...``."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

from minidet.datasets.synthetic.settings import SyntheticSettings
from minidet.errors import InputError

OPTIONS = {
    "size": "size",
    "faces": "faces",
    "heights": "face_heights",
    "yaw": "max_yaw",
    "pitch": "max_pitch",
    "roll": "max_roll",
    "overlap": "max_overlap",
    "negatives": "negatives",
}
"""What may follow the number of pictures besides ``seed``, and the setting that it is."""

EXPECTED = "expected synthetic:COUNT[,seed=S][,size=WxH][,faces=A-B][,heights=A-B]"

_WHOLE = re.compile(r"[0-9]{1,9}")
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_SEPARATORS = {"size": "x", "faces": "-", "heights": "-"}


def parse_options(text: str) -> tuple[int, int, SyntheticSettings]:
    """Read what stands behind ``synthetic:``.

    Parameters
    ----------
    text : str
        The number of pictures, then any of ``seed`` and ``OPTIONS``, separated by commas, in any order.

    Returns
    -------
    count, seed : int
    settings : SyntheticSettings

    Raises
    ------
    InputError
        If something cannot be read, is unknown, stands there twice or is out of its range.

    Examples
    --------
    >>> count, seed, settings = parse_options("200,seed=7,size=160x120,heights=20-80")
    >>> count, seed, settings.size, settings.face_heights
    (200, 7, (160, 120), (20.0, 80.0))
    """
    first, *others = text.split(",")
    count = _whole(first, "COUNT", text)
    chosen: dict[str, Any] = {}
    for option in others:
        name, equals, value = option.partition("=")
        if not equals or name not in ("seed", *OPTIONS):
            known = ", ".join(f"{each}=" for each in ("seed", *OPTIONS))
            raise InputError(f"data set 'synthetic:{text}': no option {option!r}; expected one of {known}")
        if name in chosen:
            raise InputError(f"data set 'synthetic:{text}': {name}= stands there twice; expected it once")
        chosen[name] = _value(name, value, text)
    seed = chosen.pop("seed", 0)
    return count, seed, SyntheticSettings(**{OPTIONS[name]: value for name, value in chosen.items()})


def format_options(count: int, seed: int, settings: SyntheticSettings) -> str:
    """Write the line that :func:`parse_options` reads; what is as by default is left out.

    Examples
    --------
    >>> format_options(200, 7, SyntheticSettings(size=(160, 120), face_heights=(20, 80)))
    '200,seed=7,size=160x120,heights=20-80'
    """
    defaults = {field.name: field.default for field in fields(settings)}
    parts = [str(count)] + ([f"seed={seed}"] if seed else [])
    for name, field in OPTIONS.items():
        value = getattr(settings, field)
        if value != defaults[field]:
            numbers = value if isinstance(value, tuple) else (value,)
            texts = [f"{number:.9f}".rstrip("0").rstrip(".") for number in numbers]
            parts.append(f"{name}={_SEPARATORS.get(name, '').join(texts)}")
    return ",".join(parts)


def _value(name: str, text: str, line: str) -> Any:
    if name == "seed":
        return _whole(text, "seed=", line)
    if name in ("size", "faces"):
        low, high = _pair(name, text, line)
        return _whole(low, f"{name}=", line), _whole(high, f"{name}=", line)
    if name == "heights":
        low, high = _pair(name, text, line)
        return _number(low, "heights=", line), _number(high, "heights=", line)
    return _number(text, f"{name}=", line)


def _pair(name: str, text: str, line: str) -> tuple[str, str]:
    separator = _SEPARATORS[name]
    low, found, high = text.partition(separator)
    if not found:
        raise InputError(
            f"data set 'synthetic:{line}': {name}={text}; expected two numbers and {separator!r} between them"
        )
    return low, high


def _whole(text: str, what: str, line: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise InputError(
            f"data set 'synthetic:{line}': {text!r} for {what} is no whole number from 0 up; {EXPECTED}"
        )
    return int(text)


def _number(text: str, what: str, line: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise InputError(
            f"data set 'synthetic:{line}': {text!r} for {what} is no number from 0 up; {EXPECTED}"
        )
    return float(text)
