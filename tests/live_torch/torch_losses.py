"""The losses as PyTorch has them or, where it has none, in its operations; gradients are autograd's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from tests.oracles.cases import Arrays


def torch_call(loss: str, arrays: Arrays, options: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """Run the loss in the type of ``arrays`` and return its value and the gradient of the first array."""
    tensors = [torch.tensor(array) for array in arrays.values()]  # copies
    tensors[0].requires_grad_()
    others = {
        name: torch.tensor(option) if isinstance(option, np.ndarray) else option
        for name, option in options.items()
    }
    value = LOSSES[loss](*tensors, **others)
    # No single loss depends on the others' samples, so the gradient of their sum has the gradients of all.
    (gradient,) = torch.autograd.grad(value.sum(), tensors[0])
    return {"value": value.detach().numpy(), "gradient": gradient.numpy()}


def focal_loss(logits, labels, alpha=0.25, gamma=2.0, reduction="mean"):
    """(1 - p)**gamma as an exponential, which can be differentiated where p is 1."""
    right = logits.gather(1, labels[:, None])[:, 0]
    wrong = logits.gather(1, 1 - labels[:, None])[:, 0]
    log_p = functional.logsigmoid(right - wrong)
    log_q = functional.logsigmoid(wrong - right)
    return reduce(-_weight(labels, alpha, logits) * torch.exp(gamma * log_q) * log_p, reduction)


def focal_loss_as_written(logits, labels, alpha=0.25, gamma=2.0, reduction="mean"):
    """Letter by letter; inexact or NaN for large logits."""
    p = functional.softmax(logits, dim=1).gather(1, labels[:, None])[:, 0]
    return reduce(-_weight(labels, alpha, logits) * (1 - p) ** gamma * torch.log(p), reduction)


def _weight(labels, alpha, logits):
    face = labels.to(logits.dtype)
    return alpha * face + (1 - alpha) * (1 - face)


def iou_loss(distances, targets, reduction="mean"):
    """From the corners of both boxes, with the point at the origin."""
    one, other = (torch.cat([-d[:, :2], d[:, 2:]], dim=1) for d in (distances, targets))
    shared = torch.minimum(one[:, 2:], other[:, 2:]) - torch.maximum(one[:, :2], other[:, :2])
    areas = [(box[:, 2:] - box[:, :2]).prod(dim=1) for box in (one, other)]
    intersection = shared.prod(dim=1)
    return reduce(-torch.log(intersection / (areas[0] + areas[1] - intersection)), reduction)


def vertex_l1(vertices, targets, reduction="mean"):
    """Mean over vertices of the L1 norm."""
    return reduce(torch.linalg.vector_norm(vertices - targets, ord=1, dim=2).mean(dim=1), reduction)


def edge_length_l1(vertices, targets, triangles, reduction="mean"):
    """One corner after the other."""
    differences = []
    for a, b in [(0, 1), (1, 2), (2, 0)]:
        start, end = triangles[:, a], triangles[:, b]
        length = torch.linalg.vector_norm(vertices[:, end] - vertices[:, start], dim=2)
        true_length = torch.linalg.vector_norm(targets[:, end] - targets[:, start], dim=2)
        differences.append((length - true_length).abs())
    return reduce(torch.cat(differences, dim=1).mean(dim=1), reduction)


def pixel_l1(pictures, crops, covered, reduction="mean"):
    """Mean over all pixels of the L1 norm, which counts where a face is drawn."""
    norms = torch.linalg.vector_norm(pictures - crops, ord=1, dim=3)
    return reduce((norms * covered).mean(dim=(1, 2)), reduction)


def reduce(losses, reduction):
    """Reduce as PyTorch's own losses do."""
    return {"none": losses, "sum": losses.sum(), "mean": losses.mean()}[reduction]


LOSSES = {
    "binary_cross_entropy": functional.binary_cross_entropy_with_logits,
    "edge_length_l1": edge_length_l1,
    "focal_loss": focal_loss,
    "focal_loss_as_written": focal_loss_as_written,
    "iou_loss": iou_loss,
    "pixel_l1": pixel_l1,
    "smooth_l1": functional.smooth_l1_loss,
    "softmax_cross_entropy": lambda logits, labels, reduction="mean": functional.cross_entropy(
        logits, labels, reduction=reduction
    ),
    "squared_error": functional.mse_loss,
    "vertex_l1": vertex_l1,
}
