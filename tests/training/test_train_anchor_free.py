"""A network without anchors from photographs to weights that detect."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

import minidet
from minidet.boxes import REFERENCE_THRESHOLDS, LocationSettings, decode_distances
from minidet.cli import main
from minidet.datasets import SyntheticSettings, load_sample, synthetic_dataset
from minidet.detectors import RetinaFaceSettings
from minidet.errors import InputError
from minidet.explain.retinaface import record_retinaface
from minidet.image import retinaface_input
from minidet.models.retinaface import AnchorFreeNet, Architecture
from minidet.nn import initialise
from minidet.training.anchor_free_batches import AnchorFreeBatches
from minidet.training.augment import AugmentSettings
from minidet.training.log import RunLog
from minidet.training.measure import AnchorFreeDetector, measure_retinaface
from minidet.training.objectives import Faces, anchor_free_targets
from minidet.training.recipes import RETINAFACE
from minidet.training.retinaface_batches import RetinaFaceBatches, faces_of
from minidet.training.train_retinaface import objective_of
from minidet.weights import load_npz

DATA = "synthetic:24,size=96x96,faces=1-2,heights=24-60"
TRAIN = ["train", "retinaface", "--data", DATA, "--size", "96", "--batch-size", "2"]
NAME = "mobilenet025_anchorfree"


@pytest.fixture(scope="module")
def photographs():
    drawn = synthetic_dataset(
        10, settings=SyntheticSettings(size=(96, 96), faces=(1, 2), face_heights=(20, 60))
    )
    return RetinaFaceBatches(
        [drawn],
        batch_size=4,
        settings=AugmentSettings(size=96, photometric=None),
        thresholds=REFERENCE_THRESHOLDS,
        seed=0,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "free"
    assert main([*TRAIN, "--network", NAME, "--steps", "4", "--out", str(folder)]) == 0
    return folder


# ---- Batches ---------------------------------------------------------------------------------------


def test_the_images_are_those_of_the_network_with_anchors(photographs):
    source = AnchorFreeBatches(photographs, LocationSettings())
    ours, theirs = source.batch(3), photographs.batch(3)
    np.testing.assert_array_equal(ours.x, theirs.x)
    assert ours.names == theirs.names
    assert source.steps_per_epoch == photographs.steps_per_epoch == 3


def test_the_targets_are_those_of_the_faces(photographs):
    source = AnchorFreeBatches(photographs, LocationSettings((8, 16), centre_radius=1.0))
    assert len(source.locations.points) == 144 + 36
    targets = source.batch(1).targets
    faces = [faces_of(sample) for sample in photographs.samples(1)]
    wanted = anchor_free_targets(source.locations, faces, source.settings)
    for found, array in zip(targets, wanted, strict=True):
        np.testing.assert_array_equal(found, array)
    assert targets.positive.shape == (4, 180)
    rows, at = np.nonzero(targets.positive)
    assert len(rows) > 4
    boxes = decode_distances(targets.distances, source.locations.points[at], source.locations.strides[at])
    for row, box in zip(rows, boxes, strict=True):
        assert np.abs(faces[row].boxes - box).max(axis=1).min() < 1e-3
    assert targets.distances.dtype == targets.landmark_deltas.dtype == np.float32


def test_threads_get_the_same(photographs):
    source = AnchorFreeBatches(photographs, LocationSettings())
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(source.batch, [5, 0, 5]))
    np.testing.assert_array_equal(together[0].targets.distances, together[2].targets.distances)
    np.testing.assert_array_equal(together[0].targets.distances, source.batch(5).targets.distances)


# ---- Training --------------------------------------------------------------------------------------


def test_weights_remember_that_there_are_no_anchors(trained):
    assert load_npz(trained / "retinaface.npz")[0] == f"retinaface_{NAME}"
    records = [record for record in RunLog.read(trained / "log.jsonl") if record["kind"] == "train"]
    tasks = {"classification", "box", "centre", "landmark"}
    assert all(set(record) == {"kind", "step", "loss", "lr", *tasks} for record in records)
    assert len(records) == 4


@pytest.mark.parametrize("backend", ["fast", "readable"])
def test_they_detect(trained, backend):
    detector = minidet.RetinaFace(
        weights=trained / "retinaface.npz", score_threshold=0.0, backend=backend, max_faces=5
    )
    assert detector.architecture == Architecture(anchor_free=True)
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    trace = detector.trace(image)
    assert len(trace.detections) == 5
    assert np.isfinite(trace.detections.boxes).all()
    assert len(trace["locations"]["points"]) == 8 * 12 + 4 * 6 + 2 * 3
    assert "context5" in trace.features


def test_a_run_goes_on_from_its_weights(trained, tmp_path):
    init = ["--init", str(trained / "retinaface.npz"), "--norms", "frozen", "--steps", "1"]
    assert main([*TRAIN, *init, "--out", str(tmp_path / "further")]) == 0
    name, tuned = load_npz(tmp_path / "further" / "retinaface.npz")
    first = load_npz(trained / "retinaface.npz")[1]
    assert name == f"retinaface_{NAME}"
    stem = "trunk.backbone.stage1.0.conv.weight"
    np.testing.assert_array_equal(tuned[stem], first[stem])
    assert not np.array_equal(
        tuned["branch.heads.p3.class_head.weight"], first["branch.heads.p3.class_head.weight"]
    )


def test_a_few_steps_on_one_batch_bring_the_loss_down(photographs):
    recipe = replace(
        RETINAFACE,
        network=Architecture(anchor_free=True),
        optimisation=replace(RETINAFACE.optimisation, lr=3e-3),
    )
    batch = AnchorFreeBatches(photographs, recipe.network.locations).batch(0)
    network = recipe.network.build()
    initialise(network, np.random.default_rng(0))
    optimizer = recipe.optimisation.make_optimizer(network.parameters())
    objective = objective_of(recipe, photographs.anchors)
    network.train()
    losses = []
    for _ in range(12):
        found = objective(network.forward(batch.x), batch.targets)
        losses.append(found.value)
        network.zero_grad()
        network.backward(*found.gradients)
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0]


# ---- Measuring -------------------------------------------------------------------------------------


class Oracle(AnchorFreeNet):
    """Says what the targets say, of photographs that it knows again."""

    def __init__(self, dataset):
        super().__init__(None, None, LocationSettings())
        self.answers = {}
        for annotation in dataset.annotations:
            width, height = annotation.size
            laid = self.locations.lay(height, width)
            usable = annotation.usable()
            faces = Faces(usable.boxes, usable.landmarks, usable.landmark_mask, usable.boxes[:0])
            targets = anchor_free_targets(laid, [faces], self.locations)
            (positive,) = targets.positive
            L = len(positive)
            distances, scores, deltas = np.ones((1, L, 4)), np.zeros((1, L)), np.zeros((1, L, 10))
            distances[0, positive] = targets.distances
            scores[0, positive] = targets.centre_ness
            deltas[0, positive] = targets.landmark_deltas
            shown = retinaface_input(load_sample(annotation).image).tobytes()
            self.answers[shown] = [array.astype(np.float32) for array in (distances, scores, deltas)]

    def predict(self, x):
        return self.answers[x.tobytes()]


def test_who_says_what_the_targets_say_finds_every_face():
    dataset = synthetic_dataset(
        6, settings=SyntheticSettings(size=(96, 96), faces=(1, 2), face_heights=(20, 60))
    )
    figures = measure_retinaface(Oracle(dataset), dataset)
    assert figures["average_precision"] == pytest.approx(1.0)
    assert figures["landmark_error"] < 1e-4
    image = load_sample(dataset.annotations[0]).image
    alone = AnchorFreeDetector(Oracle(dataset), RetinaFaceSettings(score_threshold=0.02))
    assert len(alone.detect(image)) == len(dataset.annotations[0].boxes)


def test_there_is_nothing_to_explain_without_anchors(trained):
    detector = minidet.RetinaFace(weights=trained / "retinaface.npz")
    with pytest.raises(InputError, match=f"explain: retinaface_{NAME} has no anchors"):
        record_retinaface(detector, np.zeros((64, 64, 3), np.uint8))
