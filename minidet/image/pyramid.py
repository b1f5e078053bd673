r"""The image pyramid: one network that knows faces of 12 pixels sees an image at many sizes.

::

    scale  0.6      ┌────────────┐
           0.43     ┌────────┐
           0.30     ┌─────┐        each level smaller by the pyramid factor,
           ...      ┌──┐           until the shorter side is under 12 pixels
"""

from __future__ import annotations

CELL_SIZE = 12
"""Side of P-Net's window, in pixels."""


def pyramid_scales(height: int, width: int, *, min_face_size: float, pyramid_factor: float) -> list[float]:
    r"""List the scales at which P-Net looks at an image.

    .. math:: s_k = \frac{12}{m} f^k \quad \text{while} \quad \min(H, W) \, s_k \ge 12

    At the first scale a face of ``min_face_size`` :math:`m` pixels fills P-Net's window of 12.

    Parameters
    ----------
    height, width : int
        Of the image, in pixels.
    min_face_size : float
        Side of the smallest face to look for, in pixels of the image.
    pyramid_factor : float
        Between neighbouring scales, above 0 and below 1.

    Returns
    -------
    list of float
        Largest first; empty if the image is smaller than ``min_face_size``.

    Examples
    --------
    >>> pyramid_scales(50, 80, min_face_size=20, pyramid_factor=0.5)
    [0.6, 0.3]
    """
    scales = []
    scale = CELL_SIZE / min_face_size
    shorter_side = min(height, width) * scale
    while shorter_side >= CELL_SIZE:
        scales.append(scale)
        scale *= pyramid_factor
        shorter_side *= pyramid_factor
    return scales


# Compat: facenet-pytorch; the authors round up instead. docs/compat.md "Level size".
def level_size(height: int, width: int, scale: float) -> tuple[int, int]:
    """Return rows and columns of the pyramid level of ``scale``.

    Parameters
    ----------
    height, width : int
        Of the image, pixels.
    scale : float
        Pixels of the level to one of the image, as :func:`pyramid_scales` returns it.

    Returns
    -------
    height, width : int
        Of the level, pixels.

    Examples
    --------
    One pixel larger than the authors' ceil where the product is whole:

    >>> level_size(100, 75, 0.5)
    (51, 38)
    """
    return int(height * scale + 1), int(width * scale + 1)
