r"""Intersection over union: how well two boxes agree, from 0 (apart) to 1 (the same)."""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray
from minidet.boxes._check import check_rows


def iou(a: FloatArray, b: FloatArray) -> FloatArray:
    r"""Compare every box of ``a`` with every box of ``b``.

    .. math:: \mathrm{IoU} = \frac{|A \cap B|}{|A \cup B|} = \frac{|A \cap B|}{|A| + |B| - |A \cap B|}

    Parameters
    ----------
    a : (A, 4) array, x1 y1 x2 y2
    b : (B, 4) array, x1 y1 x2 y2

    Returns
    -------
    (A, B) array
        Two boxes without any area have IoU 0.

    Raises
    ------
    InputError
        If a shape is not (any number, 4).

    Examples
    --------
    Two 2x2 boxes that share one pixel of 4 + 4 - 1 = 7:

    >>> iou(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 1.0, 3.0, 3.0]])).round(4)
    array([[0.1429]])
    """
    check_rows("iou", "a", a, 4)
    check_rows("iou", "b", b, 4)
    shared = intersection(a, b)  # (A, B)
    union = area(a)[:, None] + area(b) - shared  # (A, B)
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def intersection(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the area (A, B) that every box of ``a`` shares with every box of ``b``."""
    top_left = np.maximum(a[:, None, :2], b[:, :2])  # (A, B, 2)
    bottom_right = np.minimum(a[:, None, 2:], b[:, 2:])  # (A, B, 2)
    sides = np.maximum(bottom_right - top_left, 0)  # (A, B, 2), zero where the boxes are apart
    return sides[..., 0] * sides[..., 1]


def area(boxes: FloatArray) -> FloatArray:
    """Return width times height of (K, 4) boxes as (K,)."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
