"""RetinaFace's steps with a made-up network, and its helpers by hand.

The made-up image is 32 x 32, which has 42 anchors: 4 x 4 x 2 of 16 and 32 pixels, 2 x 2 x 2 of 64 and 128,
1 x 1 x 2 of 256 and 512. Anchor 0 is centred at (4, 4) and 16 pixels large; anchor 10 at (12, 12).
"""

import numpy as np
import pytest

from minidet import InputError, Trace
from minidet.boxes import generate_anchors
from minidet.detectors import RetinaFaceSettings, detect_retinaface
from minidet.detectors.retinaface import cached_anchors, limit_side
from minidet.image import resize_area, retinaface_input

IMAGE = np.random.default_rng(4).integers(0, 256, (32, 32, 3), dtype=np.uint8)
FIRST, INNER = [-4, -4, 12, 12], [4, 4, 20, 20]  # anchors 0 and 10
STEPS = ["input", "network", "anchors", "candidates", "decode", "nms"]


def network(face_scores, box_deltas=None, landmark_deltas=None, size=(32, 32)):
    """A network with these scores and deltas, {anchor: value}, and zeros for all other anchors."""

    def answer(x):
        assert x.shape == (1, 3, *size)
        A = len(generate_anchors(*size))
        scores = np.tile(np.float32([1, 0]), (1, A, 1))
        for anchor, score in face_scores.items():
            scores[0, anchor] = 1 - score, score
        boxes, landmarks = np.zeros((1, A, 4), np.float32), np.zeros((1, A, 10), np.float32)
        for anchor, deltas in (box_deltas or {}).items():
            boxes[0, anchor] = deltas
        for anchor, deltas in (landmark_deltas or {}).items():
            landmarks[0, anchor] = deltas
        return boxes, scores, landmarks

    return answer


def detect(net, image=IMAGE, **options):
    return detect_retinaface(image, net, RetinaFaceSettings(**options))


def test_an_undecided_network_gives_the_anchor():
    faces = detect(network({10: 0.75}))
    assert faces.boxes.tolist() == [INNER]
    assert faces.scores.tolist() == [0.75]
    assert faces.landmarks.tolist() == [[[12, 12]] * 5]


def test_deltas_are_decoded_with_their_own_anchor():
    shifts = [5, 0, 0, -5] + [0] * 6  # 0.1 * 5 * 16 = 8 pixels
    net = network({10: 0.9}, {10: [5, -5, 5 * np.log(2), 0]}, {10: shifts})
    faces = detect(net)
    np.testing.assert_allclose(faces.boxes, [[4, -4, 36, 12]], rtol=1e-6)
    np.testing.assert_allclose(
        faces.landmarks[0], [[20, 12], [12, 4], [12, 12], [12, 12], [12, 12]], rtol=1e-6
    )


def test_the_network_sees_the_prepared_image():
    seen = []

    def listening(x):
        seen.append(x)
        return network({})(x)

    detect(listening)
    np.testing.assert_array_equal(seen[0], retinaface_input(IMAGE))


def test_a_box_may_reach_outside_the_image():
    assert detect(network({0: 0.9})).boxes.tolist() == [FIRST]


def test_no_face():
    faces = detect(network({}))
    assert (faces.boxes.shape, faces.scores.shape, faces.landmarks.shape) == ((0, 4), (0,), (0, 5, 2))


@pytest.mark.parametrize(
    ("score", "found"),
    [
        (np.nextafter(np.float32(0.5), np.float32(0)), 0),
        (0.5, 0),
        (np.nextafter(np.float32(0.5), np.float32(1)), 1),
    ],
)
def test_a_score_equal_to_the_threshold_is_dropped(score, found):
    assert len(detect(network({10: score}), score_threshold=0.5)) == found


def test_best_score_first():
    faces = detect(network({0: 0.6, 10: 0.9, 40: 0.8}))
    assert faces.scores.tolist() == pytest.approx([0.9, 0.8, 0.6])
    assert faces.boxes[0].tolist() == INNER
    assert faces.boxes[2].tolist() == FIRST


def test_one_box_per_face():
    # Anchors 0 and 2 are 8 pixels apart: with both corners 17 wide they share 9 of 25 columns, 0.36.
    both = network({0: 0.9, 2: 0.8})
    assert len(detect(both, iou_threshold=0.37)) == 2
    assert len(detect(both, iou_threshold=0.35)) == 1


def test_corners_belong_to_the_box_in_the_nms():
    # Continuous boxes 16 wide would share 8 of 24, one third.
    assert len(detect(network({0: 0.9, 2: 0.8}), iou_threshold=0.34)) == 1


def test_max_candidates_bounds_what_goes_into_the_nms():
    # The three best are one face: anchors 0 and 2 are moved by 8 pixels onto anchor 10. The fourth is not.
    net = network({10: 0.9, 2: 0.85, 0: 0.8, 30: 0.7}, {2: [0, 5, 0, 0], 0: [5, 5, 0, 0]})
    assert len(detect(net, max_candidates=4)) == 2
    assert len(detect(net, max_candidates=3)) == 1


@pytest.mark.parametrize("most", [1, 2, 3])
def test_max_faces_keeps_the_best(most):
    net = network({0: 0.6, 6: 0.9, 30: 0.8, 24: 0.7})  # the four corners
    assert detect(net, max_faces=most).scores.tolist() == pytest.approx([0.9, 0.8, 0.7][:most])


def test_max_side_maps_boxes_and_landmarks_back():
    large = np.zeros((64, 64, 3), np.uint8)
    faces = detect(network({10: 0.9}, landmark_deltas={10: [5, -5] * 5}), large, max_side=32)
    assert faces.boxes.tolist() == [[8, 8, 40, 40]]
    assert faces.landmarks.tolist() == [[[40, 8]] * 5]


def test_max_side_maps_x_and_y_each_by_its_own_scale():
    oblong = np.zeros((45, 60, 3), np.uint8)  # becomes 22 x 30, since 45 / 2 is rounded to the even 22
    faces = detect(network({8: 0.9}, size=(22, 30)), oblong, max_side=30)
    # Anchor 8 is the first of the second row, centred at (4, 12).
    np.testing.assert_allclose(faces.boxes, [[-4 * 2, 4 * 45 / 22, 12 * 2, 20 * 45 / 22]], rtol=1e-6)


def test_an_image_within_max_side_is_left_alone():
    assert detect(network({10: 0.9}), max_side=32).boxes.tolist() == [INNER]


# ---- helpers ----


@pytest.mark.parametrize(
    ("shape", "max_side", "expected"),
    [
        ((300, 400), 100, (75, 100)),
        ((400, 300), 100, (100, 75)),
        ((300, 400), 400, (300, 400)),
        ((300, 400), None, (300, 400)),
        ((3, 5000), 100, (1, 100)),  # a side never vanishes
    ],
)
def test_limit_side(shape, max_side, expected):
    assert limit_side(np.zeros((*shape, 3), np.uint8), max_side).shape == (*expected, 3)


def test_limit_side_averages_areas():
    np.testing.assert_array_equal(limit_side(IMAGE, 11), resize_area(IMAGE, 11, 11))


def test_cached_anchors_are_made_once_and_cannot_be_changed():
    anchors = cached_anchors(40, 24)
    np.testing.assert_array_equal(anchors, generate_anchors(40, 24))
    assert cached_anchors(40, 24) is anchors
    with pytest.raises(ValueError, match="read-only"):
        anchors[0] = 0


# ---- trace and settings ----


def test_the_trace_has_every_step():
    trace = Trace()
    detect_retinaface(IMAGE, network({10: 0.9, 12: 0.8}), RetinaFaceSettings(), trace)
    assert [step.name for step in trace] == STEPS
    assert trace["input"]["x"].shape == (1, 3, 32, 32)
    assert trace["network"]["scores"].shape == (1, 42, 2)
    assert trace["anchors"]["anchors"].shape == (42, 4)
    assert trace["candidates"]["candidates"].tolist() == [10, 12]
    assert trace["decode"]["boxes"].shape == (2, 4)
    assert trace["decode"]["landmarks"].shape == (2, 5, 2)
    assert trace["nms"]["kept"].tolist() == [0, 1]


def test_the_trace_of_no_face_has_every_step_too():
    trace = Trace()
    detect_retinaface(IMAGE, network({}), RetinaFaceSettings(), trace)
    assert [step.name for step in trace] == STEPS
    assert trace["nms"]["boxes"].shape == (0, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"score_threshold": 1.5}, "RetinaFace: score_threshold=1.5; expected 0 to 1"),
        ({"score_threshold": float("nan")}, "RetinaFace: score_threshold=nan; expected 0 to 1"),
        ({"iou_threshold": -0.1}, "RetinaFace: iou_threshold=-0.1; expected 0 to 1"),
        ({"max_side": 0}, "RetinaFace: max_side=0; expected a whole number from 1 up"),
        ({"max_candidates": 0}, "RetinaFace: max_candidates=0; expected a whole number from 1 up"),
        ({"max_faces": 2.5}, "RetinaFace: max_faces=2.5; expected a whole number from 1 up"),
        ({"max_side": "640"}, "RetinaFace: max_side='640'; expected a whole number from 1 up"),
        ({"score_threshold": None}, "RetinaFace: score_threshold=None; expected 0 to 1"),
        ({"max_faces": -3}, "RetinaFace: max_faces=-3; expected a whole number from 1 up"),
    ],
)
def test_settings_out_of_range(changes, message):
    with pytest.raises(InputError) as caught:
        RetinaFaceSettings(**changes)
    assert str(caught.value) == message


def test_settings_cannot_be_changed_afterwards():
    with pytest.raises(AttributeError):
        RetinaFaceSettings().score_threshold = 0.1
