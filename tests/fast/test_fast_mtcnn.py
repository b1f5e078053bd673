"""The compiled cascade, step by step, against the readable one."""

import threading

import numpy as np
import pytest

import minidet
from minidet.boxes import iou, nms
from minidet.detectors import MTCNNSettings
from minidet.detectors import detect_mtcnn as detect_readably
from minidet.detectors.mtcnn import cell_windows
from minidet.fast import get_num_threads, set_num_threads
from minidet.fast.mtcnn import crop_windows, detect_mtcnn, nms_within_levels
from minidet.fast.plans.onet import CompiledONet
from minidet.fast.plans.pnet import CompiledPNet
from minidet.fast.plans.rnet import CompiledRNet
from minidet.image import crop_squares, read_image
from minidet.trace import Trace
from tests.fast.kernels.arena import agreement

ARRAYS = ("boxes", "scores", "landmarks")


@pytest.fixture(scope="module")
def readable():
    detector = minidet.MTCNN(backend="readable")
    return detector.pnet, detector.rnet, detector.onet


@pytest.fixture(scope="module")
def compiled(readable):
    pnet, rnet, onet = (network.__self__ for network in readable)
    return CompiledPNet(pnet), CompiledRNet(rnet), CompiledONet(onet)


@pytest.fixture(autouse=True)
def threads_as_before():
    before = get_num_threads()
    yield
    set_num_threads(before)


def assert_same_faces(faces, expected):
    assert len(faces) == len(expected)
    if len(faces) == 0:
        return
    partner = iou(faces.boxes, expected.boxes).argmax(axis=1)
    assert sorted(partner.tolist()) == list(range(len(expected)))
    assert np.abs(faces.boxes - expected.boxes[partner]).max() < 0.05
    assert np.abs(faces.landmarks - expected.landmarks[partner]).max() < 0.05
    assert np.abs(faces.scores - expected.scores[partner]).max() < 1e-4


@pytest.mark.parametrize("crop_border", ["clip", "zero"])
def test_the_faces_of_a_photograph(readable, compiled, photograph_path, crop_border):
    image, settings = read_image(photograph_path), MTCNNSettings(crop_border=crop_border)
    assert_same_faces(detect_mtcnn(image, *compiled, settings), detect_readably(image, *readable, settings))


@pytest.mark.parametrize(
    "settings",
    [
        MTCNNSettings(min_face_size=12, pyramid_factor=0.5),
        MTCNNSettings(min_face_size=33.3, pyramid_factor=0.8),
        MTCNNSettings(min_face_size=1),  # larger levels than the image
        MTCNNSettings(score_thresholds=(0.3, 0.2, 0.1)),
        MTCNNSettings(score_thresholds=(0, 0.9, 0)),
    ],
    ids=str,
)
def test_other_settings(readable, compiled, small_portrait, settings):
    image = small_portrait[20:110, 20:110]
    expected = detect_readably(image, *readable, settings)
    assert len(expected) > 0
    assert_same_faces(detect_mtcnn(image, *compiled, settings), expected)


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 90), (19, 19), (20, 20), (20, 300), (300, 21), (67, 45)], ids=str
)
def test_images_without_a_face(compiled, readable, shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    faces = detect_mtcnn(image, *compiled, MTCNNSettings())
    assert_same_faces(faces, detect_readably(image, *readable, MTCNNSettings()))
    assert (faces.boxes.shape, faces.scores.shape, faces.landmarks.shape) == ((0, 4), (0,), (0, 5, 2))


def test_a_face_at_the_border(readable, compiled, small_portrait):
    found = 0
    for image in (small_portrait[35:], small_portrait[:, 55:], small_portrait[:70], small_portrait[:, :75]):
        for crop_border in ("clip", "zero"):
            settings = MTCNNSettings(crop_border=crop_border)
            expected = detect_readably(image, *readable, settings)
            assert_same_faces(detect_mtcnn(image, *compiled, settings), expected)
            found += len(expected)
    assert found > 0


def test_the_trace_tells_what_the_readable_one_tells(readable, compiled, small_portrait):
    trace, expected = Trace(), Trace()
    faces = detect_mtcnn(small_portrait, *compiled, MTCNNSettings(), trace)
    detect_readably(small_portrait, *readable, MTCNNSettings(), expected)
    assert [step.name for step in trace] == [step.name for step in expected]
    for step, wanted in zip(trace, expected, strict=True):
        assert list(step.values) == list(wanted.values)
        for name, value in wanted.values.items():
            got = step[name]
            if name in ("levels", "scores", "box_deltas") and isinstance(value, list):
                assert len(got) == len(value)
                assert all(agreement(a, b) < 1e-5 for a, b in zip(got, value, strict=True))
            elif name in ("scales", "per_level"):
                assert got == value
            elif name in ("kept", "passed"):
                np.testing.assert_array_equal(got, value)
            else:
                assert got.shape == value.shape
                assert agreement(got, value) < 1e-5
    silent = detect_mtcnn(small_portrait, *compiled, MTCNNSettings())
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(silent, name), getattr(faces, name))


@pytest.mark.parametrize("stage", range(3))
def test_the_trace_of_an_early_end(readable, compiled, small_portrait, stage):
    thresholds = [0.6, 0.7, 0.7]
    thresholds[stage] = 1
    settings = MTCNNSettings(score_thresholds=tuple(thresholds))
    trace, expected = Trace(), Trace()
    assert len(detect_mtcnn(small_portrait, *compiled, settings, trace)) == 0
    detect_readably(small_portrait, *readable, settings, expected)
    assert [step.name for step in trace] == [step.name for step in expected]


def test_the_number_of_threads_changes_nothing(compiled, portrait):
    results = []
    for threads in (1, 2, 3):
        set_num_threads(threads)
        results.append(detect_mtcnn(portrait, *compiled, MTCNNSettings()))
    for other in results[1:]:
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(other, name), getattr(results[0], name))


def test_eight_python_threads_share_the_networks(compiled, portrait):
    images = [np.ascontiguousarray(portrait[i : 350 + i : 2, 40 * i : 300 + 20 * i : 2]) for i in range(8)]
    expected = [detect_mtcnn(image, *compiled, MTCNNSettings()) for image in images]
    results = [[] for _ in images]

    def work(i):
        for _ in range(5):
            results[i].append(detect_mtcnn(images[i], *compiled, MTCNNSettings()))

    workers = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for wanted, repeated in zip(expected, results, strict=True):
        assert len(repeated) == 5
        for faces in repeated:
            for name in ARRAYS:
                np.testing.assert_array_equal(getattr(faces, name), getattr(wanted, name))


@pytest.mark.parametrize("border", ["clip", "zero"])
def test_crop_windows_are_those_of_the_crops(border):
    image = np.zeros((40, 50, 3), np.uint8)
    rng = np.random.default_rng(0)
    corner = rng.uniform(-40, 80, (300, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(-2, 40, (300, 1))], axis=1).astype(np.float32)
    windows, kept = crop_windows(image, boxes, MTCNNSettings(crop_border=border))
    _, expected = crop_squares(image, boxes, 1, border=border)
    np.testing.assert_array_equal(kept, expected)
    assert 0 < len(kept) < 300
    assert len(windows) == len(kept)
    inside = (windows >= 0).all() and (windows <= [50, 40, 50, 40]).all()
    assert inside == (border == "clip")


@pytest.mark.parametrize("levels", [1, 2, 12, 20_000])
@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.7])
def test_nms_within_levels_is_that_of_each_level(levels, threshold):
    rng = np.random.default_rng(levels)
    of_cell = np.sort(rng.choice([0, levels // 3, levels - 1], 600))
    scale = 0.6 * 0.9 ** (of_cell[:, None] % 20)
    windows = cell_windows(rng.integers(0, 30, 600), rng.integers(0, 40, 600), scale)
    windows[of_cell == levels - 1] += 500  # 20,000 levels of that width are too many for one row
    scores = rng.choice(np.linspace(0.6, 1, 50), 600).astype(np.float32)  # some are equal
    expected = []
    for level in np.unique(of_cell):
        part = np.flatnonzero(of_cell == level)
        expected.append(part[nms(windows[part], scores[part], threshold)])
    got = nms_within_levels(windows, scores, of_cell, threshold)
    np.testing.assert_array_equal(got, np.concatenate(expected))
    assert 3 <= len(got) < 600
