"""From a network of layers to one compiled plan."""

from __future__ import annotations

from typing import Any

from numba.core import config

from minidet.errors import InputError
from minidet.fast.plans.onet import CompiledONet
from minidet.fast.plans.pnet import CompiledPNet
from minidet.fast.plans.retinaface import CompiledRetinaFace
from minidet.fast.plans.rnet import CompiledRNet
from minidet.models.mtcnn import ONet, PNet, RNet
from minidet.models.retinaface import RetinaFaceNet
from minidet.nn import Module


def compile(model: Module) -> Any:
    """Return a callable with the signature of ``model.predict`` that computes the same, faster.

    Batch norms are folded into their convolutions, the weights are packed for the vector registers of this
    processor, and neighbouring layers are fused. What ``model.predict`` returns is met within 1e-4 of the
    largest value. Threads may share the callable.

    Parameters
    ----------
    model : PNet, RNet, ONet or RetinaFaceNet
        With the weights of this moment: changing them later does not change what was compiled.

    Returns
    -------
    callable

    Raises
    ------
    InputError
        If the network is of another class, or there is no compiler: ``NUMBA_DISABLE_JIT=1``.

    Examples
    --------
    >>> import numpy as np
    >>> from minidet.models.retinaface import RetinaFaceNet
    >>> network = compile(RetinaFaceNet())
    >>> [output.shape for output in network(np.zeros((1, 3, 32, 32), np.float32))]
    [(1, 42, 4), (1, 42, 2), (1, 42, 10)]
    """
    if not is_available():
        raise InputError("fast.compile: Numba's compiler is switched off by NUMBA_DISABLE_JIT")
    for kind, compiled in _COMPILED.items():
        if isinstance(model, kind):
            return compiled(model)
    names = ", ".join(kind.__name__ for kind in _COMPILED)
    raise InputError(f"fast.compile: model is a {type(model).__name__}; expected one of {names}")


def is_available() -> bool:
    """Tell whether there is machine code at all: with ``NUMBA_DISABLE_JIT=1`` Numba makes none.

    Returns
    -------
    bool
    """
    return not config.DISABLE_JIT  # type: ignore[attr-defined]


_COMPILED: dict[type[Module], Any] = {
    PNet: CompiledPNet,
    RNet: CompiledRNet,
    ONet: CompiledONet,
    RetinaFaceNet: CompiledRetinaFace,
}
