"""A deformable convolution begins as a plain one, and predicts its offsets itself."""

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.nn import Conv2d, DeformConv2d, Parameter, Sequential, initialise
from tests.check import OP_TOLERANCE, assert_close
from tests.oracles.cases import Numbers

X = (2, 4, 6, 7)


def drawn(layer):
    initialise(layer, np.random.default_rng(0))
    return layer.astype("float64")


@pytest.mark.parametrize("modulated", [False, True])
def test_all_starts_at_zero(modulated):
    layer = DeformConv2d(2, 3, 3, modulated=modulated)
    assert list(layer.state_dict()) == [
        "weight",
        "bias",
        "conv_offset_mask.weight",
        "conv_offset_mask.bias",
    ]
    assert not any(array.any() for array in layer.state_dict().values())


@pytest.mark.parametrize("modulated", [False, True])
def test_an_initialiser_draws_the_filters_and_not_the_predictor(modulated):
    layer = drawn(Sequential(DeformConv2d(4, 3, 3, modulated=modulated), Conv2d(3, 2, 1)))
    plain = drawn(Sequential(Conv2d(4, 3, 3), Conv2d(3, 2, 1)))
    for name, array in layer.state_dict().items():
        if "conv_offset_mask" in name:
            assert not array.any()
        else:
            np.testing.assert_array_equal(array, plain.state_dict()[name])


def test_other_parameters_do_not_start_at_zero():
    assert not Parameter(np.zeros(3)).starts_at_zero
    layer = DeformConv2d(4, 3, 3)
    kept = [name for name, parameter in layer.parameters().items() if parameter.starts_at_zero]
    assert kept == ["conv_offset_mask.weight"]


@pytest.mark.parametrize("options", [{}, {"padding": 1}, {"stride": 2, "padding": 1}])
@pytest.mark.parametrize(("modulated", "factor"), [(False, 1.0), (True, 0.5)])
def test_a_new_layer_is_a_plain_convolution(modulated, factor, options):
    layer = drawn(DeformConv2d(4, 3, 3, modulated=modulated, offset_groups=2, bias=False, **options))
    plain = drawn(Conv2d(4, 3, 3, bias=False, **options))
    x = Numbers("plain").real(*X)
    y = layer.forward(x)
    assert_close(y, factor * plain.forward(x), OP_TOLERANCE["float64"])
    grad_output = Numbers("upstream").real(*y.shape)
    grad_x = layer.backward(grad_output)
    assert_close(grad_x, factor * plain.backward(grad_output), OP_TOLERANCE["float64"])
    assert_close(layer.weight.grad, factor * plain.weight.grad, OP_TOLERANCE["float64"])
    # Where the predictor should go is known from the first step.
    assert layer.conv_offset_mask.weight.grad.any()


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_predicts_offsets_first_and_masks_from_zero_to_one_after_them(groups):
    layer = DeformConv2d(4, 3, 3, padding=1, modulated=True, offset_groups=groups)
    bias = layer.conv_offset_mask.bias.data
    bias[:] = np.arange(27 * groups)
    bias[18 * groups :] = np.linspace(-2, 2, 9 * groups)
    offset, mask = layer.eval().predict(np.ones(X, np.float32))
    assert offset.shape == (2, 18 * groups, 6, 7)
    assert mask.shape == (2, 9 * groups, 6, 7)
    assert offset[1, :, 2, 3].tolist() == list(range(18 * groups))
    np.testing.assert_allclose(mask[1, :, 2, 3], 1 / (1 + np.exp(-bias[18 * groups :])), rtol=1e-6)


def test_without_modulation_there_is_no_mask():
    layer = DeformConv2d(4, 3, 3, offset_groups=2)
    offset, mask = layer.predict(np.ones(X, np.float32))
    assert offset.shape == (2, 36, 4, 5)
    assert mask is None


def test_keeps_its_input_and_what_it_predicted():
    layer = DeformConv2d(4, 3, 3, modulated=True)
    x = Numbers("kept").real(*X).astype(np.float32)
    layer.forward(x)
    kept_x, offset, mask = layer._kept
    assert kept_x is x
    assert layer.conv_offset_mask._kept is x
    assert (offset.shape, mask.shape) == ((2, 18, 4, 5), (2, 9, 4, 5))


@pytest.mark.parametrize("groups", [0, -1, 3, 8])
def test_refuses_groups_that_do_not_divide_the_channels(groups):
    message = f"^DeformConv2d: offset_groups={groups}; expected a divisor of the number of channels, 4$"
    with pytest.raises(InputError, match=message):
        DeformConv2d(4, 3, 3, offset_groups=groups)
