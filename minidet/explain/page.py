"""The page: what was recorded, as JSON, in a template with its style and its scripts."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from importlib.resources import files

from minidet.api import MTCNN, Detector, RetinaFace
from minidet.errors import InputError
from minidet.explain.mtcnn import record_mtcnn
from minidet.explain.pictures import photo
from minidet.explain.retinaface import record_retinaface
from minidet.image import ImageSource, read_image

PHOTO_SIDE = 1600
"""The photograph is shown at most so large, in pixels; boxes stay in pixels of the original."""

SCRIPTS = ("replay.js", "fates.js", "picture.js", "panels.js", "page.js")
"""In the order in which the browser runs them."""


def explain(
    source: ImageSource, detectors: Sequence[Detector], *, name: str = "image", min_face: float = 0
) -> str:
    """Make a page that shows every step of the detectors on one image, with sliders for their thresholds.

    The page is one HTML text with everything in it. What its sliders do is exact: they choose among results
    of the networks that were recorded here, by the detector's own rules.

    Parameters
    ----------
    source : path, bytes, file object, PIL image or array
        Anything :func:`minidet.read_image` takes.
    detectors : sequence of MTCNN and RetinaFace
        At least one; the page has a tab for each. Their settings are where the sliders begin.
    name : str
        What the page calls the image.
    min_face : float
        Faces of RetinaFace whose longer side is below so many pixels are left out.

    Returns
    -------
    str
        HTML; write it to a file as UTF-8.

    Raises
    ------
    InputError
        If the image cannot be read, or there is no detector.
    TypeError
        If ``source`` is no kind of image at all, or a detector is neither of the two.
    """
    if not detectors:
        raise InputError("explain: no detector; expected at least one MTCNN or RetinaFace")
    image = read_image(source)
    records = []
    for detector in detectors:
        if isinstance(detector, MTCNN):
            records.append(record_mtcnn(detector, image))
        elif isinstance(detector, RetinaFace):
            records.append(record_retinaface(detector, image, min_face=min_face))
        else:
            raise TypeError(f"explain: {type(detector).__name__}; expected MTCNN or RetinaFace")
    height, width = image.shape[:2]
    data = {
        "name": name,
        "width": width,
        "height": height,
        "photo": photo(image, PHOTO_SIDE),
        "models": records,
    }
    return render(name, json.dumps(data, separators=(",", ":")))


def render(name: str, data: str) -> str:
    """Fill the template with a title and with the JSON text that the scripts read."""
    folder = files("minidet.explain")
    parts = {
        "title": html.escape(name),
        "style": (folder / "page.css").read_text(encoding="utf-8"),
        # A "<" could end the element that holds the data.
        "data": data.replace("<", "\\u003c"),
        "scripts": "\n".join((folder / script).read_text(encoding="utf-8") for script in SCRIPTS),
    }
    page = (folder / "page.html").read_text(encoding="utf-8")
    before, *rest = page.split("{{")
    pieces = [before]
    for piece in rest:  # one pass: what is filled in may hold braces of its own
        key, after = piece.split("}}", 1)
        pieces += [parts[key], after]
    return "".join(pieces)
