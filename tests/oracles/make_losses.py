"""Make ``losses.npz``: what PyTorch computes, in float64, for the cases of ``loss_cases.py`` (needs PyTorch).

Run ``python -m tests.oracles.make_losses`` in the repository's folder. The same cases make the same file.
"""

from __future__ import annotations

import numpy as np

from tests.oracles.loss_cases import CASES, FILE


def main() -> None:
    """Write the file beside this script."""
    from tests.live_torch.torch_losses import torch_call  # here, so that a test run may import this file

    arrays = {}
    for cases in CASES.values():
        for case in cases:
            for output, array in torch_call(case.op, case.inputs("float64"), case.options).items():
                arrays[f"{case.name}/{output}"] = array
    np.savez_compressed(FILE, **arrays)
    print(f"{FILE}: {sum(map(len, CASES.values()))} cases, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
