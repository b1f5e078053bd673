r"""The mesh decoder: from a code to a coloured mesh, by convolutions on the graph of its vertices.

::

    code ── linear ──▶ C numbers at each vertex ── graph convolutions ──▶ (+ mean) ──▶ x y z, red green blue

Source: Deng et al. 2019 (RetinaFace, arXiv 1905.00641), section 3.2. The decoder of the paper starts from a
coarse mesh and adds vertices on the way; a face of some hundred vertices needs no coarser one.
"""

from __future__ import annotations

import numpy as np

from minidet._check import check_ndim, check_shape, check_whole
from minidet._typing import FloatArray
from minidet.mesh import Topology, chebyshev_backward, chebyshev_forward
from minidet.nn import Buffer, Layer, LeakyReLU, Linear, Module, Parameter


class ChebyshevConv(Layer):
    """A graph convolution: (N, V, in_channels) to (N, V, out_channels). Starts at zero, to be initialised.

    Parameters
    ----------
    in_channels, out_channels : int
    order : int
        K: a vertex sees as far as K - 1 edges.
    topology : Topology
    """

    def __init__(self, in_channels: int, out_channels: int, order: int, topology: Topology) -> None:
        self.laplacian = topology.laplacian
        self.weight = Parameter(np.zeros((order, out_channels, in_channels), np.float32))
        self.bias = Parameter(np.zeros(out_channels, np.float32))

    def forward(self, x: FloatArray) -> FloatArray:
        """Convolve the values at the vertices."""
        self.keep_for_backward(x)
        return chebyshev_forward(x, self.weight.data, self.bias.data, self.laplacian)

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`."""
        x = self.kept()
        grad_x, grad_weight, grad_bias = chebyshev_backward(grad_output, x, self.weight.data, self.laplacian)
        self.weight.accumulate(grad_weight)
        self.bias.accumulate(grad_bias)
        return grad_x


class MeshDecoder(Module):
    """A code in, a coloured mesh out; shape and colours by one network, as in the paper.

    Parameters
    ----------
    topology : Topology
    code_size : int
        The paper has 128.
    channels : int
        Numbers at each vertex on the way. 16 are as many as the drawn faces have degrees of freedom.
    order : int
        K of the graph convolutions. With 3, both together see four edges far, about half an eye.

    Attributes
    ----------
    mean : Buffer, (V, 6)
        What is added to the last layer, so that it learns differences only: x y z, then red, green, blue.
        Zero at first, to be set to the mean of the meshes.
    """

    def __init__(self, topology: Topology, code_size: int, *, channels: int = 16, order: int = 3) -> None:
        check_whole("MeshDecoder", "code_size", code_size, least=1)
        check_whole("MeshDecoder", "channels", channels, least=1)
        check_whole("MeshDecoder", "order", order, least=1)
        self.vertex_count, self.code_size = topology.vertex_count, code_size
        self.spread = Linear(code_size, topology.vertex_count * channels)
        self.first = ChebyshevConv(channels, channels, order, topology)
        self.activation = LeakyReLU(0.1)
        self.last = ChebyshevConv(channels, 6, order, topology)
        self.mean = Buffer(np.zeros((topology.vertex_count, 6), np.float32))

    def forward(self, code: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Make a mesh of each code.

        Parameters
        ----------
        code : (N, code_size) array

        Returns
        -------
        vertices : (N, V, 3) array
            Head coordinates.
        colours : (N, V, 3) array
            Red, green, blue, about 0 to 1.

        Raises
        ------
        InputError
            If the code has another shape.
        """
        check_ndim("MeshDecoder", "code", code, 2, "N, code_size")
        check_shape("MeshDecoder", "code", code, (len(code), self.code_size), "the size of a code")
        x = self.spread.forward(code).reshape(len(code), self.vertex_count, -1)  # (N, V, channels)
        x = self.activation.forward(self.first.forward(x))
        mesh = self.last.forward(x) + self.mean.data  # (N, V, 6)
        return mesh[..., :3].copy(), mesh[..., 3:].copy()

    def backward(self, grad_vertices: FloatArray, grad_colours: FloatArray) -> FloatArray:
        """Go back through :meth:`forward`, line by line.

        Parameters
        ----------
        grad_vertices, grad_colours : (N, V, 3) arrays

        Returns
        -------
        grad_code : (N, code_size) array
        """
        grad_mesh = np.append(grad_vertices, grad_colours, axis=2)  # (N, V, 6)
        grad_x = self.last.backward(grad_mesh)
        grad_x = self.first.backward(self.activation.backward(grad_x))
        return self.spread.backward(grad_x.reshape(len(grad_x), -1))
