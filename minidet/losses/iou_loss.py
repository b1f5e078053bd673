r"""IoU loss: how badly two boxes around one point overlap, each given by its distances from that point."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np

from minidet._typing import FloatArray
from minidet.errors import InputError
from minidet.losses._check import check_pair
from minidet.losses._reduction import Reduction, reduce_losses


@overload
def iou_loss(
    distances: FloatArray, targets: FloatArray, *, reduction: Literal["none"]
) -> tuple[FloatArray, FloatArray]: ...
@overload
def iou_loss(
    distances: FloatArray, targets: FloatArray, *, reduction: Literal["sum", "mean"] = "mean"
) -> tuple[float, FloatArray]: ...
def iou_loss(
    distances: FloatArray, targets: FloatArray, *, reduction: Reduction = "mean"
) -> tuple[FloatArray | float, FloatArray]:
    r"""Compare boxes by the share of their area that both cover.

    .. math:: L = -\ln \mathrm{IoU} = \ln U - \ln I, \qquad U = A + A^* - I

    with the areas :math:`A = (l + r)(t + b)` and :math:`A^*` of the two boxes and

    .. math:: I = (\min(l, l^*) + \min(r, r^*)) \, (\min(t, t^*) + \min(b, b^*))

    of what they share. A box twice as large makes the same error twice as large, and the loss is the same.

    Parameters
    ----------
    distances : (M, 4) array, float32 or float64
        From a point to the left, top, right and bottom side of the box it is in: above 0.
    targets : array of the same shape and type
        The same of the true box, from the same point and in the same unit.
    reduction : "none", "sum" or "mean"
        Over the boxes.

    Returns
    -------
    value : float, or (M,) array for "none"
    grad_distances : (M, 4) array

    Raises
    ------
    InputError
        If types or shapes disagree, a number is NaN or infinite, a distance is not above 0, a loss is too
        large for the type, or a mean is asked of no boxes.

    Notes
    -----
    Source: Yu et al. 2016 (UnitBox, arXiv 1608.01471), algorithm 1, which FCOS (Tian et al. 2019, arXiv
    1904.01355) minimises, too. Both boxes have the point inside, so they always overlap.

    The gradient: a longer :math:`l` makes the box larger by :math:`t + b`, and the shared part by its height
    :math:`h_I` as long as :math:`l < l^*`:

    .. math::
        \frac{dL}{dl} = \frac{1}{U} \frac{dU}{dl} - \frac{1}{I} \frac{dI}{dl}, \qquad
        \frac{dI}{dl} = h_I \, [l < l^*], \qquad \frac{dU}{dl} = (t + b) - \frac{dI}{dl}

    At :math:`l = l^*` there is a kink, where half of each side is taken, as by PyTorch; so where the boxes
    are equal the gradient is 0.

    Examples
    --------
    Half as far to the left, all else right: the box covers 3/4 of the true one.

    >>> losses, grad_distances = iou_loss(
    ...     np.array([[1.0, 2.0, 2.0, 2.0]]), np.array([[2.0, 2.0, 2.0, 2.0]]), reduction="none"
    ... )
    >>> np.exp(-losses)
    array([0.75])
    >>> float(round(grad_distances[0, 0], 4))  # -1/3: one unit more covers a third more
    -0.3333
    """
    _check(distances, targets)

    left, top, right, bottom = distances.T  # (M,) each
    width, height = left + right, top + bottom
    shared = np.minimum(distances, targets)  # (M, 4)
    shared_width, shared_height = shared[:, 0] + shared[:, 2], shared[:, 1] + shared[:, 3]
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):  # see reduce_losses
        intersection = shared_width * shared_height
        true_area = (targets[:, 0] + targets[:, 2]) * (targets[:, 1] + targets[:, 3])
        union = width * height + true_area - intersection
        losses = np.log(union) - np.log(intersection)  # (M,)

        longer = np.where(distances < targets, 1, np.where(distances == targets, 0.5, 0))  # (M, 4)
        grad_intersection = longer * _across(shared_width, shared_height)
        grad_union = _across(width, height) - grad_intersection
        grad_distances = grad_union / union[:, None] - grad_intersection / intersection[:, None]
    return reduce_losses(
        "iou_loss",
        losses,
        grad_distances.astype(distances.dtype),
        reduction,
        distances=distances,
        targets=targets,
    )


def _across(width: FloatArray, height: FloatArray) -> FloatArray:
    """Return what an area gains when left, top, right, bottom move out: (M, 4)."""
    return np.stack([height, width, height, width], axis=1)


def _check(distances: FloatArray, targets: FloatArray) -> None:
    check_pair("iou_loss", distances, targets, name="distances")
    if distances.ndim != 2 or distances.shape[1] != 4:
        raise InputError(f"iou_loss: `distances` has shape {distances.shape}; expected (M, 4)")
    for name, array in (("distances", distances), ("targets", targets)):
        if (array <= 0).any():
            row, side = (int(i) for i in np.argwhere(array <= 0)[0])
            raise InputError(
                f"iou_loss: `{name}` is {array[row, side]} in box {row}; expected distances above 0"
            )
