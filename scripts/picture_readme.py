"""Make the pictures of README.md: the portrait, a group, the stages of MTCNN's cascade, and the benchmark.

    python scripts/picture_readme.py

The portrait of Grace Hopper is in the public domain and comes with Matplotlib.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import minidet
from minidet._typing import FloatArray, RGBImage
from minidet.datasets import bundled_portrait_path, group_picture
from minidet.trace import Trace
from minidet.viz.benchmark import draw_shares
from minidet.viz.figure import new_axes, save_figure

DOCS = Path(__file__).resolve().parent.parent / "docs"
IMAGES = DOCS / "images"

CASES = {  # the heading in performance_results.md: what the README calls it
    "RetinaFace, the network alone, float32: 640 x 480": "RetinaFace, network",
    "RetinaFace, from pixels to faces: 1 1024 x 820": "RetinaFace, photograph to faces",
    "MTCNN, from pixels to faces, min_face_size 20: 1 1024 x 820": "MTCNN, photograph to faces",
    "A training step of O-Net: 128 x 48 x 48": "training step of O-Net",
    "NMS at IoU 0.4: 10,000 boxes": "NMS of 10,000 boxes",
}

GAP, LINE, TEXT_HEIGHT = 12, 19, 38
PANEL = (264, 309)  # width and height of a stage, in the portrait's proportions
COLOURS = {"P-Net": (255, 200, 0), "R-Net": (0, 200, 255), "O-Net": (0, 255, 0)}


def main() -> None:
    """Write the pictures."""
    retinaface, mtcnn = minidet.RetinaFace(), minidet.MTCNN()
    save(
        side_by_side(found(bundled_portrait_path(), retinaface), found(bundled_portrait_path(), mtcnn)),
        "portrait",
    )
    save(found(group_picture(), retinaface), "group")
    save(cascade(minidet.read_image(bundled_portrait_path()), mtcnn), "cascade")
    benchmark((DOCS / "performance_results.md").read_text(encoding="utf-8"))


def benchmark(results: str) -> None:
    """Draw minidet's share of every peer's time, on one thread, from what the benchmark printed."""
    labels, shares = [], []
    for heading, rows in re.findall(r"^## (.*)\n\n((?:\|.*\n)+)", results, re.MULTILINE):
        for peer, *numbers in re.findall(
            r"\| ([\w-]+) \| 1 \| [\d.]+ \| ([\d.]+) \(([\d.]+)-([\d.]+)\)", rows
        ):
            if heading in CASES:
                labels.append(f"{CASES[heading]}: {peer}")
                shares.append(tuple(map(float, numbers)))
    save_figure(draw_shares(new_axes(8, 3.6), labels, shares), IMAGES / "performance_readme.png")


def save(picture: Image.Image, name: str) -> None:
    """Write a picture into docs/images."""
    picture.save(IMAGES / f"{name}.jpg", quality=88)


def found(source: Path | RGBImage, detector: minidet.RetinaFace | minidet.MTCNN) -> Image.Image:
    """Draw what a detector finds."""
    return minidet.draw(source, detector.detect(source))


def side_by_side(left: Image.Image, right: Image.Image) -> Image.Image:
    """Put two pictures of one size beside each other."""
    page = Image.new("RGB", (left.width + GAP + right.width, left.height), "white")
    page.paste(left, (0, 0))
    page.paste(right, (left.width + GAP, 0))
    return page.resize((page.width * 3 // 4, page.height * 3 // 4), Image.Resampling.LANCZOS)


def cascade(image: RGBImage, detector: minidet.MTCNN) -> Image.Image:
    """Draw the boxes that are left after each network, and below them what R-Net and O-Net saw."""
    trace = detector.trace(image)
    propose, refine, output = detector.settings.score_thresholds
    seen = sum(scores.size for scores in trace["pnet"]["scores"])
    passed = sum(np.count_nonzero(scores >= propose) for scores in trace["pnet"]["scores"])
    moved, refined = trace["merge"]["boxes"], trace["refine"]["boxes"]
    believed = trace["onet"]["boxes"][trace["output"]["passed"]]
    panels = {
        f"P-Net: {seen:,} windows,\n{passed} pass, {len(moved)} after NMS": with_boxes(image, moved, "P-Net"),
        f"R-Net: {len(trace['refine']['passed'])} pass,\n{len(refined)} after NMS": with_boxes(
            image, refined, "R-Net"
        ),
        f"O-Net: {len(believed)} pass": with_boxes(image, believed, "O-Net"),
        f"{len(trace.detections)} face after the last NMS,\nwith its landmarks": minidet.draw(
            image, trace.detections
        ),
    }
    width = len(panels) * (PANEL[0] + GAP) - GAP
    strips = {
        "What R-Net saw, 24 x 24: best scores first; a green frame passes": crop_strip(
            trace, "rnet", refine, width
        ),
        "What O-Net saw, 48 x 48": crop_strip(trace, "onet", output, width),
    }
    height = TEXT_HEIGHT + PANEL[1] + sum(GAP + LINE + strip.height for strip in strips.values())
    page = Image.new("RGB", (width, height), "white")
    for number, (title, panel) in enumerate(panels.items()):
        x = number * (PANEL[0] + GAP)
        write(page, title, x, 0)
        page.paste(panel.resize(PANEL, Image.Resampling.LANCZOS), (x, TEXT_HEIGHT))
    y = TEXT_HEIGHT + PANEL[1] + GAP
    for title, strip in strips.items():
        write(page, title, 0, y)
        page.paste(strip, (0, y + LINE))
        y += LINE + strip.height + GAP
    return page


def with_boxes(image: RGBImage, boxes: FloatArray, network: str) -> Image.Image:
    """Draw boxes onto an image, in the colour of a network."""
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    for box in boxes:
        pen.rectangle(box.tolist(), outline=COLOURS[network], width=2)
    return picture


def crop_strip(trace: Trace, step: str, threshold: float, width: int) -> Image.Image:
    """Show the crops with the best scores in one row, each with its score; those that pass are framed."""
    crops, scores = trace[step]["crops"], trace[step]["scores"]
    side, gap = 76, 5
    columns = (width + gap) // (side + gap)
    strip = Image.new("RGB", (width, side + 18), "white")
    for column, index in enumerate(np.argsort(-scores, kind="stable")[:columns]):
        pixels = np.clip(np.rint(crops[index]), 0, 255).astype(np.uint8)
        crop = Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST)
        if scores[index] > threshold:
            ImageDraw.Draw(crop).rectangle((0, 0, side - 1, side - 1), outline=COLOURS["O-Net"], width=3)
        strip.paste(crop, (column * (side + gap), 0))
        write(strip, f"{scores[index]:.3f}", column * (side + gap) + 20, side)
    return strip


def write(page: Image.Image, text: str, x: int, y: int) -> None:
    """Write ``text`` with its upper left corner at (x, y)."""
    ImageDraw.Draw(page).text((x, y), text, fill="black", font=ImageFont.load_default(size=13))


if __name__ == "__main__":
    main()
