"""The two kinds of array a layer owns."""

from __future__ import annotations

from minidet._typing import FloatArray


class Parameter:
    """An array that is learnt.

    Attributes
    ----------
    data : array
        The values.
    """

    def __init__(self, data: FloatArray) -> None:
        self.data = data

    def __repr__(self) -> str:
        return f"Parameter{self.data.shape}"


class Buffer:
    """An array that belongs to a layer's state but is not learnt, such as a running mean.

    Attributes
    ----------
    data : array
        The values.
    """

    def __init__(self, data: FloatArray) -> None:
        self.data = data

    def __repr__(self) -> str:
        return f"Buffer{self.data.shape}"
