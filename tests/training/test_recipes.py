"""Recipes: plain values, checked, with the published figures where they claim to be published."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from minidet.boxes import CASCADE_THRESHOLDS
from minidet.errors import InputError
from minidet.models.retinaface import Architecture
from minidet.nn import kaiming_normal
from minidet.nn.parameter import Parameter
from minidet.training.optim import SGD, AdamW
from minidet.training.recipes import (
    ONET,
    ONET_PAPER,
    PNET,
    PNET_PAPER,
    RETINAFACE,
    RETINAFACE_FINE_TUNING,
    RETINAFACE_PAPER,
    RETINAFACE_REFERENCE,
    RNET,
    RNET_PAPER,
    Length,
    Optimisation,
)
from minidet.training.train_retinaface import first_network, learnt_parameters

ALL = [
    PNET,
    RNET,
    ONET,
    RETINAFACE,
    RETINAFACE_FINE_TUNING,
    PNET_PAPER,
    RNET_PAPER,
    ONET_PAPER,
    RETINAFACE_PAPER,
    RETINAFACE_REFERENCE,
]


@pytest.mark.parametrize("recipe", ALL)
def test_a_recipe_is_plain_values(recipe):
    json.dumps(asdict(recipe), allow_nan=False)


@pytest.mark.parametrize("recipe", ALL)
def test_a_recipe_makes_an_optimiser_and_a_schedule(recipe):
    optimizer = recipe.optimisation.make_optimizer({"w": Parameter(np.ones(3, np.float32))})
    assert isinstance(optimizer, SGD if recipe.optimisation.optimizer == "sgd" else AdamW)
    schedule = recipe.optimisation.make_schedule(1000)
    rates = [schedule(step) for step in range(1000)]
    assert max(rates) == pytest.approx(recipe.optimisation.lr, rel=0.01)
    assert rates[-1] < max(rates) / 5


def test_paper_schedule_of_retinaface():
    """1e-3 to 1e-2 in 5 epochs, a tenth of it from 55 and a hundredth from 68, of 80: batch 8 x 4."""
    steps = RETINAFACE_PAPER.length.in_steps(400)
    schedule = RETINAFACE_PAPER.optimisation.make_schedule(steps)
    assert steps == 80 * 400
    epochs = {0: 1e-3, 5: 1e-2, 54: 1e-2, 55: 1e-3, 67: 1e-3, 68: 1e-4, 79: 1e-4}
    for epoch, rate in epochs.items():
        assert schedule(epoch * 400) == pytest.approx(rate)
    assert RETINAFACE_PAPER.batch_size == 32
    assert RETINAFACE_PAPER.augment.size == 640
    assert (RETINAFACE_PAPER.loss.box_weight, RETINAFACE_PAPER.loss.landmark_weight) == (0.25, 0.1)


def test_reference_schedule_of_retinaface():
    """1e-3, a tenth from 190 and again from 220 of 250 epochs."""
    schedule = RETINAFACE_REFERENCE.optimisation.make_schedule(250 * 400)
    for epoch, rate in {0: 1e-3, 189: 1e-3, 190: 1e-4, 219: 1e-4, 220: 1e-5}.items():
        assert schedule(epoch * 400) == pytest.approx(rate)


@pytest.mark.parametrize("recipe", [PNET, RNET, ONET, PNET_PAPER, RNET_PAPER, ONET_PAPER])
def test_samples_of_mtcnn_are_those_of_the_paper(recipe):
    assert recipe.ratio == (3, 1, 1, 2)
    assert (recipe.samples.positive, recipe.samples.part, recipe.samples.negative) == (0.65, 0.4, 0.3)
    assert recipe.mined_share == 0.7
    assert recipe.alpha.landmark == (1.0 if recipe.network == "onet" else 0.5)


@pytest.mark.parametrize("options", [{}, {"steps": 1, "epochs": 1}, {"steps": 0}, {"epochs": 2.5}])
def test_a_length_is_steps_or_epochs(options):
    with pytest.raises(InputError, match="Length: "):
        Length(**options)


@pytest.mark.parametrize(
    "options",
    [{"optimizer": "adam"}, {"lr": 0}, {"lr": "fast"}, {"warm_up": 1.5}, {"decay": (0.5, 2)}],
)
def test_refuses_impossible_optimisation(options):
    with pytest.raises(InputError, match="Optimisation: "):
        Optimisation(**options)


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        (PNET, {"network": "lnet"}),
        (PNET, {"floor": 2}),
        (PNET, {"batch_size": 0}),
        (PNET, {"proposals": RNET.proposals}),
        (RETINAFACE, {"norms": "off"}),
        (RETINAFACE, {"batch_size": 0}),
        (RETINAFACE, {"validations": 0}),
    ],
)
def test_refuses_impossible_recipes(recipe, options):
    with pytest.raises(InputError, match="Recipe: "):
        replace(recipe, **options)


def test_a_cascade_has_thresholds_of_its_own():
    cascade = replace(RETINAFACE, network=Architecture(cascade=True))
    assert RETINAFACE.thresholds == RETINAFACE.loss.thresholds
    assert cascade.thresholds == cascade.cascade_thresholds[0]
    assert (cascade.thresholds.positive, cascade.thresholds.negative) == (0.7, 0.3)
    loss = cascade.cascade_loss
    assert (loss.first.thresholds, loss.second.thresholds) == cascade.cascade_thresholds
    for branch in (loss.first, loss.second):
        assert replace(branch, thresholds=RETINAFACE.loss.thresholds) == RETINAFACE.loss
    assert loss.second_weight == 1
    assert RETINAFACE_PAPER.cascade_thresholds == CASCADE_THRESHOLDS


@pytest.mark.parametrize(("backbone", "slope"), [("mobilenet025", 0.1), ("resnet50", 0.0)])
def test_first_weights_are_drawn_for_the_rectifier_behind_them(backbone, slope):
    recipe = replace(RETINAFACE, network=Architecture(backbone, shared_heads=True))
    network = first_network(None, recipe, None, seed=3)
    weight = network.parameters()[recipe.network.stem].data
    expected = kaiming_normal(weight.shape, np.random.default_rng(3), negative_slope=slope)
    np.testing.assert_array_equal(weight, expected)
    frozen = replace(recipe, norms="frozen")
    left_out = network.parameters().keys() - learnt_parameters(network, frozen)
    assert left_out == {recipe.network.stem}


def test_without_warm_up_the_rate_begins_at_its_highest():
    assert Optimisation(lr=0.1, warm_up=0).make_schedule(10)(0) == 0.1
