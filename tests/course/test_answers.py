"""The right answers are right: they equal the library's functions, on the course's inputs and on others."""

import ast
from pathlib import Path

import numpy as np
import pytest

from minidet import boxes, datasets, evaluation, losses, ops
from minidet.course import exercises
from minidet.course.catalogue import find_exercise
from minidet.detections import Detections
from minidet.detectors import mtcnn as cascade
from minidet.evaluation.matching import Outcome, match_detections
from minidet.image import mtcnn_input, resize_area
from minidet.image.align import similarity_transform
from minidet.image.preprocess import retinaface_input
from minidet.image.pyramid import pyramid_scales
from minidet.image.resize import resize_bilinear
from minidet.nn.parameter import Parameter
from minidet.training.mining import keep_hardest, mine_negatives
from minidet.training.objectives.mtcnn import Alpha, MTCNNTargets, mtcnn_objective
from minidet.training.optim import SGD, Adam, MultiStep, WarmUp
from minidet.training.sampling import SampleSettings, encode_labels
from minidet.training.sampling.classify import classify
from tests.check import disagreement
from tests.gradients import numeric_gradient


def im2col(x, kernel_size, stride, padding):
    """A convolution with one filter per number of a window picks the columns."""
    count = x.shape[1] * kernel_size**2
    weight = np.eye(count).reshape(count, x.shape[1], kernel_size, kernel_size)
    y = ops.conv2d_forward(x, weight, stride=stride, padding=padding)
    return y.reshape(len(x), count, -1)


def output_size(size, kernel_size, stride, padding):
    x, weight = np.zeros((1, 1, size, kernel_size)), np.zeros((1, 1, kernel_size, kernel_size))
    return ops.conv2d_forward(x, weight, stride=stride, padding=padding).shape[2]


def conv2d_backward(grad_output, x, weight, stride, padding):
    return ops.conv2d_backward(grad_output, x, weight, stride=stride, padding=padding)


def max_pool2d_backward(grad_output, x, kernel_size, stride):
    _, argmax = ops.max_pool2d_forward(x, kernel_size=kernel_size, stride=stride)
    return ops.max_pool2d_backward(grad_output, argmax, x.shape)


def batch_norm_training(x, weight, bias, running_mean, running_var, momentum, eps):
    y, cache = ops.batch_norm2d_forward(
        x, weight, bias, running_mean, running_var, training=True, momentum=momentum, eps=eps
    )
    return y, cache.running_mean, cache.running_var


def batch_norm_inference(x, weight, bias, running_mean, running_var, eps):
    return ops.batch_norm2d_forward(x, weight, bias, running_mean, running_var, training=False, eps=eps)[0]


def batch_norm_backward(grad_output, x, weight, eps):
    zero = np.zeros_like(weight)
    _, cache = ops.batch_norm2d_forward(x, weight, zero, zero, zero, training=True, eps=eps)
    return ops.batch_norm2d_backward(grad_output, cache)


def fold_batch_norm(conv_weight, weight, bias, running_mean, running_var, eps):
    """Ask the two layers, one after the other, what they make of nothing and of each single pixel."""
    OC, IC, KH, KW = conv_weight.shape

    def both(x):
        y = ops.conv2d_forward(x, conv_weight)
        return batch_norm_inference(y, weight, bias, running_mean, running_var, eps)[:, :, 0, 0]

    conv_bias = both(np.zeros((1, IC, KH, KW)))[0]
    pixels = both(np.eye(IC * KH * KW).reshape(-1, IC, KH, KW))  # (IC KH KW, OC)
    return (pixels - conv_bias).T.reshape(OC, IC, KH, KW), conv_bias


def focal_loss(scores, labels, alpha, gamma):
    logits = np.stack([np.zeros_like(scores), np.log(scores / (1 - scores))], axis=1)
    return losses.focal_loss(logits, labels, alpha=alpha, gamma=gamma, reduction="sum")[0]


def multi_task_loss(types, class_losses, box_losses, landmark_losses, alpha):
    """Make answers of a network that cost as much as is given."""
    sign = np.where(types == 1, 1, -1)
    logits = np.stack([0 * class_losses, -sign * np.log(np.expm1(class_losses))], axis=1)
    box, landmark = np.zeros((len(types), 4)), np.zeros((len(types), 10))
    box[:, 0], landmark[:, 0] = np.sqrt(box_losses), np.sqrt(landmark_losses)
    targets = MTCNNTargets(types, 0 * box, 0 * landmark)
    return mtcnn_objective(
        logits, box, landmark, targets, alpha=Alpha(*alpha), mined_share=1.0, reduction="sum"
    ).value


def match_anchors(anchors, faces, positive, negative, force_best):
    match = boxes.match_anchors(anchors, faces, boxes.MatchThresholds(positive, negative, force_best))
    return np.where(match.positive, match.face, np.where(match.negative, -1, -2))


def match_right(boxes, faces, iou_threshold):
    annotated = datasets.Annotation("a.jpg", "a.jpg", faces)
    outcome = match_detections(boxes, annotated, iou_threshold=iou_threshold, min_face_size=0).outcome
    return outcome == Outcome.TRUE_POSITIVE


def average_precision(scores, right, faces):
    """Faces beside each other: what is right lies on the next of them, what is wrong far below."""
    true = np.array([[10 * k, 0, 10 * k + 9, 9] for k in range(faces)], np.float64)
    found = np.full((len(right), 4), [0, 50, 9, 59], np.float64)
    found[right] = true[: right.sum()]
    best_first = np.argsort(-scores, kind="stable")
    detections = Detections(found[best_first], scores[best_first], np.zeros((len(scores), 5, 2)))
    return evaluation.average_precision([detections], [datasets.Annotation("a.jpg", "a.jpg", true)]).value


def landmark_error(landmarks, truth):
    """Every face in a box of its own, which is found."""
    places = np.array([[100 * k, 0, 100 * k + 90, 90] for k in range(len(truth))], np.float64)
    annotated = datasets.Annotation("a.jpg", "a.jpg", places, truth)
    detections = Detections(places, np.linspace(0.9, 0.8, len(truth)), landmarks)
    return evaluation.landmark_errors([detections], [annotated]).inter_ocular


def sgd_step(weight, grad, velocity, lr, momentum, weight_decay):
    parameter = Parameter(weight)
    optimizer = SGD({"weight": parameter}, lr=lr, momentum=momentum, weight_decay=weight_decay)
    if momentum:
        optimizer.velocity["weight"] = velocity
    parameter.grad = grad
    optimizer.step()
    # Without momentum there is no velocity to keep; it is the gradient.
    return parameter.data, optimizer.velocity["weight"] if momentum else grad + weight_decay * weight


def adam_step(weight, grad, m, v, step, lr, beta1, beta2, eps):
    parameter = Parameter(weight)
    optimizer = Adam({"weight": parameter}, lr=lr, betas=(beta1, beta2), eps=eps)
    optimizer.first_moment["weight"], optimizer.second_moment["weight"] = m, v
    optimizer.steps = step - 1
    parameter.grad = grad
    optimizer.step()
    return parameter.data, optimizer.first_moment["weight"], optimizer.second_moment["weight"]


def learning_rate(step, lr, start_lr, warm_up_steps, milestones, gamma):
    return WarmUp(start_lr, warm_up_steps, MultiStep(lr, tuple(milestones), gamma))(step)


LIBRARY = {
    "mtcnn_input": lambda image: mtcnn_input(image[None]),
    "retinaface_input": retinaface_input,
    "resize_bilinear": resize_bilinear,
    "resize_area": resize_area,
    "output_size": output_size,
    "conv2d": lambda x, weight, bias, stride, padding: ops.conv2d_forward(
        x, weight, bias, stride=stride, padding=padding
    ),
    "im2col": im2col,
    "depthwise_conv2d": lambda x, weight, bias, stride, padding: ops.depthwise_conv2d_forward(
        x, weight, bias, stride=stride, padding=padding
    ),
    "upsample_nearest2d": lambda x, height, width: ops.upsample_nearest2d_forward(x, (height, width)),
    "bilinear_samples": lambda x, places: ops.deform_conv2d_forward(
        x[None, None],
        np.pad(places.T, ((0, 0), (0, x.size - len(places)))).reshape(1, 2, *x.shape)
        - np.indices(x.shape)[None],
        np.ones((1, 1, 1, 1)),
    ).ravel()[: len(places)],
    "max_pool2d": lambda x, kernel_size, stride: ops.max_pool2d_forward(
        x, kernel_size=kernel_size, stride=stride, ceil_mode=True
    )[0],
    "prelu": ops.prelu_forward,
    "linear": ops.linear_forward,
    "softmax": ops.softmax_forward,
    "batch_norm_training": batch_norm_training,
    "batch_norm_inference": batch_norm_inference,
    "fold_batch_norm": fold_batch_norm,
    "numerical_gradient": lambda function, x, step: numeric_gradient(lambda: function(x), x, step),
    "linear_backward": ops.linear_backward,
    "prelu_backward": ops.prelu_backward,
    "max_pool2d_backward": max_pool2d_backward,
    "conv2d_backward": conv2d_backward,
    "batch_norm_backward": batch_norm_backward,
    "softmax_cross_entropy": losses.softmax_cross_entropy,
    "smooth_l1": lambda predictions, targets, beta: losses.smooth_l1(predictions, targets, beta=beta),
    "focal_loss": focal_loss,
    "multi_task_loss": multi_task_loss,
    "iou": boxes.iou,
    "encode_boxes": boxes.encode_boxes,
    "decode_boxes": boxes.decode_boxes,
    "encode_landmarks": lambda landmarks, anchors, variance: boxes.encode_landmarks(
        landmarks, anchors, (variance, 1.0)
    ),
    "mirror_boxes": boxes.mirror_boxes,
    "mirror_landmarks": boxes.mirror_landmarks,
    "nms": boxes.nms,
    "nms_min": lambda b, scores, threshold: boxes.nms(b, scores, threshold, overlap="min"),
    "soft_nms": lambda b, scores, sigma, score_threshold: boxes.soft_nms(
        b, scores, sigma=sigma, score_threshold=score_threshold
    ),
    "pyramid_scales": lambda height, width, min_face_size, pyramid_factor: pyramid_scales(
        height, width, min_face_size=min_face_size, pyramid_factor=pyramid_factor
    ),
    "cell_windows": lambda rows, columns, scale: cascade.cell_windows(rows, columns, scale).astype(float),
    "shift_boxes": lambda b, deltas: cascade.shift(b, deltas, cascade.side(b)),
    "square_boxes": cascade.square,
    "box_labels": lambda windows, faces: encode_labels("onet", windows, faces).astype(np.float64),
    "sample_types": lambda windows, faces: (
        classify(windows, faces, np.zeros(len(faces), bool), SampleSettings()).types
    ),
    "keep_hardest": keep_hardest,
    "generate_anchors": lambda height, width, stride, sizes: boxes.generate_anchors(
        height, width, strides=[stride], sizes=[sizes]
    ).astype(np.float64),
    "match_anchors": match_anchors,
    "mine_negatives": lambda costs, positive, negative, ratio: mine_negatives(
        costs, positive, negative, ratio=ratio
    ),
    "learning_rate": learning_rate,
    "sgd_step": sgd_step,
    "adam_step": adam_step,
    "match_detections": match_right,
    "average_precision": average_precision,
    "landmark_error": landmark_error,
    "similarity_transform": similarity_transform,
}

TOLERANCE = {
    "box_labels": 1e-4,  # the library's are multiples of 2^-16
    "average_precision": 1e-6,  # scores and boxes of Detections are float32
    "landmark_error": 1e-6,
    "match_detections": 1e-6,
    "cell_windows": 1e-6,
    "numerical_gradient": 1e-6,
    "mtcnn_input": 1e-6,
    "retinaface_input": 1e-6,
    "resize_bilinear": 1e-6,
    "resize_area": 1e-6,
}


def assert_same(name, case):
    """Require the library's results, one by one where there are several."""
    reference, library = find_exercise(name).reference, LIBRARY[name]
    own, theirs = reference(**case), library(*case.values())
    several = isinstance(own, tuple)
    for one, other in zip(own if several else [own], theirs if several else [theirs], strict=True):
        assert np.shape(one) == np.shape(other)
        assert disagreement(one, other) <= TOLERANCE.get(name, 1e-12)


def test_every_exercise_has_a_twin_in_the_library():
    assert list(LIBRARY) == [exercise.name for exercise in exercises()]


@pytest.mark.parametrize("name", LIBRARY)
def test_the_answer_is_the_librarys(name):
    for case in find_exercise(name).cases:
        assert_same(name, case)


def some_boxes(rng, count):
    """Boxes on a coarse grid, so that many overlap and some are equal."""
    corner, size = rng.integers(0, 8, (count, 2)), rng.integers(1, 8, (count, 2))
    return np.concatenate([corner, corner + size], axis=1).astype(np.float64)


def some_masks(rng, shape):
    kind = rng.integers(0, 4, shape)
    return {"positive": kind == 0, "negative": kind >= 2}


# Larger inputs, with ties.
OTHERS = {
    "resize_bilinear": lambda rng: {
        "image": rng.integers(0, 256, (*rng.integers(1, 9, 2), 3), np.uint8),
        "height": int(rng.integers(1, 12)),
        "width": int(rng.integers(1, 12)),
    },
    "resize_area": lambda rng: {
        "image": rng.integers(0, 256, (*rng.integers(1, 12, 2), 3), np.uint8),
        "height": int(rng.integers(1, 9)),
        "width": int(rng.integers(1, 9)),
    },
    "output_size": lambda rng: {
        "size": int(rng.integers(5, 40)),
        "kernel_size": int(rng.integers(1, 6)),
        "stride": int(rng.integers(1, 5)),
        "padding": int(rng.integers(0, 3)),
    },
    "im2col": lambda rng: {
        "x": rng.normal(size=(2, 2, *rng.integers(3, 7, 2))),
        "kernel_size": int(rng.integers(1, 4)),
        "stride": int(rng.integers(1, 3)),
        "padding": int(rng.integers(0, 2)),
    },
    "bilinear_samples": lambda rng: {
        "x": rng.normal(size=(4, 5)),
        "places": rng.uniform(-2, 6, (20, 2)),
    },
    "upsample_nearest2d": lambda rng: {
        "x": rng.normal(size=(1, 2, *rng.integers(1, 6, 2))),
        "height": int(rng.integers(6, 14)),
        "width": int(rng.integers(6, 14)),
    },
    "max_pool2d": lambda rng: {
        "x": rng.normal(size=(1, 2, *rng.integers(3, 9, 2))),
        "kernel_size": int(rng.integers(1, 4)),
        "stride": int(rng.integers(1, 4)),
    },
    "iou": lambda rng: {"a": some_boxes(rng, 5), "b": some_boxes(rng, 7)},
    "nms": lambda rng: {
        "boxes": some_boxes(rng, 20),
        "scores": rng.integers(0, 8, 20) / 8,
        "iou_threshold": rng.choice([0.0, 0.25, 0.5]),
    },
    "nms_min": lambda rng: {
        "boxes": some_boxes(rng, 20),
        "scores": rng.integers(0, 8, 20) / 8,
        "threshold": rng.choice([0.0, 0.25, 0.5]),
    },
    "soft_nms": lambda rng: {
        "boxes": some_boxes(rng, 12),
        "scores": rng.random(12),
        "sigma": 0.5,
        "score_threshold": rng.choice([0.001, 0.2]),
    },
    "pyramid_scales": lambda rng: {
        "height": int(rng.integers(8, 900)),
        "width": int(rng.integers(8, 900)),
        "min_face_size": float(rng.integers(10, 60)),
        "pyramid_factor": float(rng.uniform(0.4, 0.8)),
    },
    "sample_types": lambda rng: {"windows": some_boxes(rng, 20), "faces": some_boxes(rng, 3)},
    "keep_hardest": lambda rng: {
        "losses": rng.integers(0, 5, int(rng.integers(1, 100))) / 4,
        "share": float(rng.integers(0, 11) / 10),
    },
    "generate_anchors": lambda rng: {
        "height": int(rng.integers(1, 70)),
        "width": int(rng.integers(1, 70)),
        "stride": int(rng.choice([8, 16, 32])),
        "sizes": [16.0, 20.0, 33.0],
    },
    "match_anchors": lambda rng: {
        "anchors": some_boxes(rng, 15) + rng.random((15, 4)) / 8,
        "faces": some_boxes(rng, 4) + rng.random((4, 4)) / 8,
        "positive": 0.5,
        "negative": float(rng.choice([0.3, 0.5])),
        "force_best": 0.2,
    },
    "mine_negatives": lambda rng: {
        "losses": rng.integers(0, 9, (3, 10)) / 4,
        **some_masks(rng, (3, 10)),
        "ratio": int(rng.integers(0, 4)),
    },
    "match_detections": lambda rng: {
        "boxes": some_boxes(rng, 12),
        "faces": some_boxes(rng, 4),
        "iou_threshold": float(rng.choice([0.25, 0.5, 0.7])),
    },
    "average_precision": lambda rng: {
        "scores": rng.permutation(12) / 16 + 1 / 16,
        "right": np.arange(12)[rng.permutation(12)] < 6,
        "faces": 12,
    },
    "similarity_transform": lambda rng: {
        "source": rng.normal(size=(5, 2)),
        "target": rng.normal(size=(5, 2)),
    },
}


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("name", OTHERS)
def test_and_on_other_inputs(name, seed):
    rng = np.random.default_rng([seed, list(LIBRARY).index(name)])
    case = OTHERS[name](rng)
    if name == "max_pool2d" and case["stride"] > case["kernel_size"]:
        case["stride"] = case["kernel_size"]
    assert_same(name, case)


def test_a_share_of_a_whole_number_is_not_cut_by_rounding():
    assert int(0.7 * 90) == 62
    assert_same("keep_hardest", {"losses": np.arange(90.0), "share": 0.7})


def test_answers_need_nothing_but_numpy():
    folder = Path(find_exercise.__code__.co_filename).parent / "answers"
    files = sorted(folder.glob("*.py"))
    assert len(files) == 12
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("minidet"):
                assert node.module == "minidet._typing" or node.module.startswith("minidet.course.answers")
