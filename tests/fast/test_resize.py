import numpy as np
import pytest

from minidet import image as readable
from minidet.errors import InputError
from minidet.fast import get_num_threads, resize, set_num_threads

SIZES = [
    (1, 1, 1, 1),
    (1, 7, 3, 2),
    (5, 1, 2, 4),
    (40, 30, 40, 30),
    (50, 61, 17, 9),
    (9, 13, 20, 41),
    (64, 48, 1, 1),
]


@pytest.mark.parametrize("name", ["resize_area", "resize_bilinear"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_equal_to_the_definition(name, dtype, channels, size):
    H, W, height, width = size
    image = np.random.default_rng(0).integers(0, 256, (H, W, channels)).astype(dtype)
    expected = getattr(readable, name)(image, height, width)
    got = getattr(resize, name)(image, height, width)
    assert (got.shape, got.dtype) == (expected.shape, np.float32)
    assert np.abs(got - expected).max() <= 1e-6 * 255


@pytest.mark.parametrize("name", ["resize_area", "resize_bilinear"])
def test_the_number_of_threads_changes_nothing(name):
    image = np.random.default_rng(1).integers(0, 256, (90, 70, 3)).astype(np.uint8)
    before = get_num_threads()
    results = []
    for threads in (1, 2, 5):
        set_num_threads(threads)
        results.append(getattr(resize, name)(image[::-1, ::2], 47, 31))
    set_num_threads(before)
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


@pytest.mark.parametrize("name", ["resize_area", "resize_bilinear"])
def test_the_same_is_refused(name):
    function = getattr(resize, name)
    with pytest.raises(InputError, match=f"{name}: image of shape"):
        function(np.zeros((4, 4)), 2, 2)
    with pytest.raises(InputError, match=f"{name}: size 0 x 2"):
        function(np.zeros((4, 4, 3), np.uint8), 0, 2)
