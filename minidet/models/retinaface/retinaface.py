"""RetinaFace: one look at the image, and an answer for every anchor (Deng et al. 2019, figure 1)."""

from __future__ import annotations

from minidet._typing import FloatArray
from minidet.boxes import REFERENCE_ANCHORS
from minidet.models.retinaface.context import Context
from minidet.models.retinaface.fpn import FPN
from minidet.models.retinaface.heads import Heads
from minidet.models.retinaface.mobilenet_v1 import MobileNetV1
from minidet.nn import Module
from minidet.ops import concat_backward, concat_forward, softmax_forward


class RetinaFaceNet(Module):
    """MobileNetV1 x 0.25, a pyramid of three levels and 64 channels, context modules, heads for each level.

    Two anchors stand at each position of the maps P3, P4, P5 (strides 8, 16, 32).

    Attributes
    ----------
    anchors : AnchorSettings
    """

    anchors = REFERENCE_ANCHORS

    def __init__(self) -> None:
        self.backbone = MobileNetV1()
        self.fpn = FPN(self.backbone.channels, 64)
        self.context3 = Context(64)
        self.context4 = Context(64)
        self.context5 = Context(64)
        self.heads3 = Heads(64, 2)
        self.heads4 = Heads(64, 2)
        self.heads5 = Heads(64, 2)

    def forward(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Compute the raw outputs for every anchor.

        Parameters
        ----------
        x : (N, 3, H, W) array
            BGR minus the mean (104, 117, 123).

        Returns
        -------
        box_deltas : (N, A, 4) array
            Shifts of the anchor's centre and log factors of its size; see :func:`minidet.boxes.decode_boxes`.
        logits : (N, A, 2) array
            No face, face.
        landmark_deltas : (N, A, 10) array
            x1, y1, .., x5, y5 from the anchor's centre; see :func:`minidet.boxes.decode_landmarks`.
        """
        maps = self.features(x)
        box_deltas3, logits3, landmark_deltas3 = self.heads3.forward(maps["context3"])
        box_deltas4, logits4, landmark_deltas4 = self.heads4.forward(maps["context4"])
        box_deltas5, logits5, landmark_deltas5 = self.heads5.forward(maps["context5"])
        # A = A3 + A4 + A5: the levels follow each other.
        box_deltas = concat_forward([box_deltas3, box_deltas4, box_deltas5], axis=1)  # (N, A, 4)
        logits = concat_forward([logits3, logits4, logits5], axis=1)  # (N, A, 2)
        landmark_deltas = concat_forward([landmark_deltas3, landmark_deltas4, landmark_deltas5], axis=1)
        self.keep_for_backward([level.shape[1] for level in (logits3, logits4, logits5)])
        return box_deltas, logits, landmark_deltas

    def backward(
        self, grad_box_deltas: FloatArray, grad_logits: FloatArray, grad_landmark_deltas: FloatArray
    ) -> FloatArray:
        """Go back through :meth:`forward` and :meth:`features`, line by line.

        Parameters
        ----------
        grad_box_deltas, grad_logits, grad_landmark_deltas : (N, A, 4 | 2 | 10) arrays
            Gradients of the loss with respect to the outputs.

        Returns
        -------
        grad_x : (N, 3, H, W) array
        """
        anchors = self.kept()  # A3, A4, A5
        grad_landmark_deltas3, grad_landmark_deltas4, grad_landmark_deltas5 = concat_backward(
            grad_landmark_deltas, anchors, axis=1
        )
        grad_logits3, grad_logits4, grad_logits5 = concat_backward(grad_logits, anchors, axis=1)
        grad_box_deltas3, grad_box_deltas4, grad_box_deltas5 = concat_backward(
            grad_box_deltas, anchors, axis=1
        )
        grad_context5 = self.heads5.backward(grad_box_deltas5, grad_logits5, grad_landmark_deltas5)
        grad_context4 = self.heads4.backward(grad_box_deltas4, grad_logits4, grad_landmark_deltas4)
        grad_context3 = self.heads3.backward(grad_box_deltas3, grad_logits3, grad_landmark_deltas3)

        grad_p5 = self.context5.backward(grad_context5)
        grad_p4 = self.context4.backward(grad_context4)
        grad_p3 = self.context3.backward(grad_context3)
        grad_c3, grad_c4, grad_c5 = self.fpn.backward(grad_p3, grad_p4, grad_p5)
        return self.backbone.backward(grad_c3, grad_c4, grad_c5)

    def features(self, x: FloatArray) -> dict[str, FloatArray]:
        """Compute the maps on the way, by name: c3..c5 (backbone), p3..p5 (pyramid), context3..context5.

        Parameters
        ----------
        x : (N, 3, H, W) array, float32 or float64
            As in :meth:`forward`.

        Returns
        -------
        dict of name to (N, C, h, w) array
            Strides 8, 16 and 32 for the names in 3, 4 and 5.
        """
        c3, c4, c5 = self.backbone.forward(x)  # (N, 64 | 128 | 256, H / 8 | 16 | 32, ...), rounded up
        p3, p4, p5 = self.fpn.forward(c3, c4, c5)  # (N, 64, ...) each
        return {
            **{"c3": c3, "c4": c4, "c5": c5, "p3": p3, "p4": p4, "p5": p5},
            "context3": self.context3.forward(p3),
            "context4": self.context4.forward(p4),
            "context5": self.context5.forward(p5),
        }

    def predict(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Compute box_deltas (N, A, 4), scores (N, A, 2) that sum to one, and landmark_deltas (N, A, 10).

        Parameters
        ----------
        x : (N, 3, H, W) array, float32 or float64
            As in :meth:`forward`.

        Returns
        -------
        box_deltas : (N, A, 4) array
        scores : (N, A, 2) array
            No face, face.
        landmark_deltas : (N, A, 10) array
        """
        box_deltas, logits, landmark_deltas = self.forward(x)
        return box_deltas, softmax_forward(logits, axis=2), landmark_deltas
