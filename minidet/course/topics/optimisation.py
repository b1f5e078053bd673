"""Exercises on how the weights move."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidet._typing import FloatArray
from minidet.course.answers import optimisation as answers
from minidet.course.exercise import Exercise, Mistake

TOPIC = "Optimisation"
WeightAndVelocity = tuple[FloatArray, FloatArray]
WeightAndMoments = tuple[FloatArray, FloatArray, FloatArray]

LEARNING_RATE_CASES = tuple(
    {"step": step, "lr": 1e-2, "start_lr": 1e-3, "warm_up_steps": 4, "milestones": [8, 12], "gamma": 0.1}
    for step in (5, 8, 9, 12, 13, 0, 1, 4, 7, 11)
)


def _rate(
    *, shift: int = 0, after_warm_up: bool = False, start: float | None = None, once: bool = False
) -> Any:
    """Make a schedule with a mistake."""

    def learning_rate(
        step: int, lr: float, start_lr: float, warm_up_steps: int, milestones: list[int], gamma: float
    ) -> float:
        if step < warm_up_steps:
            return answers.learning_rate(
                step, lr, start_lr if start is None else start, warm_up_steps, milestones, gamma
            )
        counted = step - shift - (warm_up_steps if after_warm_up else 0)
        drops = sum(milestone <= counted for milestone in milestones)
        return lr * gamma ** (min(drops, 1) if once else drops)

    return learning_rate


LEARNING_RATE = Exercise(
    name="learning_rate",
    topic=TOPIC,
    question=(
        "What is the rate of step number `step`, counted from 0? It rises in a straight line from "
        "start_lr to lr in "
        "warm_up_steps, and is multiplied by gamma from each of the milestones on, which are counted "
        "from step 0."
    ),
    returns="a number",
    reference=answers.learning_rate,
    cases=LEARNING_RATE_CASES,
    mistakes=(
        Mistake(
            "Your rate drops a step late: the step with a milestone's number is the first with the "
            "lower rate.",
            _rate(shift=1),
        ),
        Mistake(
            "Your milestones are counted from the end of the warm-up: papers count from the beginning.",
            _rate(after_warm_up=True),
        ),
        Mistake("Your warm-up begins at 0: it begins at start_lr.", _rate(start=0.0)),
        Mistake("Your rate drops once: each milestone that is past multiplies it again.", _rate(once=True)),
        Mistake(
            "Your schedule has no warm-up.",
            lambda step, lr, start_lr, warm_up_steps, milestones, gamma: answers.learning_rate(
                step, lr, start_lr, 0, milestones, gamma
            ),
        ),
        Mistake(
            "Your warm-up is a step ahead: step 0 has start_lr itself, and step number warm_up_steps "
            "is the first with lr.",
            lambda step, lr, start_lr, warm_up_steps, milestones, gamma: (
                answers.learning_rate(step + 1, lr, start_lr, warm_up_steps, milestones, gamma)
                if step + 1 < warm_up_steps
                else answers.learning_rate(step, lr, start_lr, 0, milestones, gamma)
            ),
        ),
    ),
)


def _sgd_case(momentum: float, weight_decay: float, *velocity: float) -> dict[str, Any]:
    return {
        "weight": np.array([1.0, -2.0, 4.0]),
        "grad": np.array([2.0, 0.5, -1.0]),
        "velocity": np.array(velocity),
        "lr": 0.25,
        "momentum": momentum,
        "weight_decay": weight_decay,
    }


def _rate_inside(
    weight: FloatArray,
    grad: FloatArray,
    velocity: FloatArray,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> WeightAndVelocity:
    velocity = momentum * velocity - lr * (grad + weight_decay * weight)
    return weight + velocity, velocity


def _dampened(
    weight: FloatArray,
    grad: FloatArray,
    velocity: FloatArray,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> WeightAndVelocity:
    velocity = momentum * velocity + (1 - momentum) * (grad + weight_decay * weight)
    return weight - lr * velocity, velocity


def _nesterov(
    weight: FloatArray,
    grad: FloatArray,
    velocity: FloatArray,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> WeightAndVelocity:
    grad = grad + weight_decay * weight
    velocity = momentum * velocity + grad
    return weight - lr * (grad + momentum * velocity), velocity


def _old_velocity(
    weight: FloatArray,
    grad: FloatArray,
    velocity: FloatArray,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> WeightAndVelocity:
    _, new_velocity = answers.sgd_step(weight, grad, velocity, lr, momentum, weight_decay)
    return weight - lr * velocity, new_velocity


def _uphill(
    weight: FloatArray,
    grad: FloatArray,
    velocity: FloatArray,
    lr: float,
    momentum: float,
    weight_decay: float,
) -> WeightAndVelocity:
    _, velocity = answers.sgd_step(weight, grad, velocity, lr, momentum, weight_decay)
    return weight + lr * velocity, velocity


SGD_STEP = Exercise(
    name="sgd_step",
    topic=TOPIC,
    question=(
        "Take one step of gradient descent with momentum, as PyTorch defines it: g = grad + "
        "weight_decay * weight, the velocity "
        "becomes momentum * velocity + g, and the weight loses lr * velocity."
    ),
    returns="(weight, velocity), arrays like those given",
    reference=answers.sgd_step,
    cases=(
        _sgd_case(0.0, 0.0, 0.0, 0.0, 0.0),
        _sgd_case(0.5, 0.0, 2.0, -1.0, 0.5),
        _sgd_case(0.9, 0.125, 0.0, 1.0, -2.0),
    ),
    mistakes=(
        Mistake(
            "Your learning rate is inside the velocity, as in Caffe: here it multiplies the velocity "
            "as a whole.",
            _rate_inside,
        ),
        Mistake(
            "Your velocity is a running mean, with 1 - momentum before the gradient: here the "
            "gradient is added in full.",
            _dampened,
        ),
        Mistake("Your step is Nesterov's: the weight loses lr * velocity.", _nesterov),
        Mistake("Your weight moves by the old velocity: it is brought up to date first.", _old_velocity),
        Mistake(
            "Your step leaves out the weight decay.",
            lambda weight, grad, velocity, lr, momentum, weight_decay: answers.sgd_step(
                weight, grad, velocity, lr, momentum, 0.0
            ),
        ),
        Mistake(
            "Your weights grow by their decay: weight_decay * weight is added to the gradient.",
            lambda weight, grad, velocity, lr, momentum, weight_decay: answers.sgd_step(
                weight, grad, velocity, lr, momentum, -weight_decay
            ),
        ),
        Mistake("Your weights go uphill: the step is against the gradient.", _uphill),
        Mistake(
            "Your step forgets the momentum.",
            lambda weight, grad, velocity, lr, momentum, weight_decay: answers.sgd_step(
                weight, grad, velocity, lr, 0.0, weight_decay
            ),
        ),
    ),
)


def _adam_case(step: int, m: list[float], v: list[float], eps: float = 1e-8) -> dict[str, Any]:
    return {
        "weight": np.array([1.0, -2.0]),
        "grad": np.array([2.0, -0.5]),
        "m": np.array(m),
        "v": np.array(v),
        "step": step,
        "lr": 0.25,
        "beta1": 0.9,
        "beta2": 0.99,
        "eps": eps,
    }


def _adam(
    *, m_corrected: bool = True, v_corrected: bool = True, eps_inside: bool = False, root: bool = True
) -> Any:
    """Make a step of Adam with a mistake."""

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
    ) -> WeightAndMoments:
        m = beta1 * m + (1 - beta1) * grad
        v = beta2 * v + (1 - beta2) * grad**2
        m_hat = m / (1 - beta1**step) if m_corrected else m
        v_hat = v / (1 - beta2**step) if v_corrected else v
        spread = np.sqrt(v_hat + eps) if eps_inside else (np.sqrt(v_hat) if root else v_hat) + eps
        return weight - lr * m_hat / spread, m, v

    return adam_step


ADAM_STEP = Exercise(
    name="adam_step",
    topic=TOPIC,
    question=(
        "Take step number `step`, counted from 1, of Adam: m and v are running means of the gradient "
        "and of its square; divided by "
        "1 - beta^step, the weight loses lr * m / (sqrt(v) + eps)."
    ),
    returns="(weight, m, v), arrays like those given; m and v as they are kept, not divided",
    reference=answers.adam_step,
    cases=(
        _adam_case(1, [0.0, 0.0], [0.0, 0.0]),
        _adam_case(2, [0.2, -0.05], [0.04, 0.0025]),
        _adam_case(10, [0.5, 0.25], [1.0, 0.25], eps=0.125),
    ),
    mistakes=(
        Mistake(
            "Your means are not corrected: they start at zero, and after few steps are too small by "
            "1 - beta^step.",
            _adam(m_corrected=False, v_corrected=False),
        ),
        Mistake("Your v is not corrected: divide it by 1 - beta2^step.", _adam(v_corrected=False)),
        Mistake("Your m is not corrected: divide it by 1 - beta1^step.", _adam(m_corrected=False)),
        Mistake("Your eps is under the root: it is added to it.", _adam(eps_inside=True)),
        Mistake("You divide by v: it is its root that has the size of a gradient.", _adam(root=False)),
        Mistake(
            "Your beta1 and beta2 are exchanged.",
            lambda weight, grad, m, v, step, lr, beta1, beta2, eps: answers.adam_step(
                weight, grad, m, v, step, lr, beta2, beta1, eps
            ),
        ),
        Mistake(
            "Your steps are counted from 0: the correction is one step behind.",
            lambda weight, grad, m, v, step, lr, beta1, beta2, eps: answers.adam_step(
                weight, grad, m, v, step - 1, lr, beta1, beta2, eps
            ),
        ),
        Mistake(
            "You return the corrected means: keep them as they are, or they are corrected again at "
            "every step.",
            lambda weight, grad, m, v, step, lr, beta1, beta2, eps: _corrected(
                answers.adam_step(weight, grad, m, v, step, lr, beta1, beta2, eps), step, beta1, beta2
            ),
        ),
    ),
)


def _corrected(stepped: WeightAndMoments, step: int, beta1: float, beta2: float) -> WeightAndMoments:
    weight, m, v = stepped
    return weight, m / (1 - beta1**step), v / (1 - beta2**step)


EXERCISES = (LEARNING_RATE, SGD_STEP, ADAM_STEP)
