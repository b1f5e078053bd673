r"""Alignment: a face turned, scaled and moved so that its five points lie where a recogniser wants them.

::

    photograph                        crop of 112 pixels
        o .                              .-----------.
        .    o      turn, scale, move    |  o     o  |
         .  v         ---------->        |     v     |
          -..-                           |   `---'   |
                                         '-----------'
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from minidet._check import check_whole
from minidet._typing import Float64Array, RGBImage
from minidet.errors import InputError
from minidet.image._check import as_one_face, as_points
from minidet.image.io import ImageSource, read_image
from minidet.image.warp import warp

ARCFACE_TEMPLATE = np.array(
    [
        [38.2946, 51.6963],  # left eye
        [73.5318, 51.5014],  # right eye
        [56.0252, 71.7366],  # nose
        [41.5493, 92.3655],  # left mouth corner
        [70.7299, 92.2041],  # right mouth corner
    ]
)
"""Where the points of a face lie in a crop of 112 x 112 pixels, x and y; whole numbers are pixel centres.
Read-only."""
ARCFACE_TEMPLATE.flags.writeable = False


def align(image: ImageSource, landmarks: ArrayLike, size: int = 112) -> RGBImage:
    r"""Cut out a face so that its landmarks lie on the template of ArcFace.

    :func:`similarity_transform` finds the turn, the scale and the shift that bring the five points closest to
    :func:`arcface_template`. Every pixel of the result looks back through it into the image and interpolates
    between the four nearest pixels:

    .. math::
        \begin{pmatrix} x \\ y \end{pmatrix} =
        A^{-1} \left[ \begin{pmatrix} u \\ v \end{pmatrix} - t \right], \qquad
        \text{crop}_{vu} = \sum_{i,k} \max(0, 1 - |y - i|) \, \max(0, 1 - |x - k|) \, \text{image}_{ik}

    Parameters
    ----------
    image : path, bytes, file object, PIL image or array
        Anything :func:`minidet.read_image` takes.
    landmarks : (5, 2) array-like, pixels
        ``face.landmarks``: left eye, right eye, nose, left and right mouth corner, as seen in the image. They
        may lie outside it.
    size : int
        Side of the result, in pixels.

    Returns
    -------
    (size, size, 3) uint8 array
        RGB; black where the image ends.

    Raises
    ------
    InputError
        If the landmarks are not five different finite points, ``size`` is below 1, or the image is refused.

    Notes
    -----
    Pixel centres are whole numbers here, for the landmarks as for the template, although a detector's
    coordinates count from the corner of the first pixel. The recognition networks this crop is made for were
    trained on crops of just these numbers put through OpenCV's ``warpAffine``; ``docs/compat.md``
    "Alignment" says what the difference is.

    Nothing is averaged. A face much larger than the result is sampled at single places, as there.

    References
    ----------
    Deng et al. 2019, ArcFace, arXiv 1801.07698, on face crops from five points; the numbers of the template
    are those of the authors' code.

    Examples
    --------
    A face whose points lie on the template already is the image itself:

    >>> image = np.arange(112 * 112, dtype=np.int64).reshape(112, 112).astype(np.uint8)
    >>> bool((align(image, ARCFACE_TEMPLATE)[:, :, 0] == image).all())
    True

    Ten pixels to the right of it, the crop begins ten pixels further to the right too:

    >>> image[0, 10:13], align(image, ARCFACE_TEMPLATE + [10, 0])[0, :3, 0]
    (array([10, 11, 12], dtype=uint8), array([10, 11, 12], dtype=uint8))
    """
    points = as_one_face("align", "landmarks", landmarks, (5, 2), "the points of one face")
    check_whole("align", "size", size, least=1)
    if (points == points[0]).all():
        raise InputError(f"align: all of `landmarks` are one point, {points[0].tolist()}; expected five")
    pixels = read_image(image)
    matrix = similarity_transform(points, arcface_template(size))
    if np.ptp(points @ matrix[:, :2].T, axis=0).max() < 1e-6 * size:  # the best fit gathers them in one place
        raise InputError(f"align: no turn makes a face of `landmarks`: {points.tolist()}")

    back = np.linalg.inv(matrix[:, :2])  # (2, 2)
    return warp(pixels, back, -back @ matrix[:, 2], size)


# Compat: the sizes of insightface's code; docs/compat.md "Alignment".
def arcface_template(size: int) -> Float64Array:
    """Return where the five points lie in a crop of ``size`` pixels, (5, 2).

    The template times size / 112. For multiples of 128 that are none of 112 it keeps its own size in a wider
    frame instead: times size / 128, and 8 pixels of every 128 to the right.

    Examples
    --------
    The left eye:

    >>> arcface_template(112)[0], arcface_template(224)[0], arcface_template(128)[0]
    (array([38.2946, 51.6963]), array([ 76.5892, 103.3926]), array([46.2946, 51.6963]))
    """
    if size % 128 == 0 and size % 112 != 0:
        return (ARCFACE_TEMPLATE + np.array([8, 0])) * (size / 128)
    return ARCFACE_TEMPLATE * (size / 112)


def similarity_transform(source: ArrayLike, target: ArrayLike) -> Float64Array:
    r"""Find the turn, scale and shift that bring points closest to others, in the sense of least squares.

    Points are complex numbers, :math:`z = x + iy`. Multiplying by :math:`a` turns by its angle and scales by
    its length, adding :math:`b` shifts, and nothing mirrors:

    .. math::
        \min_{a, b} \sum_k |a z_k + b - w_k|^2: \qquad
        a = \frac{\sum_k \overline{(z_k - \bar z)} (w_k - \bar w)}{\sum_k |z_k - \bar z|^2}, \qquad
        b = \bar w - a \bar z

    Parameters
    ----------
    source : (P, 2) array-like
        x and y of at least two different points.
    target : (P, 2) array-like
        Where each of them should go.

    Returns
    -------
    (2, 3) float64 array
        :math:`\begin{pmatrix} \Re a & -\Im a & \Re b \\ \Im a & \Re a & \Im b \end{pmatrix}`, which takes
        (x, y, 1) to the new (x, y).

    Raises
    ------
    InputError
        If the shapes are not (P, 2) and equal, a number is not finite, or the source is a single point.

    Notes
    -----
    In the plane this is the solution of Umeyama (1991, IEEE PAMI 13(4), equations 40 to 42): there a
    singular value decomposition finds the rotation, and a sign keeps it from mirroring. Where the target is a
    mirror image, the best that is left may be a small scale.

    Examples
    --------
    A quarter turn, twice the size, and 5 to the right: (1, 0) goes to (5, 2).

    >>> similarity_transform([[0, 0], [1, 0], [0, 1]], [[5, 0], [5, 2], [3, 0]]).round(9) + 0.0
    array([[ 0., -2.,  5.],
           [ 2.,  0.,  0.]])
    """
    z = as_points("similarity_transform", "source", source) @ [1, 1j]  # (P,)
    w = as_points("similarity_transform", "target", target) @ [1, 1j]
    if len(z) != len(w):
        raise InputError(f"similarity_transform: {len(z)} points in `source`, {len(w)} in `target`")
    if len(z) < 2 or (z == z[0]).all():
        raise InputError("similarity_transform: `source` is a single point; expected two that differ")
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        from_mean, to_mean = z - z.mean(), w - w.mean()
        # a = sum conj(z - mean z) (w - mean w) / sum |z - mean z|^2
        a = np.vdot(from_mean, to_mean) / np.vdot(from_mean, from_mean).real
        b = w.mean() - a * z.mean()
    matrix = np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])
    if not np.isfinite(matrix).all():
        raise InputError("similarity_transform: the points are too large or too close together for float64")
    return matrix
