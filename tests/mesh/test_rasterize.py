"""The rasteriser against a slow twin, and its gradient against differences where nothing jumps."""

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.mesh import interpolate_backward, interpolate_forward, rasterize_backward, rasterize_forward
from tests.check import FLOATS, LAYOUTS, OP_TOLERANCE, assert_close
from tests.gradients import assert_backward
from tests.oracles.cases import Numbers


def crowd(T=12, side=16, seed="crowd"):
    """T triangles at random, in front of and behind each other, some of them beyond the border."""
    numbers = Numbers(seed)
    points = np.concatenate(
        [side / 2 + side / 2 * numbers.real(1, 3 * T, 2), 3 + 0.4 * numbers.real(1, 3 * T, 1)], axis=2
    )
    return points + 0.01, np.arange(3 * T).reshape(T, 3)


def by_rays(points, triangles, side):
    """For each pixel and each triangle: solve for where the ray meets the plane, keep the nearest."""
    shown, weights = np.full((side, side), -1), np.zeros((side, side, 3))
    # In space: the camera is at the origin, a pixel is the direction (x, y, 1).
    space = np.concatenate([points[:, :2] * points[:, 2:], points[:, 2:]], axis=1)
    for row in range(side):
        for column in range(side):
            ray, nearest = np.array([column + 0.5, row + 0.5, 1.0]), np.inf
            for t, corners in enumerate(triangles):
                # ray * depth = corners^T w with weights that add up to 1.
                matrix = np.zeros((4, 4))
                matrix[:3, :3], matrix[:3, 3], matrix[3, :3] = space[corners].T, -ray, 1
                if abs(np.linalg.det(matrix)) < 1e-9:
                    continue
                *w, depth = np.linalg.solve(matrix, [0, 0, 0, 1])
                if min(w) >= 0 and depth < nearest:
                    nearest, shown[row, column], weights[row, column] = depth, t, w
    return shown, weights


@pytest.mark.parametrize("seed", ["crowd", "another", "third"])
def test_equals_rays(seed):
    points, triangles = crowd(seed=seed)
    shown, weights = rasterize_forward(points, triangles, 16, 16)
    wanted, wanted_weights = by_rays(points[0], triangles, 16)
    assert len(np.unique(shown)) > 5  # many are seen
    np.testing.assert_array_equal(shown[0], wanted)
    assert_close(weights[0], wanted_weights, 1e-9)


def test_pictures_are_not_square_and_not_alone():
    points, triangles = crowd()
    both = np.concatenate([points, points[:, ::-1]])
    shown, weights = rasterize_forward(both, triangles, 9, 14)
    assert shown.shape == (2, 9, 14)
    whole, of_whole = rasterize_forward(both[1:], triangles, 16, 16)
    np.testing.assert_array_equal(shown[1], whole[0, :9, :14])
    np.testing.assert_array_equal(weights[1], of_whole[0, :9, :14])


def test_either_side_of_a_triangle_is_seen():
    points, triangles = crowd()
    shown, _ = rasterize_forward(points, triangles, 16, 16)
    turned, _ = rasterize_forward(points, triangles[:, ::-1].copy(), 16, 16)
    np.testing.assert_array_equal(turned, shown)


def test_no_crack_between_two_triangles():
    square = np.array([[[0.0, 0.0, 1.0], [7.0, 0.0, 1.0], [0.0, 7.0, 1.0], [7.0, 7.0, 1.0]]])
    shown, weights = rasterize_forward(square, np.array([[0, 1, 2], [1, 3, 2]]), 7, 7)
    assert (shown >= 0).all()  # the diagonal goes through the centres of seven pixels
    assert_close(weights.sum(axis=3), np.ones((1, 7, 7)), 1e-12)


def test_a_triangle_without_area_and_one_far_outside_are_not_seen():
    points = np.array([[[1.0, 1, 1], [3, 3, 1], [5, 5, 1], [1e9, 0, 1], [2e9, 0, 1], [1e9, 1e9, 1]]])
    shown, _ = rasterize_forward(points, np.array([[0, 1, 2], [3, 4, 5]]), 6, 6)
    assert (shown == -1).all()


# ---- The way back ----------------------------------------------------------------------------------


def smooth():
    """One triangle over the whole picture, at a slant: whatever moves a little, it goes on covering all."""
    points = np.array([[[-9.0, -7.0, 2.0], [31.0, -5.0, 4.5], [-6.0, 33.0, 3.0]]])
    return points, np.array([[0, 1, 2]])


def test_gradient_of_a_smooth_scene():
    points, triangle = smooth()
    shown, _ = rasterize_forward(points, triangle, 6, 5)
    assert (shown == 0).all()

    def backward(grad_weights):
        return {"points": rasterize_backward(grad_weights, points, triangle, shown)}

    assert_backward(lambda points: rasterize_forward(points, triangle, 6, 5)[1], backward, {"points": points})


def test_gradient_where_triangles_cover_each_other():
    # The difference of two pictures that show the same triangles everywhere is that of the weights.
    points, triangles = crowd(T=6)
    shown, _ = rasterize_forward(points, triangles, 16, 16)
    step = 1e-7
    numbers = Numbers("upstream")
    grad_weights = numbers.real(*shown.shape, 3)
    found = rasterize_backward(grad_weights, points, triangles, shown)
    compared = 0
    for index in np.ndindex(points.shape):
        sums = []
        for sign in (1, -1):
            moved = points.copy()
            moved[index] += sign * step
            other, weights = rasterize_forward(moved, triangles, 16, 16)
            sums.append(float((weights * grad_weights).sum()) if (other == shown).all() else np.nan)
        if not np.isnan(sums).any():
            compared += 1
            np.testing.assert_allclose(found[index], (sums[0] - sums[1]) / (2 * step), atol=1e-5)
    assert compared > 0.9 * points.size


def test_what_is_hidden_has_no_gradient():
    near, far = [[0.0, 0, 1], [9, 0, 1], [0, 9, 1]], [[0.0, 0, 2], [9, 0, 2], [0, 9, 2]]
    points, triangles = np.array([far + near]), np.array([[0, 1, 2], [3, 4, 5]])
    shown, weights = rasterize_forward(points, triangles, 8, 8)
    grad = rasterize_backward(Numbers("g").real(*weights.shape), points, triangles, shown)
    assert not grad[0, :3].any()
    assert grad[0, 3:].all()


def test_the_outline_has_no_gradient():
    # A white triangle on black: as it grows, more pixels become white, in jumps. The gradient knows of none.
    points, triangle = np.array([[[1.2, 1.2, 1.0], [9.4, 1.2, 1.0], [1.2, 9.4, 1.0]]]), np.array([[0, 1, 2]])
    white = np.ones((1, 3, 1))

    def brightness(points):
        shown, weights = rasterize_forward(points, triangle, 12, 12)
        return interpolate_forward(white, triangle, shown, weights).sum()

    larger = points.copy()
    larger[0, 1, 0] += 1.0
    assert brightness(larger) > brightness(points)
    shown, weights = rasterize_forward(points, triangle, 12, 12)
    _, grad_weights = interpolate_backward(np.ones((1, 12, 12, 1)), white, triangle, shown, weights)
    np.testing.assert_allclose(rasterize_backward(grad_weights, points, triangle, shown), 0, atol=1e-12)


def test_interpolate_gradients():
    points, triangles = crowd()
    shown, weights = rasterize_forward(points, triangles, 8, 9)
    shown[0, 0, 0], weights[0, 0, 0] = -1, 0  # nothing there
    seen = shown >= 0
    values = Numbers("values").real(1, points.shape[1], 2)

    def forward(values, weights):
        return interpolate_forward(values, triangles, shown, np.where(seen[..., None], weights, 0))

    def backward(grad_output):
        grads = interpolate_backward(grad_output, values, triangles, shown, weights)
        return dict(zip(("values", "weights"), grads, strict=True))

    assert_backward(forward, backward, {"values": values, "weights": weights})


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_layout_and_type(layout, dtype):
    points, triangles = crowd()
    points = points.astype(dtype)
    shown, weights = rasterize_forward(points, triangles, 16, 16)
    other, other_weights = rasterize_forward(layout(points), triangles.copy(order="F"), 16, 16)
    np.testing.assert_array_equal(other, shown)
    np.testing.assert_array_equal(other_weights, weights)
    values = Numbers("values").real(1, points.shape[1], 2).astype(dtype)
    y = interpolate_forward(values, triangles, shown, weights)
    scattered = shown.copy(order="F")
    assert_close(
        interpolate_forward(layout(values), triangles, scattered, layout(weights)), y, OP_TOLERANCE[dtype]
    )
    grads = interpolate_backward(y, values, triangles, shown, weights)
    others = interpolate_backward(layout(y), layout(values), triangles, scattered, layout(weights))
    back = rasterize_backward(weights, points, triangles, shown)
    other_back = rasterize_backward(layout(weights), layout(points), triangles, scattered)
    for one, two in zip((*grads, back), (*others, other_back), strict=True):
        assert_close(two, one, OP_TOLERANCE[dtype])
    assert {weights.dtype, y.dtype, back.dtype, *(grad.dtype for grad in grads)} == {np.dtype(dtype)}


def test_refuses_other_shapes():
    points, triangles = smooth()
    shown, weights = rasterize_forward(points, triangles, 6, 5)
    with pytest.raises(InputError, match=r"^rasterize: a vertex has the depth -1; expected above 0$"):
        rasterize_forward(points * [1, 1, 0] - [0, 0, 1], triangles, 6, 5)
    with pytest.raises(InputError, match="height=0; expected a whole number from 1 up"):
        rasterize_forward(points, triangles, 0, 5)
    with pytest.raises(InputError, match="`triangles` names vertex 3; expected 0 to 2"):
        rasterize_forward(points, triangles + 1, 6, 5)
    with pytest.raises(InputError, match=r"`grad_weights` has shape \(1, 5, 5, 3\)"):
        rasterize_backward(weights[:, 1:], points, triangles, shown)
    with pytest.raises(InputError, match="reaches from 1 to 1; there are 1 triangles"):
        rasterize_backward(weights, points, triangles, shown + 1)
    with pytest.raises(InputError, match=r"expected intp \(1, H, W\)"):
        interpolate_forward(points, triangles, shown.astype(np.int32), weights)
    with pytest.raises(InputError, match=r"`weights` has shape \(1, 6, 5, 2\)"):
        interpolate_forward(points, triangles, shown, weights[..., 1:])
    with pytest.raises(InputError, match="`grad_output` has shape"):
        interpolate_backward(weights[..., :2], points, triangles, shown, weights)
