"""Memory stays flat over images of many sizes, and one very large image stays within bounds."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the peak there"),
]

# Megabytes for one image of 3840 x 2160, everything included: Python, Numba, the image.
PEAKS = {"MTCNN": 400, "RetinaFace": 700}

PREAMBLE = """
import re, sys
import numpy as np
import minidet

def peak():  # megabytes; what getrusage tells includes the process that has started this one
    (kilobytes,) = re.findall(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())
    return int(kilobytes) / 1e3

rng = np.random.default_rng(0)
detector = getattr(minidet, sys.argv[1])()
"""


def run(code, detector):
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + code, detector], capture_output=True, text=True, check=True
    )
    return [float(word) for word in done.stdout.split()]


@pytest.mark.parametrize("detector", PEAKS)
def test_memory_is_flat_over_many_sizes(detector):
    code = """
def detect(height, width):
    detector.detect(rng.integers(0, 256, (height, width, 3), np.uint8))

detect(800, 800)  # the largest first, so that what comes later needs no more
for count in (20, 150):
    for height, width in rng.integers(1, 800, (count, 2)):
        detect(height, width)
    print(peak())
"""
    after_20, after_170 = run(code, detector)
    assert after_170 - after_20 < 25  # the tenth part of an image forgotten would be more


@pytest.mark.parametrize("detector", PEAKS)
def test_one_large_image(detector):
    code = """
detector.detect(np.zeros((64, 64, 3), np.uint8))
detector.detect(rng.integers(0, 256, (2160, 3840, 3), np.uint8))
print(peak())
"""
    (megabytes,) = run(code, detector)
    assert megabytes < PEAKS[detector]
