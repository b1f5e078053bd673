"""What every optimiser is: parameters, a learning rate, and a step that moves the one by the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_whole
from minidet._typing import FloatArray
from minidet.errors import InputError
from minidet.nn.parameter import Parameter
from minidet.training.optim._check import (
    check_at_least_zero,
    check_finite_numbers,
    check_gradient,
    check_parameters,
)


class Optimizer(ABC):
    """Moves parameters against their gradients.

    A training step is ``zero_grad``, forward, backward, ``step``. A subclass defines how one parameter moves
    (``update``) and which arrays it remembers from step to step (``buffers``).

    All parameters are treated alike; where some shall have another learning rate or no weight decay, make
    two optimisers, each with its share of the parameters.

    Parameters
    ----------
    parameters : dict of Parameter by name
        ``module.parameters()``, or some of them.
    lr : float
        Learning rate, at least 0.

    Attributes
    ----------
    parameters : dict of Parameter by name
    lr : float
        May be set at any time, for instance ``optimizer.lr = schedule(optimizer.steps)`` before every step.
    steps : int
        How many steps were taken.

    Raises
    ------
    InputError
        If there are no parameters, one has two names, or ``lr`` is negative or not finite.
    """

    def __init__(self, parameters: Mapping[str, Parameter], *, lr: float) -> None:
        if not parameters:
            raise InputError(
                f"{self._name}: `parameters` is empty; expected module.parameters() or some of it"
            )
        check_parameters(self._name, parameters)
        self.parameters = dict(parameters)
        self.lr = lr
        self.steps = 0

    @property
    def lr(self) -> float:
        """Learning rate of the next step."""
        return self._lr

    @lr.setter
    def lr(self, lr: float) -> None:
        check_at_least_zero(self._name, "lr", lr)
        self._lr = float(lr)  # a NumPy float64 would turn float32 weights into float64

    def zero_grad(self) -> None:
        """Forget every gradient, so that the next backward pass does not add to it."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def step(self) -> None:
        """Move every parameter once.

        A parameter gets a new array, in its own float type; whoever holds the old one keeps the old values.

        Raises
        ------
        InputError
            If a gradient is missing, not finite, not like its parameter, or so large that the step overflows;
            then nothing is changed.
        """
        gradients = {name: self._gradient(name, parameter) for name, parameter in self.parameters.items()}
        before = {kind: dict(arrays) for kind, arrays in self.buffers().items()}
        self.steps += 1
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # reported by the checks that follow
                moved = {
                    name: self.update(name, parameter.data, gradients[name])
                    for name, parameter in self.parameters.items()
                }
            for name, data in moved.items():
                check_finite_numbers(self._name, f"the new `{name}`", data)
            for kind, arrays in self.buffers().items():
                for name, array in arrays.items():
                    check_finite_numbers(self._name, f"the {kind} of `{name}`", array)
        except InputError:
            self.steps -= 1
            for kind, arrays in self.buffers().items():
                arrays.update(before[kind])
            raise
        for name, parameter in self.parameters.items():
            parameter.data = moved[name]

    @abstractmethod
    def update(self, name: str, data: FloatArray, grad: FloatArray) -> FloatArray:
        """Compute the new values of the parameter ``name``; ``steps`` counts this step already.

        Parameters
        ----------
        name : str
            Of the parameter.
        data : array of any shape
            Its values.
        grad : array of the same shape
            Gradient of the loss with respect to it.

        Returns
        -------
        array of the same shape
        """

    @abstractmethod
    def buffers(self) -> dict[str, dict[str, FloatArray]]:
        """List what is remembered from step to step: by kind, then by name of the parameter.

        Returns
        -------
        dict of kind to dict of name to array
        """

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Return copies of all that changes from step to step, by name, ready for ``np.savez``.

        With it and the module's ``state_dict`` a run goes on bit for bit as if it had not been interrupted.
        It holds "lr", "steps" and the buffers ("velocity.conv1.weight"). The other hyper-parameters are not
        part of it: they are arguments of the constructor, to be given again.

        Returns
        -------
        dict of name to array
        """
        state: dict[str, NDArray[Any]] = {"lr": np.array(self.lr), "steps": np.array(self.steps, np.int64)}
        for kind, arrays in self.buffers().items():
            for name, array in arrays.items():
                state[f"{kind}.{name}"] = array.copy()
        return state

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Copy ``state`` into the optimiser; the parameters themselves are the module's to load.

        Parameters
        ----------
        state : mapping of name to array
            As :meth:`state_dict` returns it.

        Raises
        ------
        InputError
            If names are missing, unexpected or mis-shaped, as from another kind of optimiser or another
            network, or a value is impossible; then nothing is changed.
        """
        own = self.state_dict()
        given = {name: np.asarray(state[name]) for name in state}
        problems = [
            *(f"missing {name}" for name in own if name not in given),
            *(f"unexpected {name}" for name in given if name not in own),
            *(
                f"{name} is {given[name].shape}, expected {array.shape}"
                for name, array in own.items()
                if name in given and given[name].shape != array.shape
            ),
        ]
        if problems:
            more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
            raise InputError(f"optimiser state does not fit {self._name}: {problems[0]}{more}")

        # All checked and converted (and copied) before the first is set, so that a failure changes nothing.
        lr, steps = given.pop("lr").item(), given.pop("steps").item()
        check_whole(f"{self._name} state", "steps", steps, least=0)
        arrays = {name: array.astype(own[name].dtype) for name, array in given.items()}
        for name, array in arrays.items():
            check_finite_numbers(f"{self._name} state", f"`{name}`", array)
        self.lr = lr  # refuses what is impossible
        self.steps = steps
        for kind, buffers in self.buffers().items():
            for name in buffers:
                buffers[name] = arrays[f"{kind}.{name}"]

    def zeros(self) -> dict[str, FloatArray]:
        """Make one kind of buffer: zeros like every parameter.

        Returns
        -------
        dict of name to array
        """
        return {name: np.zeros_like(parameter.data) for name, parameter in self.parameters.items()}

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _gradient(self, name: str, parameter: Parameter) -> FloatArray:
        if parameter.grad is None:
            raise InputError(
                f"{self._name}: `{name}` has no gradient; "
                "call backward before step, or leave it out of the parameters"
            )
        check_gradient(self._name, name, parameter.data, parameter.grad)
        for kind, arrays in self.buffers().items():
            buffer, data = arrays[name], parameter.data
            if buffer.shape != data.shape or buffer.dtype != data.dtype:
                raise InputError(
                    f"{self._name}: `{name}` is {data.dtype} {data.shape}, its {kind} {buffer.dtype} "
                    f"{buffer.shape}; make the optimiser after the module has its final type and shapes"
                )
        return parameter.grad
