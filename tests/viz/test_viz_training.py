"""The curves of a training, by the points that are drawn."""

import math
import re

import numpy as np
import pytest
from PIL import Image

from minidet.errors import InputError
from minidet.viz.figure import COLOURS, new_axes
from minidet.viz.training import (
    draw_learning_rate,
    draw_losses,
    draw_validation,
    draw_validation_errors,
    running_mean,
    save_curves,
)

ALL = [draw_losses, draw_learning_rate, draw_validation, draw_validation_errors]


def train(step, **figures):
    return {"kind": "train", "step": step, **figures}


def validation(step, **figures):
    return {"kind": "validation", "step": step, **figures}


RECORDS = [
    train(1, loss=4.0, box_offset=1.0, lr=0.1),
    train(2, loss=3.0, box_offset=None, lr=0.2),
    {"kind": "speed", "step": 2, "seconds": 1.0, "steps_per_second": 2.0, "waiting": 0.0},
    validation(2, recall=0.5, landmark_error=0.25, note="text", average_precision=0.25),
    train(3, loss=2.0, box_offset=0.5, lr=0.2),
    train(4, loss=1.0, box_offset=0.25, lr=0.02),
    validation(4, recall=0.75, landmark_error=0.125, average_precision=None),
    validation(6, recall=0.625, landmark_error=0.5, average_precision=0.5),
    {"kind": "failure", "step": 7, "error": "the loss is nan", "images": ["a.png"]},
]


def points(line):
    return np.column_stack([line.get_xdata(), line.get_ydata()]).tolist()


def curves(ax):
    """The lines of the legend, by their labels."""
    return {line.get_label(): points(line) for line in ax.lines if not line.get_label().startswith("_")}


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def nameless(ax):
    return [points(line) for line in ax.lines if line.get_label().startswith("_")]


# ---- Losses ----------------------------------------------------------------------------------------


def test_losses_by_task():
    ax = new_axes()
    assert draw_losses(ax, RECORDS) is ax
    assert legend(ax) == ["loss", "box offset"]
    assert curves(ax)["loss"] == [[1, 4.0], [2, 3.0], [3, 2.0], [4, 1.0]]
    np.testing.assert_equal(curves(ax)["box offset"], [[1, 1.0], [2, math.nan], [3, 0.5], [4, 0.25]])
    assert ax.get_xlabel() == "step"
    assert ax.get_ylabel() == "loss"
    assert ax.get_yscale() == "log"
    assert ax.get_ylim() == pytest.approx((0.7 * 0.25, 1.2 * 4))


def test_many_steps_are_smoothed():
    ax = new_axes()
    values = np.random.default_rng(3).uniform(1, 2, 200)
    draw_losses(ax, [train(10 * k, loss=value) for k, value in enumerate(values, start=1)])
    steps = np.arange(10, 2010, 10)
    assert nameless(ax) == [np.column_stack([steps, values]).tolist()]
    smooth = [values[max(k - 3, 0) : k + 1].mean() for k in range(200)]  # 200 / 50 of them
    np.testing.assert_allclose(curves(ax)["loss"], np.column_stack([steps, smooth]), rtol=1e-12)
    thin, strong = ax.lines
    assert thin.get_linewidth() < strong.get_linewidth()
    assert thin.get_color() == strong.get_color()
    assert ax.get_ylabel() == "loss; strong: mean of 4 steps"


def test_a_loss_of_nothing_takes_no_room():
    ax = new_axes()
    draw_losses(ax, [train(k, loss=1.0, box=0.0 if k > 3 else 0.5) for k in range(1, 9)])
    assert ax.get_yscale() == "log"
    assert ax.get_ylim() == pytest.approx((0.35, 1.2))


def test_a_single_step_with_nearly_no_loss_takes_no_room():
    ax = new_axes()
    values = [1e-9 if k == 50 else 2.0 if k == 60 else 1.0 for k in range(100)]
    draw_losses(ax, [train(k, loss=value) for k, value in enumerate(values)])
    assert ax.get_ylim() == pytest.approx((0.7 * (1 + 1e-9) / 2, 2.4))  # means of 2 steps


def test_losses_and_validations_of_one_name_are_kept_apart():
    records = [train(1, loss=1.0), validation(1, loss=0.5), train(2, loss=0.25)]
    ax, below = new_axes(), new_axes()
    draw_losses(ax, records)
    draw_validation(below, records)
    assert curves(ax) == {"loss": [[1, 1.0], [2, 0.25]]}
    assert curves(below) == {"loss, best 0.5 at step 1": [[1, 0.5]]}


@pytest.mark.parametrize("value", [0.0, None])
def test_no_loss_has_a_logarithm(value):
    ax = new_axes()
    draw_losses(ax, [train(1, loss=value), train(2, loss=value)])
    assert ax.get_yscale() == "linear"
    ax.figure.canvas.draw()


def test_a_task_that_comes_later():
    ax = new_axes()
    draw_losses(ax, [train(1, loss=1.0), train(2, loss=1.0, landmark=0.5)])
    assert curves(ax) == {"loss": [[1, 1.0], [2, 1.0]], "landmark": [[2, 0.5]]}


def test_the_curves_differ_in_colour_and_in_dashes():
    ax = new_axes()
    draw_losses(ax, [train(k, **{name: k for name in "abcd"}) for k in (1, 2)])
    looks = [(line.get_color(), line.get_linestyle()) for line in ax.lines if line.get_linewidth() > 1]
    assert len({colour for colour, _ in looks}) == len({dashes for _, dashes in looks}) == 4


# ---- Learning rate ---------------------------------------------------------------------------------


def test_learning_rate():
    ax = new_axes()
    assert draw_learning_rate(ax, RECORDS) is ax
    assert [points(line) for line in ax.lines] == [[[1, 0.1], [2, 0.2], [3, 0.2], [4, 0.02]]]
    assert ax.get_ylim()[0] == 0
    assert ax.get_ylabel() == "learning rate"
    assert ax.get_legend() is None


# ---- Validations -----------------------------------------------------------------------------------


def test_validation_with_the_best_ringed():
    ax = new_axes()
    assert draw_validation(ax, RECORDS) is ax
    assert legend(ax) == ["recall, best 0.75 at step 4", "average precision, best 0.5 at step 6"]
    recall, precision = curves(ax).values()
    assert recall == [[2, 0.5], [4, 0.75], [6, 0.625]]
    np.testing.assert_equal(precision, [[2, 0.25], [4, math.nan], [6, 0.5]])
    assert nameless(ax) == [[[4, 0.75]], [[6, 0.5]]]
    assert ax.get_ylim() == (0, 1)


def test_of_errors_the_smallest_is_best():
    ax = new_axes()
    assert draw_validation_errors(ax, RECORDS) is ax
    assert curves(ax) == {"landmark error, best 0.125 at step 4": [[2, 0.25], [4, 0.125], [6, 0.5]]}
    assert nameless(ax) == [[[4, 0.125]]]
    assert ax.get_ylim()[0] == 0
    assert ax.get_ylim()[1] > 0.5


def test_of_equal_ones_the_first_is_best():
    ax = new_axes()
    draw_validation(ax, [validation(k, recall=0.5) for k in (1, 2, 3)])
    assert legend(ax) == ["recall, best 0.5 at step 1"]


def test_a_figure_above_1_is_shown():
    ax = new_axes()
    draw_validation(ax, [validation(1, faces=30), validation(2, faces=40)])
    assert ax.get_ylim()[0] == 0
    assert ax.get_ylim()[1] >= 40


def test_a_figure_that_never_is_a_number():
    ax = new_axes()
    draw_validation(ax, [validation(1, recall=None), validation(2, recall=None)])
    assert legend(ax) == ["recall"]


# ---- All of them -----------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", ALL)
def test_nothing_to_draw(draw):
    ax = new_axes()
    assert draw(ax, []) is ax
    assert ax.get_legend() is None
    ax.figure.canvas.draw()


@pytest.mark.parametrize("draw", ALL)
def test_steps_are_whole(draw):
    ax = draw(new_axes(), RECORDS)
    ax.figure.canvas.draw()
    assert all(tick == int(tick) for tick in ax.get_xticks())


def heights(records, path):
    save_curves(records, path)
    with Image.open(path) as image:
        assert image.width == 960
        return image.height


def test_a_picture_with_what_there_is(tmp_path):
    path = tmp_path / "curves.png"
    losses = [train(1, loss=1.0), train(2, loss=0.5)]
    assert heights(RECORDS, path) == 120 * (1 + 1.5 * 7)
    assert heights(losses, path) == 120 * (1 + 1.5 * 2)
    assert heights([train(1, loss=1.0, lr=0.1)], path) == 120 * (1 + 1.5 * 3)
    assert heights([validation(1, recall=0.1)], path) == 120 * (1 + 1.5 * 2)
    assert heights([*losses, validation(1, landmark_error=0.1)], path) == 120 * (1 + 1.5 * 4)


def test_each_drawing_has_its_curve(tmp_path):
    path = tmp_path / "curves.png"
    save_curves(RECORDS, path)
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    colour = [int(COLOURS[0][i : i + 2], 16) for i in (1, 3, 5)]
    rows = np.flatnonzero((pixels == colour).all(axis=2).any(axis=1)) / len(pixels)
    for top, bottom in [(0, 2), (2, 3), (3, 5), (5, 7)]:  # the heights are as 2 : 1 : 2 : 2
        assert ((rows > (top + 0.2) / 7) & (rows < (bottom - 0.2) / 7)).any()


@pytest.mark.parametrize("records", [[], [RECORDS[2]], [train(1)]])
def test_no_curves_at_all(tmp_path, records):
    path = tmp_path / "curves.png"
    message = f"{path}: no curves to draw; the log has no training step and no validation"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        save_curves(records, path)
    assert not path.exists()


# ---- The running mean ------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [1, 2, 5, 40])
def test_running_mean_is_that_of_a_loop(window):
    rng = np.random.default_rng(window)
    values = np.where(rng.random(30) < 0.3, np.nan, rng.normal(size=30))
    values[[3, 4]] = np.inf, -np.inf
    expected = []
    for k in range(30):
        known = [v for v in values[max(0, k - window + 1) : k + 1] if math.isfinite(v)]
        expected.append(sum(known) / len(known) if known else math.nan)
    np.testing.assert_allclose(running_mean(values, window), expected, rtol=1e-12)


def test_small_values_after_large_ones():
    values = [1e12] * 5 + [1e-6] * 20
    np.testing.assert_allclose(running_mean(values, 10)[-10:], 1e-6, rtol=1e-12)


@pytest.mark.parametrize("window", [0, -1, 1.5])
def test_a_window_has_a_value(window):
    with pytest.raises(InputError, match=f"running_mean: window={window}; expected a whole number from 1 up"):
        running_mean([1.0], window)


def test_boxes_per_photograph_are_drawn_with_what_should_be_small():
    records = [validation(k, recall=0.9, boxes_per_photograph=200.0 / k) for k in (1, 2)]
    large, small = new_axes(), new_axes()
    draw_validation(large, records)
    draw_validation_errors(small, records)
    assert list(curves(large)) == ["recall, best 0.9 at step 1"]
    assert list(curves(small)) == ["boxes per photograph, best 100 at step 2"]


def test_a_wide_legend_leaves_the_drawing_its_width(tmp_path):
    """All of a picture's width is drawn in, however long the names are."""
    figures = {f"a_figure_with_a_name_of_some_length_{k}": 0.5 for k in range(3)}
    save_curves([validation(1, **figures), validation(2, **figures)], tmp_path / "curves.png")
    ink = np.asarray(Image.open(tmp_path / "curves.png").convert("L")) < 250
    assert np.flatnonzero(ink[-ink.shape[0] // 2 :].any(axis=0)).max() > 0.95 * ink.shape[1]
