"""minidet itself: the fast backend, and the definitions. ``settings["backend"]`` says which."""

from __future__ import annotations

from typing import Any

import numpy as np

import minidet
from minidet import boxes, fast
from minidet._jit import compilation
from minidet.boxes import PAPER_THRESHOLDS
from minidet.models.mtcnn import ONet, PNet
from minidet.models.retinaface import RetinaFaceNet
from minidet.training.objectives import (
    ALPHA_ONET,
    ALPHA_PNET,
    MTCNNTargets,
    RetinaFaceTargets,
    mtcnn_objective,
    retinaface_objective,
)
from minidet.training.optim import SGD

Arrays = dict[str, Any]
Settings = dict[str, Any]


def versions() -> dict[str, str]:
    """Name what is measured."""
    import numba

    return {"minidet": minidet.__version__, "numba": numba.__version__, "numpy": np.__version__}


def compiled() -> bool:
    """Tell whether kernels had to be compiled, for want of machine code on disk."""
    return compilation.kernels > 0


def retinaface_network(arrays: Arrays, settings: Settings) -> Any:
    """The network alone, on a tensor."""
    minidet.set_num_threads(settings["threads"])
    network = minidet.RetinaFace(backend=settings["backend"]).network
    x = arrays["x"]
    return [lambda: network(x)], lambda result: dict(
        zip(("box_deltas", "scores", "landmark_deltas"), result, strict=True)
    )


def retinaface_detect(arrays: Arrays, settings: Settings) -> Any:
    """From pixels to faces."""
    return _detect(
        minidet.RetinaFace(settings["score_threshold"], backend=settings["backend"]), arrays, settings
    )


def mtcnn_detect(arrays: Arrays, settings: Settings) -> Any:
    """From pixels to faces."""
    return _detect(minidet.MTCNN(settings["min_face_size"], backend=settings["backend"]), arrays, settings)


def _detect(detector: Any, arrays: Arrays, settings: Settings) -> Any:
    minidet.set_num_threads(settings["threads"])
    images = [arrays[f"image{number}"] for number in range(len(arrays))]
    runs = [lambda image=image: detector.detect(image) for image in images]
    return runs, lambda faces: {"boxes": faces.boxes, "scores": faces.scores, "landmarks": faces.landmarks}


def nms(arrays: Arrays, settings: Settings) -> Any:
    """Suppression alone."""
    function = fast.boxes.nms if settings["backend"] == "fast" else boxes.nms
    given = arrays["boxes"], arrays["scores"], settings["iou_threshold"]
    return [lambda: function(*given)], lambda kept: {"kept": kept}


def matching(arrays: Arrays, settings: Settings) -> Any:
    """Anchors to faces."""
    function = fast.boxes.match_anchors if settings["backend"] == "fast" else boxes.match_anchors
    given = arrays["anchors"], arrays["boxes"], PAPER_THRESHOLDS
    return [lambda: function(*given)], lambda match: match._asdict()


def train_pnet(arrays: Arrays, settings: Settings) -> Any:
    """One step of P-Net."""
    return _train_mtcnn(PNet(), ALPHA_PNET, arrays, settings)


def train_onet(arrays: Arrays, settings: Settings) -> Any:
    """One step of O-Net."""
    return _train_mtcnn(ONet(), ALPHA_ONET, arrays, settings)


def _train_mtcnn(network: Any, alpha: Any, arrays: Arrays, settings: Settings) -> Any:
    targets = MTCNNTargets(*(arrays[name] for name in ("sample_types", "box_deltas", "landmark_deltas")))

    def objective(logits: Any, box_deltas: Any, landmark_deltas: Any = None) -> Any:
        return mtcnn_objective(logits, box_deltas, landmark_deltas, targets, alpha=alpha)

    return _train(network, objective, arrays, settings)


def train_retinaface(arrays: Arrays, settings: Settings) -> Any:
    """One step of RetinaFace; the targets are given."""
    names = ("positive", "negative", "box_deltas", "landmark_deltas", "has_landmarks")
    targets = RetinaFaceTargets(*(arrays[name] for name in names))

    def objective(box_deltas: Any, logits: Any, landmark_deltas: Any) -> Any:
        return retinaface_objective(box_deltas, logits, landmark_deltas, targets)

    return _train(RetinaFaceNet(), objective, arrays, settings)


def _train(network: Any, objective: Any, arrays: Arrays, settings: Settings) -> Any:
    minidet.set_num_threads(settings["threads"])
    network.load_state_dict(
        {name.removeprefix("state."): a for name, a in arrays.items() if name.startswith("state.")}
    )
    network.train()
    if settings["backend"] == "fast":
        network = fast.accelerate(network)
    optimizer = SGD(network.parameters(), **settings["sgd"])
    x = arrays["x"]

    def step() -> float:
        optimizer.zero_grad()
        priced = objective(*(output for output in network.forward(x) if output is not None))
        network.backward(*priced.gradients)
        optimizer.step()
        return float(priced.value)

    def read(loss: float) -> dict[str, Any]:
        gradients = {f"grad {name}": p.grad for name, p in network.parameters().items()}
        return {"loss": np.array(loss), **gradients}

    return [step], read


CASES = {
    "retinaface-network": retinaface_network,
    "retinaface-detect": retinaface_detect,
    "mtcnn-detect": mtcnn_detect,
    "train-pnet": train_pnet,
    "train-onet": train_onet,
    "train-retinaface": train_retinaface,
    "nms": nms,
    "matching": matching,
}
