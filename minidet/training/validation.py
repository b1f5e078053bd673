"""Looking at photographs the network does not learn from: is it getting better, and has it stopped?"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minidet._check import check_whole
from minidet.errors import InputError
from minidet.nn import Module
from minidet.training.trainer import Run
from minidet.weights import load_npz, save_npz

logger = logging.getLogger("minidet")


class Validation:
    """Measure the network now and then, keep the best weights, and stop when there is no more progress.

    Parameters
    ----------
    measure : callable
        The network in, figures by name out, such as ``{"recall": 0.93, "average_precision": 0.9}``.
    every : int
        Steps between two validations; there is one after the last step, too.
    steps : int
        Of the whole training.
    figure : str
        The one to go by; larger is better.
    best : Path
        Where the weights with the largest figure are kept, a ``.npz``.
    margin : float
        Later weights are kept in place of the best if they are worse by no more than this. Among
        differences that are chance those trained longer, at smaller rates, are the better guess.
    architecture : str
        What the file says they are for.
    patience : int or None
        So many validations in a row without a new best end the training; None never does.

    Raises
    ------
    InputError
        If a number is out of its range; after a step, if ``measure`` has no such figure.
    """

    def __init__(
        self,
        measure: Callable[[Module], dict[str, float]],
        *,
        every: int,
        steps: int,
        figure: str,
        best: Path,
        architecture: str,
        margin: float = 0.0,
        patience: int | None = None,
    ) -> None:
        check_whole("Validation", "every", every, least=1)
        if patience is not None:
            check_whole("Validation", "patience", patience, least=1)
        self.measure, self.every, self.steps, self.figure = measure, every, steps, figure
        self.best, self.architecture, self.margin, self.patience = best, architecture, margin, patience
        self.best_value, self.best_step, self.since_best = -math.inf, 0, 0

    def after_step(self, run: Run) -> None:
        """Validate, if it is time.

        Parameters
        ----------
        run : Run

        Raises
        ------
        InputError
            If the measure returns no figure of the name that decides.
        """
        if run.step % self.every and run.step != self.steps:
            return
        with inference(run.network):
            figures = self.measure(run.network)
        if self.figure not in figures:
            raise InputError(f"Validation: no figure {self.figure!r} among {', '.join(figures)}")
        run.log.add({"kind": "validation", "step": run.step, **figures})
        logger.info(
            "step %d: %s", run.step, ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
        )
        self.since_best += 1
        if figures[self.figure] > self.best_value:
            self.best_value, self.since_best = figures[self.figure], 0
        if figures[self.figure] >= self.best_value - self.margin:
            self.best_step = run.step
            save_npz(self.best, run.network.state_dict(), architecture=self.architecture)
        if self.since_best == self.patience:
            run.stop(f"no better {self.figure} than {self.best_value:.4f} in {self.patience} validations")

    def state(self) -> dict[str, Any]:
        """Return the best figure, and of which step the weights kept are."""
        return {
            "best_value": self.best_value if math.isfinite(self.best_value) else None,
            "best_step": self.best_step,
            "since_best": self.since_best,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what :meth:`state` returned.

        Parameters
        ----------
        state : dict
        """
        self.best_value = -math.inf if state["best_value"] is None else state["best_value"]
        self.best_step, self.since_best = state["best_step"], state["since_best"]

    def load_best(self, network: Module) -> None:
        """Give ``network`` the best weights; without any, leave its own.

        Parameters
        ----------
        network : Module
        """
        if math.isfinite(self.best_value):
            network.load_state_dict(load_npz(self.best)[1])


@contextmanager
def inference(network: Module) -> Iterator[None]:
    """Have the network in inference mode for a while.

    Parameters
    ----------
    network : Module
        In training mode afterwards.
    """
    network.eval()
    try:
        yield
    finally:
        network.train()
