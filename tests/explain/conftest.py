"""What the tests of the page share: a group picture, its page, and a browser without a window."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minidet
from minidet.datasets import group_picture
from minidet.explain import explain

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a browser."""
    for item in items:
        if "browse" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def group() -> np.ndarray:
    """A group picture of 450 x 300 pixels."""
    image = group_picture(width=450, height=300)
    image.flags.writeable = False
    return image


@pytest.fixture(scope="session")
def page(group: np.ndarray) -> str:
    """The page of both detectors with their default settings."""
    return explain(group, [minidet.RetinaFace(), minidet.MTCNN()], name="a <b> & c.png")


@pytest.fixture(scope="session")
def record(page: str) -> Callable[[str], dict[str, Any]]:
    """Read what is embedded in the page about one detector."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    models = json.loads(found[1])["models"]
    return lambda name: next(model for model in models if model["model"] == name)


@pytest.fixture
def browse(tmp_path: Path) -> Callable[..., Any]:
    """Open a page, run a script in it, and return what the script returns; needs Chromium."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")

    def call(page: str, script: str = "", address: str = "") -> Any:
        run = (
            "<pre id='answer'></pre><script>"
            "{ const answer = (() => {" + script + "})();"
            "document.getElementById('answer').textContent = JSON.stringify(answer ?? null); }</script>"
        )
        path = tmp_path / "page.html"
        path.write_text(page.replace("</body>", run + "</body>"), encoding="utf-8")
        done = subprocess.run(
            [
                *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
                *(f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1280,900"),
                *("--dump-dom", path.as_uri() + address),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        answer = re.search(r'<pre id="answer">(.*?)</pre>', done.stdout, re.DOTALL)
        assert answer, done.stderr[-2000:]
        assert answer[1], "the page's scripts have failed"
        return json.loads(html.unescape(answer[1]))

    return call
