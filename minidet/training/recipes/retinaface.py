"""How RetinaFace is trained: a recipe for a CPU, and those of the paper and of its reference code."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from minidet._check import check_whole
from minidet.boxes import CASCADE_THRESHOLDS, MatchThresholds
from minidet.errors import InputError
from minidet.models.retinaface import Architecture
from minidet.training.augment import AugmentSettings
from minidet.training.objectives import (
    FCOS,
    PAPER,
    REFERENCE,
    AnchorFreeLossSettings,
    CascadeLossSettings,
    RetinaFaceLossSettings,
)
from minidet.training.recipes.optimisation import Length, Optimisation

FORCED_CASCADE_THRESHOLDS = (
    replace(CASCADE_THRESHOLDS[0], force_best=0.2),
    replace(CASCADE_THRESHOLDS[1], force_best=0.2),
)
"""The published thresholds, but hardly a face is left without an anchor: few reach 0.7 where sizes are a
factor of two apart, and at first no box of the first branch reaches anything."""


@dataclass(frozen=True)
class RetinaFaceRecipe:
    """All that decides how RetinaFace is trained, but for the data, the first weights and the seed.

    Attributes
    ----------
    length : Length
    batch_size : int
        Images of a step.
    augment : AugmentSettings
        How photographs are cut, resized, mirrored and coloured.
    network : Architecture
    loss : RetinaFaceLossSettings
        Of a cascade that of both branches, but for its thresholds.
    cascade_thresholds : (MatchThresholds, MatchThresholds)
        Of the two branches of a cascade; not read without one.
    anchor_free_loss : AnchorFreeLossSettings
        Of a network without anchors, in place of ``loss``.
    optimisation : Optimisation
    norms : "learn", "frozen" or "reestimated"
        What becomes of the batch norms: they learn statistics as they go; they keep what they have; or they
        are given the statistics of the data first and then learn. See the page on training.
    validations : int
        How often the network is measured during the run, evenly.
    patience : int or None
        So many validations without progress end the run; None never does.
    checkpoint_every : int
        Steps: so many are lost at most when the process is killed.
    """

    length: Length
    batch_size: int
    augment: AugmentSettings
    network: Architecture = field(default_factory=Architecture)
    loss: RetinaFaceLossSettings = REFERENCE
    cascade_thresholds: tuple[MatchThresholds, MatchThresholds] = FORCED_CASCADE_THRESHOLDS
    anchor_free_loss: AnchorFreeLossSettings = FCOS
    optimisation: Optimisation = field(default_factory=Optimisation)
    norms: Literal["learn", "frozen", "reestimated"] = "learn"
    validations: int = 10
    patience: int | None = None
    checkpoint_every: int = 100

    def __post_init__(self) -> None:
        check_whole("RetinaFaceRecipe", "batch_size", self.batch_size, least=1)
        check_whole("RetinaFaceRecipe", "validations", self.validations, least=1)
        check_whole("RetinaFaceRecipe", "checkpoint_every", self.checkpoint_every, least=1)
        if self.network.vertices:
            raise InputError(
                f"RetinaFaceRecipe: {self.network.name} has meshes, and photographs have none to learn from; "
                "see train_mesh_branch"
            )
        if self.norms not in ("learn", "frozen", "reestimated"):
            raise InputError(
                f"RetinaFaceRecipe: norms={self.norms!r}; expected 'learn', 'frozen' or 'reestimated'"
            )

    @property
    def thresholds(self) -> MatchThresholds:
        """Which anchors are positive and negative: in a cascade, to the first branch."""
        return self.cascade_thresholds[0] if self.network.cascade else self.loss.thresholds

    @property
    def cascade_loss(self) -> CascadeLossSettings:
        """The objective of a cascade."""
        first, second = (replace(self.loss, thresholds=one) for one in self.cascade_thresholds)
        return CascadeLossSettings(first, second)


RETINAFACE = RetinaFaceRecipe(
    length=Length(steps=3500),
    batch_size=8,
    # Small squares make many steps: what counts is how many faces have been looked at.
    augment=AugmentSettings(size=192, crop_scales=(0.45, 0.6, 0.8, 1.0)),
    # Photographs without faces teach something, too: 64 negatives is what nine positives call for.
    # The points are what comes last; faces are found long before.
    loss=replace(REFERENCE, landmark_weight=2.0, min_negatives=64),
    # Weights before a batch norm have a direction only, and Adam's steps are small beside them.
    optimisation=Optimisation(optimizer="adamw", lr=1.5e-2, weight_decay=5e-4),
)
"""For a CPU and random weights: less than ten minutes on two cores."""

RETINAFACE_FINE_TUNING = replace(
    RETINAFACE,
    length=Length(steps=1000),
    augment=AugmentSettings(size=320),
    loss=replace(REFERENCE, min_negatives=64),
    optimisation=Optimisation(optimizer="adamw", lr=5e-4, weight_decay=5e-4),
    norms="reestimated",
)
"""For a CPU and weights that detect already: their rate would be far too slow for random ones, and the
other way round the first steps would undo what they know."""

RETINAFACE_REFERENCE = RetinaFaceRecipe(
    length=Length(epochs=250),
    batch_size=32,
    augment=AugmentSettings(size=640, min_face_size=0, empty=0),
    loss=REFERENCE,
    optimisation=Optimisation(
        optimizer="sgd",
        lr=1e-3,
        momentum=0.9,
        weight_decay=5e-4,
        warm_up=0.0,
        decay=(0.76, 0.88),
        max_norm=None,
    ),
    validations=50,
    checkpoint_every=400,
)
"""biubug6/Pytorch_Retinaface with MobileNet on WIDER FACE: the rate drops at 190 and 220 of 250 epochs."""

RETINAFACE_PAPER = RetinaFaceRecipe(
    length=Length(epochs=80),
    batch_size=32,
    augment=AugmentSettings(
        size=640, crop_scales=tuple(k / 20 for k in range(6, 21)), min_face_size=0, empty=0
    ),
    loss=replace(PAPER, mesh_weight=None),
    cascade_thresholds=CASCADE_THRESHOLDS,
    optimisation=Optimisation(
        optimizer="sgd",
        lr=1e-2,
        momentum=0.9,
        weight_decay=5e-4,
        warm_up=5 / 80,
        decay=(55 / 80, 68 / 80),
        max_norm=None,
    ),
    validations=16,
    checkpoint_every=400,
)
"""Deng et al. 2019, section 4.2, on WIDER FACE: 1e-3 to 1e-2 in 5 epochs, a tenth of it from 55, a hundredth
from 68."""
