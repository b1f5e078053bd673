"""Drawing faces: on a copy, in the right place, and on any picture."""

import numpy as np
import pytest
from PIL import Image

from minidet import Detections, draw
from minidet.errors import InputError
from minidet.image import draw_mesh
from minidet.image.draw import BOX_COLOUR, LANDMARK_COLOURS, MESH_COLOUR

GREY = np.full((100, 80, 3), 90, np.uint8)
GREY.flags.writeable = False
POINTS = np.array([[[30, 40], [50, 40], [40, 50], [32, 62], [48, 62]]], np.float32)
FACE = Detections([[20, 30, 60, 70]], [0.9], POINTS)


def face(box):
    return Detections([box], [0.9], POINTS)


def test_a_new_rgb_picture_of_the_same_size():
    picture = draw(GREY, FACE)
    assert isinstance(picture, Image.Image)
    assert picture.mode == "RGB"
    assert picture.size == (80, 100)


def test_an_array_is_not_changed():
    image = GREY.copy()
    draw(image, FACE)
    np.testing.assert_array_equal(image, GREY)


def test_a_pil_image_is_not_changed():
    image = Image.fromarray(GREY)
    picture = draw(image, FACE)
    assert picture is not image
    np.testing.assert_array_equal(np.asarray(image), GREY)


@pytest.mark.parametrize("scores", [True, False])
def test_no_face_gives_the_picture_back(scores):
    picture = draw(GREY, Detections.empty(), scores=scores)
    np.testing.assert_array_equal(np.asarray(picture), GREY)


def test_the_edge_of_the_box_is_drawn():
    picture = np.asarray(draw(GREY, FACE, scores=False))
    is_box = (picture == BOX_COLOUR).all(axis=2)
    expected = np.zeros((100, 80), bool)
    expected[[30, 70], 20:61] = True
    expected[30:71, [20, 60]] = True
    np.testing.assert_array_equal(is_box, expected)


def test_the_box_is_green():
    red, green, blue = BOX_COLOUR
    assert green == 255
    assert max(red, blue) < 128


@pytest.mark.parametrize("k", range(5))
def test_each_landmark_has_its_colour(k):
    picture = draw(GREY, FACE, scores=False)
    x, y = POINTS[0, k]
    assert picture.getpixel((int(x), int(y))) == LANDMARK_COLOURS[k]


def test_the_score_is_written_above_the_box():
    with_score = np.asarray(draw(GREY, FACE))
    without = np.asarray(draw(GREY, FACE, scores=False))
    rows = np.flatnonzero((with_score != without).any(axis=(1, 2)))
    assert rows.size > 5
    assert rows.max() <= 30
    assert with_score.max(axis=2).min() < 64  # dark ink


def test_the_score_of_a_face_at_the_upper_edge_is_written_inside_the_box():
    with_score = np.asarray(draw(GREY, face([20, 2, 60, 42])))
    without = np.asarray(draw(GREY, face([20, 2, 60, 42]), scores=False))
    rows = np.flatnonzero((with_score != without).any(axis=(1, 2)))
    assert rows.min() >= 2
    assert rows.max() < 42


def test_two_faces_are_two_boxes():
    two = Detections([[5, 30, 15, 40], [40, 60, 70, 90]], [0.9, 0.8], np.concatenate([POINTS, POINTS]))
    picture = draw(GREY, two, scores=False)
    assert picture.getpixel((5, 35)) == BOX_COLOUR
    assert picture.getpixel((70, 75)) == BOX_COLOUR


def test_lines_grow_with_the_picture():
    picture = np.asarray(draw(np.zeros((1000, 1000, 3), np.uint8), face([200, 300, 600, 700]), scores=False))
    assert (picture[500, 195:206] == BOX_COLOUR).all(axis=1).sum() == 4  # 1000 / 250


def test_a_box_inside_out_is_drawn_as_if_turned():
    turned = draw(GREY, face([60, 70, 20, 30]), scores=False)
    np.testing.assert_array_equal(
        np.asarray(turned) == BOX_COLOUR, np.asarray(draw(GREY, FACE, scores=False)) == BOX_COLOUR
    )


@pytest.mark.parametrize("box", [[-500, -500, -400, -400], [900, 10, 950, 60], [10, 900, 60, 950]])
def test_a_box_outside_leaves_no_trace(box):
    away = Detections([box], [0.9], np.full((1, 5, 2), -1000.0))
    np.testing.assert_array_equal(np.asarray(draw(GREY, away)), GREY)


@pytest.mark.parametrize("box", [[-50, -50, 150, 150], [60, 80, 200, 300], [40, 50, 40, 50]])
def test_a_box_partly_outside_or_without_area(box):
    assert draw(GREY, face(box)).size == (80, 100)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 300, 3), (300, 1, 3), (2, 2)])
@pytest.mark.parametrize("scores", [True, False])
def test_on_the_smallest_pictures(shape, scores):
    picture = draw(np.zeros(shape, np.uint8), face([0, 0, 1, 1]), scores=scores)
    assert picture.size == (shape[1], shape[0])
    assert np.asarray(picture).any()


def test_a_path_will_do(portrait_path, portrait):
    picture = draw(portrait_path, Detections.empty())
    np.testing.assert_array_equal(np.asarray(picture), portrait)


# ---- Meshes ----------------------------------------------------------------------------------------

SQUARE = np.array([[[10.0, 20, 0], [40, 20, 0], [10, 50, 0], [40, 50, 0]]])
TWO = np.array([[0, 1, 2], [1, 3, 2]])


def cyan(picture):
    return (np.asarray(picture) == MESH_COLOUR).all(axis=2)


def test_the_edges_of_a_mesh_are_drawn_on_a_copy():
    image = GREY.copy()
    lines = cyan(draw_mesh(image, SQUARE, TWO))
    np.testing.assert_array_equal(image, GREY)
    assert lines[20, 10:41].all()
    assert lines[20:51, 10].all()
    assert lines[50, 10:41].all()
    assert lines[30, 30]  # the diagonal
    assert not lines[:20].any()
    assert not lines[25, 15]


def test_triangles_that_look_away_are_not_drawn():
    assert not cyan(draw_mesh(GREY, SQUARE, TWO[:, ::-1])).any()


def test_an_enlarged_picture_has_its_mesh_enlarged():
    picture = draw_mesh(GREY, SQUARE, TWO, enlarged=3)
    assert picture.size == (240, 300)
    assert cyan(picture)[60, 30:121].all()


def test_every_face_gets_its_mesh_and_none_gets_none():
    two = np.concatenate([SQUARE, SQUARE + np.array([25, 0, 0])])
    assert cyan(draw_mesh(GREY, two, TWO))[20, 35:66].all()
    assert not cyan(draw_mesh(GREY, SQUARE[:0], TWO)).any()
    with pytest.raises(InputError, match=r"^draw_mesh: `vertices` has shape \(4, 3\); expected \(G, V, 3\)$"):
        draw_mesh(GREY, SQUARE[0], TWO)
