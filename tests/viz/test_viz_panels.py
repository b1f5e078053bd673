import numpy as np
import pytest
from matplotlib.colors import to_hex

from minidet import InputError
from minidet.viz.panels import add_boxes, numbers, panels

MAP = np.arange(12.0).reshape(3, 4)
PICTURE = np.full((5, 4, 3), 300.0)


def test_panels_stand_in_rows_with_their_titles():
    figure = panels([MAP, MAP, PICTURE], ["a", "b", "c"], columns=2)
    assert [ax.get_title() for ax in figure.axes] == ["a", "b", "c"]
    assert figure.axes[0].get_subplotspec().get_geometry() == (2, 2, 0, 0)
    assert figure.axes[2].get_subplotspec().get_geometry() == (2, 2, 2, 2)
    figure.draw_without_rendering()
    assert figure.get_size_inches()[0] == 9
    assert figure.dpi == 100


def test_a_pixel_covers_whole_numbers_so_that_boxes_fit():
    ax = panels([MAP]).axes[0]
    assert ax.get_xlim() == (0, 4)
    assert ax.get_ylim() == (3, 0)  # downwards


def test_colours_are_cut_to_bytes_and_maps_are_not():
    figure = panels([PICTURE, MAP], limits=(0, 5))
    shown = figure.axes[0].images[0].get_array()
    assert shown.dtype == np.uint8
    assert shown.max() == 255
    assert figure.axes[1].images[0].get_array().max() == 11
    assert figure.axes[1].images[0].get_clim() == (0, 5)


def test_each_map_has_its_own_limits_unless_told():
    figure = panels([MAP, 10 * MAP])
    assert [ax.images[0].get_clim() for ax in figure.axes] == [(0, 11), (0, 110)]


def test_numbers_stand_in_the_middle_of_their_squares():
    figure = numbers([MAP, -MAP[:2]], form=".1f", marked=MAP == 6)
    (first, *_, last) = figure.axes[0].texts
    assert (first.get_text(), first.get_position()) == ("0.0", (0.5, 0.5))
    assert (last.get_text(), last.get_position()) == ("11.0", (3.5, 2.5))
    assert (first.get_color(), last.get_color()) == ("black", "white")  # light square, dark square
    (frame,) = figure.axes[0].patches
    assert frame.get_bbox().bounds == (2, 1, 1, 1)
    assert figure.axes[1].texts[-1].get_text() == "-7.0"
    assert not figure.axes[1].patches


def test_an_array_of_equal_numbers_is_light():
    assert numbers([np.ones((1, 2))]).axes[0].texts[0].get_color() == "black"


def test_boxes_and_their_texts():
    ax = add_boxes(panels([MAP]).axes[0], [[0, 1, 2, 3], [1, 0, 4, 2]], ["p", "q"], dashes="--", line=3)
    assert [patch.get_bbox().extents.tolist() for patch in ax.patches] == [[0, 1, 2, 3], [1, 0, 4, 2]]
    assert {(patch.get_linestyle(), patch.get_linewidth()) for patch in ax.patches} == {("--", 3)}
    assert [(text.get_text(), text.get_position()) for text in ax.texts] == [("p", (0, 1)), ("q", (1, 0))]
    assert {to_hex(patch.get_edgecolor()) for patch in ax.patches} == {"#ff2bd6"}
    assert {to_hex(text.get_bbox_patch().get_facecolor()) for text in ax.texts} == {"#ff2bd6"}


def test_no_boxes_are_no_error():
    assert not add_boxes(panels([MAP]).axes[0], np.zeros((0, 4))).patches


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: panels([]), "panels: no pictures"),
        (lambda: panels([MAP], ["a", "b"]), "panels: 2 titles for 1 pictures"),
        (lambda: add_boxes(panels([MAP]).axes[0], [1, 2, 3, 4]), r"shape \(4,\)"),
        (lambda: add_boxes(panels([MAP]).axes[0], [[1, 2, 3, 4]], ["a", "b"]), "2 texts for 1 boxes"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
