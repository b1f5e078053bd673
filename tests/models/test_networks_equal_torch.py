"""Every network against PyTorch's stored outputs, with the shipped and with random weights."""

import numpy as np
import pytest

from minidet.ops import softmax_forward
from tests.check import FLOATS, NETWORK_TOLERANCE, assert_close
from tests.oracles.cases import stored
from tests.oracles.network_cases import CASES, FILE, cases_of, expected, outputs

INFERENCE = [case for case in CASES if not case.training]
TRAINING = [case for case in CASES if case.training]


def test_the_oracle_has_every_case_and_no_other():
    assert {key.split("/")[0] for key in stored(FILE)} == {str(case) for case in CASES}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", INFERENCE, ids=str)
def test_forward(case, dtype):
    reference = expected(case)
    results = outputs(case, case.module(dtype), case.input(dtype))
    assert results.keys() == reference.keys()
    for name, result in results.items():
        assert_close(result, reference[name].astype(dtype), NETWORK_TOLERANCE[dtype])


# In float64 only: batch norm over a handful of pixels enlarges rounding, so that float32 cannot keep to 1e-5
# here. PyTorch's own float32 is up to 7e-6 away from its float64 on these cases.
@pytest.mark.parametrize("case", TRAINING, ids=str)
def test_forward_in_training(case):
    results = outputs(case, case.module("float64"), case.input("float64"))
    for name, result in results.items():
        assert_close(result, expected(case)[name], NETWORK_TOLERANCE["float64"])


@pytest.mark.parametrize("case", TRAINING, ids=str)
def test_a_training_step_updates_every_running_statistic(case):
    network = case.module("float64")
    network.forward(case.input("float64"))
    running = {name: array for name, array in network.state_dict().items() if "running" in name}
    assert running.keys() == {name for name in expected(case) if "running" in name}
    for name, array in running.items():
        assert_close(array, expected(case)[name], NETWORK_TOLERANCE["float64"])


@pytest.mark.parametrize(
    "case", cases_of("pnet", "rnet", "onet", "pnet_landmarks", "rnet_landmarks"), ids=str
)
def test_predict_of_mtcnn_is_forward_with_scores_for_logits(case):
    network, x = case.module("float32"), case.input("float32")
    logits, *deltas = network.forward(x)
    scores, *predicted = network.predict(x)
    np.testing.assert_array_equal(scores, softmax_forward(logits, axis=1))
    for ours, theirs in zip(predicted, deltas, strict=False):  # P-Net and R-Net keep their landmarks back
        np.testing.assert_array_equal(ours, theirs)
    assert len(predicted) == (2 if case.network == "onet" else 1)


@pytest.mark.parametrize("case", cases_of("retinaface"), ids=str)
def test_predict_of_retinaface_is_forward_with_scores_for_logits(case):
    network, x = case.module("float32"), case.input("float32")
    box_deltas, logits, landmark_deltas = network.forward(x)
    predicted_boxes, scores, predicted_landmarks = network.predict(x)
    np.testing.assert_array_equal(scores, softmax_forward(logits, axis=2))
    np.testing.assert_array_equal(predicted_boxes, box_deltas)
    np.testing.assert_array_equal(predicted_landmarks, landmark_deltas)
