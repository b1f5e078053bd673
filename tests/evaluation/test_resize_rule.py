"""Resize rules: reading and writing them, sizes by hand, and boxes that must map back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.errors import InputError
from minidet.evaluation.resize_rule import NATIVE, ResizeRule, resized

sides = st.integers(1, 5000)
rules = st.one_of(
    st.just(NATIVE),
    st.builds(lambda side: ResizeRule("short", side), sides),
    st.builds(lambda side, longest: ResizeRule("short", side, longest=longest), sides, sides),
    st.builds(lambda side: ResizeRule("long", side), sides),
    st.builds(lambda width, height: ResizeRule("fixed", height, width=width), sides, sides),
)


def resize(image, text):
    return resized(image, ResizeRule.parse(text))


# ---- Reading and writing ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("native", ResizeRule()),
        ("short=480", ResizeRule("short", 480)),
        ("short=1600:2150", ResizeRule("short", 1600, longest=2150)),
        ("long=1024", ResizeRule("long", 1024)),
        ("640x480", ResizeRule("fixed", 480, width=640)),
        ("1x1", ResizeRule("fixed", 1, width=1)),
    ],
)
def test_parse(text, rule):
    assert ResizeRule.parse(text) == rule
    assert str(rule) == text


@given(rules)
def test_what_is_written_can_be_read(rule):
    assert ResizeRule.parse(str(rule)) == rule


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Native",
        "short",
        "short=",
        "short=a",
        "short=-4",
        "short=4.5",
        "short=4:",
        "short=:4",
        "long=4:5",
        "long",
        "480",
        "640x",
        "x480",
        "640x480x3",
        "640X480",
        " native",
        "native ",
        "short=4\n",
        "wide=4",
    ],
)
def test_parse_refuses(text):
    with pytest.raises(
        InputError, match=r"^scale .*; expected native, short=SIDE, short=SIDE:LONGEST, long="
    ):
        ResizeRule.parse(text)


@pytest.mark.parametrize("text", ["short=0", "long=0", "short=0:4", "short=4:0", "0x4", "4x0", "0x0"])
def test_parse_refuses_sides_of_nothing(text):
    with pytest.raises(InputError, match=rf"^scale '{text}'; expected sides of at least 1 pixel"):
        ResizeRule.parse(text)


def test_equal_rules_are_one_key():
    assert len({ResizeRule.parse("short=8"), ResizeRule.parse("short=8"), ResizeRule.parse("long=8")}) == 2


# ---- Sizes by hand ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "width", "height", "factor"),
    [
        ("native", 40, 20, 1),
        ("short=10", 40, 20, 0.5),
        ("short=10", 20, 40, 0.5),
        ("short=40", 40, 20, 2),
        ("short=40:60", 40, 20, 1.5),  # 2 would make the longer side 80
        ("short=40:60", 20, 40, 1.5),
        ("short=40:60", 30, 20, 2),
        ("long=10", 40, 20, 0.25),
        ("long=80", 20, 40, 2),
        ("20x20", 40, 20, 0.5),
        ("80x20", 40, 20, 1),
        ("80x60", 40, 20, 2),
        ("20x80", 20, 40, 1),
    ],
)
def test_factor(text, width, height, factor):
    assert ResizeRule.parse(text).factor(width, height) == factor


@pytest.mark.parametrize(
    ("text", "shape", "scale"),
    [
        ("native", (20, 40), (1, 1)),
        ("short=10", (10, 20), (2, 2)),
        ("long=80", (40, 80), (0.5, 0.5)),
        ("long=7", (4, 7), (40 / 7, 5)),  # 3.5 rows become 4: x and y have each their own scale
        ("short=40:60", (30, 60), (40 / 60, 20 / 30)),
        ("30x30", (30, 30), (40 / 30, 20 / 15)),
        ("80x80", (80, 80), (0.5, 0.5)),
        ("40x20", (20, 40), (1, 1)),
        ("50x20", (20, 50), (1, 1)),
    ],
)
def test_sizes(text, shape, scale):
    image, given_scale = resize(np.zeros((20, 40, 3), np.uint8), text)
    assert image.shape == (*shape, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert given_scale.dtype == np.float32
    np.testing.assert_array_equal(given_scale, np.float32(scale))


@pytest.mark.parametrize("text", ["native", "long=40", "short=20", "short=20:40", "40x20"])
def test_a_photograph_that_has_the_size_stays_as_it_is(text):
    image = np.random.default_rng(1).integers(0, 256, (20, 40, 3), np.uint8)
    view, scale = resize(image, text)
    np.testing.assert_array_equal(view, image)
    assert scale.tolist() == [1, 1]


def test_the_filling_is_black_and_on_the_right_and_below():
    white = np.full((20, 40, 3), 255, np.uint8)
    wide, _ = resize(white, "60x20")
    assert (wide[:, :40] == 255).all()
    assert (wide[:, 40:] == 0).all()
    high, _ = resize(white, "20x30")
    assert (high[:10] == 255).all()
    assert (high[10:] == 0).all()


def test_small_by_averages_and_large_by_interpolation():
    # One bright column: averaging keeps its light, nearest neighbours or thin sampling would lose it.
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, 5] = 200
    small, _ = resize(image, "long=2")
    assert small[0, :, 0].tolist() == [0, 50]
    large, _ = resize(image, "long=16")
    assert large[0, :, 0].tolist() == [0] * 9 + [50, 150, 150, 50, 0, 0, 0]


def test_channels_stay_apart():
    image = np.zeros((12, 10, 3), np.uint8)
    image[:] = [10, 100, 250]
    for text in ("long=5", "long=31", "short=4:100"):
        view, _ = resize(image, text)
        np.testing.assert_array_equal(view, np.broadcast_to(np.uint8([10, 100, 250]), view.shape))


@pytest.mark.parametrize(
    "text", ["native", "short=1", "short=9", "short=9:3", "long=1", "long=4", "1x1", "5x3"]
)
@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1)])
def test_the_smallest_photographs(text, shape):
    view, scale = resize(np.full((*shape, 3), 77, np.uint8), text)
    assert min(view.shape) >= 1
    assert (view[0, 0] == 77).all()
    assert (scale > 0).all()
    if "x" in text:
        assert view.shape == (3, 5, 3) if text == "5x3" else (1, 1, 3)


def test_the_photograph_itself_is_not_changed():
    image = np.random.default_rng(2).integers(0, 256, (9, 7, 3), np.uint8)
    image.flags.writeable = False
    for text in ("native", "long=4", "long=20", "20x20"):
        resize(image, text)


@given(rules, sides, sides)
def test_a_resized_photograph_fits_the_rule(rule, width, height):
    factor = rule.factor(width, height)
    new = sorted(round(side * factor) for side in (width, height))
    if rule.kind == "short":
        assert new[0] <= rule.side
        assert new[1] <= (rule.longest or np.inf)
        assert new[0] == rule.side or new[1] == rule.longest
    elif rule.kind == "long":
        assert new[1] == rule.side
    elif rule.kind == "fixed":
        assert round(width * factor) <= rule.width
        assert round(height * factor) <= rule.side
        assert round(width * factor) == rule.width or round(height * factor) == rule.side
    else:
        assert new == sorted((width, height))


# ---- Boxes map back --------------------------------------------------------------------------------


def bright_box(image):
    """Locate a white rectangle on black to a fraction of a pixel, by its light: x1 y1 x2 y2."""
    light = image[..., 0] / 255.0
    bounds = []
    for axis in (0, 1):  # along columns, then along rows
        profile = light.max(axis=axis)
        middle = (profile * (np.arange(len(profile)) + 0.5)).sum() / profile.sum()
        bounds.append((middle - profile.sum() / 2, middle + profile.sum() / 2))
    (x1, x2), (y1, y2) = bounds
    return np.array([x1, y1, x2, y2])


@pytest.mark.parametrize(
    "text",
    [
        "native",
        "short=80",
        "short=50",
        "short=320",
        "short=320:330",
        "long=90",
        "long=199",
        "long=201",
        "long=400",
        "100x100",
        "64x300",
        "300x64",
        "400x390",
        "200x160",
        "211x160",
    ],
)
@pytest.mark.parametrize("box", [(20, 30, 60, 90), (131, 3, 197, 46), (0, 0, 33, 41), (100, 100, 200, 160)])
def test_a_square_is_found_where_it_was(text, box):
    image = np.zeros((160, 200, 3), np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = 255
    view, scale = resize(image, text)
    located = bright_box(view) * np.tile(scale, 2)
    np.testing.assert_allclose(located, box, atol=1)


@pytest.mark.parametrize(
    ("text", "shape", "size"),
    [
        ("short=800", (3000, 1, 3), "800 x 2400000"),
        ("long=20000", (60, 80, 3), "20000 x 15000"),
        ("20000x20000", (60, 80, 3), "20000 x 20000"),
    ],
)
def test_a_size_beyond_all_memory_is_refused(text, shape, size):
    with pytest.raises(InputError, match=f"scale '{text}' makes {size} pixels .*; expected at most 100 mill"):
        resize(np.zeros(shape, np.uint8), text)
