"""Losses: what an answer costs, and in which direction it is to move."""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray, IntArray


def softmax_cross_entropy(logits: FloatArray, labels: IntArray) -> tuple[float, FloatArray]:
    """Return the mean loss and its gradient (M, C)."""
    M = len(logits)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_scores = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))  # (M, C)
    grad_logits = np.exp(log_scores)
    grad_logits[np.arange(M), labels] -= 1
    return float(-log_scores[np.arange(M), labels].mean()), grad_logits / M


def smooth_l1(predictions: FloatArray, targets: FloatArray, beta: float) -> tuple[float, FloatArray]:
    """Return the mean loss and its gradient, like ``predictions``."""
    d = predictions - targets
    losses = np.where(np.abs(d) < beta, d**2 / (2 * beta), np.abs(d) - beta / 2)
    gradient = np.where(np.abs(d) < beta, d / beta, np.sign(d))
    return float(losses.mean()), gradient / d.size


def focal_loss(scores: FloatArray, labels: IntArray, alpha: float, gamma: float) -> float:
    """Return the sum of the losses."""
    right = np.where(labels == 1, scores, 1 - scores)  # the score of the class that is true
    weight = np.where(labels == 1, alpha, 1 - alpha)
    return float((-weight * (1 - right) ** gamma * np.log(right)).sum())


def multi_task_loss(
    types: IntArray,
    class_losses: FloatArray,
    box_losses: FloatArray,
    landmark_losses: FloatArray,
    alpha: tuple[float, float, float],
) -> float:
    """Return the weighted sum of the three tasks' sums."""
    negative, positive, part, landmark = (types == kind for kind in range(4))
    tasks = (
        class_losses[negative | positive].sum(),
        box_losses[positive | part].sum(),
        landmark_losses[landmark].sum(),
    )
    return float(sum(weight * loss for weight, loss in zip(alpha, tasks, strict=True)))
