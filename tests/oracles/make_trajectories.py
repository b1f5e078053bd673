"""Make ``trajectories.npz``: where plain PyTorch gets to in the trainings of ``trajectory_cases.py``.

Needs PyTorch. Run ``python -m tests.oracles.make_trajectories`` in the repository's folder.
"""

from __future__ import annotations

import numpy as np

from tests.oracles.gradient_cases import largest, summarise
from tests.oracles.trajectory_cases import FILE, TRAJECTORIES, Expected, movement


def main() -> None:
    """Write the file beside this script."""
    from tests.live_torch.torch_objectives import (
        torch_follow,
    )  # here, so that a test run may import this file

    arrays = {}
    for trajectory in TRAJECTORIES:
        way = torch_follow(trajectory, "float64")
        names, moved = sorted(way.tensors), movement(trajectory, way.tensors)
        stored = Expected(
            way.losses,
            way.kept,
            np.array(names),
            summarise(moved, names),
            largest(way.tensors, names),
            largest(moved, names),
        )
        for name, array in stored._asdict().items():
            arrays[f"{trajectory}/{name}"] = array
    np.savez_compressed(FILE, **arrays)
    print(f"{FILE}: {len(TRAJECTORIES)} trajectories, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
