"""The cascade: its reference arithmetic by hand, and its steps with made-up networks.

The made-up image is 48 x 48 and the smallest face 24, so there is one pyramid level of 25 x 25 at scale 0.5
and P-Net's map has 8 x 8 cells. Cell (0, 0) is the window 2 2 24 24; each further cell is 4 pixels on.
"""

import numpy as np
import pytest

from minidet import InputError, Trace
from minidet.detectors import MTCNNSettings, detect_mtcnn
from minidet.detectors.mtcnn import (
    CROPS_AT_ONCE,
    cell_windows,
    in_batches,
    inclusive_side,
    place_landmarks,
    shift,
    side,
    square,
)
from minidet.image import crop_squares, mtcnn_input

IMAGE = np.random.default_rng(3).integers(0, 256, (48, 48, 3), dtype=np.uint8)
WINDOW = [2, 2, 24, 24]
STEPS = ["pyramid", "pnet", "propose", "merge", "rnet", "refine", "onet", "output"]


def settings(**changes):
    options = {"min_face_size": 24, "pyramid_factor": 0.1, "score_thresholds": (0.5, 0.5, 0.5)}
    return MTCNNSettings(**(options | changes))


def pnet(cells, deltas=(0, 0, 0, 0)):
    """A P-Net that finds ``cells``, {(row, column): score}, and moves every one by ``deltas``."""

    def network(x):
        assert x.shape == (1, 3, 25, 25)
        scores = np.zeros((1, 2, 8, 8), np.float32)
        for (row, column), score in cells.items():
            scores[0, 1, row, column] = score
        scores[0, 0] = 1 - scores[0, 1]
        return scores, np.broadcast_to(np.array(deltas, np.float32)[:, None, None], (1, 4, 8, 8))

    return network


def rnet(*face_scores, deltas=(0, 0, 0, 0)):
    """An R-Net that gives its crops these scores and moves every one by ``deltas``."""

    def network(x):
        assert x.shape == (len(face_scores), 3, 24, 24)
        scores = np.array([[1 - score, score] for score in face_scores], np.float32)
        return scores, np.tile(np.array(deltas, np.float32), (len(scores), 1))

    return network


def onet(*face_scores, deltas=(0, 0, 0, 0), landmarks=(0.5,) * 10):
    """An O-Net that gives its crops these scores, deltas and landmarks."""

    def network(x):
        assert x.shape == (len(face_scores), 3, 48, 48)
        scores = np.array([[1 - score, score] for score in face_scores], np.float32)
        rows = len(scores), 1
        return scores, np.tile(np.float32(deltas), rows), np.tile(np.float32(landmarks), rows)

    return network


def not_asked(x):
    raise AssertionError(f"a network was asked about {len(x)} crops")


ONE_FACE = pnet({(0, 0): 0.9}), rnet(0.8), onet(0.75)


# ---- the reference arithmetic ----


@pytest.mark.parametrize(
    ("row", "column", "scale", "window"),
    [
        (0, 0, 0.5, [2, 2, 24, 24]),
        (3, 0, 0.5, [2, 14, 24, 36]),  # rows are y
        (0, 3, 0.5, [14, 2, 36, 24]),
        (1, 2, 1.0, [5, 3, 16, 14]),
        (0, 0, 0.7, [1, 1, 17, 17]),  # 1 / 0.7 = 1.4.. and 12 / 0.7 = 17.1.. rounded down
    ],
)
def test_cell_window(row, column, scale, window):
    assert cell_windows(np.array([row]), np.array([column]), scale).tolist() == [window]


@pytest.mark.parametrize(
    ("column", "scale", "x1", "x2", "x1_of_float64", "x2_of_float64"),
    [
        (4, 12 / 20, 14, 33, 15, 33),  # 9 / 0.6 is 15 in float64, 14.999999 in float32
        (3, 12 / 20, 11, 29, 11, 30),
        (23, 12 / 20 * 0.709**4, 310, 382, 309, 382),  # the other way round
    ],
)
def test_cell_windows_are_rounded_down_in_float32(column, scale, x1, x2, x1_of_float64, x2_of_float64):
    assert np.floor((2 * column + 1) / scale) == x1_of_float64
    assert np.floor((2 * column + 12) / scale) == x2_of_float64
    window = cell_windows(np.array([0]), np.array([column]), scale)
    assert window.dtype == np.float32
    assert window[0, [0, 2]].tolist() == [x1, x2]


def test_sides_with_and_without_the_corner_pixels():
    boxes = np.array([[10.0, 20.0, 30.0, 50.0]], np.float32)
    assert side(boxes).tolist() == [[20, 30]]
    assert inclusive_side(boxes).tolist() == [[21, 31]]


def test_shift_moves_x_by_widths_and_y_by_heights():
    boxes = np.array([[10.0, 20.0, 30.0, 60.0]])
    deltas = np.array([[0.5, 0.25, -0.5, 1.0]])
    assert shift(boxes, deltas, side(boxes)).tolist() == [[20, 30, 20, 100]]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([10, 10, 30, 50], [0, 10, 40, 50]),  # too narrow
        ([10, 10, 50, 20], [10, -5, 50, 35]),  # too low
        ([1, 2, 4, 5], [1, 2, 4, 5]),
        ([0, 0, 3, 2], [0, -0.5, 3, 2.5]),  # no rounding
    ],
)
def test_square(box, expected):
    assert square(np.array([box], float)).tolist() == [expected]


def test_place_landmarks():
    box = np.array([[11.0, 21.0, 30.0, 60.0]])  # 20 x 40 with both corners, from (10, 20) counted from 0
    deltas = np.array([[0, 1, 0.5, 0.25, 0.75, 0, 0, 0.5, 1, 1]])  # x1..x5, y1..y5
    assert place_landmarks(box, deltas).tolist() == [[[10, 20], [30, 20], [20, 40], [15, 60], [25, 60]]]


def test_place_no_landmarks():
    assert place_landmarks(np.zeros((0, 4)), np.zeros((0, 10))).shape == (0, 5, 2)


# ---- the cascade ----


def test_one_face():
    faces = detect_mtcnn(IMAGE, *ONE_FACE, settings())
    assert faces.boxes.tolist() == [WINDOW]
    assert faces.scores.tolist() == [0.75]
    assert faces.landmarks.tolist() == [[[12.5, 12.5]] * 5]  # 2 - 1 + 23 / 2


def test_every_network_moves_the_box():
    pnet_moves = pnet(
        {(0, 0): 0.9}, deltas=[0.5, 0, 0.5, 0.5]
    )  # by 22: 13 2 35 35, then square: 7.5 2 40.5 35
    rnet_moves = rnet(0.8, deltas=[0, 0.5, 0, 0])  # by 34: 7.5 19 40.5 35, then square: 7.5 10.5 40.5 43.5
    onet_moves = onet(0.75, deltas=[0.5, 0, 0, -0.5], landmarks=[0] * 5 + [1] * 5)  # by 34, not made square
    faces = detect_mtcnn(IMAGE, pnet_moves, rnet_moves, onet_moves, settings())
    assert faces.boxes.tolist() == [[24.5, 10.5, 40.5, 26.5]]
    # Landmarks lie in the box that O-Net has seen: x at its left edge, y at its lower one.
    assert faces.landmarks.tolist() == [[[6.5, 43.5]] * 5]


@pytest.mark.parametrize("border", ["clip", "zero"])
def test_the_networks_see_the_crops_of_the_boxes(border):
    seen = []

    def listening(network):
        return lambda x: (seen.append(x), network(x))[1]

    # Moved up and left by 11, beyond the border; R-Net moves it 23 further right.
    networks = pnet({(0, 0): 0.9}, deltas=[-0.5] * 4), rnet(0.8, deltas=[1, 0, 1, 0]), onet(0.7)
    detect_mtcnn(IMAGE, *map(listening, networks), settings(crop_border=border))
    first, second = np.array([[-9.0, -9.0, 13.0, 13.0]]), np.array([[14.0, -9.0, 36.0, 13.0]])
    np.testing.assert_array_equal(seen[1], mtcnn_input(crop_squares(IMAGE, first, 24, border=border)[0]))
    np.testing.assert_array_equal(seen[2], mtcnn_input(crop_squares(IMAGE, second, 48, border=border)[0]))


def test_best_score_first():
    far_apart = pnet({(0, 0): 0.9, (7, 7): 0.8})
    faces = detect_mtcnn(IMAGE, far_apart, rnet(0.6, 0.7), onet(0.9, 0.6), settings())
    # R-Net likes the lower right one better, so O-Net is asked about that one first.
    assert faces.boxes.tolist() == [[30, 30, 52, 52], WINDOW]
    assert faces.scores.tolist() == pytest.approx([0.9, 0.6])


# ---- thresholds ----

JUST_BELOW, JUST_ABOVE = (
    np.nextafter(np.float32(0.5), np.float32(0)),
    np.nextafter(np.float32(0.5), np.float32(1)),
)


@pytest.mark.parametrize(("score", "found"), [(JUST_BELOW, 0), (0.5, 1), (JUST_ABOVE, 1)])
def test_pnet_keeps_a_score_equal_to_its_threshold(score, found):
    faces = detect_mtcnn(IMAGE, pnet({(0, 0): score}), *ONE_FACE[1:], settings())
    assert len(faces) == found


@pytest.mark.parametrize(("score", "found"), [(JUST_BELOW, 0), (0.5, 0), (JUST_ABOVE, 1)])
def test_rnet_drops_a_score_equal_to_its_threshold(score, found):
    faces = detect_mtcnn(IMAGE, ONE_FACE[0], rnet(score), ONE_FACE[2], settings())
    assert len(faces) == found


@pytest.mark.parametrize(("score", "found"), [(JUST_BELOW, 0), (0.5, 0), (JUST_ABOVE, 1)])
def test_onet_drops_a_score_equal_to_its_threshold(score, found):
    faces = detect_mtcnn(IMAGE, *ONE_FACE[:2], onet(score), settings())
    assert len(faces) == found


@pytest.mark.parametrize("stage", range(3))
def test_each_network_has_its_own_threshold(stage):
    thresholds = [0.5, 0.5, 0.5]
    thresholds[stage] = 0.95
    nothing_after = [*ONE_FACE[: stage + 1], not_asked, not_asked][:3]
    assert len(detect_mtcnn(IMAGE, *nothing_after, settings(score_thresholds=tuple(thresholds)))) == 0


# ---- overlapping boxes ----


def test_neighbouring_cells_are_one_proposal():
    # 2 2 24 24 and 6 2 28 24 share 18 of 26 columns; the better one stays.
    cells = {(0, 0): 0.8, (0, 1): 0.9}
    faces = detect_mtcnn(IMAGE, pnet(cells), rnet(0.8), onet(0.75), settings())
    assert faces.boxes.tolist() == [[6, 2, 28, 24]]


def test_the_iou_within_a_level_is_a_setting():
    two = settings(nms_within_level=0.7)
    faces = detect_mtcnn(IMAGE, pnet({(0, 0): 0.8, (0, 1): 0.9}), rnet(0.6, 0.8), onet(0.75, 0.55), two)
    assert len(faces) == 1  # O-Net's NMS: 19 of the smaller box's 23 columns


def test_two_boxes_that_pnet_moves_to_one_place_are_one_after_rnet():
    def pnet_moves(x):
        # 2 2 24 24 and 14 2 36 24 share 10 of 34 columns. The second is moved onto the first.
        scores, deltas = pnet({(0, 0): 0.9, (0, 3): 0.8})(x)
        deltas = deltas.copy()
        deltas[0, :, 0, 3] = [-12 / 22, 0, -12 / 22, 0]
        return scores, deltas

    faces = detect_mtcnn(IMAGE, pnet_moves, rnet(0.8, 0.9), onet(0.75), settings())
    np.testing.assert_allclose(faces.boxes, [WINDOW], atol=1e-5)


def test_a_face_inside_a_better_one_is_dropped_at_the_end():
    def shrink_the_second(x):
        scores, _, landmarks = onet(0.9, 0.8)(x)
        # The second box is 14 2 36 24 and becomes 14 7 19 12: inside the first, which becomes 2 2 36 24.
        return scores, np.float32([[0, 0, 12 / 23, 0], [0, 5 / 23, -17 / 23, -12 / 23]]), landmarks

    faces = detect_mtcnn(
        IMAGE, pnet({(0, 0): 0.9, (0, 3): 0.8}), rnet(0.9, 0.8), shrink_the_second, settings()
    )
    np.testing.assert_allclose(faces.boxes, [[2, 2, 36, 24]], atol=1e-5)


def test_the_same_face_on_every_level_is_one_proposal():
    levels = []

    def on_every_level(x):
        levels.append(x.shape)
        scores = np.zeros((1, 2, 8, 8), np.float32)
        scores[0, 1, 0, 0] = 0.9
        return scores, np.zeros((1, 4, 8, 8), np.float32)

    # The shorter side is 12.26, 12.13 and 12.01 pixels, and the window nearly the same.
    close = settings(pyramid_factor=0.99, min_face_size=47)
    faces = detect_mtcnn(IMAGE, on_every_level, rnet(0.8), onet(0.75), close)
    assert len(levels) == 3
    assert len(faces) == 1


# ---- nothing found ----


def trace_of(*networks, image=IMAGE, **changes):
    trace = Trace()
    faces = detect_mtcnn(image, *networks, settings(**changes), trace)
    assert (faces.boxes.shape, faces.scores.shape, faces.landmarks.shape) == ((0, 4), (0,), (0, 5, 2))
    return [step.name for step in trace]


@pytest.mark.parametrize("shape", [(1, 1, 3), (23, 23, 3), (23, 900, 3), (900, 23, 3)])
def test_an_image_smaller_than_the_smallest_face(shape):
    assert trace_of(not_asked, not_asked, not_asked, image=np.zeros(shape, np.uint8)) == STEPS[:1]


def test_no_proposal():
    assert trace_of(pnet({}), not_asked, not_asked) == STEPS[:4]


def test_all_dropped_by_rnet():
    assert trace_of(pnet({(0, 0): 0.9, (7, 7): 0.9}), rnet(0.1, 0.2), not_asked) == STEPS[:6]


def test_all_dropped_by_onet():
    assert trace_of(pnet({(0, 0): 0.9, (7, 7): 0.9}), rnet(0.8, 0.9), onet(0.1, 0.2)) == STEPS


def test_pnet_moves_the_only_box_out_of_the_image():
    assert trace_of(pnet({(0, 0): 0.9}, deltas=[-2, 0, -2, 0]), not_asked, not_asked) == STEPS[:4]


def test_rnet_moves_the_only_box_out_of_the_image():
    assert trace_of(pnet({(0, 0): 0.9}), rnet(0.9, deltas=[0, 9, 0, 9]), not_asked) == STEPS[:6]


# ---- a box outside among others ----


def test_after_pnet_a_box_outside_is_left_out_and_the_others_keep_their_numbers():
    def pnet_moves(x):
        scores, deltas = pnet({(0, 0): 0.9, (0, 7): 0.8, (7, 0): 0.7})(x)
        deltas = deltas.copy()
        deltas[0, :, 0, 0] = [-9, 0, -9, 0]  # the best one goes
        return scores, deltas

    faces = detect_mtcnn(IMAGE, pnet_moves, rnet(0.9, 0.8), onet(0.6, 0.7), settings())
    assert faces.boxes.tolist() == [[2, 30, 24, 52], [30, 2, 52, 24]]
    assert faces.scores.tolist() == pytest.approx([0.7, 0.6])


def test_after_rnet_a_box_outside_is_left_out_and_the_others_keep_their_numbers():
    def rnet_moves(x):
        deltas = np.zeros((3, 4), np.float32)
        deltas[1] = [0, -9, 0, -9]
        return np.float32([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]]), deltas

    cells = {(0, 0): 0.9, (0, 7): 0.8, (7, 0): 0.7}
    faces = detect_mtcnn(IMAGE, pnet(cells), rnet_moves, onet(0.6, 0.7), settings())
    assert faces.boxes.tolist() == [[2, 30, 24, 52], WINDOW]
    assert faces.scores.tolist() == pytest.approx([0.7, 0.6])


# ---- trace and settings ----


def test_the_trace_has_every_step():
    trace = Trace()
    detect_mtcnn(IMAGE, *ONE_FACE, settings(), trace)
    assert [step.name for step in trace] == STEPS
    assert trace["pyramid"]["scales"] == [0.5]
    assert trace["pyramid"]["levels"][0].shape == (25, 25, 3)
    assert trace["pnet"]["scores"][0].shape == (8, 8)
    assert trace["pnet"]["box_deltas"][0].shape == (4, 8, 8)
    assert trace["propose"]["boxes"].tolist() == [WINDOW]
    assert trace["propose"]["per_level"] == [1]
    assert trace["merge"]["kept"].tolist() == [0]
    assert trace["rnet"]["crops"].shape == (1, 24, 24, 3)
    assert trace["refine"]["passed"].tolist() == [0]
    assert trace["onet"]["crops"].shape == (1, 48, 48, 3)
    assert trace["output"]["boxes"].tolist() == [WINDOW]


def test_defaults_are_those_of_facenet_pytorch():
    assert MTCNNSettings() == MTCNNSettings(
        min_face_size=20,
        pyramid_factor=0.709,
        score_thresholds=(0.6, 0.7, 0.7),
        crop_border="clip",
        nms_within_level=0.5,
        nms_across_levels=0.7,
        nms_refined=0.7,
        nms_final=0.7,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_face_size": 0}, "MTCNN: min_face_size=0; expected at least 1 pixel"),
        ({"min_face_size": float("nan")}, "MTCNN: min_face_size=nan; expected at least 1 pixel"),
        ({"min_face_size": float("inf")}, "MTCNN: min_face_size=inf; expected at least 1 pixel"),
        ({"pyramid_factor": 1}, "MTCNN: pyramid_factor=1; expected above 0 and below 1"),
        ({"pyramid_factor": 0}, "MTCNN: pyramid_factor=0; expected above 0 and below 1"),
        ({"pyramid_factor": 1.4}, "MTCNN: pyramid_factor=1.4; expected above 0 and below 1"),
        (
            {"score_thresholds": (0.6, 0.7)},
            "MTCNN: score_thresholds=(0.6, 0.7); expected three numbers from 0 to 1",
        ),
        (
            {"score_thresholds": (0.6, 0.7, 70)},
            "MTCNN: score_thresholds=(0.6, 0.7, 70); expected three numbers from 0 to 1",
        ),
        (
            {"score_thresholds": 0.7},
            "MTCNN: score_thresholds=0.7; expected three numbers from 0 to 1",
        ),
        ({"min_face_size": "20"}, "MTCNN: min_face_size='20'; expected at least 1 pixel"),
        ({"nms_final": 7}, "MTCNN: nms_final=7; expected 0 to 1"),
        ({"nms_within_level": -0.1}, "MTCNN: nms_within_level=-0.1; expected 0 to 1"),
        ({"crop_border": "stretch"}, "MTCNN: crop_border='stretch'; expected 'clip' or 'zero'"),
    ],
)
def test_settings_out_of_range(changes, message):
    with pytest.raises(InputError) as caught:
        MTCNNSettings(**changes)
    assert str(caught.value) == message


def test_settings_cannot_be_changed_afterwards():
    with pytest.raises(AttributeError):
        MTCNNSettings().min_face_size = 40


def test_a_crowd_goes_through_the_network_in_batches():
    sizes = []

    def network(x):
        sizes.append(len(x))
        return x + 1, -x

    x = np.arange(CROPS_AT_ONCE * 2 + 3, dtype=np.float32)
    plus_one, negative = in_batches(network, x)
    assert sizes == [CROPS_AT_ONCE, CROPS_AT_ONCE, 3]
    np.testing.assert_array_equal(plus_one, x + 1)
    np.testing.assert_array_equal(negative, -x)
