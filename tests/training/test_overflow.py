"""Numbers too large for their type: reported where they are, and nothing is changed by them."""

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.nn import Parameter
from minidet.training.objectives import (
    ALPHA_PNET,
    MTCNNTargets,
    RetinaFaceTargets,
    SampleType,
    mtcnn_objective,
    retinaface_objective,
)
from minidet.training.optim import SGD, Adam, AdamW


def mtcnn(output, sample):
    """An objective of five samples, one of which has an enormous output."""
    types = [
        SampleType.LANDMARK,
        SampleType.NEGATIVE,
        SampleType.PART,
        SampleType.POSITIVE,
        SampleType.LANDMARK,
    ]
    outputs = {
        name: np.zeros((5, n), np.float32) for name, n in [("logits", 2), ("boxes", 4), ("points", 10)]
    }
    outputs[output][sample, 0] = 3e38
    if output == "logits":
        outputs[output][sample, 1] = -3e38
    targets = MTCNNTargets(np.array(types), np.zeros((5, 4), np.float32), np.zeros((5, 10), np.float32))
    return mtcnn_objective(*outputs.values(), targets, alpha=ALPHA_PNET)


@pytest.mark.parametrize(
    ("output", "sample", "name"),
    [("logits", 3, "logits"), ("boxes", 2, "predictions"), ("points", 4, "predictions")],
)
def test_mtcnn_names_the_sample_of_the_batch(output, sample, name):
    message = rf"^mtcnn_objective: `{name}` reaches 3\.0e\+38 in sample {sample}, where the loss overflows"
    with pytest.raises(InputError, match=message):
        mtcnn(output, sample)


def retinaface(output):
    """An objective of two images with three anchors; the last anchor of the second is positive."""
    positive = np.array([[True, False, False], [False, False, True]])
    targets = RetinaFaceTargets(
        positive, ~positive, np.zeros((2, 4)), np.zeros((2, 10)), np.array([False, True])
    )
    outputs = {name: np.zeros((2, 3, n)) for name, n in [("boxes", 4), ("logits", 2), ("points", 10)]}
    outputs[output][1, 2] = 1.5e308 * (-1.0) ** np.arange(outputs[output].shape[2])
    if output != "logits":  # an error of more than the largest number
        field = {"boxes": "box_deltas", "points": "landmark_deltas"}[output]
        targets = targets._replace(**{field: getattr(targets, field) - outputs[output][1, 2]})
    return retinaface_objective(*outputs.values(), targets)


@pytest.mark.parametrize("output", ["boxes", "logits", "points"])
def test_retinaface_names_image_and_anchor(output):
    with pytest.raises(
        InputError, match=r"^retinaface_objective: .* in image 1, anchor 2, where the loss overflows"
    ):
        retinaface(output)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda w: SGD(w, lr=1e10, momentum=0.9),
            r"^SGD: the new `b` is -inf at \[1\]; expected finite numbers$",
        ),
        (lambda w: Adam(w), r"^Adam: the second_moment of `b` is inf at \[1\]; expected finite numbers$"),
        (lambda w: AdamW(w), r"^AdamW: the second_moment of `b` is inf at \[1\]; expected finite numbers$"),
    ],
    ids=["sgd", "adam", "adamw"],
)
def test_a_step_that_overflows_changes_nothing(make, message):
    parameters = {name: Parameter(np.array([1.0, 2.0], np.float32)) for name in "ab"}
    optimizer = make(parameters)
    for parameter in parameters.values():
        parameter.grad = np.array([1e-12, 1e-12], np.float32)
    optimizer.step()
    weights = {name: parameter.data.copy() for name, parameter in parameters.items()}
    state = optimizer.state_dict()
    parameters["b"].grad = np.array([1e-12, 1e30], np.float32)
    with pytest.raises(InputError, match=message):
        optimizer.step()
    for name, parameter in parameters.items():
        np.testing.assert_array_equal(parameter.data, weights[name])
    for name, array in optimizer.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
