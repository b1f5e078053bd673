"""State by name, loading it, modes and types: what every module inherits."""

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.nn import BatchNorm2d, Conv2d, Linear, MaxPool2d, Module, PReLU, ReLU, Sequential
from tests.oracles.cases import Numbers


class Small(Module):
    """Named and numbered parts, one without state, an absent one, and an attribute that is no part."""

    def __init__(self):
        self.first = Conv2d(3, 4, 3)
        self.rest = Sequential(BatchNorm2d(4), ReLU(), Sequential(Conv2d(4, 5, 1, bias=False), PReLU(5)))
        self.absent = None
        self.head = Linear(5, 2)
        self.width = 4


SHAPES = {
    "first.weight": (4, 3, 3, 3),
    "first.bias": (4,),
    "rest.0.weight": (4,),
    "rest.0.bias": (4,),
    "rest.0.running_mean": (4,),
    "rest.0.running_var": (4,),
    "rest.2.0.weight": (5, 4, 1, 1),
    "rest.2.1.weight": (5,),
    "head.weight": (2, 5),
    "head.bias": (2,),
}


def fitting_state():
    numbers = Numbers(0)
    return {name: numbers.real(*shape).astype(np.float32) for name, shape in SHAPES.items()}


def modules_of(module):
    yield module
    for _, part in module.parts():
        yield from modules_of(part)


# ---- Names -----------------------------------------------------------------------------------------


def test_state_dict_names_every_array_by_its_path_in_order_of_definition():
    assert [(name, array.shape) for name, array in Small().state_dict().items()] == list(SHAPES.items())


def test_parameters_are_the_state_without_the_running_statistics():
    names = [name for name in SHAPES if "running" not in name]
    assert list(Small().parameters()) == names


def test_parameter_count_adds_up_the_learnt_numbers():
    assert Small().parameter_count() == 4 * 27 + 4 + 4 + 4 + 5 * 4 + 5 + 2 * 5 + 2


def test_a_module_without_state_has_none():
    pool = MaxPool2d(2, 2)
    assert pool.state_dict() == {}
    assert pool.parameters() == {}
    assert pool.parameter_count() == 0
    assert list(pool.parts()) == []


# ---- Loading and copying ---------------------------------------------------------------------------


def test_what_was_loaded_comes_back():
    state = fitting_state()
    module = Small()
    module.load_state_dict(state)
    for name, array in module.state_dict().items():
        np.testing.assert_array_equal(array, state[name])


def test_a_state_dict_of_one_module_loads_into_another():
    first, second = Small(), Small()
    first.load_state_dict(fitting_state())
    second.load_state_dict(first.state_dict())
    for name, array in second.state_dict().items():
        np.testing.assert_array_equal(array, first.state_dict()[name])


def test_the_order_of_names_does_not_matter():
    state = fitting_state()
    module = Small()
    module.load_state_dict(dict(reversed(state.items())))
    np.testing.assert_array_equal(module.head.bias.data, state["head.bias"])


def test_changing_a_returned_state_does_not_change_the_module():
    module = Small()
    for array in module.state_dict().values():
        array[...] = 7
    assert not any((array == 7).any() for array in module.state_dict().values())


def test_changing_a_loaded_state_does_not_change_the_module():
    module, state = Small(), fitting_state()
    module.load_state_dict(state)
    state["first.bias"][...] = 7
    assert not (module.first.bias.data == 7).any()


@pytest.mark.parametrize("given", ["float64", "float16", "int64"])
@pytest.mark.parametrize("own", ["float32", "float64"])
def test_loading_keeps_the_type_of_the_module(own, given):
    module = Small().astype(own)
    module.load_state_dict({name: np.full(shape, 2, given) for name, shape in SHAPES.items()})
    for array in module.state_dict().values():
        assert array.dtype == own
        assert (array == 2).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head.bias": None}, "weights do not fit Small: missing head.bias"),
        ({"extra": (1,)}, "weights do not fit Small: unexpected extra"),
        ({"head.bias": (3,)}, r"weights do not fit Small: mis-shaped head.bias is \(3,\), expected \(2,\)"),
        (
            {"first.weight": (4, 3, 3), "head.bias": (2, 1)},
            r"mis-shaped first.weight is \(4, 3, 3\), expected \(4, 3, 3, 3\), "
            r"head.bias is \(2, 1\), expected \(2,\)",
        ),
        (
            {"first.bias": None, "head.bias": None, "more": (1,), "rest.0.bias": (1,)},
            r"Small: missing first.bias, head.bias; unexpected more; "
            r"mis-shaped rest.0.bias is \(1,\), expected \(4,\)",
        ),
        (
            {f"extra{i}": (1,) for i in range(5)},
            "Small: unexpected extra0, extra1, extra2 and 2 more",
        ),
        (
            dict.fromkeys(SHAPES),
            "Small: missing first.weight, first.bias, rest.0.weight and 7 more",
        ),
    ],
)
def test_a_refused_state_is_explained_and_changes_nothing(change, message):
    module = Small()
    before = {name: (value.data, value.data.tobytes()) for name, value in module.state()}
    state = fitting_state()
    for name, shape in change.items():
        if shape is None:
            del state[name]
        else:
            state[name] = np.ones(shape, np.float32)
    with pytest.raises(InputError, match=f"{message}$"):
        module.load_state_dict(state)
    for name, value in module.state():
        data, content = before[name]
        assert value.data is data
        assert data.tobytes() == content


def test_a_state_that_cannot_be_converted_changes_nothing():
    module = Small()
    before = {name: value.data for name, value in module.state()}
    state = fitting_state()
    last = list(state)[-1]
    state[last] = np.full(state[last].shape, "text")
    with pytest.raises(ValueError, match="could not convert"):
        module.load_state_dict(state)
    assert all(value.data is before[name] for name, value in module.state())


# ---- Modes -----------------------------------------------------------------------------------------


def test_a_new_module_is_in_training_mode():
    assert all(module.training for module in modules_of(Small()))


def test_eval_and_train_reach_every_part():
    small = Small()
    assert len(list(modules_of(small))) == 9
    small.eval()
    assert not any(module.training for module in modules_of(small))
    small.train()
    assert all(module.training for module in modules_of(small))


def test_a_part_can_be_switched_alone():
    small = Small().train()
    small.rest.eval()
    assert not any(module.training for module in modules_of(small.rest))
    assert small.training
    assert small.first.training
    assert small.head.training


def test_modes_of_two_modules_are_their_own():
    first, second = Small().eval(), Small()
    assert not first.training
    assert second.training
    assert second.first.training


# ---- Types -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32", np.float64])
def test_astype_converts_every_array(dtype):
    module = Small().astype(dtype)
    assert {array.dtype for array in module.state_dict().values()} == {np.dtype(dtype)}


def test_float32_survives_the_way_through_float64():
    module, state = Small(), fitting_state()
    module.load_state_dict(state)
    for name, array in module.astype("float64").astype("float32").state_dict().items():
        np.testing.assert_array_equal(array, state[name])


@pytest.mark.parametrize("method", ["train", "eval"])
def test_switches_return_the_module(method):
    module = Small()
    assert getattr(module, method)() is module
    assert module.astype("float64") is module


@pytest.mark.parametrize("dtype", ["int64", "float16", "complex128", bool])
def test_astype_refuses_what_is_no_float32_or_float64(dtype):
    module = Small()
    message = rf"^astype: dtype={np.dtype(dtype)}; expected float32 or float64$"
    with pytest.raises(InputError, match=message):
        module.astype(dtype)
    assert {array.dtype for array in module.state_dict().values()} == {np.dtype("float32")}
