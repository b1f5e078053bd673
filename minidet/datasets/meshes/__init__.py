"""Faces drawn from a code: the mesh, its colours, the camera and the light are all known.

``head`` makes a coloured mesh of 18 numbers, ``dataset`` draws one on each picture by ``minidet.mesh``. The
faces of ``minidet.datasets.synthetic`` have hair, a texture and a body; these have nothing but the mesh, so
that a network which finds the right numbers can draw them exactly.
"""

from minidet.datasets.meshes.dataset import (
    MeshFace,
    MeshFaceAnnotation,
    MeshFaceDataset,
    MeshFaceSettings,
    mesh_face_dataset,
)
from minidet.datasets.meshes.head import CODE_SIZE, coloured_head, head_topology

__all__ = [
    "CODE_SIZE",
    "MeshFace",
    "MeshFaceAnnotation",
    "MeshFaceDataset",
    "MeshFaceSettings",
    "coloured_head",
    "head_topology",
    "mesh_face_dataset",
]
