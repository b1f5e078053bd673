"""Decoding the survivors: what the readable steps of RetinaFace find, in their order and to the last bit."""

import numpy as np
import pytest

from minidet.boxes import decode_boxes, decode_landmarks, generate_anchors
from minidet.errors import InputError
from minidet.fast.boxes import decode_candidates
from tests.check import LAYOUTS

SIZES = [(1, 1), (8, 8), (9, 17), (64, 96), (101, 333), (480, 640)]
LEVELS = {
    "three": {},
    "five": {
        "strides": (4, 8, 16, 32, 64),
        "sizes": tuple(tuple(16 * 2**level * 2 ** (k / 3) for k in range(3)) for level in range(5)),
    },
    "one": {"strides": [16], "sizes": [[10.3]]},
    "uneven": {"strides": [8, 24], "sizes": [[10, 20, 40], [33.3]]},
}


def outputs(seed, A):
    """Make outputs of a network: scores with ties, and deltas."""
    rng = np.random.default_rng(seed)
    face = (rng.integers(0, 50, A) / 49).astype(np.float32)
    box_deltas = rng.normal(0, 1.5, (A, 4)).astype(np.float32)
    landmark_deltas = rng.normal(0, 1.5, (A, 10)).astype(np.float32)
    return box_deltas, np.stack([1 - face, face], axis=1), landmark_deltas


def by_the_readable_steps(box_deltas, scores, landmark_deltas, anchors, threshold, most, scale):
    """Steps 3 to 5 of ``detect_retinaface``."""
    candidates = np.flatnonzero(scores[:, 1] > threshold)
    candidates = candidates[np.argsort(-scores[candidates, 1], kind="stable")][:most]
    boxes = decode_boxes(box_deltas[candidates], anchors[candidates]) * np.concatenate([scale, scale])
    landmarks = decode_landmarks(landmark_deltas[candidates], anchors[candidates]) * scale
    return candidates, scores[candidates, 1], boxes, landmarks


def assert_same(found, expected):
    for name, actual, wanted in zip(found._fields, found, expected, strict=True):
        assert actual.dtype == wanted.dtype
        np.testing.assert_array_equal(actual, wanted, err_msg=name)


@pytest.mark.parametrize("levels", LEVELS.values(), ids=LEVELS)
@pytest.mark.parametrize("size", SIZES)
def test_equal_to_the_readable_steps(size, levels):
    anchors = generate_anchors(*size, **levels)
    arrays = outputs(size[1], len(anchors))
    scale = np.array([1.3, 0.7], np.float32)
    for threshold, most in [(0.5, 5000), (0.0, 7), (0.97, 5000), (1.0, 5000)]:
        found = decode_candidates(
            *arrays, *size, score_threshold=threshold, max_candidates=most, scale=(1.3, 0.7), **levels
        )
        assert_same(found, by_the_readable_steps(*arrays, anchors, threshold, most, scale))


def test_a_score_equal_to_the_threshold_is_not_enough():
    scores = np.array([0.5, np.nextafter(np.float32(0.5), np.float32(1))], np.float32)
    arrays = np.zeros((2, 4), np.float32), scores, np.zeros((2, 10), np.float32)
    found = decode_candidates(
        *arrays, 8, 16, score_threshold=0.5, max_candidates=9, strides=[8], sizes=[[16]]
    )
    assert found.anchors.tolist() == [1]


def test_scores_of_the_face_alone():
    box_deltas, scores, landmark_deltas = outputs(0, len(generate_anchors(64, 64)))
    options = {"score_threshold": 0.6, "max_candidates": 100}
    both = decode_candidates(box_deltas, scores, landmark_deltas, 64, 64, **options)
    face = decode_candidates(box_deltas, scores[:, 1], landmark_deltas, 64, 64, **options)
    assert_same(face, both)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_and_the_arguments_are_not_changed(layout):
    arrays = outputs(1, len(generate_anchors(40, 64)))
    options = {"score_threshold": 0.6, "max_candidates": 100}
    given = [layout(array) for array in arrays]
    assert_same(decode_candidates(*given, 40, 64, **options), decode_candidates(*arrays, 40, 64, **options))
    for before, after in zip(arrays, given, strict=True):
        np.testing.assert_array_equal(after, before)


def fitting(**change):
    """Arguments for an image of 8 x 16 with anchors at one stride, but for ``change``."""
    return {
        "box_deltas": np.zeros((2, 4), np.float32),
        "scores": np.zeros((2, 2), np.float32),
        "landmark_deltas": np.zeros((2, 10), np.float32),
        "height": 8,
        "width": 16,
        "score_threshold": 0.5,
        "max_candidates": 10,
        "strides": [8],
        "sizes": [[16]],
    } | change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": np.zeros((3, 2), np.float32)}, "`scores` has shape (3, 2); expected (2, 2), "),
        ({"scores": np.zeros(3, np.float32)}, "`scores` has shape (3,); expected (2,), "),
        ({"box_deltas": np.zeros((2, 5), np.float32)}, "`box_deltas` has shape (2, 5); expected (2, 4), "),
        (
            {"landmark_deltas": np.zeros((1, 10), np.float32)},
            "`landmark_deltas` has shape (1, 10); expected ",
        ),
        ({"scores": np.zeros((2, 2))}, "`scores` is float64; expected float32"),
        ({"height": 0}, "image of 0 x 16; expected sides of at least 1 pixel"),
        ({"sizes": [[16], [32]]}, "1 strides and 2 sets of sizes"),
        ({"score_threshold": 1.5}, "score_threshold=1.5; expected 0 to 1"),
        ({"max_candidates": 0}, "max_candidates=0; expected a whole number from 1 up"),
    ],
)
def test_refused(change, message):
    with pytest.raises(InputError) as caught:
        decode_candidates(**fitting(**change))
    assert str(caught.value).startswith(f"decode_candidates: {message}")
