"""A network with five levels in the page: each has a colour, and its anchors are told in whole pixels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import minidet
from minidet.explain import explain
from minidet.models.retinaface import Architecture
from minidet.nn import initialise
from minidet.weights import save_npz
from tests.oracles.cases import Numbers

FIVE = Architecture(levels=5)

SEEN = """
const { node, set } = views[0];
const colours = (selector, property) =>
  [...node.querySelectorAll(selector)].map((one) => getComputedStyle(one)[property]);
const seen = {};
set({ step: "features" });
seen.note = node.querySelector(".note").textContent;
set({ step: "anchors" });
seen.boxes = colours("path.box", "stroke");
seen.legend = colours(".key .swatch", "borderTopColor");
seen.rows = [...node.querySelectorAll("tr:has(th .swatch)")].map((row) =>
  [row.querySelector("th").textContent.trim(), row.querySelector("td").textContent]);
seen.ink = getComputedStyle(document.body).color;
return seen;
"""


def test_every_level_has_a_colour(browse: Callable[..., Any], tmp_path: Path) -> None:
    network = FIVE.build()
    initialise(network, np.random.default_rng(0))
    save_npz(tmp_path / "five.npz", network.state_dict(), architecture=FIVE.name)
    image = Numbers("image").whole(0, 255, 60, 90, 3).astype(np.uint8)
    seen = browse(explain(image, [minidet.RetinaFace(weights=tmp_path / "five.npz")]), SEEN)
    assert "at 5 sizes" in seen["note"]
    assert len(set(seen["boxes"])) == len(seen["boxes"]) == 5
    assert "none" not in seen["boxes"]
    assert len(set(seen["legend"])) == len(seen["legend"]) == 5
    assert seen["ink"] not in seen["legend"]  # the colour of what has none of its own
    assert seen["rows"] == [
        ["stride 4", "16, 20, 25"],
        ["stride 8", "32, 40, 51"],
        ["stride 16", "64, 81, 102"],
        ["stride 32", "128, 161, 203"],
        ["stride 64", "256, 323, 406"],
    ]
