"""What the tests share: a portrait, the two default detectors, and photographs with reference results."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

import minidet

# The same examples on every run, however slow the machine, and nothing kept on disk.
settings.register_profile("minidet", derandomize=True, deadline=None, database=None, max_examples=60)
settings.load_profile("minidet")

PORTRAIT = "matplotlib:grace_hopper.jpg"

# In $MINIDET_DATA. Keys of tests/oracles/photos_*.json.
PHOTOGRAPHS = [
    "facemask/images/maksssksksss103.jpg",
    "facemask/images/maksssksksss284.jpg",
    "facemask/images/maksssksksss464.jpg",
    "facemask/images/maksssksksss644.jpg",
    "ibug/afw/1130084326_1.jpg",
    "ibug/afw/2043831280_1.jpg",
    "ibug/afw/2329110240_1.jpg",
    "ibug/afw/2715171150_1.jpg",
    "ibug/afw/342149506_1.jpg",
    "ibug/afw/3944399031_1.jpg",
    "ibug/afw/4337161543_1.jpg",
    "ibug/afw/4739664721_1.jpg",
]


def locate(photograph: str) -> Path:
    """Turn a key of tests/oracles/photos_*.json into a path."""
    if photograph != PORTRAIT:
        return Path(os.environ["MINIDET_DATA"]) / photograph
    # Found without importing matplotlib.
    return (
        Path(importlib.util.find_spec("matplotlib").origin).parent / "mpl-data/sample_data/grace_hopper.jpg"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with an argument ``photograph`` once per photograph at hand: the portrait always is."""
    if "photograph" in metafunc.fixturenames:
        at_hand = [PORTRAIT, *(PHOTOGRAPHS if "MINIDET_DATA" in os.environ else [])]
        metafunc.parametrize("photograph", at_hand, ids=[Path(name).stem for name in at_hand])


@pytest.fixture
def photograph_path(photograph: str) -> Path:
    """The file of ``photograph``."""
    return locate(photograph)


@pytest.fixture(scope="session")
def portrait_path() -> Path:
    """A public-domain portrait of 512 x 600 pixels with one face, which comes with matplotlib."""
    return locate(PORTRAIT)


@pytest.fixture(scope="session")
def portrait(portrait_path: Path) -> np.ndarray:
    """The portrait (600, 512, 3); read-only, since the tests share it."""
    image = minidet.read_image(portrait_path)
    image.flags.writeable = False
    return image


@pytest.fixture(scope="session")
def small_portrait(portrait: np.ndarray) -> np.ndarray:
    """Every fourth pixel of the portrait (150, 128, 3): a face of about 45 x 55 pixels, found quickly."""
    image = np.ascontiguousarray(portrait[::4, ::4])
    image.flags.writeable = False
    return image


@pytest.fixture(scope="session")
def mtcnn() -> minidet.MTCNN:
    """The MTCNN detector with its default settings."""
    return minidet.MTCNN()


@pytest.fixture(scope="session")
def retinaface() -> minidet.RetinaFace:
    """The RetinaFace detector with its default settings."""
    return minidet.RetinaFace()


@pytest.fixture(params=["mtcnn", "retinaface"])
def detector(request: pytest.FixtureRequest) -> minidet.MTCNN | minidet.RetinaFace:
    """Each of the two detectors in turn."""
    return request.getfixturevalue(request.param)
