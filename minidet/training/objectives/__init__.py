"""What each network minimises: the losses of its tasks, on the samples that count, in one number."""

from minidet.training.objectives.anchor_free import (
    FCOS,
    AnchorFreeLossSettings,
    AnchorFreeTargets,
    anchor_free_objective,
    anchor_free_targets,
)
from minidet.training.objectives.cascade import (
    CASCADE,
    CascadeLossSettings,
    cascade_objective,
    cascade_targets,
)
from minidet.training.objectives.dense import (
    anchor_crops,
    mesh_objective,
    pixel_objective,
    with_meshes,
)
from minidet.training.objectives.mtcnn import (
    ALPHA_ONET,
    ALPHA_PNET,
    ALPHA_RNET,
    Alpha,
    MTCNNTargets,
    SampleType,
    mtcnn_objective,
)
from minidet.training.objectives.objective import Objective
from minidet.training.objectives.retinaface import (
    PAPER,
    REFERENCE,
    RetinaFaceLossSettings,
    retinaface_objective,
)
from minidet.training.objectives.retinaface_targets import Faces, RetinaFaceTargets, retinaface_targets

__all__ = [
    "ALPHA_ONET",
    "ALPHA_PNET",
    "ALPHA_RNET",
    "CASCADE",
    "FCOS",
    "PAPER",
    "REFERENCE",
    "Alpha",
    "AnchorFreeLossSettings",
    "AnchorFreeTargets",
    "CascadeLossSettings",
    "Faces",
    "MTCNNTargets",
    "Objective",
    "RetinaFaceLossSettings",
    "RetinaFaceTargets",
    "SampleType",
    "anchor_crops",
    "anchor_free_objective",
    "anchor_free_targets",
    "cascade_objective",
    "cascade_targets",
    "mesh_objective",
    "mtcnn_objective",
    "pixel_objective",
    "retinaface_objective",
    "retinaface_targets",
    "with_meshes",
]
