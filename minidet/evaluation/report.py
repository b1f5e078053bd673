"""An evaluation in words: first the recipe, then the figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from minidet.evaluation.evaluate import FALSE_POSITIVES, Evaluation, best_f1
from minidet.evaluation.landmarks import FAILURE
from minidet.evaluation.recall import Recall
from minidet.evaluation.widerface import WiderCurve


def describe(evaluation: Evaluation) -> str:
    """Return the recipe and every figure as lines of text.

    Parameters
    ----------
    evaluation : Evaluation

    Returns
    -------
    str
    """
    rows = [*describe_recipe(evaluation.recipe).items(), ("", "")]
    if evaluation.exhaustive:
        value = f"{evaluation.curve.value:.4f}" if evaluation.curve.faces else "no faces"
        rows.append(("average precision", value))
    rows.append(("recall", _share(evaluation.recall)))
    if evaluation.exhaustive and evaluation.curve.faces:
        curve = evaluation.curve
        affordable = ", ".join(f"{curve.recall_at_false_positives(n):.3f} at {n}" for n in FALSE_POSITIVES)
        rows.append(("recall by false positives", affordable))
        best = best_f1(curve)
        if best:
            rows.append(
                (
                    "best threshold",
                    f"{best['threshold']:.3f}: precision {best['precision']:.3f}, "
                    f"recall {best['recall']:.3f}, F1 {best['f1']:.3f}",
                )
            )
    if evaluation.curve.faces:
        by_iou = ", ".join(f"{r.value:.3f} at {iou:g}" for iou, r in evaluation.by_iou.items())
        rows.append(("recall by IoU", by_iou))
    rows += [
        (f"recall, {height_label(lower, upper)}", _share(recall))
        for (lower, upper), recall in evaluation.by_size.items()
        if recall.faces
    ]
    rows += _landmark_rows(evaluation)
    return _table(rows)


def describe_wider(curves: Mapping[str, WiderCurve]) -> str:
    """Return one line per subset of WIDER FACE.

    Parameters
    ----------
    curves : mapping of str to WiderCurve
        As :func:`widerface_curves` returns it.

    Returns
    -------
    str
    """
    return _table(
        (f"WIDER FACE {subset}", f"{curve.ap:.4f} over {_count(curve.faces, 'face')}")
        for subset, curve in curves.items()
    )


def describe_recipe(recipe: Mapping[str, Any]) -> dict[str, str]:
    """Return a recipe as a few phrases by name.

    Parameters
    ----------
    recipe : mapping
        As in ``Evaluation.recipe``.

    Returns
    -------
    dict of str to str

    Examples
    --------
    >>> recipe = {"views": {"scales": ["native"], "flip": True, "turns": [0], "merge": "vote",
    ...                     "iou_threshold": 0.4}}
    >>> describe_recipe(recipe)
    {'views': 'size native; mirrored too; merged by vote at IoU 0.4'}
    """
    phrases = {
        "data": _data_phrase,
        "detector": _detector_phrase,
        "views": _views_phrase,
        "measure": _measure_phrase,
    }
    return {name: phrase(recipe) for name, phrase in phrases.items() if recipe.get(name)}


def height_label(lower: float, upper: float) -> str:
    """Name a range of heights.

    Parameters
    ----------
    lower, upper : float
        Heights of a face in pixels; ``upper`` may be infinite.

    Returns
    -------
    str

    Examples
    --------
    >>> height_label(10, 16), height_label(256, math.inf)
    ('10-16 px', '256+ px')
    """
    return f"{lower:g}+ px" if math.isinf(upper) else f"{lower:g}-{upper:g} px"


def _data_phrase(recipe: Mapping[str, Any]) -> str:
    counts = recipe["counts"]
    left_out = [
        f"{counts[name]:,} {words}"
        for name, words in (
            ("ignored", "marked to be ignored"),
            ("too_small", "too small"),
            ("without_area", "without area"),
        )
        if counts[name]
    ]
    besides = f" ({', '.join(left_out)} besides)" if left_out else ""
    found_in = f"{recipe['data']['source']}: {_count(counts['photographs'], 'photograph')}"
    return f"{found_in}, {_count(counts['faces'], 'face')}{besides}"


def _detector_phrase(recipe: Mapping[str, Any]) -> str:
    detector = recipe["detector"]
    settings = ", ".join(
        f"{name}={value}" for name, value in detector["settings"].items() if value is not None
    )
    return (
        f"{detector['model']}, weights {detector['weights']} (sha256 {detector['sha256'][:12]}), "
        f"backend {detector['backend']}, {settings}"
    )


def _views_phrase(recipe: Mapping[str, Any]) -> str:
    views = recipe["views"]
    parts = [f"size {', '.join(views['scales'])}"]
    if views["flip"]:
        parts.append("mirrored too")
    if views["turns"] != [0]:
        parts.append(f"turned by {', '.join(str(90 * turn) for turn in views['turns'])} degrees")
    if views["merge"] != "none":
        overlap = "" if views["merge"] == "soft-gaussian" else f" at IoU {views['iou_threshold']:g}"
        parts.append(f"merged by {views['merge']}{overlap}")
    return "; ".join(parts)


def _measure_phrase(recipe: Mapping[str, Any]) -> str:
    measure = recipe["measure"]
    least = f"{measure['min_face_size']:g} px"
    return f"found from IoU {measure['iou_threshold']:g} up; faces of {least} and more count"


def _landmark_rows(evaluation: Evaluation) -> list[tuple[str, str]]:
    errors = evaluation.landmarks
    if not errors.found:
        return []
    rows = [("landmarks", f"{errors.found:,} of {errors.faces:,} faces with landmarks found")]
    for name, values in (("by distance of eyes", errors.inter_ocular), ("by size of box", errors.box_size)):
        mean, median = 100 * values.mean(), 100 * np.median(values)
        rows.append((f"error {name}", f"mean {mean:.2f} %, median {median:.2f} %"))
    rows.append(
        (
            "failures",
            f"{100 * errors.failure_rate():.2f} % of them above {100 * FAILURE:g} % of the size of the box",
        )
    )
    return rows


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _share(recall: Recall) -> str:
    if not recall.faces:
        return "no faces"
    return f"{recall.value:.4f} ({recall.found:,} of {recall.faces:,})"


def _table(rows: Any) -> str:
    pairs = list(rows)
    width = max(len(name) for name, _ in pairs)
    return "\n".join(f"{name:<{width}}  {text}".rstrip() for name, text in pairs)
