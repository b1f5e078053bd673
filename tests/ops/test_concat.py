import re

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.ops import concat_backward, concat_forward
from tests.check import FLOATS, assert_close
from tests.oracles.cases import CASES, expected


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CASES["concat"], ids=str)
def test_equals_torch(case, dtype):
    y = concat_forward(**case.inputs(dtype), **case.options)
    assert_close(y, expected(case)["y"].astype(dtype), tolerance=0)


@pytest.mark.parametrize("case", CASES["concat"], ids=str)
def test_cutting_it_up_again_gives_the_parts(case):
    xs, axis = case.arrays["xs"], case.options.get("axis", 1)
    cuts = np.cumsum([x.shape[axis] for x in xs])[:-1]
    parts = np.split(concat_forward(xs, axis=axis), cuts, axis)
    for part, x in zip(parts, xs, strict=True):
        np.testing.assert_array_equal(part, x)


def test_takes_a_tuple_as_well():
    x = np.ones((1, 2))
    assert concat_forward((x, x)).shape == (1, 4)


def test_a_single_tensor_is_copied_too():
    x = np.ones((1, 2))
    assert not np.shares_memory(concat_forward([x]), x)


@pytest.mark.parametrize(
    ("xs", "axis", "message"),
    [
        ([np.zeros((1, 2))], 2, r".* cannot be joined along axis 2$"),
        ([np.zeros((1, 2))], -3, r".* cannot be joined along axis -3$"),
        ([], 1, r"`xs` is empty; expected at least one array$"),
        ([np.zeros((1, 2), np.int64)], 1, r"`xs\[0\]` is int64; expected float32 or float64$"),
        (
            [np.zeros((1, 2)), np.zeros((1, 2), np.float32)],
            1,
            r"`xs\[1\]` is float32, `xs\[0\]` is float64; cast one with \.astype\(\)$",
        ),
        (
            [np.zeros((1, 2, 3)), np.zeros((1, 2, 4))],
            1,
            r"shapes \(1, 2, 3\), \(1, 2, 4\) cannot be joined along axis 1$",
        ),
        ([np.zeros((1, 2)), np.zeros((3, 2))], -1, r"shapes \(1, 2\), \(3, 2\) cannot be joined"),
        (
            [np.zeros((1, 2)), np.zeros((1, 2, 3))],
            1,
            r"shapes \(1, 2\), \(1, 2, 3\) cannot be joined",
        ),
    ],
)
def test_refuses(xs, axis, message):
    with pytest.raises(InputError, match=f"^concat: {message}"):
        concat_forward(xs, axis=axis)


# ---- Backward (also in test_every_backward.py) -----------------------------------------------------


@pytest.mark.parametrize("case", CASES["concat"], ids=str)
def test_backward_undoes_forward(case):
    xs, axis = case.arrays["xs"], case.options.get("axis", 1)
    parts = concat_backward(concat_forward(xs, **case.options), [x.shape[axis] for x in xs], **case.options)
    assert isinstance(parts, list)
    for part, x in zip(parts, xs, strict=True):
        np.testing.assert_array_equal(part, x)


@pytest.mark.parametrize("sizes", [(2, 0, 1), np.array([2, 0, 1])])
def test_sizes_may_be_zero_and_any_sequence(sizes):
    parts = concat_backward(np.array([[1.0, 2.0, 3.0]]), sizes)
    assert [part.tolist() for part in parts] == [[[1.0, 2.0]], [[]], [[3.0]]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"grad_output": np.zeros((2, 3), np.int64)},
            r"`grad_output` is int64; expected float32 or float64$",
        ),
        ({"axis": 2}, r"`grad_output` of shape \(2, 3\) has no axis 2$"),
        ({"axis": -3}, r"`grad_output` of shape \(2, 3\) has no axis -3$"),
        ({"sizes": []}, r"`sizes` is empty; expected at least one$"),
        *[
            (
                {"sizes": sizes},
                rf"sizes={re.escape(str(sizes))}; expected to add up to 3, "
                r"the length of `grad_output` along axis 1$",
            )
            for sizes in [[1, 1], [2, 2], [4, -1]]
        ],
        (
            {"axis": 0},
            r"sizes=\[1, 2\]; expected to add up to 2, the length of `grad_output` along axis 0$",
        ),
        (
            {"axis": -2},
            r"sizes=\[1, 2\]; expected to add up to 2, the length of `grad_output` along axis -2$",
        ),
    ],
)
def test_backward_refuses(change, message):
    fitting = {"grad_output": np.zeros((2, 3)), "sizes": [1, 2]}
    with pytest.raises(InputError, match=f"^concat: {message}"):
        concat_backward(**{**fitting, **change})
