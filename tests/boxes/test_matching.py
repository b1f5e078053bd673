"""Matching: by hand, against an exact twin, and next to the reference code with its wrong targets."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.boxes import (
    PAPER_THRESHOLDS,
    REFERENCE_THRESHOLDS,
    MatchThresholds,
    encode_boxes,
    generate_anchors,
    iou,
    match_anchors,
)
from minidet.errors import InputError
from tests.check import FLOATS, LAYOUTS
from tests.oracles.cases import Numbers

# Few positions and sides, so that ties are common; thresholds that floats hold exactly.
small, side = st.integers(0, 6), st.integers(1, 5)
some_boxes = st.lists(
    st.tuples(small, small, side, side).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])), max_size=8
)
eighths = st.integers(1, 8).map(lambda n: Fraction(n, 8))
some_thresholds = st.tuples(
    st.lists(eighths, min_size=2, max_size=2).map(sorted),
    st.none() | st.just(Fraction(0)) | eighths,
).map(lambda parts: (parts[0][1], parts[0][0], parts[1]))

NOTHING_FORCED = MatchThresholds(positive=0.5, negative=0.25, force_best=None)


def boxes_of(*rows, dtype=np.float64):
    """Turn rows x1 y1 x2 y2, possibly none, into an array of boxes."""
    return np.array(rows, dtype).reshape(-1, 4)


def strips(*widths):
    """Boxes one pixel high, all from x = 0: two of them have the IoU smaller width / larger width."""
    return boxes_of(*((0, 0, width, 1) for width in widths))


def overlap_of(a, b):
    """IoU of two integer boxes, as an exact fraction."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    area_a, area_b = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return Fraction(shared, area_a + area_b - shared)


def match_by_definition(anchors, boxes, positive_from, negative_below, force_best):
    """Return the face of each anchor (-1: none), "positive", "negative" or "ignored", and its best IoU."""
    overlaps = [[overlap_of(anchor, box) for box in boxes] for anchor in anchors]
    matches = []
    for row in overlaps:
        best = max(row, default=Fraction(0))
        if row and best >= positive_from:
            matches.append([row.index(best), "positive", best])  # index() is that of the first
        else:
            matches.append([-1, "negative" if not row or best < negative_below else "ignored", best])
    claims = {}
    for g in range(len(boxes) if anchors and force_best is not None else 0):
        column = [row[g] for row in overlaps]
        if max(column) >= force_best and max(column) > 0:
            claims.setdefault(column.index(max(column)), []).append((max(column), g))
    for a, claimants in claims.items():
        strongest = max(overlap for overlap, _ in claimants)
        matches[a][0] = min(g for overlap, g in claimants if overlap == strongest)
        matches[a][1] = "positive"
    return matches


def reference_match(anchors, boxes):
    """What biubug6's code does, in our words: the face of each anchor (-1: none), and who is positive."""
    overlaps = iou(boxes, anchors)  # (G, A)
    best_anchor, strong = overlaps.argmax(axis=1), overlaps.max(axis=1) >= 0.2
    face, best = overlaps.argmax(axis=0), overlaps.max(axis=0)
    if not strong.any():
        return np.full(len(anchors), -1), np.zeros(len(anchors), bool)
    best[best_anchor[strong]] = 2  # forced: above any threshold
    for g, a in enumerate(best_anchor):  # here it forgets to look at `strong`
        face[a] = g
    positive = best >= 0.35
    return np.where(positive, face, -1), positive


# ---- By definition ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@given(anchors=some_boxes, boxes=some_boxes, thresholds=some_thresholds)
def test_against_the_exact_twin(dtype, anchors, boxes, thresholds):
    match = match_anchors(
        boxes_of(*anchors, dtype=dtype),
        boxes_of(*boxes, dtype=dtype),
        MatchThresholds(*(None if t is None else float(t) for t in thresholds)),
    )
    expected = match_by_definition(anchors, boxes, *thresholds)
    assert match.face.tolist() == [face for face, _, _ in expected]
    assert match.positive.tolist() == [kind == "positive" for _, kind, _ in expected]
    assert match.negative.tolist() == [kind == "negative" for _, kind, _ in expected]
    assert match.iou.tolist() == [float(np.dtype(dtype).type(float(best))) for _, _, best in expected]


@pytest.mark.parametrize("thresholds", [PAPER_THRESHOLDS, REFERENCE_THRESHOLDS])
def test_against_the_whole_matrix(thresholds):
    for seed in range(10):
        anchors, boxes = random_scene(seed, faces=40)
        overlaps = iou(anchors, boxes)  # (A, G)
        match = match_anchors(anchors, boxes, thresholds)
        best = overlaps.max(axis=1)
        np.testing.assert_array_equal(match.iou, best)
        forced = np.zeros(len(anchors), bool)
        if thresholds.force_best is not None:
            forced[overlaps.argmax(axis=0)[overlaps.max(axis=0) >= np.float32(0.2)]] = True
        np.testing.assert_array_equal(match.positive, (best >= np.float32(thresholds.positive)) | forced)
        np.testing.assert_array_equal(match.negative, (best < np.float32(thresholds.negative)) & ~forced)
        by_overlap = match.positive & ~forced
        np.testing.assert_array_equal(match.face[by_overlap], overlaps.argmax(axis=1)[by_overlap])
        assert np.count_nonzero(by_overlap) > 5
        assert (match.face[~match.positive] == -1).all()


def test_the_reasons_given_for_the_two_sets():
    sizes = tuple(tuple(base * 2 ** (i / 3) for i in range(3)) for base in (16, 32, 64, 128, 256))
    dense = generate_anchors(640, 640, strides=(4, 8, 16, 32, 64), sizes=sizes)
    assert len(dense) == 102_300
    numbers = Numbers("faces of 14 to 300 pixels")
    width = 14 * (300 / 14) ** (numbers.positive(100) - 0.5)
    height = width * numbers.some_of([1.0, 1.25, 1.5], 100)
    centre = numbers.whole(1000, 5400, 2, 100) / 10
    half = np.stack([width, height]) / 2
    faces = np.concatenate([centre - half, centre + half]).T.astype(np.float32)
    best_dense = np.array([iou(dense, faces[g : g + 1]).max() for g in range(100)])
    best_coarse = iou(generate_anchors(640, 640), faces).max(axis=0)
    assert (best_dense > 0.6).all()
    assert 0.9 <= np.mean(best_coarse > 0.5) < 1
    assert (best_coarse > 0.35).all()


# ---- Thresholds ------------------------------------------------------------------------------------


def test_positive_ignored_negative():
    # One face 8 wide; the IoU of each anchor is width / 8. Equal to a threshold is not below it.
    match = match_anchors(strips(8, 4, 3.9, 2, 1.9), strips(8), NOTHING_FORCED)
    assert match.positive.tolist() == [True, True, False, False, False]
    assert match.negative.tolist() == [False, False, False, False, True]
    assert match.face.tolist() == [0, 0, -1, -1, -1]
    np.testing.assert_allclose(match.iou, [1, 0.5, 3.9 / 8, 0.25, 1.9 / 8], rtol=1e-15)


@pytest.mark.parametrize(
    ("thresholds", "positive", "ignored", "forced"),
    [(PAPER_THRESHOLDS, 50, (49, 30), None), (REFERENCE_THRESHOLDS, 35, (), 20)],
)
def test_the_published_figures(thresholds, positive, ignored, forced):
    # One face 100 wide, with an anchor for itself: the IoU of the others is their width in per cent.
    lowest = min((positive, *ignored))
    widths = (100, positive, *ignored, lowest - 1)
    match = match_anchors(strips(*widths), strips(100), thresholds)
    assert match.positive.tolist() == [width >= positive for width in widths]
    assert match.negative.tolist() == [width < lowest for width in widths]
    for width in (29, 20, 19):  # a face of its own, below every other threshold
        match = match_anchors(strips(100), strips(width), thresholds)
        assert match.positive.tolist() == [forced is not None and width >= forced]


@pytest.mark.parametrize(("force_best", "face"), [(0.25, 0), (0.26, -1), (0.0, 0), (None, -1)])
def test_forced_from_its_threshold_on(force_best, face):
    match = match_anchors(strips(8), strips(2), MatchThresholds(0.5, 0.5, force_best))
    assert match.face.tolist() == [face]
    assert match.positive.tolist() == [face == 0]
    assert match.negative.tolist() == [face == -1]
    assert match.iou.tolist() == [0.25]  # what it is, forced or not


def test_an_ignored_anchor_can_be_forced():
    match = match_anchors(strips(8), strips(3), MatchThresholds(0.5, 0.25, force_best=0.3))
    assert (match.face[0], match.positive[0], match.negative[0]) == (0, True, False)


def test_force_best_of_zero_does_not_force_what_touches_no_anchor():
    match = match_anchors(strips(8), strips(8) + 100, MatchThresholds(0.5, 0.5, force_best=0.0))
    assert match.face.tolist() == [-1]
    assert match.negative.tolist() == [True]


def test_thresholds_are_compared_in_the_type_of_the_boxes():
    # 7 / 20 in float32 is 0.34999999404, below the float64 0.35 but equal to the float32 one.
    anchors, boxes, threshold = strips(20).astype(np.float32), strips(7).astype(np.float32), np.float64(0.35)
    assert match_anchors(anchors, boxes, MatchThresholds(threshold, threshold, None)).positive.all()
    assert not match_anchors(anchors, boxes, MatchThresholds(1, threshold, None)).negative.any()
    assert match_anchors(anchors, boxes, MatchThresholds(1, 1, threshold)).positive.all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0.3, 0.5, None), "negative=0.5, positive=0.3"),
        ((1.1, 0.5, None), "negative=0.5, positive=1.1"),
        ((0.5, -0.1, None), "negative=-0.1, positive=0.5"),
        ((0.0, 0.0, None), "negative=0.0, positive=0.0"),
        ((float("nan"), 0.3, None), "negative=0.3, positive=nan"),
        ((0.5, float("nan"), None), "negative=nan, positive=0.5"),
        (("0.5", 0.3, None), "negative=0.3, positive='0.5'"),
        ((0.5, None, None), "negative=None, positive=0.5"),
    ],
)
def test_thresholds_out_of_order_are_refused(values, message):
    with pytest.raises(InputError) as caught:
        MatchThresholds(*values)
    assert str(caught.value) == (
        f"MatchThresholds: {message}; expected 0 <= negative <= positive <= 1 and positive above 0"
    )


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), "0.2"])
def test_force_best_out_of_range_is_refused(value):
    with pytest.raises(InputError) as caught:
        MatchThresholds(0.5, 0.3, value)
    assert str(caught.value) == f"MatchThresholds: force_best={value!r}; expected 0 to 1, or None"


def test_the_limits_are_allowed():
    match = match_anchors(strips(8, 7), strips(8), MatchThresholds(positive=1, negative=0, force_best=1))
    assert match.face.tolist() == [0, -1]
    assert match.negative.tolist() == [False, False]


# ---- Claims ----------------------------------------------------------------------------------------


def test_a_face_gets_its_best_anchor_even_where_that_overlaps_another_face_more():
    # Anchor 1 (9 wide) overlaps face 0 (10 wide) by 0.9 and face 1 (3 wide) by 1/3, and nobody overlaps
    # face 1 by more. Face 0 has anchor 0 for itself.
    match = match_anchors(strips(10, 9), strips(10, 3))
    assert match.face.tolist() == [0, 1]
    np.testing.assert_allclose(match.iou, [1, 0.9])


@pytest.mark.parametrize("widths", [(4, 6), (6, 4)])
def test_of_two_that_claim_one_anchor_the_larger_overlap_gets_it(widths):
    match = match_anchors(strips(10), strips(*widths))
    assert match.face.tolist() == [widths.index(6)]


def test_of_equal_claims_the_first_gets_it():
    match = match_anchors(strips(10), strips(4, 4, 4))
    assert match.face.tolist() == [0]


def test_the_loser_does_not_turn_to_its_next_best():
    # Both faces are best overlapped by anchor 0; the second has 3/12 left with anchor 1, above 0.2.
    match = match_anchors(strips(10, 12), strips(4, 3))
    assert match.face.tolist() == [0, -1]
    assert match.negative.tolist() == [False, True]


def test_the_loser_keeps_what_it_has_by_overlap():
    # Both claim anchor 0, face 0 by 10/10 and face 1 by 5/10. Anchor 1 is positive for face 1 by 4/10.
    anchors = boxes_of((0, 0, 10, 1), (6, 0, 15, 1))
    boxes = boxes_of((0, 0, 10, 1), (5, 0, 10, 1))
    match = match_anchors(anchors, boxes)
    assert match.face.tolist() == [0, 1]
    np.testing.assert_allclose(match.iou, [1, 0.4])


def test_of_equal_anchors_the_first_is_forced():
    match = match_anchors(strips(10, 10, 10), strips(3))
    assert match.face.tolist() == [0, -1, -1]
    assert match.negative.tolist() == [False, True, True]


def test_of_equal_faces_an_anchor_takes_the_first():
    assert match_anchors(strips(10, 9), strips(10, 10), NOTHING_FORCED).face.tolist() == [0, 0]


# ---- The reference's wrong targets -----------------------------------------------------------------


def random_scene(seed, faces, *, smallest=8):
    """Anchors over 96 x 128 pixels and faces with sides of ``smallest`` to 80 pixels, all float32."""
    numbers = Numbers(seed)
    sides = smallest * (80 / smallest) ** (numbers.positive(faces, 2) - 0.5)
    centres = numbers.whole(0, 1000, faces, 2) / 1000 * [128, 96]
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
    return generate_anchors(96, 128), boxes.astype(np.float32)


@pytest.mark.parametrize(
    ("stray", "largest_delta"),
    [
        ((2, 2, 5, 5), 5 * np.log(10 / 3)),  # tiny, inside anchor 0: IoU 0.09
        ((500, 0, 510, 10), 500),  # far from every anchor: the first of equal zeros is anchor 0
    ],
)
def test_a_face_that_is_too_small_or_far_away_takes_nothing_from_another(stray, largest_delta):
    anchors = boxes_of((0, 0, 10, 10), (10, 0, 20, 10))
    boxes = boxes_of((0, 0, 10, 8), stray)  # face 0 overlaps anchor 0 by 0.8

    face, positive = reference_match(anchors, boxes)
    assert positive.tolist() == [True, False]
    assert face.tolist() == [1, -1]  # the wrong face
    wrong = encode_boxes(boxes[face[:1]], anchors[:1])
    assert np.abs(wrong).max() == pytest.approx(largest_delta)

    match = match_anchors(anchors, boxes)
    assert match.positive.tolist() == [True, False]
    assert match.face.tolist() == [0, -1]
    right = encode_boxes(boxes[match.face[:1]], anchors[:1])
    np.testing.assert_allclose(right, [[0, -1, 0, 5 * np.log(0.8)]], atol=1e-12)


def test_a_face_without_area_is_refused_where_the_reference_learns_minus_infinity():
    anchors, boxes = boxes_of((0, 0, 10, 10)), boxes_of((0, 0, 10, 8), (3, 3, 3, 9))
    face, positive = reference_match(anchors, boxes)
    assert positive.all()
    assert boxes[face[0], 2] - boxes[face[0], 0] == 0  # a target with the logarithm of 0
    with pytest.raises(InputError) as caught:
        match_anchors(anchors, boxes)
    assert (
        str(caught.value)
        == "match_anchors: box 1 has no area: [3. 3. 3. 9.]; boxes are x1 y1 x2 y2; drop it before matching"
    )


def test_of_two_that_claim_one_anchor_the_reference_takes_the_later():
    anchors, boxes = strips(10), strips(6, 4)
    assert reference_match(anchors, boxes)[0].tolist() == [1]
    assert match_anchors(anchors, boxes).face.tolist() == [0]


def test_equal_to_the_reference_wherever_that_does_not_go_wrong():
    unchanged = 0
    for seed in range(200):
        anchors, boxes = random_scene(seed, faces=1 + seed % 20, smallest=5)
        face, positive = reference_match(anchors, boxes)
        match = match_anchors(anchors, boxes)
        np.testing.assert_array_equal(match.positive, positive)
        np.testing.assert_array_equal(match.negative, ~positive)

        # Anchors where it goes wrong: best of a face below 0.2, or of several faces.
        overlaps = iou(boxes, anchors)
        best_anchor, weak = overlaps.argmax(axis=1), overlaps.max(axis=1) < 0.2
        anchor, claims = np.unique(best_anchor, return_counts=True)
        odd = np.zeros(len(anchors), bool)
        odd[best_anchor[weak]] = True
        odd[anchor[claims > 1]] = True
        np.testing.assert_array_equal(match.face[~odd], face[~odd])
        unchanged += not odd.any() and positive.any()
    print(f"{unchanged} of 200 scenes without anything odd")
    assert 50 < unchanged < 150  # scenes of both kinds


def test_among_random_scenes_the_reference_goes_wrong_in_some():
    wrong = 0
    for seed in range(200):
        anchors, boxes = random_scene(seed, faces=20, smallest=3)
        face, positive = reference_match(anchors, boxes)
        targets = iou(anchors[positive], boxes)[np.arange(positive.sum()), face[positive]]
        wrong += np.count_nonzero(targets < np.float32(0.2))
        ours = match_anchors(anchors, boxes)
        targets = iou(anchors[ours.positive], boxes)[np.arange(positive.sum()), ours.face[ours.positive]]
        assert (targets >= np.float32(0.2)).all()
    print(f"{wrong} wrong targets in 200 scenes")
    assert wrong > 10


# ---- Shapes, types, refusals -----------------------------------------------------------------------


@pytest.mark.parametrize("thresholds", [PAPER_THRESHOLDS, REFERENCE_THRESHOLDS, MatchThresholds(1, 0, 0)])
def test_without_faces_all_are_negative(thresholds):
    match = match_anchors(strips(1, 2, 3), boxes_of(), thresholds)
    assert match.face.tolist() == [-1, -1, -1]
    assert not match.positive.any()
    assert match.negative.all()
    assert match.iou.tolist() == [0, 0, 0]


@pytest.mark.parametrize("faces", [0, 2])
def test_no_anchors(faces):
    match = match_anchors(boxes_of(), strips(1, 2)[:faces])
    assert [array.shape for array in match] == [(0,)] * 4


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("faces", [0, 2])
def test_types(dtype, faces):
    match = match_anchors(strips(5, 8, 9).astype(dtype), strips(5, 8)[:faces].astype(dtype))
    assert match.face.dtype == np.intp
    assert match.positive.dtype == match.negative.dtype == np.bool_
    assert match.iou.dtype == dtype


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_and_the_arguments_are_not_changed(layout):
    anchors, boxes = random_scene(3, faces=6)
    expected = match_anchors(anchors, boxes)
    given_anchors, given_boxes = layout(anchors), layout(boxes)
    for actual, wanted in zip(match_anchors(given_anchors, given_boxes), expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)
    np.testing.assert_array_equal(given_anchors, anchors)
    np.testing.assert_array_equal(given_boxes, boxes)


FINE = ((0.0, 0.0, 1.0, 1.0),) * 2
nan, inf = np.nan, np.inf


@pytest.mark.parametrize(
    ("anchors", "boxes", "message"),
    [
        (FINE, (*FINE, (5, 5, 5, 9)), "box 2 has no area: [5. 5. 5. 9.]"),
        (FINE, (*FINE, (5, 5, 9, 5)), "box 2 has no area: [5. 5. 9. 5.]"),
        (FINE, (*FINE, (5, 5, 4, 9)), "box 2 has no area: [5. 5. 4. 9.]"),
        (FINE, (*FINE, (9, 9, 5, 5)), "box 2 has no area: [9. 9. 5. 5.]"),  # two negative sides
        (FINE, ((0, nan, 1, 1), *FINE), "box 0 is not finite: [ 0. nan  1.  1.]"),
        (FINE, (*FINE, (0, 0, inf, 1)), "box 2 is not finite: [ 0.  0. inf  1.]"),
        (FINE, (*FINE, (-inf, 0, inf, 1)), "box 2 is not finite: [-inf   0.  inf   1.]"),
        (FINE, (*FINE, (inf, 0, inf, 1)), "box 2 is not finite: [inf  0. inf  1.]"),
        ((*FINE, (0, 0, 0, 1)), FINE, "anchor 2 has no area: [0. 0. 0. 1.]"),
        ((*FINE, (0, 0, nan, 1)), FINE, "anchor 2 is not finite: [ 0.  0. nan  1.]"),
        ((*FINE, (0, 0, 0, 1)), (), "anchor 2 has no area: [0. 0. 0. 1.]"),
        ((), ((0, 0, 0, 1),), "box 0 has no area: [0. 0. 0. 1.]"),
    ],
)
def test_what_is_no_box_is_refused_and_named(anchors, boxes, message):
    with pytest.raises(InputError) as caught:
        match_anchors(boxes_of(*anchors), boxes_of(*boxes))
    assert str(caught.value) == f"match_anchors: {message}; boxes are x1 y1 x2 y2; drop it before matching"


@pytest.mark.parametrize(
    ("anchors", "boxes", "message"),
    [
        (np.ones((2, 5)), np.ones((2, 4)), "`anchors` has shape (2, 5); expected (any number, 4)"),
        (np.ones((2, 4)), np.ones(4), "`boxes` has shape (4,); expected (any number, 4)"),
        (np.ones((2, 4), int), np.ones((2, 4)), "`anchors` is int64; expected float32 or float64"),
        (np.ones((2, 4)), np.ones((2, 4), np.float16), "`boxes` is float16; expected float32 or float64"),
        (
            np.ones((2, 4), np.float32),
            np.ones((2, 4)),
            "`boxes` is float64, `anchors` is float32; cast one with .astype()",
        ),
    ],
)
def test_shapes_and_types_that_do_not_fit_are_refused(anchors, boxes, message):
    with pytest.raises(InputError) as caught:
        match_anchors(anchors, boxes)
    assert str(caught.value) == f"match_anchors: {message}"
