"""Alignment: OpenCV's crops, slow twins of the fit and of the warp, and what must hold for any face."""

import io
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import minidet
from minidet.boxes import mirror_landmarks
from minidet.detections import Detections
from minidet.errors import InputError
from minidet.image import ARCFACE_TEMPLATE, align, similarity_transform
from minidet.image.align import arcface_template

ORACLE = Path(__file__).parent.parent / "oracles" / "align.npz"


def noise(H, W, seed=0):
    image = np.random.default_rng(seed).integers(0, 256, (H, W, 3), dtype=np.uint8)
    image.flags.writeable = False
    return image


NOISE = noise(112, 112)
seeds = st.integers(0, 2**32 - 1)


# ---- The fit ---------------------------------------------------------------------------------------


def umeyama(source, target):
    """Rotation by singular values, with the sign that keeps it from mirroring."""
    from_mean, to_mean = source - source.mean(axis=0), target - target.mean(axis=0)
    U, D, Vt = np.linalg.svd(to_mean.T @ from_mean)
    sign = np.array([1, np.sign(np.linalg.det(U) * np.linalg.det(Vt))])
    turn = U * sign @ Vt
    scale = (D * sign).sum() / (from_mean**2).sum()
    shift = target.mean(axis=0) - scale * turn @ source.mean(axis=0)
    return np.concatenate([scale * turn, shift[:, None]], axis=1)


def moved(matrix, points):
    """Points (P, 2) through a (2, 3) matrix."""
    return np.asarray(points) @ matrix[:, :2].T + matrix[:, 2]


def similarity(scale, degrees, shift):
    """The matrix of a scale, a turn and a shift."""
    a, b = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return np.array([[a, -b, shift[0]], [b, a, shift[1]]])


@given(seed=seeds, count=st.integers(2, 7))
def test_the_fit_is_umeyamas(seed, count):
    rng = np.random.default_rng(seed)
    source, target = rng.normal(0, 50, (2, count, 2))
    expected = umeyama(source, target)
    np.testing.assert_allclose(similarity_transform(source, target), expected, rtol=1e-9, atol=1e-9)


@given(
    seed=seeds,
    scale=st.floats(0.01, 100),
    degrees=st.floats(-180, 180),
    shift=st.tuples(*[st.floats(-1000, 1000)] * 2),
)
def test_a_similarity_is_found_again(seed, scale, degrees, shift):
    points = np.random.default_rng(seed).normal(0, 50, (5, 2))
    matrix = similarity(scale, degrees, shift)
    found = similarity_transform(points, moved(matrix, points))
    np.testing.assert_allclose(found, matrix, rtol=1e-9, atol=1e-9 * max(1, *map(abs, shift), 100 * scale))


@given(seed=seeds)
def test_no_similarity_near_it_is_better(seed):
    rng = np.random.default_rng(seed)
    source, target = rng.normal(0, 10, (2, 5, 2))
    (a, minus_b, c), (b, same_a, d) = similarity_transform(source, target)
    assert (minus_b, same_a) == (-b, a)

    def squares(a, b, c, d):
        return ((moved(np.array([[a, -b, c], [b, a, d]]), source) - target) ** 2).sum()

    best = squares(a, b, c, d)
    for step in np.eye(4) * 1e-3:
        assert squares(*(np.array([a, b, c, d]) + step)) > best
        assert squares(*(np.array([a, b, c, d]) - step)) > best


@given(seed=seeds)
def test_a_mirror_image_is_never_fitted_by_mirroring(seed):
    points = np.random.default_rng(seed).normal(0, 50, (5, 2))
    matrix = similarity_transform(points * [-1, 1], points)
    assert np.linalg.det(matrix[:, :2]) >= 0
    assert matrix[0, 0] == matrix[1, 1]
    assert matrix[0, 1] == -matrix[1, 0]


def test_two_points_are_met_exactly():
    # From (1, 1) and (3, 1) to (0, 0) and (0, 4): a quarter turn and twice the size.
    matrix = similarity_transform([[1, 1], [3, 1]], [[0, 0], [0, 4]])
    np.testing.assert_allclose(matrix, [[0, -2, 2], [2, 0, -2]], atol=1e-15)


def test_whole_numbers_and_float32_are_taken_as_they_are():
    expected = similarity_transform(ARCFACE_TEMPLATE.round(), ARCFACE_TEMPLATE)
    np.testing.assert_array_equal(
        similarity_transform(ARCFACE_TEMPLATE.round().astype(np.float32), ARCFACE_TEMPLATE), expected
    )
    np.testing.assert_array_equal(
        similarity_transform(ARCFACE_TEMPLATE.round().astype(int).tolist(), ARCFACE_TEMPLATE), expected
    )
    assert expected.dtype == np.float64


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ([[1, 2, 3]], [[1, 2]], "`source` has shape (1, 3); expected (any number, 2)"),
        ([[1, 2]], [1, 2], "`target` has shape (2,); expected (any number, 2)"),
        ([[1, 2], [3, np.nan]], [[1, 2], [3, 4]], "`source` is not finite in row 1: [ 3. nan]"),
        ([[1, 2], [3, 4]], [[np.inf, 2], [3, 4]], "`target` is not finite in row 0: [inf  2.]"),
        ([[1, 2], [3, 4]], [[1, 2]], "2 points in `source`, 1 in `target`"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "`source` is a single point; expected two that differ"),
        ([[0.1, 0.2]] * 5, ARCFACE_TEMPLATE, "`source` is a single point; expected two that differ"),
        ([["a", 2]], [[1, 2]], "`source` is a list that holds no plain numbers"),
        ([[1, 2], [3]], [[1, 2]], "`source` is a list that holds no plain numbers"),
        (
            [[1e200, 0], [0, 1e200]],
            [[0, 0], [0, 1]],
            "the points are too large or too close together for float64",
        ),
        (
            [[1e308, 1e308], [1e308, 0]],
            [[0, 0], [0, 1]],
            "the points are too large or too close together for float64",
        ),
        (
            [[1e-200, 0], [0, 0]],
            [[0, 0], [0, 1]],
            "the points are too large or too close together for float64",
        ),
    ],
)
def test_points_that_are_refused(source, target, message):
    with pytest.raises(InputError) as caught:
        similarity_transform(source, target)
    assert str(caught.value) == f"similarity_transform: {message}"


# ---- The template ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "factor", "shift"),
    [
        (112, 1, 0),
        (224, 2, 0),
        (128, 1, 8),
        (256, 2, 16),
        (896, 8, 0),  # a multiple of both
        (56, 0.5, 0),
        (160, 160 / 112, 0),
        (1, 1 / 112, 0),
    ],
)
def test_template(size, factor, shift):
    np.testing.assert_allclose(arcface_template(size), ARCFACE_TEMPLATE * factor + [shift, 0], rtol=1e-15)


def test_the_template_cannot_be_changed():
    arcface_template(112)[:] = 0
    with pytest.raises(ValueError, match="read-only"):
        ARCFACE_TEMPLATE[0, 0] = 0


# ---- The crop --------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", range(5))
def test_against_opencv(case):
    with np.load(ORACLE) as oracle:
        image, landmarks, matrix, crop = (
            oracle[f"{name}_{case}"] for name in ("image", "landmarks", "matrix", "crop")
        )
    size = len(crop)
    fitted = similarity_transform(landmarks, arcface_template(size))
    np.testing.assert_allclose(fitted, matrix, rtol=1e-10, atol=1e-9)
    difference = np.abs(align(image, landmarks, size).astype(int) - crop)
    assert difference.max() <= 1  # OpenCV computes in float32
    assert (difference > 0).mean() < 0.005


def warp_by_definition(image, landmarks, size):
    """Each output pixel looks back and mixes the four pixels around, black if there are none."""
    framed = np.zeros((image.shape[0] + 2, image.shape[1] + 2, 3))
    framed[1:-1, 1:-1] = image
    matrix = np.vstack([umeyama(np.asarray(landmarks, float), arcface_template(size)), [0, 0, 1]])
    crop = np.zeros((size, size, 3))
    for v in range(size):
        for u in range(size):
            x, y, _ = np.linalg.solve(matrix, [u, v, 1]) + 1
            if not (0 <= x < framed.shape[1] - 1 and 0 <= y < framed.shape[0] - 1):
                continue
            k, i = math.floor(x), math.floor(y)
            p, q = x - k, y - i
            upper = (1 - p) * framed[i, k] + p * framed[i, k + 1]
            lower = (1 - p) * framed[i + 1, k] + p * framed[i + 1, k + 1]
            crop[v, u] = (1 - q) * upper + q * lower
    return crop


@pytest.mark.parametrize("size", [1, 7, 24])
@given(seed=seeds)
def test_against_its_definition(size, seed):
    rng = np.random.default_rng(seed)
    image = noise(*rng.integers(1, 20, 2), seed)
    landmarks = rng.uniform(-5, 25, (5, 2))
    expected = warp_by_definition(image, landmarks, size)
    assert np.abs(align(image, landmarks, size) - expected).max() < 0.5 + 1e-6  # rounded


@pytest.mark.parametrize("shift", [(0, 0), (5, 0), (0, 7), (-3, 4), (-20, -30)])
def test_a_shift_by_whole_pixels_is_a_slice(shift):
    x, y = shift
    framed = np.pad(NOISE, ((40, 40), (40, 40), (0, 0)))
    expected = framed[40 + y : 152 + y, 40 + x : 152 + x]
    np.testing.assert_array_equal(align(NOISE, ARCFACE_TEMPLATE + shift), expected)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_photograph_turned_by_quarters_is_turned_back(quarters):
    points = ARCFACE_TEMPLATE
    for _ in range(quarters):  # np.rot90 turns counterclockwise: column x becomes row 111 - x
        points = np.stack([points[:, 1], 111 - points[:, 0]], axis=1)
    np.testing.assert_array_equal(align(np.rot90(NOISE, quarters), points), NOISE)


def test_twice_the_size_has_every_pixel_and_the_means_between():
    crop = align(NOISE, ARCFACE_TEMPLATE, 224).astype(int)
    np.testing.assert_array_equal(crop[::2, ::2], NOISE)
    between = (NOISE[:, :-1].astype(int) + NOISE[:, 1:]) / 2
    assert np.abs(crop[::2, 1:-1:2] - between).max() <= 0.5


def test_128_shows_8_more_pixels_left_and_right_and_16_below():
    crop = align(np.pad(NOISE, ((10, 20), (10, 10), (0, 0)), mode="wrap"), ARCFACE_TEMPLATE + 10, 128)
    np.testing.assert_array_equal(crop[:112, 8:120], NOISE)
    np.testing.assert_array_equal(crop[112:, 8:120], NOISE[:16])
    np.testing.assert_array_equal(crop[:112, :8], NOISE[:, -8:])


def test_half_a_pixel_beyond_the_last_centres_it_is_half_dark():
    white = np.full((4, 4, 3), 200, np.uint8)
    # The crop is the image moved by half a pixel to the right and down.
    crop = align(white, ARCFACE_TEMPLATE - 0.5)[:6, :6, 0]
    assert crop[0].tolist() == crop[:, 0].tolist() == [50, 100, 100, 100, 50, 0]
    assert crop[2].tolist() == crop[:, 2].tolist() == [100, 200, 200, 200, 100, 0]


def test_a_face_outside_the_image_is_black():
    assert align(NOISE, ARCFACE_TEMPLATE + 500).max() == 0
    assert align(NOISE, ARCFACE_TEMPLATE - 1e15).max() == 0  # no integer holds a billionth of these pixels
    assert align(NOISE, ARCFACE_TEMPLATE * 1e18).max() <= NOISE[0, 0].max()


def test_a_mirrored_photograph_gives_a_mirrored_crop():
    # Dark on the left and bright on the right; the face is in the middle.
    image = np.repeat(np.arange(0, 224, 2, dtype=np.uint8)[None, :, None], 112, axis=0).repeat(3, axis=2)
    crop = align(image, ARCFACE_TEMPLATE)
    mirrored = align(image[:, ::-1], mirror_landmarks(ARCFACE_TEMPLATE[None], 111)[0])
    assert np.abs(mirrored[10:100, 10:100].astype(int) - crop[10:100, 101:11:-1]).max() <= 4


def test_a_mirrored_face_whose_points_kept_their_names_is_not_mirrored_back():
    # Left is dark; the points say it is the right. The best turn without a mirror keeps it upright or not,
    # but walking round the image in one direction shows the same four quarters in the same order.
    image = np.zeros((112, 112, 3), np.uint8)
    image[:56, 56:], image[56:, 56:], image[56:, :56] = 80, 160, 240
    mirrored = ARCFACE_TEMPLATE * [-1, 1] + [111, 0]
    matrix = similarity_transform(mirrored, ARCFACE_TEMPLATE)
    assert np.linalg.det(matrix[:, :2]) > 0
    crop = align(image, mirrored)[:, :, 0].astype(int)
    middle = moved(matrix, [[55.5, 55.5]])[0]
    angles = math.atan2(matrix[1, 0], matrix[0, 0]) + np.radians([225, 315, 45, 135])
    x, y = np.rint(middle[:, None] + 8 * np.stack([np.cos(angles), np.sin(angles)])).astype(int)
    assert crop[y, x].tolist() == [0, 80, 160, 240]


# ---- What it takes ---------------------------------------------------------------------------------


def test_everything_that_read_image_takes(tmp_path):
    expected = align(NOISE, ARCFACE_TEMPLATE + 3)
    picture = Image.fromarray(NOISE)
    picture.save(tmp_path / "noise.png")
    encoded = io.BytesIO()
    picture.save(encoded, "png")
    for source in (picture, tmp_path / "noise.png", str(tmp_path / "noise.png"), encoded, encoded.getvalue()):
        np.testing.assert_array_equal(align(source, ARCFACE_TEMPLATE + 3), expected)
    grey = align(NOISE[:, :, 0], ARCFACE_TEMPLATE)
    np.testing.assert_array_equal(grey, NOISE[:, :, :1].repeat(3, axis=2))


def test_the_result_is_a_new_uint8_array_and_the_arguments_stay():
    image, landmarks = NOISE.copy(), ARCFACE_TEMPLATE + 2
    before = landmarks.copy()
    crop = minidet.align(image, landmarks)
    assert (crop.dtype, crop.shape, crop.flags.c_contiguous) == (np.uint8, (112, 112, 3), True)
    crop[:] = 0
    np.testing.assert_array_equal(image, NOISE)
    np.testing.assert_array_equal(landmarks, before)


def test_a_face_of_detections_and_plain_lists():
    faces = Detections([[0, 0, 112, 112]], [1.0], ARCFACE_TEMPLATE[None].round())
    expected = align(NOISE, ARCFACE_TEMPLATE.round())
    np.testing.assert_array_equal(align(NOISE, faces[0].landmarks), expected)
    np.testing.assert_array_equal(align(NOISE, faces[0].landmarks.astype(int).tolist()), expected)


def spread_that_fits_nothing():
    """Five points of which every turn is as far from the template as none."""
    z = np.random.default_rng(1).normal(0, 20, (5, 2)) @ [1, 1j]
    w = (ARCFACE_TEMPLATE - ARCFACE_TEMPLATE.mean(axis=0)) @ [1, 1j]
    z = z - z.mean()
    z = z - w * np.vdot(w, z) / np.vdot(w, w)
    return np.stack([z.real, z.imag], axis=1)


FACES = Detections([[0, 0, 9, 9]], [1.0], ARCFACE_TEMPLATE[None])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"landmarks": ARCFACE_TEMPLATE[None]},
            "`landmarks` has shape (1, 5, 2); expected (5, 2), the points of one face",
        ),
        (
            {"landmarks": np.zeros((68, 2))},
            "`landmarks` has shape (68, 2); expected (5, 2), the points of one face",
        ),
        (
            {"landmarks": [[1, 2], [np.nan, 4], [5, 6], [7, 8], [9, 10]]},
            "`landmarks` is not finite: [[1.0, 2.0], [nan, 4.0], [5.0, 6.0], [7.0, 8.0], [9.0, 10.0]]",
        ),
        ({"landmarks": np.full((5, 2), 0.1)}, "all of `landmarks` are one point, [0.1, 0.1]; expected five"),
        ({"landmarks": FACES[0]}, "`landmarks` is a Face that holds no plain numbers"),
        ({"size": 0}, "size=0; expected a whole number from 1 up"),
        ({"size": 112.0}, "size=112.0; expected a whole number from 1 up"),
    ],
)
def test_refused(change, message):
    with pytest.raises(InputError) as caught:
        align(**({"image": NOISE, "landmarks": ARCFACE_TEMPLATE} | change))
    assert str(caught.value) == f"align: {message}"


def test_points_that_no_turn_brings_closer_are_refused():
    with pytest.raises(InputError, match=r"^align: no turn makes a face of `landmarks`: \[\[.*\]\]$"):
        align(NOISE, spread_that_fits_nothing())


def test_a_picture_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^read_image: no such file"):
        align(tmp_path / "none.jpg", ARCFACE_TEMPLATE)
