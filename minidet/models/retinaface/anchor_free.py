r"""RetinaFace without anchors: every position of the pyramid answers for itself (FCOS, Tian et al. 2019).

::

    image ── trunk ──▶ P3 P4 P5 ── branch ──▶ log_distances, logits, centre_logits, landmark_deltas
             backbone              context module and heads
             and pyramid           of every level

Trunk and context modules are those of the network with anchors; only what the heads are asked differs.
"""

from __future__ import annotations

import math

import numpy as np

from minidet._typing import FloatArray
from minidet.boxes import LocationSettings
from minidet.boxes.distances import MOST_LOG
from minidet.models.retinaface.heads import per_anchor, per_position
from minidet.models.retinaface.pyramid_net import Branch, Trunk, feature_maps
from minidet.nn import Conv2d, Module
from minidet.ops import sigmoid_forward, softmax_forward

LocationOutputs = tuple[FloatArray, FloatArray, FloatArray, FloatArray]
"""log_distances (N, L, 4), logits (N, L, 2), centre_logits (N, L, 1) and landmark_deltas (N, L, 10)."""

FIRST_SCORE = 0.01
"""What a new network says of every location: focal loss learns from thousands of negatives at once, and
without this their sum would be all that the first steps see (Lin et al. 2017, section 4.1)."""


class AnchorFreeNet(Module):
    """A trunk with one branch that answers for locations.

    Parameters
    ----------
    trunk : Trunk
    branch : Branch
        Its heads are :class:`LocationHeads`, one for each level.
    locations : LocationSettings
        Which locations the heads answer for.
    """

    def __init__(self, trunk: Trunk, branch: Branch, locations: LocationSettings) -> None:
        self.trunk = trunk
        self.branch = branch
        self.locations = locations

    def forward(self, x: FloatArray) -> LocationOutputs:
        """Compute the raw outputs for every location.

        Parameters
        ----------
        x : (N, 3, H, W) array
            BGR minus the mean (104, 117, 123).

        Returns
        -------
        log_distances : (N, L, 4) array
            Logarithms of the distances to left, top, right and bottom, counted in strides.
        logits : (N, L, 2) array
            No face, face.
        centre_logits : (N, L, 1) array
            Of the centre-ness, before the sigmoid.
        landmark_deltas : (N, L, 10) array
            As :func:`minidet.boxes.decode_points` takes them.
        """
        maps = self.trunk.forward(x)
        return self.branch.forward(maps)

    def backward(
        self,
        grad_log_distances: FloatArray,
        grad_logits: FloatArray,
        grad_centre_logits: FloatArray,
        grad_landmark_deltas: FloatArray,
    ) -> FloatArray:
        """Go back through :meth:`forward`, line by line.

        Parameters
        ----------
        grad_log_distances : (N, L, 4) array
        grad_logits : (N, L, 2) array
        grad_centre_logits : (N, L, 1) array
        grad_landmark_deltas : (N, L, 10) array

        Returns
        -------
        grad_x : (N, 3, H, W) array
        """
        grad_maps = self.branch.backward(
            grad_log_distances, grad_logits, grad_centre_logits, grad_landmark_deltas
        )
        return self.trunk.backward(grad_maps)

    def features(self, x: FloatArray) -> dict[str, FloatArray]:
        """Compute the maps on the way, by name.

        Parameters
        ----------
        x : (N, 3, H, W) array
            As for :meth:`forward`.

        Returns
        -------
        dict of str to (N, C, h, w) array
            Those of the trunk, such as "p3", and the outputs of the context modules, such as "context3".
        """
        return feature_maps(self.trunk, self.branch, x)

    def predict(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Compute distances, scores and landmark deltas, as detecting needs them.

        A score is the geometric mean of that of a face and the centre-ness: of two boxes around one face,
        both sure of it, the one that was said from nearer the middle is kept.

        Parameters
        ----------
        x : (N, 3, H, W) array
            As for :meth:`forward`.

        Returns
        -------
        distances : (N, L, 4) array, strides
            To left, top, right and bottom.
        scores : (N, L) array
            0 to 1.
        landmark_deltas : (N, L, 10) array

        Notes
        -----
        Tian et al. 2019, section 3.3, multiply the two; the authors' code takes the root of the product, too
        (tianzhi0549/FCOS, ``inference.py``). The order of the scores is the same, so suppression keeps the
        same boxes. But two factors of 0.7 are not 0.49 then, and a threshold means about what it means with
        anchors.
        """
        log_distances, logits, centre_logits, landmark_deltas = self.forward(x)
        faces = softmax_forward(logits, axis=2)[:, :, 1]  # (N, L)
        centre = sigmoid_forward(centre_logits[:, :, 0])  # (N, L)
        return limited_exp(log_distances), np.sqrt(faces * centre), landmark_deltas


class LocationHeads(Module):
    """The heads of one level: four 1x1 convolutions that answer for every position.

    Parameters
    ----------
    in_channels : int
    """

    def __init__(self, in_channels: int) -> None:
        self.class_head = Conv2d(in_channels, 2, 1)
        self.distance_head = Conv2d(in_channels, 4, 1)
        self.centre_head = Conv2d(in_channels, 1, 1)
        self.landmark_head = Conv2d(in_channels, 10, 1)
        bias = self.class_head.parameters()["bias"]
        bias.data[1] = math.log(FIRST_SCORE / (1 - FIRST_SCORE))

    def forward(self, x: FloatArray) -> LocationOutputs:
        """Compute the outputs for every position of a map (N, C, H, W), row by row, column by column."""
        log_distances = per_anchor(self.distance_head.forward(x), 4)  # (N, H * W, 4)
        logits = per_anchor(self.class_head.forward(x), 2)  # (N, H * W, 2)
        centre_logits = per_anchor(self.centre_head.forward(x), 1)  # (N, H * W, 1)
        landmark_deltas = per_anchor(self.landmark_head.forward(x), 10)  # (N, H * W, 10)
        self.keep_for_backward((x.shape[2], x.shape[3]))
        return log_distances, logits, centre_logits, landmark_deltas

    def backward(
        self,
        grad_log_distances: FloatArray,
        grad_logits: FloatArray,
        grad_centre_logits: FloatArray,
        grad_landmark_deltas: FloatArray,
    ) -> FloatArray:
        """Go back through :meth:`forward`, line by line, to the gradient of the map (N, C, H, W)."""
        plane = self.kept()
        # x is used by four heads, so their gradients add.
        grad_x = self.landmark_head.backward(per_position(grad_landmark_deltas, plane))
        grad_x = grad_x + self.centre_head.backward(per_position(grad_centre_logits, plane))
        grad_x = grad_x + self.class_head.backward(per_position(grad_logits, plane))
        return grad_x + self.distance_head.backward(per_position(grad_log_distances, plane))


def limited_exp(log_distances: FloatArray) -> FloatArray:
    """Return the distances whose logarithms these are, none farther than :data:`MOST_LOG` allows.

    Examples
    --------
    >>> limited_exp(np.array([0.0, np.log(2), 1e9])).round(2)
    array([1.00000e+00, 2.00000e+00, 2.98096e+03])
    """
    return np.exp(np.clip(log_distances, -MOST_LOG, MOST_LOG))
