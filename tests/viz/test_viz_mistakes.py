import numpy as np
import pytest
from PIL import Image

from minidet.errors import InputError
from minidet.viz.mistakes import (
    FALSE_COLOUR,
    FOUND_COLOUR,
    IGNORED_COLOUR,
    MISSED_COLOUR,
    MarkedPicture,
    mistakes_sheet,
)

PHOTO = (10, 20, 30)
OTHER_PHOTO = (60, 10, 60)
WHITE = (255, 255, 255)


def plain(width=200, height=100, colour=PHOTO):
    return np.full((height, width, 3), colour, np.uint8)


def is_colour(pixels, colour):
    return (np.asarray(pixels) == colour).all(axis=-1)


def span(sheet, colour=PHOTO):
    """First and last column and row with pixels of a colour: where the photograph is."""
    rows, columns = np.nonzero(is_colour(sheet, colour))
    return columns.min(), rows.min(), columns.max(), rows.max()


def photo_with(cell=200, image=None, **boxes):
    """Pixels of the photograph on a sheet of one."""
    sheet = mistakes_sheet([MarkedPicture(plain() if image is None else image, "", **boxes)], cell=cell)
    left, top, right, bottom = span(sheet)
    return np.asarray(sheet)[top : bottom + 1, left : right + 1]


def ring(left, top, right, bottom):
    """Rows and columns of a rectangle's outermost pixels."""
    mask = np.zeros((100, 200), bool)
    mask[top : bottom + 1, left : right + 1] = True
    mask[top + 1 : bottom, left + 1 : right] = False
    return mask


def test_a_found_face_has_a_solid_frame_around_it():
    photo = photo_with(found_boxes=[[20, 30, 60, 80]])
    assert photo.shape == (100, 200, 3)
    green = is_colour(photo, FOUND_COLOUR)
    expected = ring(18, 28, 61, 81) | ring(19, 29, 60, 80)  # two pixels, outside the box
    np.testing.assert_array_equal(green, expected)
    assert is_colour(photo, PHOTO)[~expected].all()


def test_a_missed_face_has_stripes():
    photo = photo_with(missed_boxes=[[20, 30, 60, 80]])
    line = photo[28, 18:62]
    red, white = is_colour(line, MISSED_COLOUR), is_colour(line, WHITE)
    assert (red | white).all()
    assert red[0]
    assert red[-1]
    assert np.diff(red.astype(int)).tolist().count(-1) >= 3  # from red to white at least three times
    assert is_colour(photo[30:80, 20:60], PHOTO).all()


def test_even_a_tiny_missed_face_has_stripes():
    line = photo_with(missed_boxes=[[20, 30, 23, 34]])[28, 18:25]
    assert is_colour(line, MISSED_COLOUR).any()
    assert is_colour(line, WHITE).any()


def test_a_false_alarm_has_its_score_above():
    photo = photo_with(false_boxes=[[20, 50, 90, 80]], false_scores=[0.75])
    orange = is_colour(photo, FALSE_COLOUR)
    assert orange[ring(18, 48, 91, 81)].all()
    tag = photo[40:48, 18:40]  # right above the frame
    assert is_colour(tag, FALSE_COLOUR).any()
    assert (tag.max(axis=-1) < 64).any()  # black letters
    assert is_colour(photo[50:80, 20:90], PHOTO).all()


def test_a_score_shows_two_digits_of_its_own():
    one = photo_with(false_boxes=[[20, 50, 90, 80]], false_scores=[0.75])
    other = photo_with(false_boxes=[[20, 50, 90, 80]], false_scores=[0.76])
    assert (one != other).any()
    assert (one == photo_with(false_boxes=[[20, 50, 90, 80]], false_scores=[0.751])).all()


def test_at_the_upper_edge_the_score_is_below():
    photo = photo_with(false_boxes=[[20, 5, 90, 40]], false_scores=[0.75])
    assert is_colour(photo[42, 18:40], FALSE_COLOUR).any()
    assert is_colour(photo[0, 18:92], PHOTO).all()


def test_where_neither_fits_the_score_is_inside():
    photo = photo_with(false_boxes=[[20, 5, 90, 95]], false_scores=[0.75])
    assert is_colour(photo[5:10, 20:40], FALSE_COLOUR).any()


def test_at_the_right_edge_the_score_stays_within():
    photo = photo_with(false_boxes=[[190, 50, 198, 80]], false_scores=[0.75])
    inside = photo_with(false_boxes=[[100, 50, 108, 80]], false_scores=[0.75])
    tag, tag_inside = is_colour(photo[:48], FALSE_COLOUR), is_colour(inside[:48], FALSE_COLOUR)
    assert tag.sum() == tag_inside.sum() > 0


def test_two_scores_at_one_place_are_both_readable():
    one = photo_with(false_boxes=[[20, 50, 60, 80]], false_scores=[0.75])
    two = photo_with(false_boxes=[[20, 50, 60, 80]] * 2, false_scores=[0.75, 0.61])
    np.testing.assert_array_equal(one[:48], two[:48])
    assert (one[82:] != two[82:]).any()  # the second is below


def test_a_face_that_does_not_count_has_dots():
    photo = photo_with(ignored_boxes=[[20, 30, 60, 80]])
    line = photo[28, 18:62]
    grey, nothing = is_colour(line, IGNORED_COLOUR), is_colour(line, PHOTO)
    assert (grey | nothing).all()
    assert 10 < grey.sum() < 34
    assert np.diff(grey.astype(int)).tolist().count(-1) >= 5
    assert is_colour(photo[30:80, 20:60], PHOTO).all()


def test_boxes_shrink_with_the_photograph_and_lines_do_not():
    large = plain(800, 400)
    photo = photo_with(image=large, found_boxes=[[80, 120, 240, 320]])  # 20 30 60 80 at a quarter
    np.testing.assert_array_equal(photo, photo_with(found_boxes=[[20, 30, 60, 80]]))


def test_a_small_photograph_is_enlarged():
    assert photo_with(image=plain(50, 80)).shape == (200, 125, 3)


def test_lines_grow_with_the_cell():
    photo = photo_with(cell=700, found_boxes=[[20, 30, 60, 80]])
    column = is_colour(photo[:, 140], FOUND_COLOUR)
    assert column[105 - 5 : 105].all()
    assert column.sum() == 10


def test_the_picture_of_the_caller_stays_as_it_is():
    image = plain()
    photo_with(image=image, found_boxes=[[20, 30, 60, 80]])
    assert (image == plain()).all()


def test_a_file_is_read(tmp_path):
    Image.fromarray(plain()).save(tmp_path / "a.png")
    assert photo_with(image=tmp_path / "a.png").shape == (100, 200, 3)


def test_photographs_fill_rows_from_left_to_right():
    colours = [(0, 0, 90), (0, 90, 0), (90, 0, 0)]
    pictures = [MarkedPicture(plain(colour=colour), "title") for colour in colours]
    sheet = mistakes_sheet(pictures, columns=2, cell=200)
    first, second, third = (span(sheet, colour) for colour in colours)
    assert sheet.width == 10 + 2 * 210
    assert (first[0], first[2]) == (third[0], third[2]) == (10, 209)
    assert (second[0], second[2]) == (220, 419)
    assert first[1] == second[1]
    assert third[1] > first[3] + 10


def test_few_photographs_make_a_narrow_sheet():
    pictures = [MarkedPicture(plain(), "")] * 2
    assert mistakes_sheet(pictures, columns=4, cell=320).width == 16 + 2 * 336


def test_photographs_of_a_row_stand_on_one_line():
    pictures = [MarkedPicture(plain(200, 100), "a"), MarkedPicture(plain(100, 200, OTHER_PHOTO), "b")]
    sheet = mistakes_sheet(pictures, cell=200)
    flat, tall = span(sheet), span(sheet, OTHER_PHOTO)
    assert flat[3] == tall[3]
    assert (tall[0], tall[2]) == (270, 369)  # in the middle of its cell, 220 to 419


def ink_below(sheet):
    """Columns and rows of the letters under the photograph."""
    bottom = span(sheet)[3]
    rows, columns = np.nonzero(np.asarray(sheet)[bottom + 1 :].max(axis=-1) < 200)
    return columns, rows


def test_a_title_is_below():
    columns, _ = ink_below(mistakes_sheet([MarkedPicture(plain(), "title")], cell=200))
    assert (columns.min() + columns.max()) / 2 == pytest.approx(110, abs=3)


def test_a_title_may_have_two_lines():
    _, one = ink_below(mistakes_sheet([MarkedPicture(plain(), "title")], cell=200))
    _, two = ink_below(mistakes_sheet([MarkedPicture(plain(), "title\ntitle")], cell=200))
    assert len(two) == 2 * len(one)
    assert two.max() > one.max()


def test_a_long_title_is_cut():
    columns, _ = ink_below(mistakes_sheet([MarkedPicture(plain(), "long " * 40)], cell=200))
    assert columns.min() >= 10
    assert columns.max() < 210
    assert len(np.unique(columns)) > 80


def test_the_legend_shows_every_mark():
    sheet = mistakes_sheet([MarkedPicture(plain(), "")] * 4, cell=320)
    top = np.asarray(sheet)[: span(sheet)[1]]
    for colour in (FOUND_COLOUR, MISSED_COLOUR, FALSE_COLOUR, IGNORED_COLOUR):
        assert is_colour(top, colour).sum() > 40  # more than smooth letters have of any grey


def test_on_a_narrow_sheet_the_legend_takes_more_lines():
    narrow = mistakes_sheet([MarkedPicture(plain(), "")], cell=320)
    wide = mistakes_sheet([MarkedPicture(plain(), "")] * 4, cell=320)
    assert span(narrow)[1] > span(wide)[1]
    assert is_colour(np.asarray(narrow)[:, -4:], WHITE).all()


@pytest.mark.parametrize("cell", [64, 100, 320])
def test_without_photographs_there_is_a_legend(cell):
    sheet = mistakes_sheet([], cell=cell)
    assert is_colour(sheet, FOUND_COLOUR).any()
    assert is_colour(np.asarray(sheet)[:, -2:], WHITE).all()  # no name is cut


def test_a_photograph_without_faces():
    assert is_colour(photo_with(), PHOTO).all()
    empty = np.zeros((0, 4), np.float32)
    assert is_colour(photo_with(found_boxes=empty, false_boxes=empty, false_scores=empty[:, 0]), PHOTO).all()


@pytest.mark.parametrize("kind", ["found_boxes", "missed_boxes", "ignored_boxes", "false_boxes"])
@pytest.mark.parametrize(
    "box",
    [[150, 50, 250, 130], [-40, 30, -20, 60], [30, 300, 60, 340], [40, 40, 40, 40], [60, 80, 20, 30]],
    ids=["reaches out", "left of it", "below it", "a point", "inside out"],
)
def test_any_box_can_be_drawn(kind, box):
    scores = {"false_scores": [0.5]} if kind == "false_boxes" else {}
    photo = photo_with(**{kind: [box]}, **scores)
    assert photo.shape == (100, 200, 3)
    assert (photo != PHOTO).any()


def test_a_box_inside_out_is_turned():
    np.testing.assert_array_equal(
        photo_with(found_boxes=[[60, 80, 20, 30]]), photo_with(found_boxes=[[20, 30, 60, 80]])
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": 0}, "columns=0; expected a whole number from 1 up"),
        ({"cell": 10}, "cell=10; expected a whole number from 64 up"),
    ],
)
def test_numbers_out_of_range(options, message):
    with pytest.raises(InputError, match=message):
        mistakes_sheet([], **options)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ({"found_boxes": [20, 30, 60, 80]}, r"`found_boxes` has shape \(4,\)"),
        ({"missed_boxes": [[20, 30, 60]]}, r"`missed_boxes` has shape \(1, 3\)"),
        ({"ignored_boxes": [[20, 30, 60, np.nan]]}, "`ignored_boxes` is not finite in row 0"),
        ({"false_boxes": [[20, 30, 60, 80]]}, "0 false_scores for 1 false_boxes"),
    ],
)
def test_wrong_boxes(boxes, message):
    with pytest.raises(InputError, match=message):
        photo_with(**boxes)
