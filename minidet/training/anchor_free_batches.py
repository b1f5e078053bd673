"""Minibatches for RetinaFace without anchors: the same images, other targets."""

from __future__ import annotations

import numpy as np

from minidet.boxes import LocationSettings
from minidet.image import retinaface_input
from minidet.training.batch import Batch
from minidet.training.objectives.anchor_free import AnchorFreeTargets, anchor_free_targets
from minidet.training.retinaface_batches import RetinaFaceBatches, faces_of


class AnchorFreeBatches:
    """The images of :class:`minidet.training.retinaface_batches.RetinaFaceBatches`; threads may share it.

    Parameters
    ----------
    photographs : RetinaFaceBatches
        Chooses and changes the images.
    locations : LocationSettings
        Those that the network answers for.

    Attributes
    ----------
    locations : Locations
        Of an image of the size that is learnt from.
    """

    def __init__(self, photographs: RetinaFaceBatches, locations: LocationSettings) -> None:
        self.photographs, self.settings = photographs, locations
        size = photographs.settings.size
        self.locations = locations.lay(size, size)

    @property
    def steps_per_epoch(self) -> int:
        """In so many batches every photograph is shown at least once."""
        return self.photographs.steps_per_epoch

    def batch(self, step: int) -> Batch[AnchorFreeTargets]:
        """Make batch number ``step``.

        Parameters
        ----------
        step : int
            From 0 on.

        Returns
        -------
        Batch

        Raises
        ------
        InputError
            If the step is below 0, or no photograph can be read any more.
        """
        samples = self.photographs.samples(step)
        faces = [faces_of(sample) for sample in samples]
        targets = anchor_free_targets(self.locations, faces, self.settings)
        x = np.concatenate([retinaface_input(sample.image) for sample in samples])  # (N, 3, size, size)
        return Batch(x, targets, [sample.name for sample in samples])
