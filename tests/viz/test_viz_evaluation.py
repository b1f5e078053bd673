from itertools import pairwise

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.viz.evaluation import (
    draw_landmark_errors,
    draw_precision_recall,
    draw_recall_by_angle,
    draw_recall_by_iou,
    draw_recall_by_size,
    draw_true_against_false,
)
from minidet.viz.figure import new_axes, save_figure

ALL = [
    draw_precision_recall,
    draw_true_against_false,
    draw_recall_by_size,
    draw_recall_by_iou,
    draw_landmark_errors,
    draw_recall_by_angle,
]


def named(ax):
    """The lines of the legend, by their labels."""
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def points(line):
    return np.column_stack([line.get_xdata(), line.get_ydata()]).tolist()


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def written(ax):
    return [text.get_text() for text in ax.texts]


def test_precision_recall_has_the_curve_and_its_envelope():
    ax = new_axes()
    recall, precision = [0.5, 0.5, 1.0], [1.0, 0.5, 2 / 3]
    assert draw_precision_recall(ax, {"mine": (recall, precision, 0.83333)}) is ax
    curve, envelope = ax.lines
    assert points(curve) == [[0.5, 1.0], [0.5, 0.5], [1.0, 2 / 3]]
    assert points(envelope) == [[0, 1.0], [0.5, 1.0], [0.5, 2 / 3], [1.0, 2 / 3], [1.0, 0]]
    assert envelope.get_drawstyle() == "steps-pre"
    assert envelope.get_linewidth() > curve.get_linewidth()
    assert envelope.get_color() == curve.get_color()
    assert legend(ax) == ["mine, AP 0.833"]
    assert ax.get_xlim() == ax.get_ylim() == (0, 1)


def test_the_area_below_the_envelope_is_the_average_precision():
    rng = np.random.default_rng(7)
    right = rng.random(60) < 0.6
    recall, precision = np.cumsum(right) / 50, np.cumsum(right) / np.arange(1, 61)
    ax = draw_precision_recall(new_axes(), {"a": (recall, precision, 0.5)})
    x, y = ax.lines[1].get_data()
    area = sum((x[i] - x[i - 1]) * y[i] for i in range(1, len(x)))  # steps-pre: y holds to the left
    best_from = [precision[i:].max() for i in range(60)]
    expected = sum(best / 50 for best, hit in zip(best_from, right, strict=True) if hit)
    assert area == pytest.approx(expected)


def test_three_curves_differ_without_colour():
    curves = {name: ([0.5, 1.0], [1.0, 0.9], 0.95) for name in ("easy", "medium", "hard")}
    ax = draw_precision_recall(new_axes(), curves)
    assert legend(ax) == ["easy, AP 0.950", "medium, AP 0.950", "hard, AP 0.950"]
    lines = named(ax).values()
    assert len({line.get_linestyle() for line in lines}) == 3
    assert len({line.get_color() for line in lines}) == 3


def test_without_an_average_precision_the_label_is_alone():
    ax = draw_precision_recall(new_axes(), {"mine": ([1.0], [1.0], float("nan"))})
    assert legend(ax) == ["mine"]


def test_points_that_are_no_numbers_are_left_out():
    ax = draw_precision_recall(new_axes(), {"a": ([np.nan, 0.5, 1.0], [0.9, 0.8, np.nan], 0.4)})
    assert points(ax.lines[0]) == [[0.5, 0.8]]
    ax = draw_true_against_false(new_axes(), {"a": ([0, np.nan, 2], [np.nan, 0.5, 0.6])})
    assert points(ax.lines[0]) == [[0, 0], [2, 0.6]]


def test_recall_stays_until_the_next_false_positive():
    ax = new_axes()
    assert draw_true_against_false(ax, {"mine": ([0, 1, 200], [0.3, 0.4, 0.7])}) is ax
    line = named(ax)["mine"]
    assert points(line) == [[0, 0], [0, 0.3], [1, 0.4], [200, 0.7]]
    assert line.get_drawstyle() == "steps-post"
    assert line.get_markevery() == [3]  # the last point only
    assert ax.get_ylim() == (0, 1)


def test_the_axis_of_false_positives_has_a_zero_and_is_logarithmic():
    ax = draw_true_against_false(new_axes(), {"a": ([0, 2500], [0.3, 0.4]), "b": ([0, 20], [0.3, 0.4])})
    assert ax.get_xscale() == "symlog"
    assert ax.get_xlim() == (0, 2500)
    ax.figure.canvas.draw()
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "1", "10", "100", "1000"]
    at = ax.transData.transform([[1, 0], [10, 0], [100, 0], [1000, 0]])[:, 0]
    np.testing.assert_allclose(np.diff(at), at[1] - at[0])


SIZES = {(0, 10): (1, 8), (10, 16): (3, 4), (256, float("inf")): (5, 5)}


def test_a_bar_for_each_size():
    ax = new_axes()
    assert draw_recall_by_size(ax, {"mine": SIZES}) is ax
    assert [bar.get_height() for bar in ax.patches] == [0.125, 0.75, 1.0]
    assert [bar.get_x() + bar.get_width() / 2 for bar in ax.patches] == pytest.approx([0, 1, 2])
    assert written(ax) == ["1/8", "3/4", "5/5"]
    assert [text.xy for text in ax.texts] == [(0, 0.125), (1, 0.75), (2, 1.0)]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["<10", "10-16", "256+"]
    assert legend(ax) == ["mine"]
    assert ax.get_yticks().max() == pytest.approx(1)


def test_bars_of_three_detectors_stand_side_by_side():
    ax = draw_recall_by_size(new_axes(), {"a": SIZES, "b": SIZES, "c": SIZES})
    bars = sorted(ax.patches, key=lambda bar: bar.get_x())
    assert all(one.get_x() + one.get_width() < two.get_x() for one, two in pairwise(bars))
    assert len({bar.get_facecolor() for bar in bars[:3]}) == 3
    assert bars[1].get_x() + bars[1].get_width() / 2 == pytest.approx(0)  # the middle one over the label
    assert {text.get_rotation() for text in ax.texts} == {90}


def test_detectors_may_have_different_sizes():
    ax = draw_recall_by_size(new_axes(), {"a": {(0, 10): (1, 2)}, "b": {(10, 20): (1, 4)}})
    assert [label.get_text() for label in ax.get_xticklabels()] == ["<10", "10-20"]
    assert [round(bar.get_x() + bar.get_width() / 2) for bar in ax.patches] == [0, 1]


def test_a_size_without_faces_has_no_bar():
    ax = draw_recall_by_size(new_axes(), {"a": {(0, 10): (0, 0)}})
    assert [bar.get_height() for bar in ax.patches] == [0]
    assert written(ax) == ["0/0"]


def test_recall_by_iou_with_its_numbers():
    ax = new_axes()
    assert draw_recall_by_iou(ax, {"mine": ([0.5, 0.7], [0.81, 0.25])}) is ax
    assert points(named(ax)["mine"]) == [[0.5, 0.81], [0.7, 0.25]]
    assert written(ax) == ["0.810", "0.250"]
    assert ax.get_ylim() == (0, 1)


def test_numbers_of_several_curves_are_left_out():
    ax = draw_recall_by_iou(new_axes(), {"a": ([0.5], [0.8]), "b": ([0.5], [0.7])})
    assert written(ax) == []
    assert legend(ax) == ["a", "b"]


def test_landmark_errors_add_up_over_all_faces():
    ax = new_axes()
    assert draw_landmark_errors(ax, {"mine": ([0.1, 0.02, np.inf, 0.04], 8)}) is ax
    (line,) = ax.lines
    assert points(line) == [[0, 0], [0.02, 0.125], [0.04, 0.25], [0.1, 0.375], [0.3, 0.375]]
    assert line.get_drawstyle() == "steps-post"
    assert legend(ax) == ["mine, median 0.070, 4 of 8 found"]
    assert ax.get_xlim() == (0, 0.3)
    assert ax.get_ylim() == (0, 1)


def test_what_landmark_errors_are_a_share_of():
    ax = draw_landmark_errors(new_axes(), {}, normalised_by="size of the box")
    assert ax.get_xlabel() == "mean error of the five points / size of the box"
    assert draw_landmark_errors(new_axes(), {}).get_xlabel().endswith("/ distance of the eyes")


def test_no_face_found_has_no_median():
    ax = draw_landmark_errors(new_axes(), {"mine": ([], 8), "none": (np.zeros(0), 0)})
    assert legend(ax) == ["mine, 0 of 8 found", "none, 0 of 0 found"]
    assert [points(line) for line in ax.lines] == [[[0, 0], [0.3, 0]]] * 2


def test_recall_by_angle_goes_from_upside_down_to_upside_down():
    ax = new_axes()
    assert draw_recall_by_angle(ax, {"mine": ([0, 90, 180, -90], [0.8, 0.2, 0.1, 0.3])}) is ax
    assert points(named(ax)["mine"]) == [[-180, 0.1], [-90, 0.3], [0, 0.8], [90, 0.2], [180, 0.1]]
    assert ax.get_xlim() == (-180, 180)
    assert ax.get_ylim() == (0, 1)
    ax.figure.canvas.draw()
    assert "45°" in [label.get_text() for label in ax.get_xticklabels()]


def test_both_ends_of_the_angles_stay_as_given():
    ax = draw_recall_by_angle(
        new_axes(), {"a": ([-180, 0, 180], [0.1, 0.8, 0.2]), "b": ([-30, 30], [0.5, 0.6])}
    )
    assert points(named(ax)["a"]) == [[-180, 0.1], [0, 0.8], [180, 0.2]]
    assert points(named(ax)["b"]) == [[-30, 0.5], [30, 0.6]]
    assert legend(ax) == ["a", "b"]


@pytest.mark.parametrize("draw", ALL)
def test_nothing_at_all_is_an_empty_figure(draw, tmp_path):
    ax = draw(new_axes(), {})
    assert ax.get_legend() is None
    save_figure(ax, tmp_path / "empty.png")


@pytest.mark.parametrize(
    ("draw", "curve"),
    [
        (draw_precision_recall, ([], [], 0.0)),
        (draw_precision_recall, ([np.nan, np.nan], [1.0, 0.5], np.nan)),
        (draw_true_against_false, ([], [])),
        (draw_true_against_false, ([0, 1], [np.nan, np.nan])),
        (draw_recall_by_size, {}),
        (draw_recall_by_iou, ([], [])),
        (draw_recall_by_iou, ([0.5, 0.7], [np.nan, np.nan])),
        (draw_landmark_errors, ([], 0)),
        (draw_landmark_errors, ([np.inf, np.inf], 2)),
        (draw_recall_by_angle, ([], [])),
        (draw_recall_by_angle, ([0, 180], [0.5, np.nan])),
    ],
)
def test_no_detections_or_no_faces_can_be_drawn(draw, curve, tmp_path):
    save_figure(draw(new_axes(), {"mine": curve}), tmp_path / "figure.png")


@pytest.mark.parametrize(
    ("draw", "curve"),
    [
        (draw_precision_recall, ([0.5], [1.0, 0.9], 0.5)),
        (draw_true_against_false, ([0], [0.1, 0.2])),
        (draw_recall_by_iou, ([0.5], [0.1, 0.2])),
        (draw_recall_by_angle, ([0], [0.1, 0.2])),
    ],
)
def test_arrays_of_different_lengths(draw, curve):
    with pytest.raises(InputError, match=r"'mine' have lengths \[1, 2\]"):
        draw(new_axes(), {"mine": curve})
