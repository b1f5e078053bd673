import numpy as np
import pytest

from minidet.models.mtcnn.flatten import flatten_columns_first


@pytest.mark.parametrize("shape", [(1, 1, 2, 3), (2, 3, 4, 5), (3, 64, 3, 3), (2, 3, 1, 1)])
def test_column_slowest_then_row_then_channel(shape):
    _, C, H, W = shape
    x = np.arange(np.prod(shape)).reshape(shape)
    flat = flatten_columns_first(x)
    assert flat.shape == (shape[0], W * H * C)
    for n, c, iy, ix in np.ndindex(shape):
        assert flat[n, (ix * H + iy) * C + c] == x[n, c, iy, ix]


def test_no_crops_are_no_vectors():
    assert flatten_columns_first(np.zeros((0, 64, 3, 4))).shape == (0, 768)


def test_the_input_is_not_modified():
    x = np.arange(12.0).reshape(1, 2, 2, 3)
    flatten_columns_first(x)[...] = 0
    np.testing.assert_array_equal(x.ravel(), np.arange(12.0))
