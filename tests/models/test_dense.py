"""The dense branches: heads beside the heads, the mesh decoder, and the picture of an anchor."""

from dataclasses import replace

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.mesh import render_forward
from minidet.models.retinaface import Architecture, MeshDecoder, PixelBranch, dense_net
from minidet.models.retinaface.mesh_decoder import ChebyshevConv
from minidet.models.retinaface.pixel import CAMERA, LIGHT
from minidet.nn import initialise
from tests.check import assert_close
from tests.gradients import assert_gradients
from tests.mesh.scenes import grid
from tests.oracles.cases import Numbers

X = (2, 3, 64, 64)


def network(values=7, seed=0, **choices):
    made = dense_net(values, Architecture(**choices) if choices else None)
    initialise(made, np.random.default_rng(seed))
    return made


# ---- Heads beside the heads ------------------------------------------------------------------------


@pytest.mark.parametrize("choices", [{}, {"levels": 5}, {"levels": 5, "shared_heads": True}])
def test_the_other_heads_say_what_they_say_without_a_dense_branch(choices):
    with_branch = network(**choices).eval()
    plain = Architecture(**choices or {"shared_heads": True}).build().eval()
    state = with_branch.state_dict()
    plain.load_state_dict(
        {name: state[name.replace("branch.heads.", "branch.heads.heads.")] for name in plain.state_dict()}
    )
    x = Numbers("x").real(*X).astype(np.float32)
    *outputs, dense = with_branch.forward(x)
    for ours, theirs in zip(outputs, plain.forward(x), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(with_branch.predict(x), plain.predict(x), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    A = len(with_branch.anchors.lay(64, 64))
    assert dense.shape == (2, A, 7)


def test_the_dense_outputs_are_in_the_order_of_the_anchors():
    made = network(values=3).eval()
    # One 1x1 convolution that tells level and anchor of the position, and a position's own brightness.
    for number, (level, conv) in enumerate(made.branch.heads.dense.layers.items()):
        conv.weight.data[:] = 0
        conv.weight.data[0] = 1  # the first value of the first anchor is the sum over channels
        conv.bias.data[:] = [0, number, level, 0, number, level + 100]
    maps = [
        Numbers(f"map{n}").real(1, 64, *plane).astype(np.float32)
        for n, plane in enumerate([(3, 2), (2, 1), (1, 1)])
    ]
    dense = made.branch.heads.forward(maps)[3]
    assert dense.shape == (1, 2 * 9, 3)
    assert dense[0, :, 1].tolist() == [0] * 12 + [1] * 4 + [2] * 2
    assert dense[0, :, 2].tolist() == [3, 103] * 6 + [4, 104] * 2 + [5, 105]
    np.testing.assert_allclose(dense[0, :12:2, 0], maps[0][0].sum(axis=0).ravel(), rtol=1e-4, atol=1e-4)
    assert not dense[0, 1::2, 0].any()


@pytest.mark.parametrize("choices", [{}, {"levels": 5}])
def test_gradients_of_the_heads(choices):
    made = network(values=2, **choices).astype("float64")
    heads = made.branch.heads
    planes = [(3, 2), (2, 1), (1, 1)] if not choices else [(4, 3), (3, 2), (2, 1), (1, 1), (1, 1)]
    maps = [Numbers(f"map{n}").real(2, 64, *plane) for n, plane in enumerate(planes)]
    grads = [Numbers(f"g{n}").real(*output.shape) for n, output in enumerate(heads.forward(maps))]

    def loss():
        return float(sum(np.vdot(g, output) for g, output in zip(grads, heads.forward(maps), strict=True)))

    heads.zero_grad()
    heads.forward(maps)
    grad_maps = heads.backward(*grads)
    last = len(maps) - 1
    arrays = {"last": maps[last][:1, :9], "first": maps[0][1:, :3]}
    assert_gradients(loss, arrays, {"last": grad_maps[last][:1, :9], "first": grad_maps[0][1:, :3]})
    conv = next(iter(heads.dense.layers.values()))
    assert_gradients(loss, {"bias": conv.bias.data}, {"bias": conv.bias.grad})


def test_the_network_goes_back_to_the_image():
    made = network(values=2).astype("float64")
    x = Numbers("image").real(2, 3, 64, 64)
    outputs = made.forward(x)
    nothing = [np.zeros_like(output) for output in outputs[:3]]
    grad_dense = Numbers("g").real(*outputs[3].shape)
    grad_x = made.backward(*nothing, grad_dense)
    assert grad_x.shape == x.shape
    assert grad_x.any()
    learnt = {name for name, parameter in made.parameters().items() if parameter.grad.any()}
    assert {name for name in made.parameters() if ".dense." in name} <= learnt
    assert not {name for name in learnt if "heads.heads" in name}
    made.forward(x)
    np.testing.assert_array_equal(made.trunk.backward(made.branch.backward(*nothing, grad_dense)), grad_x)


def test_refuses_networks_without_one_branch():
    with pytest.raises(InputError, match="retinaface_mobilenet025 has no single branch"):
        dense_net(3, Architecture())
    with pytest.raises(InputError, match="cascade has no single branch"):
        dense_net(3, Architecture(levels=5, cascade=True))
    with pytest.raises(InputError, match="values=0"):
        dense_net(0)


# ---- The mesh decoder ------------------------------------------------------------------------------


def decoder(code_size=4, seed=0):
    topology, flat = grid(4, 5)
    made = MeshDecoder(topology, code_size, channels=3)
    initialise(made, np.random.default_rng(seed))
    made.astype("float64")
    curved = flat.copy()
    curved[:, 2] = 0.4 * (flat**2).sum(axis=1)
    made.mean.data = np.concatenate([curved, np.full((20, 3), 0.5)], axis=1)
    made.last.weight.data *= 0.02
    return topology, made


def test_zeros_give_the_mean_mesh():
    _, made = decoder()
    vertices, colours = made.forward(np.zeros((2, 4)))
    assert_close(vertices, np.repeat(made.mean.data[None, :, :3], 2, axis=0), 0)
    assert_close(colours, np.repeat(made.mean.data[None, :, 3:], 2, axis=0), 0)


def test_decoder_gradients():
    _, made = decoder()
    code = Numbers("code").real(2, 4)
    grads = [Numbers(name).real(2, 20, 3) for name in ("v", "c")]

    def loss():
        return float(sum(np.vdot(g, output) for g, output in zip(grads, made.forward(code), strict=True)))

    made.forward(code)
    grad_code = made.backward(*grads)
    parameters = made.parameters()
    arrays = {"code": code} | {name: parameter.data for name, parameter in parameters.items()}
    assert_gradients(
        loss, arrays, {"code": grad_code} | {name: parameter.grad for name, parameter in parameters.items()}
    )


def test_a_graph_convolution_keeps_its_gradients_apart_from_its_weights():
    topology, _ = grid(3, 3)
    layer = ChebyshevConv(2, 3, 2, topology)
    assert {name: array.shape for name, array in layer.state_dict().items()} == {
        "weight": (2, 3, 2),
        "bias": (3,),
    }
    x = Numbers("x").real(1, 9, 2).astype(np.float32)
    for times in (1, 2):
        layer.backward(np.ones_like(layer.forward(x)))
        assert layer.bias.grad.tolist() == [9 * times] * 3


# ---- The picture of an anchor ----------------------------------------------------------------------


def test_zeros_draw_the_mean_face_straight_ahead():
    topology, made = decoder()
    branch = PixelBranch(made, topology, side=12)
    assert branch.parameter_count_per_anchor == 4 + 16
    pictures, covered, _ = branch.forward(np.zeros((1, 20)))
    mesh = made.mean.data[None]
    wanted, cache = render_forward(
        mesh[..., :3], mesh[..., 3:], CAMERA[None], LIGHT[None], topology.triangles, 12
    )
    assert_close(pictures, wanted, 1e-14)
    np.testing.assert_array_equal(covered, cache.shown >= 0)
    assert 0.5 < covered.mean() < 1


def test_pixel_branch_gradients():
    topology, made = decoder()
    branch = PixelBranch(made, topology, side=12)
    parameters = 0.2 * Numbers("parameters").real(2, 20)
    branch.forward(parameters)
    cache, _ = branch.kept()
    inside = (cache.weights.min(axis=3) > 1e-3)[..., None]  # where no step of the differences makes a jump
    grad_pictures = Numbers("g").real(2, 12, 12, 3) * inside

    def loss():
        return float(np.vdot(grad_pictures, branch.forward(parameters)[0]))

    branch.forward(parameters)
    found = branch.backward(grad_pictures)
    assert found.all()
    assert_gradients(loss, {"parameters": parameters}, {"parameters": found})


def test_gradients_of_the_drawn_landmarks():
    topology, made = decoder()
    branch = PixelBranch(made, topology, side=12)
    parameters = 0.2 * Numbers("parameters").real(2, 20)
    grad_landmarks = Numbers("landmarks").real(2, 5, 2)

    def loss():
        return float(np.vdot(grad_landmarks, branch.forward(parameters).landmarks))

    pictures, _, landmarks = branch.forward(parameters)
    cache, _ = branch.kept()
    np.testing.assert_array_equal(landmarks, cache.image_points[:, list(topology.landmarks), :2])
    branch.forward(parameters)
    found = branch.backward(np.zeros_like(pictures), grad_landmarks)
    assert_gradients(loss, {"parameters": parameters}, {"parameters": found})
    assert found[:, :11].all()  # code and camera
    assert not found[:, 11:].any()  # light moves nothing


def test_a_vertex_may_be_two_landmarks():
    topology, made = decoder()
    twice = replace(topology, landmarks=(0, 0, 1, 2, 3))
    branch = PixelBranch(made, twice, side=12)
    parameters = 0.2 * Numbers("parameters").real(1, 20)
    nothing = np.zeros_like(branch.forward(parameters).pictures)
    one, other, both = np.zeros((3, 1, 5, 2))
    one[0, 0], other[0, 1], both[0, :2] = 1, 1, 1
    found = []
    for grad_landmarks in (one, other, both):
        branch.forward(parameters)
        found.append(branch.backward(nothing, grad_landmarks))
    assert found[0].any()
    assert found[1].any()
    assert_close(found[0] + found[1], found[2], 1e-12)


@pytest.mark.parametrize("size", [-1e6, 1e6])
def test_the_head_stays_before_the_camera(size):
    topology, made = decoder()
    branch = PixelBranch(made, topology, side=12)
    parameters = np.zeros((1, 20), np.float32)
    parameters[0, 4 + 2] = size
    made.astype("float32")
    pictures, covered, _ = branch.forward(parameters)
    assert pictures.dtype == np.float32
    assert covered.any()
    assert branch.backward(np.ones_like(pictures)).dtype == np.float32


def test_pixel_branch_refuses():
    topology, made = decoder()
    branch = PixelBranch(made, topology, side=12)
    with pytest.raises(InputError, match=r"`parameters` has shape \(1, 19\); expected \(1, 20\)"):
        branch.forward(np.zeros((1, 19)))
    with pytest.raises(InputError, match="`parameters` is not finite in anchor 1"):
        branch.forward(np.array([[0.0] * 20, [np.nan] * 20]))
    with pytest.raises(InputError, match=r"`code` has shape \(1, 3\); expected \(1, 4\)"):
        made.forward(np.zeros((1, 3)))
    with pytest.raises(InputError, match="side=0"):
        PixelBranch(made, topology, side=0)
