import numpy as np
import pytest

from minidet.training.sampling.windows import (
    boxes_of_windows,
    inside,
    jitters,
    random_squares,
    squares_near,
    windows_of_boxes,
)

FACES = np.array([[50, 60, 90, 120], [10.5, 20.25, 33, 41], [-5, -8, 300, 200]], np.float32)


def sides_of(windows):
    np.testing.assert_array_equal(windows[:, 2] - windows[:, 0], windows[:, 3] - windows[:, 1])
    np.testing.assert_array_equal(windows, np.rint(windows))
    return windows[:, 2] - windows[:, 0]


def test_random_squares_lie_inside_and_reach_every_edge():
    windows = random_squares(np.random.default_rng(0), 40, 30, 5000)
    sides = sides_of(windows)
    assert len(windows) == 5000
    assert set(sides) == set(range(12, 31))
    assert inside(windows, 40, 30).all()
    assert windows.min(axis=0).tolist() == [0, 0, 12, 12]
    assert windows.max(axis=0).tolist() == [28, 18, 40, 30]


def test_each_octave_of_sides_is_as_frequent():
    sides = sides_of(random_squares(np.random.default_rng(1), 2000, 12 * 2**5 - 1, 20000))
    counts = np.histogram(sides, 12 * 2.0 ** np.arange(6))[0]
    assert counts.sum() == 20000
    np.testing.assert_allclose(counts, 4000, atol=5 * np.sqrt(4000 * 0.8))


def test_corners_are_uniform():
    windows = random_squares(np.random.default_rng(2), 13, 12, 4000)  # the only freedom: x1 is 0 or 1
    assert abs(windows[:, 0].mean() - 0.5) < 5 * 0.5 / np.sqrt(4000)


@pytest.mark.parametrize(("width", "height", "fit"), [(11, 100, 0), (100, 11, 0), (12, 12, 3), (12, 100, 3)])
def test_photographs_that_are_just_large_enough_or_not(width, height, fit):
    windows = random_squares(np.random.default_rng(0), width, height, 3)
    assert windows.shape == (fit, 4)
    assert inside(windows, width, height).all()


def test_squares_near_touch_their_face():
    windows = squares_near(np.random.default_rng(0), FACES, 1000)
    assert windows.shape == (3000, 4)
    for face, near in zip(FACES, windows.reshape(3, 1000, 4), strict=True):
        sides, longer = sides_of(near), max(face[2] - face[0], face[3] - face[1])
        assert sides.min() >= max(12, round(0.5 * longer) - 1)
        assert sides.max() <= 2 * longer + 1
        assert sides.min() < max(12, 0.52 * longer) + 1
        assert sides.max() > 1.9 * longer
        assert 0.3 < (sides < longer).mean() < 0.7  # smaller as often as larger
        for low, high in ((0, 2), (1, 3)):
            overlap = np.minimum(near[:, high], face[high]) - np.maximum(near[:, low], face[low])
            assert overlap.min() >= -1  # half a pixel of rounding at either end
            assert (near[:, low] < face[low] - 0.8 * sides).any()  # all the way before it
            assert (near[:, high] > face[high] + 0.8 * sides).any()  # and behind it


def test_jitters_follow_their_formula():
    rng, again = np.random.default_rng(3), np.random.default_rng(3)
    windows = jitters(rng, FACES, 50)
    sizes, shifts = again.random(150), again.uniform(-0.2, 0.2, (150, 2))
    for k, window in enumerate(windows):
        x1, y1, x2, y2 = (float(v) for v in FACES[k // 50])
        low, high = 0.8 * min(x2 - x1, y2 - y1), 1.25 * max(x2 - x1, y2 - y1)
        side = max(round(low + sizes[k] * (high - low)), 12)
        x = round((x1 + x2) / 2 + shifts[k, 0] * (x2 - x1) - side / 2)
        y = round((y1 + y2) / 2 + shifts[k, 1] * (y2 - y1) - side / 2)
        assert window.tolist() == [x, y, x + side, y + side]


def test_jitters_are_no_smaller_than_what_pnet_looks_at():
    assert sides_of(jitters(np.random.default_rng(0), np.array([[0.0, 0.0, 4.0, 13.0]]), 500)).min() == 12


@pytest.mark.parametrize("draw", [jitters, squares_near])
def test_no_faces_no_squares(draw):
    assert draw(np.random.default_rng(0), np.empty((0, 4), np.float32), 5).shape == (0, 4)
    assert draw(np.random.default_rng(0), FACES, 0).shape == (0, 4)


def test_inside_up_to_the_very_edge():
    windows = np.array(
        [[0, 0, 20, 10], [-1, 0, 19, 10], [0, -1, 20, 9], [1, 0, 21, 10], [0, 1, 20, 11]], np.float64
    )
    assert inside(windows, 20, 10).tolist() == [True, False, False, False, False]


def test_boxes_of_windows_is_the_inverse():
    windows = np.array([[3.5, -2.25, 15.5, 9.75]], np.float32)
    np.testing.assert_array_equal(windows_of_boxes(boxes_of_windows(windows)), windows)
    assert boxes_of_windows(windows).tolist() == [[4.5, -1.25, 15.5, 9.75]]
