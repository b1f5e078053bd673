"""Training of the mesh decoder, before any photograph: codes in, meshes out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minidet._check import check_whole
from minidet._typing import Float64Array
from minidet.errors import InputError
from minidet.losses import vertex_l1
from minidet.models.retinaface.mesh_decoder import MeshDecoder
from minidet.nn import initialise
from minidet.training.optim import Adam, Cosine

CodedMesh = Callable[[Float64Array], tuple[Float64Array, Float64Array]]
"""A code in, vertices (V, 3) and colours (V, 3) out, as :func:`minidet.datasets.meshes.coloured_head`."""


def train_mesh_decoder(
    decoder: MeshDecoder, mesh: CodedMesh, *, steps: int, seed: int, batch_size: int = 16, lr: float = 3e-3
) -> list[float]:
    r"""Teach a decoder the meshes of random codes.

    What is minimised is :func:`minidet.losses.vertex_l1` of the vertices plus that of the colours.

    Parameters
    ----------
    decoder : MeshDecoder
        Gets first weights and the mean mesh, and then learns.
    mesh : callable
        The mesh of a code.
    steps : int
    seed : int
        Batch number k is made of the seed and k.
    batch_size : int
    lr : float
        Of Adam, at first; it falls to 0 along a half cosine.

    Returns
    -------
    losses : list of float
        Of each step.

    Raises
    ------
    InputError
        If a mesh has another number of vertices than the decoder.

    Examples
    --------
    >>> from minidet.datasets.meshes import CODE_SIZE, coloured_head, head_topology
    >>> decoder = MeshDecoder(head_topology(), CODE_SIZE, channels=4)
    >>> losses = train_mesh_decoder(decoder, coloured_head, steps=5, seed=0, batch_size=2)
    >>> len(losses), bool(losses[-1] < losses[0])
    (5, True)
    """
    check_whole("train_mesh_decoder", "steps", steps, least=0)
    check_whole("train_mesh_decoder", "batch_size", batch_size, least=1)
    rng = np.random.default_rng([seed, 0])
    initialise(decoder, rng)
    decoder.mean.data = _meshes(decoder, mesh, np.zeros((1, decoder.code_size)))[0].astype(np.float32)
    optimizer, schedule = Adam(decoder.parameters(), lr=lr), Cosine(lr, steps)
    losses = []
    for step in range(steps):
        rng = np.random.default_rng([seed, 1, step])
        code = np.clip(rng.normal(0, 0.5, (batch_size, decoder.code_size)), -1, 1)
        wanted = _meshes(decoder, mesh, code).astype(np.float32)  # (N, V, 6)
        optimizer.lr = schedule(step)
        vertices, colours = decoder.forward(code.astype(np.float32))
        of_vertices, grad_vertices = vertex_l1(vertices, wanted[..., :3])
        of_colours, grad_colours = vertex_l1(colours, wanted[..., 3:])
        optimizer.zero_grad()
        decoder.backward(grad_vertices, grad_colours)
        optimizer.step()
        losses.append(of_vertices + of_colours)
    return losses


def _meshes(decoder: MeshDecoder, mesh: CodedMesh, codes: Float64Array) -> Float64Array:
    """Return vertices and colours of each code, (N, V, 6)."""
    meshes = np.array([np.concatenate(mesh(code), axis=1) for code in codes])
    if meshes.shape[1:] != (decoder.vertex_count, 6):
        raise InputError(
            f"train_mesh_decoder: a mesh has {meshes.shape[1]} vertices, the decoder {decoder.vertex_count}"
        )
    return meshes
