"""The detectors as users meet them: load the weights, choose the backend, detect."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import lru_cache, partial
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from minidet import fast
from minidet._jit import compilation
from minidet._typing import RGBImage
from minidet.detections import Detections
from minidet.detectors import (
    MTCNNSettings,
    RetinaFaceSettings,
    detect_anchor_free,
    detect_mtcnn,
    detect_retinaface,
)
from minidet.errors import InputError
from minidet.image import ImageSource, read_image
from minidet.mesh import Topology
from minidet.models.mtcnn import ONet, PNet, RNet
from minidet.models.retinaface import Architecture, RetinaFaceNet
from minidet.nn import Module
from minidet.trace import SILENT, Recorder, Trace
from minidet.weights import checksum, load_weights, read_weights, split_topology

Backend = Literal["fast", "readable"]
M = TypeVar("M", bound=Module)


class Detector(ABC):
    """What the two detectors share. One detector may serve many threads: ``detect`` changes nothing in it.

    Attributes
    ----------
    settings : MTCNNSettings or RetinaFaceSettings
    recipe : dict
        All that decides what is found, in plain values: ``model``, ``weights``, ``sha256`` of the weights'
        arrays, ``backend`` and ``settings``. Quote it beside any figure.
    """

    settings: MTCNNSettings | RetinaFaceSettings
    recipe: dict[str, Any]

    def _set_recipe(self, model: str, weights: str | os.PathLike[str], sha256: str, is_fast: bool) -> None:
        self.recipe = {
            "model": model,
            "weights": os.fspath(weights),
            "sha256": sha256,
            "backend": "fast" if is_fast else "readable",
            "settings": asdict(self.settings),
        }

    def detect(self, source: ImageSource) -> Detections:
        """Find the faces of one image.

        Parameters
        ----------
        source : path, bytes, file object, PIL image or array
            Anything :func:`minidet.read_image` takes. Arrays are RGB; for OpenCV's BGR pass
            ``minidet.read_image(array, color="bgr")``.

        Returns
        -------
        Detections
            Best score first; empty if there is no face.

        Raises
        ------
        InputError
            If the image cannot be read.
        TypeError
            If ``source`` is no kind of image at all.
        """
        faces = self._detect(read_image(source), SILENT)
        compilation.report()
        return faces

    def detect_batch(self, sources: Iterable[ImageSource], *, progress: bool = True) -> list[Detections]:
        """Find the faces of several images, of any sizes.

        Parameters
        ----------
        sources : list or other iterable
            Each anything ``detect`` takes.
        progress : bool
            Show a progress bar on standard error, from two images up.

        Returns
        -------
        list of Detections
            One per image, each the same as ``detect`` alone would give.

        Raises
        ------
        InputError
            If an image cannot be read; the message gives its number, counted from 0.
        TypeError
            If an element is no kind of image at all.
        """
        if _is_one_image(sources):
            kind = type(sources).__name__
            raise InputError(f"detect_batch: got one image, of type {kind}; expected a list of images")
        sources = list(sources)
        hidden = not progress or len(sources) < 2
        return [
            self._detect_one_of_many(number, source)
            for number, source in enumerate(tqdm(sources, "detect", unit="image", disable=hidden))
        ]

    def _detect_one_of_many(self, number: int, source: ImageSource) -> Detections:
        try:
            return self.detect(source)
        except (InputError, TypeError) as error:
            raise type(error)(f"image {number}: {error}") from error

    def trace(self, source: ImageSource) -> Trace:
        """Detect, and keep what every step computed and how long it took.

        Parameters
        ----------
        source
            As in ``detect``.

        Returns
        -------
        Trace
            Its ``detections`` equal those of ``detect``.

        Raises
        ------
        InputError
            If the image cannot be read.
        TypeError
            If ``source`` is no kind of image at all.
        """
        image = read_image(source)
        trace = Trace()
        trace.detections = self._detect(image, trace)
        compilation.report()
        return trace

    @abstractmethod
    def _detect(self, image: RGBImage, recorder: Recorder) -> Detections: ...


class MTCNN(Detector):
    """The cascade of P-Net, R-Net and O-Net (Zhang et al. 2016).

    Parameters
    ----------
    min_face_size : float
        Side of the smallest face to look for, in pixels of the image.
    pyramid_factor : float
        Between neighbouring levels of the image pyramid, above 0 and below 1.
    score_thresholds : (float, float, float)
        Of P-Net, R-Net and O-Net.
    crop_border : "clip" or "zero"
        What R-Net and O-Net see of a box that reaches outside the image.
    weights : str or path
        A shipped name or a file; see ``minidet weights list``.
    backend : "fast" or "readable"
        The compiled networks of :mod:`minidet.fast`, or the definitions in ``minidet.ops``. Both find the
        same faces. With ``NUMBA_DISABLE_JIT=1`` there are only the definitions.

    Attributes
    ----------
    pnet, rnet, onet : callables
        The networks: x (N, 3, H, W) float32, (RGB - 127.5) / 128, to scores, box_deltas and, for O-Net,
        landmark_deltas. See :meth:`minidet.models.mtcnn.PNet.predict` and its siblings.

    Raises
    ------
    InputError
        If an option is out of range or the weights do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> detector = MTCNN(min_face_size=40)
    >>> len(detector.detect(np.zeros((120, 160, 3), np.uint8)))
    0
    """

    def __init__(
        self,
        min_face_size: float = 20,
        pyramid_factor: float = 0.709,
        score_thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7),
        *,
        crop_border: Literal["clip", "zero"] = "clip",
        weights: str | os.PathLike[str] = "mtcnn",
        backend: Backend = "fast",
    ) -> None:
        self.settings = MTCNNSettings(
            min_face_size=min_face_size,
            pyramid_factor=pyramid_factor,
            score_thresholds=score_thresholds,
            crop_border=crop_border,
        )
        is_fast = _is_fast(backend)
        state = load_weights(weights, architecture="mtcnn")
        pnet = _loaded(PNet(landmark_head="pnet.landmark_head.weight" in state), state, "pnet.")
        rnet = _loaded(RNet(landmark_head="rnet.landmark_head.weight" in state), state, "rnet.")
        onet = _loaded(ONet(), state, "onet.")
        networks = [fast.compile(net) if is_fast else net.predict for net in (pnet, rnet, onet)]
        self.pnet, self.rnet, self.onet = networks
        self._find: Any = fast.detect_mtcnn if is_fast else detect_mtcnn
        self._set_recipe("mtcnn", weights, checksum(state), is_fast)

    def _detect(self, image: RGBImage, recorder: Recorder) -> Detections:
        return self._find(image, self.pnet, self.rnet, self.onet, self.settings, recorder)


class RetinaFace(Detector):
    """The one-stage detector (Deng et al. 2019), with the network that the weights are for.

    Parameters
    ----------
    score_threshold : float
        Only faces above it are reported.
    iou_threshold : float
        Boxes that overlap a better one by more are dropped.
    max_side : int or None
        Shrink images whose longer side is above this many pixels; boxes still come out in pixels of the image
        given.
    max_candidates, max_faces : int
        At most so many anchors go into the NMS and come out of it, best first.
    weights : str or path
        A shipped name or a file; see ``minidet weights list``. The file knows which network it is for.
    backend : "fast" or "readable"
        The compiled networks of :mod:`minidet.fast`, or the definitions in ``minidet.ops``. Both find the
        same faces. There is a compiled plan for MobileNet with three levels; all other networks run on the
        fast layers, one by one. With ``NUMBA_DISABLE_JIT=1`` there are only the definitions.

    Attributes
    ----------
    network : callable
        x (N, 3, H, W) float32, BGR minus the mean, to box_deltas (N, A, 4), scores (N, A, 2), face second,
        and landmark_deltas (N, A, 10). One without anchors: as
        :meth:`minidet.models.retinaface.AnchorFreeNet.predict`. One with a mesh branch: as
        :meth:`minidet.models.retinaface.DenseNet.predict_dense`.
    architecture : Architecture
        Which network it is.
    anchors : AnchorSettings
        Those that the network answers for; not read if it has none.
    topology : Topology or None
        Of the meshes, if the network has a branch for them. ``trace(image)["mesh"]["vertices"]`` then has
        (faces, V, 3) numbers, x, y and depth in pixels, a row for every row of its detections.

    Raises
    ------
    InputError
        If an option is out of range or the weights do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> detector = RetinaFace(score_threshold=0.8)
    >>> len(detector.detect(np.zeros((120, 160, 3), np.uint8)))
    0
    """

    def __init__(
        self,
        score_threshold: float = 0.5,
        iou_threshold: float = 0.4,
        max_side: int | None = None,
        *,
        max_candidates: int = 5000,
        max_faces: int = 750,
        weights: str | os.PathLike[str] = "retinaface_mobilenet025",
        backend: Backend = "fast",
    ) -> None:
        self.settings = RetinaFaceSettings(
            score_threshold=score_threshold,
            iou_threshold=iou_threshold,
            max_side=max_side,
            max_candidates=max_candidates,
            max_faces=max_faces,
        )
        is_fast = _is_fast(backend)
        name, state = read_weights(weights)
        if not name.startswith("retinaface_"):
            raise InputError(
                f"weights: {os.fspath(weights)!r} is for {name}; expected weights for retinaface"
            )
        self.architecture = architecture = Architecture.from_name(name)
        self.anchors = architecture.anchors
        sha256 = checksum(state)
        self.topology: Topology | None = None
        if architecture.vertices:
            state, self.topology = split_topology(state, architecture.vertices)
        self._model = _loaded(architecture.build(), state, "")
        self.network = self._model.predict_dense if architecture.vertices else self._model.predict
        self._find: Any = partial(detect_retinaface, anchors=self.anchors)
        if architecture.anchor_free:
            self._find = partial(detect_anchor_free, locations=architecture.locations)
        if is_fast and isinstance(self._model, RetinaFaceNet):
            self.network, self._find = fast.compile(self._model), fast.detect_retinaface
        elif is_fast:
            fast.accelerate(self._model)
        self._set_recipe("retinaface", weights, sha256, is_fast)

    def _detect(self, image: RGBImage, recorder: Recorder) -> Detections:
        return self._find(image, self.network, self.settings, recorder)

    def trace(self, source: ImageSource) -> Trace:
        """Detect, and keep what every step computed; ``features`` has the network's inner maps by name.

        They are computed a second time for it, since ``network`` returns only its outputs.
        """
        trace = super().trace(source)
        trace.features = self._model.features(trace["input"]["x"])
        return trace


def detect(source: ImageSource, model: Literal["retinaface", "mtcnn"] = "retinaface") -> Detections:
    """Find the faces of one image with default settings.

    Parameters
    ----------
    source : path, bytes, file object, PIL image or array
        Anything :func:`minidet.read_image` takes.
    model : "retinaface" or "mtcnn"

    Returns
    -------
    Detections
        Best score first; empty if there is no face.

    Raises
    ------
    InputError
        If the image cannot be read or the model is unknown.
    """
    return default_detector(model).detect(source)


@lru_cache(maxsize=2)
def default_detector(model: str) -> Detector:
    """Return the detector of that name with default settings; its weights are loaded once."""
    if model == "retinaface":
        return RetinaFace()
    if model == "mtcnn":
        return MTCNN()
    raise InputError(f"model={model!r}; expected 'retinaface' or 'mtcnn'")


def _is_one_image(sources: Any) -> bool:
    """Tell one image from a list of them: iterating over it would give its rows, bytes or lines."""
    if isinstance(sources, np.ndarray):
        return sources.ndim < 4
    if isinstance(sources, str | bytes | bytearray | memoryview | os.PathLike):
        return True
    return hasattr(sources, "read") or not isinstance(sources, Iterable)


def _is_fast(backend: str) -> bool:
    if backend not in ("fast", "readable"):
        raise InputError(f"backend={backend!r}; expected 'fast' or 'readable'")
    return backend == "fast" and fast.is_available()


def _loaded(network: M, state: Mapping[str, NDArray[Any]], prefix: str) -> M:
    """Fill ``network`` with the arrays of ``state`` under ``prefix``, ready for inference."""
    network.load_state_dict(
        {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
    )
    network.eval()
    return network
