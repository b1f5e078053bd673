"""What happened inside a detector: every step with its name, its time and its arrays."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidet._typing import FloatArray
from minidet.detections import Detections


@dataclass(frozen=True)
class Step:
    """One step of a detector.

    Attributes
    ----------
    name : str
    seconds : float
        From the end of the step before to the end of this one.
    values : dict
        What the step computed, by name: arrays, numbers, or lists of arrays (one per pyramid level).
    """

    name: str
    seconds: float
    values: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


class Recorder:
    """Is told the steps of a detector, and forgets them; :class:`Trace` is the one that keeps them.

    Attributes
    ----------
    keeps : bool
        Whether it is worth making something only to record it.
    """

    keeps = False

    def record(self, step: str, **values: Any) -> None:
        """Note that ``step`` has ended, and what it computed.

        Parameters
        ----------
        step : str
        **values : anything
            Arrays, numbers, or lists of arrays, by name.
        """


class Trace(Recorder):
    """Every intermediate result of one detection, in order.

    ``trace["refine"]["boxes"]`` is an array of the step "refine"; iterating gives the steps; printing gives a
    table of steps, times and shapes. Where nothing is left to look at, MTCNN ends early, and the steps it
    did not reach are not there.

    Attributes
    ----------
    steps : list of Step
    detections : Detections
        The result, equal to that of ``detect``.
    features : dict of name to array
        The maps inside the network, where the detector has them to show (RetinaFace).
    """

    keeps = True

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.detections = Detections.empty()
        self.features: dict[str, FloatArray] = {}
        self._last = time.perf_counter()

    def record(self, step: str, **values: Any) -> None:
        """Keep ``values`` under the name ``step``, with the time since the step before."""
        now = time.perf_counter()
        self.steps.append(Step(step, now - self._last, values))
        self._last = time.perf_counter()  # what the note itself costs is nobody's

    def __getitem__(self, name: str) -> Step:
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(f"no step {name!r}; there are {', '.join(step.name for step in self.steps)}")

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __str__(self) -> str:
        lines = []
        for step in self.steps:
            contents = ", ".join(f"{name} {_summary(value)}" for name, value in step.values.items())
            lines.append(f"{step.seconds * 1000:9.1f} ms  {step.name:<10} {contents}")
        return "\n".join(lines)


def _summary(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return str(value.shape)
    if isinstance(value, list | tuple):
        return f"[{len(value)}]"
    return str(value)


SILENT = Recorder()
"""The recorder of a plain ``detect``."""
