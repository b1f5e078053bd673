r"""The roofline: how fast a step could be at best on this machine, and how fast it is.

A step with a given number of multiply-adds and of bytes that have to come from or go to memory takes at least

.. math::
    t = \max\!\left(\frac{\text{multiply-adds}}{\text{peak}}, \frac{\text{bytes}}{\text{bandwidth}}\right)

Both limits are measured here, not read off a data sheet. A convolution by Winograd's method does with fewer
multiplications than its definition, so it may come out above 100 %.

Williams, Waterman, Patterson, "Roofline: an insightful visual performance model", CACM 52(4), 2009.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from minidet import fast
from minidet._jit import jit_fast
from minidet._typing import Float32Array
from minidet.fast.atomic import cycle_counter
from minidet.fast.plans.retinaface import CompiledRetinaFace
from minidet.fast.simd import LANES, TILE_COLUMNS, TILE_ROWS, tile_fma, tile_of_scalar, tile_store


class Layer(NamedTuple):
    """One step of a network.

    Attributes
    ----------
    name : str
    multiply_adds : int
        Of its definition.
    bytes : int
        Of its inputs, its outputs and its weights, each touched once.
    seconds : float
    """

    name: str
    multiply_adds: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class Roofline:
    """What one core can do, and what each step does.

    Attributes
    ----------
    peak_gflops : float
        Of fused multiply-adds, each counted as two.
    copy_gigabytes : float
        Read and written per second, together, copying an array that is larger than the caches.
    layers : tuple of Layer
    """

    peak_gflops: float
    copy_gigabytes: float
    layers: tuple[Layer, ...]

    def roof_seconds(self, layer: Layer) -> float:
        """Return the time below which the step cannot come.

        Examples
        --------
        >>> roofline = Roofline(200.0, 10.0, ())
        >>> roofline.roof_seconds(Layer("dense", 10**9, 10**6, 0.0))  # 2 GFLOP at 200 per second
        0.01
        >>> roofline.roof_seconds(Layer("copy", 0, 10**9, 0.0))  # 1 GB at 10 per second
        0.1
        """
        return max(2e-9 * layer.multiply_adds / self.peak_gflops, 1e-9 * layer.bytes / self.copy_gigabytes)


def measure_roofline(
    network: CompiledRetinaFace, *, height: int = 480, width: int = 640, repeats: int = 15
) -> Roofline:
    """Measure the machine and every step of a compiled RetinaFace, on one thread.

    Parameters
    ----------
    network : CompiledRetinaFace
    height, width : int
        Of the image.
    repeats : int
        Runs of each; the best of the machine counts, and the median of a step.

    Returns
    -------
    Roofline
    """
    threads = fast.get_num_threads()
    fast.set_num_threads(1)
    try:
        x = np.random.default_rng(0).normal(0, 60, (1, 3, height, width)).astype(np.float32)
        network.clocks(x)  # compiles
        runs = [network.clocks(x) for _ in range(repeats)]
        ticks_per_second = measure_clock()
        layers = tuple(
            Layer(name, work, size, float(np.median([run[name] for run in runs])) / ticks_per_second)
            for name, work, size in retinaface_work(height, width)
        )
        return Roofline(measure_peak(repeats), measure_copying(repeats), layers)
    finally:
        fast.set_num_threads(threads)


# ---- The machine -----------------------------------------------------------------------------------


def measure_peak(repeats: int = 15) -> float:
    """Return the GFLOP/s of fused multiply-adds of one core: a register tile that is never stored.

    ``fast``'s own inner step is used, on numbers that stay in the first cache.
    """
    numbers = np.full(2048, 1e-3, np.float32)
    result = np.empty(TILE_ROWS * TILE_COLUMNS * LANES, np.float32)
    steps = 200_000
    work = 2e-9 * steps * TILE_ROWS * TILE_COLUMNS * LANES
    return work / _least_seconds(lambda: _multiply_add(numbers, result, steps), repeats)


@jit_fast
def _multiply_add(numbers: Float32Array, result: Float32Array, steps: int) -> None:
    tile = tile_of_scalar(TILE_ROWS, TILE_COLUMNS, LANES, np.float32(0))
    for step in range(steps):
        at = (step & 7) * 64
        tile = tile_fma(tile, numbers, at, 8, numbers, at)
    tile_store(result, 0, TILE_COLUMNS * LANES, tile)


def measure_copying(repeats: int = 15, megabytes: int = 256) -> float:
    """Return the GB/s that one core reads and writes, together, when it copies a large array."""
    source = np.ones(megabytes * 250_000, np.float32)
    target = np.zeros_like(source)
    return 2e-9 * source.nbytes / _least_seconds(lambda: np.copyto(target, source), repeats)


def measure_clock() -> float:
    """Return the ticks per second of the clock by which plans time their steps."""
    _read_clock()
    started, ticks = time.perf_counter(), _read_clock()
    time.sleep(0.1)
    return float((_read_clock() - ticks) / (time.perf_counter() - started))


@jit_fast
def _read_clock() -> int:
    return cycle_counter()


def _least_seconds(run: Callable[[], object], repeats: int) -> float:
    run()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


# ---- The work --------------------------------------------------------------------------------------

_CHANNELS = (
    *((8, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2)),
    *((128, 128, 1),) * 5,
    *((128, 256, 2), (256, 256, 1)),
)
"""Input channels, output channels and stride of the separable layers."""


def retinaface_work(height: int, width: int) -> Sequence[tuple[str, int, int]]:
    """List name, multiply-adds and bytes of every step of the compiled RetinaFace.

    Examples
    --------
    The stem of a 640 x 480 image: 27 multiply-adds for each of 8 channels of 240 x 320 pixels.

    >>> retinaface_work(480, 640)[0][:2]
    ('stem', 16588800)
    """
    h, w = -(-height // 2), -(-width // 2)
    steps = [_step("stem", 27 * 8 * h * w, 3 * height * width, 8 * h * w, 27 * 8)]
    maps = []
    for number, (inputs, outputs, stride) in enumerate(_CHANNELS):
        before = h * w
        h, w = -(-h // stride), -(-w // stride)
        after = h * w
        work = (9 * inputs + inputs * outputs) * after
        weights = (9 + outputs) * inputs
        steps.append(_step(f"separable {number}", work, inputs * before, outputs * after, weights))
        maps.append(after)
    pixels = maps[4], maps[10], maps[12]
    channels = 64, 128, 256

    def dense(
        name: str, taps: int, inputs: int, outputs: int, level: int, more: int = 0
    ) -> tuple[str, int, int]:
        weights, size = taps * inputs * outputs, pixels[level]
        return _step(name, weights * size, inputs * size + more, outputs * size, weights)

    steps += [
        dense("lateral5", 1, channels[2], 64, 2),
        dense("lateral4", 1, channels[1], 64, 1, more=64 * pixels[2]),
        dense("merge4", 9, 64, 64, 1),
        dense("lateral3", 1, channels[0], 64, 0, more=64 * pixels[1]),
        dense("merge3", 9, 64, 64, 0),
    ]
    for level in range(3):
        steps += [
            dense(f"view3 {level + 3}", 9, 64, 48, level),
            dense(f"view5 {level + 3}", 9, 16, 32, level),
            dense(f"view7 {level + 3}", 9, 16, 16, level),
            dense(f"heads {level + 3}", 1, 64, 32, level),
            _step(f"outputs {level + 3}", 0, 32 * pixels[level], 32 * pixels[level], 0),
        ]
    return steps


def _step(name: str, work: int, inputs: int, outputs: int, weights: int) -> tuple[str, int, int]:
    return name, work, 4 * (inputs + outputs + weights)
