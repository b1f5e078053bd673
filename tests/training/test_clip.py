import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.errors import InputError
from minidet.nn.parameter import Parameter
from minidet.training.optim import clip_grad_norm
from tests.check import FLOATS, OP_TOLERANCE, assert_close
from tests.oracles.cases import Numbers


def with_gradients(**gradients):
    """Parameters with these gradients."""
    parameters = {}
    for name, grad in gradients.items():
        parameters[name] = Parameter(np.zeros_like(grad))
        parameters[name].grad = grad
    return parameters


@pytest.mark.parametrize("dtype", FLOATS)
def test_by_hand(dtype):
    parameters = with_gradients(a=np.array([[3.0, 0.0]], dtype), b=np.array([-4.0], dtype))
    assert clip_grad_norm(parameters, 2.5) == 5
    factor = 2.5 / (5 + 1e-6)
    assert_close(parameters["a"].grad, np.array([[3 * factor, 0]], dtype), OP_TOLERANCE[dtype])
    assert_close(parameters["b"].grad, np.array([-4 * factor], dtype), OP_TOLERANCE[dtype])
    # The small number added to the length shows: without it the first would be 1.5.
    if dtype == "float64":
        assert parameters["a"].grad[0, 0] == pytest.approx(1.5 - 3e-7, abs=1e-9)


@pytest.mark.parametrize("max_norm", [5.1, 100, np.inf])
def test_short_gradients_stay_as_they_are(max_norm):
    gradients = {"a": np.array([3.0, 0.0]), "b": np.array([4.0])}
    parameters = with_gradients(**gradients)
    assert clip_grad_norm(parameters, max_norm) == 5
    for name, grad in gradients.items():
        assert parameters[name].grad is grad


def test_parameters_without_a_gradient_are_passed_over():
    parameters = {**with_gradients(a=np.array([3.0, 4.0])), "b": Parameter(np.full(3, 9.0))}
    assert clip_grad_norm(parameters, 1.0) == 5
    assert parameters["b"].grad is None


def test_no_gradient_and_zero_gradients_have_no_length():
    assert clip_grad_norm({}, 1.0) == 0
    assert clip_grad_norm({"a": Parameter(np.ones(2))}, 1.0) == 0
    parameters = with_gradients(a=np.zeros(2))
    assert clip_grad_norm(parameters, 1.0) == 0
    np.testing.assert_array_equal(parameters["a"].grad, [0.0, 0.0])


def test_the_values_and_the_old_gradients_are_not_modified():
    parameters = with_gradients(a=np.array([3.0, 4.0]))
    data, grad = parameters["a"].data, parameters["a"].grad
    assert isinstance(clip_grad_norm(parameters, 1.0), float)
    assert parameters["a"].data is data
    np.testing.assert_array_equal(data, [0.0, 0.0])
    np.testing.assert_array_equal(grad, [3.0, 4.0])


@pytest.mark.parametrize("max_norm", [1, np.float64(1), np.float32(1)])
def test_gradients_keep_their_type(max_norm):
    parameters = with_gradients(a=np.array([3.0, 4.0], np.float32))
    clip_grad_norm(parameters, max_norm)
    assert parameters["a"].grad.dtype == np.float32


def test_squares_beyond_float32_are_no_hindrance():
    parameters = with_gradients(a=np.array([3e30, 4e30], np.float32))
    assert clip_grad_norm(parameters, 1.0) == pytest.approx(5e30, rel=1e-6)
    assert_close(parameters["a"].grad, np.array([0.6, 0.8], np.float32), OP_TOLERANCE["float32"])


@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_the_length_is_bounded_and_the_direction_kept(seed, scale, max_norm):
    numbers = Numbers(seed)
    gradients = {"a": scale * numbers.real(2, 3), "b": scale * numbers.real(4), "c": scale * numbers.real(1)}
    parameters = with_gradients(**gradients)
    before = np.concatenate([grad.ravel() for grad in gradients.values()])
    norm = clip_grad_norm(parameters, max_norm)
    after = np.concatenate([parameter.grad.ravel() for parameter in parameters.values()])
    assert norm == pytest.approx(np.linalg.norm(before), rel=1e-12)
    assert np.linalg.norm(after) <= max_norm * (1 + 1e-12)
    assert_close(after / np.linalg.norm(after), before / np.linalg.norm(before), 1e-12)
    if norm > 2 * max_norm:
        assert np.linalg.norm(after) == pytest.approx(max_norm, rel=1e-2)


# ---- Refusals --------------------------------------------------------------------------------------


def refuses(message):
    return pytest.raises(InputError, match=f"^{re.escape('clip_grad_norm: ' + message)}$")


@pytest.mark.parametrize("max_norm", [0, -1.0, np.nan, "1"])
def test_refuses_a_bound(max_norm):
    with refuses(f"max_norm={max_norm!r}; expected a number above 0"):
        clip_grad_norm(with_gradients(a=np.ones(2)), max_norm)


@pytest.mark.parametrize(
    ("grad", "message"),
    [
        (np.array([1.0, np.nan]), "the gradient of `b` is nan at [1]; expected finite numbers"),
        (np.array([-np.inf, 1.0]), "the gradient of `b` is -inf at [0]; expected finite numbers"),
        (np.full(2, 1e200), "the gradients are too large to be squared; expected below 1e154"),
    ],
)
def test_a_refused_gradient_is_explained_and_changes_nothing(grad, message):
    first = np.array([3.0, 4.0])
    parameters = with_gradients(a=first, b=grad)
    with refuses(message):
        clip_grad_norm(parameters, 1.0)
    assert parameters["a"].grad is first
    assert parameters["b"].grad is grad


def test_refuses_a_gradient_unlike_its_values():
    parameters = with_gradients(a=np.ones(2))
    parameters["a"].grad = np.ones(3)
    with refuses("the gradient of `a` is float64 (3,); expected float64 (2,), as its values"):
        clip_grad_norm(parameters, 1.0)


def test_refuses_one_parameter_under_two_names():
    parameter = with_gradients(a=np.ones(2))["a"]
    with refuses("`a` and `b` are one parameter; expected it once"):
        clip_grad_norm({"a": parameter, "b": parameter}, 1.0)
