"""How the weights move."""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray


def sgd_step(
    weight: FloatArray,
    grad: FloatArray,
    velocity: FloatArray,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> tuple[FloatArray, FloatArray]:
    """Return the new weight and the new velocity."""
    velocity = momentum * velocity + grad + weight_decay * weight
    return weight - lr * velocity, velocity


def adam_step(
    weight: FloatArray,
    grad: FloatArray,
    m: FloatArray,
    v: FloatArray,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the new weight and the new moments."""
    m = beta1 * m + (1 - beta1) * grad
    v = beta2 * v + (1 - beta2) * grad**2
    m_hat, v_hat = m / (1 - beta1**step), v / (1 - beta2**step)
    return weight - lr * m_hat / (np.sqrt(v_hat) + eps), m, v


def learning_rate(
    step: int, lr: float, start_lr: float, warm_up_steps: int, milestones: list[int], gamma: float
) -> float:
    """Return the rate of step number ``step``, counted from 0."""
    if step < warm_up_steps:
        return start_lr + step / warm_up_steps * (lr - start_lr)
    return lr * gamma ** sum(milestone <= step for milestone in milestones)
