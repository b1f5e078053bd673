"""``minidet detect``: find the faces of images, print them, draw them."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

import minidet
from minidet.api import Detector
from minidet.cli.arguments import pixels, share
from minidet.cli.files import (
    InputImage,
    bundled_portrait,
    find_images,
    make_writable,
    output_paths,
    save_annotated,
)
from minidet.cli.terminal import show, show_error
from minidet.detections import Detections
from minidet.detectors import MTCNNSettings, RetinaFaceSettings
from minidet.errors import InputError

DESCRIPTION = """\
Find the faces of one or many images.

Printed for each face: its score (the detector's confidence, 0 to 1), its box (left, top, right and
bottom edge, in pixels from the upper left corner of the upright image), and the box's width x height."""

EPILOG = """\
examples:
  minidet detect                                  try it on a portrait that is already here
  minidet detect photo.jpg                        print the faces
  minidet detect holiday/ --save drawn/           draw them, for a whole folder
  minidet detect photo.jpg --model mtcnn --json   everything, for another program
  cat photo.jpg | minidet detect -                read standard input

The exit status is 2 if an image could not be used; the others are done all the same."""


def add_parser(verbs: Any) -> None:
    """Add this verb and its options to the command line."""
    parser = verbs.add_parser(
        "detect",
        help="find the faces of images",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "images",
        nargs="*",
        metavar="IMAGE|DIR",
        help="images; folders, searched for images with their subfolders (hidden ones, links to folders "
        "and pictures drawn by minidet are left out); - for standard input (default: a portrait that comes "
        "with matplotlib)",
    )
    parser.add_argument(
        "--model",
        choices=("retinaface", "mtcnn"),
        default="retinaface",
        help="the detector (default: %(default)s)",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON document instead: a list with width, height, and box, score and landmarks of "
        "each face, per image",
    )
    parser.add_argument(
        "--save",
        metavar="DIR",
        help="draw the faces of every image and write NAME_faces.png into this folder, made if there is none "
        "(default: only without IMAGE, into the current folder)",
    )
    parser.add_argument(
        "--min-score",
        type=share,
        metavar="S",
        help="report faces with a score above S, 0 to 1; mtcnn's other two thresholds stay as they are "
        f"(default: {RetinaFaceSettings.score_threshold} for retinaface, "
        f"{MTCNNSettings.score_thresholds[2]} for mtcnn)",
    )
    parser.add_argument(
        "--min-face",
        type=pixels,
        metavar="N",
        help="smallest face, in pixels; mtcnn looks for faces from about N up, and the larger N the faster "
        f"(default: {MTCNNSettings.min_face_size}); retinaface looks for all, and those whose longer side is "
        "below N are left out (default: 0)",
    )
    parser.add_argument(
        "--backend",
        metavar="B",
        help="what computes the networks: readable (default: the library's choice)",
    )
    parser.add_argument(
        "--weights",
        metavar="NAME|PATH",
        help="other weights: a name from `minidet weights list`, or a file (default: the model's own)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Detect and print; return the exit status."""
    images = find_images(options.images)
    if not options.images:
        images = [bundled_portrait()]
        show(f"minidet: no image given; using the bundled portrait {images[0].name}", file=sys.stderr)
    detector = make_detector(options)
    outputs = plan_outputs(options, images)
    records: list[dict[str, Any]] = []
    failures = 0

    # tqdm's disable=None hides the bar unless it would go to a terminal.
    hidden = True if len(images) < 2 else None
    with tqdm(zip(images, outputs, strict=True), "detect", len(images), unit="image", disable=hidden) as bar:
        for image, output in bar:
            try:
                pixels = minidet.read_image(image.source)
                started = time.perf_counter()
                faces = large_enough(detector.detect(pixels), options)
                seconds = time.perf_counter() - started
                if output:
                    save_annotated(minidet.draw(pixels, faces), output)
            except (InputError, OSError) as error:
                show_error(error)
                records.append({"image": image.name, "error": str(error)})
                failures += 1
                continue
            height, width = pixels.shape[:2]
            records.append({"image": image.name, "width": width, "height": height, "faces": faces.to_dicts()})
            if not options.json:
                show(describe(image, faces, seconds))
            if output:
                show(f"  drawn in {output}", file=sys.stderr if options.json else None)

    if options.json:
        show("[\n" + ",\n".join(json.dumps(record) for record in records) + "\n]")
    return 2 if failures else 0


def make_detector(options: argparse.Namespace) -> Detector:
    """Construct the detector the options ask for."""
    settings: dict[str, Any] = {"weights": options.weights, "backend": options.backend}
    if options.model == "retinaface":
        settings["score_threshold"] = options.min_score
    else:
        settings["min_face_size"] = options.min_face
        if options.min_score is not None:
            settings["score_thresholds"] = (*MTCNNSettings.score_thresholds[:2], options.min_score)
    given = {name: value for name, value in settings.items() if value is not None}
    return minidet.RetinaFace(**given) if options.model == "retinaface" else minidet.MTCNN(**given)


def large_enough(faces: Detections, options: argparse.Namespace) -> Detections:
    """Leave out what is below ``--min-face``, which for MTCNN is a setting of the detector instead."""
    if options.model == "mtcnn" or options.min_face is None:
        return faces
    longer_sides = faces.to_xywh()[:, 2:].max(axis=1)  # (K,)
    return faces[longer_sides >= options.min_face]


def plan_outputs(options: argparse.Namespace, images: list[InputImage]) -> list[Path] | list[None]:
    """Make the folder for the pictures and choose their files; all None if nothing is to be drawn."""
    if options.save is not None:
        folder = Path(options.save)
        make_writable(folder)
    elif options.images:
        return [None] * len(images)
    else:
        folder = Path()
        try:
            make_writable(folder)
        except InputError:
            folder = Path(tempfile.gettempdir())
    return output_paths(images, folder)


def describe(image: InputImage, faces: Detections, seconds: float) -> str:
    """Return one line about the image and one about each face.

    Examples
    --------
    >>> from minidet import Detections
    >>> faces = Detections([[10, 20, 40, 60.25]], [0.9], [[[0, 0]] * 5])
    >>> print(describe(InputImage("photo.jpg"), faces, 0.123))
    photo.jpg: 1 face in 0.12 s
      score 0.9000   box   10.0   20.0   40.0   60.2   size   30 x 40
    """
    count = {0: "no faces", 1: "1 face"}.get(len(faces), f"{len(faces)} faces")
    lines = [f"{image.name}: {count} in {seconds:.2f} s"]
    for face, (_, _, width, height) in zip(faces, faces.to_xywh(), strict=True):
        edges = " ".join(f"{edge:6.1f}" for edge in face.box)
        lines.append(f"  score {face.score:.4f}   box {edges}   size {width:4.0f} x {height:.0f}")
    return "\n".join(lines)
