import threading

import numpy as np
import pytest

import minidet
from minidet import fast
from minidet.errors import InputError
from minidet.models.mtcnn import PNet, RNet
from minidet.training.sampling.proposals import ProposalSettings, pnet_proposer, rnet_proposer
from minidet.weights import load_weights

BACKENDS = ["fast", "readable"]
SETTINGS = ProposalSettings(min_face_size=25, pyramid_factor=0.6, score_thresholds=(0.3, 0.2))


def shipped() -> tuple[PNet, RNet]:
    state = load_weights("mtcnn", architecture="mtcnn")
    networks = PNet(), RNet()
    for network, prefix in zip(networks, ("pnet.", "rnet."), strict=True):
        own = {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
        network.load_state_dict(own)
    return networks


def traced(backend: str, settings: ProposalSettings = SETTINGS) -> minidet.MTCNN:
    return minidet.MTCNN(
        min_face_size=settings.min_face_size,
        pyramid_factor=settings.pyramid_factor,
        score_thresholds=(*settings.score_thresholds, 0.7),
        crop_border=settings.crop_border,
        backend=backend,
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_squares_are_those_the_detector_shows_to_the_next_network(small_portrait, backend):
    pnet, rnet = shipped()
    trace = traced(backend).trace(small_portrait)
    for_rnet = pnet_proposer(pnet, SETTINGS, backend=backend)(small_portrait)
    for_onet = rnet_proposer(pnet, rnet, SETTINGS, backend=backend)(small_portrait)
    np.testing.assert_array_equal(for_rnet, trace["merge"]["boxes"])
    np.testing.assert_array_equal(for_onet, trace["refine"]["boxes"])
    assert len(for_rnet) > 20
    assert 1 <= len(for_onet) < len(for_rnet)


@pytest.mark.parametrize("crop_border", ["clip", "zero"])
def test_rnet_sees_the_border_as_in_detection(small_portrait, crop_border):
    image = np.ascontiguousarray(small_portrait[30:, 50:])  # cuts the face
    settings = ProposalSettings(25, 0.6, (0.3, 0.01), crop_border)
    squares = rnet_proposer(*shipped(), settings)(image)
    np.testing.assert_array_equal(squares, traced("fast", settings).trace(image)["refine"]["boxes"])


def test_lower_thresholds_let_more_through(small_portrait):
    pnet, _ = shipped()
    few, many = (
        len(pnet_proposer(pnet, ProposalSettings(score_thresholds=(score, 0.7)))(small_portrait))
        for score in (0.9, 0.4)
    )
    assert few < many


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [(1, 1, 3), (24, 60, 3), (60, 60, 3)])
def test_where_there_is_nothing_there_are_no_squares(backend, shape):
    image = np.full(shape, 128, np.uint8)
    pnet, rnet = shipped()
    for propose in (
        pnet_proposer(pnet, SETTINGS, backend=backend),
        rnet_proposer(pnet, rnet, backend=backend),
    ):
        squares = propose(image)
        assert squares.shape == (0, 4)
        assert squares.dtype == np.float32


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_a_network_on_does_not_change_its_proposer(small_portrait, backend):
    pnet, rnet = shipped()
    proposers = [
        pnet_proposer(pnet, SETTINGS, backend=backend),
        rnet_proposer(pnet, rnet, SETTINGS, backend=backend),
    ]
    before = [(propose(small_portrait), propose.recipe) for propose in proposers]
    for network in (pnet, rnet):
        for parameter in network.parameters().values():
            parameter.data[...] = 0
    for propose, (squares, recipe) in zip(proposers, before, strict=True):
        np.testing.assert_array_equal(propose(small_portrait), squares)
        assert propose.recipe == recipe


def test_making_a_proposer_leaves_the_network_in_training():
    pnet, rnet = shipped()
    pnet.train()
    rnet.train()
    rnet_proposer(pnet, rnet, backend="readable")
    assert pnet.training
    assert rnet.training


@pytest.mark.parametrize("backend", BACKENDS)
def test_threads_share_a_proposer(small_portrait, backend):
    propose = rnet_proposer(*shipped(), SETTINGS, backend=backend)
    images = [np.ascontiguousarray(small_portrait[k:]) for k in range(0, 24, 4)]
    expected = [propose(image) for image in images]
    made = [None] * len(images)

    def work(first: int) -> None:
        for k in range(first, len(images), 3):
            made[k] = propose(images[k])

    threads = [threading.Thread(target=work, args=(first,)) for first in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for squares, wanted in zip(made, expected, strict=True):
        np.testing.assert_array_equal(squares, wanted)


def test_the_recipe_tells_weights_settings_and_backend():
    pnet, rnet = shipped()
    recipe = rnet_proposer(pnet, rnet, SETTINGS).recipe
    assert recipe["settings"]["score_thresholds"] == (0.3, 0.2)
    assert recipe["backend"] == ("fast" if fast.is_available() else "readable")
    assert rnet_proposer(pnet, rnet, SETTINGS, backend="readable").recipe["backend"] == "readable"
    rnet.parameters()["conv1.weight"].data[0] += 1
    other = rnet_proposer(pnet, rnet, SETTINGS).recipe
    assert other["pnet"] == recipe["pnet"]
    assert other["rnet"] != recipe["rnet"]
    assert pnet_proposer(pnet, SETTINGS).recipe["rnet"] is None


def test_more_is_let_through_than_in_detection_by_default():
    settings, detection = ProposalSettings().detector_settings(), minidet.MTCNN().settings
    assert settings.score_thresholds[:2] < detection.score_thresholds[:2]
    assert settings.min_face_size == detection.min_face_size
    assert settings.pyramid_factor == detection.pyramid_factor


@pytest.mark.parametrize(
    "change",
    [
        {"min_face_size": 0},
        {"pyramid_factor": 1},
        {"score_thresholds": (0.5, 1.5)},
        {"score_thresholds": (0.5, 0.5, 0.5)},
        {"crop_border": "black"},
    ],
)
def test_settings_that_make_no_sense_are_refused(change):
    with pytest.raises(InputError, match=next(iter(change))):
        ProposalSettings(**change)


def test_an_unknown_backend_is_refused():
    with pytest.raises(InputError, match="backend='quick'; expected 'fast' or 'readable'"):
        pnet_proposer(PNet(), backend="quick")
