"""A sheet of photographs on which the hits and the mistakes of a detector are marked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFont

from minidet._check import check_finite, check_whole
from minidet._typing import Float32Array
from minidet.errors import InputError
from minidet.image import ImageSource, read_image

FOUND_COLOUR = (64, 230, 96)
MISSED_COLOUR = (255, 32, 48)
FALSE_COLOUR = (255, 160, 0)
IGNORED_COLOUR = (176, 176, 176)

_PAPER = (255, 255, 255)
_INK = (32, 32, 32)

_Frame: TypeAlias = tuple[int, int, int, int]
"""First column and row, last column and row, in pixels of the photograph as it is on the sheet."""


@dataclass(frozen=True, eq=False)
class MarkedPicture:
    """A photograph and what a detector made of it.

    Attributes
    ----------
    image : path, bytes, file object, PIL image or array
        Anything :func:`minidet.read_image` takes.
    title : str
        What is written below; may have several lines.
    found_boxes : (K, 4) array-like
        Detections that found a face; x1 y1 x2 y2, pixels, as all boxes here.
    missed_boxes : (M, 4) array-like
        Faces that were not found.
    false_boxes : (F, 4) array-like
        Detections of something else.
    false_scores : (F,) array-like
        Their scores.
    ignored_boxes : (I, 4) array-like
        Faces that do not count.
    """

    image: ImageSource
    title: str
    found_boxes: ArrayLike = ()
    missed_boxes: ArrayLike = ()
    false_boxes: ArrayLike = ()
    false_scores: ArrayLike = ()
    ignored_boxes: ArrayLike = ()


def mistakes_sheet(pictures: Sequence[MarkedPicture], *, columns: int = 4, cell: int = 320) -> Image.Image:
    """Lay photographs out on one sheet, each with its marks and its title, and a legend above them.

    Each kind of mark can be told without its colour: the line is solid around a found face, striped around a
    missed one, dotted around a face that does not count, and a false alarm has its score.

    Parameters
    ----------
    pictures : sequence of MarkedPicture
    columns : int
        Photographs beside each other.
    cell : int
        Pixels of the square that each photograph is fitted into, 64 or more. Lines and letters grow with it.

    Returns
    -------
    PIL image, RGB

    Raises
    ------
    InputError
        If a number is out of range, a photograph cannot be read, a box is not four finite numbers, or the
        scores are not as many as their boxes.
    """
    check_whole("mistakes_sheet", "columns", columns, least=1)
    check_whole("mistakes_sheet", "cell", cell, least=64)
    margin = cell // 20
    columns = max(1, min(columns, len(pictures)))
    width = margin + columns * (cell + margin)
    legend = _legend(width, cell)
    rows = [
        _row(pictures[start : start + columns], width, cell) for start in range(0, len(pictures), columns)
    ]
    strips = [legend, *rows]
    sheet = Image.new("RGB", (max(width, legend.width), sum(strip.height for strip in strips)), _PAPER)
    y = 0
    for strip in strips:
        sheet.paste(strip, (0, y))
        y += strip.height
    return sheet


def _row(pictures: Sequence[MarkedPicture], width: int, cell: int) -> Image.Image:
    """Return photographs side by side, as high as the highest needs, with their titles below."""
    margin, font = cell // 20, _font(_font_size(cell))
    photos = [_marked(picture, cell) for picture in pictures]
    height = max(photo.height for photo in photos)
    lines = max(len(picture.title.splitlines()) for picture in pictures)
    line_height = round(1.3 * _font_size(cell))
    row = Image.new("RGB", (width, height + lines * line_height + 2 * margin), _PAPER)
    pen = ImageDraw.Draw(row)
    for i, (picture, photo) in enumerate(zip(pictures, photos, strict=True)):
        left = margin + i * (cell + margin)
        row.paste(photo, (left + (cell - photo.width) // 2, height - photo.height))
        for j, line in enumerate(picture.title.splitlines()):
            place = (left + cell // 2, height + margin // 2 + j * line_height)
            pen.text(place, _shortened(line, font, cell), fill=_INK, font=font, anchor="ma")
    return row


def _marked(picture: MarkedPicture, cell: int) -> Image.Image:
    """Return the photograph in the size it has on the sheet, with its marks.

    The marks are drawn after the resize, so a line is as thick on a large photograph as on a small one.
    """
    photo = Image.fromarray(read_image(picture.image))
    scale = cell / max(photo.size)
    size = (max(1, round(scale * photo.width)), max(1, round(scale * photo.height)))
    photo = photo.resize(size, Image.Resampling.LANCZOS)
    found, missed, false, ignored = (
        scale * _boxes(name, boxes)
        for name, boxes in (
            ("found_boxes", picture.found_boxes),
            ("missed_boxes", picture.missed_boxes),
            ("false_boxes", picture.false_boxes),
            ("ignored_boxes", picture.ignored_boxes),
        )
    )
    scores = np.asarray(picture.false_scores, np.float32).ravel()
    if len(scores) != len(false):
        raise InputError(f"mistakes_sheet: {len(scores)} false_scores for {len(false)} false_boxes")
    _draw_ignored(photo, ignored, cell)
    _draw_found(photo, found, cell)
    _draw_missed(photo, missed, cell)
    _draw_false(photo, false, cell, scores)
    return photo


def _boxes(name: str, values: ArrayLike) -> Float32Array:
    boxes = np.asarray(values, np.float32)
    if boxes.size == 0:
        return boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(f"mistakes_sheet: `{name}` has shape {boxes.shape}; expected (number of boxes, 4)")
    check_finite("mistakes_sheet", name, boxes)
    return boxes


def _draw_found(photo: Image.Image, boxes: Float32Array, cell: int) -> None:
    pen = ImageDraw.Draw(photo)
    for box in boxes:
        pen.rectangle(_frame(photo, box, cell), outline=FOUND_COLOUR, width=_line(cell))


def _draw_missed(photo: Image.Image, boxes: Float32Array, cell: int) -> None:
    pen, line = ImageDraw.Draw(photo), _line(cell)
    for box in boxes:
        frame = _frame(photo, box, cell)
        pen.rectangle(frame, outline=_PAPER, width=line)
        _draw_dashes(pen, frame, MISSED_COLOUR, line, 3 * line)


def _draw_ignored(photo: Image.Image, boxes: Float32Array, cell: int) -> None:
    pen, line = ImageDraw.Draw(photo), max(1, _line(cell) // 2)
    for box in boxes:
        _draw_dashes(pen, _frame(photo, box, cell), IGNORED_COLOUR, line, 2 * line)


def _draw_false(photo: Image.Image, boxes: Float32Array, cell: int, scores: Float32Array) -> None:
    pen, font = ImageDraw.Draw(photo), _font(0.85 * _font_size(cell))
    frames = [_frame(photo, box, cell) for box in boxes]
    for frame in frames:
        pen.rectangle(frame, outline=FALSE_COLOUR, width=_line(cell))
    taken: list[_Frame] = []
    for frame, score in zip(frames, scores, strict=True):
        text = f"{score:.2f}"
        left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
        tag = _tag(photo, frame, math.ceil(right - left) + 4, math.ceil(bottom - top) + 4, taken)
        taken.append(tag)
        pen.rectangle(tag, fill=FALSE_COLOUR)
        pen.text((tag[0] + 2 - left, tag[1] + 2 - top), text, fill=(0, 0, 0), font=font)


def _tag(photo: Image.Image, frame: _Frame, width: int, height: int, taken: Sequence[_Frame]) -> _Frame:
    """Return a free place for a score: above its frame, else below, else at its upper edge inside."""
    left = max(0, min(frame[0], photo.width - width))
    for top in (frame[1] - height, frame[3] + 1):
        place = (left, top, left + width - 1, top + height - 1)
        if top >= 0 and place[3] < photo.height and not any(_overlap(place, other) for other in taken):
            return place
    return (left, frame[1], left + width - 1, frame[1] + height - 1)


def _overlap(a: _Frame, b: _Frame) -> bool:
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]


def _frame(photo: Image.Image, box: Float32Array, cell: int) -> _Frame:
    """Return where the line around a box begins and ends: beside the face, but within the photograph."""
    line = _line(cell)
    x1, x2 = sorted((float(box[0]), float(box[2])))
    y1, y2 = sorted((float(box[1]), float(box[3])))
    left, right = np.clip([round(x1) - line, round(x2) + line - 1], 0, photo.width - 1)
    top, bottom = np.clip([round(y1) - line, round(y2) + line - 1], 0, photo.height - 1)
    return int(left), int(top), int(right), int(bottom)


def _draw_dashes(
    pen: ImageDraw.ImageDraw, frame: _Frame, colour: tuple[int, int, int], line: int, dash: int
) -> None:
    """Draw a frame of dashes as long as their gaps, so that each side begins and ends with a dash."""
    left, top, right, bottom = frame
    for x, end in _dashes(left, right, dash):
        pen.rectangle((x, top, end, min(top + line - 1, bottom)), fill=colour)
        pen.rectangle((x, max(bottom - line + 1, top), end, bottom), fill=colour)
    for y, end in _dashes(top, bottom, dash):
        pen.rectangle((left, y, min(left + line - 1, right), end), fill=colour)
        pen.rectangle((max(right - line + 1, left), y, right, end), fill=colour)


def _dashes(first: int, last: int, dash: int) -> list[tuple[int, int]]:
    """Return the first and last pixel of each dash: of 2n + 1 equal parts every other one."""
    length = last - first + 1
    parts = 2 * max(1, round((length / dash - 1) / 2)) + 1
    edges = [first + round(i * length / parts) for i in range(parts + 1)]
    return [(edges[i], max(edges[i], edges[i + 1] - 1)) for i in range(0, parts, 2)]


def _legend(width: int, cell: int) -> Image.Image:
    """Return a strip with a sample of each mark and its name, in as many lines as it needs."""
    margin, font = cell // 20, _font(_font_size(cell))
    sample_width, sample_height = 3 * _font_size(cell), round(2.2 * _font_size(cell))
    pad = margin // 2
    box = np.array([[pad, pad, sample_width - pad, sample_height - pad]], np.float32)
    places, x, y = [], margin, margin
    for name in _KINDS:
        entry_width = sample_width + margin // 2 + round(font.getlength(name))
        if x > margin and x + entry_width + margin > width:
            x, y = margin, y + sample_height + margin // 2
        places.append((x, y))
        x += entry_width + 2 * margin
        width = max(width, entry_width + 2 * margin)

    strip = Image.new("RGB", (width, y + sample_height + margin), _PAPER)
    pen = ImageDraw.Draw(strip)
    for (name, draw_mark), (x, y) in zip(_KINDS.items(), places, strict=True):
        sample = Image.new("RGB", (sample_width, sample_height), (96, 96, 96))
        draw_mark(sample, box, cell)
        strip.paste(sample, (x, y))
        place = (x + sample_width + margin // 2, y + sample_height // 2)
        pen.text(place, name, fill=_INK, font=font, anchor="lm")
    return strip


_KINDS: dict[str, Callable[[Image.Image, Float32Array, int], None]] = {
    "found": _draw_found,
    "missed": _draw_missed,
    "false alarm, with its score": partial(_draw_false, scores=np.array([0.93], np.float32)),
    "does not count": _draw_ignored,
}


def _line(cell: int) -> int:
    return max(2, round(cell / 140))


def _font_size(cell: int) -> int:
    return max(11, round(cell / 22))


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=max(10, round(size)))


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """Return the text, cut at its end if it is too long for its place."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."
