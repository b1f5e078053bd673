"""The steps of the detector without anchors with a made-up network.

The made-up image is 32 x 32, which has 21 locations: 4 x 4 of stride 8, 2 x 2 of stride 16, one of stride 32.
Location 5 is at (12, 12), location 19 at (24, 24).
"""

import math

import numpy as np
import pytest

from minidet import Trace
from minidet.boxes import LocationSettings
from minidet.detectors import RetinaFaceSettings, detect_anchor_free
from minidet.detectors.anchor_free import cached_locations
from minidet.image import resize_area, retinaface_input

IMAGE = np.random.default_rng(4).integers(0, 256, (32, 32, 3), dtype=np.uint8)
LOCATIONS = LocationSettings()
STEPS = ["input", "network", "locations", "candidates", "decode", "nms"]


def network(face_scores, distances=None, landmark_deltas=None, size=(32, 32)):
    """A network with these answers, {location: value}; distances are 1 and all else 0 elsewhere."""

    def answer(x):
        assert x.shape == (1, 3, *size)
        L = len(LOCATIONS.lay(*size).points)
        answers = (
            np.ones((1, L, 4), np.float32),
            np.zeros((1, L), np.float32),
            np.zeros((1, L, 10), np.float32),
        )
        for array, values in zip(answers, (distances, face_scores, landmark_deltas), strict=True):
            for location, value in (values or {}).items():
                array[0, location] = value
        return answers

    return answer


def detect(net, image=IMAGE, **options):
    return detect_anchor_free(image, net, RetinaFaceSettings(**options), locations=LOCATIONS)


def test_distances_and_landmarks_are_decoded_from_their_own_location():
    faces = detect(
        network({5: 0.75, 19: 0.625}, {5: [1, 0.5, 2, 1]}, {5: [4, -2] + [0] * 8, 19: [0] * 8 + [1, 1]})
    )
    assert faces.boxes.tolist() == [[4, 8, 28, 20], [8, 8, 40, 40]]
    assert faces.scores.tolist() == [0.75, 0.625]
    assert faces.landmarks[0].tolist() == [[20, 8]] + [[12, 12]] * 4
    assert faces.landmarks[1].tolist() == [[24, 24]] * 4 + [[28, 28]]


def test_only_scores_above_the_threshold_are_candidates():
    assert len(detect(network({5: 0.5, 0: 0.25}))) == 0
    assert len(detect(network({5: 0.5, 0: 0.25}), score_threshold=0.375)) == 1
    assert len(detect(network({5: 0.5, 0: 0.25}), score_threshold=0.0)) == 2


def test_two_boxes_of_one_face():
    """Both say (0, 0) to (24, 24), and the one nearer the middle has the larger score."""
    net = network({5: 0.9, 6: 0.8}, {5: [1.5] * 4, 6: [2.5, 1.5, 0.5, 1.5]})
    faces = detect(net)
    assert faces.boxes.tolist() == [[0, 0, 24, 24]]
    assert faces.scores.tolist() == [np.float32(0.9)]
    assert len(detect(net, iou_threshold=1.0)) == 2
    assert len(detect(net, iou_threshold=1.0, max_faces=1)) == 1
    assert len(detect(net, iou_threshold=1.0, max_candidates=1)) == 1


def test_only_the_order_of_the_scores_decides_what_is_kept():
    """Scores, their roots and another rising function of them, with the threshold for each."""
    rng = np.random.default_rng(8)
    roots = rng.permutation(np.arange(1, 22) / 22)
    distances = dict(enumerate(rng.uniform(0.5, 3, (21, 4))))
    found = {}
    for way, scores, threshold in (
        ("squares", roots**2, 0.04),
        ("roots", roots, 0.2),
        ("others", np.exp(roots) / 3, math.exp(0.2) / 3),
    ):
        net = network(dict(enumerate(scores)), distances)
        found[way] = detect(net, score_threshold=threshold).boxes.tolist()
    assert found["squares"] == found["roots"] == found["others"]
    assert 2 < len(found["roots"]) < 15


def test_boxes_are_in_pixels_of_the_image_given():
    image = np.random.default_rng(5).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    net = network({0: 0.9}, {0: [0.5] * 4}, {0: [2] * 10}, size=(16, 32))
    faces = detect(net, image, max_side=32)
    assert faces.boxes.tolist() == [[0, 0, 32, 32]]
    assert faces.landmarks[0].tolist() == [[32, 32]] * 5
    squeezed = np.random.default_rng(5).integers(
        0, 256, (64, 100, 3), dtype=np.uint8
    )  # to 20 x 32: 3.2, 3.125
    faces = detect(network({0: 0.9}, {0: [0.5] * 4}, size=(20, 32)), squeezed, max_side=32)
    np.testing.assert_allclose(faces.boxes, [[0, 0, 25, 25.6]], rtol=1e-6)


def test_the_network_sees_the_image():
    seen = []

    def spy(x):
        seen.append(x)
        return network({}, size=x.shape[2:])(x)

    image = np.random.default_rng(6).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    detect(spy, image)
    detect(spy, image, max_side=30)
    np.testing.assert_array_equal(seen[0], retinaface_input(image))
    np.testing.assert_array_equal(seen[1], retinaface_input(resize_area(image, 20, 30)))


def test_the_trace_keeps_every_step():
    trace = Trace()
    net = network({5: 0.9, 6: 0.8, 0: 0.7}, {5: [1.5] * 4, 6: [2.5, 1.5, 0.5, 1.5]})
    faces = detect_anchor_free(IMAGE, net, RetinaFaceSettings(), trace, locations=LOCATIONS)
    assert [step.name for step in trace.steps] == STEPS
    assert trace["candidates"]["candidates"].tolist() == [5, 6, 0]
    assert trace["nms"]["kept"].tolist() == [0, 2]
    np.testing.assert_array_equal(trace["nms"]["boxes"], faces.boxes)
    np.testing.assert_array_equal(trace["locations"]["points"], LOCATIONS.lay(32, 32).points)


def test_the_locations_are_shared_and_cannot_be_changed():
    laid = cached_locations(48, 32, LOCATIONS)
    assert cached_locations(48, 32, LOCATIONS) is laid
    for array in laid:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
