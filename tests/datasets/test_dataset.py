"""Data sets: a sequence of samples, read when asked for."""

import numpy as np
import pytest
from PIL import Image

from minidet.datasets import Annotation, Dataset, Sample, load_sample
from minidet.errors import InputError

BOXES = [[0, 0, 3, 3], [1, 1, 1, 4], [2, 0, 5, 4]]  # the second has no area


@pytest.fixture
def dataset(tmp_path):
    """Five photographs of 6 x 4 pixels, each of one grey: 0, 10, 20, 30, 40."""
    annotations = []
    for number in range(5):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.full((4, 6, 3), 10 * number, np.uint8)).save(path)
        points = np.full((3, 5, 2), np.nan)
        points[2] = number
        annotations.append(Annotation(path, path.name, BOXES, points, [False, True, True], (6, 4)))
    return Dataset(annotations, "test:here")


def greys(samples):
    return [int(sample.image[0, 0, 0]) for sample in samples]


def test_a_sample(dataset):
    sample = dataset[3]
    assert isinstance(sample, Sample)
    np.testing.assert_array_equal(sample.image, np.full((4, 6, 3), 30, np.uint8))
    assert sample.image.dtype == np.uint8
    assert sample.name == "3.png"
    # Without the box that has no area.
    np.testing.assert_array_equal(sample.boxes, np.float32([BOXES[0], BOXES[2]]))
    assert sample.landmark_mask.tolist() == [False, True]
    assert np.isnan(sample.landmarks[0]).all()
    assert (sample.landmarks[1] == 3).all()
    assert sample.ignore.tolist() == [False, True]


def test_the_annotations_stay_as_the_file_has_them(dataset):
    assert len(dataset.annotations[3].boxes) == 3


def test_is_a_sequence(dataset):
    assert len(dataset) == 5
    assert greys(dataset) == [0, 10, 20, 30, 40]
    assert greys(reversed(dataset)) == [40, 30, 20, 10, 0]
    assert greys([dataset[-1], dataset[np.int64(1)]]) == [40, 10]


@pytest.mark.parametrize("index", [5, -6])
def test_there_is_no_more(dataset, index):
    with pytest.raises(IndexError):
        dataset[index]


@pytest.mark.parametrize(
    ("part", "expected", "source"),
    [
        (slice(None, None, 2), [0, 20, 40], "test:here[::2]"),
        (slice(1, 3), [10, 20], "test:here[1:3]"),
        (slice(-2, None), [30, 40], "test:here[-2:]"),
        (slice(None, None, -1), [40, 30, 20, 10, 0], "test:here[::-1]"),
        (slice(9, None), [], "test:here[9:]"),
    ],
)
def test_a_part_is_a_data_set_and_says_so(dataset, part, expected, source):
    some = dataset[part]
    assert isinstance(some, Dataset)
    assert greys(some) == expected
    assert some.source == source
    assert len(some) == len(some.annotations) == len(expected)
    assert len(dataset) == 5


def test_a_part_of_a_part(dataset):
    assert greys(dataset[1:][::2]) == [10, 30]
    assert dataset[1:][::2].source == "test:here[1:][::2]"


@pytest.mark.parametrize("exhaustive", [True, False])
def test_a_part_is_as_exhaustive_as_the_whole(dataset, exhaustive):
    whole = Dataset(dataset.annotations, "x", exhaustive=exhaustive)
    assert whole.exhaustive is exhaustive
    assert whole[::2].exhaustive is exhaustive


def test_faces_are_all_there_by_default():
    assert Dataset([], "x").exhaustive is True


def test_an_empty_one():
    dataset = Dataset([], "nothing")
    assert (len(dataset), list(dataset)) == (0, [])


def test_later_changes_to_the_list_do_not_get_in(dataset):
    annotations = list(dataset.annotations)
    other = Dataset(annotations, "x")
    annotations.clear()
    assert len(other) == 5


def test_photographs_are_read_when_they_are_asked_for(dataset):
    dataset.annotations[1].path.unlink()
    assert greys(dataset[::2]) == [0, 20, 40]
    samples = iter(dataset)
    next(samples)
    with pytest.raises(InputError, match=r"1\.png"):
        next(samples)


def test_a_file_that_is_no_photograph(dataset):
    dataset.annotations[2].path.write_text("not a photograph")
    with pytest.raises(InputError, match=r"2\.png"):
        dataset[2]
    with pytest.raises(InputError, match=r"2\.png"):
        load_sample(dataset.annotations[2])
