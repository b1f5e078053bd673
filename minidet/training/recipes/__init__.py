"""Recipes: all that decides how a network is trained, in frozen dataclasses.

``PNET``, ``RNET``, ``ONET``, ``RETINAFACE`` and ``RETINAFACE_FINE_TUNING`` are small enough for a CPU; those
with ``PAPER`` or ``REFERENCE`` in their names have the published sizes.
"""

from minidet.training.recipes.mtcnn import (
    ONET,
    ONET_PAPER,
    PNET,
    PNET_PAPER,
    RNET,
    RNET_PAPER,
    MTCNNRecipe,
)
from minidet.training.recipes.optimisation import Length, Optimisation
from minidet.training.recipes.retinaface import (
    RETINAFACE,
    RETINAFACE_FINE_TUNING,
    RETINAFACE_PAPER,
    RETINAFACE_REFERENCE,
    RetinaFaceRecipe,
)

__all__ = [
    "ONET",
    "ONET_PAPER",
    "PNET",
    "PNET_PAPER",
    "RETINAFACE",
    "RETINAFACE_FINE_TUNING",
    "RETINAFACE_PAPER",
    "RETINAFACE_REFERENCE",
    "RNET",
    "RNET_PAPER",
    "Length",
    "MTCNNRecipe",
    "Optimisation",
    "RetinaFaceRecipe",
]
