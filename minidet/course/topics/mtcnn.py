"""Exercises on the cascade and its samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidet._typing import Float64Array, FloatArray, IntArray
from minidet.course.answers import mtcnn as answers
from minidet.course.answers.boxes import iou
from minidet.course.exercise import Exercise, Mistake

TOPIC = "MTCNN"


def _scales(
    start: float, side: float, factor: float, *, equal_too: bool = True, one_more: bool = False
) -> list[float]:
    scales, scale = [], start
    while side * scale >= 12 if equal_too else side * scale > 12:
        scales.append(scale)
        scale *= factor
    return [*scales, scale] if one_more else scales


PYRAMID_SCALES = Exercise(
    name="pyramid_scales",
    topic=TOPIC,
    question=(
        "At which scales does P-Net look at an image? It starts where a face of min_face_size pixels "
        "fills its window of 12, and "
        "goes down by pyramid_factor as long as the shorter side is at least 12."
    ),
    returns="a list of scales, largest first",
    reference=answers.pyramid_scales,
    cases=(
        {"height": 50, "width": 80, "min_face_size": 20, "pyramid_factor": 0.5},
        {"height": 96, "width": 48, "min_face_size": 24, "pyramid_factor": 0.5},
        {"height": 480, "width": 640, "min_face_size": 40, "pyramid_factor": 0.709},
        {"height": 10, "width": 10, "min_face_size": 20, "pyramid_factor": 0.709},
    ),
    mistakes=(
        Mistake(
            "Your pyramid begins at scale 1: it begins at 12 / min_face_size.",
            lambda height, width, min_face_size, pyramid_factor: _scales(
                1.0, min(height, width), pyramid_factor
            ),
        ),
        Mistake(
            "Your pyramid ends by the longer side: the shorter one has to hold a window of 12.",
            lambda height, width, min_face_size, pyramid_factor: _scales(
                12 / min_face_size, max(height, width), pyramid_factor
            ),
        ),
        Mistake(
            "Your pyramid leaves out a level whose shorter side is exactly 12: one window fits it.",
            lambda height, width, min_face_size, pyramid_factor: _scales(
                12 / min_face_size, min(height, width), pyramid_factor, equal_too=False
            ),
        ),
        Mistake(
            "Your pyramid has a level too many: its shorter side is below 12.",
            lambda height, width, min_face_size, pyramid_factor: _scales(
                12 / min_face_size, min(height, width), pyramid_factor, one_more=True
            ),
        ),
        Mistake(
            "Your pyramid leaves out the first scale: a face of min_face_size is found at 12 / "
            "min_face_size itself.",
            lambda height, width, min_face_size, pyramid_factor: _scales(
                12 / min_face_size, min(height, width), pyramid_factor
            )[1:],
        ),
    ),
)


def _windows(
    *, stride: int = 2, first: int = 1, span: int = 11, swapped: bool = False, up: bool = False
) -> Any:
    """Make a function from cells to windows with a mistake."""

    def cell_windows(rows: IntArray, columns: IntArray, scale: float) -> FloatArray:
        places = (rows, columns) if swapped else (columns, rows)
        begin = stride * np.stack(places, axis=1) + first
        whole = np.concatenate([begin, begin + span], axis=1)
        return np.floor(whole * scale if up else whole / scale)

    return cell_windows


CELL_WINDOWS = Exercise(
    name="cell_windows",
    topic=TOPIC,
    question=(
        "Which part of the image has a cell of P-Net's map seen? Cell (row i, column j) looked at 12 "
        "x 12 pixels of its level, "
        "every second of which begins a window; the authors count pixels from 1, x1 = floor((2 j + "
        "1) / scale), "
        "x2 = floor((2 j + 12) / scale), and y with i."
    ),
    returns="windows (K, 4) floats, x1 y1 x2 y2",
    reference=answers.cell_windows,
    cases=(
        {"rows": np.array([0]), "columns": np.array([3]), "scale": 0.5},
        {"rows": np.array([0, 2, 5]), "columns": np.array([1, 0, 7]), "scale": 0.43},
    ),
    mistakes=(
        Mistake(
            "Your windows are one pixel apart: P-Net's stride is 2, from its pooling.", _windows(stride=1)
        ),
        Mistake("Rows and columns are exchanged: x comes from the column.", _windows(swapped=True)),
        Mistake("You multiply by the scale: from the level back to the image you divide.", _windows(up=True)),
        Mistake("Your pixels are counted from 0: the authors count from 1.", _windows(first=0)),
        Mistake(
            "Your windows are 13 pixels wide: from 2 j + 1 to 2 j + 12 it is 11 steps.", _windows(span=12)
        ),
        Mistake(
            "Your windows are not rounded down to whole pixels.",
            lambda rows, columns, scale: np.concatenate(
                [
                    (2 * np.stack([columns, rows], axis=1) + 1) / scale,
                    (2 * np.stack([columns, rows], axis=1) + 12) / scale,
                ],
                axis=1,
            ),
        ),
    ),
)

BOXES = np.array([[10.0, 10.0, 30.0, 50.0], [0.0, 5.0, 16.0, 9.0], [-4.0, 2.0, 4.0, 10.0]])
DELTAS = np.array([[0.1, 0.0, -0.1, 0.5], [0.25, -0.5, 0.125, 0.0], [-0.1, 0.2, 0.3, -0.4]])


def _size(boxes: FloatArray) -> FloatArray:
    return boxes[:, 2:] - boxes[:, :2]


def _as_centre_and_log(boxes: FloatArray, box_deltas: FloatArray) -> FloatArray:
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 + box_deltas[:, :2] * _size(boxes)
    size = _size(boxes) * np.exp(box_deltas[:, 2:])
    return np.concatenate([centre - size / 2, centre + size / 2], axis=1)


SHIFT_BOXES = Exercise(
    name="shift_boxes",
    topic=TOPIC,
    question=(
        "Apply P-Net's answer: move each edge of boxes (K, 4) by its delta times the box's width "
        "(x1, x2) or height (y1, y2), a "
        "box being x2 - x1 wide."
    ),
    returns="boxes (K, 4)",
    reference=answers.shift_boxes,
    cases=(
        {"boxes": BOXES[:1], "box_deltas": DELTAS[:1]},
        {"boxes": BOXES, "box_deltas": DELTAS},
    ),
    mistakes=(
        Mistake(
            "Your widths have 1 added: after P-Net the authors take x2 - x1.",
            lambda boxes, box_deltas: boxes + box_deltas * np.tile(_size(boxes) + 1, 2),
        ),
        Mistake(
            "Your deltas move the centre and scale the size, as RetinaFace's do: MTCNN's move the "
            "four edges.",
            _as_centre_and_log,
        ),
        Mistake(
            "You move all edges in widths: y1 and y2 count in heights.",
            lambda boxes, box_deltas: boxes + box_deltas * _size(boxes)[:, :1],
        ),
        Mistake(
            "You subtract the deltas: they are added.",
            lambda boxes, box_deltas: boxes - box_deltas * np.tile(_size(boxes), 2),
        ),
        Mistake(
            "Your deltas are taken for pixels: they are shares of the box.",
            lambda boxes, box_deltas: boxes + box_deltas,
        ),
    ),
)


def _from_the_corner(boxes: FloatArray) -> FloatArray:
    longest = _size(boxes).max(axis=1, keepdims=True)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + longest], axis=1)


def _about_the_centre(boxes: FloatArray, side: FloatArray) -> FloatArray:
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.concatenate([centre - side[:, None] / 2, centre + side[:, None] / 2], axis=1)


SQUARE_BOXES = Exercise(
    name="square_boxes",
    topic=TOPIC,
    question=(
        "Grow the shorter side of boxes (K, 4) about the centre until they are square: R-Net and "
        "O-Net see squares."
    ),
    returns="boxes (K, 4)",
    reference=answers.square_boxes,
    cases=({"boxes": BOXES[:1]}, {"boxes": BOXES}),
    mistakes=(
        Mistake(
            "Your boxes grow from the top left corner: the centre has to stay where it is.", _from_the_corner
        ),
        Mistake(
            "You shrink the longer side: that would cut off a part of the face.",
            lambda boxes: _about_the_centre(boxes, _size(boxes).min(axis=1)),
        ),
        Mistake(
            "You keep the area: the longer side has to stay.",
            lambda boxes: _about_the_centre(boxes, np.sqrt(_size(boxes).prod(axis=1))),
        ),
        Mistake(
            "You take the longest side of all boxes: each has its own.",
            lambda boxes: _about_the_centre(boxes, np.full(len(boxes), _size(boxes).max())),
        ),
        Mistake(
            "Your squares are twice as large: half of the side lies on either side of the centre.",
            lambda boxes: _about_the_centre(boxes, 2 * _size(boxes).max(axis=1)),
        ),
    ),
)

WINDOWS = np.array([[0.0, 0.0, 10.0, 10.0], [20.0, 10.0, 40.0, 30.0], [5.0, 5.0, 21.0, 21.0]])
TRUE = np.array([[2.0, -1.0, 9.0, 12.0], [22.0, 8.0, 36.0, 32.0], [5.0, 7.0, 19.0, 21.0]])


BOX_LABELS = Exercise(
    name="box_labels",
    topic=TOPIC,
    question=(
        "What is R-Net to learn, if windows (K, 4) are to become faces (K, 4)? How far each edge has "
        "to move, in sides of the "
        "window, x1 y1 x2 y2."
    ),
    returns="box_deltas (K, 4)",
    reference=answers.box_labels,
    cases=({"windows": WINDOWS[:1], "faces": TRUE[:1]}, {"windows": WINDOWS, "faces": TRUE}),
    mistakes=(
        Mistake(
            "Your labels have the wrong sign: decoding adds them to the window, so they are face "
            "minus window.",
            lambda windows, faces: -answers.box_labels(windows, faces),
        ),
        Mistake(
            "Your labels count in sides of the face: a network knows the window's only.",
            lambda windows, faces: (faces - windows) / np.tile(_size(faces), 2),
        ),
        Mistake(
            "Your labels are pixels: divide by the window's side.", lambda windows, faces: faces - windows
        ),
        Mistake(
            "Your x2 and y2 are measured from the window's top left corner: each edge is measured "
            "from its own.",
            lambda windows, faces: (faces - np.tile(windows[:, :2], 2)) / np.tile(_size(windows), 2),
        ),
    ),
)


def _types(best: FloatArray, *, negative: float = 0.3, part: float = 0.4, positive: float = 0.65) -> IntArray:
    types = np.full(len(best), -1)
    types[best < negative] = 0
    types[(best >= part) & (best <= positive)] = 2
    types[best > positive] = 1
    return types


def _within(windows: FloatArray, faces: FloatArray) -> Float64Array:
    """Share of each window that its best face covers."""
    sides = np.minimum(windows[:, None, 2:], faces[:, 2:]) - np.maximum(windows[:, None, :2], faces[:, :2])
    shared = np.maximum(sides, 0).prod(axis=2)
    return (shared / _size(windows).prod(axis=1)[:, None]).max(axis=1)


# Windows moved to the right of a face of 10 x 10 by 1, 4, 5 and 8 pixels: IoU 0.82, 0.43, 0.33, 0.11.
FACE = np.array([[0.0, 0.0, 10.0, 10.0]])
MOVED = FACE + np.array([[1.0], [4.0], [5.0], [8.0]]) * [1, 0, 1, 0]

SAMPLE_TYPES = Exercise(
    name="sample_types",
    topic=TOPIC,
    question=(
        "What does each of windows (M, 4) teach, by its largest IoU with any of faces (G, 4)? Below "
        "0.3 it is negative (0), above "
        "0.65 positive (1), from 0.4 to 0.65 a part (2), and in between nothing (-1)."
    ),
    returns="types (M,) integers",
    reference=answers.sample_types,
    cases=(
        {"windows": MOVED, "faces": FACE},
        {"windows": MOVED, "faces": np.concatenate([FACE + 50, FACE])},
        {"windows": np.array([[2.0, 2.0, 6.0, 6.0], [0.0, 0.0, 10.0, 5.0]]), "faces": FACE},
        {
            "windows": np.array([[0.0, 0.0, 20.0, 13.0], [0.0, 0.0, 20.0, 8.0]]),
            "faces": np.array([[0.0, 0.0, 20.0, 20.0]]),
        },
    ),
    mistakes=(
        Mistake(
            "Your windows from 0.3 to 0.4 are negatives: they show too much of a face to be called none.",
            lambda windows, faces: _types(iou(windows, faces).max(axis=1), negative=0.4),
        ),
        Mistake(
            "Your windows from 0.3 to 0.4 are parts: they show too little of a face.",
            lambda windows, faces: _types(iou(windows, faces).max(axis=1), part=0.3),
        ),
        Mistake(
            "You look at the first face only: the largest IoU with any face counts.",
            lambda windows, faces: _types(iou(windows, faces)[:, 0]),
        ),
        Mistake(
            "You take the mean over the faces: the largest IoU counts.",
            lambda windows, faces: _types(iou(windows, faces).mean(axis=1)),
        ),
        Mistake(
            "You measure which share of the window a face covers: a small window inside a face is "
            "not a good one. Divide by "
            "the union.",
            lambda windows, faces: _types(_within(windows, faces)),
        ),
        Mistake(
            "You have no parts: those above 0.4 count as positives.",
            lambda windows, faces: np.where(
                _types(iou(windows, faces).max(axis=1)) == 2, 1, _types(iou(windows, faces).max(axis=1))
            ),
        ),
    ),
)


def _first(losses: FloatArray, order: IntArray, count: int) -> Any:
    kept = np.zeros(len(losses), bool)
    kept[order[:count]] = True
    return kept


KEEP_HARDEST = Exercise(
    name="keep_hardest",
    topic=TOPIC,
    question=(
        "Online hard mining: mark the `share` of losses (M,) that are largest, floor(share * M) of "
        "them and at least one; of equal "
        "losses the earlier is kept first."
    ),
    returns="kept (M,) bool",
    reference=answers.keep_hardest,
    cases=(
        {"losses": np.array([0.1, 2.0, 0.3, 0.3]), "share": 0.5},
        {"losses": np.array([1.0, 0.5, 0.25, 4.0, 3.0, 0.75, 0.5, 2.0, 0.0, 1.5]), "share": 0.7},
        {"losses": np.array([0.5, 0.25, 0.75]), "share": 0.7},
        {"losses": np.array([0.25]), "share": 0.5},
    ),
    mistakes=(
        Mistake(
            "You keep the easiest: it is the largest losses that teach.",
            lambda losses, share: answers.keep_hardest(-losses, share),
        ),
        Mistake(
            "You keep losses above a share of the largest one: it is the number of samples that is fixed.",
            lambda losses, share: losses >= (1 - share) * losses.max(),
        ),
        Mistake(
            "You round the number up: floor(share * M) is asked for.",
            lambda losses, share: _first(
                losses, np.argsort(-losses, kind="stable"), int(np.ceil(share * len(losses) - 1e-9))
            ),
        ),
        Mistake(
            "You drop the share that you should keep: `share` is how many stay.",
            lambda losses, share: answers.keep_hardest(losses, 1 - share),
        ),
        Mistake(
            "Of equal losses you keep the later: sort -losses with kind='stable' instead of reversing.",
            lambda losses, share: answers.keep_hardest(losses[::-1], share)[::-1],
        ),
        Mistake(
            "You return the indices of the kept samples: a mask over all is asked for.",
            lambda losses, share: np.flatnonzero(answers.keep_hardest(losses, share)),
        ),
        Mistake(
            "Of very few samples you keep none: at least one stays.",
            lambda losses, share: _first(
                losses, np.argsort(-losses, kind="stable"), int(share * len(losses) + 1e-9)
            ),
        ),
    ),
)

EXERCISES = (
    PYRAMID_SCALES,
    CELL_WINDOWS,
    SHIFT_BOXES,
    SQUARE_BOXES,
    BOX_LABELS,
    SAMPLE_TYPES,
    KEEP_HARDEST,
)
