"""The fast backend finds the faces that the readable one finds."""

import threading

import numpy as np
import pytest

import minidet
from minidet.image import read_image

PIXELS, SCORE = 0.05, 1e-4


@pytest.fixture(scope="module")
def readable():
    return {"mtcnn": minidet.MTCNN(backend="readable"), "retinaface": minidet.RetinaFace(backend="readable")}


@pytest.fixture(params=["mtcnn", "retinaface"])
def both(request, readable):
    """Return the fast and the readable detector."""
    return request.getfixturevalue(request.param), readable[request.param]


def assert_same_faces(faces, expected):
    assert len(faces) == len(expected)
    used = []
    for face in faces:
        nearest_index = np.abs(expected.boxes - face.box).max(axis=1).argmin()
        nearest = expected[nearest_index]
        assert np.abs(nearest.box - face.box).max() < PIXELS
        assert np.abs(nearest.landmarks - face.landmarks).max() < PIXELS
        assert abs(nearest.score - face.score) < SCORE
        used.append(nearest_index)
    assert len(set(used)) == len(expected)  # no face stands for two


def test_on_photographs(both, photograph_path):
    fast, readable = both
    image = read_image(photograph_path)
    assert_same_faces(fast.detect(image), readable.detect(image))


def test_the_trace_has_the_steps_and_the_faces_of_detect(both, portrait):
    fast, readable = both
    trace, expected = fast.trace(portrait), readable.trace(portrait)
    assert [step.name for step in trace] == [step.name for step in expected]
    for step, other in zip(trace, expected, strict=True):
        assert list(step.values) == list(other.values)
    faces = fast.detect(portrait)
    for name in ("boxes", "scores", "landmarks"):
        np.testing.assert_array_equal(getattr(trace.detections, name), getattr(faces, name))


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (11, 13), (20, 20), (23, 57)], ids=str)
def test_on_small_images(both, size):
    fast, readable = both
    image = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    assert_same_faces(fast.detect(image), readable.detect(image))


def test_on_a_shrunk_image(portrait):
    fast, readable = (minidet.RetinaFace(max_side=300, backend=backend) for backend in ("fast", "readable"))
    assert_same_faces(fast.detect(portrait), readable.detect(portrait))


def test_eight_python_threads_share_one_detector(detector, portrait):
    """Bit for bit, whichever thread has the helpers."""
    images = [np.ascontiguousarray(portrait[i : 350 + i : 2, 40 * i : 300 + 20 * i : 2]) for i in range(8)]
    expected = [detector.detect(image) for image in images]
    results = [[] for _ in images]

    def work(i):
        for _ in range(5):
            results[i].append(detector.detect(images[i]))

    workers = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for wanted, repeated in zip(expected, results, strict=True):
        assert len(repeated) == 5
        for faces in repeated:
            for name in ("boxes", "scores", "landmarks"):
                np.testing.assert_array_equal(getattr(faces, name), getattr(wanted, name))


def test_without_a_compiler_there_are_the_definitions(monkeypatch):
    monkeypatch.setattr("numba.core.config.DISABLE_JIT", True)
    assert not minidet.fast.is_available()
    model = minidet.RetinaFace()
    assert model.network == model._model.predict
    with pytest.raises(minidet.InputError, match="switched off by NUMBA_DISABLE_JIT"):
        minidet.fast.compile(model._model)
