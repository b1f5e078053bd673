"""Ten steps of every network with every optimiser against PyTorch itself: every loss, every weight."""

import functools

import numpy as np
import pytest

from tests.check import assert_close
from tests.live_torch.torch_objectives import torch_follow
from tests.oracles.gradient_cases import GradientCase, disagreements, summarise
from tests.oracles.trajectory_cases import OPTIMIZERS, TRAJECTORIES, Trajectory, expected, follow, movement

TOLERANCE = 1e-6
MORE = [
    Trajectory(GradientCase(network, weights, objective, seed=101), optimizer)
    for optimizer in OPTIMIZERS
    for network, weights, objective in [
        ("pnet", "shipped", "mean"),
        ("pnet_landmarks", "random", "mean"),
        ("rnet", "shipped", "mean"),
        ("retinaface", "random", "paper"),
    ]
]
torch_follow_once = functools.cache(torch_follow)


@pytest.mark.slow
@pytest.mark.parametrize("trajectory", TRAJECTORIES + MORE, ids=str)
def test_trajectory(trajectory):
    ours, theirs = follow(trajectory, "float64"), torch_follow_once(trajectory, "float64")
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=TOLERANCE)
    np.testing.assert_array_equal(ours.kept, theirs.kept)
    assert ours.losses[-1] < 0.5 * ours.losses[0]
    assert ours.tensors.keys() == theirs.tensors.keys()
    for name, tensor in ours.tensors.items():
        assert_close(tensor, theirs.tensors[name], TOLERANCE)
    moved, torch_moved = movement(trajectory, ours.tensors), movement(trajectory, theirs.tensors)
    for name, tensor in moved.items():
        print(name, end=": ")
        assert_close(tensor, torch_moved[name], TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("trajectory", TRAJECTORIES, ids=str)
def test_the_stored_oracle_is_what_torch_says_today(trajectory):
    reference, today = expected(trajectory), torch_follow_once(trajectory, "float64")
    np.testing.assert_allclose(today.losses, reference.losses, rtol=TOLERANCE)
    np.testing.assert_array_equal(today.kept, reference.kept)
    names = sorted(today.tensors)
    assert names == reference.names.tolist()
    moved = summarise(movement(trajectory, today.tensors), names)
    assert np.all(disagreements(moved, reference.summaries, reference.farthest) <= TOLERANCE)
