import numpy as np
import pytest

from minidet.errors import InputError
from minidet.training.photometric import PhotometricSettings, distort_colours

NONE = {"brightness": 0, "contrast": 0, "saturation": 0, "light": 0, "grey": 0}


def noise(count=6, side=12, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def twin(crops, rng, settings):
    """One change after the other, in float64."""
    M = len(crops)
    brightness, contrast, saturation = rng.uniform(-1, 1, M), rng.uniform(-1, 1, M), rng.uniform(-1, 1, M)
    light, grey = rng.uniform(-1, 1, (M, 3)), rng.random(M)
    result = []
    for m in range(M):
        pixels = crops[m] * (1 + settings.light * light[m])  # the light
        luma = pixels @ [0.299, 0.587, 0.114]
        strength = 0 if grey[m] < settings.grey else 1 + settings.saturation * saturation[m]
        pixels = luma[..., None] + strength * (pixels - luma[..., None])
        pixels = 127.5 + (1 + settings.contrast * contrast[m]) * (pixels - 127.5)
        result.append(pixels + settings.brightness * brightness[m])
    return np.clip(result, 0, 255)


@pytest.mark.parametrize("side", [12, 24, 48])
def test_equals_one_change_after_the_other(side):
    crops, settings = noise(40, side), PhotometricSettings(grey=0.3)
    distorted = distort_colours(crops, np.random.default_rng(7), settings)
    assert distorted.dtype == np.uint8
    assert distorted.shape == crops.shape
    error = distorted - twin(crops, np.random.default_rng(7), settings)
    assert np.abs(error).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "light", "grey"])
def test_each_change_alone(name):
    settings = PhotometricSettings(**{**NONE, name: getattr(PhotometricSettings(grey=0.5), name)})
    crops = noise(40)
    distorted = distort_colours(crops, np.random.default_rng(7), settings)
    assert (distorted != crops).any()
    assert np.abs(distorted - twin(crops, np.random.default_rng(7), settings)).max() <= 0.5 + 1e-3


def test_nothing_changes_nothing():
    crops = noise()
    distorted = distort_colours(crops, np.random.default_rng(0), PhotometricSettings(**NONE))
    np.testing.assert_array_equal(distorted, crops)
    assert not np.shares_memory(distorted, crops)


def test_grey_crops_have_equal_channels():
    distorted = distort_colours(noise(), np.random.default_rng(0), PhotometricSettings(grey=1))
    np.testing.assert_array_equal(distorted[..., 0], distorted[..., 1])
    np.testing.assert_array_equal(distorted[..., 0], distorted[..., 2])


def test_is_a_function_of_the_generator_and_leaves_its_argument():
    crops = noise()
    before = crops.copy()
    a, b, c = (
        distort_colours(crops, np.random.default_rng(seed), PhotometricSettings()) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()
    np.testing.assert_array_equal(crops, before)


def test_takes_mirrored_views_and_no_crops():
    crops = noise()
    view = crops[:, :, ::-1]
    settings = PhotometricSettings()
    np.testing.assert_array_equal(
        distort_colours(view, np.random.default_rng(0), settings),
        distort_colours(crops, np.random.default_rng(0), settings)[:, :, ::-1],
    )
    assert distort_colours(crops[:0], np.random.default_rng(0), settings).shape == (0, 12, 12, 3)


@pytest.mark.parametrize(
    "crops", [np.zeros((2, 12, 12, 3)), np.zeros((12, 12, 3), np.uint8), np.zeros((2, 12, 12, 1), np.uint8)]
)
def test_refuses_other_crops(crops):
    with pytest.raises(InputError, match=r"distort_colours: `crops` is .*; expected uint8, \(M, "):
        distort_colours(crops, np.random.default_rng(0), PhotometricSettings())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("brightness", -1),
        ("brightness", 256),
        ("brightness", "1"),
        ("contrast", 1.1),
        ("saturation", -0.1),
        ("light", 2),
        ("grey", None),
    ],
)
def test_refuses_settings(name, value):
    with pytest.raises(InputError, match=f"PhotometricSettings: {name}="):
        PhotometricSettings(**{name: value})
