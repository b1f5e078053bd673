"""Training images: picture, boxes and landmarks stay together, whatever is done to them."""

from dataclasses import replace

import numpy as np
import pytest

from minidet.datasets import Sample
from minidet.errors import InputError
from minidet.image import resize_area, resize_bilinear, retinaface_input
from minidet.training.augment import (
    AugmentSettings,
    augment,
    crop_sample,
    mirror_sample,
    random_square,
    resize_sample,
)

PLAIN = AugmentSettings(size=96, photometric=None, mirror=0, min_face_size=0)


def sample_of(boxes, *, width=120, height=90, landmarks=None, ignore=None, seed=0):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    if landmarks is None:
        shares = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]], np.float32)
        landmarks = boxes[:, None, :2] + shares * (boxes[:, None, 2:] - boxes[:, None, :2])
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    mask = np.isfinite(landmarks).all(axis=(1, 2))
    return Sample(
        image, boxes, landmarks, mask, np.zeros(len(boxes), bool) if ignore is None else np.array(ignore), "a"
    )


def assert_same(first, second):
    for name in ("image", "boxes", "landmarks", "landmark_mask", "ignore"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_faces_are_kept_by_their_centres():
    """A slow twin: one face and one comparison at a time."""
    rng = np.random.default_rng(1)
    for _ in range(100):
        corners = rng.integers(-20, 100, (8, 2))
        boxes = np.concatenate([corners, corners + rng.integers(2, 60, (8, 2))], axis=1)
        sample = sample_of(boxes)
        x, y, side = rng.integers(0, 40), rng.integers(0, 40), rng.integers(8, 50)
        square = np.array([x, y, x + side, y + side])
        wanted = []
        for x1, y1, x2, y2 in boxes.tolist():
            if x <= (x1 + x2) / 2 < x + side and y <= (y1 + y2) / 2 < y + side:
                wanted.append([min(max(c - o, 0), side) for c, o in ((x1, x), (y1, y), (x2, x), (y2, y))])
        cropped = crop_sample(sample, square)
        assert cropped.boxes.tolist() == wanted
        assert cropped.image.shape == (side, side, 3)
        np.testing.assert_array_equal(cropped.image, sample.image[y : y + side, x : x + side])


def test_a_centre_on_the_left_or_upper_border_is_inside_and_on_the_others_outside():
    square = np.array([20, 10, 60, 50])
    on_borders = {(20, 30): True, (40, 10): True, (20, 10): True, (60, 30): False, (40, 50): False}
    for (x, y), inside in on_borders.items():
        cropped = crop_sample(sample_of([[x - 6, y - 4, x + 6, y + 4]]), square)
        assert len(cropped.boxes) == inside


def test_landmarks_are_moved_and_not_clipped():
    sample = sample_of([[10, 10, 50, 50]])
    cropped = crop_sample(sample, np.array([28, 0, 60, 32]))
    np.testing.assert_array_equal(cropped.landmarks, sample.landmarks - np.float32([28, 0]))
    assert cropped.landmarks.min() < 0


def test_squares_lie_inside_and_have_a_face_where_there_is_one():
    sample = sample_of([[70, 20, 90, 45]])
    settings = AugmentSettings(empty=0)
    for seed in range(200):
        x1, y1, x2, y2 = square = random_square(sample, settings, np.random.default_rng(seed))
        assert 0 <= x1 < x2 <= 120
        assert 0 <= y1 < y2 <= 90
        assert x2 - x1 == y2 - y1
        assert (x2 - x1) in {round(scale * 90) for scale in settings.crop_scales}
        assert len(crop_sample(sample, square).boxes) == 1


def test_all_scales_and_places_occur():
    sample = sample_of([])
    squares = [random_square(sample, AugmentSettings(), np.random.default_rng(seed)) for seed in range(1500)]
    assert len({x2 - x1 for x1, _, x2, _ in squares}) == 5
    assert {x1 for x1, _, x2, _ in squares if x2 - x1 == 90} == set(range(31))


def test_some_crops_may_be_empty():
    sample = sample_of([[100, 70, 118, 88]])
    counts = {
        empty: sum(
            len(crop_sample(sample, random_square(sample, AugmentSettings(empty=empty), rng)).boxes) == 0
            for rng in map(np.random.default_rng, range(200))
        )
        for empty in (0.0, 0.5, 1.0)
    }
    assert counts[0.0] == 0
    assert 0 < counts[0.5] < counts[1.0] < 200


def test_ignored_faces_do_not_attract_the_square():
    sample = sample_of([[100, 70, 118, 88]], ignore=[True])
    rngs = map(np.random.default_rng, range(50))
    crops = [crop_sample(sample, random_square(sample, AugmentSettings(empty=0), rng)) for rng in rngs]
    assert 0 < sum(len(crop.boxes) for crop in crops) < 50


def crop_twin(image, square):
    """Pixel by pixel."""
    x1, y1, x2, y2 = square
    rows = []
    for y in range(y1, y2):
        row = []
        for x in range(x1, x2):
            known = 0 <= y < image.shape[0] and 0 <= x < image.shape[1]
            row.append(image[y, x] if known else (123, 117, 104))
        rows.append(row)
    return np.array(rows, np.uint8)


@pytest.mark.parametrize(
    "square",
    [[-3, 2, 9, 14], [5, -4, 17, 8], [10, 6, 25, 21], [-4, -6, 30, 28], [0, 0, 12, 12], [-9, -9, -2, -2]],
)
def test_beyond_the_photograph_is_the_mean_colour(square):
    sample = sample_of([[2, 2, 10, 10]], width=20, height=16)
    cropped = crop_sample(sample, np.array(square))
    np.testing.assert_array_equal(cropped.image, crop_twin(sample.image, square))
    if len(cropped.boxes):
        inside = np.float32([2, 2, 10, 10]) - np.float32([square[0], square[1]] * 2)
        np.testing.assert_array_equal(cropped.boxes[0], inside.clip(0, square[2] - square[0]))


def test_the_filling_is_nothing_to_the_network():
    cropped = crop_sample(sample_of([]), np.array([-10, -10, -5, -5]))
    assert not retinaface_input(cropped.image).any()


def test_squares_larger_than_the_photograph_hold_it():
    sample = sample_of([[40, 30, 60, 60]])  # 120 x 90
    settings = AugmentSettings(crop_scales=(1.2, 2.0), empty=0)
    lefts, tops = set(), set()
    for seed in range(400):
        x1, y1, x2, y2 = random_square(sample, settings, np.random.default_rng(seed))
        assert x2 - x1 == y2 - y1
        assert y1 <= 0
        assert y2 >= 90
        if x2 - x1 == 108:
            assert 0 <= x1 <= 12
            tops.add(int(y1))
        else:
            assert x2 - x1 == 180
            assert x1 <= 0
            assert x2 >= 120
            lefts.add(int(x1))
    assert tops == set(range(-18, 1))
    assert {-60, 0} <= lefts


def test_resize_refuses_what_it_would_stretch():
    with pytest.raises(InputError, match="resize_sample: 'a' is 120 x 90 pixels; expected a square"):
        resize_sample(sample_of([]), 96)


def test_every_box_has_an_area_and_lies_inside():
    """Also boxes that are so small that rounding would leave nothing of them."""
    rng = np.random.default_rng(4)
    corners = rng.uniform(-10, 110, (300, 2)).astype(np.float32)
    ends = np.nextafter(corners, np.float32(np.inf))
    ends[::2] += rng.uniform(0, 50, (150, 2)).astype(np.float32)
    sample = sample_of(np.concatenate([corners, ends], axis=1))
    dropped = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        made = augment(sample, AugmentSettings(size=96, min_face_size=0, photometric=None), rng)
        sides = made.boxes[:, 2:] - made.boxes[:, :2]
        assert (sides > 0).all()
        assert ((made.boxes >= 0) & (made.boxes <= 96)).all()
        assert len(made.boxes) == len(made.landmarks) == len(made.landmark_mask) == len(made.ignore)
        assert not made.ignore.any()
        dropped += (sides < 1e-3).sum()
    assert dropped > 0  # some of the smallest are there still


def test_landmarks_stay_with_their_faces():
    """The name of a face is written into its points; masks and ignored faces go with them."""
    rng = np.random.default_rng(8)
    corners = rng.integers(0, 80, (12, 2))
    boxes = np.concatenate([corners, corners + rng.integers(6, 30, (12, 2))], axis=1)
    landmarks = boxes[:, None, :2] + np.linspace(0.2, 0.8, 5)[:, None] * (
        boxes[:, None, 2:] - boxes[:, None, :2]
    )
    landmarks = landmarks.astype(np.float32)
    landmarks[::3] = np.nan
    sample = sample_of(boxes, landmarks=landmarks, ignore=np.arange(12) % 4 == 1)
    square = np.array([20, 10, 70, 60])
    cropped = crop_sample(sample, square)
    kept = [
        g for g, (x1, y1, x2, y2) in enumerate(boxes) if 20 <= (x1 + x2) / 2 < 70 and 10 <= (y1 + y2) / 2 < 60
    ]
    assert 2 < len(kept) < 12
    assert cropped.landmark_mask.tolist() == [g % 3 != 0 for g in kept]
    assert cropped.ignore.tolist() == [g % 4 == 1 for g in kept]
    np.testing.assert_array_equal(cropped.landmarks, landmarks[kept] - np.float32([20, 10]))


def test_mirror_twice_is_the_sample():
    sample = sample_of([[10, 20, 40, 60], [50, 5, 119, 80]])
    assert_same(mirror_sample(mirror_sample(sample)), sample)


def test_mirror_swaps_left_and_right():
    sample = sample_of([[10, 20, 40, 60]])
    mirrored = mirror_sample(sample)
    np.testing.assert_array_equal(mirrored.image, sample.image[:, ::-1])
    assert mirrored.boxes.tolist() == [[80, 20, 110, 60]]
    x, y = 0, 1
    assert mirrored.landmarks[0, 0, x] == 120 - sample.landmarks[0, 1, x]
    assert mirrored.landmarks[0, 4, y] == sample.landmarks[0, 3, y]
    assert mirrored.landmarks[0, 0, x] < mirrored.landmarks[0, 1, x]


@pytest.mark.parametrize("bilinear", [False, True])
@pytest.mark.parametrize("size", [48, 60, 97, 150])
def test_dots_are_where_the_landmarks_say(size, bilinear):
    """Bright dots at the landmarks are found again at the landmarks of the resized picture."""
    points = np.array([[[20.5, 20.5], [40.5, 18.5], [31.5, 30.5], [22.5, 44.5], [42.5, 46.5]]], np.float32)
    sample = sample_of([[12, 10, 50, 54]], width=60, height=60, landmarks=points)
    sample.image[:] = 0
    for x, y in points[0]:
        sample.image[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2] = 255
    resized = resize_sample(sample, size, bilinear=bilinear)
    assert resized.image.shape == (size, size, 3)
    grey = resized.image[..., 0].astype(float)
    ys, xs = np.mgrid[:size, :size] + 0.5
    for x, y in resized.landmarks[0]:
        near = grey * (np.hypot(xs - x, ys - y) < 4 * size / 60)
        assert abs((near * xs).sum() / near.sum() - x) < 0.5
        assert abs((near * ys).sum() / near.sum() - y) < 0.5
    np.testing.assert_allclose(resized.boxes, sample.boxes * size / 60, rtol=1e-6)


def test_everything_together_keeps_dots_and_labels_together():
    """Cut, resized, mirrored: a white square is still where its box is."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        sample = sample_of([[50, 30, 74, 54]])
        sample.image[:] = 0
        sample.image[30:54, 50:74] = 255
        made = augment(sample, AugmentSettings(size=96, photometric=None, mirror=0.5, empty=0), rng)
        (x1, y1, x2, y2) = made.boxes[0]
        ys, xs = np.nonzero(made.image[..., 0] > 127)
        assert abs(xs.min() - x1) <= 1.5
        assert abs(xs.max() + 1 - x2) <= 1.5
        assert abs(ys.min() - y1) <= 1.5
        assert abs(ys.max() + 1 - y2) <= 1.5


def test_each_way_of_resizing_is_as_likely_and_rounds():
    """The slow twins of resizing tell which it was."""
    sample = sample_of([], width=40, height=40)
    wanted = {
        name: resize(sample.image, 96, 96)
        for name, resize in (("area", resize_area), ("bilinear", resize_bilinear))
    }
    counts = dict.fromkeys(wanted, 0)
    for seed in range(100):
        made = augment(sample, replace(PLAIN, crop_scales=(1.0,)), np.random.default_rng(seed))
        errors = {name: np.abs(made.image - image).max() for name, image in wanted.items()}
        counts[min(errors, key=errors.get)] += 1
        assert min(errors.values()) <= 0.5 + 1e-3
    assert min(counts.values()) > 30


def test_small_faces_are_ignored():
    sample = sample_of([[40, 40, 44, 60], [20, 20, 60, 60]], width=90)
    settings = AugmentSettings(size=90, crop_scales=(1.0,), min_face_size=5, photometric=None, mirror=0)
    assert augment(sample, settings, np.random.default_rng(0)).ignore.tolist() == [True, False]


def test_same_generator_same_image_and_the_source_is_untouched():
    sample = sample_of([[10, 20, 40, 60]])
    before = sample.image.copy(), sample.boxes.copy()
    first, second = (augment(sample, AugmentSettings(size=64), np.random.default_rng(5)) for _ in range(2))
    assert_same(first, second)
    np.testing.assert_array_equal(sample.image, before[0])
    np.testing.assert_array_equal(sample.boxes, before[1])


def test_colours_change_and_shapes_do_not():
    sample = sample_of([[10, 20, 40, 60]])
    plain = augment(sample, PLAIN, np.random.default_rng(3))
    coloured = augment(sample, AugmentSettings(size=96, mirror=0, min_face_size=0), np.random.default_rng(3))
    assert not np.array_equal(plain.image, coloured.image)
    np.testing.assert_array_equal(plain.boxes, coloured.boxes)


def test_photographs_of_all_shapes():
    for width, height in [(1, 1), (5, 300), (300, 5), (33, 32)]:
        made = augment(sample_of([], width=width, height=height), PLAIN, np.random.default_rng(0))
        assert made.image.shape == (96, 96, 3)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("size", 31),
        ("size", 320.5),
        ("crop_scales", ()),
        ("crop_scales", (0.5, 2.1)),
        ("crop_scales", (None,)),
        ("crop_scales", (0.0,)),
        ("min_face_size", -1),
        ("mirror", 1.5),
        ("empty", -0.1),
    ],
)
def test_refuses_impossible_settings(option, value):
    with pytest.raises(InputError, match=f"AugmentSettings: {option}="):
        AugmentSettings(**{option: value})
