"""What a training step is fed: the network's input, what it should have answered, and of which images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from minidet._typing import Float32Array

Targets = TypeVar("Targets")


@dataclass(frozen=True, eq=False)
class Batch(Generic[Targets]):
    """One minibatch.

    Attributes
    ----------
    x : (N, 3, H, W) float32 array
        As the network takes it.
    targets : MTCNNTargets or RetinaFaceTargets
    names : list of str
        The photographs it was made of, for messages: one per crop or image.
    """

    x: Float32Array
    targets: Targets
    names: list[str]


class Batches(Protocol[Targets]):
    """A source of minibatches, numbered from 0 without end.

    Batch number k is a function of k and the seed alone. So several can be made at a time, ahead of the
    network, and a run that is resumed at step k goes on with the very batches it would have seen.
    """

    @property
    def steps_per_epoch(self) -> int:
        """How many batches show everything about once."""

    def batch(self, step: int) -> Batch[Targets]:
        """Make batch number ``step``; several threads may ask at once.

        Parameters
        ----------
        step : int
            From 0.

        Returns
        -------
        Batch
        """
