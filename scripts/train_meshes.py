"""Train the dense branches on drawn faces; print what docs/mesh.md reports, draw its pictures.

python scripts/train_meshes.py [WEIGHTS.npz]

Given a file, the network with the mesh branch is written to it, for ``minidet explain --weights``.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

import minidet
from minidet.boxes import MatchThresholds
from minidet.datasets.meshes import (
    CODE_SIZE,
    MeshFaceSettings,
    coloured_head,
    head_topology,
    mesh_face_dataset,
)
from minidet.image import draw_mesh
from minidet.models.retinaface import Architecture, MeshDecoder, PixelBranch
from minidet.training.fit_pixels import fit_pixels
from minidet.training.mesh_face_batches import MeshFaceBatches
from minidet.training.train_mesh_branch import decoded_meshes, new_mesh_net, train_mesh_branch, vertex_error
from minidet.training.train_mesh_decoder import train_mesh_decoder
from minidet.weights import save_npz, with_topology

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
PICTURES = 24
SHOWN = 6


def main() -> None:
    """Do one after the other."""
    minidet.set_num_threads(1)
    mesh_branch(weights=Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    pixel_branch()


def mesh_branch(steps: int = 900, weights: Path | None = None) -> None:
    """Train a network with a mesh branch, draw what it finds before and after, and save it if asked to."""
    started = time.process_time()
    batches = MeshFaceBatches(mesh_face_dataset(PICTURES), batch_size=8, seed=0)
    held_out = MeshFaceBatches(mesh_face_dataset(32, seed=1), batch_size=32, seed=0)
    every = MeshFaceBatches(mesh_face_dataset(PICTURES), batch_size=PICTURES, seed=0)
    network = new_mesh_net(head_topology().vertex_count, seed=0)
    before, rows = vertex_error(network, every), [mesh_row(network, every)]
    with tempfile.TemporaryDirectory() as folder:
        train_mesh_branch(network, batches, steps=steps, folder=Path(folder), progress=False)
    after, rows = vertex_error(network, every), [*rows, mesh_row(network, every)]
    other = vertex_error(network, held_out)
    print(f"mesh: error {before:.2f} before, {after:.2f} after {steps} steps: {before / after:.1f} times")
    print(f"mesh: on pictures not learnt from {other:.2f} pixels; {time.process_time() - started:.0f} s")
    save("mesh_branch.png", rows)
    if weights is not None:
        name = Architecture(shared_heads=True, vertices=head_topology().vertex_count).name
        save_npz(weights, with_topology(network.state_dict(), head_topology()), architecture=name)


def mesh_row(network: minidet.models.retinaface.DenseNet, batches: MeshFaceBatches) -> list[np.ndarray]:
    """Draw the mesh that the first positive anchor of some pictures finds."""
    found, _ = decoded_meshes(network, batches)
    batch = batches.batch(0)
    image_of_anchor, _ = np.nonzero(batch.targets.faces.positive)
    row = []
    for number, name in enumerate(batch.names[:SHOWN]):
        annotation = next(one for one in batches.dataset.annotations if one.name == name)
        mesh = found[int(np.argmax(image_of_anchor == number))]
        row.append(
            np.asarray(draw_mesh(annotation.read(), mesh[None], head_topology().triangles, enlarged=3))
        )
    return row


def pixel_branch(steps: int = 200) -> None:
    """Train a decoder, then fit code, camera and light to crops; draw crop, first and last picture."""
    started = time.process_time()
    settings = MeshFaceSettings(side=96, heights=(0.6, 0.75))
    thresholds = MatchThresholds(positive=0.5, negative=0.3, force_best=0.3)
    dataset = mesh_face_dataset(PICTURES, settings=settings)
    batches = MeshFaceBatches(dataset, batch_size=PICTURES, seed=0, thresholds=thresholds)
    batch = batches.batch(0)
    decoder = MeshDecoder(head_topology(), CODE_SIZE)
    losses = train_mesh_decoder(decoder, coloured_head, steps=300, seed=0)
    print(f"decoder: loss {losses[0]:.2f}, at the end {np.mean(losses[-20:]):.3f}")

    branch = PixelBranch(decoder, head_topology())
    first = np.zeros((len(batch.targets.crops), branch.parameter_count_per_anchor), np.float32)
    crops, visible = batch.targets.crops, batch.targets.visible
    parameters, losses = fit_pixels(branch, crops, visible, steps=steps)
    print(f"pixel: {losses[0]:.1f} grey levels before, {losses[-1]:.1f} after {steps} steps")
    _, covered = branch.forward(parameters)
    print(f"pixel: the mesh covers {covered.mean():.2f} of a crop, the face {visible.mean():.2f}")
    everywhere, losses = fit_pixels(branch, crops, np.ones_like(visible), steps=steps)
    _, covered = branch.forward(everywhere)
    print(
        f"pixel, background too: {losses[0]:.1f} before, {losses[-1]:.1f} after; covers {covered.mean():.2f}"
    )
    print(f"pixel: {time.process_time() - started:.0f} s")

    image_of_anchor, _ = np.nonzero(batch.targets.faces.positive)
    chosen = [int(np.argmax(image_of_anchor == number)) for number in range(SHOWN)]
    rows = []
    for pictures in (crops, branch.forward(first)[0], branch.forward(parameters)[0]):
        grey = np.rint(255 * np.clip(pictures[chosen], 0, 1)).astype(np.uint8)
        rows.append([np.repeat(np.repeat(one, 6, axis=0), 6, axis=1) for one in grey])
    save("mesh_pixels.png", rows)


def save(name: str, rows: list[list[np.ndarray]]) -> None:
    """Write pictures of one size side by side and row by row."""
    page = np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)
    Image.fromarray(page).quantize(128).save(IMAGES / name, optimize=True)


if __name__ == "__main__":
    main()
