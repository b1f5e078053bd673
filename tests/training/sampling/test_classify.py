import numpy as np
import pytest

from minidet.training.objectives import SampleType
from minidet.training.sampling.classify import NOTHING, at_most, classify
from minidet.training.sampling.settings import SampleSettings
from tests.training.sampling.photos import slow_iou

SETTINGS = SampleSettings()
NEGATIVE, POSITIVE, PART = SampleType.NEGATIVE, SampleType.POSITIVE, SampleType.PART


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (5.9375, NEGATIVE),
        (6, NOTHING),  # exactly 0.3
        (7.9375, NOTHING),
        (8, PART),  # exactly 0.4
        (13, PART),  # exactly 0.65
        (13.0625, POSITIVE),
        (20, POSITIVE),
    ],
)
def test_bounds(width, expected):
    face = np.array([[0, 0, 20, 10]], np.float32)
    found = classify(np.array([[0.0, 0.0, width, 10.0]]), face, np.array([False]), SETTINGS)
    assert found.types.tolist() == [expected]
    assert found.owners.tolist() == [0]


def test_equals_a_loop():
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(30):
        corners = rng.integers(0, 40, (200, 2))
        places = np.concatenate([corners, corners + rng.integers(12, 40, (200, 1))], axis=1).astype(float)
        corners = rng.integers(0, 40, (5, 2))
        boxes = np.concatenate([corners, corners + rng.integers(8, 50, (5, 2))], axis=1).astype(np.float32)
        ignored = rng.random(5) < 0.4
        found = classify(places, boxes, ignored, SETTINGS)
        assert found.places is places
        for place, kind, owner in zip(*found, strict=True):
            overlaps = [slow_iou(place, box) for box in boxes]
            best = max(overlaps)
            expected = NOTHING
            if best < 0.3:
                expected = NEGATIVE
                for box in boxes[ignored]:
                    wide = min(place[2], box[2]) - max(place[0], box[0])
                    high = min(place[3], box[3]) - max(place[1], box[1])
                    share = max(wide, 0) * max(high, 0) / (place[2] - place[0]) ** 2
                    if share > 0.5:
                        expected = NOTHING
            elif not ignored[overlaps.index(best)]:
                expected = POSITIVE if best > 0.65 else PART if best >= 0.4 else NOTHING
            assert kind == expected
            assert owner == overlaps.index(best)
            seen.add((int(kind), bool(ignored[owner])))
    assert seen == {(0, False), (0, True), (1, False), (2, False), (-1, False), (-1, True)}


def test_half_inside_an_ignored_crowd_is_still_background():
    crowd = np.array([[0, 0, 100, 100]], np.float32)
    places = np.array([[90.0, 0.0, 110.0, 20.0], [89.0, 0.0, 109.0, 20.0]])
    assert classify(places, crowd, np.array([True]), SETTINGS).types.tolist() == [NEGATIVE, NOTHING]
    assert classify(places, crowd, np.array([False]), SETTINGS).types.tolist() == [NEGATIVE, NEGATIVE]


def test_without_boxes_all_is_background():
    found = classify(np.zeros((3, 4)), np.empty((0, 4), np.float32), np.empty(0, bool), SETTINGS)
    assert found.types.tolist() == [NEGATIVE] * 3
    assert found.owners.tolist() == [-1] * 3


def test_without_windows():
    found = classify(np.empty((0, 4)), np.ones((2, 4), np.float32), np.array([True, False]), SETTINGS)
    assert [len(array) for array in found] == [0, 0, 0]


def test_at_most_is_a_fair_choice_in_order():
    rng = np.random.default_rng(0)
    rows = np.arange(10, 20)
    counts = np.zeros(10)
    for _ in range(1000):
        chosen = at_most(3, rows, rng)
        assert (np.diff(chosen) > 0).all()
        assert len(chosen) == 3
        counts[chosen - 10] += 1
    np.testing.assert_allclose(counts, 300, atol=5 * np.sqrt(210))
    np.testing.assert_array_equal(at_most(10, rows, rng), rows)
    assert len(at_most(0, rows, rng)) == 0


def test_rows_and_types_keep_the_three_together():
    face = np.array([[0, 0, 20, 10]], np.float32)
    places = np.array([[0.0, 0.0, w, 10.0] for w in (20, 2, 10)])
    found = classify(places, face, np.array([False]), SETTINGS)
    some = found.of_types(NEGATIVE, PART)
    assert some.types.tolist() == [NEGATIVE, PART]
    assert some.places[:, 2].tolist() == [2, 10]
    assert found.join(some, found).types.tolist() == [NEGATIVE, PART, POSITIVE, NEGATIVE, PART]
    assert len(found.at_most(2, np.random.default_rng(0)).owners) == 2
