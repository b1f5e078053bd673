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
    """Suppress as :func:`minidet.boxes.nms` does, with boxes one pixel larger and ties the other way round.

    Both references count x2 and y2 as part of the box, which is then x2 - x1 + 1 wide, and of two equal
    scores they take the one listed last.

    Examples
    --------
    As continuous boxes these two would share 1 of 3; as inclusive ones they share 2 of 4:

    >>> boxes = np.array([[0.0, 0.0, 2.0, 0.0], [1.0, 0.0, 3.0, 0.0]])
    >>> inclusive_nms(boxes, np.array([0.9, 0.9]), 0.4)
    array([1])
    """
    enlarged = boxes + np.array([0, 0, 1, 1], boxes.dtype)
    kept = nms(enlarged[::-1], scores[::-1], iou_threshold, overlap=overlap)
    return len(boxes) - 1 - kept
