"""A chain of layers."""

from __future__ import annotations

from collections.abc import Iterator

from minidet._typing import FloatArray
from minidet.nn.module import Layer, Module


class Sequential(Layer):
    """Layers applied one after the other; layer i is named by its number, as in PyTorch.

    Parameters
    ----------
    layers : Layer
    """

    def __init__(self, *layers: Layer) -> None:
        self.layers = layers

    def parts(self) -> Iterator[tuple[str, Module]]:
        """List the layers under the names "0", "1", ..."""
        for i, layer in enumerate(self.layers):
            yield str(i), layer

    def forward(self, x: FloatArray) -> FloatArray:
        """Apply every layer in turn."""
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through every layer, the last one first."""
        for layer in reversed(self.layers):
            grad_output = layer.backward(grad_output)
        return grad_output
