r"""Mirrored samples: twice the crops for nothing, and left and right can be told apart by their names only.

Pixels and points are easy: column j becomes column s - 1 - j, x becomes 1 - x, and left and right eye and
mouth corner change places. In a box the left edge becomes the right one. With u as in ``labels.py``
(distances from an edge of the window to the same edge of the face, to the right):

.. math:: u_1' = -u_2, \qquad u_2' = -u_1

This is all for R-Net and O-Net, whose deltas are u. P-Net's are :math:`t_1 = (12 u_1 - 1) / 11` and
:math:`t_2 = 12 u_2 / 11`, hence

.. math:: t_1' = \frac{-12 u_2 - 1}{11} = -t_2 - \frac{1}{11}, \qquad
          t_2' = \frac{-12 u_1}{11} = -t_1 - \frac{1}{11}
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from minidet.boxes.mirror import MIRRORED_LANDMARKS
from minidet.training.objectives.mtcnn import SampleType
from minidet.training.sampling.labels import on_grid
from minidet.training.sampling.samples import INPUT_SIDES, Samples

PNET_OFFSET = float(on_grid(np.array([1 / 11]))[0])
"""1 / 11 as a multiple of 2^-16, so that mirroring twice is exact."""


def mirror_samples(samples: Samples) -> Samples:
    """Exchange left and right in crops and labels.

    Parameters
    ----------
    samples : Samples

    Returns
    -------
    Samples
        The windows stay as they are: they are where the crop was cut before it was mirrored. Mirroring again
        gives exactly the samples from before.

    Examples
    --------
    A face that begins a quarter further right than the crop ends a quarter further left in the mirror:

    >>> part = Samples.of_type(
    ...     SampleType.PART,
    ...     crops=np.zeros((1, 24, 24, 3), np.uint8),
    ...     windows=np.array([[0.0, 0.0, 24.0, 24.0]]),
    ...     photograph=0,
    ...     box_deltas=np.array([[0.25, 0, 0, 0]], np.float32),
    ... )
    >>> mirror_samples(part).box_deltas + 0
    array([[ 0.  , 0.  , -0.25, 0.  ]], dtype=float32)
    """
    types = samples.sample_types
    boxed = (types == SampleType.POSITIVE) | (types == SampleType.PART)  # the others stay zero
    landmarked = types == SampleType.LANDMARK

    x1, y1, x2, y2 = samples.box_deltas.T  # (M,) each
    offset = np.float32(PNET_OFFSET if samples.crops.shape[1] == INPUT_SIDES["pnet"] else 0)
    boxes = np.stack([-x2 - offset, y1, -x1 - offset, y2], axis=1)

    order = list(MIRRORED_LANDMARKS)
    x, y = samples.landmark_deltas[:, :5], samples.landmark_deltas[:, 5:]  # (M, 5) each
    points = np.concatenate([1 - x[:, order], y[:, order]], axis=1)
    return replace(
        samples,
        crops=samples.crops[:, :, ::-1],
        box_deltas=np.where(boxed[:, None], boxes, samples.box_deltas),
        landmark_deltas=np.where(landmarked[:, None], points, samples.landmark_deltas),
    )
