import functools
import math
import re

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.models.mtcnn import PNet
from minidet.models.retinaface import RetinaFaceNet
from minidet.nn import BatchNorm2d, Conv2d, DepthwiseConv2d, Linear, PReLU, ReLU, Sequential
from minidet.nn.init import (
    caffe_xavier,
    fans,
    initialise,
    kaiming_normal,
    kaiming_uniform,
    xavier_normal,
    xavier_uniform,
)
from tests.check import FLOATS

RULES = [kaiming_normal, kaiming_uniform, xavier_normal, xavier_uniform, caffe_xavier]
EVERY_RULE = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)

# Large enough for statistics: a linear layer, a convolution, a depthwise convolution.
SHAPES = {(600, 200): (200, 600), (256, 32, 3, 5): (480, 3840), (4000, 1, 5, 3): (15, 60_000)}


def rng(seed=0):
    return np.random.default_rng(seed)


# ---- Fans ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((2, 256), (256, 2)),
        ((16, 3, 5, 5), (75, 400)),
        ((16, 3, 1, 1), (3, 16)),
        ((4, 3, 2, 5), (30, 40)),
        ((64, 1, 3, 3), (9, 576)),
        ((1, 1), (1, 1)),
        *SHAPES.items(),
    ],
)
def test_fans_by_hand(shape, expected):
    assert fans(shape) == expected


def test_fan_in_is_the_number_of_products_in_an_output():
    # With inputs and weights of one, an output away from the border is their number.
    layer = Conv2d(3, 4, 5)
    layer.weight.data[...] = 1
    y = layer.forward(np.ones((1, 3, 5, 5), np.float32))
    assert (y == fans(layer.weight.data.shape)[0]).all()


# ---- Distributions ---------------------------------------------------------------------------------

NORMAL = [
    (xavier_normal, {}, lambda i, o: math.sqrt(2 / (i + o))),
    (kaiming_normal, {}, lambda i, o: math.sqrt(2 / i)),
    (kaiming_normal, {"mode": "fan_out"}, lambda i, o: math.sqrt(2 / o)),
    (kaiming_normal, {"negative_slope": 0.25}, lambda i, o: math.sqrt(2 / (1.0625 * i))),
    (kaiming_normal, {"negative_slope": 1.0, "mode": "fan_out"}, lambda i, o: math.sqrt(1 / o)),
]
UNIFORM = [
    (xavier_uniform, {}, lambda i, o: math.sqrt(6 / (i + o))),
    (caffe_xavier, {}, lambda i, o: math.sqrt(3 / i)),
    (kaiming_uniform, {}, lambda i, o: math.sqrt(6 / i)),
    (kaiming_uniform, {"mode": "fan_out"}, lambda i, o: math.sqrt(6 / o)),
    (kaiming_uniform, {"negative_slope": 0.25}, lambda i, o: math.sqrt(6 / (1.0625 * i))),
    (kaiming_uniform, {"negative_slope": -1.0}, lambda i, o: math.sqrt(3 / i)),
]
SIGMAS = 5


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("rule", "options", "std"), NORMAL)
def test_a_normal_distribution_has_its_mean_spread_and_tails(rule, options, std, shape, dtype):
    weight = rule(shape, rng(), dtype=dtype, **options).astype(np.float64)
    z = weight / std(*SHAPES[shape])
    n = z.size
    # Standard errors of the mean and of the second and fourth moment of n standard normal numbers.
    assert abs(z.mean()) < SIGMAS / math.sqrt(n)
    assert abs((z**2).mean() - 1) < SIGMAS * math.sqrt(2 / n)
    assert abs((z**4).mean() - 3) < SIGMAS * math.sqrt(96 / n)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("rule", "options", "bound"), UNIFORM)
def test_a_uniform_distribution_fills_its_bounds(rule, options, bound, shape, dtype):
    weight = rule(shape, rng(), dtype=dtype, **options)
    b = np.dtype(dtype).type(bound(*SHAPES[shape]))
    n = weight.size
    assert abs(weight).max() <= b
    for end in (weight.min() / b + 1, 1 - weight.max() / b):
        assert end < 2 * 15 / n  # missed by all n numbers with probability exp(-15)
    share = weight.astype(np.float64) / float(b)
    assert abs(share.mean()) < SIGMAS * math.sqrt(1 / 3 / n)
    assert abs((share**2).mean() - 1 / 3) < SIGMAS * math.sqrt(4 / 45 / n)
    counts, _ = np.histogram(share, bins=10, range=(-1, 1))
    assert (abs(counts - n / 10) < SIGMAS * math.sqrt(0.09 * n)).all()


@EVERY_RULE
@pytest.mark.parametrize("shape", SHAPES)
def test_numbers_do_not_depend_on_each_other(rule, shape):
    weight = rule(shape, rng(), dtype=np.float64).ravel()
    z = weight / weight.std()
    for lag in (1, 2, 3, 15, 480):
        assert abs((z[lag:] * z[:-lag]).mean()) < SIGMAS / math.sqrt(z.size)


def test_a_signal_keeps_its_size_through_many_layers():
    # Fifty layers of 256 with a rectifier: the mean square stays within a factor; with 1 / fan_in it is gone.
    x = first = rng(1).normal(size=(64, 256))
    for seed in range(50):
        x = np.maximum(x @ kaiming_normal((256, 256), rng(seed), dtype=np.float64).T, 0)
    assert 0.2 < (x**2).mean() / (first**2).mean() < 5
    y = first
    for seed in range(50):
        y = np.maximum(y @ caffe_xavier((256, 256), rng(seed), dtype=np.float64).T, 0)
    assert (y**2).mean() < 1e-12


@EVERY_RULE
def test_a_seed_gives_the_same_numbers_and_another_seed_others(rule):
    np.testing.assert_array_equal(rule((4, 3), rng(1)), rule((4, 3), rng(1)))
    assert (rule((4, 3), rng(1)) != rule((4, 3), rng(2))).all()
    generator = rng(1)
    assert (rule((4, 3), generator) != rule((4, 3), generator)).all()


@EVERY_RULE
@pytest.mark.parametrize("shape", [(1, 1), (4, 3), (4, 3, 2, 5)])
def test_shape_and_type(rule, shape):
    weight = rule(shape, rng())
    assert (weight.shape, weight.dtype) == (shape, np.float32)
    double = rule(shape, rng(), dtype=np.float64)
    assert double.dtype == np.float64
    np.testing.assert_array_equal(double.astype(np.float32), weight)


# ---- Whole modules ---------------------------------------------------------------------------------


def small():
    return Sequential(
        Conv2d(3, 4, 3), PReLU(4), DepthwiseConv2d(4, 3), BatchNorm2d(4), ReLU(), Sequential(Linear(4, 2))
    )


WEIGHTS = ["0.weight", "2.weight", "5.0.weight"]


@pytest.mark.parametrize("dtype", FLOATS)
def test_weights_are_drawn_in_order_and_the_rest_stays(dtype):
    module = small().astype(dtype)
    before = module.state_dict()
    initialise(module, rng(3), draw=xavier_uniform)
    after = module.state_dict()
    generator = rng(3)
    for name in WEIGHTS:
        np.testing.assert_array_equal(after[name], xavier_uniform(before[name].shape, generator))
    for name, array in after.items():
        assert array.dtype == dtype
        assert array.shape == before[name].shape
        if name not in WEIGHTS:
            np.testing.assert_array_equal(array, before[name])
    assert not after["0.bias"].any()
    assert (after["1.weight"] == 0.25).all()
    assert (after["3.weight"] == 1).all()


def test_the_default_is_he_for_rectifiers():
    first, second = small(), small()
    initialise(first, rng())
    initialise(second, rng(), draw=kaiming_normal)
    assert first.state_dict()["0.weight"].tobytes() == second.state_dict()["0.weight"].tobytes()


def test_options_go_in_by_partial():
    module = Linear(200, 300)
    initialise(module, rng(), draw=functools.partial(kaiming_normal, negative_slope=3.0, mode="fan_out"))
    np.testing.assert_array_equal(
        module.weight.data, kaiming_normal((300, 200), rng(), negative_slope=3.0, mode="fan_out")
    )


@pytest.mark.parametrize(
    "make", [lambda: PNet(landmark_head=True), RetinaFaceNet], ids=["PNet", "RetinaFaceNet"]
)
def test_whole_networks(make):
    first, second = make(), make()
    initialise(first, rng())
    initialise(second, rng())
    built = make().state_dict()
    for name, array in first.state_dict().items():
        np.testing.assert_array_equal(array, second.state_dict()[name])
        if array.ndim >= 2:
            assert array.all()
        else:
            np.testing.assert_array_equal(array, built[name])


def test_a_module_without_weights_is_left_alone():
    module = Sequential(BatchNorm2d(3), ReLU())
    before = module.state_dict()
    generator = rng()
    initialise(module, generator)
    for name, array in module.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert generator.random() == rng().random()


def test_the_module_gets_arrays_of_its_own():
    drawn = np.ones((3, 2), np.float32)
    module = Linear(2, 3)
    initialise(module, rng(), draw=lambda shape, rng: drawn)
    assert not np.shares_memory(module.weight.data, drawn)


# ---- Refusals --------------------------------------------------------------------------------------

UNFIT = "expected (out, in) or (out, in, KH, KW), all at least 1"


@pytest.mark.parametrize("shape", [(), (3,), (0, 3), (3, 0), (4, 3, 0, 1), (-1, 3)])
@pytest.mark.parametrize("rule", [*RULES, lambda shape, rng: fans(shape)])
def test_refuses_a_shape(rule, shape):
    name = "fans" if rule.__name__ == "<lambda>" else rule.__name__
    with pytest.raises(InputError, match=f"^{name}: {re.escape(f'shape {shape}; {UNFIT}')}$"):
        rule(shape, rng())


@EVERY_RULE
@pytest.mark.parametrize("dtype", ["int64", "float16"])
def test_refuses_a_type(rule, dtype):
    with pytest.raises(InputError, match=f"^{rule.__name__}: dtype={dtype}; expected float32 or float64$"):
        rule((2, 3), rng(), dtype=dtype)


@pytest.mark.parametrize("rule", [kaiming_normal, kaiming_uniform])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "fan"}, "mode='fan'; expected 'fan_in' or 'fan_out'"),
        ({"negative_slope": np.nan}, "negative_slope=nan; expected a finite number"),
        ({"negative_slope": np.inf}, "negative_slope=inf; expected a finite number"),
        ({"negative_slope": None}, "negative_slope=None; expected a finite number"),
    ],
)
def test_refuses_an_option(rule, options, message):
    with pytest.raises(InputError, match=f"^{rule.__name__}: {re.escape(message)}$"):
        rule((2, 3), rng(), **options)


def test_a_draw_of_another_shape_is_refused_and_changes_nothing():
    module = small()
    before = module.state_dict()
    message = "initialise: `2.weight` has shape (4, 9); expected (4, 1, 3, 3), the shape `draw` was given"

    def draw(shape, rng):
        return np.ones((4, 9) if shape == (4, 1, 3, 3) else shape, np.float32)

    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        initialise(module, rng(), draw=draw)
    for name, array in module.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
