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
from minidet.models.retinaface import Architecture, DenseNet, MeshDecoder, PixelBranch
from minidet.training.fit_pixels import fit_pixels
from minidet.training.mesh_face_batches import MeshFaceBatches
from minidet.training.train_mesh_branch import decoded_meshes, new_mesh_net, train_mesh_branch, vertex_error
from minidet.training.train_mesh_decoder import train_mesh_decoder
from minidet.training.train_pixel_branch import drawn_faces, new_pixel_net, train_pixel_branch
from minidet.weights import save_npz, with_topology

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
FEW, MANY, OTHERS = 24, 2000, 32
"""Pictures that are learnt by heart, pictures to learn from, and pictures to measure on that nothing learns
from. The few are the first of the many."""
SHOWN = 6

LARGER = MeshFaceSettings(side=96, heights=(0.6, 0.75))
CLOSE = MatchThresholds(positive=0.5, negative=0.3, force_best=0.3)
"""For the pixels: faces that fill their anchors."""


def main() -> None:
    """Do one after the other."""
    minidet.set_num_threads(1)
    network = mesh_branch(weights=Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    pixel_branch(network)


def mesh_branch(steps: int = 2600, weights: Path | None = None) -> DenseNet:
    """Train a network with a mesh branch, draw what it finds before and after, and save it if asked to."""
    started = time.process_time()
    seen = MeshFaceBatches(mesh_face_dataset(FEW), batch_size=FEW, seed=0)
    unseen = MeshFaceBatches(mesh_face_dataset(OTHERS, seed=1), batch_size=OTHERS, seed=0)
    batches = MeshFaceBatches(mesh_face_dataset(MANY), batch_size=16, seed=0)
    network = new_mesh_net(head_topology().vertex_count, seed=0)
    before, rows = [vertex_error(network, one) for one in (seen, unseen)], [mesh_row(network, unseen)]
    with tempfile.TemporaryDirectory() as folder:
        train_mesh_branch(
            network, batches, steps=steps, folder=Path(folder), lr=1e-2, mesh_weight=0.3, progress=False
        )
    after, rows = [vertex_error(network, one) for one in (seen, unseen)], [*rows, mesh_row(network, unseen)]
    for which, first, last in zip(("seen", "unseen"), before, after, strict=True):
        print(
            f"mesh, {which}: {first:.2f} px before, {last:.2f} after {steps} steps: {first / last:.1f} times"
        )
    print(f"mesh: {time.process_time() - started:.0f} s", flush=True)
    save("mesh_branch.png", rows)
    if weights is not None:
        name = Architecture(shared_heads=True, vertices=head_topology().vertex_count).name
        save_npz(weights, with_topology(network.state_dict(), head_topology()), architecture=name)
    return network


def mesh_row(network: DenseNet, batches: MeshFaceBatches) -> list[np.ndarray]:
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


def pixel_branch(mesh_net: DenseNet) -> None:
    """Train a decoder, then networks with it; draw crop, first and last picture, and what a fit finds."""
    started = time.process_time()
    decoder = MeshDecoder(head_topology(), CODE_SIZE)
    losses = train_mesh_decoder(decoder, coloured_head, steps=300, seed=0)
    print(f"decoder: loss {losses[0]:.2f}, at the end {np.mean(losses[-20:]):.3f}")
    branch = PixelBranch(decoder, head_topology())

    seen, unseen = pixel_batches(FEW, FEW), pixel_batches(OTHERS, OTHERS, seed=1)
    drawn = [drawn_faces(new_pixel_net(branch, mesh_net), branch, unseen)[0]]
    for count, batch_size, steps in ((FEW, 12, 800), (MANY, 16, 4000)):
        network = new_pixel_net(branch, mesh_net)
        before = [drawn_faces(network, branch, one)[1] for one in (seen, unseen)]
        with tempfile.TemporaryDirectory() as folder:
            batches = pixel_batches(count, batch_size)
            train_pixel_branch(network, branch, batches, steps=steps, folder=Path(folder), progress=False)
        after = [drawn_faces(network, branch, one)[1] for one in (seen, unseen)]
        for which, first, last in zip(("seen", "unseen"), before, after, strict=True):
            print(
                f"pixel, {count} pictures, {which}: {first:.1f} before, {last:.1f} after {steps} steps",
                flush=True,
            )
        print(f"pixel: {time.process_time() - started:.0f} s", flush=True)
    drawn.append(drawn_faces(network, branch, unseen)[0])

    targets = unseen.batch(0).targets
    for which, visible in (("face", targets.visible), ("all", np.ones_like(targets.visible))):
        parameters, losses = fit_pixels(branch, targets.crops, visible, steps=200)
        pictures, covered, _ = branch.forward(parameters)
        print(f"fitted, {which}: {losses[0]:.1f} before, {losses[-1]:.1f} after 200 steps")
        print(f"fitted, {which}: the mesh covers {covered.mean():.2f}, the face {targets.visible.mean():.2f}")
        if which == "face":
            drawn.append(pictures)

    image_of_anchor, _ = np.nonzero(targets.faces.positive)
    chosen = [int(np.argmax(image_of_anchor == number)) for number in range(SHOWN)]
    rows = []
    for pictures in (targets.crops, *drawn):
        grey = np.rint(255 * np.clip(pictures[chosen], 0, 1)).astype(np.uint8)
        rows.append([np.repeat(np.repeat(one, 6, axis=0), 6, axis=1) for one in grey])
    save("mesh_pixels.png", rows)


def pixel_batches(count: int, batch_size: int, seed: int = 0) -> MeshFaceBatches:
    """Make batches of pictures for the pixel branch."""
    dataset = mesh_face_dataset(count, seed=seed, settings=LARGER)
    return MeshFaceBatches(dataset, batch_size=batch_size, seed=0, thresholds=CLOSE)


def save(name: str, rows: list[list[np.ndarray]]) -> None:
    """Write pictures of one size side by side and row by row."""
    page = np.concatenate([np.concatenate(row, axis=1) for row in rows], axis=0)
    Image.fromarray(page).quantize(128).save(IMAGES / name, optimize=True)


if __name__ == "__main__":
    main()
