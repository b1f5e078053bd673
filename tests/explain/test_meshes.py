"""Meshes in the page: which are recorded, and how they are drawn."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minidet
from minidet.explain import explain
from minidet.explain import retinaface as record_of_retinaface
from minidet.explain.retinaface import record_retinaface
from tests.mesh.weights import save_mesh_weights
from tests.oracles.cases import Numbers

Browse = Callable[..., Any]


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return Numbers("image").whole(0, 255, 60, 90, 3).astype(np.uint8)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> minidet.RetinaFace:
    """Finds some of many candidates, at random."""
    path = tmp_path_factory.mktemp("weights") / "meshes.npz"
    save_mesh_weights(path)
    return minidet.RetinaFace(0.5, weights=path)


def recorded(mesh: dict[str, Any]) -> np.ndarray:
    vertices = np.frombuffer(base64.b64decode(mesh["vertices"]), "<f4")
    return vertices.reshape(len(mesh["candidates"]), mesh["vertex_count"], 2)


def test_meshes_of_every_score_are_recorded(detector: minidet.RetinaFace, image: np.ndarray) -> None:
    mesh = record_retinaface(detector, image)["mesh"]
    low = minidet.RetinaFace(0.02, weights=detector.recipe["weights"]).trace(image)
    assert len(low.detections) > len(detector.detect(image)) > 0
    assert mesh["candidates"] == low["nms"]["kept"].tolist()
    assert mesh["triangles"] == detector.topology.triangles.tolist()
    np.testing.assert_array_equal(recorded(mesh), low["mesh"]["vertices"][:, :, :2])


def test_only_so_many_meshes_are_recorded(
    detector: minidet.RetinaFace, image: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = record_retinaface(detector, image)["mesh"]
    monkeypatch.setattr(record_of_retinaface, "MOST_MESHES", 3)
    few = record_retinaface(detector, image)["mesh"]
    assert few["candidates"] == every["candidates"][:3]
    np.testing.assert_array_equal(recorded(few), recorded(every)[:3])


def test_other_networks_have_none(image: np.ndarray) -> None:
    assert "mesh" not in record_retinaface(minidet.RetinaFace(), image)


DRAWN = """
const { record, node, set } = views[0];
const legend = () => [...node.querySelectorAll(".key")].map((key) => key.textContent.trim());
const path = () => node.querySelector("path.box.mesh")?.getAttribute("d") ?? null;
const seen = { legend: legend(), path: path(), note: node.querySelector(".note").textContent };
const halos = node.querySelectorAll("path.halo").length;
const box = node.querySelector(".key.mesh input");
box.click();
seen.hidden = path();
box.click();
seen.again = path() === seen.path;
seen.halos = halos;
seen.colours = [
  getComputedStyle(node.querySelector("path.box.mesh")).stroke,
  getComputedStyle(node.querySelector("path.box.kept")).stroke,
  getComputedStyle(node.querySelector(".key.mesh .swatch")).borderTopColor,
  getComputedStyle(document.body).color,
];
node.querySelector(".scroller").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
seen.tip = node.querySelector(".tip").textContent;
const sides = JSON.parse(node.dataset.faces).map(([x1, y1, x2, y2]) => Math.max(x2 - x1, y2 - y1));
set({ settings: { ...record.settings, min_face: sides.sort((a, b) => a - b)[sides.length >> 1] } });
seen.larger = [legend(), node.querySelector(".note").textContent];
set({ settings: structuredClone(record.settings) });
set({ step: "nms" });
seen.elsewhere = path();
set({ step: "faces", settings: { ...record.settings, iou_threshold: 1 } });
seen.all = [legend()[0], JSON.parse(node.dataset.counts).faces, node.querySelector(".note").textContent];
return seen;
"""


def test_the_page_draws_the_meshes_of_the_faces(
    browse: Browse, detector: minidet.RetinaFace, image: np.ndarray
) -> None:
    seen = browse(explain(image, [detector]), DRAWN)
    vertices = detector.trace(image)["mesh"]["vertices"][:, :, :2]
    corners = vertices[:, detector.topology.triangles].astype(float).reshape(-1, 3, 2)
    (ax, ay), (bx, by), (cx, cy) = corners.transpose(1, 2, 0)
    facing = corners[(bx - ax) * (cy - ay) - (cx - ax) * (by - ay) > 0]
    assert 0 < len(facing) < len(corners)

    drawn = [[float(number) for number in piece[:-1].split()] for piece in seen["path"].split("M")[1:]]
    np.testing.assert_allclose(np.reshape(drawn, (-1, 3, 2)), facing, atol=0.0051)
    assert seen["legend"] == [f"meshes ({len(vertices)})", f"faces ({len(vertices)})"]
    assert "not recorded" not in seen["note"]
    assert (seen["hidden"], seen["again"], seen["elsewhere"], seen["halos"]) == (None, True, None, 1)
    assert "none" not in seen["colours"]
    assert len(set(seen["colours"])) == 4
    assert "a face" in seen["tip"]  # meshes are not what is pointed at
    (meshes, boxes), note = seen["larger"]
    larger = int(boxes.removeprefix("faces (").removesuffix(")"))
    assert 0 < larger < len(vertices)
    assert meshes == f"meshes ({larger})"
    assert "not recorded" not in note
    label, faces, note = seen["all"]
    with_mesh = int(label.removeprefix("meshes (").removesuffix(")"))
    assert len(vertices) <= with_mesh < faces
    assert note.endswith(f"The mesh of {faces - with_mesh} faces was not recorded.")
