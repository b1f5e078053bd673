"""A file of weights for a network with meshes, of a few vertices and with random numbers."""

from pathlib import Path

import numpy as np

from minidet.mesh import Topology
from minidet.models.retinaface import Architecture
from minidet.nn import initialise
from minidet.weights import save_npz, with_topology
from tests.mesh.scenes import grid

MESHES = Architecture(shared_heads=True, vertices=20)


def save_mesh_weights(path: Path) -> Topology:
    """Write the file, and return the topology in it."""
    topology, _ = grid(4, 5)
    network = MESHES.build()
    initialise(network, np.random.default_rng(0))
    network.parameters()[MESHES.stem].data *= 0.01  # pixels become numbers around one
    save_npz(path, with_topology(network.state_dict(), topology), architecture=MESHES.name)
    return topology
