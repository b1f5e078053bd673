import numpy as np
import pytest

from minidet.fast.kernels.retinaface_outputs import PIXELS_PER_BLOCK, retinaface_outputs
from minidet.ops import softmax_forward
from tests.fast.kernels.arena import Bench, alone, normal


@pytest.mark.parametrize("plane", [(1, 1), (3, 5), (2, PIXELS_PER_BLOCK)], ids=str)
def test_each_anchor_gets_its_numbers(plane):
    height, width = plane
    anchors = 2 * height * width
    box_deltas, logits, landmark_deltas = (
        normal(0, anchors, 4),
        20 * normal(1, anchors, 2),
        normal(2, anchors, 10),
    )
    per_pixel = [a.reshape(height, width, -1) for a in (box_deltas, logits, landmark_deltas)]
    bench = Bench()
    heads = bench.source(np.concatenate(per_pixel, axis=2).transpose(2, 0, 1))
    arena, _ = bench.filled()
    first, more = 3, 5
    outputs = [np.full((first + anchors + more, n), 7, np.float32) for n in (4, 2, 10)]
    retinaface_outputs(arena, heads, first, *outputs, alone())

    expected = [box_deltas, softmax_forward(logits, axis=1), landmark_deltas]
    for got, wanted in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(got[first : first + anchors], wanted, rtol=0, atol=1e-6)
        assert (got[:first] == 7).all()
        assert (got[first + anchors :] == 7).all()


def test_large_logits_do_not_overflow():
    bench = Bench()
    pixel = np.zeros((32, 1, 1), np.float32)
    pixel[8:12, 0, 0] = [-1e4, 1e4, 3e38, -1e38]
    heads = bench.source(pixel)
    arena, _ = bench.filled()
    outputs = [np.empty((2, n), np.float32) for n in (4, 2, 10)]
    retinaface_outputs(arena, heads, 0, *outputs, alone())
    np.testing.assert_array_equal(outputs[1], [[0, 1], [1, 0]])
