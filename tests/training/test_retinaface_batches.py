"""Batches for RetinaFace: what is in them, in which order, and what bad photographs do."""

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from minidet.boxes import REFERENCE_THRESHOLDS, decode_boxes, decode_landmarks, iou
from minidet.datasets import Annotation, Dataset, SyntheticSettings, synthetic_dataset
from minidet.errors import InputError
from minidet.training.augment import AugmentSettings
from minidet.training.retinaface_batches import RetinaFaceBatches, touches

SMALL = AugmentSettings(size=96, photometric=None)


def batches_of(*datasets, batch_size=4, settings=SMALL, seed=0):
    return RetinaFaceBatches(
        datasets, batch_size=batch_size, settings=settings, thresholds=REFERENCE_THRESHOLDS, seed=seed
    )


@pytest.fixture(scope="module")
def drawn():
    return synthetic_dataset(
        10, settings=SyntheticSettings(size=(96, 96), faces=(1, 2), face_heights=(20, 60))
    )


@pytest.fixture
def photographs(tmp_path):
    """Six photographs of one grey level each, and their annotations."""
    annotations = []
    for number in range(6):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (64, 64), (40 * number,) * 3).save(path)
        annotations.append(Annotation(path, path.name, [[8, 8, 40, 48]]))
    return annotations


def test_a_batch_is_what_the_network_takes(drawn):
    batch = batches_of(drawn).batch(0)
    assert batch.x.shape == (4, 3, 96, 96)
    assert batch.x.dtype == np.float32
    assert batch.targets.positive.any()
    assert len(batch.names) == 4
    assert batch.targets.positive.shape == batch.targets.negative.shape


def test_a_batch_depends_on_its_number_and_the_seed_alone(drawn):
    steps = [5, 2, 0, 7, 2]
    alone = {step: batches_of(drawn).batch(step) for step in set(steps)}
    source = batches_of(drawn)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(source.batch, steps))
    for step, batch in zip(steps, together, strict=True):
        np.testing.assert_array_equal(batch.x, alone[step].x)
        np.testing.assert_array_equal(batch.targets.box_deltas, alone[step].targets.box_deltas)
        assert batch.names == alone[step].names
    assert not np.array_equal(batches_of(drawn, seed=1).batch(0).x, alone[0].x)


def test_each_photograph_once_per_round(photographs):
    source = batches_of(Dataset(photographs, "six"))
    assert source.steps_per_epoch == 2
    names = [name for step in range(6) for name in source.batch(step).names]
    rounds = [names[i : i + 6] for i in range(0, 24, 6)]
    assert all(sorted(one) == [f"{i}.png" for i in range(6)] for one in rounds)
    assert rounds[0] != rounds[1]


def test_targets_decode_to_faces_of_the_image(drawn):
    """Every positive anchor's box holds the face's landmarks, and lies on the anchor."""
    source = batches_of(drawn, batch_size=8)
    targets = source.batch(0).targets
    anchors = np.concatenate([source.anchors[row] for row in targets.positive])
    boxes = decode_boxes(targets.box_deltas, anchors)
    points = decode_landmarks(targets.landmark_deltas, anchors)
    assert len(boxes) == len(targets.has_landmarks) > 8
    assert targets.has_landmarks.all()
    assert (np.diag(iou(boxes, anchors)) > 0.15).all()
    assert ((boxes >= -0.01) & (boxes <= 96.01)).all()
    left_of_right = points[:, 0, 0] < points[:, 1, 0]
    eyes_above_mouth = points[:, :2, 1].mean(axis=1) < points[:, 3:, 1].mean(axis=1)
    assert left_of_right.mean() > 0.9  # heads are turned by up to 50 degrees
    assert eyes_above_mouth.all()


def test_faces_without_landmarks_are_masked(photographs):
    targets = batches_of(Dataset(photographs, "six")).batch(0).targets
    assert targets.positive.any()
    assert not targets.has_landmarks.any()
    assert not targets.landmark_deltas.any()


def test_photographs_without_faces_are_background(photographs):
    photographs = [Annotation(one.path, one.name, []) for one in photographs[1:]] + photographs[:1]
    source = batches_of(Dataset(photographs, "six"), batch_size=6)
    batch = source.batch(0)
    for name, positive, negative in zip(
        batch.names, batch.targets.positive, batch.targets.negative, strict=True
    ):
        if name != "0.png":
            assert not positive.any()
            assert negative.all()


def test_nothing_is_learnt_of_ignored_faces(photographs):
    whole = AugmentSettings(size=64, crop_scales=(1.0,), photometric=None, mirror=0)
    boxes = [[4, 4, 30, 34], [34, 30, 62, 62]]
    annotations = [Annotation(one.path, one.name, boxes, ignore=[False, True]) for one in photographs]
    source = batches_of(Dataset(annotations, "six"), settings=whole)
    targets = source.batch(0).targets
    ignored = touches(source.anchors, np.array([boxes[1]], np.float32), REFERENCE_THRESHOLDS.negative)
    assert ignored.any()
    assert not targets.negative[:, ignored].any()
    assert not (targets.positive & (iou(source.anchors, np.array([boxes[1]], np.float32))[:, 0] > 0.4)).any()
    assert targets.positive.any(axis=1).all()


def test_touches_equals_a_loop():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 50, (60, 2))
    anchors = np.concatenate([corners, corners + rng.uniform(2, 30, (60, 2))], axis=1).astype(np.float32)
    regions = anchors[::9] + np.float32(3)
    wanted = []
    for anchor in anchors:
        x, y = (anchor[:2] + anchor[2:]) / 2
        wanted.append(
            any(
                (r[0] <= x < r[2] and r[1] <= y < r[3]) or iou(anchor[None], r[None])[0, 0] >= 0.3
                for r in regions
            )
        )
    assert touches(anchors, regions, 0.3).tolist() == wanted


def test_unreadable_photographs_are_named_and_counted(photographs, caplog):
    photographs[1].path.unlink()
    photographs[4].path.write_bytes(b"no picture")
    with caplog.at_level(logging.WARNING, "minidet"):
        source = batches_of(Dataset(photographs, "six"))
    assert "2 photographs cannot be read and are left out: 1.png, 4.png" in caplog.text
    assert sorted(source.skipped) == ["1.png", "4.png"]
    assert {name for step in range(4) for name in source.batch(step).names} == {
        "0.png",
        "2.png",
        "3.png",
        "5.png",
    }


def test_a_photograph_that_breaks_later_is_replaced_and_named_once(photographs, caplog):
    whole = photographs[3].path.read_bytes()
    source = batches_of(Dataset(photographs, "six"))
    photographs[3].path.write_bytes(whole[: len(whole) // 2])
    with caplog.at_level(logging.WARNING, "minidet"):
        names = [name for step in range(6) for name in source.batch(step).names]
    assert len(names) == 24
    assert "3.png" not in names
    assert caplog.text.count("3.png cannot be used") == 1
    assert list(source.skipped) == ["3.png"]


def test_all_photographs_gone(photographs):
    source = batches_of(Dataset(photographs, "six"))
    for one in photographs:
        one.path.unlink()
    with pytest.raises(InputError, match=r"no photograph can be read \(6 cannot be read, first "):
        source.batch(0)


def test_boxes_without_area_are_counted_and_left_out(photographs, caplog):
    photographs[2] = Annotation(photographs[2].path, "2.png", [[5, 5, 5, 30], [8, 8, 40, 48]])
    with caplog.at_level(logging.WARNING, "minidet"):
        source = batches_of(Dataset(photographs, "six"), batch_size=6)
    assert "1 photographs have boxes without area, which are left out: 2.png" in caplog.text
    assert source.batch(0).targets.positive.any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda photos: [], "six: no photograph to learn from"),
        (
            lambda photos: [Annotation("gone.jpg", "gone.jpg", [[0, 0, 9, 9]])],
            r"1 cannot be read, first gone",
        ),
        (lambda photos: [Annotation(photos[0].path, "0.png", [])], "six: 1 photographs without a face"),
        (
            lambda photos: [Annotation(photos[0].path, "0.png", [[5, 5, 5, 9]])],
            "1 photographs without a face",
        ),
    ],
)
def test_sets_of_nothing_are_refused(photographs, make, message):
    with pytest.raises(InputError, match=message):
        batches_of(Dataset(make(photographs), "six"))


def test_the_cache_changes_nothing(drawn, monkeypatch):
    steps = (0, 3, 4, 1, 2)
    kept = batches_of(drawn)
    images = [kept.batch(step).x for step in steps]
    monkeypatch.setattr("minidet.training.retinaface_batches.CACHE_BYTES", 0)
    fresh = batches_of(drawn)
    for step, x in zip(steps, images, strict=True):
        np.testing.assert_array_equal(fresh.batch(step).x, x)
    assert len(kept._cache) == 10
    assert len(fresh._cache) == 0
