"""torchvision's suppression."""

from __future__ import annotations

import importlib
from typing import Any


def versions() -> dict[str, str]:
    """Name what is measured."""
    return {"torchvision": importlib.import_module("torchvision").__version__}


def nms(arrays: dict[str, Any], settings: dict[str, Any]) -> Any:
    """Suppression alone."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(settings["threads"])
    function = importlib.import_module("torchvision").ops.nms
    boxes, scores = torch.from_numpy(arrays["boxes"]), torch.from_numpy(arrays["scores"])
    threshold = settings["iou_threshold"]
    return [lambda: function(boxes, scores, threshold)], lambda kept: {"kept": kept.numpy()}


CASES = {"nms": nms}
