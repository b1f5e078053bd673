"""Networks of trunk and branch against PyTorch's stored outputs and gradients, in float64."""

import pytest

from tests.check import assert_close
from tests.oracles.cases import stored
from tests.oracles.pyramid_cases import CASES, FILE, expected, step, summarise

TOLERANCE = 1e-9
ROWS = [
    pytest.param(case, marks=[pytest.mark.slow] if "resnet" in case.name else [], id=str(case))
    for case in CASES
]


def test_the_oracle_has_every_case_and_no_other():
    assert {key.split("/")[0] for key in stored(FILE)} == {str(case) for case in CASES}


@pytest.mark.parametrize("case", ROWS)
def test_outputs_gradients_and_statistics(case):
    reference, ours = expected(case), summarise(step(case, "float64"))
    assert ours.keys() == reference.keys()
    for name, row in ours.items():
        largest = reference[name][0]
        assert largest > 0, name
        assert abs(row - reference[name]).max() <= TOLERANCE * largest, name


@pytest.mark.parametrize("case", [case for case in CASES if case.name.endswith("p2p6")][-1:], ids=str)
def test_float32_is_near(case):
    exact, rounded = step(case, "float64"), step(case, "float32")
    for name in ("box_deltas", "logits", "landmark_deltas"):
        assert rounded[name].dtype == "float32"
        assert_close(rounded[name].astype("float64"), exact[name], 1e-4)
