"""The networks once more, in plain ``torch.nn``, written from the layer tables of the papers and releases.

Parts are named as in minidet, so that a state dict of one loads into the other; nothing else is shared. Every
network returns its outputs by name.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

# ---- MTCNN -----------------------------------------------------------------------------------------


class PNet(nn.Module):
    """Fully convolutional: 12x12 pixels make one cell."""

    def __init__(self, landmark_head=False):
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 10, 3), nn.PReLU(10)
        self.conv2, self.prelu2 = nn.Conv2d(10, 16, 3), nn.PReLU(16)
        self.conv3, self.prelu3 = nn.Conv2d(16, 32, 3), nn.PReLU(32)
        self.class_head = nn.Conv2d(32, 2, 1)
        self.box_head = nn.Conv2d(32, 4, 1)
        if landmark_head:
            self.landmark_head = nn.Conv2d(32, 10, 1)

    def forward(self, x):
        x = functional.max_pool2d(self.prelu1(self.conv1(x)), 2, 2, ceil_mode=True)
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        return heads(self, x)


class RNet(nn.Module):
    """Crops of 24x24."""

    def __init__(self, landmark_head=False):
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 28, 3), nn.PReLU(28)
        self.conv2, self.prelu2 = nn.Conv2d(28, 48, 3), nn.PReLU(48)
        self.conv3, self.prelu3 = nn.Conv2d(48, 64, 2), nn.PReLU(64)
        self.linear4, self.prelu4 = nn.Linear(576, 128), nn.PReLU(128)
        self.class_head = nn.Linear(128, 2)
        self.box_head = nn.Linear(128, 4)
        if landmark_head:
            self.landmark_head = nn.Linear(128, 10)

    def forward(self, x):
        x = functional.max_pool2d(self.prelu1(self.conv1(x)), 3, 2, ceil_mode=True)
        x = functional.max_pool2d(self.prelu2(self.conv2(x)), 3, 2, ceil_mode=True)
        x = self.prelu3(self.conv3(x))
        x = self.prelu4(self.linear4(columns_first(x)))
        return heads(self, x)


class ONet(nn.Module):
    """Crops of 48x48."""

    def __init__(self):
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 32, 3), nn.PReLU(32)
        self.conv2, self.prelu2 = nn.Conv2d(32, 64, 3), nn.PReLU(64)
        self.conv3, self.prelu3 = nn.Conv2d(64, 64, 3), nn.PReLU(64)
        self.conv4, self.prelu4 = nn.Conv2d(64, 128, 2), nn.PReLU(128)
        self.linear5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.class_head = nn.Linear(256, 2)
        self.box_head = nn.Linear(256, 4)
        self.landmark_head = nn.Linear(256, 10)

    def forward(self, x):
        x = functional.max_pool2d(self.prelu1(self.conv1(x)), 3, 2, ceil_mode=True)
        x = functional.max_pool2d(self.prelu2(self.conv2(x)), 3, 2, ceil_mode=True)
        x = functional.max_pool2d(self.prelu3(self.conv3(x)), 2, 2, ceil_mode=True)
        x = self.prelu4(self.conv4(x))
        x = self.prelu5(self.linear5(columns_first(x)))
        return heads(self, x)


def columns_first(x):
    """Flatten in the order of the released weights: x slowest, then y, then the channel."""
    return x.permute(0, 3, 2, 1).flatten(1)


def heads(network, x):
    """Apply the heads that the network has."""
    names = {"class_head": "logits", "box_head": "box_deltas", "landmark_head": "landmark_deltas"}
    return {output: getattr(network, head)(x) for head, output in names.items() if hasattr(network, head)}


# ---- RetinaFace ------------------------------------------------------------------------------------


class Block(nn.Module):
    """Convolution without bias, batch norm, activation if wanted."""

    def __init__(self, inputs, outputs, kernel_size, stride=1, groups=1, active=True):
        super().__init__()
        padding = {1: 0, 3: 1}[kernel_size]
        self.conv = nn.Conv2d(inputs, outputs, kernel_size, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.active = active

    def forward(self, x):
        x = self.norm(self.conv(x))
        return functional.leaky_relu(x, 0.1) if self.active else x


class Separable(nn.Module):
    """Depthwise 3x3, then 1x1."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.depthwise = Block(inputs, inputs, 3, stride, groups=inputs)
        self.pointwise = Block(inputs, outputs, 1)

    def forward(self, x):
        return self.pointwise(self.depthwise(x))


class Backbone(nn.Module):
    """MobileNetV1 x 0.25 up to stride 32."""

    def __init__(self):
        super().__init__()
        stage1 = [(8, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)]
        stage2 = [(64, 128, 2)] + 5 * [(128, 128, 1)]
        stage3 = [(128, 256, 2), (256, 256, 1)]
        self.stage1 = nn.Sequential(Block(3, 8, 3, 2), *[Separable(*row) for row in stage1])
        self.stage2 = nn.Sequential(*[Separable(*row) for row in stage2])
        self.stage3 = nn.Sequential(*[Separable(*row) for row in stage3])


class Pyramid(nn.Module):
    """Laterals and merges; their activation is leaky because the pyramid is at most 64 channels wide."""

    def __init__(self):
        super().__init__()
        self.lateral3, self.lateral4, self.lateral5 = Block(64, 64, 1), Block(128, 64, 1), Block(256, 64, 1)
        self.merge3, self.merge4 = Block(64, 64, 3), Block(64, 64, 3)


class Context(nn.Module):
    """SSH module: 3x3, and the row of 3x3 that sees 5x5 and 7x7."""

    def __init__(self):
        super().__init__()
        self.view3 = Block(64, 32, 3, active=False)
        self.shared = Block(64, 16, 3)
        self.view5 = Block(16, 16, 3, active=False)
        self.middle7 = Block(16, 16, 3)
        self.view7 = Block(16, 16, 3, active=False)

    def forward(self, x):
        shared = self.shared(x)
        return torch.cat([self.view3(x), self.view5(shared), self.view7(self.middle7(shared))], 1).relu()


class Heads(nn.Module):
    """For two anchors per position."""

    def __init__(self):
        super().__init__()
        self.class_head = nn.Conv2d(64, 2 * 2, 1)
        self.box_head = nn.Conv2d(64, 2 * 4, 1)
        self.landmark_head = nn.Conv2d(64, 2 * 10, 1)


class RetinaFaceNet(nn.Module):
    """MobileNet version."""

    def __init__(self):
        super().__init__()
        self.backbone = Backbone()
        self.fpn = Pyramid()
        self.context3, self.context4, self.context5 = Context(), Context(), Context()
        self.heads3, self.heads4, self.heads5 = Heads(), Heads(), Heads()

    def features(self, x):
        """Return all maps by name."""
        c3 = self.backbone.stage1(x)
        c4 = self.backbone.stage2(c3)
        c5 = self.backbone.stage3(c4)
        p5 = self.fpn.lateral5(c5)
        p4 = self.fpn.merge4(self.fpn.lateral4(c4) + functional.interpolate(p5, size=c4.shape[2:]))
        p3 = self.fpn.merge3(self.fpn.lateral3(c3) + functional.interpolate(p4, size=c3.shape[2:]))
        pyramid = {"c3": c3, "c4": c4, "c5": c5, "p3": p3, "p4": p4, "p5": p5}
        context = {
            "context3": self.context3(p3),
            "context4": self.context4(p4),
            "context5": self.context5(p5),
        }
        return pyramid | context

    def forward(self, x):
        maps = self.features(x)
        outputs = {}
        for head, values, name in [
            ("box_head", 4, "box_deltas"),
            ("class_head", 2, "logits"),
            ("landmark_head", 10, "landmark_deltas"),
        ]:
            levels = [
                getattr(level, head)(maps[key]).permute(0, 2, 3, 1).reshape(x.shape[0], -1, values)
                for level, key in [
                    (self.heads3, "context3"),
                    (self.heads4, "context4"),
                    (self.heads5, "context5"),
                ]
            ]
            outputs[name] = torch.cat(levels, dim=1)
        return outputs


TWINS = {
    "pnet": PNet,
    "pnet_landmarks": lambda: PNet(landmark_head=True),
    "rnet": RNet,
    "rnet_landmarks": lambda: RNet(landmark_head=True),
    "onet": ONet,
    "retinaface": RetinaFaceNet,
}


def twin(network, state, dtype):
    """Make the twin of minidet's ``network`` in ``dtype``, with minidet's state, in inference mode."""
    module = TWINS[network]().to(getattr(torch, dtype)).eval()
    # PyTorch counts the batches as well, which nothing here uses.
    counters = {name: value for name, value in module.state_dict().items() if "num_batches" in name}
    module.load_state_dict({name: torch.tensor(array) for name, array in state.items()} | counters)
    return module


def freeze_batch_norms(module):
    """Let the batch norms of a twin in training use their running statistics, and leave them alone."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()


def run(function, x):
    """Call on an array, and return its outputs as arrays by name."""
    with torch.no_grad():
        return {name: tensor.numpy() for name, tensor in function(torch.tensor(x)).items()}
