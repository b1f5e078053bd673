"""Which RetinaFace: the choices, and the name under which a file of weights remembers them.

The choices are those of the paper (Deng et al. 2019, arXiv 1905.00641, section 4.2), of its version at CVPR
2020, which has the cascade, and of the networks that biubug6/Pytorch_Retinaface has released.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

from minidet._check import check_whole
from minidet.boxes import PAPER_ANCHORS, REFERENCE_ANCHORS, AnchorSettings, LocationSettings
from minidet.errors import InputError
from minidet.models.retinaface.anchor_free import AnchorFreeNet, LocationHeads
from minidet.models.retinaface.blocks import MakesConv
from minidet.models.retinaface.cascade import CascadeNet
from minidet.models.retinaface.context import Context
from minidet.models.retinaface.fpn import FPN, FivePyramid
from minidet.models.retinaface.heads import Heads
from minidet.models.retinaface.levels import HeadsPerLevel, PerLevel, SharedHeads
from minidet.models.retinaface.mesh import add_dense_heads
from minidet.models.retinaface.mobilenet_v1 import FourStageMobileNetV1, MobileNetV1
from minidet.models.retinaface.pyramid_net import Branch, PyramidNet, Trunk
from minidet.models.retinaface.resnet import RESNET50, RESNET152, ResNet
from minidet.models.retinaface.retinaface import RetinaFaceNet
from minidet.nn import Conv2d, DeformConv2d, Layer

BACKBONES = ("mobilenet025", "resnet50", "resnet152")

DEFORMABLE: dict[str, MakesConv] = {"deform": DeformConv2d, "deform2": partial(DeformConv2d, modulated=True)}
"""What takes the place of the 3x3 convolutions in the pyramid and in the context modules, by the name of the
context: version 1, as in the paper, and version 2, which has masks."""

CONTEXTS: dict[str, Callable[[int], Layer]] = {
    "ssh": Context,
    **{name: partial(Context, conv=conv) for name, conv in DEFORMABLE.items()},
}
"""Context modules by name: channels in, the layer out."""

HEADS = (
    (False, False, False),
    (True, False, False),
    (False, True, False),
    (True, True, False),
    (False, False, True),
)
"""What goes together of ``shared_heads``, ``cascade`` and ``anchor_free``."""


@dataclass(frozen=True)
class Architecture:
    """One of the networks that are called RetinaFace.

    Attributes
    ----------
    backbone : "mobilenet025", "resnet50" or "resnet152"
        The released ones have the first two, the paper the last.
    levels : 3 or 5
        P3 to P5 with :data:`minidet.boxes.REFERENCE_ANCHORS`, as released, or P2 to P6 with
        :data:`minidet.boxes.PAPER_ANCHORS`, as in the paper. P2 is for small faces, and costs three times as
        much as the other levels together.
    context : "ssh", "deform" or "deform2"
        The context module of every level. With the deformable ones the 3x3 convolutions between the pyramid's
        levels are deformable, too, as in the paper.
    shared_heads : bool
        One set of heads for all levels, as in the paper; the released code has one for each.
    cascade : bool
        A second branch that starts from the boxes of the first.
    anchor_free : bool
        Heads that answer for the positions of the maps, with no anchors on them; not with ``shared_heads``
        or ``cascade``.
    vertices : int
        Of the mesh that a dense branch gives to every anchor, as in the paper of 2020; 0 for no such branch.
        Not with ``cascade`` or ``anchor_free``.

    Raises
    ------
    InputError
        If a choice is unknown, or two do not go together.

    Examples
    --------
    >>> Architecture("resnet50", levels=5, shared_heads=True).name
    'retinaface_resnet50_p2p6_shared'
    >>> Architecture.from_name("retinaface_resnet50").levels
    3
    >>> Architecture.from_name("retinaface_resnet50_p2p6_deform").context
    'deform'
    >>> Architecture.from_name("retinaface_mobilenet025_shared_mesh399").vertices
    399
    """

    backbone: str = "mobilenet025"
    levels: int = 3
    context: str = "ssh"
    shared_heads: bool = False
    cascade: bool = False
    anchor_free: bool = False
    vertices: int = 0

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise InputError(
                f"Architecture: backbone={self.backbone!r}; expected one of {', '.join(BACKBONES)}"
            )
        if self.levels not in (3, 5):
            raise InputError(f"Architecture: levels={self.levels!r}; expected 3 or 5")
        if self.context not in CONTEXTS:
            raise InputError(f"Architecture: context={self.context!r}; expected one of {', '.join(CONTEXTS)}")
        if self.anchor_free and (self.shared_heads or self.cascade):
            raise InputError("Architecture: anchor_free goes with neither shared_heads nor cascade")
        check_whole("Architecture", "vertices", self.vertices, least=0)
        if self.vertices and (self.cascade or self.anchor_free):
            raise InputError("Architecture: vertices go with neither cascade nor anchor_free")

    @property
    def name(self) -> str:
        """What files of weights say they are for."""
        parts = ["retinaface", self.backbone]
        if self.levels == 5:
            parts.append("p2p6")
        if self.context != "ssh":
            parts.append(self.context)
        if self.shared_heads:
            parts.append("shared")
        if self.cascade:
            parts.append("cascade")
        if self.anchor_free:
            parts.append("anchorfree")
        if self.vertices:
            parts.append(f"mesh{self.vertices}")
        return "_".join(parts)

    @classmethod
    def from_name(cls, name: str) -> Architecture:
        """Undo ``name``.

        Parameters
        ----------
        name : str
            Such as "retinaface_resnet50_p2p6_shared".

        Raises
        ------
        InputError
            If it is the name of no RetinaFace.
        """
        rest, _, digits = name.partition("_mesh")
        vertices = int(digits) if digits.isdecimal() else 0
        for backbone, levels, context, heads in product(BACKBONES, (3, 5), CONTEXTS, HEADS):
            found = cls(backbone, levels, context, *heads)
            if found.name == rest:
                found = replace(found, vertices=vertices)
                if found.name == name:
                    return found
        raise InputError(f"{name!r} is the name of no RetinaFace; an example is 'retinaface_resnet50_p2p6'")

    @property
    def anchors(self) -> AnchorSettings:
        """The anchors its heads answer for, or would answer for if it had any."""
        return REFERENCE_ANCHORS if self.levels == 3 else PAPER_ANCHORS

    @property
    def locations(self) -> LocationSettings:
        """The locations that heads without anchors answer for."""
        return LocationSettings(strides=self.anchors.strides)

    @property
    def channels(self) -> int:
        """Of the maps of its pyramid and its context modules."""
        return 64 if self._is_small else 256

    @property
    def stem(self) -> str:
        """The name of the first convolution's weights, which pixels reach as they are."""
        if self == Architecture():
            return "backbone.stage1.0.conv.weight"
        first = "stage1.0.conv" if self.backbone == "mobilenet025" else "conv1"
        return f"trunk.backbone.{first}.weight"

    def build(self) -> Any:
        """Return the network: layers as new, to be loaded or initialised."""
        if self == Architecture():
            return RetinaFaceNet()
        trunk = self._trunk()
        if self.cascade:
            return CascadeNet(trunk, self._branch(trunk.levels), self._branch(trunk.levels), self.anchors)
        if self.anchor_free:
            return AnchorFreeNet(trunk, self._branch(trunk.levels), self.locations)
        network = PyramidNet(trunk, self._branch(trunk.levels), self.anchors)
        return add_dense_heads(network, 3 * self.vertices, self.channels) if self.vertices else network

    def _trunk(self) -> Trunk:
        conv = DEFORMABLE.get(self.context, Conv2d)
        if self.levels == 3:
            coarse = MobileNetV1() if self._is_small else ResNet(self._blocks, finest=3)
            return Trunk(coarse, FPN(coarse.channels, self.channels, conv=conv), (3, 4, 5))
        fine = FourStageMobileNetV1() if self._is_small else ResNet(self._blocks, finest=2)
        return Trunk(fine, FivePyramid(fine.channels, self.channels, conv=conv), (2, 3, 4, 5, 6))

    def _branch(self, levels: tuple[int, ...]) -> Branch:
        channels, per_position = self.channels, self.anchors.per_position
        contexts = PerLevel(levels, [CONTEXTS[self.context](channels) for _ in levels])
        if self.anchor_free:
            return Branch(contexts, HeadsPerLevel(levels, [LocationHeads(channels) for _ in levels]))
        if self.shared_heads:
            return Branch(contexts, SharedHeads(channels, per_position))
        return Branch(contexts, HeadsPerLevel(levels, [Heads(channels, per_position) for _ in levels]))

    @property
    def _is_small(self) -> bool:
        return self.backbone == "mobilenet025"

    @property
    def _blocks(self) -> tuple[int, int, int, int]:
        return RESNET50 if self.backbone == "resnet50" else RESNET152
