"""The operations as PyTorch has them, called with minidet's arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from tests.oracles.cases import Arrays, each_array, with_gradient


def torch_call(op: str, arrays: Arrays, options: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """Run PyTorch's operation in the type of ``arrays`` and return its outputs by name."""
    tensors = each_array(torch.tensor, arrays)  # copies
    return {output: np.asarray(tensor) for output, tensor in OPS[op](**tensors, **options).items()}


def torch_backward(
    op: str, arrays: Arrays, options: dict[str, Any], grad_output: NDArray[Any]
) -> dict[str, NDArray[Any]]:
    """Let PyTorch differentiate its operation, and return the gradient of every array by its name."""
    leaves = {
        name: torch.tensor(array, requires_grad=True) for name, array in with_gradient(op, arrays).items()
    }
    others = {name: torch.tensor(array) for name, array in arrays.items() if name.startswith("running_")}
    inputs = {"xs": list(leaves.values())} if op == "concat" else leaves
    y = OPS[op](**inputs, **others, **options)["y"]
    gradients = torch.autograd.grad(y, list(leaves.values()), torch.tensor(grad_output))
    return {name: gradient.numpy() for name, gradient in zip(leaves, gradients, strict=True)}


def _depthwise_conv2d(x, weight, bias=None, **options):
    return {"y": functional.conv2d(x, weight, bias, groups=x.shape[1], **options)}


def _max_pool2d(x, **options):
    y, argmax = functional.max_pool2d(x, return_indices=True, **options)
    return {"y": y, "argmax": argmax}


def _batch_norm2d(x, weight, bias, running_mean, running_var, **options):
    y = functional.batch_norm(x, running_mean, running_var, weight, bias, **options)  # updates in place
    return {"y": y, "running_mean": running_mean, "running_var": running_var}


OPS = {
    "batch_norm2d": _batch_norm2d,
    "concat": lambda xs, axis=1: {"y": torch.cat(xs, dim=axis)},
    "conv2d": lambda x, weight, bias=None, **options: {"y": functional.conv2d(x, weight, bias, **options)},
    "depthwise_conv2d": _depthwise_conv2d,
    "leaky_relu": lambda x, negative_slope: {"y": functional.leaky_relu(x, negative_slope)},
    "linear": lambda x, weight, bias=None: {"y": functional.linear(x, weight, bias)},
    "max_pool2d": _max_pool2d,
    "prelu": lambda x, slope: {"y": functional.prelu(x, slope)},
    "relu": lambda x: {"y": functional.relu(x)},
    "softmax": lambda x, axis=-1: {"y": functional.softmax(x, dim=axis)},
    "upsample_nearest2d": lambda x, size: {"y": functional.interpolate(x, size=size, mode="nearest")},
}
