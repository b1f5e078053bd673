"""Meshes and ellipsoids become pixels: against rays, sample by sample."""

from __future__ import annotations

import numpy as np
import pytest

from minidet.datasets.synthetic.head import head_shape, head_triangles
from minidet.datasets.synthetic.light import Light, draw_light
from minidet.datasets.synthetic.pose import Pose
from minidet.datasets.synthetic.render import CHANNELS, Ellipsoid, Layer, solid_box, vertex_normals

POSE = Pose(yaw=25, pitch=-10, roll=15, scale=11.0, x=20.3, y=17.6)
EVEN = Light(np.array([0.0, 0, -1]), np.ones(3), np.zeros(3))


def samples_of_layer(solid):
    layer = Layer(0, 0, 40, 36)
    layer.add_ellipsoid(solid, POSE)
    return layer.samples


def test_ellipsoid_against_rays():
    """A point of the surface, put back into head coordinates, fulfils the equation, and none lies nearer."""
    solid = Ellipsoid((0.2, -0.1, 0.3), (0.9, 1.2, 0.6), (0.5, 0.25, 0.75))
    samples = samples_of_layer(solid)
    turn = POSE.rotation()

    def level(x, y, z):
        head = turn.T @ (np.array([x, y, z]) - [POSE.x, POSE.y, 0]) / POSE.scale
        return (((head - solid.center) / solid.radii) ** 2).sum()

    hits = 0
    for row in range(0, 72, 3):
        for column in range(0, 80, 3):
            x, y, depth = (column + 0.5) / 2, (row + 0.5) / 2, samples[row, column, 6] / 2
            ladder = [level(x, y, z) for z in np.linspace(-20, 20, 81)]
            if np.isinf(depth):
                assert min(ladder) > 1
                continue
            hits += 1
            assert level(x, y, depth) == pytest.approx(1, abs=1e-4)
            assert level(x, y, depth - 0.05) > 1
            np.testing.assert_allclose(samples[row, column, :3], solid.color)
            step = 1e-4
            slope = np.array(
                [
                    level(x + step, y, depth) - level(x - step, y, depth),
                    level(x, y + step, depth) - level(x, y - step, depth),
                    level(x, y, depth + step) - level(x, y, depth - step),
                ]
            )
            normal = samples[row, column, 3:6]
            np.testing.assert_allclose(
                normal / np.linalg.norm(normal), slope / np.linalg.norm(slope), atol=1e-3
            )
    assert hits > 100


def test_mesh_against_rays():
    """Each sample has the nearest of the triangles that its line of sight meets, and mixes its corners."""
    rng = np.random.default_rng(3)
    vertices = rng.uniform([-4, -4, -9], [26, 22, 9], (12, 3))
    triangles = np.arange(12, dtype=np.int32).reshape(4, 3)
    texture = np.zeros((24, 32, 3), np.float32)
    texture[..., 0], texture[..., 1] = (
        np.arange(32) + 0.5,
        np.arange(24)[:, None] + 0.5,
    )  # its own coordinates
    points = rng.uniform([1, 1], [30, 22], (12, 2))
    layer = Layer(2, 1, 22, 17)
    layer.add_mesh(vertices, triangles, texture, points)
    normals = vertex_normals(vertices, triangles)
    covered = 0
    for row in range(32):
        for column in range(40):
            x, y = 2 + (column + 0.5) / 2, 1 + (row + 0.5) / 2
            nearest = None
            for corners in triangles:
                matrix = np.vstack([vertices[corners, :2].T, np.ones(3)])
                weights = np.linalg.solve(matrix, [x, y, 1])
                z = weights @ vertices[corners, 2]
                if weights.min() >= 0 and (nearest is None or z < nearest[0]):
                    nearest = z, weights @ points[corners], weights @ normals[corners]
            sample = layer.samples[row, column]
            if nearest is None:
                assert np.isinf(sample[6])
                continue
            covered += 1
            assert sample[6] / 2 == pytest.approx(nearest[0], abs=1e-4)
            np.testing.assert_allclose(sample[:2], nearest[1], atol=2e-3)
            np.testing.assert_allclose(sample[3:6], nearest[2], atol=1e-4)
    assert covered > 300


def test_nearer_solid_wins_in_any_order():
    near, far = (
        Ellipsoid((0, 0, -1), (0.5, 0.5, 0.2), (1, 0, 0)),
        Ellipsoid((0, 0, 1), (1, 1, 0.2), (0, 1, 0)),
    )
    pictures = []
    for order in ((near, far), (far, near)):
        layer = Layer(0, 0, 40, 36)
        for solid in order:
            layer.add_ellipsoid(solid, Pose(0, 0, 0, 10.0, 20.0, 18.0))
        pictures.append(layer.samples)
    np.testing.assert_array_equal(*pictures)
    assert pictures[0].shape == (72, 80, CHANNELS)
    assert pictures[0][36, 40, :2].tolist() == [1, 0]  # in the middle the near one
    assert pictures[0][36, 55, :2].tolist() == [0, 1]  # 7.5 pixels to the right only the far one


def test_solid_box():
    """The bounds are those of the samples that the ellipsoid covers."""
    solid = Ellipsoid((0.2, -0.1, 0.3), (0.9, 1.2, 0.6), (0.5, 0.25, 0.75))
    rows, columns = np.nonzero(np.isfinite(samples_of_layer(solid)[..., 6]))
    drawn = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / 2
    np.testing.assert_allclose(drawn, solid_box(solid, POSE), atol=0.6)


def test_layer_covers_all_boxes():
    layer = Layer.covering([np.array([5.2, 7, 9, 11]), np.array([-3, 8, 7, 90.0])], 40, 36)
    assert (layer.left, layer.top, layer.samples.shape) == (0, 7, (58, 18, CHANNELS))
    layer = Layer.covering([np.array([5.2, 7.5, 90, 11.5])], 40, 36)
    assert (layer.left, layer.top, layer.samples.shape) == (5, 7, (10, 70, CHANNELS))


def test_light():
    """Ambient everywhere, diffuse by the cosine, none from behind."""
    light = Light(np.array([0.6, 0.0, -0.8]), np.array([0.1, 0.2, 0.3]), np.array([0.5, 0.6, 0.7]))
    layer = Layer(0, 0, 2, 1)
    layer.samples[:, :2] = [1.0, 0.5, 0.25, 0, 0, -2.0, 5.0]  # looks at the viewer; normals have any length
    layer.samples[:, 2:] = [1.0, 0.5, 0.25, -1.0, 0, 0, 5.0]  # looks away from the lamp
    canvas = np.zeros((1, 2, 3), np.float32)
    layer.onto(canvas, light)
    np.testing.assert_allclose(
        canvas[0, 0], [0.1 + 0.8 * 0.5, 0.5 * (0.2 + 0.8 * 0.6), 0.25 * (0.3 + 0.8 * 0.7)]
    )
    np.testing.assert_allclose(canvas[0, 1], [0.1, 0.1, 0.075])


def test_pixels_are_means_of_four_samples():
    layer = Layer(1, 1, 2, 2)
    layer.samples[0, 0] = [0.8, 0.4, 0.2, 0, 0, -1, 1]
    layer.samples[1, 0] = [0.4, 0.4, 0.2, 0, 0, -1, 1]
    canvas = np.full((3, 3, 3), 0.5, np.float32)
    layer.onto(canvas, EVEN)
    np.testing.assert_allclose(canvas[1, 1], [0.25 + 0.3, 0.25 + 0.2, 0.25 + 0.1])
    canvas[1, 1] = 0.5
    np.testing.assert_array_equal(canvas, 0.5)  # nothing else


@pytest.mark.parametrize(("x", "y"), [(-4, 10), (44, 10), (10, -4), (10, 40), (-300, 10), (10, 300)])
def test_cut_at_the_border(x, y):
    """A window at the border shows what a larger picture shows there."""
    solid = Ellipsoid((0, 0.1, 0), (1, 0.7, 1.1), (1, 1, 1))
    canvas, large = np.zeros((36, 40, 3), np.float32), np.zeros((76, 80, 3), np.float32)
    for target, shift in ((canvas, 0), (large, 20)):
        height, width, _ = target.shape
        pose = Pose(20, 10, 5, 11.0, x + shift, y + shift)
        layer = Layer.covering([solid_box(solid, pose)], width, height)
        layer.add_ellipsoid(solid, pose)
        layer.onto(target, EVEN)
    np.testing.assert_allclose(canvas, large[20:56, 20:60], atol=1e-5)


def test_normals_of_a_head_point_outwards():
    vertices = head_shape(np.zeros(10))
    normals = vertex_normals(vertices, head_triangles())
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
    assert normals[10 * 19 + 9, 2] < -0.8  # the ridge of the nose looks at the viewer
    assert normals[8 * 19, 0] < -0.8
    assert normals[8 * 19 + 18, 0] > 0.8


def test_normals_weigh_triangles_by_their_area():
    vertices = np.array([[0.0, 0, 0], [3, 0, 0], [0, 3, 0], [0, 0, 1]])
    normals = vertex_normals(vertices, np.array([[0, 1, 2], [0, 2, 3]], np.int32))
    expected = np.array([0, 0, -9.0]) + np.array([-3.0, 0, 0])
    np.testing.assert_allclose(normals[0], expected / np.linalg.norm(expected))
    np.testing.assert_allclose(normals[1], [0, 0, -1])


def test_lamps_are_before_the_scene():
    for seed in range(50):
        light = draw_light(np.random.default_rng(seed))
        assert np.linalg.norm(light.direction) == pytest.approx(1)
        assert light.direction[2] < 0
        assert (light.ambient > 0.2).all()
        assert (light.diffuse > 0.3).all()
