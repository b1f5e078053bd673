"""What all optimisers share: which gradients they take, what they leave alone, and going on after a break."""

import re

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.nn import Linear
from minidet.nn.parameter import Parameter
from minidet.training.optim import SGD, Adam, AdamW
from tests.check import FLOATS
from tests.oracles.cases import stored
from tests.oracles.optim_cases import FILE, KINDS, RUNS, SHAPES, STEPS, advance, trajectory, weights_of

# One of each kind that has something to remember, and one that has not.
MAKERS = {
    "plain SGD": lambda parameters: SGD(parameters, lr=0.1),
    "SGD": lambda parameters: SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.01),
    "Adam": lambda parameters: Adam(parameters, lr=0.1),
    "AdamW": lambda parameters: AdamW(parameters, lr=0.1),
}
EVERY_KIND = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


def two_parameters(dtype="float64"):
    """A pair with gradients."""
    parameters = {"a.weight": Parameter(np.ones((2, 3), dtype)), "a.bias": Parameter(np.ones(2, dtype))}
    for parameter in parameters.values():
        parameter.grad = np.full_like(parameter.data, 0.5)
    return parameters


def content(optimizer):
    """Everything an optimiser may change, as bytes."""
    arrays = {**optimizer.state_dict(), **{f"data.{n}": a for n, a in weights_of(optimizer).items()}}
    return {name: (array.dtype, array.shape, array.tobytes()) for name, array in arrays.items()}


def refuses(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


# ---- The oracle ------------------------------------------------------------------------------------


def test_the_oracle_has_every_run_and_no_other():
    names = {key.rpartition("/")[0] for key in stored(FILE)}
    assert names == {run.name for run in RUNS}
    assert len(RUNS) == len(names)


def test_every_optimiser_has_runs():
    assert {run.kind for run in RUNS} == set(KINDS)


def test_the_runs_hold_single_numbers_and_every_number_of_axes():
    assert {len(shape) for shape in SHAPES.values()} == {1, 2, 4}
    assert sum(np.prod(shape) == 1 for shape in SHAPES.values()) == 2


# ---- Going on after a break ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("break_after", [0, 1, 4])
@pytest.mark.parametrize("run", RUNS, ids=str)
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(run, break_after, dtype, tmp_path):
    first = run.optimizer(run.parameters(dtype))
    for _ in range(break_after):
        advance(run, first)
    np.savez(tmp_path / "optimizer.npz", **first.state_dict())
    np.savez(tmp_path / "weights.npz", **weights_of(first))

    parameters = {name: Parameter(np.zeros_like(array)) for name, array in weights_of(first).items()}
    second = run.optimizer(parameters)
    with np.load(tmp_path / "optimizer.npz") as archive:
        second.load_state_dict(archive)
    with np.load(tmp_path / "weights.npz") as archive:
        for name, parameter in parameters.items():
            parameter.data = archive[name]
    assert second.steps == break_after
    assert second.lr == first.lr

    whole = trajectory(run, dtype)
    for step in range(break_after, STEPS):
        advance(run, second)
        for name, array in weights_of(second).items():
            assert array.dtype == dtype
            assert array.tobytes() == whole[name][step].tobytes()


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_an_optimiser_that_has_run_can_be_set_back(run):
    optimizer = run.optimizer(run.parameters("float64"))
    for _ in range(3):
        advance(run, optimizer)
    state = optimizer.state_dict()
    weights = {name: array.copy() for name, array in weights_of(optimizer).items()}
    ahead = []
    for _ in range(2):
        for name, parameter in optimizer.parameters.items():
            parameter.data = weights[name]
        optimizer.load_state_dict(state)
        for _ in range(3):
            advance(run, optimizer)
        ahead.append(content(optimizer))
    assert ahead[0] == ahead[1]


@pytest.mark.parametrize(
    ("make", "names"),
    [
        ("plain SGD", []),
        ("SGD", ["velocity.a.weight", "velocity.a.bias"]),
        ("Adam", [f"{kind}_moment.a.{name}" for kind in ("first", "second") for name in ("weight", "bias")]),
        ("AdamW", [f"{kind}_moment.a.{name}" for kind in ("first", "second") for name in ("weight", "bias")]),
    ],
)
def test_what_a_state_holds(make, names):
    optimizer = MAKERS[make](two_parameters("float32"))
    optimizer.step()
    state = optimizer.state_dict()
    assert list(state) == ["lr", "steps", *names]
    assert (state["lr"], state["lr"].dtype) == (0.1, np.float64)
    assert (state["steps"], state["steps"].dtype) == (1, np.int64)
    for name in names:
        assert state[name].dtype == np.float32
        assert state[name].shape == ((2, 3) if name.endswith("weight") else (2,))


@EVERY_KIND
def test_changing_a_returned_state_does_not_change_the_optimiser(make):
    optimizer = make(two_parameters())
    optimizer.step()
    before = content(optimizer)
    for array in optimizer.state_dict().values():
        array[...] = 7
    assert content(optimizer) == before


@EVERY_KIND
def test_changing_a_loaded_state_does_not_change_the_optimiser(make):
    optimizer = make(two_parameters())
    optimizer.step()
    state = optimizer.state_dict()
    optimizer.load_state_dict(state)
    before = content(optimizer)
    for array in state.values():
        array[...] = 7
    assert content(optimizer) == before


@EVERY_KIND
def test_loading_keeps_the_type_of_the_optimiser(make):
    state = make(two_parameters("float64")).state_dict()
    optimizer = make(two_parameters("float32"))
    before = content(optimizer)
    optimizer.load_state_dict(state)
    assert content(optimizer) == before


BIAS, WEIGHT = "velocity.a.bias", "velocity.a.weight"
UNFIT = "optimiser state does not fit SGD: "


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": None}, UNFIT + "missing lr"),
        ({"steps": None}, UNFIT + "missing steps"),
        ({BIAS: None}, UNFIT + "missing velocity.a.bias"),
        ({BIAS: None, WEIGHT: None}, UNFIT + "missing velocity.a.weight and 1 more"),
        ({"velocity.b": np.zeros(2)}, UNFIT + "unexpected velocity.b"),
        ({BIAS: np.zeros((2, 1))}, UNFIT + "velocity.a.bias is (2, 1), expected (2,)"),
        ({"lr": np.zeros(1)}, UNFIT + "lr is (1,), expected ()"),
        ({"steps": np.zeros(2, np.int64)}, UNFIT + "steps is (2,), expected ()"),
        (
            {BIAS: None, "b": np.zeros(2), WEIGHT: np.zeros(3)},
            UNFIT + "missing velocity.a.bias and 2 more",
        ),
        ({"lr": np.array(-1.0)}, "SGD: lr=-1.0; expected a finite number, at least 0"),
        ({"lr": np.array(np.nan)}, "SGD: lr=nan; expected a finite number, at least 0"),
        ({"steps": np.array(-1)}, "SGD state: steps=-1; expected a whole number from 0 up"),
        ({"steps": np.array(1.5)}, "SGD state: steps=1.5; expected a whole number from 0 up"),
        (
            {BIAS: np.array([0.0, np.inf])},
            "SGD state: `velocity.a.bias` is inf at [1]; expected finite numbers",
        ),
        (
            {"lr": np.array(-1.0), "steps": np.array(5), WEIGHT: np.ones((2, 3))},
            "SGD: lr=-1.0; expected a finite number, at least 0",
        ),
    ],
)
def test_a_refused_state_is_explained_and_changes_nothing(change, message):
    optimizer = MAKERS["SGD"](two_parameters())
    optimizer.step()
    before = content(optimizer)
    state = {**optimizer.state_dict(), "lr": np.array(0.3), "steps": np.array(9), BIAS: np.full(2, 5.0)}
    state = {name: array for name, array in {**state, **change}.items() if array is not None}
    with refuses(message):
        optimizer.load_state_dict(state)
    assert content(optimizer) == before


def test_a_state_of_another_kind_is_refused():
    adam, sgd = MAKERS["Adam"](two_parameters()), MAKERS["SGD"](two_parameters())
    with refuses("optimiser state does not fit Adam: missing first_moment.a.weight and 5 more"):
        adam.load_state_dict(sgd.state_dict())


# ---- One step --------------------------------------------------------------------------------------


@EVERY_KIND
def test_steps_are_counted(make):
    optimizer = make(two_parameters())
    assert optimizer.steps == 0
    for _ in range(3):
        optimizer.step()
    assert optimizer.steps == 3


@EVERY_KIND
@pytest.mark.parametrize("lr", [0.05, np.float64(0.05), np.float32(0.05), 1])
def test_parameters_and_memory_keep_their_type(make, lr):
    optimizer = make(two_parameters("float32"))
    for _ in range(2):
        optimizer.lr = lr
        optimizer.step()
    for array in weights_of(optimizer).values():
        assert isinstance(array, np.ndarray)
        assert array.dtype == np.float32
    for arrays in optimizer.buffers().values():
        for array in arrays.values():
            assert array.dtype == np.float32


@EVERY_KIND
def test_a_step_leaves_the_old_values_and_the_gradients_alone(make):
    parameters = two_parameters()
    optimizer = make(parameters)
    before = {name: (p.data, p.data.tobytes(), p.grad, p.grad.tobytes()) for name, p in parameters.items()}
    for _ in range(2):
        optimizer.step()
    for name, parameter in parameters.items():
        data, data_bytes, grad, grad_bytes = before[name]
        assert data.tobytes() == data_bytes
        assert parameter.grad is grad
        assert grad.tobytes() == grad_bytes
        assert not np.shares_memory(parameter.data, data)
        for arrays in optimizer.buffers().values():
            assert not np.shares_memory(arrays[name], grad)
            assert not np.shares_memory(arrays[name], parameter.data)


@EVERY_KIND
def test_arrays_that_cannot_be_written_to_are_no_hindrance(make):
    parameters = two_parameters()
    for parameter in parameters.values():
        parameter.data.flags.writeable = False
        parameter.grad.flags.writeable = False
    make(parameters).step()


@EVERY_KIND
def test_only_the_given_parameters_move(make):
    layer = Linear(3, 2)
    optimizer = make({"weight": layer.parameters()["weight"]})
    for parameter in layer.parameters().values():
        parameter.grad = np.ones_like(parameter.data)
    optimizer.step()
    assert layer.weight.data.all()
    assert not layer.bias.data.any()


@EVERY_KIND
def test_every_parameter_moves_as_if_alone(make):
    together = two_parameters()
    make(together).step()
    for name, parameter in two_parameters().items():
        make({name: parameter}).step()
        np.testing.assert_array_equal(parameter.data, together[name].data)


@EVERY_KIND
def test_weights_loaded_later_are_the_ones_that_move(make):
    layer = Linear(3, 2)
    optimizer = make(layer.parameters())
    layer.load_state_dict({"weight": np.full((2, 3), 4.0), "bias": np.full(2, 4.0)})
    for parameter in layer.parameters().values():
        parameter.grad = np.ones_like(parameter.data)
    optimizer.step()
    assert (layer.weight.data < 4).all()
    assert (layer.weight.data > 3).all()


@EVERY_KIND
def test_zero_grad_clears_every_gradient(make):
    parameters = two_parameters()
    make(parameters).zero_grad()
    assert all(parameter.grad is None for parameter in parameters.values())


# ---- Gradients that are refused --------------------------------------------------------------------

NAMES = {"plain SGD": "SGD", "SGD": "SGD", "Adam": "Adam", "AdamW": "AdamW"}


@pytest.mark.parametrize(
    ("grad", "message"),
    [
        (None, "`a.bias` has no gradient; call backward before step, or leave it out of the parameters"),
        (np.array([1.0, np.nan]), "the gradient of `a.bias` is nan at [1]; expected finite numbers"),
        (np.array([-np.inf, np.nan]), "the gradient of `a.bias` is -inf at [0]; expected finite numbers"),
        (
            np.ones((2, 1)),
            "the gradient of `a.bias` is float64 (2, 1); expected float64 (2,), as its values",
        ),
        (
            np.ones(2, np.float32),
            "the gradient of `a.bias` is float32 (2,); expected float64 (2,), as its values",
        ),
    ],
)
@pytest.mark.parametrize("kind", MAKERS)
def test_a_refused_gradient_is_explained_and_changes_nothing(kind, grad, message):
    parameters = two_parameters()
    optimizer = MAKERS[kind](parameters)
    optimizer.step()
    before = content(optimizer)
    parameters["a.bias"].grad = grad  # the last: those before it could have moved
    with refuses(f"{NAMES[kind]}: {message}"):
        optimizer.step()
    assert content(optimizer) == before


def test_the_place_of_a_bad_number_is_given_in_full():
    parameters = {"conv.weight": Parameter(np.zeros((2, 3, 3, 3), np.float32))}
    optimizer = SGD(parameters, lr=0.1)
    parameters["conv.weight"].grad = np.zeros((2, 3, 3, 3), np.float32)
    parameters["conv.weight"].grad[1, 2, 0, 1] = np.inf
    with refuses("SGD: the gradient of `conv.weight` is inf at [1, 2, 0, 1]; expected finite numbers"):
        optimizer.step()


@pytest.mark.parametrize(
    ("kind", "buffer"), [("SGD", "velocity"), ("Adam", "first_moment"), ("AdamW", "first_moment")]
)
def test_a_module_converted_after_its_optimiser_was_made_is_refused(kind, buffer):
    layer = Linear(3, 2)
    optimizer = MAKERS[kind](layer.parameters())
    layer.astype("float64")
    for parameter in layer.parameters().values():
        parameter.grad = np.ones_like(parameter.data)
    with refuses(
        f"{kind}: `weight` is float64 (2, 3), its {buffer} float32 (2, 3); "
        "make the optimiser after the module has its final type and shapes"
    ):
        optimizer.step()


# ---- Parameters and rates that are refused ---------------------------------------------------------


SHARED = Parameter(np.zeros(2))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "`parameters` is empty; expected module.parameters() or some of it"),
        ({"a": SHARED, "b": SHARED}, "`a` and `b` are one parameter; expected it once"),
        ({"a": Parameter(np.zeros(2, np.int64))}, "`a` is int64; expected float32 or float64"),
        ({"a": Parameter(np.zeros(2, np.float16))}, "`a` is float16; expected float32 or float64"),
        (
            {"a": Parameter(np.array(1.0))},
            "`a` has no axis; expected an array, of shape (1,) for one number",
        ),
    ],
)
@pytest.mark.parametrize("kind", MAKERS)
def test_refuses_parameters(kind, parameters, message):
    with refuses(f"{NAMES[kind]}: {message}"):
        MAKERS[kind](parameters)


@pytest.mark.parametrize("lr", [-0.1, np.nan, np.inf])
@pytest.mark.parametrize("kind", MAKERS)
def test_an_impossible_rate_is_refused_when_it_is_set(kind, lr):
    optimizer = MAKERS[kind](two_parameters())
    with refuses(f"{NAMES[kind]}: lr={lr}; expected a finite number, at least 0"):
        optimizer.lr = lr
    assert optimizer.lr == 0.1
