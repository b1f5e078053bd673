"""Batches for RetinaFace: what is in them, in which order, and what bad photographs do."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from minidet.boxes import (
    PAPER_ANCHORS,
    PAPER_THRESHOLDS,
    REFERENCE_THRESHOLDS,
    decode_boxes,
    decode_landmarks,
    iou,
    match_anchors,
)
from minidet.datasets import Annotation, Dataset, SyntheticSettings, synthetic_dataset
from minidet.errors import InputError
from minidet.training.augment import AugmentSettings
from minidet.training.objectives.retinaface_targets import centres_in
from minidet.training.retinaface_batches import RetinaFaceBatches

SMALL = AugmentSettings(size=96, photometric=None)
WHOLE = AugmentSettings(size=64, crop_scales=(1.0,), photometric=None, mirror=0)


def batches_of(*datasets, batch_size=4, settings=SMALL, seed=0, thresholds=REFERENCE_THRESHOLDS, **options):
    return RetinaFaceBatches(
        datasets, batch_size=batch_size, settings=settings, thresholds=thresholds, seed=seed, **options
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


def test_one_photograph_is_never_seen_the_same_way_twice(drawn):
    images = [
        image.tobytes()
        for seed in (0, 1)
        for step in (0, 1, 2)
        for image in batches_of(drawn[:1], settings=AugmentSettings(size=64), seed=seed).batch(step).x
    ]
    assert len(set(images)) == len(images) == 24


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


@pytest.mark.parametrize("thresholds", [REFERENCE_THRESHOLDS, PAPER_THRESHOLDS])
@pytest.mark.parametrize("ignored", [[34, 30, 62, 62], [40, 41, 44, 45], [1, 40, 60, 60]])
def test_nothing_is_learnt_of_ignored_faces(photographs, ignored, thresholds):
    """A slow twin, anchor by anchor. The 4 x 4 face overlaps no anchor by 0.3, and yet its best is out."""
    learnt = [4, 4, 30, 34]
    annotations = [
        Annotation(one.path, one.name, [learnt, ignored], ignore=[False, True]) for one in photographs
    ]
    source = batches_of(Dataset(annotations, "six"), settings=WHOLE, thresholds=thresholds)
    targets = source.batch(0).targets
    alone = match_anchors(source.anchors, np.array([learnt], np.float32), thresholds)
    overlap = iou(source.anchors, np.array([ignored], np.float32))[:, 0]
    expected = []
    for a, (x1, y1, x2, y2) in enumerate(source.anchors.tolist()):
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        centre_inside = ignored[0] <= x < ignored[2] and ignored[1] <= y < ignored[3]
        touched = centre_inside or overlap[a] >= np.float32(thresholds.negative) or a == overlap.argmax()
        expected.append(bool(alone.negative[a]) and not touched)
    assert expected != alone.negative.tolist()
    assert any(expected)
    for positive, negative in zip(targets.positive, targets.negative, strict=True):
        np.testing.assert_array_equal(positive, alone.positive)
        np.testing.assert_array_equal(negative, expected)


def test_faces_too_small_are_neither_positive_nor_negative(photographs):
    small = [Annotation(one.path, one.name, [[8, 8, 40, 48], [50, 50, 57, 58]]) for one in photographs]
    ignored = [Annotation(a.path, a.name, a.boxes, ignore=[False, True]) for a in small]
    first, second = (
        batches_of(Dataset(annotations, "six"), settings=WHOLE).batch(0).targets
        for annotations in (small, ignored)
    )
    np.testing.assert_array_equal(first.positive, second.positive)
    np.testing.assert_array_equal(first.negative, second.negative)
    every = batches_of(Dataset(small, "six"), settings=replace(WHOLE, min_face_size=7)).batch(0).targets
    assert every.positive.sum() > first.positive.sum()


def test_centres_in_equals_a_loop():
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 50, (60, 2))  # whole numbers: centres lie on borders, too
    anchors = np.concatenate([corners, corners + 2 * rng.integers(1, 9, (60, 2))], axis=1).astype(np.float32)
    regions = anchors[::20] + np.float32(3)
    wanted = []
    for anchor in anchors:
        x, y = (anchor[:2] + anchor[2:]) / 2
        wanted.append(any(r[0] <= x < r[2] and r[1] <= y < r[3] for r in regions))
    assert centres_in(anchors, regions).tolist() == wanted
    assert 0 < sum(wanted) < 60


def test_a_batch_is_made_of_its_samples(drawn):
    """What people see is what the network gets: mean subtracted, blue first."""
    source = batches_of(drawn)
    batch, samples = source.batch(3), source.samples(3)
    assert batch.names == [sample.name for sample in samples]
    for x, sample in zip(batch.x, samples, strict=True):
        mean = np.array([104, 117, 123], np.float32)
        np.testing.assert_array_equal(x, (sample.image[..., ::-1] - mean).transpose(2, 0, 1))


def test_targets_decode_to_the_labels_of_the_samples(drawn):
    """Image by image: every positive anchor teaches a face of this very image, and every face is taught."""
    source = batches_of(drawn, batch_size=8)
    targets, samples = source.batch(1).targets, source.samples(1)
    start = 0
    for positive, sample in zip(targets.positive, samples, strict=True):
        rows = slice(start, start + int(positive.sum()))
        start = rows.stop
        anchors = source.anchors[positive]
        face = match_anchors(source.anchors, sample.boxes[~sample.ignore]).face[positive]
        assert set(face.tolist()) == set(range(int((~sample.ignore).sum())))
        boxes = decode_boxes(targets.box_deltas[rows], anchors)
        points = decode_landmarks(targets.landmark_deltas[rows], anchors)
        np.testing.assert_allclose(boxes, sample.boxes[~sample.ignore][face], atol=1e-3)
        np.testing.assert_allclose(points, sample.landmarks[~sample.ignore][face], atol=1e-3)
    assert start == len(targets.box_deltas) > 8


def test_a_cascade_gets_the_faces_as_well(photographs):
    ignored = [8, 8, 30, 30]
    annotations = [
        Annotation(one.path, one.name, [[20, 20, 60, 60], ignored], ignore=[False, True])
        for one in photographs
    ]
    dataset = Dataset(annotations, "test")
    source = batches_of(dataset, settings=WHOLE, with_faces=True)
    targets = source.batch(0).targets
    samples = source.samples(0)
    assert len(targets.faces) == len(samples) == 4
    for faces, sample in zip(targets.faces, samples, strict=True):
        np.testing.assert_array_equal(faces.boxes, sample.boxes[:1])
        np.testing.assert_array_equal(faces.ignored, [ignored])
        assert faces.landmarks.shape == (1, 5, 2)
        assert faces.has_landmarks.tolist() == [False]
    assert batches_of(dataset, settings=WHOLE).batch(0).targets.faces is None


def test_other_anchors(drawn):
    source = batches_of(drawn, anchors=PAPER_ANCHORS, thresholds=PAPER_THRESHOLDS)
    np.testing.assert_array_equal(source.anchors, PAPER_ANCHORS.lay(96, 96))
    assert source.batch(0).targets.positive.shape == (4, len(source.anchors))


def test_unreadable_photographs_are_named_and_counted(photographs, caplog):
    photographs[1].path.unlink()
    photographs[4].path.write_bytes(b"no picture")
    with caplog.at_level(logging.WARNING, "minidet"):
        source = batches_of(Dataset(photographs, "six"))
    assert "photographs that cannot be read, left out (2): 1.png, 4.png" in caplog.text
    assert sorted(source.skipped) == [str(photographs[1].path), str(photographs[4].path)]
    assert "4.png is not a picture" in source.skipped[str(photographs[4].path)]
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
    assert list(source.skipped) == [str(photographs[3].path)]


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
    assert "photographs with boxes without area, which are left out (1): 2.png" in caplog.text
    assert source.batch(0).targets.positive.any()


def test_points_and_faces_outside_are_counted_and_named(photographs, caplog):
    points = np.tile(np.float32([[20, 20], [30, 20], [25, 30], [20, 40], [65, 40]]), (1, 1, 1))
    incomplete = np.tile(points, (2, 1, 1))
    incomplete[:, 0] = np.nan  # so the face has none, and none is outside
    photographs = [
        Annotation(photographs[0].path, "0.png", [[8, 8, 40, 48]], points),
        Annotation(photographs[1].path, "1.png", [[8, 8, 40, 48]], np.minimum(points, 64)),
        Annotation(photographs[2].path, "2.png", [[8, 8, 40, 48]], points - np.float32([21, 0])),
        Annotation(photographs[3].path, "3.png", [[50, 8, 78, 48]]),
        Annotation(photographs[4].path, "4.png", [[-30, -5, 28, 48]]),
        Annotation(photographs[5].path, "5.png", [[-26, 8, 28, 48], [3, 3, 3, 3]], incomplete),
    ]
    with caplog.at_level(logging.WARNING, "minidet"):
        source = batches_of(Dataset(photographs, "six"))
    lines = [
        "photographs with landmarks outside (2): 0.png, 2.png",
        "photographs with faces whose centre is outside (2): 3.png, 4.png",
        "photographs with boxes without area, which are left out (1): 5.png",
    ]
    assert [record.message for record in caplog.records] == lines
    assert source.describe().splitlines()[1:] == lines


def test_describes_what_is_learnt_from(photographs, drawn):
    annotations = [
        Annotation(photographs[0].path, "0.png", []),
        Annotation(photographs[1].path, "1.png", [[8, 8, 40, 48], [0, 0, 9, 9]], ignore=[False, True]),
        Annotation(photographs[2].path, "2.png", [[8, 8, 40, 48], [0, 0, 0, 9]]),
    ]
    photographs[3].path.unlink()
    source = batches_of(Dataset([*annotations, photographs[3]], "four"), drawn)
    faces = sum(len(one.boxes) for one in drawn.annotations)
    assert source.describe().splitlines() == [
        "batches of 4 images, 4 steps per epoch: 13 photographs (1 without faces), "
        f"{faces + 2} faces ({faces} with landmarks), 1 faces ignored",
        "photographs with boxes without area, which are left out (1): 2.png",
        "photographs that cannot be read, left out (1): 3.png",
    ]


def test_many_photographs_are_counted_and_the_first_are_named(tmp_path, photographs):
    gone = [Annotation(tmp_path / f"{k}.jpg", f"{k}.jpg", [[0, 0, 9, 9]]) for k in range(7)]
    source = batches_of(Dataset([*photographs, *gone], "more"))
    named = "0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg"
    assert f"photographs that cannot be read, left out (7): {named} and 2 more" in source.describe()
    assert len(source.skipped) == 7


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


def test_the_cache_changes_nothing(drawn):
    steps = (0, 3, 4, 1, 2)
    image_bytes = 96 * 96 * 3
    sources = [batches_of(drawn, cache_bytes=kept * image_bytes) for kept in (10, 3, 0)]
    for step in steps:
        whole, some, none = (source.batch(step).x for source in sources)
        np.testing.assert_array_equal(whole, none)
        np.testing.assert_array_equal(some, none)
    assert [len(source._cache) for source in sources] == [10, 3, 0]


@pytest.mark.parametrize(
    ("option", "value"), [("batch_size", 0), ("seed", -1), ("cache_bytes", -1), ("batch_size", 1.5)]
)
def test_refuses_impossible_options(drawn, option, value):
    with pytest.raises(InputError, match=f"RetinaFaceBatches: {option}="):
        batches_of(drawn, **{option: value})


def test_refuses_a_step_below_zero(drawn):
    with pytest.raises(InputError, match="RetinaFaceBatches: step=-1"):
        batches_of(drawn).batch(-1)


def test_a_mistake_in_augmenting_is_not_taken_for_a_bad_photograph(drawn, monkeypatch):
    def broken(*_):
        raise InputError("a mistake")

    monkeypatch.setattr("minidet.training.retinaface_batches.augment", broken)
    with pytest.raises(InputError, match="a mistake"):
        batches_of(drawn).batch(0)
