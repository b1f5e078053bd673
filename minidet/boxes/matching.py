r"""Matching: which anchors are to find a face, which are to find nothing, and which are not asked.

An anchor looks at one place and one size. It is given the true face it overlaps most::

    IoU with that face   0 ........ negative ........ positive ........ 1
    the anchor is         negative     |    ignored      |    positive

A face that no anchor overlaps well, a very small one for example, would teach nothing; *forcing* gives it the
anchor that overlaps it most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minidet._typing import FloatArray, IntArray
from minidet.boxes._check import check_matching
from minidet.boxes.iou import iou
from minidet.errors import InputError, is_share


@dataclass(frozen=True)
class MatchThresholds:
    """From which overlap on an anchor is positive, and below which it is negative.

    There are no defaults: the figures belong together, and :data:`REFERENCE_THRESHOLDS` and
    :data:`PAPER_THRESHOLDS` are the two published sets.

    Attributes
    ----------
    positive : float
        An anchor whose IoU with its face is at least this, above 0 and at most 1, is positive.
    negative : float
        An anchor whose IoU is below this, from 0 to ``positive``, is negative; those in between are ignored.
    force_best : float or None
        The best anchor of a face is positive if their IoU is at least this, from 0 to 1; None forces nothing.

    Raises
    ------
    InputError
        If a number is out of its range.

    Examples
    --------
    >>> MatchThresholds(positive=0.5, negative=0.4, force_best=None)
    MatchThresholds(positive=0.5, negative=0.4, force_best=None)
    """

    positive: float
    negative: float
    force_best: float | None

    def __post_init__(self) -> None:
        shares = is_share(self.positive) and is_share(self.negative)
        if not (shares and self.negative <= self.positive and self.positive > 0):
            raise InputError(
                f"MatchThresholds: negative={self.negative!r}, positive={self.positive!r}; "
                "expected 0 <= negative <= positive <= 1 and positive above 0"
            )
        if self.force_best is not None and not is_share(self.force_best):
            raise InputError(f"MatchThresholds: force_best={self.force_best!r}; expected 0 to 1, or None")


PAPER_THRESHOLDS = MatchThresholds(positive=0.5, negative=0.3, force_best=None)
"""RetinaFace (Deng et al. 2019, arXiv 1905.00641), on anchor settings. Made for its dense anchors, sizes in
steps of 2**(1/3): a face of 14 to 300 pixels, up to 1.5 times as high as wide, has one above 0.6."""

REFERENCE_THRESHOLDS = MatchThresholds(positive=0.35, negative=0.35, force_best=0.2)
"""biubug6/Pytorch_Retinaface. Made for sizes a factor of two apart, where 0.5 would leave out a few per cent
of such faces (half of them at the worst sizes) and 0.35 leaves out none; forcing is for smaller ones. No
anchor is ignored."""

CASCADE_THRESHOLDS = (
    MatchThresholds(positive=0.7, negative=0.3, force_best=None),
    MatchThresholds(positive=0.5, negative=0.4, force_best=None),
)
"""RetinaFace with two heads (CVPR 2020; deepinsight/insightface has the same figures): of the anchors, and of
the boxes that the first head makes of them. Made for dense anchors; among sizes a factor of two apart many
faces have no anchor at 0.7, unless the best is forced."""


class Match(NamedTuple):
    """What every anchor is to learn.

    Attributes
    ----------
    face : (A,) integer array
        Index of the face a positive anchor is responsible for; -1 for all others.
    positive, negative : (A,) bool arrays
        Never both; an anchor that is neither is ignored.
    iou : (A,) array
        The largest IoU of the anchor with any face; 0 if there is none.
    """

    face: IntArray
    positive: NDArray[np.bool_]
    negative: NDArray[np.bool_]
    iou: FloatArray


def match_anchors(
    anchors: FloatArray, boxes: FloatArray, thresholds: MatchThresholds = REFERENCE_THRESHOLDS
) -> Match:
    r"""Decide which anchors are positive, and for which face.

    .. math::
        u_a = \max_g \mathrm{IoU}(a, g), \qquad
        \text{face}_a = \operatorname{argmax}_g \mathrm{IoU}(a, g)

    An anchor is positive if :math:`u_a \ge` ``positive``, negative if :math:`u_a <` ``negative``, else
    ignored. Then every face g has a claim on its best anchor,
    :math:`\operatorname{argmax}_a \mathrm{IoU}(a, g)`, if their IoU is at least ``force_best`` and above 0:
    that anchor becomes positive, and its face is g. Where several faces claim one anchor, the one with the
    largest IoU gets it; the others do not turn to their next best. Wherever two are equal, the first counts.

    Parameters
    ----------
    anchors : (A, 4) array, x1 y1 x2 y2, pixels
    boxes : (G, 4) array of the same type, x1 y1 x2 y2, pixels
        The true faces of one image. Without any, all anchors are negative.
    thresholds : MatchThresholds
        Compared in the type of ``anchors``.

    Returns
    -------
    Match
        The box deltas to learn are
        ``encode_boxes(boxes[match.face[match.positive]], anchors[match.positive])``.

    Raises
    ------
    InputError
        If a shape is not (any number, 4), the types differ, or an anchor or a box is not finite or has no
        area.

    Notes
    -----
    The reference code also hands the best anchor of a face *below* 0.2 over to that face. If the anchor is
    positive by its overlap with another face, it is then taught the wrong one, which may be tiny, far away,
    or even without area, and the logarithm of its size minus infinity. Here such a face has no claim. Where
    two faces claim one anchor, the reference gives it to the later of them. All else is the same.

    Faces are looked at one by one, so the memory needed does not grow with their number.

    References
    ----------
    Deng et al. 2019, arXiv 1905.00641, the paragraph on anchor settings; forcing is from SSD (Liu et al.
    2016, arXiv 1512.02325, section 2.2, matching strategy).

    Examples
    --------
    Face 0 shares 9 of 11 columns with anchor 0. Face 1 covers 25 of the 100 pixels of anchor 1, and no anchor
    does better; the published 0.35 alone would lose it.

    >>> anchors = np.array([[0.0, 0.0, 10.0, 10.0], [10.0, 0.0, 20.0, 10.0], [20.0, 0.0, 30.0, 10.0]])
    >>> boxes = np.array([[1.0, 0.0, 11.0, 10.0], [12.0, 2.0, 17.0, 7.0]])
    >>> match = match_anchors(anchors, boxes)
    >>> match.face, match.iou.round(4)
    (array([ 0,  1, -1]), array([0.8182, 0.25  , 0.    ]))
    >>> match.negative
    array([False, False,  True])
    >>> match_anchors(anchors, boxes, PAPER_THRESHOLDS).face
    array([ 0, -1, -1])
    """
    check_matching(anchors, boxes)
    A, G = len(anchors), len(boxes)
    face = np.full(A, -1, np.intp)
    best_iou = np.zeros(A, anchors.dtype)
    if A == 0 or G == 0:
        return Match(face, np.zeros(A, np.bool_), np.ones(A, np.bool_), best_iou)

    best_anchor = np.empty(G, np.intp)
    best_anchor_iou = np.empty(G, anchors.dtype)
    for g in range(G):
        overlap = iou(anchors, boxes[g : g + 1])[:, 0]  # (A,)
        larger = overlap > best_iou  # not >=: of equal faces the first stays
        face[larger] = g
        best_iou[larger] = overlap[larger]
        best_anchor[g] = overlap.argmax()
        best_anchor_iou[g] = overlap.max()
    return decide(face, best_iou, best_anchor, best_anchor_iou, thresholds)


def decide(
    face: IntArray,
    best_iou: FloatArray,
    best_anchor: IntArray,
    best_anchor_iou: FloatArray,
    thresholds: MatchThresholds,
) -> Match:
    """Apply the thresholds to the best face (A,) of every anchor and the best anchor (G,) of every face."""
    as_type = best_iou.dtype.type  # 0.35 in float32 is not 0.35 in float64
    positive = best_iou >= as_type(thresholds.positive)  # (A,)
    negative = best_iou < as_type(thresholds.negative)  # (A,)
    face[~positive] = -1

    if thresholds.force_best is not None:
        claims = (best_anchor_iou >= as_type(thresholds.force_best)) & (best_anchor_iou > 0)  # (G,)
        # The strongest claim is written last, and so stays; of equal ones that of the first face.
        for g in sorted(np.flatnonzero(claims).tolist(), key=lambda g: (best_anchor_iou[g], -g)):
            face[best_anchor[g]] = g
            positive[best_anchor[g]] = True
            negative[best_anchor[g]] = False
    return Match(face, positive, negative, best_iou)
