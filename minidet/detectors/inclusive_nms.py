"""Non-maximum suppression as both reference implementations compute it."""

from __future__ import annotations

from typing import Literal

import numpy as np

from minidet._typing import FloatArray, IntArray
from minidet.boxes import nms


# Compat: facenet-pytorch's last NMS and biubug6/Pytorch_Retinaface; docs/compat.md "Inclusive NMS".
def inclusive_nms(
    boxes: FloatArray, scores: FloatArray, iou_threshold: float, *, overlap: Literal["union", "min"] = "union"
) -> IntArray:
    """Suppress as :func:`minidet.boxes.nms` does, but with boxes one pixel larger and ties in another order.

    Both references count x2 and y2 as part of the box, which is then x2 - x1 + 1 wide. Both sort with NumPy's
    default sort, which leaves equal scores in no particular order. Scores are equal more often than one would
    think: two boxes that differ by less than a pixel give O-Net the same crop.

    Examples
    --------
    As continuous boxes these two share 1 of 3; as inclusive ones they share 4 of 8:

    >>> boxes = np.array([[0.0, 0.0, 2.0, 1.0], [1.0, 0.0, 3.0, 1.0]])
    >>> inclusive_nms(boxes, np.array([0.8, 0.9]), 0.4)
    array([1])
    """
    enlarged = boxes + np.array([0, 0, 1, 1], boxes.dtype)
    best_first = np.argsort(scores)[::-1]  # the references' call, so that ties fall as they do there
    return best_first[nms(enlarged[best_first], scores[best_first], iou_threshold, overlap=overlap)]
