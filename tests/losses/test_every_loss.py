"""What holds for every loss, whatever it measures."""

import numpy as np
import pytest

import minidet.losses
from tests.check import FLOATS, LAYOUTS, OP_TOLERANCE, assert_close
from tests.losses.checks import assert_refuses
from tests.oracles.cases import each_array, stored
from tests.oracles.loss_cases import CASES, FILE, REDUCTIONS, call, expected

EVERY_LOSS = list(CASES)
EVERY_CASE = [case for of_one_loss in CASES.values() for case in of_one_loss]

# One case of each with several samples, where there is more than one way to lay it out in memory.
TYPICAL = {
    "binary_cross_entropy": "binary_cross_entropy-2x5x2-none",
    "edge_length_l1": "edge_length_l1-3x6-triangles9-none",
    "focal_loss": "focal_loss-7x2-gamma2-alpha0.25-none",
    "iou_loss": "iou_loss-5x4-none",
    "pixel_l1": "pixel_l1-4x2x3-none",
    "smooth_l1": "smooth_l1-2x5x2-beta1-none",
    "softmax_cross_entropy": "softmax_cross_entropy-5x3-none",
    "squared_error": "squared_error-2x5x2-none",
    "vertex_l1": "vertex_l1-3x5-none",
}


def typical(loss, dtype, reduction="none"):
    (case,) = [case for case in CASES[loss] if case.name == TYPICAL[loss]]
    return case.inputs(dtype), {**case.options, "reduction": reduction}


def integers(options):
    return {name: option for name, option in options.items() if isinstance(option, np.ndarray)}


def one_sample(arrays, options, at):
    """Return a batch of the sample ``at`` alone; labels and masks belong to samples, triangles to all."""
    alone = each_array(lambda array: array[at : at + 1], arrays)
    for name in {"labels", "covered"} & options.keys():
        options = {**options, name: options[name][at : at + 1]}
    return alone, options


def empty(arrays, options):
    return one_sample(arrays, options, at=len(next(iter(arrays.values()))))


# ---- Against PyTorch -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", EVERY_CASE, ids=str)
def test_equals_torch(case, dtype):
    found, wanted = call(case.op, case.inputs(dtype), case.options), expected(case, dtype)
    for output in ("value", "gradient"):
        assert_close(found[output], wanted[output], OP_TOLERANCE[dtype])


def test_every_loss_has_cases():
    assert set(minidet.losses.__all__) == set(EVERY_LOSS)


def test_the_oracle_has_every_case_and_no_other():
    names = {key.rpartition("/")[0] for key in stored(FILE)}
    assert names == {case.name for case in EVERY_CASE}


def test_no_two_cases_share_a_name():
    assert len(EVERY_CASE) == len({case.name for case in EVERY_CASE})


# ---- Reductions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("loss", EVERY_LOSS)
def test_sum_and_mean_are_those_of_the_single_losses(loss, dtype):
    arrays, options = typical(loss, dtype)
    function = getattr(minidet.losses, loss)
    losses, gradients = function(**arrays, **options)
    summed, grad_sum = function(**arrays, **{**options, "reduction": "sum"})
    mean, grad_mean = function(**arrays, **{**options, "reduction": "mean"})
    assert losses.size > 1
    assert summed == float(losses.sum(dtype=np.float64))
    assert mean == summed / losses.size
    np.testing.assert_array_equal(grad_sum, gradients)
    assert_close(grad_mean, gradients / losses.size, OP_TOLERANCE[dtype])


@pytest.mark.parametrize("loss", EVERY_LOSS)
def test_the_mean_is_the_default(loss):
    arrays, options = typical(loss, "float64", "mean")
    value, gradient = getattr(minidet.losses, loss)(**arrays, **options)
    del options["reduction"]
    default_value, default_gradient = getattr(minidet.losses, loss)(**arrays, **options)
    assert default_value == value
    np.testing.assert_array_equal(default_gradient, gradient)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("loss", EVERY_LOSS)
def test_a_batch_is_its_samples_one_by_one(loss, dtype):
    arrays, options = typical(loss, dtype)
    batch = call(loss, arrays, options)
    for at in range(len(batch["value"])):
        for output, array in call(loss, *one_sample(arrays, options, at)).items():
            assert_close(array, batch[output][at : at + 1], OP_TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("loss", EVERY_LOSS)
def test_no_samples_have_the_sum_zero_and_no_losses(loss, dtype):
    arrays, options = empty(*typical(loss, dtype))
    shape = next(iter(arrays.values())).shape
    assert shape[0] == 0
    losses, gradients = getattr(minidet.losses, loss)(**arrays, **options)
    value, grad_sum = getattr(minidet.losses, loss)(**arrays, **{**options, "reduction": "sum"})
    assert losses.size == 0
    assert losses.shape in (shape, shape[:1])
    assert losses.dtype == dtype
    assert type(value) is float
    assert value == 0
    for gradient in (gradients, grad_sum):
        assert gradient.shape == shape
        assert gradient.dtype == dtype


@pytest.mark.parametrize("reduction", ["average", "", "None", None, 1])
@pytest.mark.parametrize("loss", EVERY_LOSS)
def test_refuses_an_unknown_reduction(loss, reduction):
    arrays, options = typical(loss, "float64", reduction)
    message = f"{loss}: reduction={reduction!r}; expected 'none', 'sum' or 'mean'"
    assert_refuses(message, getattr(minidet.losses, loss), **arrays, **options)


# ---- Arrays ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("loss", EVERY_LOSS)
def test_results_have_the_type_of_the_input(loss, dtype, reduction):
    arrays, options = typical(loss, dtype, reduction)
    value, gradient = getattr(minidet.losses, loss)(**arrays, **options)
    assert gradient.dtype == dtype
    assert gradient.shape == next(iter(arrays.values())).shape
    if reduction == "none":
        assert value.dtype == dtype
    else:
        assert type(value) is float


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("loss", EVERY_LOSS)
def test_the_input_is_not_modified(loss, reduction):
    arrays, options = typical(loss, "float64", reduction)
    given = {**arrays, **integers(options)}
    before = {name: array.tobytes() for name, array in given.items()}
    call(loss, arrays, options)
    assert {name: array.tobytes() for name, array in given.items()} == before


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("loss", EVERY_LOSS)
def test_the_results_are_arrays_of_their_own(loss, reduction):
    arrays, options = typical(loss, "float64", reduction)
    found = call(loss, arrays, options)
    assert not np.shares_memory(found["value"], found["gradient"])
    for output in found.values():
        assert output.flags.writeable
        for array in (*arrays.values(), *integers(options).values()):
            assert not np.shares_memory(output, array)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("loss", EVERY_LOSS)
def test_the_layout_in_memory_does_not_matter(loss, dtype, layout):
    arrays, options = typical(loss, dtype)
    contiguous = call(loss, arrays, options)
    for output, array in call(loss, each_array(layout, arrays), options).items():
        assert_close(array, contiguous[output], OP_TOLERANCE[dtype])


@pytest.mark.parametrize("loss", ["edge_length_l1", "focal_loss", "softmax_cross_entropy"])
def test_the_layout_of_whole_numbers_does_not_matter(loss):
    arrays, options = typical(loss, "float64")
    contiguous = call(loss, arrays, options)
    for name, array in integers(options).items():
        scattered = np.full((*array.shape[:-1], 2 * array.shape[-1]), -9)
        scattered[..., ::2] = array
        for layout in (scattered[..., ::2], array.copy(order="F"), np.flip(np.flip(array).copy())):
            for output, found in call(loss, arrays, {**options, name: layout}).items():
                np.testing.assert_array_equal(found, contiguous[output])
