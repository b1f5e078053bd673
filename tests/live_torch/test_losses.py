"""Every loss against PyTorch itself, in both float types: the stored cases, larger ones, the extreme ones."""

import numpy as np
import pytest
import torch

from tests.check import FLOATS, OP_TOLERANCE, assert_close
from tests.live_torch.torch_losses import LOSSES, torch_call
from tests.oracles import loss_cases
from tests.oracles.cases import Case, Numbers
from tests.oracles.loss_cases import CASES, REDUCTIONS, call, expected

EVERY_CASE = [case for of_one_loss in CASES.values() for case in of_one_loss]


def assert_equals_torch(case, dtype):
    ours = call(case.op, case.inputs(dtype), case.options)
    theirs = torch_call(case.op, case.inputs(dtype), case.options)
    assert_close(ours["gradient"], theirs["gradient"], OP_TOLERANCE[dtype])
    # A sum or a mean is a Python float here and has the input's type there.
    assert_close(ours["value"], theirs["value"].astype(ours["value"].dtype), OP_TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", EVERY_CASE, ids=str)
def test_stored_cases(case, dtype):
    assert_equals_torch(case, dtype)


@pytest.mark.parametrize("case", EVERY_CASE, ids=str)
def test_the_stored_oracle_is_what_torch_says_today(case):
    today = torch_call(case.op, case.inputs("float64"), case.options)
    for output, array in expected(case, "float64").items():
        assert_close(today[output], array, OP_TOLERANCE["float64"])


# ---- Larger cases, at random -----------------------------------------------------------------------


def binary_cross_entropy(draw, **options):
    return loss_cases.shares(tuple(draw(1, 20) for _ in range(draw(1, 4))), **options)


def edge_length_l1(draw, **options):
    V = draw(1, 200)
    return loss_cases.faces("edge_length_l1", draw(1, 8), V, draw(1, 400), **options)


def focal_loss(draw, **options):
    options = {"gamma": draw(0, 20) / 4, "alpha": draw(0, 10) / 10, **options}
    return loss_cases.classification("focal_loss", draw(1, 2000), 2, **options)


def iou_loss(draw, **options):
    return loss_cases.around_a_point(draw(1, 2000), **options)


def pixel_l1(draw, **options):
    return loss_cases.drawn(draw(1, 4), draw(1, 20), draw(1, 20), **options)


def smooth_l1(draw, **options):
    shape = tuple(draw(1, 20) for _ in range(draw(1, 4)))
    return loss_cases.regression("smooth_l1", shape, beta=draw(0, 30) / 9, **options)


def softmax_cross_entropy(draw, **options):
    return loss_cases.classification("softmax_cross_entropy", draw(1, 2000), draw(2, 40), **options)


def squared_error(draw, **options):
    shape = tuple(draw(1, 20) for _ in range(draw(1, 4)))
    return loss_cases.regression("squared_error", shape, **options)


def vertex_l1(draw, **options):
    return loss_cases.faces("vertex_l1", draw(1, 16), draw(1, 1200), **options)


MAKERS = [
    binary_cross_entropy,
    edge_length_l1,
    focal_loss,
    iou_loss,
    pixel_l1,
    smooth_l1,
    softmax_cross_entropy,
    squared_error,
    vertex_l1,
]


def random_cases():
    for make in MAKERS:
        for seed in range(30):
            random = np.random.RandomState(seed)
            yield make(
                lambda low, high, random=random: int(random.randint(low, high + 1)),
                reduction=REDUCTIONS[seed % 3],
            )


def test_every_loss_has_random_cases():
    assert {make.__name__ for make in MAKERS} == set(CASES)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", list(random_cases()), ids=str)
def test_random_cases(case, dtype):
    assert_equals_torch(case, dtype)


# ---- Extreme logits --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("scale", [20, 5000])  # to about 40 and 10 000
@pytest.mark.parametrize("classes", [2, 5])
def test_extreme_logits_of_cross_entropy(classes, scale, reduction, dtype):
    numbers = Numbers(f"extreme{classes}x{scale}")
    logits = scale * numbers.real(300, classes)
    labels = numbers.whole(0, classes - 1, 300).astype(int)
    case = Case(
        "extreme", "softmax_cross_entropy", {"logits": logits}, {"labels": labels, "reduction": reduction}
    )
    assert_equals_torch(case, dtype)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("gamma", [0.0, 0.25, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("scale", [20, 5000])
def test_extreme_logits_of_focal_loss(scale, gamma, reduction, dtype):
    numbers = Numbers(f"extreme{scale}")
    logits, labels = scale * numbers.real(300, 2), numbers.whole(0, 1, 300).astype(int)
    options = {"labels": labels, "gamma": gamma, "reduction": reduction}
    assert_equals_torch(Case("extreme", "focal_loss", {"logits": logits}, options), dtype)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_the_focal_twin_is_the_formula_as_written(gamma):
    # Where it can be computed as written: 1 - p keeps its digits.
    numbers = Numbers("written")
    arrays = {"logits": numbers.real(200, 2)}
    options = {"labels": numbers.whole(0, 1, 200).astype(int), "gamma": gamma, "alpha": 0.3}
    twin, written = (torch_call(loss, arrays, options) for loss in ("focal_loss", "focal_loss_as_written"))
    assert_close(twin["value"], written["value"], OP_TOLERANCE["float64"])
    assert_close(twin["gradient"], written["gradient"], OP_TOLERANCE["float64"])


# ---- Choices that are PyTorch's --------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("loss", "arrays", "options"),
    [
        ("smooth_l1", {"predictions": np.zeros(2), "targets": np.zeros(2)}, {"beta": 0.0}),
        ("smooth_l1", {"predictions": np.zeros(2), "targets": np.zeros(2)}, {"beta": 1.0}),
        ("vertex_l1", {"vertices": np.ones((1, 2, 3)), "targets": np.ones((1, 2, 3))}, {}),
        (
            "edge_length_l1",
            {"vertices": np.ones((1, 3, 3)), "targets": np.arange(9.0).reshape(1, 3, 3)},
            {"triangles": np.array([[0, 1, 2]])},
        ),
        (
            "edge_length_l1",
            {"vertices": np.arange(9.0).reshape(1, 3, 3), "targets": np.arange(9.0).reshape(1, 3, 3)},
            {"triangles": np.array([[0, 1, 2]])},
        ),
    ],
    ids=["l1", "parabola", "vertices", "edges-without-length", "edges-of-the-right-length"],
)
def test_the_gradient_at_a_kink_is_zero_in_both(loss, arrays, options, dtype):
    arrays = {name: array.astype(dtype) for name, array in arrays.items()}
    for gradient in (
        call(loss, arrays, options)["gradient"],
        torch_call(loss, arrays, options)["gradient"],
    ):
        assert_close(gradient, np.zeros_like(next(iter(arrays.values()))), tolerance=0)


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_switch_point_that_the_type_rounds_to_zero(dtype):
    arrays = {"predictions": np.array([0.0, 1.0, -3.0]), "targets": np.zeros(3)}
    assert_equals_torch(Case("tiny", "smooth_l1", arrays, {"beta": 1e-50, "reduction": "none"}), dtype)


@pytest.mark.parametrize("reduction", ["none", "sum"])
def test_an_empty_batch_is_the_same_as_in_torch(reduction):
    options = {"labels": np.zeros(0, int), "reduction": reduction}
    case = Case("empty", "softmax_cross_entropy", {"logits": np.zeros((0, 2))}, options)
    assert_equals_torch(case, "float32")


def test_torch_refuses_a_mask_for_labels_too():
    with pytest.raises(RuntimeError):
        LOSSES["softmax_cross_entropy"](torch.zeros(2, 2), torch.tensor([True, False]))
