import re

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.ops import softmax_backward, softmax_forward
from tests.check import FLOATS, OP_TOLERANCE, assert_close
from tests.oracles.cases import CASES, Numbers, expected, gradients


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CASES["softmax"], ids=str)
def test_equals_torch(case, dtype):
    y = softmax_forward(**case.inputs(dtype), **case.options)
    assert_close(y, expected(case)["y"].astype(dtype), OP_TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CASES["softmax"], ids=str)
def test_scores_sum_to_one(case, dtype):
    y = softmax_forward(**case.inputs(dtype), **case.options)
    sums = y.sum(axis=case.options.get("axis", -1))
    np.testing.assert_allclose(sums, 1, rtol=OP_TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", FLOATS)
def test_adding_a_number_to_all_logits_changes_nothing(dtype):
    x = np.array([[1.0, 2.0, 4.0]], dtype)
    np.testing.assert_array_equal(softmax_forward(x + 4096), softmax_forward(x))


def test_refuses_whole_numbers():
    with pytest.raises(InputError, match=r"^softmax: `x` is int64; expected float32 or float64$"):
        softmax_forward(np.zeros((1, 2), np.int64))


# ---- Backward (also in test_every_backward.py) -----------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CASES["softmax"], ids=str)
def test_gradients_sum_to_zero(case, dtype):
    grad_x = gradients(case, dtype)["x"]
    sums = grad_x.sum(axis=case.options.get("axis", -1))
    np.testing.assert_allclose(sums, 0, atol=OP_TOLERANCE[dtype])


def test_the_same_gradient_for_every_score_is_none():
    # The scores sum to one whatever the logits are.
    y = softmax_forward(Numbers(0).real(4, 5))
    same_in_each_row = np.broadcast_to(Numbers(1).real(4, 1), (4, 5))
    np.testing.assert_allclose(softmax_backward(same_in_each_row, y), 0, atol=1e-15)


def test_a_certain_score_has_no_gradient_left():
    # And a score that underflowed to zero is no reason for a NaN.
    y = softmax_forward(np.array([[1e4, -1e4, 0.0]]))
    assert y.tolist() == [[1.0, 0.0, 0.0]]
    assert softmax_backward(np.array([[3.0, -5.0, 7.0]]), y).tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"grad_output": np.zeros((2, 3), np.int64)},
            r"`grad_output` is int64; expected float32 or float64$",
        ),
        (
            {"y": np.zeros((2, 3), np.float32)},
            r"`y` is float32, `grad_output` is float64; cast one with \.astype\(\)$",
        ),
        *[
            (
                {"grad_output": np.zeros(shape)},
                rf"`grad_output` has shape {re.escape(str(shape))}; expected \(2, 3\), the shape of `y`$",
            )
            for shape in [(3, 2), (3,), (2, 1), (6,), ()]
        ],
        ({"axis": 2}, r"`y` of shape \(2, 3\) has no axis 2$"),
        ({"axis": -3}, r"`y` of shape \(2, 3\) has no axis -3$"),
    ],
)
def test_backward_refuses(change, message):
    fitting = {"grad_output": np.zeros((2, 3)), "y": np.zeros((2, 3))}
    with pytest.raises(InputError, match=f"^softmax: {message}"):
        softmax_backward(**{**fitting, **change})
