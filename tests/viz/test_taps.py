import re

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.nn import DeformConv2d
from minidet.ops import deform_conv2d_forward
from minidet.viz.panels import panels
from minidet.viz.taps import add_taps


def picture():
    return panels([np.zeros((20, 30))]).axes[0]


def test_rings_are_the_window_and_dots_are_where_the_convolution_reads():
    # A map whose values are its own coordinates says where each tap has read.
    H, W = 9, 11
    row, column = np.indices((H, W)).astype(float)
    offset = np.random.default_rng(0).uniform(-1, 1, (1, 18, 4, 5))
    filters = np.eye(9).reshape(9, 1, 3, 3)
    read_y, read_x = (
        deform_conv2d_forward(values[None, None], offset, filters, stride=2, padding=0)[0, :, 1, 2]
        for values in (row, column)
    )
    ax = add_taps(picture(), offset[0, :, 1, 2], (1, 2), stride=2)
    rings, dots = ax.collections
    expected = [[x + 0.5, y + 0.5] for y in (2, 3, 4) for x in (4, 5, 6)]
    np.testing.assert_array_equal(rings.get_offsets(), expected)
    np.testing.assert_allclose(dots.get_offsets(), np.column_stack([read_x, read_y]) + 0.5)
    for line, ring, dot in zip(ax.lines, rings.get_offsets(), dots.get_offsets(), strict=True):
        np.testing.assert_array_equal(line.get_xydata(), [ring, dot])


def test_padding_and_the_pixels_of_a_level():
    ax = add_taps(picture(), np.zeros(8), (0, 1), padding=1, pixels=16)
    rings, dots = ax.collections
    assert rings.get_offsets().tolist() == [[8, -8], [24, -8], [8, 8], [24, 8]]
    np.testing.assert_array_equal(dots.get_offsets(), rings.get_offsets())


def test_a_mask_fades_the_dots():
    ax = add_taps(picture(), np.ones(8), (3, 3), [0.0, 0.25, 0.5, 1.0])
    _, dots = ax.collections
    assert dots.get_alpha().tolist() == [0, 0.25, 0.5, 1]
    assert [line.get_alpha() for line in ax.lines] == [0, 0.25, 0.5, 1]


def test_takes_what_a_layer_predicts():
    layer = DeformConv2d(3, 2, 3, padding=1, modulated=True).eval()
    offset, mask = layer.predict(np.ones((1, 3, 5, 6), np.float32))
    ax = add_taps(picture(), offset[0, :, 2, 3], (2, 3), mask[0, :, 2, 3], padding=layer.padding)
    assert len(ax.lines) == 9


@pytest.mark.parametrize("shape", [(), (0,), (9,), (6,), (2, 9), (20,)])
def test_refuses_offsets(shape):
    message = f"add_taps: offset of shape {shape}; expected (2 * K * K,)"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        add_taps(picture(), np.zeros(shape), (0, 0))


def test_refuses_a_mask():
    with pytest.raises(InputError, match=r"^add_taps: mask of shape \(8,\); expected \(9,\)$"):
        add_taps(picture(), np.zeros(18), (0, 0), np.ones(8))
