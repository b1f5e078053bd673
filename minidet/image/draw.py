"""Faces drawn over a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from minidet._typing import FloatArray
from minidet.detections import Detections
from minidet.errors import InputError
from minidet.image.io import ImageSource, read_image

BOX_COLOUR = (64, 255, 96)
MESH_COLOUR = (0, 255, 255)
LANDMARK_COLOURS = (
    (255, 80, 80),  # left eye
    (255, 200, 60),  # right eye
    (90, 200, 255),  # nose
    (255, 110, 255),  # left mouth corner
    (170, 140, 255),  # right mouth corner
)


def draw(image: ImageSource, faces: Detections, *, scores: bool = True) -> Image.Image:
    """Draw boxes, scores and landmarks.

    Lines grow with the image and the text with its face, so both stay readable on any picture.

    Parameters
    ----------
    image : path, bytes, file object, PIL image or array
        Anything :func:`minidet.read_image` takes; it is not changed.
    faces : Detections
    scores : bool
        Write each score above its box.

    Returns
    -------
    PIL image, RGB
    """
    canvas = Image.fromarray(read_image(image))
    pen = ImageDraw.Draw(canvas)
    line = max(1, round(min(canvas.size) / 250))
    for face in faces:
        x1, y1, x2, y2 = (float(v) for v in face.box)
        side = max(x2 - x1, y2 - y1)
        # Pillow wants x1 <= x2; a network's box may be turned inside out.
        pen.rectangle((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), outline=BOX_COLOUR, width=line)
        radius = max(1.0, side / 50)
        for (x, y), colour in zip(face.landmarks, LANDMARK_COLOURS, strict=True):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        if scores:
            _write_score(pen, face.score, x1, y1, side)
    return canvas


def draw_mesh(
    image: ImageSource, vertices: FloatArray, triangles: NDArray[np.integer[Any]], *, enlarged: int = 1
) -> Image.Image:
    """Draw the edges of meshes, of those triangles that face the viewer.

    Parameters
    ----------
    image : path, bytes, file object, PIL image or array
        Anything :func:`minidet.read_image` takes; it is not changed.
    vertices : (G, V, 3) array
        Of G faces: x, y in pixels of the image, and a depth, which is not read.
    triangles : (T, 3) integer array
        Clockwise on the screen where they face the viewer.
    enlarged : int
        How many times as large the picture is drawn: the edges of a small face would cover it.

    Returns
    -------
    PIL image, RGB

    Raises
    ------
    InputError
        If the shape of the vertices is another, or the image is refused.

    Examples
    --------
    >>> triangle = np.array([[[1.0, 1.0, 0.0], [6.0, 1.0, 0.0], [1.0, 6.0, 0.0]]])
    >>> black = np.zeros((8, 8, 3), np.uint8)
    >>> lines = np.asarray(draw_mesh(black, triangle, np.array([[0, 1, 2]])))[..., 1] > 0
    >>> int(lines.sum()), int((np.asarray(draw_mesh(black, triangle, np.array([[0, 2, 1]]))) > 0).sum())
    (15, 0)
    """
    if vertices.ndim != 3 or vertices.shape[2] != 3:
        raise InputError(f"draw_mesh: `vertices` has shape {vertices.shape}; expected (G, V, 3)")
    canvas = Image.fromarray(read_image(image))
    canvas = canvas.resize((enlarged * canvas.width, enlarged * canvas.height), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(canvas)
    for face in vertices:
        corners = enlarged * face[triangles, :2]  # (T, 3, 2)
        a, b, c = corners.swapaxes(0, 1)  # (T, 2) each
        area = (b - a)[:, 0] * (c - a)[:, 1] - (c - a)[:, 0] * (b - a)[:, 1]
        for triangle in corners[area > 0]:
            pen.polygon([(x, y) for x, y in triangle.tolist()], outline=MESH_COLOUR)
    return canvas


def _write_score(pen: ImageDraw.ImageDraw, score: float, x: float, y: float, side: float) -> None:
    font = ImageFont.load_default(size=float(np.clip(side / 8, 9, 40)))
    left, top, right, bottom = pen.textbbox((0, 0), f"{score:.3f}", font=font)
    height = bottom - top
    above = y - height - 6
    y = above if above >= 0 else y + 2  # a face at the upper edge has its score inside the box
    pen.rectangle((x, y, x + right - left + 4, y + height + 4), fill=BOX_COLOUR)
    pen.text((x + 2 - left, y + 2 - top), f"{score:.3f}", fill=(0, 0, 0), font=font)
