r"""Hard sample mining: learn from the mistakes, not from what is already known.

Nearly all of an image is background, and nearly all of that is easy. A sum over everything would be a sum
over easy background; so only the samples or anchors that cost most are kept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_finite, check_float, check_ndim, check_shape, check_whole
from minidet._typing import FloatArray, IntArray
from minidet.errors import InputError, is_share


def keep_hardest(losses: FloatArray, share: float = 0.7) -> NDArray[np.bool_]:
    r"""Mark the ``share`` of a minibatch that is classified worst: MTCNN's online hard sample mining.

    The :math:`\lfloor \text{share} \cdot M \rfloor` largest losses are kept, at least one.

    Only the classification loss is mined, and only the classification gradient of the others is set to zero.
    Box and landmark losses are never mined: every sample that has a box or landmarks keeps theirs.

    Parameters
    ----------
    losses : (M,) array
        Classification loss of each sample that has a class: positives and negatives, not part faces.
    share : float
        From 0 to 1.

    Returns
    -------
    kept : (M,) bool array
        Of equal losses the earlier one is kept first.

    Raises
    ------
    InputError
        If the shape is not (M,), a loss is not finite, or ``share`` is not from 0 to 1.

    References
    ----------
    Zhang et al. 2016, arXiv 1604.02878, section II, online hard sample mining: the top 70 %.

    Examples
    --------
    Two thirds of four losses are 2.67, so the two largest:

    >>> keep_hardest(np.array([0.1, 2.0, 0.3, 0.3]), share=2 / 3)
    array([False,  True,  True, False])
    """
    check_ndim("keep_hardest", "losses", losses, 1, "M,")
    check_float("keep_hardest", losses=losses)
    check_finite("keep_hardest", "losses", losses, "sample")
    if not is_share(share):
        raise InputError(f"keep_hardest: share={share!r}; expected 0 to 1")
    M = len(losses)
    # 0.7 times 90 is 62.99999999999999 in floating point; it must not become 62.
    count = max(1, int(share * M + 1e-9))
    kept = np.zeros(M, np.bool_)
    kept[_largest_first(losses)[:count]] = True
    return kept


def mine_negatives(
    losses: FloatArray,
    positive: NDArray[np.bool_],
    negative: NDArray[np.bool_],
    *,
    ratio: int = 3,
    at_least: int = 0,
) -> NDArray[np.bool_]:
    r"""Mark the hardest negative anchors of each image, so many per positive one.

    .. math::
        \text{kept}_n =
        \min(\max(\text{ratio} \cdot \text{positives}_n, \text{at\_least}), \text{negatives}_n)

    Ignored anchors, those neither positive nor negative, are never kept. Box and landmark losses are not
    mined: all positive anchors keep theirs.

    Parameters
    ----------
    losses : (N, A) array
        Classification loss of each anchor; those of positive and ignored anchors are not used.
    positive, negative : (N, A) bool arrays
        As in :class:`minidet.boxes.Match`, one row per image; never both.
    ratio : int
        Negatives per positive, from 0 up: 3 in the RetinaFace paper, 7 in biubug6's reference code.
    at_least : int
        Negatives kept however few positives there are, from 0 up. With 0, as in the reference, an image
        without positives keeps nothing and so teaches nothing, however wrong its scores. Set it where the
        data have photographs without faces on purpose, to teach what is not a face.

    Returns
    -------
    kept : (N, A) bool array
        Of equal losses the earlier anchor is kept first.

    Raises
    ------
    InputError
        If shapes or types do not fit, a loss is not finite, an anchor is positive and negative, or an option
        is not a whole number from 0 up.

    References
    ----------
    Deng et al. 2019, arXiv 1905.00641, the paragraph on anchor settings; Liu et al. 2016 (SSD), arXiv
    1512.02325, section 2.2, hard negative mining.

    Examples
    --------
    One positive (loss 9), one ignored (8), three negatives, of which two are to be kept:

    >>> losses = np.array([[9.0, 8.0, 0.5, 0.7, 0.6]])
    >>> positive = np.array([[True, False, False, False, False]])
    >>> negative = np.array([[False, False, True, True, True]])
    >>> mine_negatives(losses, positive, negative, ratio=2)
    array([[False, False, False,  True,  True]])
    """
    check_ndim("mine_negatives", "losses", losses, 2, "N, A")
    check_float("mine_negatives", losses=losses)
    for name, mask in (("positive", positive), ("negative", negative)):
        check_shape("mine_negatives", name, mask, losses.shape, "that of `losses`")
        if mask.dtype != np.bool_:
            raise InputError(f"mine_negatives: `{name}` is {mask.dtype}; expected bool")
    both = positive & negative
    if both.any():
        n, a = np.argwhere(both)[0]
        raise InputError(
            f"mine_negatives: `positive` and `negative` are both true in image {n}, anchor {a}; "
            "expected one at most"
        )
    check_finite("mine_negatives", "losses", losses, "image", "anchor")
    check_whole("mine_negatives", "ratio", ratio, least=0)
    check_whole("mine_negatives", "at_least", at_least, least=0)

    kept = np.zeros(losses.shape, np.bool_)
    for n in range(len(losses)):
        negatives = np.flatnonzero(negative[n])  # (negatives of this image,)
        count = max(ratio * int(np.count_nonzero(positive[n])), at_least)
        hardest_first = negatives[_largest_first(losses[n, negatives])]
        kept[n, hardest_first[:count]] = True
    return kept


def _largest_first(losses: FloatArray) -> IntArray:
    """Return the indices that sort ``losses`` downwards; of equal ones the earlier comes first."""
    return np.argsort(-losses, kind="stable")
