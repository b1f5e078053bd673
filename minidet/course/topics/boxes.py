"""Exercises on boxes."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidet._typing import Float64Array, FloatArray
from minidet.course.answers import boxes as answers
from minidet.course.exercise import Exercise, Mistake
from minidet.course.topics._numbers import halves

TOPIC = "Boxes"


def _iou(*, extra: float = 0, clipped: bool = True, minus_shared: bool = True, whole: str = "union") -> Any:
    """Make an IoU with a mistake."""

    def iou(a: FloatArray, b: FloatArray) -> FloatArray:
        sides = np.minimum(a[:, None, 2:], b[:, 2:]) - np.maximum(a[:, None, :2], b[:, :2]) + extra
        if clipped:
            sides = np.maximum(sides, 0)
        shared = sides[..., 0] * sides[..., 1]
        area_a = np.prod(a[:, 2:] - a[:, :2] + extra, axis=1)[:, None]
        area_b = np.prod(b[:, 2:] - b[:, :2] + extra, axis=1)
        union = area_a + area_b - (shared if minus_shared else 0)
        wholes = {"union": union, "min": np.minimum(area_a, area_b), "first": area_a + 0 * area_b}
        return shared / wholes[whole]

    return iou


def _pairs_only(a: FloatArray, b: FloatArray) -> FloatArray:
    count = min(len(a), len(b))
    return np.diagonal(answers.iou(a[:count], b[:count])).copy()


IOU = Exercise(
    name="iou",
    topic=TOPIC,
    question=(
        "Compare every box of a (A, 4) with every box of b (B, 4), x1 y1 x2 y2: the area they share "
        "over the area of their "
        "union. Coordinates are continuous: a box is x2 - x1 wide."
    ),
    returns="(A, B) array",
    reference=answers.iou,
    cases=(
        {"a": np.array([[0.0, 0.0, 2.0, 2.0]]), "b": np.array([[1.0, 1.0, 3.0, 3.0]])},
        {"a": np.array([[0.0, 0.0, 4.0, 4.0]]), "b": np.array([[1.0, 1.0, 3.0, 2.0]])},
        {"a": np.array([[0.0, 0.0, 2.0, 2.0]]), "b": np.array([[5.0, 7.0, 8.0, 9.0]])},
        {
            "a": np.array([[0.0, 0.0, 4.0, 2.0], [1.0, 0.0, 2.0, 3.0]]),
            "b": np.array([[0.0, 0.0, 4.0, 2.0], [3.0, 1.0, 6.0, 5.0], [0.0, 4.0, 1.0, 5.0]]),
        },
    ),
    mistakes=(
        Mistake(
            "Your IoU adds 1 to widths and heights: that is for boxes of whole pixels with both "
            "corners in them.",
            _iou(extra=1),
        ),
        Mistake(
            "Your IoU does not cut negative widths and heights off at 0: boxes that are apart in "
            "both directions share "
            "minus times minus.",
            _iou(clipped=False),
        ),
        Mistake("Your union counts the shared area twice: take it off once.", _iou(minus_shared=False)),
        Mistake("You divide by the smaller of the two areas: the union is asked for.", _iou(whole="min")),
        Mistake("You divide by the area of the first box: the union is asked for.", _iou(whole="first")),
        Mistake(
            "Your IoU compares box k with box k only: every box of a with every box of b is asked for.",
            _pairs_only,
        ),
    ),
)


ANCHORS = np.array([[0.0, 0.0, 10.0, 10.0], [4.0, 8.0, 24.0, 16.0], [-8.0, 0.0, 8.0, 32.0]])
FACES = np.array([[5.0, -5.0, 15.0, 15.0], [6.0, 8.0, 16.0, 24.0], [-4.0, 2.0, 4.0, 30.0]])
VARIANCES = (0.1, 0.2)

Variances = tuple[float, float]


def _encode_by_corners(boxes: FloatArray, anchors: FloatArray, variances: Variances) -> FloatArray:
    deltas = answers.encode_boxes(boxes, anchors, variances)
    size = anchors[:, 2:] - anchors[:, :2]
    deltas[:, :2] = (boxes[:, :2] - anchors[:, :2]) / (variances[0] * size)
    return deltas


def _encode_in_box_sides(boxes: FloatArray, anchors: FloatArray, variances: Variances) -> FloatArray:
    deltas = answers.encode_boxes(boxes, anchors, variances)
    deltas[:, :2] *= (anchors[:, 2:] - anchors[:, :2]) / (boxes[:, 2:] - boxes[:, :2])
    return deltas


def _encode_without_logarithm(boxes: FloatArray, anchors: FloatArray, variances: Variances) -> FloatArray:
    deltas = answers.encode_boxes(boxes, anchors, variances)
    deltas[:, 2:] = (boxes[:, 2:] - boxes[:, :2]) / (anchors[:, 2:] - anchors[:, :2]) / variances[1]
    return deltas


ENCODE_BOXES = Exercise(
    name="encode_boxes",
    topic=TOPIC,
    question=(
        "What is RetinaFace to learn, if anchors (A, 4) are to become boxes (A, 4)? The shift of the "
        "centre in anchor sides "
        "over variances[0], and the natural logarithm of the change of size over variances[1]."
    ),
    returns="box_deltas (A, 4): x, y, width, height",
    reference=answers.encode_boxes,
    cases=(
        {"boxes": FACES[:1], "anchors": ANCHORS[:1], "variances": (1.0, 1.0)},
        {"boxes": FACES[:1], "anchors": ANCHORS[:1], "variances": VARIANCES},
        {"boxes": FACES, "anchors": ANCHORS, "variances": VARIANCES},
    ),
    mistakes=(
        Mistake(
            "Your deltas leave out the variances: divide by them.",
            lambda boxes, anchors, variances: answers.encode_boxes(boxes, anchors, (1.0, 1.0)),
        ),
        Mistake(
            "You multiply by the variances: encoding divides, decoding multiplies.",
            lambda boxes, anchors, variances: answers.encode_boxes(
                boxes, anchors, (1 / variances[0], 1 / variances[1])
            ),
        ),
        Mistake(
            "The variances are exchanged: the first is for the centre, the second for the size.",
            lambda boxes, anchors, variances: answers.encode_boxes(boxes, anchors, variances[::-1]),
        ),
        Mistake(
            "Your shift is that of the top left corner: it is the centre that moves.", _encode_by_corners
        ),
        Mistake(
            "Your shift is counted in sides of the face: a network knows the anchor's only.",
            _encode_in_box_sides,
        ),
        Mistake("Your change of size lacks the logarithm.", _encode_without_logarithm),
        Mistake(
            "Face and anchor are exchanged: the deltas lead from the anchor to the face.",
            lambda boxes, anchors, variances: answers.encode_boxes(anchors, boxes, variances),
        ),
    ),
)

DELTAS = np.array([[5.0, 0.0, 0.0, 3.5], [-2.0, 1.0, 1.5, 0.0], [0.5, -0.5, -2.0, 1.0]])


def _as_centre_and_size(box_deltas: FloatArray, anchors: FloatArray, variances: Variances) -> FloatArray:
    boxes = answers.decode_boxes(box_deltas, anchors, variances)
    return np.concatenate(answers.corners_to_centre(boxes), axis=1)


def _decode_without_exp(box_deltas: FloatArray, anchors: FloatArray, variances: Variances) -> FloatArray:
    centre, _ = answers.corners_to_centre(answers.decode_boxes(box_deltas, anchors, variances))
    size = (anchors[:, 2:] - anchors[:, :2]) * (1 + variances[1] * box_deltas[:, 2:])
    return np.concatenate([centre - size / 2, centre + size / 2], axis=1)


def _from_corner(box_deltas: FloatArray, anchors: FloatArray, variances: Variances) -> FloatArray:
    boxes = answers.decode_boxes(box_deltas, anchors, variances)
    centre, size = answers.corners_to_centre(boxes)
    return np.concatenate([centre, centre + size], axis=1)


DECODE_BOXES = Exercise(
    name="decode_boxes",
    topic=TOPIC,
    question=(
        "Apply RetinaFace's answer box_deltas (A, 4) to anchors (A, 4): the centre moves by "
        "variances[0] * delta * side, the "
        "size is multiplied by exp(variances[1] * delta)."
    ),
    returns="boxes (A, 4), x1 y1 x2 y2",
    reference=answers.decode_boxes,
    cases=(
        {"box_deltas": np.array([[1.0, -0.5, 0.5, 0.0]]), "anchors": ANCHORS[:1], "variances": (1.0, 1.0)},
        {"box_deltas": DELTAS[:1], "anchors": ANCHORS[:1], "variances": VARIANCES},
        {"box_deltas": DELTAS, "anchors": ANCHORS, "variances": VARIANCES},
    ),
    mistakes=(
        Mistake(
            "Your boxes leave out the variances: multiply by them.",
            lambda box_deltas, anchors, variances: answers.decode_boxes(box_deltas, anchors, (1.0, 1.0)),
        ),
        Mistake(
            "The variances are exchanged: the first is for the centre, the second for the size.",
            lambda box_deltas, anchors, variances: answers.decode_boxes(box_deltas, anchors, variances[::-1]),
        ),
        Mistake("Your boxes are centre and size: x1 y1 x2 y2 is asked for.", _as_centre_and_size),
        Mistake("Your change of size lacks exp: it is taken as a share.", _decode_without_exp),
        Mistake("Your boxes begin at their centre: half of the size lies to the left of it.", _from_corner),
        Mistake(
            "Your shift leaves out the anchor's sides: a delta counts in those.",
            lambda box_deltas, anchors, variances: answers.decode_boxes(
                box_deltas
                / np.concatenate([answers.corners_to_centre(anchors)[1], np.ones((len(anchors), 2))], axis=1),
                anchors,
                variances,
            ),
        ),
    ),
)

POINTS = ANCHORS[:, None, :2] + 4 + np.abs(halves(400, 3, 5, 2))


ENCODE_LANDMARKS = Exercise(
    name="encode_landmarks",
    topic=TOPIC,
    question=(
        "What is RetinaFace to learn of five points? Of landmarks (A, 5, 2) and anchors (A, 4) "
        "compute each point's distance "
        "from the anchor's centre, in anchor sides, over the variance."
    ),
    returns="landmark_deltas (A, 10): x1 y1 .. x5 y5",
    reference=answers.encode_landmarks,
    cases=(
        {"landmarks": POINTS[:1], "anchors": ANCHORS[:1], "variance": 0.1},
        {"landmarks": POINTS, "anchors": ANCHORS, "variance": 0.1},
        {"landmarks": POINTS[1:], "anchors": ANCHORS[1:], "variance": 0.5},
    ),
    mistakes=(
        Mistake(
            "Your points are measured from the anchor's corner, as in MTCNN: RetinaFace measures "
            "from the centre.",
            lambda landmarks, anchors, variance: (
                answers.encode_landmarks(landmarks, anchors, variance) + 0.5 / variance
            ),
        ),
        Mistake(
            "Your numbers are in the order x1..x5 y1..y5, as in MTCNN: RetinaFace has x1 y1 .. x5 y5.",
            lambda landmarks, anchors, variance: (
                answers.encode_landmarks(landmarks, anchors, variance)
                .reshape(-1, 5, 2)
                .transpose(0, 2, 1)
                .reshape(-1, 10)
            ),
        ),
        Mistake(
            "Your deltas leave out the variance: divide by it.",
            lambda landmarks, anchors, variance: answers.encode_landmarks(landmarks, anchors, 1.0),
        ),
        Mistake(
            "You multiply by the variance: encoding divides, decoding multiplies.",
            lambda landmarks, anchors, variance: answers.encode_landmarks(landmarks, anchors, 1 / variance),
        ),
        Mistake(
            "Your y is counted in widths of the anchor: x is counted in widths, y in heights.",
            lambda landmarks, anchors, variance: (
                answers.encode_landmarks(landmarks, anchors, variance) * np.tile(_one_and_ratio(anchors), 5)
            ),
        ),
    ),
)


def _one_and_ratio(anchors: FloatArray) -> FloatArray:
    size = anchors[:, 2:] - anchors[:, :2]
    return np.stack([np.ones(len(size)), size[:, 1] / size[:, 0]], axis=1)


MIRROR_BOXES = Exercise(
    name="mirror_boxes",
    topic=TOPIC,
    question=(
        "Find boxes (K, 4), x1 y1 x2 y2, again in the mirrored image, which is `width` wide; "
        "coordinates are continuous."
    ),
    returns="boxes (K, 4)",
    reference=answers.mirror_boxes,
    cases=(
        {"boxes": np.array([[0.0, 20.0, 30.0, 60.0]]), "width": 100},
        {"boxes": np.array([[10.0, 0.0, 20.0, 8.0], [35.0, 5.0, 50.0, 30.0]]), "width": 50},
    ),
    mistakes=(
        Mistake(
            "Your boxes have negative widths: the left side becomes the right one, so x1 and x2 "
            "change places.",
            lambda boxes, width: np.stack(
                [width - boxes[:, 0], boxes[:, 1], width - boxes[:, 2], boxes[:, 3]], axis=1
            ),
        ),
        Mistake(
            "You mirror at width - 1: that is for indices of pixels; of continuous coordinates 0 "
            "becomes width.",
            lambda boxes, width: answers.mirror_boxes(boxes, width - 1),
        ),
        Mistake(
            "You mirror at the middle of the box: it has to be the middle of the image.",
            lambda boxes, width: boxes.copy(),
        ),
        Mistake(
            "You mirror y too: that is a turn by 180 degrees.",
            lambda boxes, width: width - boxes[:, [2, 3, 0, 1]],
        ),
    ),
)


def _only_x(landmarks: FloatArray, width: float) -> FloatArray:
    mirrored = landmarks.copy()
    mirrored[:, :, 0] = width - mirrored[:, :, 0]
    return mirrored


def _face(x: float, y: float) -> Float64Array:
    return np.array([[10.0, 1.0], [30.0, 2.0], [20.0, 3.0], [12.0, 4.0], [28.0, 5.0]]) + np.array([x, y])


MIRROR_LANDMARKS = Exercise(
    name="mirror_landmarks",
    topic=TOPIC,
    question=(
        "Find landmarks (K, 5, 2) again in the mirrored image, which is `width` wide: left eye, "
        "right eye, nose, left and right "
        "mouth corner, named as seen in the image."
    ),
    returns="landmarks (K, 5, 2)",
    reference=answers.mirror_landmarks,
    cases=(
        {"landmarks": _face(0, 0)[None], "width": 100},
        {"landmarks": np.stack([_face(5, 0), _face(20, 10)]), "width": 64},
    ),
    mistakes=(
        Mistake(
            "Your landmarks are not exchanged when mirrored: the left eye of the mirrored face is "
            "the one that was on the right.",
            _only_x,
        ),
        Mistake(
            "You exchange the eyes only: the mouth corners change places too.",
            lambda landmarks, width: _only_x(landmarks[:, [1, 0, 2, 3, 4]], width),
        ),
        Mistake(
            "You exchange left and right, but the points stay where they are: x becomes width - x.",
            lambda landmarks, width: landmarks[:, [1, 0, 2, 4, 3]],
        ),
        Mistake(
            "You mirror at width - 1: that is for indices of pixels; of continuous coordinates 0 "
            "becomes width.",
            lambda landmarks, width: answers.mirror_landmarks(landmarks, width - 1),
        ),
        Mistake(
            "You reverse the order of all points: left eye and right eye change places, not eye and mouth.",
            lambda landmarks, width: _only_x(landmarks[:, ::-1], width),
        ),
    ),
)

EXERCISES = (IOU, ENCODE_BOXES, DECODE_BOXES, ENCODE_LANDMARKS, MIRROR_BOXES, MIRROR_LANDMARKS)
