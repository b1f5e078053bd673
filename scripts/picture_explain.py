"""Make the pictures of docs/explain.md: screenshots of the page of a group picture, by headless Chromium.

python scripts/picture_explain.py
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

import minidet
from minidet.datasets import group_picture
from minidet.explain import explain

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"

SHOTS = {  # name: (address, width, height, dark)
    "explain_pyramid": ("#model=mtcnn&step=pyramid", 1280, 1240, False),
    "explain_onet": ("#model=mtcnn&step=onet", 1280, 1240, True),
    "explain_phone": ("#model=retinaface&step=decode", 390, 1180, True),
}


def main() -> None:
    """Make the page, take the pictures, reduce their colours."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("no Chromium; apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        page, shot = Path(folder, "page.html"), Path(folder, "shot.png")
        detectors = [minidet.RetinaFace(), minidet.MTCNN()]
        page.write_text(explain(group_picture(), detectors, name="a group picture"), encoding="utf-8")
        for name, (address, width, height, dark) in SHOTS.items():
            subprocess.run(
                [
                    *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                    *(f"--user-data-dir={folder}/profile", f"--window-size={width},{height}"),
                    *(["--blink-settings=preferredColorScheme=0"] if dark else []),
                    *(f"--screenshot={shot}", page.as_uri() + address),
                ],
                check=True,
                stderr=subprocess.DEVNULL,
            )
            with Image.open(shot) as picture:
                reduced = picture.convert("RGB").quantize(255, dither=Image.Dither.NONE)
            reduced.save(IMAGES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
