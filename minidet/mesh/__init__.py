"""Faces as meshes: what is done to vertices, each step with its way back.

In the order in which a code becomes a picture (Deng et al. 2019, section 3.2)::

    code ── chebyshev ──▶ vertices ── camera.place ──▶ points ── camera.project ──▶ on the picture ─┐
              (layers of) colours ─────────── light.shade ◀── normals ◀── points                   │ rasterize
                                                  └──────────▶ lit colours ───── interpolate ◀─────┘
                                                                                    └──▶ pixels

``render`` does all but the first. Head coordinates are those of ``minidet.datasets.synthetic``: x to the
right, y down, z away from the viewer.
"""

from minidet.mesh.camera import place_backward, place_forward, project_backward, project_forward
from minidet.mesh.chebyshev import chebyshev_backward, chebyshev_forward
from minidet.mesh.interpolate import interpolate_backward, interpolate_forward
from minidet.mesh.light import shade_backward, shade_forward
from minidet.mesh.normals import normals_backward, normals_forward
from minidet.mesh.rasterize import rasterize_backward, rasterize_forward
from minidet.mesh.render import render_backward, render_forward
from minidet.mesh.topology import SparseMatrix, Topology

__all__ = [
    "SparseMatrix",
    "Topology",
    "chebyshev_backward",
    "chebyshev_forward",
    "interpolate_backward",
    "interpolate_forward",
    "normals_backward",
    "normals_forward",
    "place_backward",
    "place_forward",
    "project_backward",
    "project_forward",
    "rasterize_backward",
    "rasterize_forward",
    "render_backward",
    "render_forward",
    "shade_backward",
    "shade_forward",
]
