import threading

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.fast import compile, get_num_threads, set_num_threads
from minidet.fast.plans.retinaface import STEM_STEPS, STEPS
from minidet.image import retinaface_input
from minidet.models.retinaface import Architecture, RetinaFaceNet
from minidet.models.retinaface.context import Context
from minidet.models.retinaface.fpn import FPN
from minidet.nn import DeformConv2d, ReLU
from tests.fast.kernels.arena import agreement

SIZES = [(1, 1), (8, 8), (9, 33), (37, 53), (64, 64), (100, 33), (151, 250)]


def pixels(seed, height, width):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.fixture(autouse=True)
def threads_as_before():
    before = get_num_threads()
    yield
    set_num_threads(before)


@pytest.fixture(scope="module")
def shipped(retinaface):
    return retinaface._model


@pytest.fixture(scope="module")
def random():
    """A network as training leaves it: every batch norm with weights and statistics of its own."""
    rng = np.random.default_rng(0)
    network = RetinaFaceNet()
    state = network.state_dict()
    for name, array in state.items():
        if name.endswith(("running_var", "norm.weight")):
            array[:] = rng.uniform(0.5, 2, array.shape)
        elif array.ndim == 1:
            array[:] = rng.normal(0, 0.3, array.shape)
        else:
            array[:] = rng.normal(0, np.sqrt(2 / np.prod(array.shape[1:])), array.shape)
    network.load_state_dict(state)
    return network.eval()


@pytest.mark.parametrize("weights", ["shipped", "random"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_equal_to_the_network(size, weights, request):
    model = request.getfixturevalue(weights)
    x = retinaface_input(pixels(1, *size))
    for got, expected in zip(compile(model)(x), model.predict(x), strict=True):
        assert (got.shape, got.dtype) == (expected.shape, np.float32)
        assert agreement(got, expected) < 1e-4


def test_a_batch_equals_its_images(shipped):
    network = compile(shipped)
    x = np.concatenate([retinaface_input(pixels(i, 40, 56)) for i in range(3)])
    singly = [network(x[i : i + 1]) for i in range(3)]
    for together, *alone in zip(network(x), *singly, strict=True):
        np.testing.assert_array_equal(together, np.concatenate(alone))


def test_no_image_is_no_answer(shipped):
    assert [output.shape for output in compile(shipped)(np.empty((0, 3, 32, 32), np.float32))] == [
        (0, 42, 4),
        (0, 42, 2),
        (0, 42, 10),
    ]


def test_pixels_and_their_tensor_give_the_same(shipped):
    network = compile(shipped)
    image = pixels(2, 75, 90)
    for view in (image, np.asfortranarray(image), np.tile(image, (2, 1, 1))[::2]):
        expected = network(retinaface_input(view))
        for got, wanted in zip(network.of_image(view), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_a_tensor_of_any_layout_and_type(shipped):
    network = compile(shipped)
    x = retinaface_input(pixels(3, 40, 56))
    expected = network(x)
    for other in (np.asfortranarray(x), x.astype(np.float64), np.repeat(x, 2, axis=3)[..., ::2]):
        for got, wanted in zip(network(other), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_the_number_of_threads_changes_nothing(shipped):
    network = compile(shipped)
    image = pixels(4, 211, 173)
    results = []
    for threads in (1, 2, 3, 7):
        set_num_threads(threads)
        results.append(network.of_image(image))
    for outputs in zip(*results, strict=True):
        for other in outputs[1:]:
            np.testing.assert_array_equal(other, outputs[0])


def test_eight_python_threads_share_one_network(shipped):
    network = compile(shipped)
    images = [pixels(i, 40 + 13 * i, 150 - 11 * i) for i in range(8)]
    expected = [network.of_image(image) for image in images]
    results = [[] for _ in images]

    def work(i):
        for _ in range(10):
            results[i].append(network.of_image(images[i]))

    set_num_threads(3)
    workers = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for wanted, repeated in zip(expected, results, strict=True):
        assert len(repeated) == 10
        for outputs in repeated:
            for got, output in zip(outputs, wanted, strict=True):
                np.testing.assert_array_equal(got, output)


def test_the_weights_are_those_of_the_moment(random):
    network = compile(random)
    x = retinaface_input(pixels(5, 32, 32))
    before = network(x)
    state = random.state_dict()
    random.load_state_dict({name: array * 0 for name, array in state.items()})
    after = network(x)
    random.load_state_dict(state)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 4, 32, 32), (1, 3, 0, 32), (1, 3, 32, 0)])
def test_other_shapes_are_refused(shipped, shape):
    with pytest.raises(InputError, match=r"RetinaFace: `x` has shape .*; expected \(N, 3, H, W\)"):
        compile(shipped)(np.zeros(shape, np.float32))


def test_every_step_has_its_time(shipped):
    clocks = compile(shipped).clocks(retinaface_input(pixels(6, 64, 64)))
    assert list(clocks) == [*STEM_STEPS, *STEPS]
    assert all(ticks >= 0 for ticks in clocks.values())


def test_other_networks_are_refused():
    with pytest.raises(InputError, match=r"fast\.compile: model is a ReLU; expected one of .*RetinaFaceNet"):
        compile(ReLU())


@pytest.mark.parametrize("name", ["context4", "fpn"])
def test_a_deformable_convolution_is_refused_not_taken_for_a_plain_one(name):
    network = RetinaFaceNet()
    parts = {"context4": Context(64, conv=DeformConv2d), "fpn": FPN((64, 128, 256), 64, conv=DeformConv2d)}
    setattr(network, name, parts[name])
    with pytest.raises(InputError, match=r"fast\.compile: no plan has a DeformConv2d; use fast\.accelerate"):
        compile(network.eval())
    with pytest.raises(InputError, match=r"fast\.compile: model is a PyramidNet"):
        compile(Architecture(context="deform").build().eval())
