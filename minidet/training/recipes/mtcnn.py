"""How P-Net, R-Net and O-Net are trained: recipes small enough for a CPU, and the papers' sizes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from minidet._check import check_whole
from minidet.errors import InputError, is_share
from minidet.training.objectives import ALPHA_ONET, ALPHA_PNET, ALPHA_RNET, Alpha
from minidet.training.recipes.optimisation import Length, Optimisation
from minidet.training.sampling import PhotometricSettings, ProposalSettings, SampleSettings


@dataclass(frozen=True)
class MTCNNRecipe:
    """All that decides how one network of MTCNN is trained, but for the data, the first weights and the seed.

    Attributes
    ----------
    network : "pnet", "rnet" or "onet"
    length : Length
    batch_size : int
        Crops of a step.
    ratio : (int, int, int, int)
        Negative, positive, part and landmark crops in a batch. Zhang et al. write 3:1:1:2.
    samples : SampleSettings
        Which crops are made of a photograph.
    proposals : ProposalSettings or None
        How the networks before find the windows. None draws them at random: for P-Net, which is the first,
        and for others to see what the cascade is worth.
    photometric : PhotometricSettings or None
        How the colours of the crops are changed from one look at them to the next.
    alpha : Alpha
        How much each task weighs.
    mined_share : float
        Share of the classified crops that is learnt from, hardest first.
    classification : "mined" or "focal"
        Those hardest ones, or all of them by a focal loss.
    optimisation : Optimisation
    floor : float
        Recall at IoU 0.5 that the networks before must reach on the validation photographs: what they miss,
        this network never sees.
    validations : int
        How often the network is measured during the run, evenly.
    patience : int or None
        So many validations without progress end the run; None never does.
    checkpoint_every : int
        Steps: so many are lost at most when the process is killed.
    """

    network: Literal["pnet", "rnet", "onet"]
    length: Length
    batch_size: int
    alpha: Alpha
    samples: SampleSettings = field(default_factory=SampleSettings)
    proposals: ProposalSettings | None = None
    ratio: tuple[int, int, int, int] = (3, 1, 1, 2)
    photometric: PhotometricSettings | None = field(default_factory=PhotometricSettings)
    mined_share: float = 0.7
    classification: Literal["mined", "focal"] = "mined"
    optimisation: Optimisation = field(default_factory=Optimisation)
    floor: float = 0.8
    validations: int = 5
    patience: int | None = None
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        if self.network not in ("pnet", "rnet", "onet"):
            raise InputError(f"MTCNNRecipe: network={self.network!r}; expected 'pnet', 'rnet' or 'onet'")
        for name in ("batch_size", "validations", "checkpoint_every"):
            check_whole("MTCNNRecipe", name, getattr(self, name), least=1)
        if not is_share(self.floor):
            raise InputError(f"MTCNNRecipe: floor={self.floor!r}; expected 0 to 1")
        if self.network == "pnet" and self.proposals is not None:
            raise InputError(
                f"MTCNNRecipe: network='pnet' with proposals={self.proposals!r}; expected None for the first"
            )


PNET = MTCNNRecipe(
    "pnet",
    Length(steps=6000),
    batch_size=448,
    alpha=ALPHA_PNET,
    optimisation=Optimisation(lr=3e-3, weight_decay=1e-4),
)
"""For a CPU."""

RNET = MTCNNRecipe(
    "rnet",
    Length(steps=3000),
    batch_size=448,
    alpha=ALPHA_RNET,
    proposals=ProposalSettings(),
    optimisation=Optimisation(lr=2e-3, weight_decay=1e-4),
    checkpoint_every=200,
)
"""For a CPU."""

ONET = MTCNNRecipe(
    "onet",
    Length(steps=2300),
    batch_size=160,
    alpha=ALPHA_ONET,
    # Few boxes without a face get past R-Net; those it almost lets through are negatives, too.
    proposals=ProposalSettings(score_thresholds=(0.4, 0.1)),
    optimisation=Optimisation(lr=3e-3, weight_decay=1e-4),
    checkpoint_every=100,
)
"""For a CPU."""

_FULL_SIZE = Optimisation(
    optimizer="sgd",
    lr=0.01,
    momentum=0.9,
    weight_decay=5e-4,
    warm_up=0.0,
    decay=(0.4, 0.7, 0.9),
    max_norm=None,
)

PNET_PAPER = replace(PNET, length=Length(epochs=30), batch_size=384, optimisation=_FULL_SIZE, validations=30)
"""For WIDER FACE and CelebA. Zhang et al. 2016 give the samples, their ratio, the weights of the tasks and
the mining; rate, batch and epochs are those of public training code by others."""
RNET_PAPER = replace(RNET, length=Length(epochs=22), batch_size=384, optimisation=_FULL_SIZE, validations=22)
"""As ``PNET_PAPER``, on the proposals of P-Net."""
ONET_PAPER = replace(ONET, length=Length(epochs=22), batch_size=384, optimisation=_FULL_SIZE, validations=22)
"""As ``PNET_PAPER``, on the proposals of R-Net."""
