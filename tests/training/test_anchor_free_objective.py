"""What a network without anchors minimises: targets against a slow twin, the objective term by term."""

import math
from dataclasses import replace

import numpy as np
import pytest

from minidet.boxes import LocationSettings, decode_distances, decode_points
from minidet.boxes.distances import MOST_LOG
from minidet.errors import InputError
from minidet.losses import binary_cross_entropy, focal_loss, iou_loss, smooth_l1
from minidet.training.objectives import (
    FCOS,
    AnchorFreeLossSettings,
    Faces,
    anchor_free_objective,
    anchor_free_targets,
)
from tests.check import FLOATS
from tests.gradients import assert_gradients
from tests.oracles.cases import Numbers

SETTINGS = LocationSettings(strides=(8, 16, 32))
SIZE = 64
LOCATIONS = SETTINGS.lay(SIZE, SIZE)
L = len(LOCATIONS.points)
VALUES = {"log_distances": 4, "logits": 2, "centre_logits": 1, "landmark_deltas": 10}
FIVE = np.array([[0.3, 0.375], [0.7, 0.4], [0.5, 0.625], [0.35, 0.8], [0.65, 0.75]])


def faces(*boxes, ignored=(), landmarks=()):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    points = boxes[:, None, :2] + FIVE * (boxes[:, 2:] - boxes[:, :2])[:, None]
    has = np.array([g not in landmarks for g in range(len(boxes))], bool)
    return Faces(boxes, points.astype(np.float32), has, np.array(ignored, np.float32).reshape(-1, 4))


IMAGES = [
    faces([5, 6, 22, 27], [30, 28, 44, 45], [28, 20, 60, 62], ignored=[[0, 40, 20, 60], [30, 28, 38, 40]]),
    faces(),
    faces([10, 12, 61, 63], landmarks=[0]),
]


def targets_of(dtype="float32", images=IMAGES):
    targets = anchor_free_targets(LOCATIONS, images, SETTINGS)
    return type(targets)(*(a if a.dtype == bool else a.astype(dtype) for a in targets))


def outputs_of(dtype="float64", seed="outputs"):
    return {name: Numbers(f"{seed} {name}").real(3, L, k).astype(dtype) for name, k in VALUES.items()}


# ---- Targets ---------------------------------------------------------------------------------------


def slow_targets(images):
    """Location by location, face by face."""
    rows = []
    for n, image in enumerate(images):
        for i, ((x, y), stride) in enumerate(
            zip(LOCATIONS.points.tolist(), LOCATIONS.strides.tolist(), strict=True)
        ):
            mine = []
            for g, (x1, y1, x2, y2) in enumerate(image.boxes.tolist()):
                sides = x - x1, y - y1, x2 - x, y2 - y
                level = 8 if max(sides) <= 32 else 16 if max(sides) <= 64 else 32
                near = abs(x - (x1 + x2) / 2) < 1.5 * stride and abs(y - (y1 + y2) / 2) < 1.5 * stride
                if min(sides) > 0 and near and level == stride:
                    mine.append(((x2 - x1) * (y2 - y1), g, sides))
            if mine:
                _, g, (left, top, right, bottom) = min(mine)
                ratio = min(left, right) / max(left, right) * min(top, bottom) / max(top, bottom)
                points = [
                    (value - at) / (stride / 4)
                    for point in image.landmarks[g]
                    for value, at in zip(point, (x, y), strict=True)
                ]
                has = image.has_landmarks[g]
                rows.append(
                    (
                        n,
                        i,
                        [d / stride for d in (left, top, right, bottom)],
                        math.sqrt(ratio),
                        points if has else [0] * 10,
                        has,
                    )
                )
    return rows


def test_targets_equal_the_slow_twin():
    targets, rows = targets_of(), slow_targets(IMAGES)
    assert [(n, i) for n, i, *_ in rows] == [tuple(row) for row in np.argwhere(targets.positive)]
    assert {n for n, *_ in rows} == {0, 2}
    assert {LOCATIONS.strides[i] for _, i, *_ in rows} == {8, 16}
    np.testing.assert_allclose(targets.distances, [row[2] for row in rows], rtol=1e-5)
    np.testing.assert_allclose(targets.centre_ness, [row[3] for row in rows], rtol=1e-5)
    np.testing.assert_allclose(targets.landmark_deltas, [row[4] for row in rows], rtol=1e-4, atol=1e-5)
    assert targets.has_landmarks.tolist() == [row[5] for row in rows]
    assert 0 < targets.has_landmarks.sum() < len(rows)


def test_targets_decode_to_the_faces():
    targets = targets_of()
    _, at = np.nonzero(targets.positive)
    boxes = decode_distances(targets.distances, LOCATIONS.points[at], LOCATIONS.strides[at])
    points = decode_points(targets.landmark_deltas, LOCATIONS.points[at], LOCATIONS.strides[at])
    every = np.concatenate([image.boxes for image in IMAGES])
    landmarks = np.concatenate([image.landmarks for image in IMAGES])
    found = set()
    for box, five, has in zip(boxes, points, targets.has_landmarks, strict=True):
        (g,) = np.flatnonzero(np.abs(every - box).max(axis=1) < 1e-3)
        found.add(int(g))
        if has:
            np.testing.assert_allclose(five, landmarks[g], atol=1e-3)
    assert found == {0, 1, 2, 3}


def test_locations_in_ignored_faces_are_not_asked():
    targets = targets_of()
    x, y = LOCATIONS.points.T
    inside = (x >= 0) & (x < 20) & (y >= 40) & (y < 60)
    inside |= (x >= 30) & (x < 38) & (y >= 28) & (y < 40)
    np.testing.assert_array_equal(targets.negative[0], ~inside & ~targets.positive[0])
    assert (inside & targets.positive[0]).any()
    assert (inside & ~targets.positive[0]).any()
    assert targets.negative[1].all()
    np.testing.assert_array_equal(targets.negative[2], ~targets.positive[2])


def test_an_image_less_does_not_change_the_others():
    both, alone = targets_of(), targets_of(images=IMAGES[2:])
    P = len(alone.distances)
    np.testing.assert_array_equal(both.positive[2:], alone.positive)
    for name in ("distances", "centre_ness", "landmark_deltas", "has_landmarks"):
        np.testing.assert_array_equal(getattr(both, name)[-P:], getattr(alone, name))


def test_no_images():
    with pytest.raises(InputError, match="no images; expected at least one"):
        anchor_free_targets(LOCATIONS, [], SETTINGS)


# ---- The objective ---------------------------------------------------------------------------------


def test_the_sum_of_its_terms():
    targets, outputs = targets_of("float64"), outputs_of()
    weights = AnchorFreeLossSettings(
        box_weight=3.0, centre_weight=0.5, landmark_weight=0.25, alpha=0.4, gamma=1.5
    )
    objective = anchor_free_objective(**outputs, targets=targets, settings=weights)
    positive, asked = targets.positive, targets.positive | targets.negative
    P = positive.sum()
    assert not asked.all()
    parts = {
        "classification": focal_loss(
            outputs["logits"][asked], positive[asked].astype(int), alpha=0.4, gamma=1.5, reduction="sum"
        )[0]
        / P,
        "box": iou_loss(np.exp(outputs["log_distances"][positive]), targets.distances)[0],
        "centre": binary_cross_entropy(outputs["centre_logits"][positive][:, 0], targets.centre_ness)[0],
        "landmark": smooth_l1(
            outputs["landmark_deltas"][positive][targets.has_landmarks],
            targets.landmark_deltas[targets.has_landmarks],
            reduction="sum",
        )[0]
        / targets.has_landmarks.sum(),
    }
    assert list(objective.parts) == list(parts)
    for name, value in parts.items():
        assert objective.parts[name] == pytest.approx(value, rel=1e-12)
    whole = parts["classification"] + 3 * parts["box"] + 0.5 * parts["centre"] + 0.25 * parts["landmark"]
    assert objective.value == pytest.approx(whole, rel=1e-12)
    np.testing.assert_array_equal(objective.kept, asked)


def test_gradient():
    targets, outputs = targets_of("float64"), outputs_of()
    settings = replace(FCOS, box_weight=2.0, centre_weight=0.75)
    assert np.abs(np.exp(outputs["log_distances"][targets.positive]) - targets.distances).min() > 1e-4
    objective = anchor_free_objective(**outputs, targets=targets, settings=settings)
    gradients = dict(zip(VALUES, objective.gradients, strict=True))
    for name, gradient in gradients.items():
        rows = np.flatnonzero(np.abs(gradient).max(axis=(0, 2)))
        assert len(rows) > 3, name

    def value():
        return anchor_free_objective(**outputs, targets=targets, settings=settings).value

    assert_gradients(value, outputs, gradients)


def test_beyond_the_limit_there_is_no_gradient():
    targets, outputs = targets_of("float64"), outputs_of()
    rows = np.argwhere(targets.positive)[:2]
    for (n, i), far in zip(rows, (MOST_LOG + 1, MOST_LOG - 1), strict=True):
        outputs["log_distances"][n, i, 0] = far
    gradient = anchor_free_objective(**outputs, targets=targets).gradients[0]
    assert gradient[tuple(rows[0])][0] == 0
    assert gradient[tuple(rows[0])][1] != 0
    assert gradient[tuple(rows[1])][0] > 0
    outputs["log_distances"][:] = 1e4
    assert np.isfinite(anchor_free_objective(**outputs, targets=targets).value)


def test_only_positive_locations_learn_boxes_and_only_those_asked_learn_faces():
    targets, outputs = targets_of("float64"), outputs_of()
    box, logits, centre, landmarks = anchor_free_objective(**outputs, targets=targets).gradients
    np.testing.assert_array_equal(box.any(axis=2), targets.positive)
    np.testing.assert_array_equal(centre.any(axis=2), targets.positive)
    np.testing.assert_array_equal(logits.any(axis=2), targets.positive | targets.negative)
    with_points = targets.positive.copy()
    with_points[targets.positive] = targets.has_landmarks
    np.testing.assert_array_equal(landmarks.any(axis=2), with_points)


def test_perfect_answers_cost_what_centre_ness_has_to_cost():
    targets = targets_of("float64")
    positive, c = targets.positive, targets.centre_ness
    outputs = {name: np.zeros((3, L, k)) for name, k in VALUES.items()}
    outputs["logits"][..., 1] = np.where(positive, 50, -50)
    outputs["log_distances"][positive] = np.log(targets.distances)
    outputs["centre_logits"][positive] = np.log(c / np.maximum(1 - c, 1e-12))[:, None]
    outputs["landmark_deltas"][positive] = targets.landmark_deltas
    objective = anchor_free_objective(**outputs, targets=targets)
    parts = objective.parts
    assert parts["classification"] == pytest.approx(0, abs=1e-9)
    assert parts["box"] == pytest.approx(0, abs=1e-9)
    assert parts["landmark"] == pytest.approx(0, abs=1e-9)
    entropy = -(c * np.log(c) + (1 - c) * np.log(np.maximum(1 - c, 1e-12)))
    assert parts["centre"] == pytest.approx(entropy.mean(), abs=1e-6)


def test_a_batch_without_faces_learns_background_only():
    targets, outputs = targets_of("float64", images=[faces()] * 3), outputs_of()
    objective = anchor_free_objective(**outputs, targets=targets)
    labels = np.zeros(3 * L, int)
    wanted = focal_loss(outputs["logits"].reshape(-1, 2), labels, reduction="sum")[0]
    assert objective.value == objective.parts["classification"] == pytest.approx(wanted)
    assert not objective.gradients[0].any()
    assert objective.gradients[1].all()


@pytest.mark.parametrize("dtype", FLOATS)
def test_gradients_have_the_type_of_the_outputs(dtype):
    objective = anchor_free_objective(**outputs_of(dtype), targets=targets_of(dtype))
    assert {gradient.dtype for gradient in objective.gradients} == {np.dtype(dtype)}
    assert [gradient.shape for gradient in objective.gradients] == [(3, L, k) for k in VALUES.values()]


# ---- Refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logits": np.zeros((3, L))}, "`logits` has shape"),
        ({"log_distances": np.zeros((3, L, 5))}, "`log_distances` has shape"),
        ({"centre_logits": np.zeros((3, L + 1, 1))}, "`centre_logits` has shape"),
        ({"landmark_deltas": np.zeros((3, L, 10), np.float32)}, "`landmark_deltas` is float32"),
        (
            {"centre_logits": np.full((3, L, 1), np.nan)},
            "`centre_logits` is not finite in image 0, location 0",
        ),
    ],
)
def test_refuses_outputs(change, message):
    with pytest.raises(InputError, match=f"anchor_free_objective: {message}"):
        anchor_free_objective(**{**outputs_of(), **change}, targets=targets_of("float64"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positive": np.zeros((3, L), int)}, "`targets.positive` is int64; expected bool"),
        ({"negative": np.zeros((2, L), bool)}, "`targets.negative` has shape"),
        ({"distances": np.ones((1, 4))}, "`targets.distances` has shape"),
        ({"centre_ness": np.ones((1,))}, "`targets.centre_ness` has shape"),
        ({"landmark_deltas": np.ones((1, 10))}, "`targets.landmark_deltas` has shape"),
        ({"has_landmarks": np.ones(1, bool)}, "`targets.has_landmarks` has shape"),
    ],
)
def test_refuses_targets(change, message):
    with pytest.raises(InputError, match=f"anchor_free_objective: {message}"):
        anchor_free_objective(**outputs_of(), targets=targets_of("float64")._replace(**change))


@pytest.mark.parametrize("name", ["box_weight", "centre_weight", "landmark_weight", "gamma", "alpha"])
def test_refuses_settings(name):
    with pytest.raises(InputError, match=f"AnchorFreeLossSettings: {name}=-0.5; expected"):
        AnchorFreeLossSettings(**{name: -0.5})


def test_alpha_is_a_share():
    with pytest.raises(InputError, match=r"alpha=1\.5; expected 0 to 1"):
        AnchorFreeLossSettings(alpha=1.5)
