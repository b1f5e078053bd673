"""The kernels that P-Net is made of: each takes rows from a ring and makes one row, or three."""

import numpy as np
import pytest

from minidet.fast.kernels import conv_planes, conv_pool_planes, pnet_cells
from minidet.fast.kernels.winograd_valid import pack_winograd_valid
from minidet.fast.layout import Dense, WeightPacker
from minidet.ops import conv2d_forward, max_pool2d_forward, prelu_forward, softmax_forward
from tests.fast.kernels.arena import NONSENSE, agreement, normal

WIDTHS = [3, 4, 5, 16, 17, 31, 32, 33, 47, 48, 49, 80]
TARGET = 40_000
SIZE = 100_000


def pack(weight, bias, slope, order):
    packer = WeightPacker()
    layer = Dense(packer.add(weight.transpose(order)), packer.add(bias), packer.add(slope), 0, len(bias))
    return packer.packed(), layer


@pytest.mark.parametrize("height", [3, 4, 5, 8, 9])
@pytest.mark.parametrize("width", WIDTHS)
def test_conv_pool_row(width, height):
    x = normal(0, 3, height, width)
    weight, bias, slope = normal(1, 10, 3, 3, 3), normal(2, 10), normal(3, 10)
    y = prelu_forward(conv2d_forward(x[None], weight, bias), slope)
    (expected,), _ = max_pool2d_forward(y, kernel_size=2, stride=2, ceil_mode=True)

    weights, layer = pack(weight, bias, slope, (1, 2, 3, 0))
    plane = (width + 1) // 2 + 32
    arena = np.full(SIZE, NONSENSE)
    ring = arena[: 4 * 6 * plane].reshape(4, 2, 3, plane)
    target = arena[TARGET : TARGET + 10 * plane].reshape(10, plane)
    for row in range(expected.shape[1]):
        for line in range(2 * row, min(2 * row + 4, height)):
            for parity in range(2):
                columns = x[:, line, parity::2]
                ring[line % 4, parity, :, : columns.shape[1]] = columns
        conv_pool_planes.conv_pool_row(
            *(arena, 0, plane, row, height - 2, width - 2, weights, layer, TARGET, plane)
        )
        assert agreement(target[:, : expected.shape[2]], expected[:, row]) < 2e-6
    assert (arena[TARGET + 10 * plane :] == NONSENSE).all()


@pytest.mark.parametrize("width", WIDTHS)
def test_conv_planes_row(width):
    x = normal(0, 10, 7, width)
    weight, bias, slope = normal(1, 16, 10, 3, 3), normal(2, 16), normal(3, 16)
    (expected,) = prelu_forward(conv2d_forward(x[None], weight, bias), slope)

    weights, layer = pack(weight, bias, slope, (2, 1, 3, 0))
    plane = width + 32
    arena = np.full(SIZE, NONSENSE)
    ring = arena[: 4 * 10 * plane].reshape(4, 10, plane)
    target = arena[TARGET : TARGET + 16 * plane].reshape(plane, 16)
    for row in range(5):
        for line in range(row, row + 3):
            ring[line % 4, :, :width] = x[:, line]
        conv_planes.conv_planes_row(arena, 0, plane, row, width - 2, weights, layer, TARGET)
        assert agreement(target[: width - 2].T, expected[:, row]) < 2e-6
        assert (target[width - 2 : width] == 0).all()


class Cells:
    """The last layers with random weights, and a map of 16 channels to apply them to."""

    def __init__(self, rows, columns):
        self.x = normal(0, 16, rows + 2, columns + 2)
        self.conv = normal(1, 32, 16, 3, 3) / 12, normal(2, 32), normal(3, 32)
        self.class_head = normal(4, 2, 32, 1, 1) / 6, normal(5, 2)
        self.box_head = normal(6, 4, 32, 1, 1) / 6, normal(7, 4)

    def definition(self):
        """Return scores (2, rows, columns) and box_deltas (4, rows, columns)."""
        weight, bias, slope = self.conv
        features = prelu_forward(conv2d_forward(self.x[None], weight, bias), slope)
        scores = softmax_forward(conv2d_forward(features, *self.class_head), axis=1)
        return scores[0], conv2d_forward(features, *self.box_head)[0]

    def found(self, threshold, least):
        """Run the kernel over all rows, three at a time, and return the cells it finds."""
        packer = WeightPacker()
        layer = pack_winograd_valid(packer, *self.conv)
        weight, bias = np.zeros((32, 8)), np.zeros(8)
        for first, (head_weight, head_bias) in ((0, self.class_head), (2, self.box_head)):
            outputs = slice(first, first + len(head_bias))
            weight[:, outputs], bias[outputs] = head_weight[:, :, 0, 0].T, head_bias
        heads = Dense(packer.add(weight), packer.add(bias), 0, 32, 8)

        rows, columns = self.x.shape[1] - 2, self.x.shape[2] - 2
        length = columns + 24
        arena = np.full(SIZE, NONSENSE)
        ring = arena[: 5 * length * 16].reshape(5, length, 16)
        ring[:, columns + 2 : columns + 4] = 0
        found = np.full((rows * columns, 8), NONSENSE)
        count = 0
        for row in range(0, rows, 3):
            together = min(3, rows - row)
            for line in range(row, row + together + 2):
                ring[line % 5, : columns + 2] = self.x[:, line].T
            count = pnet_cells.pnet_cells(
                *(arena, 0, length, row, together, columns, packer.packed(), layer, heads),
                *(threshold, least, TARGET, found, count),
            )
        assert (found[count:] == NONSENSE).all()
        return found[:count]


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("columns", [1, 2, 3, 7, 23, 24, 25, 26, 50])
def test_all_cells(rows, columns):
    cells = Cells(rows, columns)
    scores, box_deltas = cells.definition()
    found = cells.found(0.0, -np.inf).reshape(rows, columns, 8).transpose(2, 0, 1)
    assert np.abs(found[:2] - scores).max() < 1e-5
    assert agreement(found[2:6], box_deltas) < 1e-5
    np.testing.assert_array_equal(found[6], np.arange(rows)[:, None].repeat(columns, axis=1))
    np.testing.assert_array_equal(found[7], np.arange(columns)[None].repeat(rows, axis=0))


@pytest.mark.parametrize("margin", [1e-3, 3])  # with the larger one the threshold itself decides
@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_cells_with_a_face(threshold, margin):
    cells = Cells(8, 50)
    scores, _ = cells.definition()
    rows, columns = np.nonzero(scores[1] >= threshold)
    assert 20 < len(rows) < 380
    # No score of this example is closer to a threshold than the kernel is exact.
    assert np.abs(scores[1] - threshold).min() > 1e-5
    found = cells.found(threshold, np.log(threshold / (1 - threshold)) - margin)
    np.testing.assert_array_equal(found[:, 6:], np.stack([rows, columns], axis=1))


def test_scores_that_the_definition_rounds_to_the_same_are_equal():
    """Near 1 float32 numbers are few, and which of two scores is the better one decides over boxes."""
    cells = Cells(9, 50)
    cells.class_head = cells.class_head[0], np.array([-15, 0], np.float32)  # nearly certain
    scores, _ = cells.definition()
    assert (scores[1] > 1 - 1e-4).all()
    assert len(np.unique(scores[1])) < 100  # of 450
    found = cells.found(0.5, 0.0)
    assert (found[:, 1] == scores[1].ravel()).mean() > 0.9
