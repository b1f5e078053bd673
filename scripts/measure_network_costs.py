"""What the sizes of RetinaFace cost: parameters, multiply-adds, and time beside that of the smallest.

Usage: python scripts/measure_network_costs.py [SIDE [ROUNDS]]

Prints a table for a square of SIDE pixels (256). Every round times each network once, so that whatever else
the machine does falls on all of them; a time is the median of the rounds (5), on one thread, with fast layers
(the small network's compiled plan, which the others have not, is left out).
"""

from __future__ import annotations

import sys
from time import perf_counter

import numpy as np

import minidet
from minidet.fast import accelerate
from minidet.models.retinaface import Architecture
from minidet.nn import initialise, multiply_adds

NETWORKS = {
    "MobileNet x 0.25, three levels": Architecture(),
    "MobileNet x 0.25, three levels, deformable": Architecture(context="deform"),
    "MobileNet x 0.25, five levels": Architecture(levels=5),
    "MobileNet x 0.25, five levels, deformable": Architecture(levels=5, context="deform"),
    "ResNet-50, three levels": Architecture("resnet50"),
    "ResNet-50, three levels, deformable": Architecture("resnet50", context="deform"),
    "ResNet-50, five levels": Architecture("resnet50", levels=5),
    "ResNet-50, five levels, deformable": Architecture("resnet50", levels=5, context="deform"),
}


def main() -> None:
    """Measure, and print the table."""
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 256
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    minidet.set_num_threads(1)
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (1, 3, side, side)).astype(np.float32)
    networks, counts = {}, {}
    for name, architecture in NETWORKS.items():
        network = architecture.build()
        initialise(network, rng)
        counts[name] = network.parameter_count(), 100 * multiply_adds(network, 64, 64) / 1e9
        networks[name] = accelerate(network).eval()
        networks[name].forward(x)  # compiles

    times: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(rounds):
        for name, network in networks.items():
            start = perf_counter()
            network.forward(x)
            times[name].append(perf_counter() - start)

    medians = {name: float(np.median(seconds)) for name, seconds in times.items()}
    smallest = min(medians.values())
    print("| network | parameters | multiply-adds at 640 x 640 | time |\n|---|---|---|---|")
    for name, (parameters, billions) in counts.items():
        print(f"| {name} | {parameters:,} | {billions:.2f} G | {medians[name] / smallest:.1f} |")
    print(f"\nfastest: {1000 * smallest:.0f} ms at {side} x {side}, median of {rounds}")


if __name__ == "__main__":
    main()
