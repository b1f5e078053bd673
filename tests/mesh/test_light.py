"""Normals and light: by hand, against the drawn heads' normals, and by differences."""

import numpy as np
import pytest

from minidet.datasets.synthetic.head import head_shape, head_triangles
from minidet.datasets.synthetic.render import vertex_normals
from minidet.errors import InputError
from minidet.mesh import normals_backward, normals_forward, place_forward, shade_backward, shade_forward
from tests.check import FLOATS, assert_close
from tests.gradients import assert_backward
from tests.mesh.scenes import head


def test_normals_are_those_of_the_drawn_heads():
    vertices = np.stack([head_shape(np.zeros(10)), head_shape(np.full(10, 0.5))])
    wanted = np.stack([vertex_normals(one, head_triangles()) for one in vertices])
    assert_close(normals_forward(vertices, head_triangles()), wanted, 1e-13)


def test_normals_gradients():
    topology, vertices, *_ = head()

    def backward(grad_output):
        return {"points": normals_backward(grad_output, vertices, topology.triangles)}

    assert_backward(
        lambda points: normals_forward(points, topology.triangles), backward, {"points": vertices}
    )


def test_a_vertex_without_a_triangle_has_no_normal_and_no_gradient():
    points = np.array([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 5, 5]]])
    triangle = np.array([[0, 1, 2]])
    assert normals_forward(points, triangle)[0, 3].tolist() == [0, 0, 0]
    assert normals_backward(np.ones((1, 4, 3)), points, triangle)[0, 3].tolist() == [0, 0, 0]


def shading():
    topology, vertices, colours, camera, light = head()
    points = place_forward(vertices, camera)
    # A point that the lamp does not reach, well away from the kink.
    normals = normals_forward(points, topology.triangles)
    normals[:, ::3] *= -1
    return {"colours": colours, "points": points, "normals": normals, "light": light}


def test_shade_gradients():
    arrays = shading()
    way = arrays["light"][:, None, :3] - arrays["points"]
    cosine = (way * arrays["normals"]).sum(axis=2) / np.linalg.norm(way, axis=2)
    assert np.abs(cosine).min() > 1e-3
    assert (cosine < 0).any()

    def backward(grad_output):
        grads = shade_backward(grad_output, **arrays)
        return dict(zip(("colours", "points", "normals", "light"), grads, strict=True))

    assert_backward(shade_forward, backward, arrays)


def test_what_looks_away_has_the_ambient_light_only():
    arrays = shading()
    lit = shade_forward(**arrays)
    way = arrays["light"][:, None, :3] - arrays["points"]
    away = (way * arrays["normals"]).sum(axis=2) < 0
    ambient = np.broadcast_to(arrays["light"][:, None, 6:], lit.shape)
    np.testing.assert_allclose(lit[away], (arrays["colours"] * ambient)[away])
    assert (lit > arrays["colours"] * ambient)[~away].all()


@pytest.mark.parametrize("dtype", FLOATS)
def test_types(dtype):
    topology, vertices, *_ = head()
    arrays = {name: array.astype(dtype) for name, array in shading().items()}
    lit = shade_forward(**arrays)
    normals = normals_forward(vertices.astype(dtype), topology.triangles)
    back = normals_backward(normals, vertices.astype(dtype), topology.triangles)
    results = [lit, normals, back, *shade_backward(lit, **arrays)]
    assert {result.dtype for result in results} == {np.dtype(dtype)}


def test_refuses_other_shapes():
    arrays = shading()
    with pytest.raises(InputError, match=r"`light` has shape \(2, 8\); expected \(2, 9\)"):
        shade_forward(**{**arrays, "light": arrays["light"][:, 1:]})
    with pytest.raises(InputError, match="`normals` has shape"):
        shade_forward(**{**arrays, "normals": arrays["normals"][:, 1:]})
    with pytest.raises(InputError, match=r"normals: `triangles` is float64 \(1, 3\)"):
        normals_forward(arrays["points"], np.zeros((1, 3)))
