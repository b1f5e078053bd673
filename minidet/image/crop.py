r"""A face cut out of a picture as a square of a fixed size.

::

      box           + margin on every side      square about its centre     resized
    .------.        .------------.              .--------------.            .------.
    |      |        |  .------.  |              |              |            |      |
    |      |        |  |      |  |              |              |            |      |
    |      |        |  |      |  |              |              |            '------'
    '------'        |  '------'  |              |              |
                    '------------'              '--------------'
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from minidet._check import check_whole
from minidet._typing import Float32Array, RGBImage
from minidet.errors import InputError, is_number
from minidet.image._check import as_one_face
from minidet.image.io import ImageSource, read_image


def crop(image: ImageSource, box: ArrayLike, size: int = 160, margin: float = 0.1) -> RGBImage:
    r"""Cut out the square around a box and bring it to ``size`` x ``size`` pixels.

    The box grows by ``margin`` of its width to the left and to the right, and by ``margin`` of its height
    above and below. The square about its centre with the longer of the two sides is cut out, so a face is
    never stretched:

    .. math::
        s = (1 + 2 \, \text{margin}) \max(x_2 - x_1, \; y_2 - y_1), \qquad
        \text{left} = \frac{x_1 + x_2 - s}{2}, \qquad \text{top} = \frac{y_1 + y_2 - s}{2}

    Output pixel j covers :math:`s / \text{size}` of the image's pixels. To shrink, its value is the mean over
    what it covers, every pixel by its share; to enlarge, it is interpolated between the nearest pixels.

    Parameters
    ----------
    image : path, bytes, file object, PIL image or array
        Anything :func:`minidet.read_image` takes.
    box : (4,) array-like, x1 y1 x2 y2, pixels
        ``face.box``. It may reach outside the image.
    size : int
        Side of the result, in pixels.
    margin : float
        Share of the width and the height that is added on every side, from 0 up.

    Returns
    -------
    (size, size, 3) uint8 array
        RGB; black where the image ends.

    Raises
    ------
    InputError
        If the box is not four finite numbers with an area, ``size`` or ``margin`` is out of range, or the
        image is refused.

    Examples
    --------
    A box of two by one pixels at the left border. The square about its centre has two rows, half a row above
    the box and half a row below it:

    >>> image = np.array([[0, 0, 0], [40, 80, 0], [200, 100, 0], [0, 0, 0]], np.uint8)
    >>> crop(image, [0, 1, 2, 2], size=2, margin=0)[:, :, 0]
    array([[ 20,  40],
           [120,  90]], dtype=uint8)

    A margin of half the box doubles the square. Its upper left quarter, columns -1 and 0 of rows -0.5 to 1.5,
    has half of a 40 among four places:

    >>> crop(image, [0, 1, 2, 2], size=2, margin=0.5)[:, :, 0]
    array([[ 5, 10],
           [55, 35]], dtype=uint8)
    """
    x1, y1, x2, y2 = as_one_face("crop", "box", box, (4,), "x1 y1 x2 y2 of one face").tolist()
    if not (x2 > x1 and y2 > y1):
        raise InputError(f"crop: `box` has no area: {[x1, y1, x2, y2]}; expected x1 < x2 and y1 < y2")
    check_whole("crop", "size", size, least=1)
    if not (is_number(margin) and 0 <= margin < math.inf):
        raise InputError(f"crop: margin={margin!r}; expected a number from 0 up")
    pixels = read_image(image)

    side = (1 + 2 * float(margin)) * max(x2 - x1, y2 - y1)
    if not math.isfinite(side):
        raise InputError(f"crop: the square around {[x1, y1, x2, y2]} with margin={margin} is too large")
    top, rows = _shares((y1 + y2) / 2 - side / 2, side, size, pixels.shape[0])  # (size, h)
    left, columns = _shares((x1 + x2) / 2 - side / 2, side, size, pixels.shape[1])  # (size, w)
    seen = pixels[top : top + rows.shape[1], left : left + columns.shape[1]]  # (h, w, 3)
    shrunk = np.tensordot(rows, seen.astype(np.float32), axes=1)  # (size, w, 3)
    return np.rint(columns @ shrunk).astype(np.uint8)  # (size, size, 3)


def _shares(start: float, side: float, size: int, length: int) -> tuple[int, Float32Array]:
    r"""Return the first of the pixels that are seen, and the share (size, seen) of each in every output.

    Output j has its centre at :math:`c_j = \text{start} + (j + 0.5) \, s`, with :math:`s` the step from one
    to the next. Pixel k lies between k and k + 1. With :math:`m = \max(s, 1)`

    .. math:: w_{jk} = |[c_j - m / 2, c_j + m / 2] \cap [k, k + 1]| \, / \, m

    For s above 1 that is a mean over the area; below 1, an interval of one pixel touches two pixels and
    weighs them bilinearly. Where it touches none, nothing is added, which is black.
    """
    step = side / size
    reach = max(step, 1.0)
    lower = start + (np.arange(size) + 0.5) * step - reach / 2  # (size,)
    first = int(np.clip(np.floor(lower[0]), 0, length))
    last = int(np.clip(np.ceil(lower[-1] + reach), first, length))
    pixel = np.arange(first, last)  # (seen,)
    overlap = np.minimum(lower[:, None] + reach, pixel + 1) - np.maximum(lower[:, None], pixel)
    return first, (np.maximum(overlap, 0) / reach).astype(np.float32)
