r"""The dense regression branch: many more numbers for every anchor, beside face, box and landmarks.

The two papers use it for two things. In the later one (CVPR 2020) it says where the vertices of a mesh are,
three numbers for each. In the earlier one (arXiv 2019) it says from which code, by which camera and in which
light a mesh looks like the face; ``pixel.py`` makes a picture of that::

    maps ── context ●── heads ──────▶ box_deltas, logits, landmark_deltas
                    └── dense ──────▶ (N, A, 3 V) vertices, or (N, A, code + 7 + 9) parameters
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minidet._typing import FloatArray
from minidet.boxes import AnchorSettings
from minidet.models.retinaface.heads import per_anchor, per_position
from minidet.models.retinaface.levels import Outputs, PerLevel
from minidet.models.retinaface.pyramid_net import Branch, PyramidNet, Trunk, feature_maps
from minidet.nn import Conv2d, Module
from minidet.ops import concat_backward, concat_forward, softmax_forward


class DenseHeads(Module):
    """Heads, and beside them a 1x1 convolution on each level that gives every anchor some more numbers.

    Parameters
    ----------
    heads : Module
        :class:`HeadsPerLevel` or :class:`SharedHeads`.
    levels : sequence of int
    in_channels : int
    anchors_per_position : int
    values : int
        Numbers per anchor.
    """

    def __init__(
        self, heads: Any, levels: Sequence[int], in_channels: int, anchors_per_position: int, values: int
    ) -> None:
        self.values = values
        self.heads = heads
        self.dense = PerLevel(levels, [Conv2d(in_channels, anchors_per_position * values, 1) for _ in levels])

    def forward(self, maps: Sequence[FloatArray]) -> tuple[FloatArray, ...]:
        """Compute box_deltas, logits, landmark_deltas and dense, (N, A, 4 | 2 | 10 | values)."""
        outputs = self.heads.forward(maps)
        levels = [
            per_anchor(level, self.values) for level in self.dense.forward(maps)
        ]  # (N, A_level, values)
        self.keep_for_backward([x.shape[2:] for x in maps])
        return *outputs, concat_forward(levels, axis=1)

    def backward(
        self,
        grad_box_deltas: FloatArray,
        grad_logits: FloatArray,
        grad_landmark_deltas: FloatArray,
        grad_dense: FloatArray,
    ) -> list[FloatArray]:
        """Go back through :meth:`forward`, line by line, to the gradient of every map."""
        planes = self.kept()
        positions = [H * W for H, W in planes]
        anchors = [grad_dense.shape[1] // sum(positions) * one for one in positions]  # of each level
        grad_levels = concat_backward(grad_dense, anchors, axis=1)
        grads = [per_position(grad, plane) for grad, plane in zip(grad_levels, planes, strict=True)]
        grads_by_dense = self.dense.backward(grads)
        grads_by_heads = self.heads.backward(grad_box_deltas, grad_logits, grad_landmark_deltas)
        # The maps are used twice, so the gradients add.
        return [a + b for a, b in zip(grads_by_heads, grads_by_dense, strict=True)]


class DenseNet(Module):
    """A RetinaFace with a dense regression branch, made by :func:`dense_net` or :class:`Architecture`.

    Parameters
    ----------
    trunk : Trunk
    branch : Branch
        With :class:`DenseHeads`.
    anchors : AnchorSettings
    """

    def __init__(self, trunk: Trunk, branch: Branch, anchors: AnchorSettings) -> None:
        self.trunk = trunk
        self.branch = branch
        self.anchors = anchors

    def forward(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
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
            As :class:`minidet.models.retinaface.PyramidNet` has them.
        dense : (N, A, values) array
        """
        maps = self.trunk.forward(x)
        box_deltas, logits, landmark_deltas, dense = self.branch.forward(maps)
        return box_deltas, logits, landmark_deltas, dense

    def backward(self, *grad_outputs: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`, line by line.

        Parameters
        ----------
        *grad_outputs : (N, A, 4 | 2 | 10 | values) arrays
            Gradients of the four outputs, in their order.

        Returns
        -------
        grad_x : (N, 3, H, W) array
        """
        grad_maps = self.branch.backward(*grad_outputs)
        return self.trunk.backward(grad_maps)

    def features(self, x: FloatArray) -> dict[str, FloatArray]:
        """Compute the maps on the way, by name.

        Parameters
        ----------
        x : (N, 3, H, W) array
            As for :meth:`forward`.

        Returns
        -------
        dict of name to (N, C, h, w) array
            As :meth:`PyramidNet.features` has them.
        """
        return feature_maps(self.trunk, self.branch, x)

    def predict(self, x: FloatArray) -> Outputs:
        """Compute what says where the faces are; dense has no part in it.

        Parameters
        ----------
        x : (N, 3, H, W) array
            As for :meth:`forward`.

        Returns
        -------
        box_deltas : (N, A, 4) array
        scores : (N, A, 2) array
            The two of an anchor sum to one.
        landmark_deltas : (N, A, 10) array
        """
        box_deltas, scores, landmark_deltas, _ = self.predict_dense(x)
        return box_deltas, scores, landmark_deltas

    def predict_dense(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Compute the same, and what the dense branch says; then ``detect_retinaface`` records meshes.

        Parameters
        ----------
        x : (N, 3, H, W) array
            As for :meth:`forward`.

        Returns
        -------
        box_deltas, scores, landmark_deltas : (N, A, 4 | 2 | 10) arrays
            As :meth:`predict` has them.
        dense : (N, A, values) array
        """
        box_deltas, logits, landmark_deltas, dense = self.forward(x)
        return box_deltas, softmax_forward(logits, axis=2), landmark_deltas, dense


def add_dense_heads(network: PyramidNet, values: int, in_channels: int) -> DenseNet:
    """Put a dense regression branch beside the heads of a network, which share their layers afterwards.

    Parameters
    ----------
    network : PyramidNet
    values : int
        Numbers per anchor.
    in_channels : int
        Of the maps that the heads look at.

    Returns
    -------
    DenseNet
    """
    trunk, contexts, anchors = network.trunk, network.branch.contexts, network.anchors
    heads = DenseHeads(network.branch.heads, trunk.levels, in_channels, anchors.per_position, values)
    return DenseNet(trunk, Branch(contexts, heads), anchors)
