"""RetinaFace (Deng et al. 2019, section 4.2) from its parts, for any backbone and number of levels::

    image ── trunk ──▶ P2 P3 .. ── branch ──▶ box_deltas, logits, landmark_deltas
             backbone              context module and heads
             and pyramid           of every level

A network with another kind of head, or with several, is another branch on the same trunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minidet._typing import FloatArray
from minidet.boxes import AnchorSettings
from minidet.models.retinaface.levels import Outputs, PerLevel
from minidet.nn import Module
from minidet.ops import softmax_forward


class Trunk(Module):
    """Backbone and feature pyramid: what every branch looks at.

    Parameters
    ----------
    backbone : Module
        An image batch in, its maps out, from the finest to C5, such as ``ResNet``.
    fpn : Module
        These maps in, the maps of the pyramid out, such as ``FPN``.
    levels : sequence of int
        The levels of the pyramid: (3, 4, 5) for P3, P4, P5.
    """

    def __init__(self, backbone: Any, fpn: Any, levels: Sequence[int]) -> None:
        self.backbone = backbone
        self.fpn = fpn
        self.levels = tuple(levels)

    def forward(self, x: FloatArray) -> tuple[FloatArray, ...]:
        """Compute the maps of the pyramid.

        Parameters
        ----------
        x : (N, 3, H, W) array
            BGR minus the mean (104, 117, 123).

        Returns
        -------
        maps : tuple of (N, C, h, w) arrays
            One for each level, from fine to coarse; the stride of level l is 2**l.
        """
        backbone_maps = self.backbone.forward(x)
        return self.fpn.forward(*backbone_maps)

    def backward(self, grad_maps: Sequence[FloatArray]) -> FloatArray:
        """Go back through :meth:`forward`, line by line.

        Parameters
        ----------
        grad_maps : sequence of (N, C, h, w) arrays
            Gradients of the loss with respect to the maps, from fine to coarse.

        Returns
        -------
        grad_x : (N, 3, H, W) array
        """
        grad_backbone_maps = self.fpn.backward(*grad_maps)
        return self.backbone.backward(*grad_backbone_maps)

    def features(self, x: FloatArray) -> dict[str, FloatArray]:
        """Compute the maps on the way, by name: c3..c5 of the backbone, p3..p5 of the pyramid.

        Parameters
        ----------
        x : (N, 3, H, W) array
            As in :meth:`forward`.

        Returns
        -------
        dict of name to (N, C, h, w) array
            With five levels c2..c5 and p2..p6.
        """
        backbone_maps = self.backbone.forward(x)
        maps = self.fpn.forward(*backbone_maps)
        names = [f"c{level}" for level in range(self.levels[0], 6)] + [f"p{level}" for level in self.levels]
        return dict(zip(names, (*backbone_maps, *maps), strict=True))


class Branch(Module):
    """A context module and heads on every level.

    Parameters
    ----------
    contexts : PerLevel
    heads : Module
        The maps of all levels in, the outputs for every anchor out: ``HeadsPerLevel``,
        ``SharedHeads``, or heads of another kind.
    """

    def __init__(self, contexts: PerLevel, heads: Any) -> None:
        self.contexts = contexts
        self.heads = heads

    def forward(self, maps: Sequence[FloatArray]) -> Any:
        """Compute what the heads compute, from the maps of the pyramid.

        Parameters
        ----------
        maps : sequence of (N, C, h, w) arrays
            One for each level, from fine to coarse.
        """
        context_maps = self.contexts.forward(maps)
        return self.heads.forward(context_maps)

    def backward(self, *grad_outputs: FloatArray) -> list[FloatArray]:
        """Go back through :meth:`forward`, line by line.

        Parameters
        ----------
        *grad_outputs : (N, A, k) arrays
            Gradients of the loss with respect to the outputs of the heads, in their order.

        Returns
        -------
        grad_maps : list of (N, C, h, w) arrays
            One for each level, from fine to coarse.
        """
        grad_context_maps = self.heads.backward(*grad_outputs)
        return self.contexts.backward(grad_context_maps)


class PyramidNet(Module):
    """A trunk with one branch.

    Parameters
    ----------
    trunk : Trunk
    branch : Branch
    anchors : AnchorSettings
        Which anchors the heads answer for.
    """

    def __init__(self, trunk: Trunk, branch: Branch, anchors: AnchorSettings) -> None:
        self.trunk = trunk
        self.branch = branch
        self.anchors = anchors

    def forward(self, x: FloatArray) -> Outputs:
        """Compute the raw outputs for every anchor.

        Parameters
        ----------
        x : (N, 3, H, W) array
            BGR minus the mean (104, 117, 123).

        Returns
        -------
        box_deltas : (N, A, 4) array
        logits : (N, A, 2) array
        landmark_deltas : (N, A, 10) array
            As :class:`minidet.models.retinaface.RetinaFaceNet` has them.
        """
        maps = self.trunk.forward(x)
        return self.branch.forward(maps)

    def backward(
        self, grad_box_deltas: FloatArray, grad_logits: FloatArray, grad_landmark_deltas: FloatArray
    ) -> FloatArray:
        """Go back through :meth:`forward`, line by line.

        Parameters
        ----------
        grad_box_deltas, grad_logits, grad_landmark_deltas : (N, A, 4 | 2 | 10) arrays
            Gradients of the loss with respect to the outputs.

        Returns
        -------
        grad_x : (N, 3, H, W) array
        """
        grad_maps = self.branch.backward(grad_box_deltas, grad_logits, grad_landmark_deltas)
        return self.trunk.backward(grad_maps)

    def features(self, x: FloatArray) -> dict[str, FloatArray]:
        """Compute the maps on the way, by name: those of the trunk, and context3.. behind them.

        Parameters
        ----------
        x : (N, 3, H, W) array
            As in :meth:`forward`.

        Returns
        -------
        dict of name to (N, C, h, w) array
            Stride 2**l for the names in l: 8, 16 and 32 with three levels, also 4 and 64 with five.
        """
        return feature_maps(self.trunk, self.branch, x)

    def predict(self, x: FloatArray) -> Outputs:
        """Compute deltas and scores: :meth:`forward` and a softmax.

        Parameters
        ----------
        x : (N, 3, H, W) array
            As in :meth:`forward`.

        Returns
        -------
        box_deltas : (N, A, 4) array
        scores : (N, A, 2) array
            No face, face; each pair sums to one.
        landmark_deltas : (N, A, 10) array
        """
        box_deltas, logits, landmark_deltas = self.forward(x)
        return box_deltas, softmax_forward(logits, axis=2), landmark_deltas


def feature_maps(trunk: Trunk, branch: Branch, x: FloatArray) -> dict[str, FloatArray]:
    """Compute the maps of a trunk, and those of a branch's context modules, by name."""
    maps = trunk.features(x)
    context_maps = branch.contexts.forward([maps[f"p{level}"] for level in trunk.levels])
    names = [f"context{level}" for level in trunk.levels]
    return {**maps, **dict(zip(names, context_maps, strict=True))}
