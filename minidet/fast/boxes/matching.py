"""Matching anchors to faces, block of anchors by block: most blocks are nowhere near most faces."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._jit import jit_fast
from minidet._typing import FloatArray, IntArray
from minidet.boxes import REFERENCE_THRESHOLDS, Match, MatchThresholds
from minidet.boxes._check import check_matching
from minidet.boxes.matching import decide

BLOCK = 96
"""Anchors looked at together: neighbours on the grid, so they cover a small part of the image. A multiple of
the two or three sizes per position and of all vector lengths."""


def match_anchors(
    anchors: FloatArray, boxes: FloatArray, thresholds: MatchThresholds = REFERENCE_THRESHOLDS
) -> Match:
    r"""Decide which anchors are positive, and for which face.

    The twin of :func:`minidet.boxes.match_anchors`: the same :class:`~minidet.boxes.Match` to the last bit,
    ties included, for all anchors and boxes that function takes. It is fast where neighbours in the list of
    anchors are neighbours in the image, as :func:`minidet.boxes.generate_anchors` lists them: a block of
    anchors whose hull does not meet a face has the IoU 0 with it, and is passed over.

    Parameters
    ----------
    anchors : (A, 4) array, x1 y1 x2 y2, pixels
    boxes : (G, 4) array of the same type, x1 y1 x2 y2, pixels
    thresholds : MatchThresholds

    Returns
    -------
    Match

    Raises
    ------
    InputError
        If a shape is not (any number, 4), the types differ, or an anchor or a box is not finite or has no
        area.

    Examples
    --------
    >>> anchors = np.array([[0.0, 0.0, 10.0, 10.0], [10.0, 0.0, 20.0, 10.0], [20.0, 0.0, 30.0, 10.0]])
    >>> boxes = np.array([[1.0, 0.0, 11.0, 10.0], [12.0, 2.0, 17.0, 7.0]])
    >>> match_anchors(anchors, boxes).face
    array([ 0,  1, -1])
    """
    check_matching(anchors, boxes)
    A, G = len(anchors), len(boxes)
    face = np.full(A, -1, np.intp)
    best_iou = np.zeros(A, anchors.dtype)
    if A == 0 or G == 0:
        return Match(face, np.zeros(A, np.bool_), np.ones(A, np.bool_), best_iou)
    best_anchor = np.zeros(G, np.intp)
    best_anchor_iou = np.zeros(G, anchors.dtype)
    # Integers as wide as the floats: one vector register then holds as many of the one as of the other.
    bits = np.int32 if anchors.dtype == np.float32 else np.int64
    overlap = np.empty(BLOCK, anchors.dtype)
    block_face = np.empty(BLOCK, bits)
    _match_kernel(
        anchors, boxes, overlap, overlap.view(bits), block_face, face, best_iou, best_anchor, best_anchor_iou
    )
    return decide(face, best_iou, best_anchor, best_anchor_iou, thresholds)


@jit_fast
def _match_kernel(
    anchors: FloatArray,
    boxes: FloatArray,
    overlap: FloatArray,
    overlap_bits: NDArray[Any],
    block_face: NDArray[Any],
    face: IntArray,
    best_iou: FloatArray,
    best_anchor: IntArray,
    best_anchor_iou: FloatArray,
) -> None:
    A, G = len(anchors), len(boxes)
    zero = anchors.dtype.type(0)
    block = np.empty((5, len(overlap)), anchors.dtype)
    x1, y1, x2, y2, area = block[0], block[1], block[2], block[3], block[4]
    for start in range(0, A, len(overlap)):
        n = min(len(overlap), A - start)
        left, top, right, bottom = anchors[start, 0], anchors[start, 1], anchors[start, 2], anchors[start, 3]
        for k in range(n):
            a = start + k
            x1[k], y1[k], x2[k], y2[k] = anchors[a, 0], anchors[a, 1], anchors[a, 2], anchors[a, 3]
            area[k] = (x2[k] - x1[k]) * (y2[k] - y1[k])
            block_face[k] = -1
            left, top = min(left, x1[k]), min(top, y1[k])
            right, bottom = max(right, x2[k]), max(bottom, y2[k])
        block_iou = best_iou[start : start + n]

        for g in range(G):
            gx1, gy1, gx2, gy2 = boxes[g, 0], boxes[g, 1], boxes[g, 2], boxes[g, 3]
            if gx1 >= right or gx2 <= left or gy1 >= bottom or gy2 <= top:
                continue
            face_area = (gx2 - gx1) * (gy2 - gy1)
            largest = overlap_bits.dtype.type(0)
            for k in range(n):
                width = (x2[k] if x2[k] < gx2 else gx2) - (x1[k] if x1[k] > gx1 else gx1)
                height = (y2[k] if y2[k] < gy2 else gy2) - (y1[k] if y1[k] > gy1 else gy1)
                intersection = (width if width > zero else zero) * (height if height > zero else zero)
                union = area[k] + face_area - intersection
                iou = intersection / union
                overlap[k] = iou if union > zero else zero
            for k in range(n):
                larger = overlap[k] > block_iou[k]  # not >=: of equal faces the first stays
                block_iou[k] = overlap[k] if larger else block_iou[k]
                block_face[k] = g if larger else block_face[k]
            # Floats from 0 up are ordered as their bits are, and a maximum of integers is vector code.
            for k in range(n):
                largest = max(largest, overlap_bits[k])
            for k in range(n):
                if overlap_bits[k] == largest:
                    if overlap[k] > best_anchor_iou[g]:
                        best_anchor_iou[g] = overlap[k]
                        best_anchor[g] = start + k
                    break
        for k in range(n):
            face[start + k] = block_face[k]
