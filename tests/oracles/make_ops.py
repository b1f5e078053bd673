"""Make ``ops.npz`` and ``ops_backward.npz``: what PyTorch computes, in float64, for all of ``cases.py``.

Run ``python -m tests.oracles.make_ops`` in the repository's folder (needs PyTorch). The same cases make the
same files.
"""

from __future__ import annotations

import numpy as np

from tests.oracles.cases import BACKWARD_CASES, BACKWARD_FILE, CASES, FILE, upstream


def main() -> None:
    """Write the two files beside this script."""
    # Here, so that a test run may import this file.
    from tests.live_torch.torch_ops import torch_backward, torch_call

    outputs, gradients = {}, {}
    for op, cases in CASES.items():
        for case in cases:
            found = torch_call(op, case.inputs("float64"), case.options)
            for name, array in found.items():
                outputs[f"{case.name}/{name}"] = array.astype(np.int16) if name == "argmax" else array
            if case in BACKWARD_CASES[op]:
                grad_output = upstream(case, found["y"])
                found = torch_backward(op, case.inputs("float64"), case.options, grad_output)
                gradients |= {f"{case.name}/{name}": array for name, array in found.items()}
    for file, arrays in [(FILE, outputs), (BACKWARD_FILE, gradients)]:
        np.savez_compressed(file, **arrays)
        print(f"{file}: {len(arrays)} arrays, {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
