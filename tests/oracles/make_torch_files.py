"""Make the small checkpoints in ``torch_files/`` and the arrays that they should read as (needs PyTorch).

Run ``python tests/oracles/make_torch_files.py``. Legacy files name their storages after memory addresses,
so their bytes differ from run to run; what they hold does not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import nn

FOLDER = Path(__file__).parent / "torch_files"
TYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")


def tensors() -> dict[str, torch.Tensor]:
    """Every element type, and every way in which a tensor can be a window on its storage."""
    import torch  # here, so that a test run may import this file without PyTorch
    from torch import nn

    ramp = torch.arange(24.0).reshape(2, 3, 4)
    values = torch.tensor([[-2.0, 0.0, 1.0], [3.140625, 100.0, 0.0]])
    typed = {name: (values.abs() if name == "uint8" else values).to(getattr(torch, name)) for name in TYPES}
    return typed | {
        "whole": ramp,
        "shared.transposed": ramp.permute(2, 0, 1),
        "shared.window": ramp[1, 1:, ::2],
        "shared.number": ramp[1, 2, 3],
        "expanded": torch.tensor([[1.5], [2.5]]).expand(2, 5),
        "number": torch.tensor(7.25),
        "empty": torch.empty(0, 3),
        "special": torch.tensor([float("nan"), float("inf"), -0.0, 1e-45]),
        "parameter": nn.Parameter(torch.tensor([1.0, 2.0])),
        "naïve ключ": torch.tensor([1]),
    }


def module() -> nn.Module:
    """A convolution and a batch norm, whose state dict has integers, numbers and ``_metadata``."""
    import torch
    from torch import nn

    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3))


def checkpoint(network: nn.Module) -> dict[str, Any]:
    """What a training script saves of a ``DataParallel`` model: every name starts with ``module.``."""
    import torch
    from torch import nn

    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network(torch.ones(2, 2, 4, 4)).sum().backward()
    optimizer.step()
    names = nn.DataParallel(network).state_dict()
    return {"epoch": 3, "loss": 0.25, "state_dict": names, "optimizer": optimizer.state_dict()}


def retinaface_resnet50() -> dict[str, torch.Tensor]:
    """Names and shapes of biubug6/Pytorch_Retinaface with ResNet-50, as a ``DataParallel`` model has them.

    Every array is one number, written once and read over and over, so that the file is small.
    """
    import torch

    return {
        f"module.{name}": torch.tensor(value, dtype=torch.float16).expand(shape)
        for name, (shape, value) in public_resnet50().items()
    }


def public_resnet50() -> dict[str, tuple[tuple[int, ...], float]]:
    """Shape and number of every array, written from the layer tables; no number is that of two arrays."""
    shapes: dict[str, tuple[int, ...]] = {}

    def convolution(name: str, norm: str, out: int, inputs: int, size: int) -> None:
        shapes[f"{name}.weight"] = (out, inputs, size, size)
        for kind in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{kind}"] = (out,)
        shapes[f"{norm}.num_batches_tracked"] = ()

    convolution("body.conv1", "body.bn1", 64, 3, 7)
    inputs = 64
    for layer, blocks, width in [(1, 3, 64), (2, 4, 128), (3, 6, 256), (4, 3, 512)]:
        for block in range(blocks):
            place = f"body.layer{layer}.{block}"
            convolution(f"{place}.conv1", f"{place}.bn1", width, inputs, 1)
            convolution(f"{place}.conv2", f"{place}.bn2", width, width, 3)
            convolution(f"{place}.conv3", f"{place}.bn3", 4 * width, width, 1)
            if block == 0:
                convolution(f"{place}.downsample.0", f"{place}.downsample.1", 4 * width, inputs, 1)
            inputs = 4 * width
    for i, c in [(1, 512), (2, 1024), (3, 2048)]:
        convolution(f"fpn.output{i}.0", f"fpn.output{i}.1", 256, c, 1)
    for i in (1, 2):
        convolution(f"fpn.merge{i}.0", f"fpn.merge{i}.1", 256, 256, 3)
    for i in (1, 2, 3):
        for view, out, c in [
            ("conv3X3", 128, 256),
            ("conv5X5_1", 64, 256),
            ("conv5X5_2", 64, 64),
            ("conv7X7_2", 64, 64),
            ("conv7x7_3", 64, 64),
        ]:
            convolution(f"ssh{i}.{view}.0", f"ssh{i}.{view}.1", out, c, 3)
    for head, values in [("ClassHead", 2), ("BboxHead", 4), ("LandmarkHead", 10)]:
        for i in (0, 1, 2):
            shapes[f"{head}.{i}.conv1x1.weight"] = (2 * values, 256, 1, 1)
            shapes[f"{head}.{i}.conv1x1.bias"] = (2 * values,)
    # Multiples of 2**-24 are what float16 holds next to zero; so small, nothing grows on its way through.
    return {name: (shape, (1 + number) * 2.0**-24) for number, (name, shape) in enumerate(shapes.items())}


def save(name: str, content: object) -> None:
    import torch

    torch.save(content, FOLDER / f"{name}_zip.pth")
    torch.save(content, FOLDER / f"{name}_legacy.pth", _use_new_zipfile_serialization=False)


def save_expected(name: str, state_dict: dict[str, torch.Tensor]) -> None:
    import torch

    arrays = {}
    for key, tensor in state_dict.items():
        tensor = tensor.detach()
        arrays[key] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    np.savez_compressed(FOLDER / f"{name}.npz", **arrays)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    save("tensors", tensors())
    save_expected("tensors", tensors())
    network = module()
    save("checkpoint", checkpoint(network))
    save("module", network.state_dict())
    save("model", {"model": network.state_dict(), "step": None})
    save_expected("module", network.state_dict())
    torch.save(retinaface_resnet50(), FOLDER / "retinaface_resnet50.pth")
