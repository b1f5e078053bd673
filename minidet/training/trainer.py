"""The training loop: one function, one page, for every network of the package."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from minidet.errors import InputError
from minidet.nn import Module
from minidet.training.batch import Batch, Batches, Targets
from minidet.training.checkpoint import Checkpoints
from minidet.training.interrupt import deferred_interrupt
from minidet.training.log import RunLog
from minidet.training.meter import Meter
from minidet.training.objectives import Objective
from minidet.training.optim import Optimizer, Schedule, clip_grad_norm
from minidet.training.prefetch import prefetched

logger = logging.getLogger("minidet")

NAMES_IN_MESSAGE = 32
"""So many photographs of a failed batch are named in the error; the log has all of them."""


def train(
    network: Module,
    batches: Batches[Targets],
    objective: Callable[[tuple[Any, ...], Targets], Objective],
    optimizer: Optimizer,
    schedule: Schedule,
    *,
    steps: int,
    folder: Path,
    recipe: Mapping[str, Any],
    callbacks: Sequence[Callback] = (),
    max_norm: float | None = None,
    checkpoint_every: int = 250,
    workers: int = 1,
    progress: bool = True,
    name: str = "train",
) -> Run:
    """Train a network, or go on with a training that was broken off.

    Parameters
    ----------
    network : Module
        With its first weights; a checkpoint in ``folder`` takes their place.
    batches : Batches
        Batch number k is what step k learns from.
    objective : callable
        The outputs of the network and the targets of the batch in, an Objective out.
    optimizer : Optimizer
        Over parameters of ``network``.
    schedule : Schedule
        From the number of steps taken to the learning rate of the next.
    steps : int
        Of the whole training, those before an interruption included.
    folder : Path
        Gets ``log.jsonl`` and the checkpoints. If there are checkpoints of the same recipe in it, the newest
        whole one is where the training goes on, bit for bit as if it had never stopped.
    recipe : mapping
        Plain values: all that decides the weights in the end. Checkpoints of another recipe are refused.
    callbacks : sequence of Callback
        Called after every step, in this order.
    max_norm : float, optional
        Gradients that are longer are shortened; see :func:`minidet.training.optim.clip_grad_norm`.
    checkpoint_every : int
        Steps between checkpoints: so many are lost at most when the process is killed.
    workers : int
        Threads that make batches ahead.
    progress : bool
        Show a progress bar on standard error.
    name : str
        What the bar and the messages call it.

    Returns
    -------
    Run
        ``network`` itself holds the last weights.

    Raises
    ------
    InputError
        If a loss or a gradient is not finite, with the photographs of the batch; if the folder holds another
        training; if a batch cannot be made.
    KeyboardInterrupt
        After Ctrl-C, when the step is done and a checkpoint of it is written.
    """
    checkpoints = Checkpoints(folder, recipe=dict(recipe))
    run = Run(network, optimizer, callbacks)
    run.restore(checkpoints)
    run.log = log = RunLog(folder / "log.jsonl", after_step=run.step)
    last = run.step if run.stopped else steps
    network.train()
    with (
        prefetched(batches, run.step, last, workers=workers) as stream,
        Meter(name, run.step, steps, progress=progress) as meter,
        deferred_interrupt() as interrupted,
    ):
        while run.step < last and not run.stopped:
            batch = meter.take(stream)
            with naming_images(run.step + 1, batch, log):
                optimizer.lr = schedule(run.step)
                outputs = network.forward(batch.x)  # type: ignore[attr-defined]
                loss = objective(outputs, batch.targets)
                check_finite_loss(loss)
                optimizer.zero_grad()
                network.backward(*loss.gradients)  # type: ignore[attr-defined]
                if max_norm is not None:
                    clip_grad_norm(optimizer.parameters, max_norm)
                optimizer.step()
            run.step += 1
            figures = {"loss": loss.value, **loss.parts}
            log.add({"kind": "train", "step": run.step, **figures, "lr": optimizer.lr})
            if report := meter.step_done(figures):
                log.add({"kind": "speed", "step": run.step, **report})
            for callback in callbacks:
                callback.after_step(run)
            meter.pause()
            ended = run.step == last or run.stopped is not None or interrupted()
            if ended or run.step % checkpoint_every == 0:
                run.save(checkpoints)
            if interrupted():
                raise KeyboardInterrupt
        run.speed = meter.total()
    return run


class Callback(Protocol):
    """What is done after every step besides: validating, stopping early, drawing.

    What it remembers from step to step it hands to the checkpoint in ``state``, so that a resumed run
    goes on as if it had not been interrupted.
    """

    def after_step(self, run: Run) -> None:
        """Look at the run; ``run.stop("reason")`` ends it.

        Parameters
        ----------
        run : Run
        """

    def state(self) -> dict[str, Any]:
        """Return what is remembered, in plain values."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what ``state`` returned.

        Parameters
        ----------
        state : dict
        """


@dataclass
class Run:
    """A training as it stands.

    Attributes
    ----------
    network : Module
    optimizer : Optimizer
    callbacks : sequence of Callback
    step : int
        How many steps are done.
    stopped : str or None
        Why it ended before its last step.
    log : RunLog
    speed : dict
        Steps per second and the share of the time spent waiting for data, of this process.
    """

    network: Module
    optimizer: Optimizer
    callbacks: Sequence[Callback]
    step: int = 0
    stopped: str | None = None
    log: RunLog = field(init=False)
    speed: dict[str, Any] = field(default_factory=dict)

    def stop(self, reason: str) -> None:
        """End the training after this step.

        Parameters
        ----------
        reason : str
            What the log says about it.
        """
        self.stopped = reason

    def save(self, checkpoints: Checkpoints) -> None:
        """Write a checkpoint of everything that a step changes.

        There is no generator of random numbers among it: every batch draws from one of its own, made from
        the seed of the recipe and its number.

        Parameters
        ----------
        checkpoints : Checkpoints
            Where it is written.
        """
        state = {f"model.{name}": array for name, array in self.network.state_dict().items()}
        state |= {f"optimizer.{name}": array for name, array in self.optimizer.state_dict().items()}
        extra = {"stopped": self.stopped, "callbacks": [callback.state() for callback in self.callbacks]}
        checkpoints.save(self.step, state, extra)

    def restore(self, checkpoints: Checkpoints) -> None:
        """Take up the newest whole checkpoint, if there is one.

        Parameters
        ----------
        checkpoints : Checkpoints
            Where it is looked for.
        """
        checkpoint = checkpoints.load()
        if checkpoint is None:
            return
        self.network.load_state_dict(_below("model.", checkpoint.state))
        self.optimizer.load_state_dict(_below("optimizer.", checkpoint.state))
        self.step, self.stopped = checkpoint.step, checkpoint.extra["stopped"]
        for callback, state in zip(self.callbacks, checkpoint.extra["callbacks"], strict=True):
            callback.restore(state)


@contextmanager
def naming_images(step: int, batch: Batch[Any], log: RunLog) -> Iterator[None]:
    """Add to an error the step and the photographs it came from; the log gets all of their names.

    Parameters
    ----------
    step : int
    batch : Batch
    log : RunLog

    Raises
    ------
    InputError
        What was raised inside, with more words.
    """
    try:
        yield
    except InputError as error:
        names = list(dict.fromkeys(batch.names))
        log.add({"kind": "failure", "step": step, "error": str(error), "images": names})
        shown = ", ".join(names[:NAMES_IN_MESSAGE])
        more = (
            f" and {len(names) - NAMES_IN_MESSAGE} more, see {log.path}" if names[NAMES_IN_MESSAGE:] else ""
        )
        raise InputError(f"step {step}: {error}; images of the batch: {shown}{more}") from error


def check_finite_loss(loss: Objective) -> None:
    """Require that the loss is a number; training on would spoil every weight.

    Parameters
    ----------
    loss : Objective

    Raises
    ------
    InputError
        If it is NaN or infinite.
    """
    if not math.isfinite(loss.value):
        parts = ", ".join(f"{task} {value:g}" for task, value in loss.parts.items())
        raise InputError(f"the loss is {loss.value} ({parts}); expected a finite number")


def _below(prefix: str, state: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
