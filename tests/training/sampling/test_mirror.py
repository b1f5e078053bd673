from dataclasses import fields, replace

import numpy as np
import pytest

from minidet.boxes import mirror_boxes, mirror_landmarks
from minidet.training.objectives import SampleType
from minidet.training.sampling.cut import cut
from minidet.training.sampling.labels import (
    decode_labels,
    decode_points,
    encode_labels,
    encode_points,
    on_grid,
)
from minidet.training.sampling.make import make_samples
from minidet.training.sampling.mirror import mirror_samples
from minidet.training.sampling.samples import INPUT_SIDES, Samples
from minidet.training.sampling.settings import SampleSettings
from tests.training.sampling.photos import photo

FACES = [[20.0, 25.0, 70.5, 85.25], [90.0, 30.0, 140.0, 95.0]]
STEP = 2.0**-16


def some_samples(network):
    proposals = None
    if network != "pnet":
        rng = np.random.default_rng(1)
        corners = rng.uniform(-10, 100, (200, 2))
        proposals = np.concatenate([corners, corners + rng.uniform(15, 70, (200, 1))], axis=1).astype(
            np.float32
        )
    samples = make_samples(
        photo(boxes=FACES, pointed=[True, True]),
        network,
        SampleSettings(),
        np.random.default_rng(0),
        proposals=proposals,
    )
    assert set(samples.sample_types) == set(SampleType)
    return samples


@pytest.mark.parametrize("network", INPUT_SIDES)
def test_mirroring_twice_changes_not_a_bit(network):
    samples = some_samples(network)
    mirrored = mirror_samples(samples)
    twice = mirror_samples(mirrored)
    for field in fields(Samples):
        a, b, once = (getattr(s, field.name) for s in (samples, twice, mirrored))
        assert a.dtype == b.dtype == once.dtype
        assert a.tobytes() == b.tobytes()
    assert (mirrored.crops != samples.crops).any()


@pytest.mark.parametrize("network", INPUT_SIDES)
def test_any_label_survives_two_mirrors(network):
    rng = np.random.default_rng(0)
    side, M = INPUT_SIDES[network], 20000
    crops, windows = np.zeros((M, side, side, 3), np.uint8), np.zeros((M, 4))
    for sample_type in (SampleType.PART, SampleType.LANDMARK):
        samples = Samples.of_type(
            sample_type,
            crops,
            windows,
            0,
            box_deltas=on_grid(rng.uniform(-3, 3, (M, 4))),
            landmark_deltas=on_grid(rng.uniform(0, 1, (M, 10))),
        )
        mirrored = mirror_samples(samples)
        twice = mirror_samples(mirrored)
        for name in ("box_deltas", "landmark_deltas"):
            steps = getattr(mirrored, name).astype(np.float64) / STEP
            np.testing.assert_array_equal(steps, np.rint(steps))
            assert getattr(twice, name).tobytes() == getattr(samples, name).tobytes()


@pytest.mark.parametrize("network", INPUT_SIDES)
def test_decodes_to_the_mirrored_face(network):
    samples = some_samples(network)
    mirrored = mirror_samples(samples)
    crop = np.tile([0.0, 0.0, 1.0, 1.0], (len(samples), 1))
    boxed = np.isin(samples.sample_types, [SampleType.POSITIVE, SampleType.PART])
    faces = decode_labels(network, crop, samples.box_deltas)[boxed]
    found = decode_labels(network, crop, mirrored.box_deltas)[boxed]
    np.testing.assert_allclose(
        found, mirror_boxes(faces, 1), rtol=0, atol=1e-9 if network != "pnet" else STEP / 2
    )

    pointed = samples.sample_types == SampleType.LANDMARK
    points = decode_points(crop, samples.landmark_deltas)[pointed]
    found = decode_points(crop, mirrored.landmark_deltas)[pointed]
    np.testing.assert_allclose(found, mirror_landmarks(points, 1), rtol=0, atol=1e-9)


@pytest.mark.parametrize("network", INPUT_SIDES)
def test_what_is_not_learnt_stays_zero(network):
    samples = some_samples(network)
    mirrored = mirror_samples(samples)
    boxed = np.isin(samples.sample_types, [SampleType.POSITIVE, SampleType.PART])
    assert not mirrored.box_deltas[~boxed].any()
    assert not mirrored.landmark_deltas[samples.sample_types != SampleType.LANDMARK].any()
    for name in ("sample_types", "windows", "photographs"):
        np.testing.assert_array_equal(getattr(mirrored, name), getattr(samples, name))


@pytest.mark.parametrize("network", INPUT_SIDES)
def test_equals_the_crop_of_the_mirrored_photograph(network):
    size = INPUT_SIDES[network]
    sample = photo(boxes=FACES, pointed=[True, True])
    width = sample.image.shape[1]
    windows = np.array([[10.0, 20.0, 77.0, 87.0], [-7.0, 25.0, 66.0, 98.0]])  # the second reaches outside

    def samples_of(image, windows, boxes, landmarks):
        crops, _ = cut(image, windows, size)
        parts = Samples.of_type(
            SampleType.PART, crops, windows, 0, box_deltas=encode_labels(network, windows, boxes)
        )
        deltas = encode_points(windows, landmarks)
        return Samples.join(
            [parts, Samples.of_type(SampleType.LANDMARK, crops, windows, 0, landmark_deltas=deltas)]
        )

    boxes, landmarks = sample.boxes[[0, 0]], sample.landmarks[[0, 0]]
    mirrored = mirror_samples(samples_of(sample.image, windows, boxes, landmarks))
    of_mirrored = samples_of(
        sample.image[:, ::-1],
        mirror_boxes(windows, width),
        mirror_boxes(boxes, width),
        mirror_landmarks(landmarks, width),
    )
    np.testing.assert_array_equal(mirrored.crops, of_mirrored.crops)
    np.testing.assert_allclose(mirrored.box_deltas, of_mirrored.box_deltas, rtol=0, atol=STEP)
    np.testing.assert_allclose(mirrored.landmark_deltas, of_mirrored.landmark_deltas, rtol=0, atol=STEP)


def test_no_samples():
    assert len(mirror_samples(Samples.empty(12))) == 0


def test_the_argument_stays_as_it_is():
    samples = some_samples("pnet")
    copy = replace(samples, **{f.name: getattr(samples, f.name).copy() for f in fields(Samples)})
    mirror_samples(samples)
    for field in fields(Samples):
        np.testing.assert_array_equal(getattr(samples, field.name), getattr(copy, field.name))
