import threading

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.fast import get_num_threads, set_num_threads
from minidet.fast.plans.onet import CompiledONet
from minidet.fast.plans.pnet import BAND_ROWS, CompiledPNet
from minidet.fast.plans.rnet import CompiledRNet
from minidet.image import level_size, mtcnn_input, pyramid_scales, resize_area
from minidet.models.mtcnn import ONet, PNet, RNet
from tests.fast.kernels.arena import agreement, normal

NETWORKS = {"rnet": (RNet, CompiledRNet, 24), "onet": (ONet, CompiledONet, 48)}


@pytest.fixture(autouse=True)
def threads_as_before():
    before = get_num_threads()
    yield
    set_num_threads(before)


def with_random_weights(model):
    """As training leaves a network: biases and slopes of either sign."""
    rng = np.random.default_rng(0)
    state = model.state_dict()
    for array in state.values():
        spread = 0.3 if array.ndim == 1 else np.sqrt(2 / np.prod(array.shape[1:]))
        array[:] = rng.normal(0, spread, array.shape)
    model.load_state_dict(state)
    return model.eval()


def pixels(seed, height, width):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def assert_all_equal(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


# ---- P-Net ----


@pytest.mark.parametrize("landmark_head", [False, True])
@pytest.mark.parametrize(
    "size", [(11, 11), (11, 12), (12, 11), (13, 40), (40, 13), (61, 59), (2 * BAND_ROWS + 30, 97)], ids=str
)
def test_pnet_equals_the_network(size, landmark_head):
    model = with_random_weights(PNet(landmark_head=landmark_head))
    x = normal(1, 2, 3, *size)
    for got, expected in zip(CompiledPNet(model)(x), model.predict(x), strict=True):
        assert (got.shape, got.dtype) == (expected.shape, np.float32)
        assert agreement(got, expected) < 1e-5


def test_pnet_of_a_pyramid_finds_the_cells_of_its_levels():
    model, image = with_random_weights(PNet()), pixels(2, 163, 201)
    sizes = [level_size(163, 201, s) for s in pyramid_scales(163, 201, min_face_size=20, pyramid_factor=0.7)]
    maps = [model.predict(mtcnn_input(resize_area(image, *size)[None])) for size in sizes]
    # A threshold that many cells pass and none is so close to that it could be on either side.
    middle = np.sort(np.concatenate([scores[0, 1].ravel() for scores, _ in maps]))[1000:-1000]
    gap = np.diff(middle).argmax()
    threshold = float(middle[gap : gap + 2].mean())
    assert middle[gap + 1] - middle[gap] > 2e-5

    levels, rows, columns, scores, box_deltas = CompiledPNet(model).of_pyramid(image, sizes, threshold)
    assert len(levels) >= 1000
    assert (np.diff(levels) >= 0).all()
    for level, (level_scores, level_deltas) in enumerate(maps):
        face, of_level = level_scores[0, 1], levels == level
        at = np.nonzero(face >= threshold)
        np.testing.assert_array_equal(np.stack([rows[of_level], columns[of_level]]), np.stack(at))
        assert np.abs(scores[of_level] - face[at]).max(initial=0) < 1e-5
        if of_level.any():
            assert agreement(box_deltas[of_level], level_deltas[0][:, at[0], at[1]].T) < 1e-5


@pytest.mark.parametrize(("threshold", "share"), [(0, 1), (1, 0)])
def test_pnet_with_the_extreme_thresholds(threshold, share):
    cells = CompiledPNet(with_random_weights(PNet())).of_pyramid(pixels(3, 40, 50), [(40, 50)], threshold)
    assert len(cells.scores) == share * 15 * 20


def test_pnet_of_levels_too_small_for_a_window():
    cells = CompiledPNet(PNet()).of_pyramid(pixels(3, 40, 50), [(10, 40), (40, 10), (1, 1)], 0)
    assert cells.box_deltas.shape == (0, 4)
    assert len(cells.levels) == len(cells.rows) == len(cells.columns) == len(cells.scores) == 0


def test_pnet_does_not_depend_on_the_number_of_threads():
    network, image = CompiledPNet(with_random_weights(PNet())), pixels(4, 211, 173)
    sizes = [(211, 173), (150, 123), (50, 40), (12, 12)]
    results = []
    for threads in (1, 2, 3, 7):
        set_num_threads(threads)
        results.append((*network.of_pyramid(image, sizes, 0.5), *network(normal(5, 1, 3, 150, 60))))
    for other in results[1:]:
        assert_all_equal(other, results[0])


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 4, 32, 32), (1, 3, 10, 32), (1, 3, 32, 10)])
def test_pnet_refuses_other_shapes(shape):
    with pytest.raises(
        InputError, match=r"P-Net: `x` has shape .*; expected \(N, 3, H, W\), sides of at least 11"
    ):
        CompiledPNet(PNet())(np.zeros(shape, np.float32))


# ---- R-Net and O-Net ----


@pytest.fixture(params=list(NETWORKS))
def crop_network(request):
    """Return a network with random weights, its compiled twin, and the side of its crops."""
    kind, compile_network, side = NETWORKS[request.param]
    model = with_random_weights(kind())
    return model, compile_network(model), side


@pytest.mark.parametrize("crops", [0, 1, 2, 7, 8, 9, 33])
def test_equal_to_the_network(crop_network, crops):
    model, network, side = crop_network
    x = normal(1, crops, 3, side, side)
    expected = model.predict(x) if crops else [np.zeros((0, k), np.float32) for k in (2, 4, 10)]
    for got, wanted in zip(network(x), expected, strict=False):
        assert (got.shape, got.dtype) == (wanted.shape, np.float32)
        assert crops == 0 or agreement(got, wanted) < 1e-5
    assert len(network(x)) == len(model.predict(normal(1, 1, 3, side, side)))


def test_a_thousand_crops_equal_those_alone(crop_network):
    _, network, side = crop_network
    x = np.tile(normal(2, 125, 3, side, side), (8, 1, 1, 1))
    together = network(x)
    for i in (0, 1, 77, 124):
        for output, alone in zip(together, network(x[i : i + 1]), strict=True):
            np.testing.assert_array_equal(output[i::125], np.tile(alone, (8, 1)))


def test_windows_of_an_image_equal_their_tensor(crop_network):
    _, network, side = crop_network
    image = pixels(3, 90, 110)
    windows = np.array([[5, 7, 60, 70], [0, 0, 110, 90], [-20, 3, 31, 54], [100, 80, 140, 120], [3, 3, 4, 4]])
    crops = []
    for left, top, right, bottom in windows:
        canvas = np.zeros((200, 200, 3), np.uint8)
        canvas[50:140, 50:160] = image
        crops.append(resize_area(canvas[top + 50 : bottom + 50, left + 50 : right + 50], side, side))
    expected = network(mtcnn_input(np.stack(crops)))
    for view in (image, np.asfortranarray(image), np.tile(image, (2, 1, 1))[:90]):
        for got, wanted in zip(network.of_windows(view, windows), expected, strict=True):
            assert agreement(got, wanted) < 1e-5


def test_no_window(crop_network):
    _, network, _ = crop_network
    outputs = network.of_windows(pixels(3, 9, 9), np.zeros((0, 4), np.int64))
    assert [len(output) for output in outputs] == [0] * len(outputs)


@pytest.mark.parametrize("crops", [1, 3, 20, 65])
def test_the_number_of_threads_changes_nothing(crop_network, crops):
    _, network, side = crop_network
    x, results = normal(4, crops, 3, side, side), []
    for threads in (1, 2, 3, 7):
        set_num_threads(threads)
        results.append(network(x))
    for other in results[1:]:
        assert_all_equal(other, results[0])


def test_rnet_ignores_its_landmark_head():
    model = with_random_weights(RNet(landmark_head=True))
    x = normal(5, 4, 3, 24, 24)
    for got, expected in zip(CompiledRNet(model)(x), model.predict(x), strict=True):
        assert agreement(got, expected) < 1e-5


@pytest.mark.parametrize("shape", [(3, 24, 24), (1, 3, 12, 12), (1, 4, 24, 24)])
def test_other_shapes_are_refused(crop_network, shape):
    _, network, side = crop_network
    with pytest.raises(InputError, match=rf"Net: `x` has shape .*; expected \(N, 3, {side}, {side}\)"):
        network(np.zeros(shape, np.float32))


# ---- all three ----


@pytest.fixture(params=["pnet", *NETWORKS])
def any_network(request):
    kind, compile_network, side = {"pnet": (PNet, CompiledPNet, 40), **NETWORKS}[request.param]
    model = with_random_weights(kind())
    return model, compile_network(model), side


def test_a_tensor_of_any_layout_and_type(any_network):
    _, network, side = any_network
    x = normal(6, 2, 3, side, side)
    expected = network(x)
    read_only = x.copy()
    read_only.flags.writeable = False
    for other in (np.asfortranarray(x), x.astype(np.float64), np.repeat(x, 2, axis=3)[..., ::2], read_only):
        assert_all_equal(network(other), expected)


def test_the_weights_are_those_of_the_moment(any_network):
    model, network, side = any_network
    x = normal(7, 1, 3, side, side)
    before = network(x)
    model.load_state_dict({name: array * 0 for name, array in model.state_dict().items()})
    assert_all_equal(network(x), before)


def test_eight_python_threads_share_one_network(any_network):
    _, network, side = any_network
    tensors = [normal(i, 3 + 5 * i, 3, side, side) for i in range(8)]
    expected = [network(x) for x in tensors]
    results = [[] for _ in tensors]

    def work(i):
        for _ in range(6):
            results[i].append(network(tensors[i]))

    set_num_threads(3)
    workers = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for wanted, repeated in zip(expected, results, strict=True):
        assert len(repeated) == 6
        for outputs in repeated:
            assert_all_equal(outputs, wanted)
