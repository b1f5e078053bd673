import numpy as np
import pytest

from minidet.errors import InputError
from minidet.image.draw import LANDMARK_COLOURS
from minidet.viz.samples import BOX_COLOUR, CropRow, samples_sheet

GREY = (90, 90, 90)


def row(count=2, side=12, *, boxes=None, landmarks=None, captions=None, title="a title", crops=None):
    return CropRow(
        title,
        np.full((count, side, side, 3), GREY, np.uint8) if crops is None else crops,
        np.full((count, 4), np.nan) if boxes is None else boxes,
        np.full((count, 5, 2), np.nan) if landmarks is None else landmarks,
        [""] * count if captions is None else captions,
    )


def where(sheet, colour):
    """First and last column and row of a colour, one past the last."""
    rows, columns = np.nonzero((np.asarray(sheet) == colour).all(axis=-1))
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_crops_are_enlarged_to_the_cell_with_a_margin_between():
    sheet = samples_sheet([row(2)], cell=96)
    x1, y1, x2, y2 = where(sheet, GREY)
    assert (x1, x2) == (32, 160 + 32 + 96)
    assert y2 - y1 == 96
    grey = (np.asarray(sheet)[y1 + 40] == GREY).all(axis=-1)
    assert grey.sum() == 2 * 96


def test_pixels_stay_squares():
    crops = np.random.default_rng(0).integers(0, 256, (1, 12, 12, 3), dtype=np.uint8)
    sheet = np.asarray(samples_sheet([row(1, crops=crops)], cell=96))
    _, y1, _, _ = where(samples_sheet([row(1)], cell=96), GREY)
    np.testing.assert_array_equal(sheet[y1 : y1 + 96, 32:128], crops[0].repeat(8, axis=0).repeat(8, axis=1))


def test_a_box_is_drawn_where_it_is():
    plain = where(samples_sheet([row(1)], cell=96), GREY)
    sheet = samples_sheet([row(1, boxes=[[3, -1.5, 13.5, 6]])], cell=96)
    x1, y1, x2, y2 = where(sheet, BOX_COLOUR)
    assert (x1, y1) == (plain[0] + 24, plain[1] - 12)
    assert (x2 - 1, y2 - 1) == (plain[0] + 108, plain[1] + 48)


def test_a_box_that_is_inside_out_is_drawn():
    turned, proper = (samples_sheet([row(1, boxes=[box])]) for box in ([9, 8, 2, 1], [2, 1, 9, 8]))
    assert (np.asarray(turned) == np.asarray(proper)).all()


def test_points_are_drawn_in_their_colours():
    points = np.array([[[2, 2], [9, 2], [6, 6], [3, 9], [8, 10]]], float)
    plain = where(samples_sheet([row(1)], cell=96), GREY)
    sheet = samples_sheet([row(1, landmarks=points)], cell=96)
    for (x, y), colour in zip(points[0], LANDMARK_COLOURS, strict=True):
        x1, y1, x2, y2 = where(sheet, colour)
        assert abs((x1 + x2 - 1) / 2 - plain[0] - 8 * x) <= 0.5
        assert abs((y1 + y2 - 1) / 2 - plain[1] - 8 * y) <= 0.5


def test_nan_is_not_drawn():
    sheet = np.asarray(samples_sheet([row(1)]))
    for colour in (BOX_COLOUR, *LANDMARK_COLOURS):
        assert not (sheet == colour).all(axis=-1).any()


def test_captions_and_titles_are_written():
    plain = np.asarray(samples_sheet([row(2, title="")]))
    titled = np.asarray(samples_sheet([row(2)]))
    captioned = np.asarray(samples_sheet([row(2, title="", captions=["0.71", ""])]))
    y1, y2 = where(plain, GREY)[1::2]
    changed = np.flatnonzero((titled != plain).any(axis=(1, 2)))
    assert changed.min() > 0  # not cut off
    assert changed.max() < y1
    rows, columns = np.nonzero((captioned != plain).any(axis=2))
    assert rows.min() > y2
    assert columns.max() < 160


def test_rows_lie_below_each_other():
    sheet = samples_sheet([row(1), row(3, side=24)])
    assert sheet.size[0] == 3 * 160
    assert sheet.size[1] == 2 * samples_sheet([row(1)]).size[1]


def test_no_rows_and_rows_without_crops():
    assert samples_sheet([]).size[1] > 0
    assert samples_sheet([row(0)]).size[0] > 0


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (row(2, boxes=np.zeros((1, 4))), r"`boxes` has shape \(1, 4\); expected \(2, 4\)"),
        (row(2, landmarks=np.zeros((2, 10))), r"`landmarks` has shape \(2, 10\)"),
        (row(2, captions=["a"]), r"`captions` has shape \(1,\)"),
        (row(2, crops=np.zeros((2, 12, 12, 3))), "type float64; expected"),
        (row(2, crops=np.zeros((2, 12, 12, 1), np.uint8)), r"crops of shape \(2, 12, 12, 1\)"),
    ],
)
def test_refuses(bad, expected):
    with pytest.raises(InputError, match=expected):
        samples_sheet([bad])


def test_refuses_a_cell_in_which_nothing_can_be_seen():
    with pytest.raises(InputError, match="cell=47; expected a whole number from 48 up"):
        samples_sheet([row()], cell=47)
