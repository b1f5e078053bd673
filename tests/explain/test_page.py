"""The page in a browser: sliders, keys, the pointer, the address; and how heavy it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minidet
from minidet.datasets import group_picture
from minidet.explain import explain
from minidet.explain.page import render

Browse = Callable[..., Any]

COUNTS = "return JSON.parse(document.getElementById('model-{}').dataset.counts);"


def test_a_page_is_one_file_that_loads_nothing(page: str) -> None:
    markup = re.sub(r'"data:image/[a-z]+;base64,[^"]*"', '""', page)
    assert set(re.findall(r"\w+://[^\s\"'`]+", markup)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<link|<script[^>]* src|@import|fetch\(|XMLHttpRequest|<iframe", markup)


def test_names_cannot_break_the_page(page: str) -> None:
    assert "<title>a &lt;b&gt; &amp; c.png – minidet explain</title>" in page
    assert "<b> & c.png" not in page
    text = render("</script>{{data}}", '{"name": "</script>{{style}}"}')
    assert '{"name": "\\u003c/script>{{style}}"}' in text
    assert "<title>&lt;/script&gt;{{data}} " in text


def test_the_page_shows_what_was_given(browse: Browse, page: str, group: np.ndarray) -> None:
    shown = browse(
        page,
        """return {
          title: document.title, name: document.getElementById("name").textContent,
          tabs: [...document.querySelectorAll("#tabs button")].map((tab) => tab.textContent),
          hidden: [...document.querySelectorAll(".model")].map((model) => model.hidden),
          bad: document.querySelectorAll(".check.bad").length,
        };""",
    )
    assert shown == {
        "title": "a <b> & c.png – minidet explain",
        "name": "a <b> & c.png",
        "tabs": [
            f"RetinaFace: {len(minidet.detect(group))} faces",
            f"MTCNN: {len(minidet.detect(group, 'mtcnn'))} faces",
        ],
        "hidden": [False, True],
        "bad": 0,
    }


MOVE = """
const slider = document.getElementById(SLIDER);
slider.value = VALUE;
slider.dispatchEvent(new Event("input"));
"""


@pytest.mark.parametrize("score", [0.02, 0.3, 0.7, 0.98])
def test_moving_retinafaces_slider(browse: Browse, page: str, group: np.ndarray, score: float) -> None:
    script = f"const SLIDER = 'retinaface-score', VALUE = {score};" + MOVE + COUNTS.format("retinaface")
    trace = minidet.RetinaFace(score).trace(group)
    counts = browse(page, script)
    assert counts["candidates"] == len(trace["candidates"]["candidates"])
    assert counts["faces"] == len(trace.detections)


@pytest.mark.parametrize(
    ("slider", "score_thresholds"),
    [("pnet", (0.9, 0.7, 0.7)), ("rnet", (0.6, 0.2, 0.7)), ("onet", (0.6, 0.7, 0.1))],
)
def test_moving_mtcnns_sliders(
    browse: Browse, page: str, group: np.ndarray, slider: str, score_thresholds: tuple[float, float, float]
) -> None:
    value = score_thresholds[["pnet", "rnet", "onet"].index(slider)]
    script = f"const SLIDER = 'mtcnn-{slider}', VALUE = {value};" + MOVE + COUNTS.format("mtcnn")
    trace = minidet.MTCNN(score_thresholds=score_thresholds).trace(group)
    counts = browse(page, script)
    assert counts["merged"] == len(trace["merge"]["kept"])
    assert counts["refined"] == len(trace["refine"]["kept"])
    assert counts["faces"] == len(trace.detections)


def test_the_address_sets_sliders_detector_and_step(browse: Browse, page: str, group: np.ndarray) -> None:
    script = """return {
      visible: document.querySelector(".model:not([hidden])").id,
      step: document.querySelector(".model:not([hidden]) .steps [aria-selected=true]").dataset.step,
      counts: JSON.parse(document.getElementById("model-mtcnn").dataset.counts),
      number: document.getElementById("mtcnn-onet").nextSibling.valueAsNumber,
      other: document.getElementById("retinaface-score").valueAsNumber,
    };"""
    shown = browse(page, script, "#model=mtcnn&step=rnet&mtcnn.onet=0.995&mtcnn.rnet=0.5&mtcnn.pnet=7&x=1")
    trace = minidet.MTCNN(score_thresholds=(0.6, 0.5, 0.995)).trace(group)
    assert (shown["visible"], shown["step"], shown["number"]) == ("model-mtcnn", "rnet", 0.995)
    assert shown["other"] == 0.5
    assert shown["counts"]["passed_rnet"] == len(trace["refine"]["passed"])
    assert shown["counts"]["faces"] == len(trace.detections)


def test_moving_a_slider_is_kept_in_the_address_and_can_be_undone(browse: Browse, page: str) -> None:
    script = """
      const moved = location.hash;
      const before = document.getElementById("model-retinaface").dataset.counts;
      document.querySelector("#model-retinaface .sliders button").click();
      return [moved, location.hash, before === document.getElementById("model-retinaface").dataset.counts];"""
    moved, undone, same = browse(page, "const SLIDER = 'retinaface-score', VALUE = 0.9;" + MOVE + script)
    assert moved == "#model=retinaface&step=faces&retinaface.score=0.9"
    assert undone == "#model=retinaface&step=faces"
    assert not same


KEYS = """
const view = document.querySelector("#model-retinaface");
const press = (node, key) =>
  node.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const boxes = view.querySelector(".scroller"), tip = view.querySelector(".tip");
boxes.focus();
const states = [tip.hidden];
for (const key of ["ArrowRight", "ArrowRight", "ArrowLeft", "End", "Home", "Escape"]) {
  press(boxes, key);
  states.push(tip.hidden ? null : tip.children[1].textContent);
}
const said = document.getElementById("status").textContent;
"""


def test_the_arrow_keys_step_through_the_boxes_and_tell_their_numbers(
    browse: Browse, page: str, group: np.ndarray
) -> None:
    states, said = browse(page, KEYS + "return [states, said];")
    scores = [f"score {score:.4f}" for score in minidet.RetinaFace().detect(group).scores]
    assert states == [True, scores[0], scores[1], scores[0], scores[-1], scores[0], None]
    assert scores[0] in said
    assert "box " in said


def test_the_arrow_keys_go_from_step_to_step_and_from_detector_to_detector(browse: Browse, page: str) -> None:
    script = """
      const steps = view.querySelector(".steps");
      steps.querySelector("[aria-selected=true]").focus();
      press(document.activeElement, "ArrowLeft");
      const chosen = steps.querySelector("[aria-selected=true]");
      const left = [document.activeElement.dataset.step, chosen.dataset.step];
      press(document.activeElement, "Home");
      const home = document.activeElement.dataset.step;
      document.getElementById("tab-retinaface").focus();
      press(document.activeElement, "ArrowRight");
      return [left, home, document.activeElement.id, document.getElementById("model-mtcnn").hidden];"""
    assert browse(page, KEYS + script) == [["nms", "nms"], "features", "tab-mtcnn", False]


def test_pointing_at_a_box_tells_its_numbers(browse: Browse, page: str, group: np.ndarray) -> None:
    faces = minidet.RetinaFace().detect(group)
    x, y = (faces.boxes[0, :2] + faces.boxes[0, 2:]) / 2
    script = f"""
      const scroller = document.querySelector("#model-retinaface .scroller");
      const tip = scroller.querySelector(".tip");
      const area = scroller.querySelector(".stage").getBoundingClientRect();
      const scale = area.width / {group.shape[1]};
      const at = (x, y) => {{
        const place = {{ clientX: area.left + x * scale, clientY: area.top + y * scale, bubbles: true }};
        scroller.dispatchEvent(new PointerEvent("pointermove", place));
        return tip.hidden ? null : [...tip.children].map((line) => line.textContent).join(" | ");
      }};
      return [at({x}, {y}), at(1, 1)];"""
    text, nothing = browse(page, script)
    assert f"score {faces.scores[0]:.4f}" in text
    assert "box " + " ".join(f"{edge:.1f}" for edge in faces.boxes[0]) in text
    assert nothing is None


def test_every_step_of_both_detectors_can_be_shown(browse: Browse, page: str) -> None:
    script = """
      const seen = {};
      for (const { record, view, set, node } of views) {
        seen[record.model] = [];
        showModel(record.model);
        for (const id of [...node.querySelectorAll(".steps button")].map((button) => button.dataset.step)) {
          set({ step: id });
          const number = (key) => Number(key.textContent.match(/\\((\\d+)\\)/)[1]);
          const legend = [...node.querySelectorAll(".key")].map(number);
          const [crops, cards] = [".crop", ".card"].map((kind) => node.querySelectorAll(kind).length);
          seen[record.model].push([id, legend, crops, cards]);
        }
      }
      return [seen, views.map(({ node }) => JSON.parse(node.dataset.counts))];"""
    seen, (retinaface, mtcnn) = browse(page, script)
    steps = {id: (legend, crops, cards) for id, legend, crops, cards in seen["mtcnn"]}
    assert steps["windows"][0] == [mtcnn["windows"]]
    assert steps["within"][0] == [mtcnn["windows"] - mtcnn["proposed"], mtcnn["proposed"]]
    assert steps["across"][0] == [mtcnn["proposed"] - mtcnn["merged"], mtcnn["merged"]]
    assert steps["rnet"][0] == [mtcnn["rnet"] - mtcnn["passed_rnet"], mtcnn["passed_rnet"]]
    assert steps["rnet"][1] == min(240, mtcnn["rnet"])
    assert steps["onet"][0] == [mtcnn["onet"] - mtcnn["passed_onet"], mtcnn["passed_onet"]]
    assert steps["onet"][1] == mtcnn["onet"] < 240
    assert steps["final"][0] == [mtcnn["passed_onet"] - mtcnn["faces"], mtcnn["faces"]]
    assert steps["pyramid"][2] == len(mtcnn["per_level"])
    steps = {id: (legend, crops, cards) for id, legend, crops, cards in seen["retinaface"]}
    assert steps["features"][2] == 9 * 7
    assert sum(steps["anchors"][0]) == retinaface["candidates"]
    assert steps["nms"][0] == [retinaface["candidates"] - retinaface["kept"], retinaface["kept"]]


def test_every_candidate_has_one_fate_and_belongs_to_one_group(browse: Browse, page: str) -> None:
    script = """
      return views.map(({ record }) => {
        const result = replay(record, record.settings);
        const fates = (record.model === "mtcnn" ? mtcnnFates : retinafaceFates)(record, result);
        const boxes = record.model === "mtcnn" ? record.windows.box : record.candidates.box;
        const groups = groupFates(fates, (i) => -i, (i) => boxOf(boxes, i));
        return {
          members: groups.flatMap((group) => group.members).sort((a, b) => a - b), all: fates.length,
          faces: groups.filter((group) => group.stage === "face").length,
          stages: fates.map((fate) => fate.stage),
          leaders: groups.map((group) => group.stage), counts: result.counts,
        };
      });"""
    retinaface, mtcnn = browse(page, script)
    for told in (retinaface, mtcnn):
        assert not {"within", "across", "refine", "final", "nms"} & set(told["leaders"])
        assert told["members"] == list(range(told["all"]))
        assert told["faces"] == told["counts"]["faces"] == told["stages"].count("face")
    counts, stages = mtcnn["counts"], mtcnn["stages"]
    assert stages.count("pnet") == mtcnn["all"] - counts["windows"]
    assert stages.count("within") == counts["windows"] - counts["proposed"]
    assert stages.count("across") == counts["proposed"] - counts["merged"]
    assert stages.count("rnet") == counts["rnet"] - counts["passed_rnet"]
    assert stages.count("refine") == counts["passed_rnet"] - counts["refined"]
    assert stages.count("onet") == counts["onet"] - counts["passed_onet"]
    assert stages.count("final") == counts["passed_onet"] - counts["faces"]
    counts, stages = retinaface["counts"], retinaface["stages"]
    assert stages.count("score") == retinaface["all"] - counts["candidates"]
    assert stages.count("nms") == counts["candidates"] - counts["kept"]


@pytest.mark.parametrize("shape", [(8, 8), (40, 13)])
def test_an_image_without_faces(browse: Browse, shape: tuple[int, int]) -> None:
    page = explain(np.zeros((*shape, 3), np.uint8), [minidet.MTCNN(), minidet.RetinaFace()])
    script = (
        "return [document.body.dataset.ready > 0, views.map(({ node }) => JSON.parse(node.dataset.faces))];"
    )
    assert browse(page, script) == [True, [[], []]]
    steps = """
      return views.map(({ record, set, node }) => {
        showModel(record.model);
        const ids = [...node.querySelectorAll(".steps button")].map((button) => button.dataset.step);
        ids.forEach((step) => set({ step }));
        return ids.length;
      });"""
    assert browse(page, steps) == [12, 5]


def test_the_page_of_a_group_picture_is_light_and_opens(browse: Browse) -> None:
    page = explain(group_picture(), [minidet.RetinaFace(), minidet.MTCNN()])
    assert len(page.encode()) < 8e6
    assert browse(page, "return Number(document.body.dataset.ready);") > 0  # milliseconds until it was drawn
