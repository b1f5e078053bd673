import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.losses import edge_length_l1, smooth_l1, vertex_l1
from tests.check import FLOATS, OP_TOLERANCE, assert_close
from tests.losses.checks import assert_loss_gradients, assert_refuses
from tests.oracles.cases import Numbers

# A right-angled triangle with sides of 3, 4 and 5 in the plane.
TRIANGLE = np.array([[[0.0, 0.0, 0.0], [3.0, 0.0, 0.0], [0.0, 4.0, 0.0]]])
ONE = np.array([[0, 1, 2]])
TETRAHEDRON = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [3, 2, 1]])


# ---- Vertices --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
def test_vertex_hand_example(dtype):
    targets = np.zeros((2, 2, 3), dtype)
    vertices = np.array([[[1, -2, 3], [0, 0, 4]], [[0, 0, 0], [0, -1, 0]]], dtype)
    losses, gradient = vertex_l1(vertices, targets, reduction="none")
    assert_close(losses, np.array([(1 + 2 + 3 + 4) / 2, 1 / 2], dtype), tolerance=0)
    wanted = np.array([[[1, -1, 1], [0, 0, 1]], [[0, 0, 0], [0, -1, 0]]], dtype) / 2
    assert_close(gradient, wanted, tolerance=0)


def test_a_face_is_three_times_the_mean_absolute_error():
    vertices, targets = Numbers("v").real(4, 7, 3), Numbers("t").real(4, 7, 3)
    value, gradient = vertex_l1(vertices, targets)
    mean_value, mean_gradient = smooth_l1(vertices, targets, beta=0)
    assert value == pytest.approx(3 * mean_value, rel=1e-12)
    assert_close(gradient, 3 * mean_gradient, OP_TOLERANCE["float64"])


@pytest.mark.parametrize(("N", "V"), [(1, 1), (1, 5), (3, 4)])
def test_vertex_gradient(N, V):
    numbers = Numbers(f"vertices{N}x{V}")
    vertices, targets = numbers.real(N, V, 3), numbers.real(N, V, 3)
    difference = vertices - targets
    assert np.abs(difference).min() > 1e-3  # hundred steps of the differences away from the kink
    assert (difference > 0).any()
    assert (difference < 0).any()
    assert_loss_gradients(vertex_l1, vertices, targets)


# ---- Edges -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
def test_edge_hand_example(dtype):
    # Twice as large: the edges should be 3, 5 and 4 long and are 6, 10 and 8.
    vertices = (2 * TRIANGLE).astype(dtype)
    losses, gradient = edge_length_l1(vertices, TRIANGLE.astype(dtype), ONE, reduction="none")
    assert_close(losses, np.array([(3 + 5 + 4) / 3], dtype), OP_TOLERANCE[dtype])
    # Each corner is pushed outwards along its two edges: the sum of two directions of length one.
    wanted = np.array([[[-1.0, -1.0, 0.0], [1 + 0.6, -0.8, 0.0], [-0.6, 1 + 0.8, 0.0]]]) / 3
    assert_close(gradient, wanted.astype(dtype), OP_TOLERANCE[dtype])


def test_an_edge_of_two_triangles_counts_twice():
    vertices, targets = Numbers("v").real(1, 4, 3), Numbers("t").real(1, 4, 3)
    value, gradient = edge_length_l1(vertices, targets, np.array([[0, 1, 2], [2, 1, 3]]))
    first, grad_first = edge_length_l1(vertices, targets, np.array([[0, 1, 2]]))
    second, grad_second = edge_length_l1(vertices, targets, np.array([[2, 1, 3]]))
    assert value == pytest.approx((first + second) / 2, rel=1e-12)
    assert_close(gradient, (grad_first + grad_second) / 2, OP_TOLERANCE["float64"])


@pytest.mark.parametrize("triangles", [ONE, TETRAHEDRON], ids=["triangle", "tetrahedron"])
@pytest.mark.parametrize("N", [2, 3])
def test_edge_gradient(N, triangles):
    numbers = Numbers(f"edges{N}x{len(triangles)}")
    vertices, targets = numbers.real(N, 4, 3), numbers.real(N, 4, 3)
    starts, ends = triangles.ravel(), np.roll(triangles, -1, axis=1).ravel()
    lengths = np.linalg.norm(vertices[:, ends] - vertices[:, starts], axis=2)
    longer = lengths - np.linalg.norm(targets[:, ends] - targets[:, starts], axis=2)
    assert min(lengths.min(), np.abs(longer).min()) > 1e-3  # hundred steps away from both kinks
    assert (longer > 0).any()
    assert (longer < 0).any()
    assert_loss_gradients(edge_length_l1, vertices, targets, triangles)


@pytest.mark.parametrize("dtype", FLOATS)
def test_an_edge_without_length_has_no_gradient(dtype):
    # Vertices 0 and 1 in one place: of their edge nobody can say in which direction it should grow.
    vertices = np.array([[[3, 0, 0], [3, 0, 0], [0, 4, 0]]], dtype)
    losses, gradient = edge_length_l1(vertices, TRIANGLE.astype(dtype), ONE, reduction="none")
    assert_close(losses, np.array([(3 + 0 + 1) / 3], dtype), OP_TOLERANCE[dtype])
    # 1-2 has the right length; 2-0 should be 4 long and is 5.
    wanted = np.array([[[0.6, -0.8, 0], [0, 0, 0], [-0.6, 0.8, 0]]]) / 3
    assert_close(gradient, wanted.astype(dtype), OP_TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_edges_whose_squares_vanish_or_overflow(size, dtype):
    size = np.dtype(dtype).type(size)
    unit_losses, unit_gradient = edge_length_l1(
        2 * TRIANGLE.astype(dtype), TRIANGLE.astype(dtype), ONE, reduction="none"
    )
    losses, gradient = edge_length_l1(
        2 * size * TRIANGLE.astype(dtype), size * TRIANGLE.astype(dtype), ONE, reduction="none"
    )
    assert_close(losses, size * unit_losses, OP_TOLERANCE[dtype])
    assert_close(gradient, unit_gradient, OP_TOLERANCE[dtype])


@st.composite
def meshes(draw):
    seed = draw(st.integers(0, 2**32 - 1))
    N, V, T = draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.integers(1, 8))
    numbers = Numbers(seed)
    triangles = numbers.whole(0, V - 1, T, 3).astype(int)
    return numbers.real(N, V, 3), numbers.real(N, V, 3), triangles


@given(meshes())
def test_moving_and_turning_a_face_changes_no_edge(mesh):
    vertices, targets, triangles = mesh
    value, gradient = edge_length_l1(vertices, targets, triangles)
    turn = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])  # x to y, y to z, z to x
    turned_value, turned_gradient = edge_length_l1(vertices @ turn + [1.0, 2.0, 4.0], targets, triangles)
    assert turned_value == pytest.approx(value, rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(turned_gradient, gradient @ turn, atol=1e-9)


@given(meshes())
def test_the_pulls_of_a_face_balance(mesh):
    _, gradient = edge_length_l1(*mesh, reduction="none")
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-12)


@given(meshes())
def test_the_order_of_corners_and_triangles_does_not_matter(mesh):
    vertices, targets, triangles = mesh
    value, gradient = edge_length_l1(vertices, targets, triangles)
    same_value, same_gradient = edge_length_l1(vertices, targets, triangles[::-1, ::-1])
    assert same_value == pytest.approx(value, rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(same_gradient, gradient, atol=1e-12)


@given(meshes())
def test_a_perfect_mesh_costs_nothing(mesh):
    _, targets, triangles = mesh
    for value, gradient in (vertex_l1(targets, targets), edge_length_l1(targets, targets, triangles)):
        assert value == 0
        assert not gradient.any()


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint8, np.uint64])
def test_triangles_may_have_any_integer_type(dtype):
    vertices, targets = Numbers("v").real(2, 4, 3), Numbers("t").real(2, 4, 3)
    value, gradient = edge_length_l1(vertices, targets, TETRAHEDRON.astype(dtype))
    wanted_value, wanted_gradient = edge_length_l1(vertices, targets, TETRAHEDRON)
    assert value == wanted_value
    np.testing.assert_array_equal(gradient, wanted_gradient)


# ---- Refusals --------------------------------------------------------------------------------------

FITTING = {"vertices": np.zeros((2, 4, 3)), "targets": np.zeros((2, 4, 3))}


def far(at, number, dtype=np.float64):
    array = np.zeros((2, 4, 3), dtype)
    array[at] = number
    return array


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vertices": np.zeros((4, 3))}, "`vertices` has shape (4, 3); expected (N, V, 3)"),
        ({"vertices": np.zeros((2, 4, 2))}, "`vertices` has shape (2, 4, 2); expected (N, V, 3)"),
        ({"vertices": np.zeros((2, 0, 3))}, "`vertices` has shape (2, 0, 3); expected at least one vertex"),
        ({"vertices": np.zeros((2, 4, 3), int)}, "`vertices` is int64; expected float32 or float64"),
        (
            {"targets": np.zeros((2, 4, 3), np.float32)},
            "`targets` is float32, `vertices` is float64; cast one with .astype()",
        ),
        (
            {"targets": np.zeros((1, 4, 3))},
            "`targets` has shape (1, 4, 3); expected (2, 4, 3), that of `vertices`",
        ),
        (
            {"vertices": far((1, 2, 0), np.nan)},
            "`vertices` is not finite in sample 1, vertex 2: [nan  0.  0.]",
        ),
        (
            {"targets": far((0, 3, 2), -np.inf)},
            "`targets` is not finite in sample 0, vertex 3: [  0.   0. -inf]",
        ),
        (
            {"vertices": far((1, 2, 0), 3e38, np.float32), "targets": far((1, 2, 0), -2e38, np.float32)},
            "`vertices` reaches 3.0e+38 in sample 1, where the loss overflows float32; "
            "expected smaller numbers",
        ),
        (
            {"targets": far((1, 2, 2), -1.5e308) + far((1, 3, 2), 1e308)},
            "`targets` reaches -1.5e+308 in sample 1, where the loss overflows float64; "
            "expected smaller numbers",
        ),
        (
            {"vertices": np.zeros((0, 4, 3)), "targets": np.zeros((0, 4, 3))},
            "`vertices` has shape (0, 4, 3), and no losses have no mean; expected at least one, "
            "or reduction='sum'",
        ),
    ],
)
def test_both_refuse(change, message):
    assert_refuses(f"vertex_l1: {message}", vertex_l1, **{**FITTING, **change})
    edges = {"triangles": np.array([[0, 1, 2], [1, 2, 3]])}
    assert_refuses(f"edge_length_l1: {message}", edge_length_l1, **{**FITTING, **edges, **change})


def test_two_infinite_edges_are_no_silent_nan():
    vertices = far((1, 2, 0), 3e38, np.float32) - far((1, 1, 0), 3e38, np.float32)
    assert_refuses(
        "edge_length_l1: `vertices` reaches -3.0e+38 in sample 1, where the loss overflows float32; "
        "expected smaller numbers",
        edge_length_l1,
        vertices,
        vertices,
        TETRAHEDRON,
        reduction="none",
    )


@pytest.mark.parametrize(
    ("triangles", "message"),
    [
        (np.array([0, 1, 2]), "has shape (3,); expected (T, 3)"),
        (np.zeros((5, 2), int), "has shape (5, 2); expected (T, 3)"),
        (np.zeros((0, 3), int), "has shape (0, 3); expected at least one triangle"),
        (np.zeros((1, 3)), "is float64; expected whole numbers, cast with .astype(int)"),
        (np.zeros((1, 3), bool), "is bool; expected whole numbers, cast with .astype(int)"),
        (np.array([[0, 1, 2], [1, 4, 5]]), "is 4 in triangle 1; expected 0 to 3"),
        (np.array([[0, 1, -1]]), "is -1 in triangle 0; expected 0 to 3"),
    ],
)
def test_refuses_triangles(triangles, message):
    assert_refuses(f"edge_length_l1: `triangles` {message}", edge_length_l1, **FITTING, triangles=triangles)
