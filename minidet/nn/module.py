"""What every layer and network is: named arrays, parts, a forward pass and a backward pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from minidet._check import FLOAT_TYPES
from minidet._typing import FloatArray
from minidet.errors import InputError
from minidet.nn.parameter import Buffer, Parameter


class Module:
    """A layer or a network.

    A subclass sets its parameters, buffers and parts as plain attributes and defines ``forward`` and
    ``backward``. The name of an array in ``state_dict`` is the path of attributes to it,
    ``"backbone.stage1.conv.weight"``, as in PyTorch.

    ``backward`` takes the gradient of the loss with respect to each output of the last ``forward``, adds to
    ``grad`` of every parameter, and returns the gradient with respect to the input. What it needs to know of
    the forward pass is kept in training mode only, and used up: one ``backward`` for one ``forward``. A
    second ``forward`` takes the place of the first. After an error on the way back, clear the gradients and
    begin with ``forward`` again.

    Attributes
    ----------
    training : bool
        Whether the next ``forward`` is a training step. A new module starts in training mode.
    """

    training: bool = True
    _kept: Any = None

    def parts(self) -> Iterator[tuple[str, Module]]:
        """List the modules this one is directly made of by attribute name, in order of definition."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def state(self, prefix: str = "") -> Iterator[tuple[str, Parameter | Buffer]]:
        """List every parameter and buffer, own ones first, with its dotted name.

        Parameters
        ----------
        prefix : str
            Put before every name.
        """
        for name, value in vars(self).items():
            if isinstance(value, Parameter | Buffer):
                yield prefix + name, value
        for name, part in self.parts():
            yield from part.state(f"{prefix}{name}.")

    def parameters(self) -> dict[str, Parameter]:
        """Return the learnt arrays by dotted name."""
        return {name: value for name, value in self.state() if isinstance(value, Parameter)}

    def state_dict(self) -> dict[str, FloatArray]:
        """Return a copy of every array of the state by dotted name.

        Returns
        -------
        dict of name to array
        """
        return {name: value.data.copy() for name, value in self.state()}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Copy ``state`` into the module, in the module's own float type.

        Parameters
        ----------
        state : mapping of name to array
            As :meth:`state_dict` returns it.

        Raises
        ------
        InputError
            If names are missing, unexpected or mis-shaped; then nothing is changed.
        """
        own = dict(self.state())
        missing = [name for name in own if name not in state]
        unexpected = [name for name in state if name not in own]
        misshaped = [
            f"{name} is {state[name].shape}, expected {value.data.shape}"
            for name, value in own.items()
            if name in state and state[name].shape != value.data.shape
        ]
        complaints = [
            f"{kind} {_some(names)}"
            for kind, names in [("missing", missing), ("unexpected", unexpected), ("mis-shaped", misshaped)]
            if names
        ]
        if complaints:
            raise InputError(f"weights do not fit {type(self).__name__}: {'; '.join(complaints)}")
        # All converted (and copied) before the first is set, so that a failure changes nothing.
        arrays = {name: state[name].astype(value.data.dtype) for name, value in own.items()}
        for name, value in own.items():
            value.data = arrays[name]

    def astype(self, dtype: DTypeLike) -> Self:
        """Convert every array of the state to ``dtype``, float32 or float64, and return the module.

        Gradients, which are of the old type, are cleared.

        Parameters
        ----------
        dtype : float32 or float64

        Returns
        -------
        Module
            Itself.

        Raises
        ------
        InputError
            If ``dtype`` is another type.
        """
        if np.dtype(dtype) not in FLOAT_TYPES:
            raise InputError(f"astype: dtype={np.dtype(dtype)}; expected float32 or float64")
        for _, value in self.state():
            value.data = value.data.astype(dtype)
        self.zero_grad()
        return self

    def zero_grad(self) -> None:
        """Clear the gradients of all parameters."""
        for parameter in self.parameters().values():
            parameter.grad = None

    def train(self) -> Self:
        """Switch the module and its parts to training mode, and return the module."""
        return self._set_training(True)

    def eval(self) -> Self:
        """Switch the module and its parts to inference, and return the module."""
        return self._set_training(False)

    def _set_training(self, training: bool) -> Self:
        self.training = training
        self._kept = None
        for _, part in self.parts():
            part._set_training(training)
        return self

    def keep_for_backward(self, value: Any) -> None:
        """Remember ``value`` until ``backward``; called by ``forward``. In inference nothing is kept.

        Parameters
        ----------
        value : anything
            What :meth:`kept` will return.
        """
        if self.training:
            self._kept = value

    def kept(self) -> Any:
        """Hand over, once, what ``forward`` has kept; called by ``backward``.

        Raises
        ------
        InputError
            If there is nothing.
        """
        if self._kept is None:
            raise InputError(
                f"{type(self).__name__}: no forward pass to go back through; "
                "call forward in training mode first, once for every backward"
            )
        value, self._kept = self._kept, None
        return value

    def parameter_count(self) -> int:
        """Count the learnt numbers."""
        return sum(parameter.data.size for parameter in self.parameters().values())


class Layer(Module, ABC):
    """A module with one tensor in and one tensor out."""

    @abstractmethod
    def forward(self, x: FloatArray) -> FloatArray:
        """Compute the output.

        Parameters
        ----------
        x : (N, C, ...) array, float32 or float64
            The shape that the layer's own docstring asks for.

        Returns
        -------
        y : (N, ...) array of the same type
        """

    @abstractmethod
    def backward(self, grad_output: FloatArray) -> FloatArray:
        """Add to the gradients of the parameters, and return the gradient with respect to ``x``.

        Parameters
        ----------
        grad_output : (N, ...) array, of the shape of ``y``
            Gradient of the loss with respect to the output.

        Returns
        -------
        grad_x : (N, C, ...) array, of the shape of ``x``
        """


def _some(names: list[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
