"""Make docs/images/synthetic.jpg: drawn pictures with boxes and landmarks, and a face with its mesh.

python scripts/picture_synthetic.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from minidet.datasets import SyntheticDataset, SyntheticSettings, synthetic_dataset

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "synthetic.jpg"

COLUMNS, GAP = 4, 8
ENLARGED = 2  # the face with its mesh is shown at twice its size, as high as two pictures
BOX_COLOR, POINT_COLOR, MESH_COLOR = (0, 255, 0), (255, 60, 60), (0, 255, 255)


def main() -> None:
    """Write the picture."""
    settings = SyntheticSettings(size=(224, 224), faces=(1, 5), face_heights=(24.0, 130.0))
    small = synthetic_dataset(8, seed=2, settings=settings)
    side, _ = settings.size
    page = Image.new("RGB", ((side + GAP) * COLUMNS + 2 * side + GAP, 2 * side + GAP), "white")
    for number in range(len(small)):
        row, column = divmod(number, COLUMNS)
        page.paste(annotated(small, number), (column * (side + GAP), row * (side + GAP)))

    portrait = SyntheticSettings(
        size=(224, 224), faces=(1, 1), face_heights=(150.0, 150.0), max_yaw=20.0, negatives=0.0
    )
    face = synthetic_dataset(1, seed=6, settings=portrait)
    page.paste(meshed(face, 0).resize((2 * side + GAP, 2 * side + GAP)), (COLUMNS * (side + GAP), 0))
    page.save(PICTURE, quality=85)


def annotated(dataset: SyntheticDataset, number: int) -> Image.Image:
    """Draw a picture's boxes and landmarks onto it."""
    sample = dataset[number]
    image = Image.fromarray(sample.image)
    brush = ImageDraw.Draw(image)
    for box, points in zip(sample.boxes, sample.landmarks, strict=True):
        brush.rectangle(box.tolist(), outline=BOX_COLOR)
        for x, y in points.tolist():
            brush.ellipse((x - 1.5, y - 1.5, x + 1.5, y + 1.5), fill=POINT_COLOR)
    return image


def meshed(dataset: SyntheticDataset, number: int) -> Image.Image:
    """Draw the edges of those triangles that face the viewer onto the right half of a picture's face."""
    image = Image.fromarray(dataset[number].image)
    image = image.resize((ENLARGED * image.width, ENLARGED * image.height), Image.Resampling.BICUBIC)
    brush = ImageDraw.Draw(image)
    for vertices in dataset.annotations[number].vertices:
        corners = ENLARGED * vertices[dataset.triangles]  # (T, 3, 3)
        nose = corners[..., 0].mean()
        a, b, c = corners[..., :2].swapaxes(0, 1)  # (T, 2) each
        facing = np.linalg.det(np.stack([b - a, c - a], axis=1)) > 0  # clockwise with y down
        for triangle in corners[facing & (corners[..., 0].min(axis=1) > nose)]:
            brush.polygon([(x, y) for x, y, _ in triangle.tolist()], outline=MESH_COLOR)
    return image


if __name__ == "__main__":
    main()
