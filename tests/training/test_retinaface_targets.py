"""The targets of RetinaFace: by hand, image by image from their parts, and decoded again."""

import numpy as np
import pytest

from minidet.boxes import (
    PAPER_THRESHOLDS,
    REFERENCE_THRESHOLDS,
    MatchThresholds,
    decode_boxes,
    decode_landmarks,
    encode_boxes,
    encode_landmarks,
    generate_anchors,
    match_anchors,
)
from minidet.training.objectives import RetinaFaceTargets, retinaface_targets
from tests.check import FLOATS, LAYOUTS, assert_close
from tests.losses.checks import assert_refuses
from tests.oracles.cases import Numbers

BOTH = pytest.mark.parametrize(
    "thresholds", [PAPER_THRESHOLDS, REFERENCE_THRESHOLDS], ids=["paper", "reference"]
)
HALF = MatchThresholds(positive=0.5, negative=0.25, force_best=None)
# Three squares in a row, 10 wide.
ROW = np.array([[0.0, 0.0, 10.0, 10.0], [10.0, 0.0, 20.0, 10.0], [20.0, 0.0, 30.0, 10.0]])
COUNTS = [3, 0, 1, 8]


def scene(counts=COUNTS, dtype="float64"):
    """Anchors over 64 x 96 pixels, and so many faces in each image, some of them without landmarks."""
    boxes, landmarks, has_landmarks = [], [], []
    for n, count in enumerate(counts):
        numbers = Numbers(f"image {n} with {count} faces")
        centres, sides = numbers.positive(count, 2) * [64, 32], 20 * numbers.positive(count, 2)
        boxes.append(np.concatenate([centres - sides, centres + sides], axis=1).astype(dtype))
        points = centres[:, None] + sides[:, None] * numbers.real(count, 5, 2) / 2
        known = np.arange(count) % 3 != 1
        points[~known] = np.nan
        landmarks.append(points.astype(dtype))
        has_landmarks.append(known)
    return generate_anchors(64, 96).astype(dtype), boxes, landmarks, has_landmarks


def assert_same(targets, expected):
    for name, array, wanted in zip(RetinaFaceTargets._fields, targets, expected, strict=True):
        assert (array is None) == (wanted is None), name
        if array is not None:
            np.testing.assert_array_equal(array, wanted, err_msg=name)


# ---- By hand ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
def test_by_hand(dtype):
    # Image 0: face 0 is anchor 2 moved by 2 to the right (IoU 8/12), face 1 is half of anchor 0, without
    # landmarks; anchor 1 shares no pixel with either. Image 1: nothing. Image 2: the lower 3 rows of anchor 1
    # (IoU 0.3, ignored).
    boxes = [
        np.array([[22, 0, 32, 10], [0, 0, 10, 5]], dtype),
        np.zeros((0, 4), dtype),
        np.array([[10, 7, 20, 10]], dtype),
    ]
    points = np.array([[25, 5], [30, 5], [25, 10], [20, 0], [26, 4]], dtype)
    landmarks = [np.stack([points, points + np.nan]), np.zeros((0, 5, 2), dtype), points[None]]
    has_landmarks = [np.array([True, False]), np.zeros(0, bool), np.array([True])]
    targets = retinaface_targets(ROW.astype(dtype), boxes, landmarks, has_landmarks, HALF)

    assert targets.positive.tolist() == [[True, False, True], [False] * 3, [False] * 3]
    assert targets.negative.tolist() == [[False, True, False], [True] * 3, [True, False, True]]
    # In the order of the anchors, so face 1 first: half as high, its centre 2.5 higher.
    # Shifts are in tenths of the side, points from the centre of their anchor.
    wanted = np.array([[0, -2.5, 0, 5 * np.log(0.5)], [2, 0, 0, 0]], dtype)
    assert_close(targets.box_deltas, wanted, 1e-6)
    wanted = np.array([[0] * 10, [0, 0, 5, 0, 0, 5, -5, -5, 1, -1]], dtype)
    assert_close(targets.landmark_deltas, wanted, 1e-6)
    assert targets.has_landmarks.tolist() == [False, True]
    assert targets.vertices is None
    assert targets.has_mesh is None


# ---- From their parts ------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("dtype", FLOATS)
def test_image_by_image_they_are_matching_and_encoding(thresholds, dtype):
    anchors, boxes, landmarks, has_landmarks = scene(dtype=dtype)
    targets = retinaface_targets(anchors, boxes, landmarks, has_landmarks, thresholds)
    start = 0
    for n in range(len(COUNTS)):
        match = match_anchors(anchors, boxes[n], thresholds)
        np.testing.assert_array_equal(targets.positive[n], match.positive)
        np.testing.assert_array_equal(targets.negative[n], match.negative)
        face = match.face[match.positive]
        rows = slice(start, start + len(face))
        np.testing.assert_array_equal(
            targets.box_deltas[rows], encode_boxes(boxes[n][face], anchors[match.positive])
        )
        known = has_landmarks[n][face]
        np.testing.assert_array_equal(targets.has_landmarks[rows], known)
        np.testing.assert_array_equal(
            targets.landmark_deltas[rows][known],
            encode_landmarks(landmarks[n][face[known]], anchors[match.positive][known]),
        )
        assert not targets.landmark_deltas[rows][~known].any()
        start += len(face)
    assert start == len(targets.box_deltas) == np.count_nonzero(targets.positive)
    assert targets.has_landmarks.any()
    assert not targets.has_landmarks.all()


@BOTH
def test_decoded_they_are_the_faces(thresholds):
    anchors, boxes, landmarks, has_landmarks = scene()
    targets = retinaface_targets(anchors, boxes, landmarks, has_landmarks, thresholds)
    image, anchor = np.nonzero(targets.positive)
    decoded = decode_boxes(targets.box_deltas, anchors[anchor])
    points = decode_landmarks(targets.landmark_deltas, anchors[anchor])
    found = set()
    for p, n in enumerate(image):
        # Which face it is, is told by the box; the points have to be those of the same face.
        distance = np.abs(boxes[n] - decoded[p]).max(axis=1)
        g = int(distance.argmin())
        assert distance[g] < 1e-10
        assert targets.has_landmarks[p] == has_landmarks[n][g]
        if targets.has_landmarks[p]:
            np.testing.assert_allclose(points[p], landmarks[n][g], rtol=0, atol=1e-10)
        found.add((int(n), g))
    if thresholds is REFERENCE_THRESHOLDS:
        assert len(found) > 8  # nearly all of the 12


def test_a_batch_is_its_images_one_by_one():
    anchors, *lists = scene()
    whole = retinaface_targets(anchors, *lists, REFERENCE_THRESHOLDS)
    alone = [
        retinaface_targets(anchors, *([of_image] for of_image in image), REFERENCE_THRESHOLDS)
        for image in zip(*lists, strict=True)
    ]
    together = (np.concatenate(arrays) for arrays in zip(*(targets[:5] for targets in alone), strict=True))
    assert_same(whole, RetinaFaceTargets(*together))


def test_tuples_serve_as_well_as_lists():
    anchors, *lists = scene()
    expected = retinaface_targets(anchors, *lists, REFERENCE_THRESHOLDS)
    assert_same(retinaface_targets(anchors, *map(tuple, lists), REFERENCE_THRESHOLDS), expected)


# ---- Few faces, unknown points ---------------------------------------------------------------------


@pytest.mark.parametrize("N", [1, 3])
def test_no_faces_at_all(N):
    anchors, *lists = scene([0] * N)
    targets = retinaface_targets(anchors, *lists, REFERENCE_THRESHOLDS)
    assert targets.positive.shape == targets.negative.shape == (N, len(anchors))
    assert not targets.positive.any()
    assert targets.negative.all()
    assert targets.box_deltas.shape == (0, 4)
    assert targets.landmark_deltas.shape == (0, 10)
    assert targets.has_landmarks.shape == (0,)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("unknown", [np.nan, np.inf, -1.0, 1e300])
def test_points_that_are_not_known_may_be_anything(unknown, dtype):
    anchors, boxes, landmarks, has_landmarks = scene()
    anchors = anchors.astype(dtype)
    expected = retinaface_targets(anchors, boxes, landmarks, has_landmarks, REFERENCE_THRESHOLDS)
    others = [
        np.where(known[:, None, None], points, unknown)
        for points, known in zip(landmarks, has_landmarks, strict=True)
    ]
    assert_same(retinaface_targets(anchors, boxes, others, has_landmarks, REFERENCE_THRESHOLDS), expected)


# ---- Types, layouts --------------------------------------------------------------------------------


@pytest.mark.parametrize("of_faces", ["float32", "float64", "int64"])
@pytest.mark.parametrize("of_anchors", FLOATS)
def test_the_type_is_that_of_the_anchors(of_anchors, of_faces):
    boxes, points = np.array([[11, 2, 23, 14]]), np.full((1, 5, 2), 16)
    known = [np.array([True])]
    targets = retinaface_targets(
        ROW.astype(of_anchors), [boxes.astype(of_faces)], [points.astype(of_faces)], known, HALF
    )
    assert targets.box_deltas.dtype == targets.landmark_deltas.dtype == of_anchors
    assert targets.positive.dtype == targets.negative.dtype == targets.has_landmarks.dtype == np.bool_
    expected = retinaface_targets(
        ROW.astype(of_anchors), [boxes.astype(of_anchors)], [points.astype(of_anchors)], known, HALF
    )
    assert_same(targets, expected)


def test_the_type_without_faces():
    targets = retinaface_targets(*scene([0], "float32"), REFERENCE_THRESHOLDS)
    assert targets.box_deltas.dtype == targets.landmark_deltas.dtype == np.float32


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_and_nothing_is_changed(layout):
    anchors, boxes, landmarks, has_landmarks = scene([3, 8])
    expected = retinaface_targets(anchors, boxes, landmarks, has_landmarks, REFERENCE_THRESHOLDS)
    inputs = [layout(array) for array in (anchors, *boxes, *landmarks)]
    targets = retinaface_targets(inputs[0], inputs[1:3], inputs[3:], has_landmarks, REFERENCE_THRESHOLDS)
    assert_same(targets, expected)
    for result in targets[:5]:
        assert not any(np.shares_memory(result, array) for array in (*inputs, *has_landmarks))
        result[...] = 1
    for array, before in zip(inputs, (anchors, *boxes, *landmarks), strict=True):
        np.testing.assert_array_equal(array, before)


# ---- Refusals --------------------------------------------------------------------------------------


def refuses(message, *, anchors=None, **changes):
    """Require this message of a good batch of images with 3, 0, 1 and 8 faces with image 2 changed."""
    good_anchors, *lists = scene()
    for name, of_images in zip(("boxes", "landmarks", "has_landmarks"), lists, strict=True):
        of_images[2] = changes.pop(name, of_images[2])
    assert not changes
    anchors = good_anchors if anchors is None else anchors
    assert_refuses(
        f"retinaface_targets: {message}", retinaface_targets, anchors, *lists, REFERENCE_THRESHOLDS
    )


def test_lists_of_different_lengths():
    anchors, boxes, landmarks, has_landmarks = scene()
    assert_refuses(
        "retinaface_targets: 4 `boxes`, 3 `landmarks`, 4 `has_landmarks`; expected one of each per image",
        retinaface_targets,
        anchors,
        boxes,
        landmarks[:3],
        has_landmarks,
        REFERENCE_THRESHOLDS,
    )


def test_no_images():
    message = "retinaface_targets: `boxes` is empty; expected at least one image"
    assert_refuses(message, retinaface_targets, ROW, [], [], [], REFERENCE_THRESHOLDS)


@pytest.mark.parametrize("shape", [(2, 5, 2), (0, 5, 2), (1, 10), (1, 2, 5)])
def test_landmarks_of_another_shape(shape):
    message = f"image 2: `landmarks` has shape {shape}; expected (1, 5, 2), one per box"
    refuses(message, landmarks=np.zeros(shape))


@pytest.mark.parametrize(
    ("mask", "given"),
    [
        (np.ones(2, bool), "bool (2,)"),
        (np.ones(1, int), "int64 (1,)"),
        (np.array([[True]]), "bool (1, 1)"),
        (np.zeros(0, bool), "bool (0,)"),
    ],
)
def test_masks_that_do_not_fit(mask, given):
    message = f"image 2: `has_landmarks` is {given}; expected bool (1,), one per box"
    refuses(message, has_landmarks=mask)


def test_boxes_of_another_shape():
    message = "image 2: match_anchors: `boxes` has shape (1, 5); expected (any number, 4)"
    refuses(message, boxes=np.zeros((1, 5)))


def test_a_face_without_area():
    message = (
        "image 2: match_anchors: box 0 has no area: [3. 3. 3. 9.]; "
        "boxes are x1 y1 x2 y2; drop it before matching"
    )
    refuses(message, boxes=np.array([[3.0, 3.0, 3.0, 9.0]]))


def test_a_face_that_is_not_finite():
    message = (
        "image 2: match_anchors: box 0 is not finite: [ 3.  3. nan  9.]; "
        "boxes are x1 y1 x2 y2; drop it before matching"
    )
    refuses(message, boxes=np.array([[3.0, 3.0, np.nan, 9.0]]))


@pytest.mark.parametrize("box", [[10.0, 10.0, 40.0, 40.0], [900.0, 0.0, 910.0, 10.0]])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_point_that_should_be_known_whether_or_not_an_anchor_finds_the_face(value, box):
    points = np.zeros((1, 5, 2))
    points[0, 3, 1] = value
    message = (
        f"image 2: point 3 of face 0 is not finite: {points[0, 3]}; "
        "`has_landmarks` is False for faces whose points are not known"
    )
    refuses(message, boxes=np.array([box]), landmarks=points)


def test_the_face_is_counted_among_those_of_its_image():
    anchors, boxes, landmarks, has_landmarks = scene()
    landmarks[3][6, 1, 0] = np.nan
    assert_refuses(
        f"retinaface_targets: image 3: point 1 of face 6 is not finite: {landmarks[3][6, 1]}; "
        "`has_landmarks` is False for faces whose points are not known",
        retinaface_targets,
        anchors,
        boxes,
        landmarks,
        has_landmarks,
        REFERENCE_THRESHOLDS,
    )


def test_anchors_that_do_not_fit():
    message = "image 0: match_anchors: `anchors` has shape (3, 5); expected (any number, 4)"
    refuses(message, anchors=np.zeros((3, 5)))
    message = (
        "image 0: match_anchors: anchor 1 has no area: [0. 0. 0. 0.]; "
        "boxes are x1 y1 x2 y2; drop it before matching"
    )
    refuses(message, anchors=ROW * [[1], [0], [1]])


def test_anchors_of_whole_numbers():
    message = "`anchors` is int64; expected float32 or float64"
    refuses(message, anchors=ROW.astype(np.int64))


def test_missing_points_of_wider_face_are_not_learnt():
    message = (
        "image 2: all points of face 0 are -1, which WIDER FACE writes for missing ones; "
        "`has_landmarks` is False for faces whose points are not known"
    )
    refuses(message, landmarks=np.full((1, 5, 2), -1.0), has_landmarks=np.array([True]))


def test_pixels_and_shares_of_the_image_do_not_mix():
    message = "image 0: face 0 lies beyond all anchors: [2. 2. 8. 8.]; are both x1 y1 x2 y2 in pixels?"
    assert_refuses(
        f"retinaface_targets: {message}",
        retinaface_targets,
        np.array([[0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]]),
        [np.array([[2.0, 2.0, 8.0, 8.0]])],
        [np.zeros((1, 5, 2))],
        [np.array([False])],
        REFERENCE_THRESHOLDS,
    )
