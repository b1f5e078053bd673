"""Batch norms learn anew what arrives at them, while the network goes on computing the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from minidet._typing import Float64Array, FloatArray
from minidet.errors import InputError
from minidet.nn.module import Module
from minidet.nn.norm import BatchNorm2d
from minidet.ops import BatchNormCache


def reestimate_batch_norms(
    network: Module,
    inputs: Iterable[FloatArray],
    forward: Callable[[FloatArray], object] | None = None,
) -> None:
    r"""Measure mean and variance at every batch norm, and make them its running statistics.

    A network whose batch norms were folded into its convolutions and then put back neutral has running
    statistics that describe nothing. A training step normalises by the batch instead, and so would change
    what the network computes beyond recognition. With measured statistics the two agree again.

    In inference the outputs stay as they were, since weight and bias make up for the change:

    .. math::
        \gamma' = \gamma \sqrt{\frac{\sigma'^2 + \epsilon}{\sigma^2 + \epsilon}}, \qquad
        \beta' = \beta + \gamma \, \frac{\mu' - \mu}{\sqrt{\sigma^2 + \epsilon}}

    Parameters
    ----------
    network : Module
        Changed in place. Re-estimate first and accelerate then: fast twins do not keep what is needed here.
    inputs : iterable of (N, C, ...) arrays
        What ``forward`` takes, such as (N, 3, H, W) batches; together some ten thousand values per channel
        or more. They should be like those of training, augmentation included.
    forward : callable, optional
        Runs the network, each batch norm once; by default ``network.forward``.

    Raises
    ------
    InputError
        If there are no inputs or no batch norms; if a batch norm was not reached, or by values that are not
        finite; if the network is accelerated. Then nothing is changed.

    Notes
    -----
    Everything is measured before anything is changed, so each batch norm sees what it sees in inference.
    The variance is divided by the count n, not by n - 1. A channel that never varies gets the variance 0;
    ``eps`` keeps it finite. All arithmetic is in float64, and the results are rounded to the network's type.

    Examples
    --------
    A neutral norm that is fed 1 and 3, which have the mean 2 and the variance 1:

    >>> norm = BatchNorm2d(1, eps=0.0).astype("float64")
    >>> x = np.array([1.0, 3.0]).reshape(2, 1, 1, 1)
    >>> reestimate_batch_norms(norm, [x])
    >>> norm.running_mean.data, norm.running_var.data, norm.weight.data, norm.bias.data
    (array([2.]), array([1.]), array([1.]), array([2.]))
    >>> norm.eval().forward(x).ravel(), norm.train().forward(x).ravel()
    (array([1., 3.]), array([1., 3.]))
    """
    kind = type(network).__name__
    norms = dict(_batch_norms(network, ""))
    if not norms:
        raise InputError(f"reestimate_batch_norms: {kind} has no batch norms")
    run = forward or network.forward  # type: ignore[attr-defined]  # every network has one, of its own shape
    moments = {name: _Moments(norm.weight.data.size) for name, norm in norms.items()}
    with _frozen_training(network, norms.values()):
        for x in inputs:
            run(x)
            for name, norm in norms.items():
                if not isinstance(norm._kept, BatchNormCache):
                    raise InputError(
                        f"reestimate_batch_norms: batch norm {name!r} of {kind} kept nothing; expected a "
                        "forward pass through all of them, in a network that is not accelerated yet"
                    )
                moments[name].add_batch(norm, norm.kept())
    for name, measured in moments.items():
        if measured.count == 0:
            raise InputError(f"reestimate_batch_norms: no inputs; expected batches to measure {kind} on")
        if not np.isfinite(measured.variance).all():
            c = int(np.argmin(np.isfinite(measured.variance)))
            raise InputError(
                f"reestimate_batch_norms: NaN, infinity or too large a number in channel {c} of what arrives "
                f"at {name!r}; expected finite numbers"
            )
    for name, norm in norms.items():
        _set_statistics(norm, moments[name])


@dataclass
class _Moments:
    """Count, mean and variance of all the values of each channel so far.

    Attributes
    ----------
    channels : int
    """

    channels: int

    def __post_init__(self) -> None:
        self.count = 0
        self.mean: Float64Array = np.zeros(self.channels)
        self.variance: Float64Array = np.zeros(self.channels)

    def add_batch(self, norm: BatchNorm2d, cache: BatchNormCache) -> None:
        """Add a batch that went through ``norm``.

        Two groups together have the spread within each and the spread between their means (Chan, Golub &
        LeVeque 1979).
        """
        x_hat = cache.x_hat.astype(np.float64)  # (N, C, H, W)
        count = x_hat.size // self.channels
        if count == 0:
            return
        # The input was x = x_hat / inv_std + running mean.
        std = 1 / cache.inv_std.astype(np.float64)  # (C,)
        mean = norm.running_mean.data + std * x_hat.mean(axis=(0, 2, 3))  # (C,)
        with np.errstate(over="ignore", invalid="ignore"):  # reported when all is measured
            variance = std**2 * x_hat.var(axis=(0, 2, 3))  # (C,)
            share = count / (self.count + count)
            apart = mean - self.mean
            self.variance += share * (variance - self.variance) + share * (1 - share) * apart**2
            self.mean += share * apart
        self.count += count


def _set_statistics(norm: BatchNorm2d, measured: _Moments) -> None:
    """Give ``norm`` the measured statistics, and the weight and bias with which it computes as before."""
    dtype = norm.weight.data.dtype
    old_mean, old_variance = norm.running_mean.data.astype(np.float64), norm.running_var.data
    eps = float(norm.eps)
    old_std = np.sqrt(old_variance.astype(np.float64) + eps)
    # Rounded first: weight and bias have to make up for the numbers that will stand there.
    mean, variance = measured.mean.astype(dtype), measured.variance.astype(dtype)
    # Without eps a channel that never varies would be divided by zero; it keeps the variance it has.
    variance = np.where(variance + eps > 0, variance, old_variance)
    std = np.sqrt(variance.astype(np.float64) + eps)
    weight = norm.weight.data.astype(np.float64)
    norm.bias.data = (norm.bias.data + weight * (mean - old_mean) / old_std).astype(dtype)
    norm.weight.data = (weight * std / old_std).astype(dtype)
    norm.running_mean.data, norm.running_var.data = mean, variance


def _batch_norms(module: Module, name: str) -> Iterator[tuple[str, BatchNorm2d]]:
    """List the batch norms by their dotted names."""
    if isinstance(module, BatchNorm2d):
        yield name, module
    for part_name, part in module.parts():
        yield from _batch_norms(part, f"{name}.{part_name}" if name else part_name)


@contextmanager
def _frozen_training(network: Module, norms: Iterable[BatchNorm2d]) -> Iterator[None]:
    """Train with frozen norms: results are those of inference, and each norm keeps its normalised input.

    Afterwards every module is in the mode in which it was, and has kept nothing.
    """
    was_training = [(module, module.training) for module in _modules(network)]
    was_frozen = [(norm, norm.frozen) for norm in norms]
    try:
        network.train()
        for norm, _ in was_frozen:
            norm.frozen = True
        yield
    finally:
        network.eval()  # forgets what was kept
        for module, training in was_training:
            module.training = training
        for norm, frozen in was_frozen:
            norm.frozen = frozen


def _modules(module: Module) -> Iterator[Module]:
    """List a module and all that it is made of."""
    yield module
    for _, part in module.parts():
        yield from _modules(part)
