"""Make ``pyramids.npz``: what PyTorch computes, in float64, for every case of ``pyramid_cases.py``.

Needs PyTorch. Run ``python -m tests.oracles.make_pyramids`` in the repository's folder.
"""

from __future__ import annotations

import numpy as np

from tests.oracles.pyramid_cases import CASES, FILE, summarise


def main() -> None:
    """Write the file beside this script."""
    from tests.live_torch.twins import pyramid_step  # here, so that a test run may import this file

    arrays = {}
    for case in CASES:
        rows = summarise(pyramid_step(case, "float64"))
        arrays[f"{case}/names"] = np.array(list(rows))
        arrays[f"{case}/summaries"] = np.stack(list(rows.values()))
    np.savez_compressed(FILE, **arrays)
    print(f"{FILE}: {len(CASES)} cases, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
