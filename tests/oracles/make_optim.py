"""Make ``optim.npz``: where PyTorch's optimisers, in float64, take the weights of ``optim_cases.py``.

Needs PyTorch. Run ``python -m tests.oracles.make_optim`` in the repository's folder.
"""

from __future__ import annotations

import numpy as np

from tests.oracles.optim_cases import FILE, RUNS, STEPS, Run, Weights, stack


def main() -> None:
    """Write the file beside this script."""
    arrays = {}
    for run in RUNS:
        for name, array in torch_trajectory(run, "float64").items():
            arrays[f"{run}/{name}"] = array
    np.savez_compressed(FILE, **arrays)
    print(f"{FILE}: {len(RUNS)} runs, {FILE.stat().st_size} bytes")


def torch_trajectory(run: Run, dtype: str) -> Weights:
    """Run PyTorch's optimiser and return the weights after every step, (STEPS, *shape)."""
    import torch  # here, so that a test run may import this file

    tensors = {name: torch.tensor(array) for name, array in run.weights(dtype).items()}
    optimizer = getattr(torch.optim, run.kind)(list(tensors.values()), **run.options)
    after = []
    for step in range(STEPS):
        if run.lrs:
            optimizer.param_groups[0]["lr"] = run.lrs[step]
        for name, grad in run.gradient(step, dtype).items():
            tensors[name].grad = torch.tensor(grad)
        optimizer.step()
        after.append({name: tensor.numpy().copy() for name, tensor in tensors.items()})
    return stack(after)


if __name__ == "__main__":
    main()
