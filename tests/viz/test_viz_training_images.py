import numpy as np
import pytest

from minidet.datasets import Sample
from minidet.errors import InputError
from minidet.image.draw import BOX_COLOUR, LANDMARK_COLOURS
from minidet.viz.training_images import IGNORED_COLOUR, training_images_sheet

GREY = (90, 90, 90)
POINTS = np.float32([[20, 20], [40, 20], [30, 30], [22, 40], [70, 40]])


def sample_of(boxes=((10, 8, 50, 56),), *, landmarks=POINTS, ignore=(False,), width=64, height=64):
    boxes = np.float32(boxes).reshape(-1, 4)
    landmarks = np.tile(np.float32(landmarks), (len(boxes), 1, 1))
    image = np.full((height, width, 3), GREY, np.uint8)
    known = np.isfinite(landmarks).all(axis=(1, 2))
    return Sample(image, boxes, landmarks, known, np.array(ignore, bool), "a.jpg")


def where(sheet, colour):
    """First and last column and row of a colour, one past the last; None if there is none."""
    rows, columns = np.nonzero((np.asarray(sheet) == colour).all(axis=-1))
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if len(rows) else None


def test_images_are_laid_out_in_rows_and_keep_their_pixels():
    rng = np.random.default_rng(0)
    none = np.zeros(0, bool)
    images = rng.integers(0, 256, (5, 48, 64, 3), dtype=np.uint8)
    samples = [
        Sample(image, np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), none, none, "a")
        for image in images
    ]
    sheet = np.asarray(training_images_sheet(samples, columns=3))
    assert sheet.shape == (2 * 64, 3 * 80, 3)
    for k, image in enumerate(images):
        top, left = k // 3 * 64 + 8, k % 3 * 80 + 8
        np.testing.assert_array_equal(sheet[top : top + 48, left : left + 64], image)
    assert (sheet[64:, 160:] == 255).all()  # the sixth place is empty


def test_one_row_is_no_wider_than_its_images():
    assert training_images_sheet([sample_of()] * 2, columns=4).size == (160, 80)


def test_boxes_are_drawn_around_the_faces():
    sheet = training_images_sheet([sample_of()])
    assert where(sheet, BOX_COLOUR) == [18, 16, 58, 64]
    assert where(sheet, IGNORED_COLOUR) is None


def test_ignored_faces_are_grey_and_without_points():
    sheet = training_images_sheet([sample_of(ignore=[True])])
    assert where(sheet, IGNORED_COLOUR) == [18, 16, 58, 64]
    assert where(sheet, BOX_COLOUR) is None
    assert all(where(sheet, colour) is None for colour in LANDMARK_COLOURS)


def test_points_have_their_colours_and_may_lie_in_the_margin():
    sheet = training_images_sheet([sample_of()])
    for (x, y), colour in zip(POINTS, LANDMARK_COLOURS, strict=True):
        x1, y1, x2, y2 = where(sheet, colour)
        assert abs((x1 + x2) / 2 - (x + 8)) <= 1
        assert abs((y1 + y2) / 2 - (y + 8)) <= 1
        assert 2 <= x2 - x1 <= 5


def test_faces_without_landmarks_have_no_points():
    sheet = training_images_sheet([sample_of(landmarks=np.full((5, 2), np.nan))])
    assert all(where(sheet, colour) is None for colour in LANDMARK_COLOURS)
    assert where(sheet, BOX_COLOUR) is not None


def test_the_points_of_a_face_are_drawn_beside_one_without():
    """The face with points is the second: its size, and not that of the first, decides how large they are."""
    sample = sample_of([[0, 0, 2, 2], [4, 4, 64, 64]], ignore=[False, False], landmarks=POINTS)
    known = np.array([False, True])
    sample = Sample(sample.image, sample.boxes, sample.landmarks, known, sample.ignore, "a")
    x1, _, x2, _ = where(training_images_sheet([sample]), LANDMARK_COLOURS[0])
    assert x2 - x1 == 5


def test_tiny_boxes_are_drawn():
    sheet = training_images_sheet([sample_of([[10.0, 10.0, 10.2, 10.2]], landmarks=np.full((5, 2), np.nan))])
    x1, y1, x2, y2 = where(sheet, BOX_COLOUR)
    assert (x1, y1) == (18, 18)
    assert max(x2 - x1, y2 - y1) <= 2


@pytest.mark.parametrize(
    ("samples", "options", "message"),
    [
        ([], {}, "images of none; expected some, all of one size"),
        (
            [sample_of(), sample_of(width=48)],
            {},
            "images of 48 x 64, 64 x 64; expected some, all of one size",
        ),
        ([sample_of()], {"columns": 0}, "columns=0"),
    ],
)
def test_refuses(samples, options, message):
    with pytest.raises(InputError, match=f"training_images_sheet: {message}"):
        training_images_sheet(samples, **options)
