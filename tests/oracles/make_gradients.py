"""Make ``gradients.npz``: what plain PyTorch makes of the training steps of ``gradient_cases.py``.

Needs PyTorch. Run ``python -m tests.oracles.make_gradients`` in the repository's folder.
"""

from __future__ import annotations

import numpy as np

from tests.check import disagreement
from tests.oracles.gradient_cases import CASES, FILE, Expected, largest, summarise


def main() -> None:
    """Write the file beside this script."""
    from tests.live_torch.torch_objectives import torch_step  # here, so that a test run may import this file

    arrays = {}
    for case in CASES:
        exact, rounded = torch_step(case, "float64"), torch_step(case, "float32")
        names = sorted(exact.tensors)
        stored = Expected(
            np.array(exact.value),
            exact.kept,
            np.array(names),
            summarise(exact.tensors, names),
            largest(exact.tensors, names),
            np.array([disagreement(rounded.tensors[name], exact.tensors[name]) for name in names]),
        )
        for name, array in stored._asdict().items():
            arrays[f"{case}/{name}"] = array
    np.savez_compressed(FILE, **arrays)
    print(f"{FILE}: {len(CASES)} cases, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
