import numpy as np
import pytest

from minidet.detectors.mtcnn import cell_windows, inclusive_side, place_landmarks, shift, side
from minidet.training.sampling.labels import (
    decode_labels,
    decode_points,
    encode_labels,
    encode_points,
    on_grid,
)
from minidet.training.sampling.windows import windows_of_boxes

STEP = 2.0**-16


def some_windows(count, seed=0, *, whole):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-20, 600, (count, 2))
    sides = np.exp(rng.uniform(np.log(12), np.log(500), (count, 1)))
    if whole:
        corners, sides = np.rint(corners), np.rint(sides)
    windows = np.concatenate([corners, corners + sides], axis=1)
    faces = windows + sides * rng.uniform(-0.5, 0.5, (count, 4)) * [1, 1, 1, 1]
    points = windows[:, None, :2] + sides[:, None] * rng.uniform(-0.2, 1.2, (count, 5, 2))
    return windows, faces, points, sides


@pytest.mark.parametrize("network", ["pnet", "rnet", "onet"])
@pytest.mark.parametrize("whole", [True, False])
def test_labels_decode_to_the_truth(network, whole):
    windows, faces, points, sides = some_windows(2000, whole=whole)
    labels = encode_labels(network, windows, faces)
    assert labels.dtype == np.float32
    error = np.abs(decode_labels(network, windows, labels) - faces) / sides
    assert error.max() <= 0.5 * STEP * (1 + 1e-6)
    landmarks = encode_points(windows, points)
    assert landmarks.dtype == np.float32
    error = np.abs(decode_points(windows, landmarks) - points) / sides[:, None]
    assert error.max() <= 0.5 * STEP * (1 + 1e-6)


def test_the_detector_turns_labels_of_rnet_and_onet_into_its_box_of_the_face():
    boxes = np.array([[101.0, 51.0, 140.0, 90.0], [3.25, -4.5, 82.25, 74.5]], np.float32)  # count from 1
    faces = np.array([[110.0, 60.0, 150.0, 95.0], [0.0, 0.0, 64.0, 70.5]], np.float32)
    labels = encode_labels("rnet", windows_of_boxes(boxes), faces)
    moved = shift(boxes, labels, inclusive_side(boxes))  # steps 6 and 8 of the detector
    np.testing.assert_allclose(moved, faces + np.array([1, 1, 0, 0]), atol=2e-3)


def test_the_detector_puts_the_points_where_they_are():
    boxes = np.array([[101.0, 51.0, 140.0, 90.0]], np.float32)
    points = np.array([[[110.0, 60], [130, 61], [120, 70], [112, 80], [128, 82]]], np.float32)
    deltas = encode_points(windows_of_boxes(boxes), points)
    np.testing.assert_allclose(place_landmarks(boxes, deltas), points, atol=1e-3)


@pytest.mark.parametrize("scale", [0.6, 0.25, 0.04])
def test_the_detector_turns_labels_of_pnet_into_the_face(scale):
    rows, columns = np.array([0, 3, 20]), np.array([5, 0, 11])
    corners = 2 * np.stack([columns, rows], axis=1) / scale
    windows = np.concatenate([corners, corners + 12 / scale], axis=1)  # what the cells have looked at
    faces = windows + np.array([0.1, -0.2, 0.15, 0.05]) * 12 / scale
    labels = encode_labels("pnet", windows, faces)

    cells = cell_windows(rows, columns, scale)  # step 3 of the detector: rounded down
    moved = shift(cells, labels, side(cells))  # step 4
    # Rounding down takes less than a pixel from each corner, and from a side; labels are below 0.4.
    assert (moved <= faces + 0.4 + 1e-3).all()
    assert (moved > faces - 1.4 - 1e-3).all()

    exact = np.stack([columns, rows, columns, rows], axis=1) * 2 + np.array([1, 1, 12, 12])
    moved = shift(exact / scale, labels, side(exact / scale))
    np.testing.assert_allclose(moved, faces, atol=12 / scale * STEP)


def test_by_hand():
    window, face = np.array([[10.0, 20.0, 34.0, 44.0]]), np.array([[16.0, 17.0, 37.0, 50.0]])
    # u = 6/24, -3/24, 3/24, 6/24
    assert encode_labels("onet", window, face).tolist() == [[0.25, -0.125, 0.125, 0.25]]
    pnet = encode_labels("pnet", window, face)[0]
    np.testing.assert_allclose(pnet, [2 / 11, -2.5 / 11, 1.5 / 11, 3 / 11], atol=STEP / 2 + 1e-9)


def test_points_are_ordered_x_then_y():
    window = np.array([[0.0, 0.0, 16.0, 16.0]])
    points = np.arange(10.0).reshape(1, 5, 2)
    assert (encode_points(window, points)[0] * 16).tolist() == [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]
    np.testing.assert_array_equal(decode_points(window, encode_points(window, points)), points)


def test_labels_lie_on_the_grid():
    windows, faces, points, _ = some_windows(200, seed=1, whole=False)
    for labels in (encode_labels("pnet", windows, faces), encode_points(windows, points)):
        steps = labels.astype(np.float64) / STEP
        np.testing.assert_array_equal(steps, np.rint(steps))
        one = np.float32(1)
        np.testing.assert_array_equal(one - (one - labels), labels)  # exact, in float32


def test_on_grid_rounds_to_the_nearest():
    assert on_grid(np.array([0.4 * STEP, 0.6 * STEP, -0.6 * STEP])).tolist() == [0, STEP, -STEP]


def test_there_is_one_zero_only():
    assert not np.signbit(on_grid(np.array([-0.4 * STEP, -0.0]))).any()


def test_no_rows():
    assert encode_labels("pnet", np.empty((0, 4)), np.empty((0, 4))).shape == (0, 4)
    assert encode_points(np.empty((0, 4)), np.empty((0, 5, 2))).shape == (0, 10)
    assert decode_labels("onet", np.empty((0, 4)), np.empty((0, 4))).shape == (0, 4)
    assert decode_points(np.empty((0, 4)), np.empty((0, 10))).shape == (0, 5, 2)


def test_arguments_stay_as_they_are():
    windows, faces, _, _ = some_windows(5, whole=True)
    before = windows.copy()
    decode_labels("pnet", windows, encode_labels("pnet", windows, faces))
    np.testing.assert_array_equal(windows, before)
