"""Make ``resize.npz``: small images as PyTorch resizes them (needs PyTorch).

Run ``python tests/oracles/make_resize.py``. Every case ``k`` is stored as ``image_k`` (H, W, C), and as
``area_k`` and ``bilinear_k`` (height, width, C) float32.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

# Input rows and columns, output rows and columns: down, up, mixed, to and from one pixel, by whole factors.
CASES = [
    (9, 7, 4, 3),
    (5, 6, 13, 8),
    (20, 3, 6, 7),
    (1, 1, 3, 2),
    (4, 11, 1, 1),
    (12, 12, 6, 4),
    (31, 17, 24, 24),
]


def main() -> None:
    """Write the file beside this script."""
    import torch  # here, so that a test run may import this file without PyTorch

    rng = np.random.default_rng(20)
    arrays = {}
    for k, (H, W, height, width) in enumerate(CASES):
        image = rng.integers(0, 256, (H, W, 3), dtype=np.uint8)
        if k % 2:
            image = image + rng.random((H, W, 3), np.float32)
        x = torch.from_numpy(image).permute(2, 0, 1)[None].float()
        area = torch.nn.functional.interpolate(x, (height, width), mode="area")
        bilinear = torch.nn.functional.interpolate(x, (height, width), mode="bilinear", align_corners=False)
        arrays[f"image_{k}"] = image
        arrays[f"area_{k}"] = area[0].permute(1, 2, 0).numpy()
        arrays[f"bilinear_{k}"] = bilinear[0].permute(1, 2, 0).numpy()
    np.savez_compressed(Path(__file__).with_name("resize.npz"), **arrays)


if __name__ == "__main__":
    main()
