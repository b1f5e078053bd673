"""Is it right? What a contestant computed against the definitions, before anybody looks at a clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from minidet.boxes import iou

Arrays: TypeAlias = Mapping[str, NDArray[Any]]
Judge: TypeAlias = Callable[[Arrays, Arrays], str]
"""Reference outputs and those of a contestant in, how well they agree out; or a DisagreementError."""


class DisagreementError(Exception):
    """A result is wrong, so the time it takes is of no interest; the message says by how much."""


def tensors_within(tolerance: float) -> Judge:
    """Require max|difference| / max|reference| of every tensor to be at most ``tolerance``.

    Examples
    --------
    >>> tensors_within(0.1)({"y": np.array([10.0, 2.0])}, {"y": np.array([10.0, 2.5])})
    'within 5.0e-02'
    """

    def judge(reference: Arrays, outputs: Arrays) -> str:
        worst = 0.0
        for name, expected in reference.items():
            if name not in outputs or outputs[name].shape != expected.shape:
                shape = outputs[name].shape if name in outputs else "nothing"
                raise DisagreementError(f"{name} is {shape}, expected {expected.shape}")
            difference = float(np.abs(outputs[name].astype(np.float64) - expected).max(initial=0))
            largest = float(np.abs(expected).max(initial=0))
            figure = difference / largest if largest > 0 else (0.0 if difference == 0 else np.inf)
            if not figure <= tolerance:
                raise DisagreementError(
                    f"{name} differs by {figure:.1e} of its largest value, allowed {tolerance:.0e}"
                )
            worst = max(worst, figure)
        return f"within {worst:.1e}"

    return judge


def equal_arrays(reference: Arrays, outputs: Arrays) -> str:
    """Require the same numbers.

    Examples
    --------
    >>> equal_arrays({"kept": np.array([3, 1])}, {"kept": np.array([3, 1])})
    'the same'
    """
    for name, expected in reference.items():
        if name not in outputs or not np.array_equal(outputs[name], expected):
            raise DisagreementError(f"{name} is not the same")
    return "the same"


def same_faces(reference: Arrays, outputs: Arrays) -> str:
    """Require the same faces: boxes within 0.05 pixels, scores within 1e-4.

    Each face is compared with the nearest. Their order is that of the scores, which may be equal: then a
    difference in the last digit of an intermediate result puts one or the other first.

    Examples
    --------
    >>> faces = {"boxes": np.array([[0.0, 0.0, 9.0, 9.0]]), "scores": np.array([0.9])}
    >>> same_faces(faces, faces | {"boxes": np.array([[0.0, 0.01, 9.0, 9.0]])})
    '1 face within 0.010 px'
    """
    count = len(reference["boxes"])
    if len(outputs["boxes"]) != count:
        raise DisagreementError(f"{len(outputs['boxes'])} faces, expected {count}")
    if count == 0:
        return "0 faces within 0.000 px"
    distances = np.abs(outputs["boxes"][:, None] - reference["boxes"]).max(axis=2)  # (K, K)
    nearest = distances.argmin(axis=1)
    farthest = float(distances.min(axis=1).max())
    largest = float(np.abs(outputs["scores"] - reference["scores"][nearest]).max())
    if not (farthest <= 0.05 and largest <= 1e-4):
        raise DisagreementError(
            f"boxes differ by {farthest:.3f} px, allowed 0.05; scores by {largest:.1e}, allowed 1e-4"
        )
    if len(set(nearest.tolist())) != count:
        raise DisagreementError("two faces are nearest to the same one")
    return f"{count} face{'s' * (count != 1)} within {farthest:.3f} px"


def most_faces(share: float) -> Judge:
    """Require that of all faces found by either at least ``share`` are found by both, at IoU 0.5.

    For packages that follow the same papers but not the same details; a face at the edge of a threshold may
    be missing in one of them.

    Examples
    --------
    >>> box = np.array([[0.0, 0.0, 9.0, 9.0]])
    >>> most_faces(0.5)({"boxes": np.concatenate([box, box + 50])}, {"boxes": box + 1})
    '1 of 2 faces'
    """

    def judge(reference: Arrays, outputs: Arrays) -> str:
        ours, theirs = reference["boxes"].astype(np.float64), outputs["boxes"].astype(np.float64)
        overlap = iou(ours, theirs)  # (K, their K)
        found = 0
        while overlap.size and overlap.max() >= 0.5:
            k, m = np.unravel_index(overlap.argmax(), overlap.shape)
            overlap[k], overlap[:, m] = 0, 0
            found += 1
        extra = f" and {len(theirs) - found} more" if len(theirs) > found else ""
        words = f"{found} of {len(ours)} face{'s' * (len(ours) != 1)}{extra}"
        either = len(ours) + len(theirs) - found
        if found < share * either:
            raise DisagreementError(f"{words}, expected {share:.0%} to be the same")
        return words

    return judge
