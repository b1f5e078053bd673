"""A network in training, measured as the detector it is going to be."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidet import fast
from minidet._typing import Float32Array, RGBImage
from minidet.boxes.coding import VARIANCES
from minidet.datasets import Dataset
from minidet.detections import Detections
from minidet.detectors import (
    MTCNNSettings,
    RetinaFaceSettings,
    detect_anchor_free,
    detect_mtcnn,
    detect_retinaface,
)
from minidet.evaluation import Evaluation, FaceDetector, measure, predict
from minidet.image import mtcnn_input
from minidet.models.retinaface import AnchorFreeNet, RetinaFaceNet
from minidet.models.retinaface.cascade import MOST_SHIFT, limit_boxes
from minidet.nn import Module
from minidet.training.objectives import SampleType
from minidet.training.sampling import Proposer, SampleStore, stage_recall

SCORE = 0.5
"""RetinaFace's recall is that of faces scored from here up, as the detector reports them by default."""

CERTAIN = 0.7
"""The same of MTCNN."""

DOUBTFUL = 0.02
"""A score for the whole curve of precision against recall."""

MOST_CROPS, CROPS_AT_ONCE = 20_000, 512
"""Of each type that are looked at in a validation; and together."""


class NetworkDetector:
    """The detector that networks in training make as they stand.

    Parameters
    ----------
    networks : networks
        In inference mode, in the order in which ``detect`` takes them.
    settings : MTCNNSettings or RetinaFaceSettings
    detect, fast_detect : callables
        Image, networks as callables and settings in, faces out: the definition and its fast twin.
    """

    def __init__(self, *networks: Any, settings: Any, detect: Any, fast_detect: Any) -> None:
        is_fast = fast.is_available()
        self.networks = [fast.compile(network) if is_fast else network.predict for network in networks]
        self.settings = settings
        self._find: Any = fast_detect if is_fast else detect

    def detect(self, source: RGBImage, /) -> Detections:
        """Find the faces of one image.

        Parameters
        ----------
        source : (H, W, 3) uint8 array, RGB

        Returns
        -------
        Detections
        """
        found: Detections = self._find(source, *self.networks, self.settings)
        return found


class LayerDetector:
    """The detector that a RetinaFace without a compiled plan makes, with the layers that it has.

    Parameters
    ----------
    network : Module
        In inference mode, with ``predict`` and ``anchors``.
    settings : RetinaFaceSettings
    """

    def __init__(self, network: Any, settings: RetinaFaceSettings) -> None:
        self.network = network
        self.settings = settings

    def detect(self, source: RGBImage, /) -> Detections:
        """Find the faces of one image.

        Parameters
        ----------
        source : (H, W, 3) uint8 array, RGB
        """
        return detect_retinaface(source, self._predict, self.settings, anchors=self.network.anchors)

    def _predict(self, x: Float32Array) -> tuple[Float32Array, Float32Array, Float32Array]:
        """Predict, within bounds: after its first steps a deep network says more than a box can hold."""
        with np.errstate(over="ignore", invalid="ignore"):
            box_deltas, scores, landmark_deltas = self.network.predict(x)
        farthest = MOST_SHIFT / VARIANCES[0]
        points = np.nan_to_num(landmark_deltas).clip(-farthest, farthest)
        return limit_boxes(np.nan_to_num(box_deltas)), scores, points


class AnchorFreeDetector:
    """The detector that a RetinaFace without anchors makes, with the layers that it has.

    Parameters
    ----------
    network : Module
        In inference mode, with ``predict`` and ``locations``.
    settings : RetinaFaceSettings
    """

    def __init__(self, network: AnchorFreeNet, settings: RetinaFaceSettings) -> None:
        self.network = network
        self.settings = settings

    def detect(self, source: RGBImage, /) -> Detections:
        """Find the faces of one image.

        Parameters
        ----------
        source : (H, W, 3) uint8 array, RGB

        Returns
        -------
        Detections
        """
        network = self.network
        return detect_anchor_free(source, network.predict, self.settings, locations=network.locations)


def measure_retinaface(network: Module, dataset: Dataset) -> dict[str, float]:
    """Return average precision, recall at score 0.5 and landmark error of RetinaFace on ``dataset``.

    Parameters
    ----------
    network : Module
        Any RetinaFace.
    dataset : Dataset

    Returns
    -------
    dict of str to float
    """
    settings = RetinaFaceSettings(score_threshold=DOUBTFUL)
    detector: FaceDetector
    if isinstance(network, RetinaFaceNet):
        detector = NetworkDetector(
            network, settings=settings, detect=detect_retinaface, fast_detect=fast.detect_retinaface
        )
    elif isinstance(network, AnchorFreeNet):
        detector = AnchorFreeDetector(network, settings)
    else:
        detector = LayerDetector(network, settings)
    return figures_of(evaluate(detector, dataset), at=SCORE)


def measure_stage(
    network: Module, crops: SampleStore, propose: Proposer, dataset: Dataset, *, min_face_size: float = 20
) -> dict[str, float]:
    """Return how P-Net or R-Net does on crops, how many faces it lets through, and how many boxes besides.

    Parameters
    ----------
    network : Module
        A PNet or an RNet.
    crops : SampleStore
        What the network is asked about.
    propose : Proposer
        Finds boxes with the network in it.
    dataset : Dataset
        Where the boxes have to be found.
    min_face_size : float
        Pixels; smaller faces do not count.

    Returns
    -------
    dict of str to float
    """
    recall = stage_recall(dataset, propose, min_face_size=min_face_size, progress=False)
    return {
        **measure_crops(network, crops),
        "recall": recall.recall(0.5).value,
        "boxes_per_photograph": float(recall.boxes.mean()),
    }


def measure_onet(
    pnet: Module,
    rnet: Module,
    onet: Module,
    crops: SampleStore,
    dataset: Dataset,
    *,
    min_face_size: float = 20,
) -> dict[str, float]:
    """Return how O-Net does on crops, and how the whole cascade does on photographs.

    Parameters
    ----------
    pnet, rnet, onet : Module
        The cascade.
    crops : SampleStore
        What O-Net is asked about.
    dataset : Dataset
        Where the faces have to be found.
    min_face_size : float
        Of the cascade, pixels.

    Returns
    -------
    dict of str to float
    """
    detector = NetworkDetector(
        *(pnet, rnet, onet),
        settings=MTCNNSettings(min_face_size=min_face_size, score_thresholds=(0.6, 0.7, DOUBTFUL)),
        detect=detect_mtcnn,
        fast_detect=fast.detect_mtcnn,
    )
    evaluation = evaluate(detector, dataset)
    return {**measure_crops(onet, crops), **figures_of(evaluation, at=CERTAIN)}


def measure_crops(network: Any, crops: SampleStore) -> dict[str, float]:
    """Return the share of positive and negative crops that a network of MTCNN tells apart.

    Their share in Table I of Zhang et al. 2016 is not stated; here negatives count three times as much as
    positives, as in a batch, however many there are of each.

    Parameters
    ----------
    network : PNet, RNet or ONet
    crops : SampleStore

    Returns
    -------
    dict of str to float
    """
    rights = {}
    for kind in (SampleType.NEGATIVE, SampleType.POSITIVE):
        rows = crops.rows_of(kind)[:MOST_CROPS]
        if not len(rows):
            return {}
        x = mtcnn_input(crops.take(rows).crops)
        parts = [network.forward(x[i : i + CROPS_AT_ONCE])[0] for i in range(0, len(x), CROPS_AT_ONCE)]
        logits = np.concatenate(parts).reshape(-1, 2)
        rights[kind] = float((logits.argmax(axis=1) == (kind == SampleType.POSITIVE)).mean())
    return {"accuracy": (3 * rights[SampleType.NEGATIVE] + rights[SampleType.POSITIVE]) / 4}


def evaluate(detector: FaceDetector, dataset: Dataset) -> Evaluation:
    """Run a detector over a data set and measure what it finds.

    Parameters
    ----------
    detector : FaceDetector
    dataset : Dataset

    Returns
    -------
    Evaluation
    """
    return measure(predict(dataset, detector, progress=False), dataset)


def figures_of(evaluation: Evaluation, at: float) -> dict[str, float]:
    """Return the figures of a validation; what does not exist, as an error of no landmarks, is left out.

    Parameters
    ----------
    evaluation : Evaluation
    at : float
        The score from which on a detection counts for the recall.

    Returns
    -------
    dict of str to float
    """
    figures = {"recall": evaluation.curve.at(at)[1]}
    if evaluation.exhaustive:
        figures["average_precision"] = evaluation.curve.value
    errors = evaluation.landmarks.inter_ocular
    if len(errors) and np.isfinite(errors).all():
        figures["landmark_error"] = float(np.mean(errors))
    return {name: float(value) for name, value in figures.items()}
