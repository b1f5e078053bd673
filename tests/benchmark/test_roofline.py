"""The work of every step, counted a second time from the network's own weights."""

import numpy as np

from minidet.benchmark.roofline import measure_clock, measure_roofline, retinaface_work
from minidet.fast import compile, get_num_threads
from minidet.fast.plans.retinaface import STEM_STEPS, STEPS
from minidet.models.retinaface import RetinaFaceNet


def test_the_steps_are_those_of_the_plan():
    assert [name for name, _, _ in retinaface_work(480, 640)] == [*STEM_STEPS, *STEPS]


def test_the_work_is_that_of_the_network():
    # On a 32 x 32 image: every convolution's weights times the pixels of its output.
    model = RetinaFaceNet()
    pixels = {}
    for level, side in ((3, 4), (4, 2), (5, 1)):
        pixels |= dict.fromkeys(
            (f"lateral{level}", f"merge{level}", f"context{level}", f"heads{level}"), side**2
        )
    sides = [
        16,
        16,
        8,
        8,
        4,
        4,
        2,
        2,
        2,
        2,
        2,
        2,
        1,
        1,
    ]  # the stem, then each pair; its depthwise has the same
    layers = (
        [f"stage1.{i}." for i in range(6)] + [f"stage2.{i}." for i in range(6)] + ["stage3.0.", "stage3.1."]
    )
    pixels |= {layer: side**2 for layer, side in zip(layers, sides, strict=True)}
    total = 0
    for name, parameter in model.parameters().items():
        if name.endswith("weight") and parameter.data.ndim == 4:
            (size,) = {size for part, size in pixels.items() if part in name}
            total += parameter.data.size * size
    assert sum(work for _, work, _ in retinaface_work(32, 32)) == total


def test_measuring():
    network = compile(RetinaFaceNet())
    threads = get_num_threads()
    roofline = measure_roofline(network, height=32, width=32, repeats=1)
    assert get_num_threads() == threads
    assert roofline.peak_gflops > 0
    assert roofline.copy_gigabytes > 0
    assert all(np.isfinite(layer.seconds) for layer in roofline.layers)
    assert measure_clock() > 0
