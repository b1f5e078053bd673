"""What is embedded in the page, read without a browser."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minidet
from minidet.explain import explain
from minidet.explain import mtcnn as record_of_mtcnn
from minidet.explain import retinaface as record_of_retinaface
from minidet.explain.mtcnn import record_mtcnn
from minidet.explain.pictures import HEAT, crop_sheet, heat_map, numbers, photo, shrunk
from minidet.explain.retinaface import level_of_anchor, record_retinaface

Record = Callable[[str], dict[str, Any]]


def floats(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4")


def picture(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))


# ---- RetinaFace ------------------------------------------------------------------------------------


def test_retinafaces_candidates(record: Record, group: np.ndarray) -> None:
    found = record("retinaface")
    trace = minidet.RetinaFace(score_threshold=0.02).trace(group)
    candidates, order = found["candidates"], trace["candidates"]["candidates"]
    assert found["floor"] == 0.02
    np.testing.assert_array_equal(floats(candidates["score"]), trace["candidates"]["scores"])
    np.testing.assert_array_equal(floats(candidates["box"]).reshape(-1, 4), trace["decode"]["boxes"])
    np.testing.assert_array_equal(
        floats(candidates["landmarks"]).reshape(-1, 5, 2), trace["decode"]["landmarks"]
    )
    anchors = trace["anchors"]["anchors"]
    np.testing.assert_array_equal(floats(candidates["anchor"]).reshape(-1, 4), anchors[order])
    sides = (anchors[:, 2] - anchors[:, 0])[order]
    assert candidates["level"] == np.searchsorted([48, 192], sides).tolist()
    assert sum(level["anchors"] for level in found["levels"]) == len(anchors)
    assert found["library"] == {
        "candidates": int((floats(candidates["score"]) > 0.5).sum()),
        "kept": len(minidet.RetinaFace().detect(group)),
    }
    assert [name for name, _ in found["seconds"]] == [step.name for step in trace]


def test_retinafaces_maps(record: Record, group: np.ndarray) -> None:
    features = minidet.RetinaFace().trace(group).features
    shown = {feature["name"]: feature for feature in record("retinaface")["features"]}
    assert list(shown) == list(features)
    for name, values in features.items():
        feature = shown[name]
        mean = np.abs(values[0]).mean(axis=0)
        assert feature["shape"] == list(values.shape[1:])
        assert (feature["low"], feature["high"]) == (mean.min(), mean.max())
        image = picture(feature["mean"])
        assert image.size == mean.shape[::-1]
        grey = np.asarray(image.convert("RGB")).astype(int).sum(axis=2)
        assert np.corrcoef(grey.ravel(), mean.ravel())[0, 1] > 0.9
        spread = values[0].std(axis=(1, 2))
        chosen = [channel["channel"] for channel in feature["channels"]]
        assert chosen == sorted(chosen)
        assert spread[chosen].min() >= np.delete(spread, chosen).max()


def test_a_shrunk_image_has_its_anchors_in_pixels_of_the_original(group: np.ndarray) -> None:
    found = record_retinaface(minidet.RetinaFace(max_side=225), group)
    assert found["input"] == [225, 150]
    anchor, box = (floats(found["candidates"][name]).reshape(-1, 4) for name in ("anchor", "box"))
    assert set(np.unique(anchor[:, 2] - anchor[:, 0])) <= {32, 64, 128, 256, 512, 1024}
    best = (anchor[0] + anchor[0][[2, 3, 0, 1]]) / 2 - (box[0] + box[0][[2, 3, 0, 1]]) / 2
    assert np.abs(best).max() < 20


def test_a_threshold_below_the_floor_is_the_floor(group: np.ndarray) -> None:
    found = record_retinaface(minidet.RetinaFace(score_threshold=0.01), group)
    assert found["floor"] == 0.01
    assert len(found["candidates"]["level"]) == found["library"]["candidates"]


def test_many_candidates_raise_the_floor(monkeypatch: pytest.MonkeyPatch, group: np.ndarray) -> None:
    monkeypatch.setattr(record_of_retinaface, "MOST_CANDIDATES", 40)
    found = record_retinaface(minidet.RetinaFace(), group)
    scores = floats(found["candidates"]["score"])
    assert 0.02 < found["floor"] <= 0.5
    assert len(scores) <= 40 or found["floor"] == 0.5
    monkeypatch.setattr(record_of_retinaface, "MOST_CANDIDATES", 1)
    assert record_retinaface(minidet.RetinaFace(), group)["floor"] == 0.5


def test_levels_of_anchors_at_odd_sizes() -> None:
    anchors = minidet.boxes.generate_anchors(37, 65)
    sides = anchors[:, 2] - anchors[:, 0]
    np.testing.assert_array_equal(level_of_anchor(37, 65), np.searchsorted([48, 192], sides))


# ---- MTCNN -----------------------------------------------------------------------------------------


def test_mtcnns_windows_are_those_of_the_library(record: Record, group: np.ndarray) -> None:
    """Each window the library looks at is in the table, with the same scores and boxes to the last bit."""
    table = record("mtcnn")["windows"]
    trace = minidet.MTCNN().trace(group)
    box, rnet_box, onet_box, face_box = (
        floats(table[name]).reshape(-1, 4) for name in ("box", "rnet_box", "onet_box", "face_box")
    )
    level = np.repeat(np.arange(len(trace["propose"]["per_level"])), trace["propose"]["per_level"])
    row_of = {(table["level"][i], *box[i]): i for i in range(len(box))}
    assert len(row_of) == len(box)
    rows = np.array([row_of[(level[k], *window)] for k, window in enumerate(trace["propose"]["boxes"])])
    np.testing.assert_array_equal(floats(table["pnet_score"])[rows], trace["propose"]["scores"])
    rows = rows[trace["merge"]["kept"]]
    np.testing.assert_array_equal(rnet_box[rows], trace["merge"]["boxes"])
    np.testing.assert_array_equal(floats(table["rnet_score"])[rows], trace["rnet"]["scores"])
    rows = rows[trace["refine"]["passed"]][trace["refine"]["kept"]]
    np.testing.assert_array_equal(onet_box[rows], trace["refine"]["boxes"])
    np.testing.assert_array_equal(floats(table["onet_score"])[rows], trace["onet"]["scores"])
    rows = rows[trace["output"]["passed"]][trace["output"]["kept"]]
    faces = trace.detections
    best_first = np.argsort(-floats(table["onet_score"])[rows], kind="stable")
    np.testing.assert_array_equal(face_box[rows][best_first], faces.boxes)
    np.testing.assert_array_equal(
        floats(table["landmarks"]).reshape(-1, 5, 2)[rows][best_first], faces.landmarks
    )


def test_mtcnns_windows_are_in_the_order_of_the_library(record: Record) -> None:
    found = record("mtcnn")
    level, score = np.array(found["windows"]["level"]), floats(found["windows"]["pnet_score"])
    assert found["floors"] == [0.3, 0, 0]
    assert score.min() >= 0.3
    assert (np.lexsort((-score, level)) == np.arange(len(level))).all()


def test_mtcnns_crops(record: Record, group: np.ndarray) -> None:
    found = record("mtcnn")
    table, trace = found["windows"], minidet.MTCNN().trace(group)
    scores = floats(table["onet_score"])
    k = len(trace["onet"]["boxes"]) // 2
    row = int(
        np.flatnonzero((floats(table["onet_box"]).reshape(-1, 4) == trace["onet"]["boxes"][k]).all(axis=1))[0]
    )
    place, crop = table["onet_crop"][row], trace["onet"]["crops"][k]
    assert sorted(p for p in table["onet_crop"] if p >= 0) == list(range((scores >= 0).sum()))
    top, left = place // found["crops_per_row"] * 48, place % found["crops_per_row"] * 48
    shown = np.asarray(picture(table["onet_sheet"]))[top : top + 48, left : left + 48].astype(float)
    assert np.abs(shown - crop).mean() < 6
    assert picture(table["rnet_sheet"]).size == (40 * 24, -(-len(scores) // 40) * 24)


def test_mtcnns_levels(record: Record, group: np.ndarray) -> None:
    trace = minidet.MTCNN().trace(group)
    for k, level in enumerate(record("mtcnn")["levels"]):
        scores, pixels = trace["pnet"]["scores"][k], trace["pyramid"]["levels"][k]
        assert level["scale"] == trace["pyramid"]["scales"][k]
        assert level["size"] == [pixels.shape[1], pixels.shape[0]]
        assert picture(level["picture"]).size == tuple(level["size"])
        assert picture(level["heat"]).size == tuple(level["cells"]) == scores.shape[::-1]
        assert level["highest"] == scores.max()


def test_many_windows_raise_the_floors(monkeypatch: pytest.MonkeyPatch, group: np.ndarray) -> None:
    monkeypatch.setattr(record_of_mtcnn, "MOST_WINDOWS", 800)
    monkeypatch.setattr(record_of_mtcnn, "MOST_CROPS", 20)
    found = record_mtcnn(minidet.MTCNN(), group)
    assert found["floors"][0] in (0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
    assert len(found["windows"]["level"]) <= 800
    score, place = floats(found["windows"]["pnet_score"]), np.array(found["windows"]["rnet_crop"])
    assert (place >= 0).sum() == 20
    assert score[place >= 0].min() >= score[place < 0].max()
    monkeypatch.setattr(record_of_mtcnn, "MOST_WINDOWS", 1)
    found = record_mtcnn(minidet.MTCNN(), group)
    assert found["floors"] == [0.6, 0.35, 0]
    assert found["library"]["faces"] == len(minidet.MTCNN().detect(group))


def test_a_low_threshold_is_the_floor(group: np.ndarray) -> None:
    found = record_mtcnn(minidet.MTCNN(score_thresholds=(0.2, 0.7, 0.7), min_face_size=40), group)
    assert found["floors"] == [0.2, 0, 0]


def test_the_detector_is_left_as_it_was(group: np.ndarray) -> None:
    for detector in (minidet.MTCNN(min_face_size=40), minidet.RetinaFace()):
        before = detector.settings
        explain(group[:100, :100], [detector])
        assert detector.settings is before


# ---- Pictures and errors ---------------------------------------------------------------------------


def test_colours_of_a_heat_map() -> None:
    image = picture(heat_map(np.array([[-1.0, 0.0, 0.5, 1.0, 9.0]]), 0, 1))
    assert [image.convert("RGB").getpixel((x, 0)) for x in (0, 1, 3, 4)] == [
        HEAT[0],
        HEAT[0],
        HEAT[-1],
        HEAT[-1],
    ]
    assert np.abs(np.array(image.convert("RGB").getpixel((2, 0))) - HEAT[2]).max() <= 3
    assert picture(heat_map(np.ones((2, 3)), 1, 1)).size == (3, 2)


def test_a_photo_is_shrunk_only_if_too_large() -> None:
    image = np.zeros((30, 60, 3), np.uint8)
    assert picture(photo(image, 60)).size == (60, 30)
    assert picture(photo(image, 20)).size == (20, 10)


def test_a_map_is_shrunk_only_if_too_large() -> None:
    values = np.arange(12.0).reshape(2, 6)
    np.testing.assert_array_equal(shrunk(values, 6), values)
    np.testing.assert_array_equal(shrunk(values, 5), [[3.5, 5.5, 7.5]])


def test_numbers_and_sheets_of_nothing() -> None:
    assert numbers(np.zeros((0, 4))) == ""
    assert crop_sheet(np.zeros((0, 24, 24, 3), np.float32)) == ""


def test_errors() -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    with pytest.raises(minidet.InputError, match="no detector; expected at least one"):
        explain(image, [])
    with pytest.raises(TypeError, match="explain: str; expected MTCNN or RetinaFace"):
        explain(image, ["mtcnn"])
