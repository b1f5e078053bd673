"""The losses: how wrong a prediction is, and the direction in which it gets less so.

One kind of loss per file. Each takes arrays, float32 or float64, and returns ``(value, gradient)``, where the
gradient is that of the value with respect to the first argument. ``reduction`` says which value:

========  =================================  =========================================================
"none"    every single loss, an array        of each single loss with respect to what it is made of
"sum"     their sum, a Python float          of the sum
"mean"    their mean, a Python float         of the mean, which is that of the sum over their number
========  =================================  =========================================================

There is one loss per sample for classification, ``iou_loss``, meshes and pictures, and one per element for
``binary_cross_entropy``, ``smooth_l1`` and ``squared_error``, as in PyTorch. No losses at all have the sum
0.0 and no mean, which is an ``InputError``.
"""

from minidet.losses.binary_cross_entropy import binary_cross_entropy
from minidet.losses.focal import focal_loss
from minidet.losses.iou_loss import iou_loss
from minidet.losses.mesh import edge_length_l1, vertex_l1
from minidet.losses.pixel import pixel_l1
from minidet.losses.smooth_l1 import smooth_l1
from minidet.losses.softmax_cross_entropy import softmax_cross_entropy
from minidet.losses.squared_error import squared_error

__all__ = [
    "binary_cross_entropy",
    "edge_length_l1",
    "focal_loss",
    "iou_loss",
    "pixel_l1",
    "smooth_l1",
    "softmax_cross_entropy",
    "squared_error",
    "vertex_l1",
]
