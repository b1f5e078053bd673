"""The page's scripts find what the library finds, whatever the sliders say; in headless Chromium."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

import minidet
from minidet.api import Detector
from minidet.boxes import iou, nms
from minidet.detectors.inclusive_nms import inclusive_nms
from minidet.explain import explain

Browse = Callable[..., Any]

REPLAY = """
const record = DATA.models.find((one) => one.model === MODEL);
return SETTINGS.map((settings) => {
  const result = replay(record, settings);
  const scores = record.model === "mtcnn" ? record.windows.onet_score : record.candidates.score;
  const compared = result.passedOnet || result.candidates;
  const rivals = (i) => compared.filter((k) => scores[k] === scores[i]).length;
  return {
    ...result.counts, unsure: result.unsure,
    found: result.faces.map((i) => faceOf(record, i)), tied: result.faces.map((i) => rivals(i) > 1),
  };
});
"""


def replayed(browse: Browse, page: str, model: str, settings: list[dict[str, Any]]) -> list[Any]:
    """Apply the page's rules to settings."""
    constants = f"const MODEL = {json.dumps(model)}, SETTINGS = {json.dumps(settings)};"
    return browse(page, constants + REPLAY)


def assert_same_faces(answer: dict[str, Any], faces: minidet.Detections) -> None:
    """Require the library's faces to the last bit.

    Which of two boxes with the same score is kept is up to NumPy's sort. They have the same score because
    they differ by less than a pixel, so that O-Net saw the same crop of both.
    """
    found, tied = np.array(answer["found"]).reshape(-1, 5), np.array(answer["tied"], bool)
    np.testing.assert_array_equal(found[:, 4], faces.scores)
    np.testing.assert_array_equal(found[~tied, :4], faces.boxes[~tied])
    np.testing.assert_allclose(found[tied, :4], faces.boxes[tied], atol=1.5)


# ---- MTCNN -----------------------------------------------------------------------------------------

NAMES = ("nms_within_level", "nms_across_levels", "nms_refined", "nms_final")


def mtcnn_settings(floor: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Four NMS thresholds and three scores: near the defaults, and one slider after the other at its ends."""
    rng = np.random.default_rng(8)
    shares, scores = np.array([0.5, 0.7, 0.7, 0.7]), np.array([0.6, 0.7, 0.7])
    settings = [(shares, scores)]
    for slider in range(7):
        for end in (0.0, 1.0):
            both = np.concatenate([shares, scores])
            both[slider] = max(end, floor) if slider == 4 else end
            settings.append((both[:4], both[4:]))
    for spread in [0.1] * 10 + [0.3] * 20:
        drawn = np.concatenate([shares, scores]) + rng.uniform(-spread, spread, 7)
        drawn = np.clip(drawn.round(2), 0, 1)
        drawn[4] = max(drawn[4], floor)
        settings.append((drawn[:4], drawn[4:]))
    return settings


def mtcnn_with(shares: np.ndarray, scores: np.ndarray, **options: Any) -> minidet.MTCNN:
    detector = minidet.MTCNN(score_thresholds=tuple(scores.tolist()), **options)
    detector.settings = replace(detector.settings, **dict(zip(NAMES, shares.tolist(), strict=True)))
    return detector


def mtcnn_counts(trace: minidet.Trace) -> dict[str, Any]:
    """Count what the library has after each step."""
    steps = {step.name: step for step in trace}
    counts: dict[str, Any] = {
        "proposed": len(steps["propose"]["scores"]),
        "per_level": steps["propose"]["per_level"],
        "merged": len(steps["merge"]["kept"]),
        **dict.fromkeys(("rnet", "passed_rnet", "refined", "onet", "passed_onet", "faces"), 0),
    }
    if "rnet" in steps:
        counts["rnet"] = len(steps["rnet"]["scores"])
        counts["passed_rnet"] = len(steps["refine"]["passed"])
        counts["refined"] = len(steps["refine"]["kept"])
    if "onet" in steps:
        counts["onet"] = len(steps["onet"]["scores"])
        counts["passed_onet"] = len(steps["output"]["passed"])
        counts["faces"] = len(steps["output"]["kept"])
    return counts


def test_mtcnn_counts_equal_the_librarys_over_a_grid(
    browse: Browse, page: str, record: Callable[[str], dict[str, Any]], group: np.ndarray
) -> None:
    grid = [mtcnn_with(*one) for one in mtcnn_settings(record("mtcnn")["floors"][0])]
    answers = replayed(browse, page, "mtcnn", [asdict(detector.settings) for detector in grid])
    faces, unsure = set(), 0
    for detector, answer in zip(grid, answers, strict=True):
        trace = detector.trace(group)
        expected = mtcnn_counts(trace)
        if answer["unsure"]:  # then the number of faces is up to NumPy's sort
            unsure += 1
            del expected["faces"]
        else:
            assert_same_faces(answer, trace.detections)
            faces.add(expected["faces"])
        assert {name: answer[name] for name in expected} == expected, detector.settings
        if (
            detector.settings.score_thresholds[0] >= 0.6
        ):  # P-Net's map and its cells differ in the last digits
            cells = sum(
                int((s >= detector.settings.score_thresholds[0]).sum()) for s in trace["pnet"]["scores"]
            )
            assert answer["windows"] == pytest.approx(cells, abs=1)
    assert unsure <= 2
    assert len(faces) >= 5


def test_mtcnn_of_the_definitions_and_with_other_settings(browse: Browse, group: np.ndarray) -> None:
    shares, scores = np.array([0.4, 0.6, 0.5, 0.8]), np.array([0.45, 0.35, 0.9])
    options = {"min_face_size": 30, "crop_border": "zero", "backend": "readable"}
    small = np.ascontiguousarray(group[150:, :230])
    detector = mtcnn_with(shares, scores, **options)
    page = explain(small, [detector])
    other = mtcnn_with(shares + 0.1, scores + 0.05, **options)
    answers = replayed(browse, page, "mtcnn", [asdict(d.settings) for d in (detector, other)])
    for one, answer in zip((detector, other), answers, strict=True):
        trace = one.trace(small)
        expected = mtcnn_counts(trace)
        assert expected["faces"] > 0
        assert {name: answer[name] for name in expected} == expected
        np.testing.assert_allclose(np.array(answer["found"])[:, 4], trace.detections.scores, atol=1e-6)


def test_mtcnn_with_more_windows_than_are_recorded(
    browse: Browse, monkeypatch: pytest.MonkeyPatch, group: np.ndarray
) -> None:
    """Then the sliders of P-Net and R-Net begin higher; above that all is as before."""
    monkeypatch.setattr("minidet.explain.mtcnn.MOST_WINDOWS", 1)
    page = explain(group, [minidet.MTCNN()])
    shares = np.array([0.5, 0.7, 0.7, 0.7])
    grid = [mtcnn_with(shares, np.array(scores)) for scores in ((0.6, 0.35, 0.7), (0.7, 0.5, 0.1))]
    answers = replayed(browse, page, "mtcnn", [asdict(detector.settings) for detector in grid])
    for detector, answer in zip(grid, answers, strict=True):
        expected = mtcnn_counts(detector.trace(group))
        assert {name: answer[name] for name in expected} == expected
    ends = "return ['pnet', 'rnet', 'onet'].map((key) => document.getElementById(`mtcnn-${key}`).min);"
    assert browse(page, ends) == ["0.6", "0.35", "0"]


# ---- RetinaFace ------------------------------------------------------------------------------------


def test_retinaface_counts_equal_the_librarys_over_a_grid(
    browse: Browse, page: str, group: np.ndarray
) -> None:
    thresholds = [0.02, 0.03, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0]
    grid = [
        minidet.RetinaFace(score, iou, max_candidates=candidates, max_faces=faces)
        for score in thresholds
        for iou in (0.0, 0.4, 0.65, 1.0)
        for candidates, faces in ((5000, 750), (20, 750), (5000, 5))
    ]
    settings = [{**asdict(detector.settings), "min_face": 0} for detector in grid]
    answers = replayed(browse, page, "retinaface", settings)
    seen = set()
    for detector, answer in zip(grid, answers, strict=True):
        trace = Detector.trace(detector, group)  # not RetinaFace's own, which computes the maps again
        assert not answer["unsure"]
        assert answer["candidates"] == len(trace["candidates"]["candidates"])
        assert answer["kept"] == answer["faces"] == len(trace.detections), detector.settings
        assert_same_faces(answer, trace.detections)
        seen.add(len(trace.detections))
    assert len(seen) > 10


def test_retinaface_leaves_out_small_faces_as_the_command_line_does(
    browse: Browse, page: str, group: np.ndarray
) -> None:
    faces = minidet.RetinaFace().detect(group)
    sides = faces.to_xywh()[:, 2:].max(axis=1)
    limits = [0, 1, float(np.sort(sides)[2]), 30, 50, 500]
    settings = [{**asdict(minidet.RetinaFace().settings), "min_face": limit} for limit in limits]
    answers = replayed(browse, page, "retinaface", settings)
    assert [answer["faces"] for answer in answers] == [int((sides >= limit).sum()) for limit in limits]


# ---- The suppression alone -------------------------------------------------------------------------

NMS = """
return CASES.map(({ boxes, scores, threshold, kind, inclusive }) => {
  const [b, s] = [Float32Array.from(boxes.flat()), Float32Array.from(scores)];
  const rows = scores.map((_, i) => i);
  return (inclusive ? inclusiveNms(rows, b, s, threshold, kind) : nms(rows, b, s, threshold, { kind })).kept;
});
"""


def test_nms_of_the_page_equals_the_librarys(browse: Browse, page: str) -> None:
    rng = np.random.default_rng(0)
    cases, expected = [], []
    for number in range(240):
        K = int(rng.integers(0, 40))
        corner = rng.uniform(-5, 20, (K, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(-0.5, 12, (K, 2))], axis=1).astype(np.float32)
        if number % 3 == 0:
            boxes = boxes.round()  # overlaps that are exactly the threshold, and boxes that are equal
        inclusive = number % 2 == 1
        scores = rng.permutation(K).astype(np.float32) / 64
        if not inclusive:
            scores = (scores * 8).round() / 8  # equal scores, whose order the library lays down
        threshold, kind = [0.0, 0.25, 0.4, 0.5, 0.7, 1.0][number % 6], ["union", "min"][number // 2 % 2]
        if K > 1 and kind == "union" and not inclusive:
            # The overlap of two boxes as threshold: whether it is above itself is a matter of the last bit.
            threshold = max(float(iou(boxes[:1], boxes[1:]).max()), 0.0)
        cases.append(
            {
                "boxes": boxes.tolist(),
                "scores": scores.tolist(),
                "threshold": threshold,
                "kind": kind,
                "inclusive": inclusive,
            }
        )
        suppress = inclusive_nms if inclusive else nms
        expected.append(suppress(boxes, scores, threshold, overlap=kind).tolist())
    assert browse(page, f"const CASES = {json.dumps(cases)};" + NMS) == expected


UNSURE = """
const boxes = Float32Array.from([0, 0, 9, 9,  5, 0, 14, 9,  10, 0, 19, 9]);
const scores = Float32Array.from([0.9, 0.9, 0.5]);
const tied = inclusiveNms([0, 1, 2], boxes, scores, 0.2, "union");
const apart = inclusiveNms([0, 1, 2], boxes, Float32Array.from([0.9, 0.8, 0.5]), 0.2, "union");
return [tied.kept, tied.unsure, apart.kept, apart.unsure];
"""


def test_equal_scores_whose_order_matters_are_told(browse: Browse, page: str) -> None:
    """The middle box drops both others if it goes first; if the left one does, two are left."""
    assert browse(page, UNSURE) == [[1], True, [0, 2], False]
