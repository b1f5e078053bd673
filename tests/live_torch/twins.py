"""The networks once more, in plain ``torch.nn``, written from the layer tables of the papers and releases.

Parts are named as in minidet, so that a state dict of one loads into the other; nothing else is shared. Every
network returns its outputs by name.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from tests.live_torch.torch_ops import OPS
from tests.oracles.pyramid_cases import OUTPUTS, upstream

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

    def __init__(self, inputs, outputs, kernel_size, stride=1, groups=1, active=True, slope=0.1):
        super().__init__()
        padding = {1: 0, 3: 1}[kernel_size]
        self.conv = nn.Conv2d(inputs, outputs, kernel_size, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.active, self.slope = active, slope

    def forward(self, x):
        x = self.norm(self.conv(x))
        return functional.leaky_relu(x, self.slope) if self.active else x


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

    def forward(self, x):
        c3 = self.stage1(x)
        c4 = self.stage2(c3)
        return c3, c4, self.stage3(c4)


class Pyramid(nn.Module):
    """Laterals and merges; their activation is leaky in pyramids of at most 64 channels."""

    def __init__(self, inputs=(64, 128, 256), channels=64):
        super().__init__()
        slope = 0.1 if channels <= 64 else 0
        c3, c4, c5 = inputs
        self.lateral3 = Block(c3, channels, 1, slope=slope)
        self.lateral4 = Block(c4, channels, 1, slope=slope)
        self.lateral5 = Block(c5, channels, 1, slope=slope)
        self.merge3 = Block(channels, channels, 3, slope=slope)
        self.merge4 = Block(channels, channels, 3, slope=slope)

    def forward(self, c3, c4, c5):
        p5 = self.lateral5(c5)
        p4 = self.merge4(self.lateral4(c4) + functional.interpolate(p5, size=c4.shape[2:]))
        return self.merge3(self.lateral3(c3) + functional.interpolate(p4, size=c3.shape[2:])), p4, p5


class Context(nn.Module):
    """SSH module: 3x3, and the row of 3x3 that sees 5x5 and 7x7."""

    def __init__(self, channels=64):
        super().__init__()
        slope = 0.1 if channels <= 64 else 0
        half, quarter = channels // 2, channels // 4
        self.view3 = Block(channels, half, 3, active=False)
        self.shared = Block(channels, quarter, 3, slope=slope)
        self.view5 = Block(quarter, quarter, 3, active=False)
        self.middle7 = Block(quarter, quarter, 3, slope=slope)
        self.view7 = Block(quarter, quarter, 3, active=False)

    def forward(self, x):
        shared = self.shared(x)
        return torch.cat([self.view3(x), self.view5(shared), self.view7(self.middle7(shared))], 1).relu()


class Heads(nn.Module):
    """For the anchors of every position."""

    def __init__(self, channels=64, anchors=2):
        super().__init__()
        self.class_head = nn.Conv2d(channels, anchors * 2, 1)
        self.box_head = nn.Conv2d(channels, anchors * 4, 1)
        self.landmark_head = nn.Conv2d(channels, anchors * 10, 1)

    def forward(self, x):
        return [
            head(x).permute(0, 2, 3, 1).reshape(x.shape[0], -1, values)
            for head, values in [(self.box_head, 4), (self.class_head, 2), (self.landmark_head, 10)]
        ]


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


# ---- Other RetinaFaces -----------------------------------------------------------------------------


class FineBackbone(nn.Module):
    """MobileNetV1 x 0.25, tapped at stride 4 as well."""

    def __init__(self):
        super().__init__()
        rows = [(8, 16, 1), (16, 32, 2), (32, 32, 1)]
        self.stage1 = nn.Sequential(Block(3, 8, 3, 2), *[Separable(*row) for row in rows])
        self.stage2 = nn.Sequential(Separable(32, 64, 2), Separable(64, 64, 1))
        rows = [(64, 128, 2)] + 5 * [(128, 128, 1)]
        self.stage3 = nn.Sequential(*[Separable(*row) for row in rows])
        self.stage4 = nn.Sequential(Separable(128, 256, 2), Separable(256, 256, 1))

    def forward(self, x):
        c2 = self.stage1(x)
        c3 = self.stage2(c2)
        c4 = self.stage3(c3)
        return c2, c3, c4, self.stage4(c4)


class Bottleneck(nn.Module):
    """The block of ResNet-50 and deeper, with torchvision's names."""

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        if inputs != 4 * width:
            conv = nn.Conv2d(inputs, 4 * width, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(4 * width))

    def forward(self, x):
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        y = self.bn3(self.conv3(y))
        return (y + (self.downsample(x) if hasattr(self, "downsample") else x)).relu()


class ResNet(nn.Module):
    """ResNet without its classifier."""

    def __init__(self, depth, finest):
        super().__init__()
        self.finest = finest
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        inputs = 64
        for i, blocks in enumerate({50: (3, 4, 6, 3), 152: (3, 8, 36, 3)}[depth]):
            width = 64 * 2**i
            layers = [Bottleneck(inputs, width, 1 if i == 0 else 2)]
            layers += [Bottleneck(4 * width, width, 1) for _ in range(blocks - 1)]
            setattr(self, f"layer{i + 1}", nn.Sequential(*layers))
            inputs = 4 * width

    def forward(self, x):
        x = functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        maps = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            maps.append(x)
        return maps[self.finest - 2 :]


class FivePyramid(nn.Module):
    """P2 to P6."""

    def __init__(self, inputs, channels):
        super().__init__()
        slope = 0.1 if channels <= 64 else 0
        for level, c in zip((2, 3, 4, 5), inputs, strict=True):
            setattr(self, f"lateral{level}", Block(c, channels, 1, slope=slope))
        self.coarser6 = Block(inputs[-1], channels, 3, 2, slope=slope)
        for level in (2, 3, 4):
            setattr(self, f"merge{level}", Block(channels, channels, 3, slope=slope))

    def forward(self, *maps):
        pyramid = [self.coarser6(maps[-1]), self.lateral5(maps[-1])]
        for level in (4, 3, 2):
            c = maps[level - 2]
            up = functional.interpolate(pyramid[-1], size=c.shape[2:])
            pyramid.append(getattr(self, f"merge{level}")(getattr(self, f"lateral{level}")(c) + up))
        return pyramid[::-1]


class Deformable(nn.Module):
    """A 3x3 convolution; the last third of what its predictor says are masks, if there are any."""

    def __init__(self, inputs, outputs, masked):
        super().__init__()
        self.masked = masked
        self.weight = nn.Parameter(torch.zeros(outputs, inputs, 3, 3))
        self.conv_offset_mask = nn.Conv2d(inputs, 27 if masked else 18, 3, padding=1)

    def forward(self, x):
        parts = self.conv_offset_mask(x).split(9, dim=1)
        offset = torch.cat(parts[:2], dim=1)
        mask = parts[2].sigmoid() if self.masked else None
        return OPS["deform_conv2d"](x, offset, self.weight, mask=mask, padding=1)["y"]


def make_deformable(network, masked):
    """Exchange the 3x3 convolutions between the levels of the pyramid and of the context modules."""
    for name, module in network.named_modules():
        of_pyramid = "fpn.merge" in name or "contexts." in name
        if of_pyramid and isinstance(module, Block):
            module.conv = Deformable(module.conv.in_channels, module.conv.out_channels, masked)


class Trunk(nn.Module):
    """Backbone and pyramid."""

    def __init__(self, backbone, fpn):
        super().__init__()
        self.backbone, self.fpn = backbone, fpn

    def forward(self, x):
        return self.fpn(*self.backbone(x))


class Shared(nn.Module):
    """One set of heads."""

    def __init__(self, channels, anchors):
        super().__init__()
        self.heads = Heads(channels, anchors)


class Branch(nn.Module):
    """Context modules, and heads for each level or for all."""

    def __init__(self, levels, channels, anchors, shared):
        super().__init__()
        self.contexts = nn.ModuleDict({f"p{level}": Context(channels) for level in levels})
        own = {f"p{level}": Heads(channels, anchors) for level in levels}
        self.heads = Shared(channels, anchors) if shared else nn.ModuleDict(own)
        self.shared = shared

    def forward(self, maps):
        levels = [
            (self.heads.heads if self.shared else self.heads[name])(context(x))
            for (name, context), x in zip(self.contexts.items(), maps, strict=True)
        ]
        return [torch.cat(outputs, 1) for outputs in zip(*levels, strict=True)]


class PyramidNet(nn.Module):
    """Trunk and branch of the network of this name."""

    def __init__(self, name):
        super().__init__()
        five, shared = "p2p6" in name, "shared" in name
        levels, anchors = ((2, 3, 4, 5, 6), 3) if five else ((3, 4, 5), 2)
        if "mobilenet" in name:
            channels, inputs = 64, (32, 64, 128, 256)
            backbone = FineBackbone() if five else Backbone()
        else:
            channels, inputs = 256, (256, 512, 1024, 2048)
            backbone = ResNet(50 if "resnet50" in name else 152, levels[0])
        fpn = FivePyramid(inputs, channels) if five else Pyramid(inputs[1:], channels)
        self.trunk = Trunk(backbone, fpn)
        self.cascade = "cascade" in name
        for part in ("first", "second") if self.cascade else ("branch",):
            setattr(self, part, Branch(levels, channels, anchors, shared))
        if "deform" in name:
            make_deformable(self, masked="deform2" in name)

    def forward(self, x):
        maps = self.trunk(x)
        if self.cascade:
            outputs = zip(OUTPUTS, [*self.first(maps), *self.second(maps)], strict=True)
        else:
            outputs = zip(OUTPUTS[:3], self.branch(maps), strict=True)
        return dict(outputs)


def pyramid_twin(case, dtype):
    """Make the twin of a case of ``pyramid_cases.py``, in training."""
    module = load(PyramidNet(case.name).to(getattr(torch, dtype)), case.state()).train()
    if case.frozen:
        freeze_batch_norms(module)
    return module


def pyramid_step(case, dtype):
    """Outputs, gradients and running statistics, as ``tests.oracles.pyramid_cases.step`` names them."""
    module = pyramid_twin(case, dtype)
    x = torch.tensor(case.input(dtype), requires_grad=True)
    outputs = module(x)
    sum(
        (y * torch.tensor(upstream(name, tuple(y.shape), dtype))).sum() for name, y in outputs.items()
    ).backward()
    gradients = {f"gradient of {name}": value.grad for name, value in module.named_parameters()}
    running = {name: value for name, value in module.named_buffers() if "running" in name}
    tensors = {**outputs, **gradients, **running, "gradient of x": x.grad}
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


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
    return load(TWINS[network]().to(getattr(torch, dtype)).eval(), state)


def load(module, state):
    """Give a twin minidet's state."""
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
