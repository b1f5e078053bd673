"""Make ``align.npz``: faces aligned by OpenCV's ``warpAffine`` (needs OpenCV; written with 5.0.0).

Run ``python tests/oracles/make_align.py``. Every case ``k`` is stored as ``image_k`` (H, W, 3),
``landmarks_k`` (5, 2), ``matrix_k`` (2, 3), which is NumPy's least-squares solution of the ten equations in
four unknowns, and ``crop_k`` (size, size, 3).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

TEMPLATE = [
    [38.2946, 51.6963],
    [73.5318, 51.5014],
    [56.0252, 71.7366],
    [41.5493, 92.3655],
    [70.7299, 92.2041],
]

# Rows and columns of the image; centre, width and angle of the face in it, in pixels and degrees; size, and
# what becomes of the template for it: a factor and a shift to the right.
CASES = [
    ((70, 60), (31.3, 34.8), 24, 0, 112, 1, 0),
    ((70, 60), (25.0, 40.5), 30, 37, 128, 1, 8),
    ((50, 90), (81.7, 12.2), 40, -110, 42, 0.375, 0),  # most of it is outside
    ((90, 80), (35.1, 42.6), 60, 180, 28, 0.25, 0),  # smaller than in the image
    ((40, 40), (20.2, 19.9), 17, 5, 64, 64 / 112, 0),
]


def main() -> None:
    """Write the file beside this script."""
    import cv2  # here, so that a test run may import this file without OpenCV

    rng = np.random.default_rng(112)
    arrays = {}
    for k, ((H, W), centre, width, degrees, size, factor, shift) in enumerate(CASES):
        image = rng.integers(0, 256, (H, W, 3), dtype=np.uint8)
        target = np.array(TEMPLATE) * factor + [shift, 0]
        landmarks = face(centre, width, degrees) + rng.normal(0, width / 40, (5, 2))
        landmarks = landmarks.astype(np.float32)
        matrix = least_squares(landmarks, target)
        arrays[f"image_{k}"] = image
        arrays[f"landmarks_{k}"] = landmarks
        arrays[f"matrix_{k}"] = matrix
        arrays[f"crop_{k}"] = cv2.warpAffine(
            image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=0.0
        )
    np.savez_compressed(Path(__file__).with_name("align.npz"), **arrays)


def face(centre: tuple[float, float], width: float, degrees: float) -> np.ndarray:
    """Return the template (5, 2) about ``centre``, its eyes half of ``width`` apart, turned."""
    points = (np.array(TEMPLATE) - [56, 72]) * (width / 70)
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return points @ np.array([[cos, sin], [-sin, cos]]) + centre


def least_squares(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the (2, 3) matrix [[a, -b, c], [b, a, d]] that brings ``source`` closest to ``target``."""
    equations, right = [], []
    for (x, y), (u, v) in zip(source.astype(float), target, strict=True):
        equations += [[x, -y, 1, 0], [y, x, 0, 1]]
        right += [u, v]
    a, b, c, d = np.linalg.lstsq(np.array(equations), np.array(right), rcond=None)[0]
    return np.array([[a, -b, c], [b, a, d]])


if __name__ == "__main__":
    main()
