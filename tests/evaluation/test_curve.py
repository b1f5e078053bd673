"""The area under the envelope: by hand, by its definition in loops, and properties."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.evaluation.curve import interpolated_ap

shares = st.integers(0, 8).map(lambda n: n / 8)
curves = st.lists(st.tuples(shares, shares), max_size=8).map(
    lambda points: (
        np.array(sorted(recall for recall, _ in points)),
        np.array([precision for _, precision in points]),
    )
)


@pytest.mark.parametrize(
    ("recall", "precision", "area"),
    [
        ([1], [1], 1),
        ([0.5], [1], 0.5),  # what lies beyond the last adds nothing
        ([1], [0.25], 0.25),
        ([0.5, 1], [1, 0.5], 0.75),
        ([0.5, 1], [0.5, 1], 1),  # the envelope: precision 1 can be had at the lower recall, too
        ([0.5, 0.5, 1], [1, 0.5, 0.25], 0.625),  # a notch at one recall is as thin as a line
        ([0.25, 0.5, 0.75, 1], [1, 0.25, 0.75, 0.5], 0.25 + 0.5 * 0.75 + 0.25 * 0.5),
        ([0, 0.5], [0, 1], 0.5),
        ([0, 0], [0, 0], 0),
        ([], [], 0),
    ],
)
def test_by_hand(recall, precision, area):
    assert interpolated_ap(np.array(recall, float), np.array(precision, float)) == area


@given(curves)
def test_equals_the_definition(curve):
    recall, precision = curve
    area, before = Fraction(0), Fraction(0)
    for i, share in enumerate(recall):
        area += (Fraction(share) - before) * Fraction(max(precision[i:]))
        before = Fraction(share)
    assert interpolated_ap(recall, precision) == float(area)  # eighths are exact


@given(curves, st.integers(0, 8), shares)
def test_a_point_below_the_envelope_changes_nothing(curve, place, precision_below):
    recall, precision = curve
    if len(recall) == 0:
        return
    place = min(place, len(recall) - 1)
    lower = min(precision_below, precision[place:].max())
    with_point = (np.insert(recall, place + 1, recall[place]), np.insert(precision, place + 1, lower))
    assert interpolated_ap(*with_point) == interpolated_ap(recall, precision)


@given(curves)
def test_lies_between_nothing_and_the_rectangle_around_the_curve(curve):
    recall, precision = curve
    assert 0 <= interpolated_ap(recall, precision) <= recall.max(initial=0) * precision.max(initial=0)


@given(curves, shares)
def test_more_precision_never_lowers_it(curve, more):
    recall, precision = curve
    assert interpolated_ap(recall, np.minimum(precision + more, 1)) >= interpolated_ap(recall, precision)
