r"""The area under a curve of precision against recall, smoothed as Pascal VOC does since 2010.

::

    precision
      1 |--.                       o  measured: a saw, since every false positive cuts a notch
        |  |o                      -  its envelope: the best precision at this recall or a higher one
        |  '-----.
        |    o o |o
        +--------'------- recall
"""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray


def interpolated_ap(recall: FloatArray, precision: FloatArray) -> float:
    r"""Integrate the envelope of precision over recall.

    .. math:: \mathrm{AP} = \sum_i (r_i - r_{i-1}) \, \max_{j \ge i} p_j, \qquad r_0 = 0

    Parameters
    ----------
    recall : (T,) array
        Not falling, from 0 to 1. What lies beyond the last adds nothing.
    precision : (T,) array

    Returns
    -------
    float
        0 to 1.

    Examples
    --------
    Half of the faces at precision 1, all of them at 2/3:

    >>> round(interpolated_ap(np.array([0.5, 0.5, 1.0]), np.array([1.0, 0.5, 2 / 3])), 4)
    0.8333
    """
    envelope = np.maximum.accumulate(precision[::-1])[::-1]  # (T,)
    steps = np.diff(recall, prepend=0)  # (T,)
    return float((steps * envelope).sum())
