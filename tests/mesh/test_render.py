"""The whole way from a mesh to its picture and back."""

import numpy as np
import pytest

from minidet.mesh import render_backward, render_forward
from tests.check import FLOATS
from tests.gradients import numeric_gradient
from tests.mesh.scenes import head
from tests.oracles.cases import Numbers

SIDE = 12
NAMES = ("vertices", "colours", "camera", "light")


def scene():
    topology, *arrays = head(N=1)
    return topology.triangles, dict(zip(NAMES, arrays, strict=True))


def inside(triangles, arrays):
    """Pixels that show the same triangle however little anything moves: every step of the differences."""
    _, cache = render_forward(**arrays, triangles=triangles, side=SIDE)
    return (cache.weights.min(axis=3) > 1e-3)[..., None]


@pytest.mark.parametrize("name", NAMES)
def test_gradients_inside_the_triangles(name):
    # At pixels whose triangle changes there is a jump, and no gradient; all others count.
    triangles, arrays = scene()
    count = inside(triangles, arrays)
    assert 0.2 < count.mean() < 1
    grad_pictures = Numbers("upstream").real(1, SIDE, SIDE, 3) * count

    def loss():
        pictures, _ = render_forward(**arrays, triangles=triangles, side=SIDE)
        return float((pictures * grad_pictures).sum())

    _, cache = render_forward(**arrays, triangles=triangles, side=SIDE)
    found = dict(zip(NAMES, render_backward(grad_pictures, cache), strict=True))[name]
    wanted = numeric_gradient(loss, arrays[name])
    assert np.abs(wanted).max() > 1e-2
    np.testing.assert_allclose(found, wanted, atol=1e-6 * np.abs(wanted).max())


def test_every_number_of_camera_and_light_has_a_gradient():
    triangles, arrays = scene()
    pictures, cache = render_forward(**arrays, triangles=triangles, side=SIDE)
    grads = render_backward(Numbers("g").real(*pictures.shape), cache)
    assert grads[2].all()
    assert grads[3].all()


def test_a_batch_is_its_meshes_one_by_one():
    topology, *arrays = head(N=3)
    pictures, _ = render_forward(*arrays, topology.triangles, SIDE)
    for n in range(3):
        alone, _ = render_forward(*(array[n : n + 1] for array in arrays), topology.triangles, SIDE)
        np.testing.assert_allclose(alone[0], pictures[n], atol=1e-14)


@pytest.mark.parametrize("dtype", FLOATS)
def test_types(dtype):
    triangles, arrays = scene()
    arrays = {name: array.astype(dtype) for name, array in arrays.items()}
    pictures, cache = render_forward(**arrays, triangles=triangles, side=SIDE)
    assert pictures.dtype == dtype
    assert {grad.dtype for grad in render_backward(pictures, cache)} == {np.dtype(dtype)}


def test_where_there_is_no_mesh_the_picture_is_black():
    triangles, arrays = scene()
    arrays["camera"][:, 0] += 0.8  # towards the right border
    pictures, cache = render_forward(**arrays, triangles=triangles, side=SIDE)
    nothing = cache.shown < 0
    assert nothing.any()
    assert not pictures[nothing].any()
    assert pictures[~nothing].all()
