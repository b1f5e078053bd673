"""What holds for every operation, whatever it computes."""

import numpy as np
import pytest

import minidet.ops
from minidet.errors import InputError
from tests.check import FLOATS, LAYOUTS, OP_TOLERANCE, assert_close
from tests.oracles.cases import CASES, FILE, TYPICAL, call, each_array, images, named, stored

EVERY_OP = list(CASES)


def typical(op, dtype):
    case = TYPICAL[op]
    return case.inputs(dtype), case.options


def test_every_op_has_cases():
    forwards = {name for name in minidet.ops.__all__ if name.endswith("_forward")}
    assert forwards == {f"{op}_forward" for op in EVERY_OP}


def test_the_oracle_has_every_case_and_no_other():
    names = {key.rpartition("/")[0] for key in stored(FILE)}
    assert names == {case.name for cases in CASES.values() for case in cases}


def test_no_two_cases_share_a_name():
    names = [case.name for cases in CASES.values() for case in cases]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("op", EVERY_OP)
def test_results_have_the_type_of_the_input(op, dtype):
    arrays, options = typical(op, dtype)
    for name, output in call(op, arrays, options).items():
        assert output.dtype == (np.intp if name == "argmax" else dtype)


@pytest.mark.parametrize("op", EVERY_OP)
def test_the_input_is_not_modified(op):
    arrays, options = typical(op, "float64")
    before = [array.tobytes() for array in named(arrays).values()]
    call(op, arrays, options)
    assert [array.tobytes() for array in named(arrays).values()] == before


@pytest.mark.parametrize("op", EVERY_OP)
def test_the_result_is_an_array_of_its_own(op):
    arrays, options = typical(op, "float64")
    for output in call(op, arrays, options).values():
        assert output.flags.writeable
        assert not any(np.shares_memory(output, array) for array in named(arrays).values())


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("op", EVERY_OP)
def test_the_layout_in_memory_does_not_matter(op, dtype, layout):
    arrays, options = typical(op, dtype)
    contiguous = call(op, arrays, options)
    for name, output in call(op, each_array(layout, arrays), options).items():
        assert_close(output, contiguous[name], OP_TOLERANCE[dtype])


@pytest.mark.parametrize("op", sorted(set(EVERY_OP) - {"batch_norm2d", "concat"}))
def test_a_batch_is_its_images_one_by_one(op):
    arrays, options = typical(op, "float64")
    batch = call(op, arrays, options)
    for n in range(len(arrays["x"])):
        alone = call(op, images(arrays, slice(n, n + 1)), options)
        for name, output in alone.items():
            assert_close(output, batch[name][n : n + 1], OP_TOLERANCE["float64"])


@pytest.mark.parametrize("op", sorted(set(EVERY_OP) - {"batch_norm2d", "concat"}))
def test_an_empty_batch_gives_an_empty_result(op):
    arrays, options = typical(op, "float32")
    batch = call(op, arrays, options)
    for name, output in call(op, images(arrays, slice(0)), options).items():
        assert output.shape == (0, *batch[name].shape[1:])
        assert output.dtype == batch[name].dtype


def test_a_list_is_no_array():
    with pytest.raises(InputError, match=r"^relu: `x` is a list; expected an array$"):
        minidet.ops.relu_forward([1.0, 2.0])
