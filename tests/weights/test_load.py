"""The table of names is checked against checkpoints made here, in the layout of the references."""

from pathlib import Path

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.models.mtcnn import ONet, PNet, RNet
from minidet.models.retinaface import Architecture, RetinaFaceNet
from minidet.weights import (
    SHIPPED,
    convert_folded_retinaface,
    convert_mtcnn,
    convert_retinaface,
    convert_retinaface_resnet,
    load_npz,
    load_weights,
    read_checkpoint,
    save_npz,
)
from tests.oracles.make_torch_files import public_resnet50

RETINAFACE = "retinaface_mobilenet025"


def reference_names():
    """List the layers of biubug6's network, written down by hand: (convolution, its batch norm or None)."""
    layers = [("body.stage1.0.0", "body.stage1.0.1")]
    for stage, first, count in [(1, 1, 6), (2, 0, 6), (3, 0, 2)]:
        for i in range(first, count):
            layers.append((f"body.stage{stage}.{i}.0", f"body.stage{stage}.{i}.1"))
            layers.append((f"body.stage{stage}.{i}.3", f"body.stage{stage}.{i}.4"))
    for part in ["fpn.output1", "fpn.output2", "fpn.output3", "fpn.merge1", "fpn.merge2"]:
        layers.append((f"{part}.0", f"{part}.1"))
    for i in "123":
        for view in ["conv3X3", "conv5X5_1", "conv5X5_2", "conv7X7_2", "conv7x7_3"]:
            layers.append((f"ssh{i}.{view}.0", f"ssh{i}.{view}.1"))
    for head in ["ClassHead", "BboxHead", "LandmarkHead"]:
        layers += [(f"{head}.{i}.conv1x1", None) for i in "012"]
    return layers


@pytest.fixture(scope="module")
def folded():
    """The shipped network as the convolutions of an exported graph."""
    _, state = load_npz(SHIPPED[RETINAFACE].path)
    convolutions = {}
    for theirs, norm in reference_names():
        ours = convert_retinaface({f"{theirs}.weight": np.zeros(1)}).popitem()[0].removesuffix(".weight")
        bias = state[f"{ours}.bias" if norm is None else f"{ours.removesuffix('.conv')}.norm.bias"]
        convolutions[theirs] = (state[f"{ours}.weight"], bias)
    return convolutions


def test_every_reference_layer_has_one_place_in_the_network():
    checkpoint = {}
    for convolution, norm in reference_names():
        kinds = ["weight"] if norm else ["weight", "bias"]
        checkpoint.update({f"{convolution}.{kind}": np.zeros(1) for kind in kinds})
        if norm:
            for kind in ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]:
                checkpoint[f"{norm}.{kind}"] = np.zeros(1)
    checkpoint["body.fc.weight"] = checkpoint["body.fc.bias"] = np.zeros(1)
    assert convert_retinaface(checkpoint).keys() == RetinaFaceNet().state_dict().keys()


def test_unknown_layer_is_named():
    with pytest.raises(InputError, match=r"`body\.layer4\.0\.weight` is no layer"):
        convert_retinaface({"body.layer4.0.weight": np.zeros(1)})


# ---- ResNet-50 -------------------------------------------------------------------------------------

PUBLIC = Path(__file__).parents[1] / "oracles" / "torch_files" / "retinaface_resnet50.pth"


def test_every_layer_of_the_public_resnet_has_one_place_in_the_network():
    names, own = public_resnet50(), Architecture("resnet50").build().state_dict()
    converted = convert_retinaface_resnet({name: np.array(value) for name, (_, value) in names.items()})
    assert converted.keys() == own.keys()
    # What each is called here, from the other side: the order in which both networks are built.
    for theirs, ours in [
        ("body.conv1.weight", "trunk.backbone.conv1.weight"),
        ("body.layer2.0.downsample.1.running_var", "trunk.backbone.layer2.0.downsample.1.running_var"),
        ("fpn.output1.0.weight", "trunk.fpn.lateral3.conv.weight"),
        ("fpn.output3.1.bias", "trunk.fpn.lateral5.norm.bias"),
        ("fpn.merge2.0.weight", "trunk.fpn.merge4.conv.weight"),
        ("ssh1.conv7X7_2.1.weight", "branch.contexts.p3.middle7.norm.weight"),
        ("ssh3.conv7x7_3.0.weight", "branch.contexts.p5.view7.conv.weight"),
        ("ClassHead.0.conv1x1.bias", "branch.heads.p3.class_head.bias"),
        ("LandmarkHead.2.conv1x1.weight", "branch.heads.p5.landmark_head.weight"),
    ]:
        assert converted[ours] == names[theirs][1]


def test_the_public_resnet_is_read_from_its_file():
    architecture, state = read_checkpoint(PUBLIC)
    assert architecture == "retinaface_resnet50"
    network = Architecture.from_name(architecture).build()
    network.load_state_dict(state)
    names = public_resnet50()
    assert (
        sum(np.prod(shape) for name, (shape, _) in names.items() if "running" not in name)
        - sum("num_batches" in name for name in names)
        == network.parameter_count()
    )
    np.testing.assert_array_equal(
        state["trunk.backbone.layer4.2.conv3.weight"],
        np.full((2048, 512, 1, 1), names["body.layer4.2.conv3.weight"][1]),
    )


@pytest.mark.parametrize("name", ["body.layer5.0.conv1.weight", "body.stage1.0.0.weight", "conv1.weight"])
def test_unknown_layer_of_the_resnet_is_named(name):
    with pytest.raises(InputError, match=f"`{name}` is no layer of the ResNet-50 network"):
        convert_retinaface_resnet({name: np.zeros(1)})


def test_a_resnet_of_another_depth_does_not_fit():
    state = {name: np.zeros(shape) for name, (shape, _) in public_resnet50().items()}
    state["body.layer3.6.conv1.weight"] = np.zeros((256, 1024, 1, 1))
    with pytest.raises(InputError, match=r"unexpected trunk\.backbone\.layer3\.6\.conv1\.weight"):
        Architecture("resnet50").build().load_state_dict(convert_retinaface_resnet(state))


def test_folded_convolutions_give_the_shipped_state_back(folded):
    _, shipped = load_npz(SHIPPED[RETINAFACE].path)
    converted = convert_folded_retinaface(folded)
    assert converted.keys() == shipped.keys()
    for name, array in shipped.items():
        np.testing.assert_array_equal(converted[name], array)


def test_missing_folded_convolution_is_named(folded):
    fewer = {name: pair for name, pair in folded.items() if name != "fpn.merge1.0"}
    with pytest.raises(InputError, match=r"missing or unknown: fpn\.merge1\.0"):
        convert_folded_retinaface(fewer)


def test_neutral_batch_norm_adds_the_bias_exactly():
    network = RetinaFaceNet()
    network.load_state_dict(load_weights(RETINAFACE, architecture=RETINAFACE))
    norm = network.eval().fpn.merge3.norm
    x = np.random.RandomState(0).standard_normal((1, 64, 3, 4)).astype(np.float32)
    np.testing.assert_array_equal(norm.forward(x), x + norm.bias.data[None, :, None, None])


def test_missing_network_is_named():
    with pytest.raises(InputError, match="onet is missing"):
        convert_mtcnn({"pnet": {}, "rnet": {}})


def test_reference_layers_of_mtcnn_have_their_places():
    theirs = {
        "pnet": "conv1 prelu1 conv2 prelu2 conv3 prelu3 conv4_1 conv4_2",
        "rnet": "conv1 prelu1 conv2 prelu2 conv3 prelu3 dense4 prelu4 dense5_1 dense5_2",
        "onet": "conv1 prelu1 conv2 prelu2 conv3 prelu3 conv4 prelu4 dense5 prelu5 "
        "dense6_1 dense6_2 dense6_3",
    }
    networks = {
        network: {
            f"{layer}.{kind}": np.zeros(1)
            for layer in layers.split()
            for kind in (["weight"] if layer.startswith("prelu") else ["weight", "bias"])
        }
        for network, layers in theirs.items()
    }
    ours = {
        f"{prefix}.{name}"
        for prefix, network in [("pnet", PNet()), ("rnet", RNet()), ("onet", ONet())]
        for name in network.state_dict()
    }
    assert convert_mtcnn(networks).keys() == ours


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_shipped_name_and_its_path_give_the_same(name):
    by_name = load_weights(name, architecture=SHIPPED[name].architecture)
    by_path = load_weights(SHIPPED[name].path, architecture=SHIPPED[name].architecture)
    assert by_name.keys() == by_path.keys()
    for key, array in by_name.items():
        np.testing.assert_array_equal(array, by_path[key])


def test_other_architecture_is_refused():
    with pytest.raises(InputError, match="'mtcnn' is for mtcnn; expected weights for retinaface"):
        load_weights("mtcnn", architecture=RETINAFACE)


def test_unknown_name_lists_the_shipped_ones():
    with pytest.raises(
        InputError, match="'mtcn' is neither a file nor one of mtcnn, retinaface_mobilenet025"
    ):
        load_weights("mtcn", architecture="mtcnn")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_named(tmp_path, bad):
    state = load_weights("mtcnn", architecture="mtcnn")
    state["onet.class_head.bias"] = np.array([0, bad], np.float32)
    save_npz(tmp_path / "bad.npz", state, architecture="mtcnn")
    with pytest.raises(InputError, match=r"`onet\.class_head\.bias` holds NaN"):
        load_weights(tmp_path / "bad.npz", architecture="mtcnn")


@pytest.mark.parametrize("weights", [None, [1], b"mtcnn"])
def test_weights_of_another_type_are_refused(weights):
    with pytest.raises(InputError, match="expected a path or one of mtcnn"):
        load_weights(weights, architecture="mtcnn")


def test_folder_without_the_three_files_names_them(tmp_path):
    (tmp_path / "rnet.pt").touch()
    with pytest.raises(InputError, match=r"has no pnet\.pt, onet\.pt"):
        read_checkpoint(tmp_path)
