"""Keep what is worth keeping of a training: recipe, summary, curves, and a tenth of the log.

Usage: python scripts/keep_run.py RUN docs/runs/NAME

The log keeps every validation and every tenth step. Photographs, samples, checkpoints and weights stay where
they are.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from PIL import Image

EVERY = 10
COLOURS = 64


def main() -> None:
    """Keep the run, or the three runs of an MTCNN."""
    run, kept = map(Path, sys.argv[1:])
    for log in sorted(run.rglob("log.jsonl")):
        keep(log.parent, kept / log.parent.relative_to(run))
    if (run / "held_out.txt").exists():
        shutil.copy(run / "held_out.txt", kept)


def keep(run: Path, kept: Path) -> None:
    """Keep one run."""
    kept.mkdir(parents=True, exist_ok=True)
    for name in ("recipe.json", "summary.json"):
        shutil.copy(run / name, kept)
    picture = Image.open(run / "curves.png").convert("RGB")
    picture.quantize(COLOURS).save(kept / "curves.png", optimize=True)
    lines = (run / "log.jsonl").read_text().splitlines(keepends=True)
    (kept / "log.jsonl").write_text("".join(line for line in lines if is_kept(json.loads(line))))


def is_kept(record: dict[str, object]) -> bool:
    """Tell whether a line of the log is kept."""
    step = record["step"]
    assert isinstance(step, int)
    return record["kind"] == "validation" or (record["kind"] == "train" and step % EVERY == 0)


if __name__ == "__main__":
    main()
