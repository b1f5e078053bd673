"""What a cascade minimises: two objectives, the second with the first boxes for anchors."""

from dataclasses import replace

import numpy as np
import pytest

from minidet.boxes import (
    CASCADE_THRESHOLDS,
    PAPER_ANCHORS,
    MatchThresholds,
    decode_boxes,
    decode_landmarks,
    encode_boxes,
    iou,
)
from minidet.errors import InputError
from minidet.fast.boxes.matching import match_anchors as fast_match_anchors
from minidet.training.objectives import (
    CASCADE,
    CascadeLossSettings,
    Faces,
    cascade_objective,
    cascade_targets,
    retinaface_objective,
    retinaface_targets,
)
from tests.oracles.cases import Numbers

SIZE = 48
ANCHORS = PAPER_ANCHORS.lay(SIZE, SIZE).astype(np.float64)
A = len(ANCHORS)
FIVE = np.array([[0.3, 0.375], [0.7, 0.4], [0.5, 0.625], [0.35, 0.8], [0.65, 0.75]])


def faces(*boxes, ignored=(), landmarks=True):
    boxes = np.array(boxes, np.float64).reshape(-1, 4)
    points = boxes[:, None, :2] + FIVE * (boxes[:, 2:] - boxes[:, :2])[:, None]
    has = np.full(len(boxes), landmarks)
    return Faces(boxes, points, has, np.array(ignored, np.float64).reshape(-1, 4))


IMAGES = (
    faces([5, 6, 22, 27], [30, 28, 44, 44]),
    faces(),
    faces([10, 12, 40, 44], landmarks=False),
)


def targets_of(images=IMAGES, dtype="float64"):
    targets = retinaface_targets(
        ANCHORS.astype(dtype),
        [image.boxes for image in images],
        [image.landmarks for image in images],
        [image.has_landmarks for image in images],
        CASCADE.first.thresholds,
    )
    return targets._replace(faces=images)


def outputs_of(N=3, dtype="float64"):
    shapes = [(N, A, 4), (N, A, 2), (N, A, 10)] * 2
    outputs = [Numbers(f"output {i}").real(*shape) for i, shape in enumerate(shapes)]
    return [y.astype(dtype) for y in outputs]


# ---- Targets ---------------------------------------------------------------------------------------


def test_the_published_thresholds():
    first, second = CASCADE_THRESHOLDS
    assert (first.positive, first.negative, first.force_best) == (0.7, 0.3, None)
    assert (second.positive, second.negative, second.force_best) == (0.5, 0.4, None)
    assert CASCADE.first.thresholds == first
    assert CASCADE.second.thresholds == second


def by_definition(box_deltas, images):
    """Anchor by anchor, with loops."""
    positive, negative, box_targets, points = [], [], [], []
    for deltas, image in zip(box_deltas, images, strict=True):
        boxes = decode_boxes(deltas, ANCHORS)
        row_positive, row_negative = [], []
        for box in boxes:
            overlaps = [iou(box[None], face[None])[0, 0] for face in image.boxes]
            best = max(overlaps, default=0.0)
            centre = (box[:2] + box[2:]) / 2
            spoilt = any(
                iou(box[None], region[None])[0, 0] >= 0.4
                or (np.all(centre >= region[:2]) and np.all(centre < region[2:]))
                for region in image.ignored
            )
            row_positive.append(best >= 0.5)
            row_negative.append(best < 0.4 and not spoilt)
            if best >= 0.5:
                face = overlaps.index(best)
                box_targets.append(encode_boxes(image.boxes[face][None], box[None])[0])
                points.append((image.has_landmarks[face], image.landmarks[face], box))
        positive.append(row_positive)
        negative.append(row_negative)
    return np.array(positive), np.array(negative), np.array(box_targets), points


@pytest.mark.parametrize("matcher", ["readable", "fast"])
def test_targets_by_definition(matcher):
    images = (*IMAGES, faces([5, 6, 22, 27], ignored=[[24, 24, 46, 46]]))
    box_deltas = outputs_of(len(images))[0]
    options = {"matcher": fast_match_anchors} if matcher == "fast" else {}
    ours = cascade_targets(box_deltas, ANCHORS, targets_of(images), **options)
    positive, negative, box_targets, points = by_definition(box_deltas, images)
    assert positive.any(axis=1).tolist() == [True, False, True, True]
    np.testing.assert_array_equal(ours.positive, positive)
    np.testing.assert_array_equal(ours.negative, negative)
    np.testing.assert_allclose(ours.box_deltas, box_targets, rtol=1e-12)
    assert ours.has_landmarks.tolist() == [has for has, _, _ in points]
    for row, (has, expected, box) in zip(ours.landmark_deltas, points, strict=True):
        if has:
            found = decode_landmarks(row[None], box[None])[0]
            np.testing.assert_allclose(found, expected, rtol=1e-12)
        else:
            assert not row.any()
    assert (~positive & ~negative).any()  # some are ignored


def test_a_perfect_first_step_leaves_nothing_to_do():
    image = faces([10, 12, 40, 44])
    box_deltas = encode_boxes(np.tile(image.boxes, (A, 1)), ANCHORS)[None].clip(-13.8, 13.8)
    targets = cascade_targets(box_deltas, ANCHORS, targets_of((image,)))
    exact = abs(decode_boxes(box_deltas[0], ANCHORS) - image.boxes).max(axis=1) < 1e-9
    assert exact.sum() > 100
    assert targets.positive[0, exact].all()
    rows = targets.box_deltas[exact[targets.positive[0]]]
    assert abs(rows).max() < 1e-6


def test_without_the_cascade_the_same_faces_have_fewer_boxes():
    """The first boxes are nearer to the faces, so more of them are positive, at a lower threshold too."""
    first = targets_of()
    near = np.zeros((len(IMAGES), A, 4))
    near[first.positive] = first.box_deltas
    second = cascade_targets(near, ANCHORS, first)
    assert first.positive.sum() < second.positive.sum()
    assert (second.positive | ~first.positive).all()


def test_wild_first_boxes_can_be_matched():
    box_deltas = np.full((1, A, 4), 1e30)
    box_deltas[:, ::2] *= -1
    targets = cascade_targets(box_deltas, ANCHORS, targets_of(IMAGES[:1]))
    assert not targets.positive.any()
    assert targets.negative.all()
    single = cascade_targets(
        box_deltas.astype("float32"), ANCHORS.astype("float32"), targets_of(IMAGES[:1], "float32")
    )
    assert single.box_deltas.dtype == np.float32


def test_targets_need_the_faces_of_every_image():
    box_deltas = outputs_of()[0]
    with pytest.raises(InputError, match=r"`targets\.faces` is None; expected the faces of every image"):
        cascade_targets(box_deltas, ANCHORS, targets_of()._replace(faces=None))
    with pytest.raises(InputError, match=r"`targets\.faces` has 2 images, `box_deltas` has 3"):
        cascade_targets(box_deltas, ANCHORS, targets_of()._replace(faces=IMAGES[:2]))


# ---- Objective -------------------------------------------------------------------------------------


def test_it_is_the_sum_of_both_objectives():
    outputs, targets = outputs_of(), targets_of()
    settings = replace(CASCADE, second_weight=0.5)
    joined = cascade_objective(*outputs, targets=targets, anchors=ANCHORS, settings=settings)
    first = retinaface_objective(*outputs[:3], targets, settings=CASCADE.first)
    second_targets = cascade_targets(outputs[0], ANCHORS, targets, CASCADE)
    second = retinaface_objective(*outputs[3:], second_targets, settings=CASCADE.second)
    assert joined.value == pytest.approx(first.value + 0.5 * second.value, rel=1e-15)
    assert joined.parts == {f"first_{k}": v for k, v in first.parts.items()} | {
        f"second_{k}": v for k, v in second.parts.items()
    }
    assert min(joined.parts.values()) > 0
    np.testing.assert_array_equal(joined.kept, [first.kept, second.kept])
    for ours, theirs in zip(joined.gradients, first.gradients, strict=False):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(joined.gradients[3:], second.gradients, strict=True):
        np.testing.assert_array_equal(ours, 0.5 * theirs)


@pytest.mark.parametrize("which", [1, 2, 3, 4, 5])
def test_gradient_of_all_but_the_first_boxes(which):
    """Along a random direction, by central differences."""
    outputs, targets = outputs_of(), targets_of()
    direction = Numbers("direction").real(*outputs[which].shape)

    def at(step):
        moved = list(outputs)
        moved[which] = outputs[which] + step * direction
        return cascade_objective(*moved, targets=targets, anchors=ANCHORS)

    step = 2.0**-20
    slope = (at(step).value - at(-step).value) / (2 * step)
    np.testing.assert_allclose(np.sum(at(0).gradients[which] * direction), slope, rtol=1e-6)


def test_no_gradient_flows_back_through_the_first_boxes():
    """What the second branch should answer depends on them, and so does its loss; yet they are constants."""
    outputs, targets = outputs_of(), targets_of()
    joined = cascade_objective(*outputs, targets=targets, anchors=ANCHORS)
    alone = retinaface_objective(*outputs[:3], targets, settings=CASCADE.first)
    np.testing.assert_array_equal(joined.gradients[0], alone.gradients[0])
    moved = [y.copy() for y in outputs]
    moved[0][...] += 1e-3
    after = cascade_objective(*moved, targets=targets, anchors=ANCHORS)
    assert after.parts["second_box"] != joined.parts["second_box"]
    assert after.parts["second_classification"] == joined.parts["second_classification"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_types_and_shapes(dtype):
    outputs = outputs_of(dtype=dtype)
    objective = cascade_objective(
        *outputs, targets=targets_of(dtype=dtype), anchors=ANCHORS.astype(dtype), settings=CASCADE
    )
    assert [grad.shape for grad in objective.gradients] == [y.shape for y in outputs]
    assert {grad.dtype for grad in objective.gradients} == {np.dtype(dtype)}
    assert objective.kept.shape == (2, len(IMAGES), A)


def test_six_outputs():
    with pytest.raises(InputError, match="3 outputs; expected three of each branch"):
        cascade_objective(*outputs_of()[:3], targets=targets_of(), anchors=ANCHORS)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), "1"])
def test_a_weight_that_makes_no_sense(weight):
    with pytest.raises(InputError, match="second_weight"):
        CascadeLossSettings(CASCADE.first, CASCADE.second, second_weight=weight)


def test_second_thresholds_are_those_of_the_settings():
    strict = replace(
        CASCADE,
        second=replace(CASCADE.second, thresholds=MatchThresholds(0.9, 0.1, force_best=None)),
    )
    box_deltas, targets = outputs_of()[0], targets_of()
    loose, tight = (cascade_targets(box_deltas, ANCHORS, targets, s) for s in (CASCADE, strict))
    assert tight.positive.sum() < loose.positive.sum()
    assert tight.negative.sum() < loose.negative.sum()
