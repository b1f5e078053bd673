"""Make ``networks.npz``: what PyTorch computes, in float64, for every network case (needs PyTorch).

Run ``python -m tests.oracles.make_networks`` in the repository's folder.
"""

from __future__ import annotations

import numpy as np

from tests.oracles.network_cases import CASES, FILE


def main() -> None:
    """Write the file beside this script."""
    from tests.live_torch.twins import run, twin  # here, so that a test run may import this file

    arrays = {}
    for case in CASES:
        network = twin(case.network, case.state(), "float64").train(case.training)
        for name, array in run(network, case.input("float64")).items():
            arrays[f"{case}/{name}"] = array
        if case.training:
            for name, buffer in network.named_buffers():
                if "running" in name:
                    arrays[f"{case}/{name}"] = buffer.numpy()
    np.savez_compressed(FILE, **arrays)
    print(f"{FILE}: {len(CASES)} cases, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
