"""Make docs/images/align.jpg: a face as crops with three margins, and aligned to three sizes.

    python scripts/picture_alignment.py

The portrait of Grace Hopper is in the public domain and comes with Matplotlib.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

import minidet
from minidet._typing import RGBImage

PORTRAIT = Path(get_data_path()) / "sample_data" / "grace_hopper.jpg"
PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "align.jpg"

GAP, TEXT_HEIGHT = 16, 26
ORIGINAL_HEIGHT = 160 + 224 + GAP + TEXT_HEIGHT  # as high as both rows beside it


def main() -> None:
    """Write the picture."""
    faces = minidet.detect(PORTRAIT)
    face = faces[0]
    original = minidet.draw(PORTRAIT, faces, scores=False)
    width = round(original.width * ORIGINAL_HEIGHT / original.height)
    original = original.resize((width, ORIGINAL_HEIGHT), Image.Resampling.LANCZOS)
    crops = {f"crop, margin={m}": minidet.crop(PORTRAIT, face.box, margin=m) for m in (0, 0.1, 0.3)}
    aligned = {f"align, size={s}": minidet.align(PORTRAIT, face.landmarks, size=s) for s in (112, 128, 224)}

    right = 2 * GAP + width
    size = (right + 3 * (160 + GAP), ORIGINAL_HEIGHT + TEXT_HEIGHT + 2 * GAP)
    page = Image.new("RGB", size, "white")
    page.paste(original, (GAP, GAP))
    write(page, "faces[0]", GAP, GAP + ORIGINAL_HEIGHT)
    row(page, crops, right, GAP + 160)
    row(page, aligned, right, GAP + ORIGINAL_HEIGHT)
    page.save(PICTURE, quality=88)


def row(page: Image.Image, pictures: dict[str, RGBImage], x: int, bottom: int) -> None:
    """Put pictures side by side, standing on the line ``bottom``, with their names below."""
    for name, pixels in pictures.items():
        page.paste(Image.fromarray(pixels), (x, bottom - len(pixels)))
        write(page, name, x, bottom)
        x += len(pixels) + GAP


def write(page: Image.Image, text: str, x: int, y: int) -> None:
    """Write ``text`` below the line ``y``."""
    ImageDraw.Draw(page).text((x, y + 5), text, fill="black", font=ImageFont.load_default(size=13))


if __name__ == "__main__":
    main()
