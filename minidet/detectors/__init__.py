"""Image in, faces out: each detector is one function of numbered steps, given its networks as callables."""

from minidet.detectors.anchor_free import detect_anchor_free
from minidet.detectors.mtcnn import MTCNNSettings, detect_mtcnn
from minidet.detectors.retinaface import RetinaFaceSettings, detect_retinaface

__all__ = ["MTCNNSettings", "RetinaFaceSettings", "detect_anchor_free", "detect_mtcnn", "detect_retinaface"]
