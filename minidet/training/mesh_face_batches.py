"""Minibatches of drawn faces with their meshes, for the dense branches."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_whole
from minidet._typing import Float32Array, IntArray, RGBImage
from minidet.boxes import REFERENCE_ANCHORS, REFERENCE_THRESHOLDS, AnchorSettings, MatchThresholds
from minidet.datasets.meshes import MeshFaceDataset
from minidet.errors import InputError
from minidet.image import retinaface_input
from minidet.training.batch import Batch
from minidet.training.objectives.dense import anchor_crops, with_meshes
from minidet.training.objectives.retinaface_targets import RetinaFaceTargets, retinaface_targets


class DenseTargets(NamedTuple):
    """What a dense branch should have answered.

    Attributes
    ----------
    faces : RetinaFaceTargets
        With meshes.
    crops : (P, side, side, 3) float32 array
        What the positive anchors cover, 0 to 1.
    visible : (P, side, side) bool array
        Which pixels of the crops show nothing but the face.
    """

    faces: RetinaFaceTargets
    crops: Float32Array
    visible: NDArray[np.bool_]


class MeshFaceBatches:
    """An endless row of minibatches; threads may share it.

    All pictures are shown once, then all again in another order. Batch number k depends on the seed and on k
    alone.

    Parameters
    ----------
    dataset : MeshFaceDataset
        Pictures of one size; each is drawn once and kept.
    batch_size : int
    seed : int
    thresholds : MatchThresholds
        Which anchors are positive and negative.
    anchors : AnchorSettings
        Those that the network answers for.
    side : int
        Of the crops, pixels.

    Attributes
    ----------
    anchors : (A, 4) float32 array

    Raises
    ------
    InputError
        If there are no pictures.

    Examples
    --------
    >>> from minidet.datasets.meshes import mesh_face_dataset
    >>> batch = MeshFaceBatches(mesh_face_dataset(4), batch_size=2, seed=0).batch(0)
    >>> batch.x.shape, batch.targets.faces.vertices.shape[1:], batch.targets.crops.shape[1:]
    ((2, 3, 64, 64), (399, 3), (32, 32, 3))
    """

    def __init__(
        self,
        dataset: MeshFaceDataset,
        *,
        batch_size: int,
        seed: int,
        thresholds: MatchThresholds = REFERENCE_THRESHOLDS,
        anchors: AnchorSettings = REFERENCE_ANCHORS,
        side: int = 32,
    ) -> None:
        check_whole("MeshFaceBatches", "batch_size", batch_size, least=1)
        check_whole("MeshFaceBatches", "seed", seed, least=0)
        check_whole("MeshFaceBatches", "side", side, least=1)
        if len(dataset) == 0:
            raise InputError(f"{dataset.source}: no picture to learn from")
        self.dataset, self.batch_size, self.seed = dataset, batch_size, int(seed)
        self.thresholds, self.side = thresholds, side
        picture = dataset.annotations[0].settings.side
        self.anchors = anchors.lay(picture, picture)  # (A, 4)
        self._order = lru_cache(maxsize=2)(self._shuffle)
        self._picture = lru_cache(maxsize=None)(self._draw)

    @property
    def steps_per_epoch(self) -> int:
        """In so many batches every picture is shown at least once."""
        return -(-len(self.dataset) // self.batch_size)

    def batch(self, step: int) -> Batch[DenseTargets]:
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
            If the step is below 0.
        """
        check_whole("MeshFaceBatches", "step", step, least=0)
        numbers = [self._number(step * self.batch_size + place) for place in range(self.batch_size)]
        images, masks = zip(*(self._picture(number) for number in numbers), strict=True)
        annotations = [self.dataset.annotations[number] for number in numbers]
        boxes = [one.boxes for one in annotations]
        faces = retinaface_targets(
            self.anchors,
            boxes,
            [one.landmarks for one in annotations],
            [one.landmark_mask for one in annotations],
            self.thresholds,
        )
        vertices = [one.vertices for one in annotations]
        faces = with_meshes(faces, self.anchors, boxes, vertices, self.dataset.topology, self.thresholds)
        crops = anchor_crops(images, self.anchors, faces.positive, self.side)
        visible = anchor_crops(masks, self.anchors, faces.positive, self.side)[..., 0] == 1
        x = np.concatenate([retinaface_input(image) for image in images])  # (N, 3, H, W)
        return Batch(x, DenseTargets(faces, crops, visible), [one.name for one in annotations])

    def _number(self, position: int) -> int:
        """Return which picture is number ``position`` of the row of all, counted from the first batch on."""
        epoch, place = divmod(position, len(self.dataset))
        return int(self._order(epoch)[place])

    def _shuffle(self, epoch: int) -> IntArray:
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.dataset))

    def _draw(self, number: int) -> tuple[RGBImage, RGBImage]:
        """Return the picture and, as another picture, white where the face is."""
        annotation = self.dataset.annotations[number]
        mask = np.repeat(255 * annotation.mask()[..., None].astype(np.uint8), 3, axis=2)
        return annotation.read(), mask
