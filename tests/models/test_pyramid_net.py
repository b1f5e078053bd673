"""Networks of trunk and branch: counts, shapes, names, parts that can be exchanged."""

from dataclasses import replace
from math import ceil

import numpy as np
import pytest

from minidet.boxes import PAPER_ANCHORS
from minidet.errors import InputError
from minidet.models.retinaface import Architecture, PyramidNet, RetinaFaceNet
from minidet.models.retinaface.architecture import BACKBONES, CONTEXTS
from minidet.models.retinaface.heads import Heads
from minidet.models.retinaface.levels import HeadsPerLevel, SharedHeads
from minidet.models.retinaface.mobilenet_v1 import FourStageMobileNetV1, MobileNetV1
from minidet.models.retinaface.resnet import RESNET50, Bottleneck, ResNet
from minidet.nn import DeformConv2d, initialise
from tests.oracles.cases import Numbers

ALL = [
    Architecture(backbone, levels, context, shared, cascade)
    for backbone in BACKBONES
    for levels in (3, 5)
    for context in CONTEXTS
    for shared in (False, True)
    for cascade in (False, True)
]
names = [architecture.name for architecture in ALL]


# ---- Counts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("retinaface_mobilenet025", 426_608),
        ("retinaface_resnet50", 27_293_600),
        ("retinaface_mobilenet025_p2p6", 692_224),
        ("retinaface_resnet50_p2p6", 33_813_552),
        # A predictor of 18 or 27 maps with a bias in front of each 3x3: two or three of 64 channels in the
        # pyramid, and in every context module two of 64 and three of 16.
        ("retinaface_mobilenet025_deform", 426_608 + 2 * 18 * 577 + 3 * 18 * (2 * 577 + 3 * 145)),
        ("retinaface_mobilenet025_p2p6_deform", 692_224 + 3 * 18 * 577 + 5 * 18 * (2 * 577 + 3 * 145)),
        ("retinaface_mobilenet025_p2p6_deform2", 692_224 + 3 * 27 * 577 + 5 * 27 * (2 * 577 + 3 * 145)),
        # 4 sets of heads for 3 anchors fewer: 256 inputs and a bias for each of 48 outputs.
        ("retinaface_resnet50_p2p6_shared", 33_813_552 - 4 * 257 * 48),
    ],
)
def test_parameters(name, count):
    assert Architecture.from_name(name).build().parameter_count() == count


@pytest.mark.parametrize(("blocks", "count"), [(RESNET50, 23_508_032), ((3, 8, 36, 3), 58_143_808)])
def test_parameters_of_resnet_are_those_of_torchvision_without_the_classifier(blocks, count):
    # 25,557,032 and 60,192,808 in torchvision's tables, less 2048 x 1000 weights and 1000 biases.
    assert count + 2_049_000 in (25_557_032, 60_192_808)
    assert ResNet(blocks).parameter_count() == count


def test_every_released_bottleneck_has_its_name():
    names = ResNet(RESNET50).state_dict()
    assert len(names) == 53 * 5  # a weight, and four arrays of the batch norm
    for name in [
        "conv1.weight",
        "bn1.running_mean",
        "layer1.0.downsample.0.weight",
        "layer1.0.downsample.1.running_var",
        "layer3.5.bn3.bias",
        "layer4.2.conv2.weight",
    ]:
        assert name in names
    assert "layer1.1.downsample.0.weight" not in names
    assert names["layer4.0.conv2.weight"].shape == (512, 512, 3, 3)


# ---- Shapes ----------------------------------------------------------------------------------------

SIZES = [(64, 96), (33, 50), (1, 1)]


@pytest.mark.parametrize(("H", "W"), SIZES)
@pytest.mark.parametrize("architecture", [Architecture(levels=5), Architecture(shared_heads=True)], ids=str)
def test_maps_and_answers(architecture, H, W):
    network = architecture.build().eval()
    x = np.zeros((2, 3, H, W), np.float32)
    maps = network.features(x)
    levels = (2, 3, 4, 5, 6) if architecture.levels == 5 else (3, 4, 5)
    c_levels = [level for level in levels if level < 6]
    kinds = [f"c{n}" for n in c_levels] + [f"{kind}{n}" for kind in ("p", "context") for n in levels]
    assert list(maps) == kinds
    for level in levels:
        plane = ceil(H / 2**level), ceil(W / 2**level)
        assert maps[f"p{level}"].shape == maps[f"context{level}"].shape == (2, 64, *plane)
    assert [maps[f"c{n}"].shape[1] for n in c_levels] == [32, 64, 128, 256][-len(c_levels) :]
    A = len(architecture.anchors.lay(H, W))
    box_deltas, logits, landmark_deltas = network.forward(x)
    assert box_deltas.shape == (2, A, 4)
    assert logits.shape == (2, A, 2)
    assert landmark_deltas.shape == (2, A, 10)
    np.testing.assert_array_equal(network.predict(x)[1], np.full((2, A, 2), 0.5, np.float32))


@pytest.mark.parametrize("finest", [2, 3])
@pytest.mark.parametrize(("H", "W"), [(33, 50), (1, 1)])
def test_maps_of_resnet(finest, H, W):
    backbone = ResNet((1, 1, 1, 1), finest=finest).eval()
    maps = backbone.forward(np.zeros((1, 3, H, W), np.float32))
    levels = range(finest, 6)
    assert backbone.channels == tuple(64 * 2**level for level in levels)
    shapes = [(1, 64 * 2**n, ceil(H / 2**n), ceil(W / 2**n)) for n in levels]
    assert [c.shape for c in maps] == shapes


def test_the_first_bottleneck_of_a_layer_only_has_another_way_past_it():
    assert Bottleneck(256, 64).downsample is None
    assert Bottleneck(64, 64).downsample is not None
    assert Bottleneck(256, 64, stride=2).downsample is not None


@pytest.mark.slow
def test_resnet_152_runs_one_image():
    architecture = Architecture("resnet152", levels=5, shared_heads=True)
    network = architecture.build().eval()
    initialise(network, np.random.default_rng(0))
    outputs = network.predict(Numbers("image").whole(-120, 150, 1, 3, 40, 56).astype(np.float32))
    assert [y.shape[1:] for y in outputs] == [(len(architecture.anchors.lay(40, 56)), k) for k in (4, 2, 10)]
    for y in outputs:
        assert np.isfinite(y).all()
        assert y.std() > 0


def test_the_four_stages_are_the_three():
    """The same numbers in both give the same maps."""
    three, four = MobileNetV1().eval(), FourStageMobileNetV1().eval()
    initialise(three, np.random.default_rng(1))
    arrays = three.state_dict().values()  # in the order in which they are built
    four.load_state_dict(dict(zip(four.state_dict(), arrays, strict=True)))
    x = Numbers("x").whole(-120, 150, 1, 3, 40, 56).astype(np.float32)
    for ours, theirs in zip(four.forward(x)[1:], three.forward(x), strict=True):
        np.testing.assert_array_equal(ours, theirs)


# ---- Heads -----------------------------------------------------------------------------------------


def maps_of(*planes):
    return [Numbers(f"map {i}").real(2, 4, *plane) for i, plane in enumerate(planes)]


def with_random_weights(module):
    module = module.astype("float64")
    module.load_state_dict({n: Numbers(n).real(*a.shape) for n, a in module.state_dict().items()})
    return module


def test_shared_heads_are_equal_heads_on_every_level():
    planes = [(5, 7), (3, 4), (1, 2)]
    shared = with_random_weights(SharedHeads(4, 3))
    own = HeadsPerLevel((3, 4, 5), [Heads(4, 3) for _ in range(3)]).astype("float64")
    one = shared.heads.state_dict()
    own.load_state_dict({f"p{level}.{name}": array for level in (3, 4, 5) for name, array in one.items()})
    maps = maps_of(*planes)
    outputs = shared.forward(maps)
    for ours, theirs in zip(outputs, own.forward(maps), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    grads = [Numbers(f"grad {y.shape}").real(*y.shape) for y in outputs]
    for ours, theirs in zip(shared.backward(*grads), own.backward(*grads), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    for name, parameter in shared.heads.parameters().items():
        total = sum(own.parameters()[f"p{level}.{name}"].grad for level in (3, 4, 5))
        np.testing.assert_allclose(parameter.grad, total, rtol=1e-12, atol=1e-12)


def test_levels_follow_each_other_from_fine_to_coarse():
    network = Architecture(levels=5).build().eval()
    for level, heads in network.branch.heads.heads.items():
        heads.box_head.bias.data[:] = level
    box_deltas, _, _ = network.forward(np.zeros((1, 3, 64, 96), np.float32))
    counts = PAPER_ANCHORS.level_sizes(64, 96)
    assert box_deltas[0, :, 0].tolist() == np.repeat([2, 3, 4, 5, 6], counts).tolist()


def test_as_many_maps_as_levels():
    with pytest.raises(ValueError, match="zip"):
        HeadsPerLevel((3, 4), [Heads(4, 2) for _ in range(2)]).astype("float64").forward(maps_of((2, 2)))


# ---- Names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ALL, ids=names)
def test_a_name_says_it_all(architecture):
    assert Architecture.from_name(architecture.name) == architecture
    assert architecture.name.startswith("retinaface_")


def test_no_two_architectures_share_a_name():
    assert len(set(names)) == len(ALL)


@pytest.mark.parametrize("architecture", [one for one in ALL if one.backbone == "mobilenet025"], ids=str)
def test_the_stem_is_the_first_convolution(architecture):
    parameters = architecture.build().parameters()
    assert next(iter(parameters)) == architecture.stem
    assert parameters[architecture.stem].data.shape[1] == 3


def test_a_deformable_network_is_deformable_where_the_paper_says():
    network = Architecture("resnet50", levels=5, context="deform").build()
    kinds = {name: part for name, part in modules(network) if isinstance(part, DeformConv2d)}
    merges = {f"trunk.fpn.merge{level}.conv" for level in (2, 3, 4)}
    views = {
        f"branch.contexts.p{level}.{view}.conv"
        for level in (2, 3, 4, 5, 6)
        for view in ("view3", "shared", "view5", "middle7", "view7")
    }
    assert kinds.keys() == merges | views
    assert not any(part.modulated for part in kinds.values())
    modulated = Architecture(context="deform2").build()
    assert all(part.modulated for _, part in modules(modulated) if isinstance(part, DeformConv2d))


def modules(module, prefix=""):
    for name, part in module.parts():
        yield prefix + name, part
        yield from modules(part, f"{prefix}{name}.")


def test_a_new_deformable_network_is_the_plain_one():
    # It begins with offsets of zero.
    plain, deformable = Architecture(levels=5).build(), Architecture(levels=5, context="deform").build()
    for network in (plain, deformable):
        initialise(network.eval(), np.random.default_rng(0))
    state = plain.state_dict()
    deformable.load_state_dict({**deformable.state_dict(), **state})
    x = Numbers("image").whole(-120, 150, 1, 3, 40, 56).astype(np.float32) / 100
    for ours, theirs in zip(deformable.forward(x), plain.forward(x), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * abs(theirs).max())


def test_the_released_small_network_is_the_one_with_a_compiled_plan():
    assert isinstance(Architecture().build(), RetinaFaceNet)
    assert not isinstance(Architecture(shared_heads=True).build(), RetinaFaceNet)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "resnet18"}, "backbone='resnet18'; expected one of mobilenet025, resnet50, resnet152"),
        ({"levels": 4}, "levels=4; expected 3 or 5"),
        ({"context": "none"}, "context='none'; expected one of ssh, deform, deform2"),
    ],
)
def test_unknown_choices(changes, message):
    with pytest.raises(InputError) as caught:
        replace(Architecture(), **changes)
    assert str(caught.value).startswith(f"Architecture: {message}")


@pytest.mark.parametrize("name", ["mtcnn", "retinaface", "retinaface_resnet50_shared_p2p6", "retinaface_x"])
def test_unknown_names(name):
    with pytest.raises(InputError, match=f"'{name}' is the name of no RetinaFace"):
        Architecture.from_name(name)


def test_another_context_module_takes_its_place(monkeypatch):
    class Twice(CONTEXTS["ssh"]):
        pass

    monkeypatch.setitem(CONTEXTS, "twice", Twice)
    architecture = Architecture(levels=5, context="twice")
    assert architecture.name == "retinaface_mobilenet025_p2p6_twice"
    assert Architecture.from_name(architecture.name) == architecture
    network = architecture.build()
    assert isinstance(network, PyramidNet)
    assert {type(layer) for layer in network.branch.contexts.layers.values()} == {Twice}
