"""Ten steps of every network with every optimiser, on fixed data, against PyTorch's stored ones."""

import functools

import numpy as np
import pytest

from tests.oracles.cases import stored
from tests.oracles.gradient_cases import disagreements, summarise
from tests.oracles.trajectory_cases import (
    FILE,
    OPTIMIZERS,
    STEPS,
    TRAJECTORIES,
    expected,
    follow,
    movement,
)

TOLERANCE = 1e-6
follow_once = functools.cache(follow)


def listed():
    return [
        pytest.param(
            t, id=str(t), marks=[pytest.mark.slow] if t.case.family in ("onet", "retinaface") else []
        )
        for t in TRAJECTORIES
    ]


def test_the_oracle_has_every_trajectory_and_no_other():
    assert {key.split("/")[0] for key in stored(FILE)} == {str(trajectory) for trajectory in TRAJECTORIES}


def test_every_network_goes_with_every_optimizer():
    assert {(t.case.family, t.optimizer) for t in TRAJECTORIES} >= {
        (network, optimizer) for network in ("pnet", "rnet", "onet", "retinaface") for optimizer in OPTIMIZERS
    }


@pytest.mark.parametrize("network", ["pnet", "rnet", "onet", "retinaface"])
def test_other_samples_are_mined_on_the_way(network):
    masks = [expected(t).kept for t in TRAJECTORIES if t.case.family == network]
    assert any((kept[1:] != kept[:-1]).any() for kept in masks)


@pytest.mark.parametrize("trajectory", listed())
def test_losses(trajectory):
    way, reference = follow_once(trajectory, "float64"), expected(trajectory)
    assert way.losses.shape == (STEPS,)
    np.testing.assert_allclose(way.losses, reference.losses, rtol=TOLERANCE)
    np.testing.assert_array_equal(way.kept, reference.kept)
    assert way.losses[-1] < 0.5 * way.losses[0]


@pytest.mark.parametrize("trajectory", listed())
def test_weights_and_running_statistics(trajectory):
    way, reference = follow_once(trajectory, "float64"), expected(trajectory)
    names = sorted(way.tensors)
    assert names == reference.names.tolist()
    moved = summarise(movement(trajectory, way.tensors), names)
    # The weights, and harder: how far they have come.
    for scale in (reference.largest, reference.farthest):
        figures = disagreements(moved, reference.summaries, scale)
        print(f"worst: {names[figures.argmax()]} {figures.max():.1e}")
        assert np.all(figures <= TOLERANCE), [
            (name, figure) for name, figure in zip(names, figures, strict=True) if not figure <= TOLERANCE
        ]


@pytest.mark.parametrize("trajectory", TRAJECTORIES, ids=str)
def test_every_tensor_moves_unless_it_is_frozen(trajectory):
    reference = expected(trajectory)
    still = [name for name, far in zip(reference.names, reference.farthest, strict=True) if far == 0]
    frozen = [name for name in reference.names if trajectory.case.frozen and "running" in name]
    assert still == frozen
