"""What R-Net and O-Net are shown of a photograph: the boxes that the stages before them let through.

The detector itself runs, with the stages that are trained so far; the one after them believes in nothing, so
that it stops there. A recorder notes the boxes on the way. So the crops are what the next network will see.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from minidet import fast
from minidet._typing import Float32Array, FloatArray, IntArray, RGBImage
from minidet.detectors import MTCNNSettings, detect_mtcnn
from minidet.errors import InputError
from minidet.models.mtcnn import PNet, RNet
from minidet.trace import Recorder
from minidet.weights.npz import checksum


class Proposer(Protocol):
    """Finds in an image the squares that the next network will be shown; threads may share it."""

    @property
    def recipe(self) -> dict[str, Any]:
        """All that decides the squares, in plain values: weights by their checksum, and settings."""

    def __call__(self, image: RGBImage) -> FloatArray:
        """Return squares (P, 4), x1 y1 x2 y2 in MTCNN's 1-based pixels; they may reach outside the image."""


@dataclass(frozen=True)
class ProposalSettings:
    """How the stages before are run to find training crops.

    Attributes
    ----------
    min_face_size : float
        Side in pixels of the smallest face to look for, as in detection by default.
    pyramid_factor : float
        Between levels of the pyramid, as in detection.
    score_thresholds : (float, float)
        Of P-Net and R-Net. Lower than in detection (0.6 and 0.7): windows that the stage is unsure about are
        the hard examples the next one has to decide, and faces that it scores low still serve as positives.
    crop_border : "clip" or "zero"
        What R-Net sees of a box that reaches outside the image.
    """

    min_face_size: float = 20
    pyramid_factor: float = 0.709
    score_thresholds: tuple[float, float] = (0.4, 0.4)
    crop_border: Literal["clip", "zero"] = "clip"

    def __post_init__(self) -> None:
        if np.shape(self.score_thresholds) != (2,):
            raise InputError(
                f"ProposalSettings: score_thresholds={self.score_thresholds!r}; "
                "expected two numbers from 0 to 1"
            )
        self.detector_settings()  # checks the values

    def detector_settings(self) -> MTCNNSettings:
        """Return the settings of a detector with these; O-Net's threshold does not matter."""
        return MTCNNSettings(
            self.min_face_size, self.pyramid_factor, (*self.score_thresholds, 1.0), self.crop_border
        )


def pnet_proposer(
    pnet: PNet, settings: ProposalSettings | None = None, *, backend: Literal["fast", "readable"] = "fast"
) -> Proposer:
    """Return what finds the squares that R-Net will be shown.

    Parameters
    ----------
    pnet : PNet
        Its weights are copied: training it further does not change the proposer.
    settings : ProposalSettings, optional
    backend : "fast" or "readable"
        As in :class:`minidet.MTCNN`.

    Returns
    -------
    Proposer
    """
    return _CascadeProposer(pnet, None, settings or ProposalSettings(), backend)


def rnet_proposer(
    pnet: PNet,
    rnet: RNet,
    settings: ProposalSettings | None = None,
    *,
    backend: Literal["fast", "readable"] = "fast",
) -> Proposer:
    """Return what finds the squares that O-Net will be shown; see :func:`pnet_proposer`.

    Parameters
    ----------
    pnet : PNet
    rnet : RNet
        The weights of both are copied.
    settings : ProposalSettings, optional
    backend : "fast" or "readable"
        As in :class:`minidet.MTCNN`.

    Returns
    -------
    Proposer
    """
    return _CascadeProposer(pnet, rnet, settings or ProposalSettings(), backend)


class _CascadeProposer:
    """Runs the detector as far as its trained stages go."""

    def __init__(
        self, pnet: PNet, rnet: RNet | None, settings: ProposalSettings, backend: Literal["fast", "readable"]
    ) -> None:
        if backend not in ("fast", "readable"):
            raise InputError(f"backend={backend!r}; expected 'fast' or 'readable'")
        is_fast = backend == "fast" and fast.is_available()
        self._detect: Any = fast.detect_mtcnn if is_fast else detect_mtcnn
        self._networks = (
            _ready(pnet, is_fast),
            _ready(rnet, is_fast) if rnet else _NoFace(2, 4),
            _NoFace(2, 4, 10),
        )
        self._settings = settings.detector_settings()
        self._step = "refine" if rnet else "merge"
        self.recipe: dict[str, Any] = {
            "pnet": checksum(pnet.state_dict()),
            "rnet": checksum(rnet.state_dict()) if rnet else None,
            "settings": asdict(settings),
            "backend": "fast" if is_fast else "readable",  # their outputs differ in the sixth digit
        }

    def __call__(self, image: RGBImage) -> FloatArray:
        recorder = _BoxRecorder(self._step)
        self._detect(image, *self._networks, self._settings, recorder)
        return recorder.boxes


def _ready(network: PNet | RNet, is_fast: bool) -> Any:
    return fast.compile(network) if is_fast else copy.deepcopy(network).eval().predict


class _BoxRecorder(Recorder):
    """Keeps the boxes of one step; none if the detector ends before it."""

    def __init__(self, step: str) -> None:
        self._step = step
        self.boxes: FloatArray = np.empty((0, 4), np.float32)

    def record(self, step: str, **values: Any) -> None:
        """Keep the boxes if ``step`` is the one that is wanted."""
        if step == self._step:
            self.boxes = values["boxes"]


class _NoFace:
    """A network that takes nothing for a face: every output is zero, so no score is above a threshold.

    Parameters
    ----------
    outputs : int
        How many numbers each of its outputs has per crop.
    """

    def __init__(self, *outputs: int) -> None:
        self._outputs = outputs

    def __call__(self, x: NDArray[Any]) -> tuple[Float32Array, ...]:
        """Return one row of zeros per crop for each output."""
        return tuple(np.zeros((len(x), count), np.float32) for count in self._outputs)

    def of_windows(self, image: RGBImage, windows: IntArray) -> tuple[Float32Array, ...]:
        """The same for windows of an image: what the fast detector asks its networks."""
        return self(windows)
