"""Fast matching: the same match as the readable function, bit for bit, ties included."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet import boxes as readable
from minidet.boxes import PAPER_THRESHOLDS, REFERENCE_THRESHOLDS, MatchThresholds, generate_anchors
from minidet.errors import InputError
from minidet.fast.boxes import match_anchors
from minidet.fast.boxes.matching import BLOCK
from minidet.training.objectives import retinaface_targets
from tests.check import FLOATS, LAYOUTS

THRESHOLDS = [
    PAPER_THRESHOLDS,
    REFERENCE_THRESHOLDS,
    MatchThresholds(1, 0, 0),
    MatchThresholds(0.5, 0.5, 0.0),
]

small, side = st.integers(0, 6), st.integers(1, 5)
some_boxes = st.lists(
    st.tuples(small, small, side, side).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])), max_size=20
)
eighths = st.integers(1, 8).map(lambda n: n / 8)
some_thresholds = st.tuples(
    st.lists(eighths, min_size=2, max_size=2).map(sorted), st.none() | st.just(0.0) | eighths
).map(lambda parts: MatchThresholds(parts[0][1], parts[0][0], parts[1]))


def assert_equal_to_twin(anchors, boxes, thresholds):
    """Require all four arrays of the match, types included."""
    match, expected = (
        match_anchors(anchors, boxes, thresholds),
        readable.match_anchors(anchors, boxes, thresholds),
    )
    for name in match._fields:
        actual, wanted = getattr(match, name), getattr(expected, name)
        assert actual.dtype == wanted.dtype
        np.testing.assert_array_equal(actual, wanted, err_msg=name)
    return match


def faces(seed, G, span, dtype=np.float32, smallest=5, largest=200):
    """Boxes with sides of ``smallest`` to ``largest`` pixels, some of them reaching beyond the image."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, span, (G, 2))
    sides = np.exp(rng.uniform(np.log(smallest), np.log(largest), (G, 2)))
    return np.concatenate([centres - sides / 2, centres + sides / 2], axis=1).astype(dtype)


@pytest.mark.parametrize("dtype", FLOATS)
@given(anchors=some_boxes, boxes=some_boxes, thresholds=some_thresholds)
def test_few_boxes_with_many_ties(dtype, anchors, boxes, thresholds):
    assert_equal_to_twin(
        np.array(anchors, dtype).reshape(-1, 4), np.array(boxes, dtype).reshape(-1, 4), thresholds
    )


@pytest.mark.parametrize("thresholds", THRESHOLDS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("G", [0, 1, 2, 40])
def test_anchors_of_an_image(G, dtype, thresholds):
    for seed, (height, width) in enumerate([(1, 1), (96, 128), (203, 77)]):
        anchors = generate_anchors(height, width).astype(dtype)
        assert_equal_to_twin(anchors, faces(seed, G, 150, dtype), thresholds)


@pytest.mark.parametrize("A", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 5 * BLOCK - 7])
def test_numbers_of_anchors_around_the_block(A):
    anchors = generate_anchors(160, 160)[:A]
    assert_equal_to_twin(anchors, faces(A, 12, 160), REFERENCE_THRESHOLDS)


@pytest.mark.parametrize("thresholds", [PAPER_THRESHOLDS, REFERENCE_THRESHOLDS])
def test_the_paper_s_five_levels(thresholds):
    sizes = [[16 * 2**level * 2 ** (k / 3) for k in range(3)] for level in range(5)]
    anchors = generate_anchors(320, 320, strides=[4, 8, 16, 32, 64], sizes=sizes)
    match = assert_equal_to_twin(anchors, faces(0, 50, 320), thresholds)
    assert match.positive.sum() > 50


def test_anchors_in_no_order():
    anchors = np.random.default_rng(0).permutation(generate_anchors(128, 128))
    assert_equal_to_twin(anchors, faces(1, 30, 128), REFERENCE_THRESHOLDS)


def test_equal_anchors_in_several_blocks_and_equal_faces():
    anchors = np.tile(generate_anchors(32, 32), (40, 1))
    boxes = np.tile(faces(2, 5, 32, smallest=10, largest=40), (3, 1))
    match = assert_equal_to_twin(anchors, boxes, REFERENCE_THRESHOLDS)
    assert match.positive.any()


def test_faces_that_only_touch_an_anchor_or_lie_far_away():
    anchors = np.array([[0, 0, 10, 10], [10, 0, 20, 10]], np.float32)
    boxes = np.array([[20, 0, 30, 10], [0, 10, 10, 20], [-10, 0, 0, 10], [900, 900, 910, 910]], np.float32)
    match = assert_equal_to_twin(anchors, boxes, MatchThresholds(0.5, 0.5, 0.0))
    assert match.negative.all()


def test_numbers_so_large_or_small_that_areas_are_infinite_or_zero():
    anchors, boxes = generate_anchors(64, 64), faces(3, 10, 64)
    with np.errstate(all="ignore"):
        for factor in (1e-25, 1e16, 1e30):
            scaled = anchors * np.float32(factor), boxes * np.float32(factor)
            assert_equal_to_twin(*scaled, REFERENCE_THRESHOLDS)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_and_the_arguments_are_not_changed(layout):
    anchors, boxes = generate_anchors(96, 128), faces(4, 6, 100)
    given_anchors, given_boxes = layout(anchors), layout(boxes)
    assert_equal_to_twin(given_anchors, given_boxes, REFERENCE_THRESHOLDS)
    np.testing.assert_array_equal(given_anchors, anchors)
    np.testing.assert_array_equal(given_boxes, boxes)


@pytest.mark.parametrize(
    ("anchors", "boxes"),
    [
        (np.ones((2, 5)), np.ones((2, 4))),
        (np.ones((2, 4), int), np.ones((2, 4))),
        (np.array([[0.0, 0.0, 1.0, 1.0]]), np.array([[3.0, 3.0, 3.0, 4.0]])),
        (np.array([[0.0, 0.0, np.nan, 1.0]]), np.array([[3.0, 3.0, 4.0, 4.0]])),
    ],
)
def test_refused_with_the_words_of_the_twin(anchors, boxes):
    with pytest.raises(InputError) as fast:
        match_anchors(anchors, boxes)
    with pytest.raises(InputError) as twin:
        readable.match_anchors(anchors, boxes)
    assert str(fast.value) == str(twin.value)


def test_the_signature_is_that_of_the_twin():
    assert inspect.signature(match_anchors) == inspect.signature(readable.match_anchors)


def test_targets_are_the_same_with_either_matcher():
    anchors = generate_anchors(96, 128)
    boxes = faces(5, 8, 100, smallest=15, largest=80)
    landmarks = np.repeat(boxes[:, None, :2], 5, axis=1)
    arguments = anchors, [boxes], [landmarks], [np.ones(8, bool)], REFERENCE_THRESHOLDS
    asked = []

    def matcher(*arguments):
        asked.append(arguments)
        return match_anchors(*arguments)

    for actual, wanted in zip(
        retinaface_targets(*arguments, matcher=matcher), retinaface_targets(*arguments), strict=True
    ):
        np.testing.assert_array_equal(actual, wanted)
    assert len(asked) == 1
