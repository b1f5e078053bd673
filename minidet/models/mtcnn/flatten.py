"""The order in which R-Net and O-Net read a feature map into a vector, there and back."""

from __future__ import annotations

import numpy as np

from minidet._typing import FloatArray


# Compat: the order of the released weights, docs/compat.md "Flatten order".
def flatten_columns_first(x: FloatArray) -> FloatArray:
    """Flatten (N, C, H, W) to (N, W * H * C), column by column, all channels of a pixel together.

    The authors trained on width-first images, so the first fully connected layer of the released weights
    expects x slowest, then y, then the channel.

    Examples
    --------
    One channel, two rows, three columns:

    >>> flatten_columns_first(np.array([[[[1, 2, 3], [4, 5, 6]]]])).tolist()
    [[1, 4, 2, 5, 3, 6]]
    """
    N, C, H, W = x.shape
    return np.ascontiguousarray(x.transpose(0, 3, 2, 1)).reshape(N, W * H * C)


def unflatten_columns_first(grad_output: FloatArray, map_shape: tuple[int, int, int]) -> FloatArray:
    """Put a gradient (N, W * H * C) back where :func:`flatten_columns_first` took the values from.

    Parameters
    ----------
    grad_output : (N, W * H * C) array
    map_shape : (C, H, W)

    Returns
    -------
    grad_x : (N, C, H, W) array

    Examples
    --------
    >>> unflatten_columns_first(np.array([[1, 4, 2, 5, 3, 6]]), (1, 2, 3)).tolist()
    [[[[1, 2, 3], [4, 5, 6]]]]
    """
    C, H, W = map_shape
    return np.ascontiguousarray(grad_output.reshape(-1, W, H, C).transpose(0, 3, 2, 1))
