"""Vertices to deltas and back."""

import numpy as np
import pytest

from minidet.boxes import decode_landmarks, decode_vertices, encode_landmarks, encode_vertices
from minidet.errors import InputError
from tests.check import FLOATS, assert_close
from tests.oracles.cases import Numbers

ANCHORS = np.array([[0.0, 0.0, 16.0, 16.0], [8.0, 4.0, 24.0, 40.0], [-3.5, -8.0, 4.5, 1.0]])
FACES = 20 + 10 * Numbers("faces").real(3, 5, 3)


@pytest.mark.parametrize("dtype", FLOATS)
def test_there_and_back(dtype):
    faces, anchors = FACES.astype(dtype), ANCHORS.astype(dtype)
    deltas = encode_vertices(faces, anchors, nose=2)
    again = decode_vertices(deltas, anchors)
    wanted = faces.copy()
    wanted[..., 2] -= faces[:, 2:3, 2]
    tolerance = {"float64": 1e-14, "float32": 1e-6}[dtype]
    assert_close(again, wanted, tolerance)
    assert deltas.dtype == again.dtype == dtype
    assert (deltas[:, 2, 2] == 0).all()


def test_x_and_y_are_coded_as_landmarks_are():
    deltas = encode_vertices(FACES, ANCHORS, nose=0)[..., :2]
    as_landmarks = encode_landmarks(FACES[..., :2], ANCHORS).reshape(3, 5, 2)
    assert_close(deltas, as_landmarks, 1e-14)
    points = decode_landmarks(as_landmarks.reshape(3, 10), ANCHORS)
    assert_close(decode_vertices(encode_vertices(FACES, ANCHORS, nose=0), ANCHORS)[..., :2], points, 1e-14)


def test_depth_is_in_sides_of_the_anchor():
    # 16 x 36: the side of a square of that area is 24.
    face = np.array([[[0.0, 0.0, 100.0], [0.0, 0.0, 112.0]]])
    assert encode_vertices(face, ANCHORS[1:2], nose=0)[0, 1, 2] == pytest.approx(12 / (0.1 * 24))


def test_the_same_face_four_times_as_large_has_the_same_deltas():
    larger = encode_vertices(4 * FACES, 4 * ANCHORS, nose=1)
    assert_close(larger, encode_vertices(FACES, ANCHORS, nose=1), 1e-14)


def test_variances():
    halves = encode_vertices(FACES, ANCHORS, nose=1, variances=(0.2, 0.0))
    assert_close(2 * halves, encode_vertices(FACES, ANCHORS, nose=1), 1e-14)
    doubled = decode_vertices(FACES, ANCHORS, variances=(0.2, 0.0))
    assert_close(doubled, decode_vertices(2 * FACES, ANCHORS), 1e-14)


def test_refuses():
    with pytest.raises(InputError, match=r"^encode_vertices: nose=5; expected a vertex, 0 to 4$"):
        encode_vertices(FACES, ANCHORS, nose=5)
    with pytest.raises(InputError, match=r"`vertices` has shape \(3, 5, 2\); expected \(A, V, 3\)"):
        encode_vertices(FACES[..., :2], ANCHORS, nose=0)
    with pytest.raises(InputError, match="`vertex_deltas` has 2 rows, `anchors` has 3"):
        decode_vertices(FACES[:2], ANCHORS)
    wrong = FACES.copy()
    wrong[1, 3, 0] = np.nan
    with pytest.raises(InputError, match="encode_vertices: `vertices` is not finite in row 1, vertex 3"):
        encode_vertices(wrong, ANCHORS, nose=0)
    with pytest.raises(InputError, match="anchor"):
        encode_vertices(FACES, ANCHORS * [1, 1, 0, 1], nose=0)
    with pytest.raises(InputError, match="float32"):
        decode_vertices(FACES.astype(np.float32), ANCHORS)
