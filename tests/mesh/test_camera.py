"""Where points come to lie: by hand, against the poses of the drawn heads, and by differences."""

import numpy as np
import pytest

from minidet.datasets.synthetic.pose import rotation
from minidet.errors import InputError
from minidet.mesh import place_backward, place_forward, project_backward, project_forward
from tests.check import FLOATS, assert_close
from tests.gradients import assert_backward
from tests.mesh.scenes import head
from tests.oracles.cases import Numbers


def test_turns_as_the_drawn_heads_do():
    vertices = Numbers("points").real(3, 6, 3)
    angles = np.array([[0.4, -0.3, 0.2], [0.0, 0.5, 0.0], [-1.0, 0.2, 0.7]])
    camera = np.concatenate([np.full((3, 3), 2.5), angles, np.ones((3, 1))], axis=1)
    wanted = np.stack(
        [v @ rotation(*np.rad2deg(a).tolist()).T + 2.5 for v, a in zip(vertices, angles, strict=True)]
    )
    assert_close(place_forward(vertices, camera), wanted, 1e-14)


def test_place_gradients():
    _, vertices, _, camera, _ = head()

    def backward(grad_output):
        return dict(zip(("vertices", "camera"), place_backward(grad_output, vertices, camera), strict=True))

    assert_backward(place_forward, backward, {"vertices": vertices, "camera": camera})


def test_project_gradients():
    _, vertices, _, camera, _ = head()
    points, focal = place_forward(vertices, camera), camera[:, 6].copy()

    def forward(points, focal):
        return project_forward(points, focal, 24)

    def backward(grad_output):
        grads = project_backward(grad_output, points, focal, 24)
        return dict(zip(("points", "focal"), grads, strict=True))

    assert_backward(forward, backward, {"points": points, "focal": focal})


def test_a_face_twice_as_far_is_half_as_large():
    points = np.array([[[1.0, -0.5, 4.0], [1.0, -0.5, 8.0]]])
    (near, far), middle = project_forward(points, np.array([3.0]), 20)[0, :, :2], 10
    np.testing.assert_allclose(near - middle, 2 * (far - middle))
    np.testing.assert_allclose(near, [10 + 10 * 3 / 4, 10 - 10 * 1.5 / 4])


@pytest.mark.parametrize("dtype", FLOATS)
def test_types(dtype):
    _, vertices, _, camera, _ = (a.astype(dtype) if isinstance(a, np.ndarray) else a for a in head())
    points = place_forward(vertices, camera)
    seen = project_forward(points, camera[:, 6], 24)
    results = [points, seen, *place_backward(points, vertices, camera)]
    results += project_backward(seen, points, camera[:, 6], 24)
    assert {result.dtype for result in results} == {np.dtype(dtype)}


def test_refuses_points_behind_the_camera_and_other_shapes():
    points = np.array([[[0.0, 0.0, 0.0]]])
    with pytest.raises(InputError, match=r"^project: a point has the depth 0; expected all before the"):
        project_forward(points, np.ones(1), 8)
    with pytest.raises(InputError, match=r"`focal` has shape \(2,\); expected \(1,\)"):
        project_forward(points + 1, np.ones(2), 8)
    with pytest.raises(InputError, match="side=0; expected a number above 0"):
        project_forward(points + 1, np.ones(1), 0)
    with pytest.raises(InputError, match=r"`camera` has shape \(1, 6\); expected \(1, 7\)"):
        place_forward(points, np.ones((1, 6)))
    with pytest.raises(InputError, match=r"`vertices` has shape \(1, 1, 2\); expected \(N, V, 3\)"):
        place_forward(points[..., :2], np.ones((1, 7)))
