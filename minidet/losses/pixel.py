r"""RetinaFace's pixel loss: how different a drawn face is from the photograph."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_finite, check_float, check_shape
from minidet._typing import FloatArray
from minidet.errors import InputError
from minidet.losses._reduction import Reduction, reduce_losses


@overload
def pixel_l1(
    pictures: FloatArray, crops: FloatArray, covered: NDArray[np.bool_], *, reduction: Literal["none"]
) -> tuple[FloatArray, FloatArray]: ...
@overload
def pixel_l1(
    pictures: FloatArray,
    crops: FloatArray,
    covered: NDArray[np.bool_],
    *,
    reduction: Literal["sum", "mean"] = "mean",
) -> tuple[float, FloatArray]: ...
def pixel_l1(
    pictures: FloatArray, crops: FloatArray, covered: NDArray[np.bool_], *, reduction: Reduction = "mean"
) -> tuple[FloatArray | float, FloatArray]:
    r"""Compare drawn ``pictures`` with the ``crops`` of the photographs that they should look like.

    .. math:: L = \frac{1}{W H} \sum_{i,j} m_{ij} \, \lVert R_{ij} - I_{ij} \rVert_1

    The absolute errors in red, green and blue of a pixel are added. :math:`m` is 1 where a face is drawn and
    0 around it: nobody has drawn a background there that could be right or wrong. The paper's equation has no
    m, and does not say what a picture shows beside the face.

    Parameters
    ----------
    pictures : (N, H, W, 3) array, float32 or float64
        In whatever unit.
    crops : array of the same shape and type
    covered : (N, H, W) bool array
    reduction : "none", "sum" or "mean"
        Over the pictures.

    Returns
    -------
    value : float, or (N,) array for "none"
    grad_pictures : (N, H, W, 3) array

    Raises
    ------
    InputError
        If types or shapes disagree, there is no pixel, a number is NaN or infinite, a loss is too large for
        the type, or a mean is asked of no pictures.

    Notes
    -----
    Source: Deng et al. 2019, arXiv 1905.00641, eq. 3.

    The gradient: :math:`|d|` has the derivative :math:`\operatorname{sign} d`, at :math:`d = 0` taken to be 0
    as by PyTorch, and every pixel has a share of :math:`1 / (W H)`.

    A mesh that shrinks covers less and so costs less. Training does not find that way down, since the outline
    of a drawn mesh has no gradient (``minidet.mesh.rasterize``).

    Examples
    --------
    Two pixels; the first is off by 1, 0 and -3, the second is not covered:

    >>> pictures = np.array([[[[1.0, 0.0, -3.0], [9.0, 9.0, 9.0]]]])
    >>> value, grad_pictures = pixel_l1(pictures, np.zeros((1, 1, 2, 3)), np.array([[[True, False]]]))
    >>> value, grad_pictures.tolist()
    (2.0, [[[[0.5, 0.0, -0.5], [0.0, 0.0, 0.0]]]])
    """
    if pictures.ndim != 4 or pictures.shape[3] != 3 or 0 in pictures.shape[1:]:
        raise InputError(f"pixel_l1: `pictures` has shape {pictures.shape}; expected (N, H, W, 3)")
    check_float("pixel_l1", pictures=pictures, crops=crops)
    check_shape("pixel_l1", "crops", crops, pictures.shape, "that of `pictures`")
    check_shape("pixel_l1", "covered", covered, pictures.shape[:3], "one per pixel")
    if covered.dtype != np.bool_:
        raise InputError(f"pixel_l1: `covered` is {covered.dtype}; expected bool")
    check_finite("pixel_l1", "pictures", pictures, "picture", "row", "column")
    check_finite("pixel_l1", "crops", crops, "picture", "row", "column")
    _, H, W, _ = pictures.shape

    with np.errstate(over="ignore"):  # an infinite loss is reported by reduce_losses
        difference = np.where(covered[..., None], pictures - crops, pictures.dtype.type(0))
        losses = np.abs(difference).sum(axis=(1, 2, 3)) / (H * W)  # (N,)
    grad_pictures = np.sign(difference) / (H * W)
    return reduce_losses("pixel_l1", losses, grad_pictures, reduction, pictures=pictures, crops=crops)
