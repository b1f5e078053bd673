"""The same faces as the reference implementations find, photograph by photograph.

The portrait that comes with matplotlib is always tested, the other twelve if ``MINIDET_DATA`` names their
folder. Where the reference numbers come from: docs/compat.md.
"""

import json
from pathlib import Path

import numpy as np

ORACLES = Path(__file__).parent.parent / "oracles"


def test_same_faces_as_the_reference(detector, photograph, photograph_path):
    name = type(detector).__name__.lower()
    reference = json.loads((ORACLES / f"photos_{name}.json").read_text())[photograph]
    boxes = np.array([face["box"] for face in reference])
    scores = np.array([face["score"] for face in reference])
    landmarks = np.array([face["landmarks"] for face in reference])

    faces = detector.detect(photograph_path)

    # The references list faces in orders of their own, so each is paired with the nearest box.
    distances = np.abs(faces.boxes[:, None] - boxes).max(axis=2)  # (ours, theirs)
    partner = distances.argmin(axis=1)
    assert sorted(partner.tolist()) == list(range(len(reference)))
    assert np.abs(faces.boxes - boxes[partner]).max() < 0.05
    assert np.abs(faces.landmarks - landmarks[partner]).max() < 0.05
    assert np.abs(faces.scores - scores[partner]).max() < 1e-4
