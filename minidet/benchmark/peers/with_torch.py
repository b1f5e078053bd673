"""PyTorch: the networks in ``torch.nn``, as a user of PyTorch would write them.

Parts are named as in minidet, so that the arrays of a state dict fit both. For inference every batch norm is
folded into its convolution, since that is the faster form; in training they stay.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

Arrays = dict[str, Any]
Settings = dict[str, Any]


def versions() -> dict[str, str]:
    """Name what is measured."""
    return {"torch": importlib.import_module("torch").__version__}


# ---- Networks --------------------------------------------------------------------------------------


class Networks:
    """Builds the modules; ``torch`` comes as an argument because it is not imported with this file."""

    def __init__(self, torch: Any) -> None:
        self.torch, self.nn, self.functional = torch, torch.nn, torch.nn.functional

    def define(self, forward: Callable[..., Any], **parts: Any) -> Any:
        """Make a module of named parts whose forward is ``forward(module, x)``."""
        module = type("Part", (self.nn.Module,), {"forward": forward})()
        for name, part in parts.items():
            module.add_module(name, part)
        return module

    def pnet(self) -> Any:
        """12 x 12 pixels to one cell."""
        nn, pool = self.nn, self.functional.max_pool2d

        def forward(m: Any, x: Any) -> Any:
            x = pool(m.prelu1(m.conv1(x)), 2, 2, ceil_mode=True)
            x = m.prelu3(m.conv3(m.prelu2(m.conv2(x))))
            return m.class_head(x), m.box_head(x)

        return self.define(
            forward,
            conv1=nn.Conv2d(3, 10, 3),
            prelu1=nn.PReLU(10),
            conv2=nn.Conv2d(10, 16, 3),
            prelu2=nn.PReLU(16),
            conv3=nn.Conv2d(16, 32, 3),
            prelu3=nn.PReLU(32),
            class_head=nn.Conv2d(32, 2, 1),
            box_head=nn.Conv2d(32, 4, 1),
        )

    def onet(self) -> Any:
        """Crops of 48 x 48."""
        nn, pool = self.nn, self.functional.max_pool2d

        def forward(m: Any, x: Any) -> Any:
            x = pool(m.prelu1(m.conv1(x)), 3, 2, ceil_mode=True)
            x = pool(m.prelu2(m.conv2(x)), 3, 2, ceil_mode=True)
            x = pool(m.prelu3(m.conv3(x)), 2, 2, ceil_mode=True)
            x = m.prelu4(m.conv4(x)).permute(0, 3, 2, 1).flatten(1)  # the order of the released weights
            x = m.prelu5(m.linear5(x))
            return m.class_head(x), m.box_head(x), m.landmark_head(x)

        return self.define(
            forward,
            conv1=nn.Conv2d(3, 32, 3),
            prelu1=nn.PReLU(32),
            conv2=nn.Conv2d(32, 64, 3),
            prelu2=nn.PReLU(64),
            conv3=nn.Conv2d(64, 64, 3),
            prelu3=nn.PReLU(64),
            conv4=nn.Conv2d(64, 128, 2),
            prelu4=nn.PReLU(128),
            linear5=nn.Linear(1152, 256),
            prelu5=nn.PReLU(256),
            class_head=nn.Linear(256, 2),
            box_head=nn.Linear(256, 4),
            landmark_head=nn.Linear(256, 10),
        )

    def block(self, inputs: int, outputs: int, kernel: int, stride: int = 1, **options: Any) -> Any:
        """Convolution, batch norm if it is not folded, leaky ReLU unless ``slope`` is None."""
        groups, slope, folded = options.get("groups", 1), options.get("slope", 0.1), options["folded"]
        conv = self.nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=folded)
        norm = self.nn.Identity() if folded else self.nn.BatchNorm2d(outputs)
        activate = self.functional.leaky_relu

        def forward(m: Any, x: Any) -> Any:
            x = m.norm(m.conv(x))
            return x if slope is None else activate(x, slope)

        return self.define(forward, conv=conv, norm=norm)

    def separable(self, inputs: int, outputs: int, stride: int, folded: bool) -> Any:
        """Depthwise 3 x 3, then 1 x 1."""
        return self.define(
            lambda m, x: m.pointwise(m.depthwise(x)),
            depthwise=self.block(inputs, inputs, 3, stride, groups=inputs, folded=folded),
            pointwise=self.block(inputs, outputs, 1, folded=folded),
        )

    def retinaface(self, *, folded: bool) -> Any:
        """MobileNet, pyramid, context, heads; box_deltas, logits and landmark_deltas for every anchor."""
        nn, cat, interpolate = self.nn, self.torch.cat, self.functional.interpolate
        stage1 = [(8, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)]
        stage2 = [(64, 128, 2), *[(128, 128, 1)] * 5]
        stage3 = [(128, 256, 2), (256, 256, 1)]
        first = self.block(3, 8, 3, 2, folded=folded)
        backbone = self.define(
            lambda m, x: None,
            stage1=nn.Sequential(first, *[self.separable(*row, folded=folded) for row in stage1]),
            stage2=nn.Sequential(*[self.separable(*row, folded=folded) for row in stage2]),
            stage3=nn.Sequential(*[self.separable(*row, folded=folded) for row in stage3]),
        )
        fpn = self.define(
            lambda m, x: None,
            **{f"lateral{i}": self.block(c, 64, 1, folded=folded) for i, c in ((3, 64), (4, 128), (5, 256))},
            **{f"merge{i}": self.block(64, 64, 3, folded=folded) for i in (3, 4)},
        )

        def context_forward(m: Any, x: Any) -> Any:
            shared = m.shared(x)
            return cat([m.view3(x), m.view5(shared), m.view7(m.middle7(shared))], 1).relu()

        def context() -> Any:
            return self.define(
                context_forward,
                view3=self.block(64, 32, 3, slope=None, folded=folded),
                shared=self.block(64, 16, 3, folded=folded),
                view5=self.block(16, 16, 3, slope=None, folded=folded),
                middle7=self.block(16, 16, 3, folded=folded),
                view7=self.block(16, 16, 3, slope=None, folded=folded),
            )

        def heads_forward(m: Any, x: Any) -> Any:
            outputs = (m.box_head(x), 4), (m.class_head(x), 2), (m.landmark_head(x), 10)
            return [y.permute(0, 2, 3, 1).reshape(len(x), -1, values) for y, values in outputs]

        def heads() -> Any:
            return self.define(
                heads_forward,
                class_head=nn.Conv2d(64, 4, 1),
                box_head=nn.Conv2d(64, 8, 1),
                landmark_head=nn.Conv2d(64, 20, 1),
            )

        def forward(m: Any, x: Any) -> Any:
            c3 = m.backbone.stage1(x)
            c4 = m.backbone.stage2(c3)
            c5 = m.backbone.stage3(c4)
            p5 = m.fpn.lateral5(c5)
            p4 = m.fpn.merge4(m.fpn.lateral4(c4) + interpolate(p5, size=c4.shape[2:]))
            p3 = m.fpn.merge3(m.fpn.lateral3(c3) + interpolate(p4, size=c3.shape[2:]))
            levels = [m.heads3(m.context3(p3)), m.heads4(m.context4(p4)), m.heads5(m.context5(p5))]
            return [cat(parts, 1) for parts in zip(*levels, strict=True)]

        levels = {f"context{i}": context() for i in (3, 4, 5)} | {f"heads{i}": heads() for i in (3, 4, 5)}
        return self.define(forward, backbone=backbone, fpn=fpn, **levels)

    def load(self, module: Any, arrays: Arrays) -> Any:
        """Fill ``module`` with the arrays whose names begin with ``state.``."""
        state = {name.removeprefix("state."): a for name, a in arrays.items() if name.startswith("state.")}
        tensors = {name: self.torch.from_numpy(np.array(array)) for name, array in state.items()}
        loaded = module.load_state_dict(tensors, strict=False)
        missing = [name for name in loaded.missing_keys if not name.endswith("num_batches_tracked")]
        if missing or loaded.unexpected_keys:
            raise ValueError(f"weights missing: {missing}; not used: {loaded.unexpected_keys}")
        return module


def fold_batch_norms(arrays: Arrays, eps: float = 1e-5) -> Arrays:
    """Return the arrays with every batch norm folded into the convolution before it."""
    folded = dict(arrays)
    for name in arrays:
        if name.endswith(".norm.running_var"):
            norm = name.removesuffix(".running_var")
            conv = norm.removesuffix("norm") + "conv"
            weight, bias, mean, variance = (
                folded.pop(f"{norm}.{part}") for part in ("weight", "bias", "running_mean", "running_var")
            )
            factor = weight / np.sqrt(variance + eps)
            folded[f"{conv}.weight"] = arrays[f"{conv}.weight"] * factor[:, None, None, None]
            folded[f"{conv}.bias"] = bias - mean * factor
    return {name: array.astype(np.float32) if "state." in name else array for name, array in folded.items()}


# ---- Cases -----------------------------------------------------------------------------------------


def start(settings: Settings) -> Networks:
    """Import PyTorch and set its threads."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(settings["threads"])
    return Networks(torch)


def retinaface_network(arrays: Arrays, settings: Settings) -> Any:
    """The network alone, on a tensor, without gradients."""
    networks = start(settings)
    torch = networks.torch
    module = networks.load(networks.retinaface(folded=True), fold_batch_norms(arrays)).eval()
    x = torch.from_numpy(arrays["x"])

    def run() -> Any:
        with torch.inference_mode():
            box_deltas, logits, landmark_deltas = module(x)
            return box_deltas, logits.softmax(-1), landmark_deltas

    names = ("box_deltas", "scores", "landmark_deltas")
    return [run], lambda result: {n: t.numpy() for n, t in zip(names, result, strict=True)}


NEGATIVE, POSITIVE, PART, LANDMARK = range(4)


def train_pnet(arrays: Arrays, settings: Settings) -> Any:
    """One step of P-Net."""
    networks = start(settings)
    return _train_mtcnn(networks, networks.pnet(), (1.0, 0.5, 0.5), arrays, settings)


def train_onet(arrays: Arrays, settings: Settings) -> Any:
    """One step of O-Net."""
    networks = start(settings)
    return _train_mtcnn(networks, networks.onet(), (1.0, 0.5, 1.0), arrays, settings)


def _train_mtcnn(networks: Networks, module: Any, weights: Any, arrays: Arrays, settings: Settings) -> Any:
    torch, functional = networks.torch, networks.functional
    types = torch.from_numpy(arrays["sample_types"])
    classified = torch.where((types == POSITIVE) | (types == NEGATIVE))[0]
    labels = (types[classified] == POSITIVE).long()
    rows = torch.where((types == POSITIVE) | (types == PART))[0], torch.where(types == LANDMARK)[0]
    wanted = [
        torch.from_numpy(arrays[name])[chosen]
        for name, chosen in zip(("box_deltas", "landmark_deltas"), rows, strict=True)
    ]
    hardest = len(classified) * 7 // 10

    def loss_of(outputs: Any) -> Any:
        logits, *distances = (output.flatten(1) for output in outputs)
        losses = functional.cross_entropy(logits[classified], labels, reduction="none")
        loss = weights[0] * losses.topk(hardest).values.mean()
        for weight, output, chosen, target in zip(weights[1:], distances, rows, wanted, strict=False):
            loss = loss + weight * (output[chosen] - target).square().sum(1).mean()
        return loss

    return _train(networks, module, loss_of, arrays, settings)


def train_retinaface(arrays: Arrays, settings: Settings) -> Any:
    """One step of RetinaFace with the figures of the reference code; the targets are given."""
    networks = start(settings)
    torch, functional = networks.torch, networks.functional
    positive, negative = torch.from_numpy(arrays["positive"]), torch.from_numpy(arrays["negative"])
    with_landmarks = torch.from_numpy(arrays["has_landmarks"])
    box_targets = torch.from_numpy(arrays["box_deltas"])
    landmark_targets = torch.from_numpy(arrays["landmark_deltas"])[with_landmarks]
    labels = positive.long()
    faces = max(int(positive.sum()), 1)
    quota = (7 * positive.sum(1)).minimum(negative.sum(1))  # (N,)

    def loss_of(outputs: Any) -> Any:
        box_deltas, logits, landmark_deltas = outputs
        losses = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
        losses = losses.reshape(labels.shape)
        mined = losses.detach().masked_fill(~negative, -1)  # below every loss
        rank = mined.argsort(1, descending=True).argsort(1)
        kept = positive | (rank < quota[:, None])
        boxes = functional.smooth_l1_loss(box_deltas[positive], box_targets, reduction="sum")
        points = landmark_deltas[positive][with_landmarks]
        landmarks = functional.smooth_l1_loss(points, landmark_targets, reduction="sum")
        return losses[kept].sum() / faces + 2 * boxes / faces + landmarks / max(len(points), 1)

    return _train(networks, networks.retinaface(folded=False), loss_of, arrays, settings)


def _train(networks: Networks, module: Any, loss_of: Any, arrays: Arrays, settings: Settings) -> Any:
    torch = networks.torch
    networks.load(module, arrays).train()
    optimizer = torch.optim.SGD(module.parameters(), **settings["sgd"])
    x = torch.from_numpy(arrays["x"])

    def step() -> float:
        optimizer.zero_grad()
        loss = loss_of(module(x))
        loss.backward()
        optimizer.step()
        return float(loss)

    def read(loss: float) -> dict[str, Any]:
        gradients = {f"grad {name}": p.grad.numpy().copy() for name, p in module.named_parameters()}
        return {"loss": np.array(loss), **gradients}

    return [step], read


CASES = {
    "retinaface-network": retinaface_network,
    "train-pnet": train_pnet,
    "train-onet": train_onet,
    "train-retinaface": train_retinaface,
}
