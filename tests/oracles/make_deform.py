"""Select ``torchvision_deform.npz`` from a larger file of results of torchvision.

Run ``python -m tests.oracles.make_deform FILE`` in the repository's folder. The arrays are what torchvision
0.29.1 computes in float64 for one input, with

    y = torchvision.ops.deform_conv2d(x, off, w, b, stride=1, padding=1, mask=mask)

and what ``torch.autograd.grad(y, [x, w, off, b, mask], dy)`` returns: under "v1" without the mask, under
"v2" with it. "v1_x" and so on are the inputs of both.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("torchvision_deform.npz")


def main() -> None:
    """Copy the arrays of the deformable convolution."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="an .npz with these arrays among others")
    with np.load(parser.parse_args().file) as archive:
        chosen = {name: archive[name] for name in archive.files if name.startswith(("v1_", "v2_"))}
    np.savez_compressed(FILE, **chosen)
    print(f"{FILE}: {len(chosen)} arrays, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
