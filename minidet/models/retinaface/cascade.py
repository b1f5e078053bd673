r"""Two heads in a row: the second starts from the boxes of the first (RetinaFace, CVPR 2020).

An anchor is a guess that knows nothing of the image. The first branch moves it to a face; the second takes
the moved box for its anchor, and since that is nearly right already, it can be trained to be exact::

    trunk ──▶ maps ●── first branch ──▶ boxes from the anchors ──┐ are the anchors of
                   └── second branch ─▶ boxes from those boxes ◀─┘

Both look at the same maps of the pyramid. The first boxes decide what the second branch should answer, not
what it sees, so forward and backward are those of two branches side by side.
"""

from __future__ import annotations

import math

import numpy as np

from minidet._typing import FloatArray
from minidet.boxes import AnchorSettings
from minidet.boxes.coding import VARIANCES
from minidet.models.retinaface.levels import Outputs
from minidet.models.retinaface.pyramid_net import Branch, Trunk, feature_maps
from minidet.nn import Module
from minidet.ops import softmax_forward

MOST_SHIFT, MOST_FACTOR = 10.0, 16.0
"""Of a first box: its centre is at most so many sides of the anchor away, its sides at most so many times as
long or short. A network at the beginning of its training says anything; a box without area or at infinity
could be no anchor."""


class CascadeNet(Module):
    """A trunk with two branches, the second of which answers for the boxes of the first.

    Parameters
    ----------
    trunk : Trunk
    first, second : Branch
    anchors : AnchorSettings
        Which anchors the first branch answers for.
    """

    def __init__(self, trunk: Trunk, first: Branch, second: Branch, anchors: AnchorSettings) -> None:
        self.trunk = trunk
        self.first = first
        self.second = second
        self.anchors = anchors

    def forward(self, x: FloatArray) -> tuple[FloatArray, ...]:
        """Compute the raw outputs of both branches for every anchor.

        Parameters
        ----------
        x : (N, 3, H, W) array
            BGR minus the mean (104, 117, 123).

        Returns
        -------
        box_deltas, logits, landmark_deltas : (N, A, 4 | 2 | 10) arrays
            Of the first branch, from the anchors.
        box_deltas, logits, landmark_deltas : (N, A, 4 | 2 | 10) arrays
            Of the second, from the first boxes.
        """
        maps = self.trunk.forward(x)
        first = self.first.forward(maps)
        second = self.second.forward(maps)
        return *first, *second

    def backward(self, *grad_outputs: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`, line by line.

        Parameters
        ----------
        *grad_outputs : (N, A, 4 | 2 | 10) arrays, three of each branch
            Gradients of the loss with respect to the outputs, in their order.

        Returns
        -------
        grad_x : (N, 3, H, W) array
        """
        grad_first, grad_second = grad_outputs[:3], grad_outputs[3:]
        grads_by_second = self.second.backward(*grad_second)
        grads_by_first = self.first.backward(*grad_first)
        # The maps are used twice, so the gradients add.
        grad_maps = [a + b for a, b in zip(grads_by_first, grads_by_second, strict=True)]
        return self.trunk.backward(grad_maps)

    def features(self, x: FloatArray) -> dict[str, FloatArray]:
        """Compute the maps on the way, by name; context3.. are those of the second branch.

        Parameters
        ----------
        x : (N, 3, H, W) array
            As in :meth:`forward`.

        Returns
        -------
        dict of name to (N, C, h, w) array
            As :meth:`PyramidNet.features` has them.
        """
        return feature_maps(self.trunk, self.second, x)

    def predict(self, x: FloatArray) -> Outputs:
        """Compute deltas from the anchors, and scores.

        Both steps are put together, so that they are decoded like those of a network with one branch; the
        scores are those of the second.

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
        first, _, _, second, logits, landmarks = self.forward(x)
        landmark_deltas = compose_landmarks(first, landmarks)
        return compose_boxes(first, second), softmax_forward(logits, axis=2), landmark_deltas


def limit_boxes(box_deltas: FloatArray) -> FloatArray:
    """Keep the first boxes (..., 4) where they can serve as anchors: within ``MOST_SHIFT``, ``MOST_FACTOR``.

    Examples
    --------
    A shift of 0.1 * 200 = 20 sides, and a width of e**(0.2 * 50) times that of the anchor:

    >>> limit_boxes(np.array([200.0, 1.0, 50.0, 2.0])).round(2)
    array([100.  ,   1.  ,  13.86,   2.  ])
    """
    shift, size = MOST_SHIFT / VARIANCES[0], math.log(MOST_FACTOR) / VARIANCES[1]
    limits = np.array([shift, shift, size, size], box_deltas.dtype)
    return np.clip(box_deltas, -limits, limits)


def compose_boxes(first: FloatArray, second: FloatArray) -> FloatArray:
    r"""Put two steps together: deltas from the anchor to the box that ``second`` makes of the first box.

    .. math:: t_c = t^{(1)}_c + t^{(2)}_c \, e^{v_1 t^{(1)}_s}, \qquad t_s = t^{(1)}_s + t^{(2)}_s

    A shift is counted in sides of the box it starts from, so that of the second step grows with the first
    box; factors of the size multiply, and their logarithms add.

    Parameters
    ----------
    first, second : (..., 4) arrays
        As :func:`minidet.boxes.decode_boxes` takes them; the first are limited by :func:`limit_boxes`.

    Returns
    -------
    box_deltas : (..., 4) array

    Examples
    --------
    The first box is twice as wide as the anchor, so the second shift of 0.1 * 1 of its sides is 0.1 * 2 of
    the anchor's:

    >>> twice = 5 * np.log(2)
    >>> compose_boxes(np.array([1.0, 0.0, twice, 0.0]), np.array([1.0, 1.0, 0.0, 3.0])).round(4)
    array([3.    , 1.    , 3.4657, 3.    ])
    """
    first = limit_boxes(first)
    shift = first[..., :2] + second[..., :2] * _factor(first)
    return np.concatenate([shift, first[..., 2:] + second[..., 2:]], axis=-1)


def compose_landmarks(first: FloatArray, landmark_deltas: FloatArray) -> FloatArray:
    """Count points from the anchor that the second branch has counted from the first box.

    Parameters
    ----------
    first : (..., 4) array
        Box deltas of the first branch, limited by :func:`limit_boxes`.
    landmark_deltas : (..., 10) array
        Of the second.

    Returns
    -------
    landmark_deltas : (..., 10) array

    Examples
    --------
    >>> twice = 5 * np.log(2)
    >>> compose_landmarks(np.array([1.0, 0.0, twice, 0.0]), np.array([1.0, 3.0] * 5))[:4].round(4)
    array([3., 3., 3., 3.])
    """
    first = limit_boxes(first)
    points = landmark_deltas.reshape(*landmark_deltas.shape[:-1], 5, 2)
    shifts = first[..., None, :2] + points * _factor(first)[..., None, :]
    return shifts.reshape(landmark_deltas.shape)


def _factor(box_deltas: FloatArray) -> FloatArray:
    """Return by how much a box (..., 4) is wider and higher than its anchor, (..., 2)."""
    return np.exp(VARIANCES[1] * box_deltas[..., 2:])
