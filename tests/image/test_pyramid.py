"""The image pyramid: how many scales, which ones, and the size of a level."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.image import level_size, pyramid_scales

sides = st.integers(1, 4000)
face_sizes = st.floats(12, 500)
factors = st.floats(0.3, 0.9)


def default_scales(height, width, min_face_size=20):
    return pyramid_scales(height, width, min_face_size=min_face_size, pyramid_factor=0.709)


@pytest.mark.parametrize(
    ("height", "width", "count"),
    [
        (480, 640, 10),
        (720, 1280, 11),
        (1080, 1920, 12),
        (2160, 4096, 14),
        (20, 300, 1),
        (28, 28, 1),
        (29, 29, 2),
    ],
)
def test_number_of_scales(height, width, count):
    assert len(default_scales(height, width)) == count
    assert len(default_scales(width, height)) == count


@pytest.mark.parametrize(("factor", "expected"), [(0.5, [0.6, 0.3, 0.15]), (0.25, [0.6, 0.15]), (0.1, [0.6])])
def test_scales_by_hand(factor, expected):
    scales = pyramid_scales(80, 90, min_face_size=20, pyramid_factor=factor)  # 80 * 0.15 is 12
    assert scales == pytest.approx(expected)


@given(height=sides, width=sides, min_face_size=face_sizes, factor=factors)
def test_from_the_smallest_face_down_by_the_factor(height, width, min_face_size, factor):
    scales = pyramid_scales(height, width, min_face_size=min_face_size, pyramid_factor=factor)
    assert scales == pytest.approx([12 / min_face_size * factor**k for k in range(len(scales))])


@given(height=sides, width=sides, min_face_size=face_sizes, factor=factors)
def test_as_many_as_the_formula_says(height, width, min_face_size, factor):
    # min(H, W) * 12 / m * f^k >= 12, solved for k. Off by one only if rounding decides.
    exact = math.log(min_face_size / min(height, width)) / math.log(factor) + 1
    count = len(pyramid_scales(height, width, min_face_size=min_face_size, pyramid_factor=factor))
    assert count == max(0, math.floor(exact)) or abs(exact - round(exact)) < 1e-9


@given(height=sides, width=sides, min_face_size=face_sizes, factor=factors)
def test_the_last_level_still_holds_a_window_and_the_next_would_not(height, width, min_face_size, factor):
    scales = pyramid_scales(height, width, min_face_size=min_face_size, pyramid_factor=factor)
    for scale in scales:
        assert min(level_size(height, width, scale)) >= 12
    following = scales[-1] * factor if scales else 12 / min_face_size
    assert min(height, width) * following < 12 * (1 + 1e-9)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (10, 10), (19, 500), (3, 5000)])
def test_no_scale_for_an_image_smaller_than_the_smallest_face(height, width):
    assert default_scales(height, width) == []


@given(height=sides, width=sides, steps=st.integers(1, 5))
def test_a_larger_smallest_face_removes_the_largest_scales(height, width, steps):
    all_scales = pyramid_scales(height, width, min_face_size=16, pyramid_factor=0.5)
    fewer = pyramid_scales(height, width, min_face_size=16 * 2**steps, pyramid_factor=0.5)
    assert fewer == all_scales[steps:]


@given(height=sides, width=sides, min_face_size=face_sizes, more=st.floats(0, 200))
def test_a_larger_smallest_face_never_adds_a_scale(height, width, min_face_size, more):
    fewer = default_scales(height, width, min_face_size + more)
    scales = default_scales(height, width, min_face_size)
    assert len(fewer) <= len(scales)
    assert max(fewer, default=0) <= max(scales, default=0)


@pytest.mark.parametrize(
    ("height", "width", "scale", "expected"),
    [
        (100, 75, 0.5, (51, 38)),  # 50 + 1 and 37.5 rounded up
        (10, 10, 0.61, (7, 7)),
        (480, 640, 0.6, (289, 385)),
        (13, 7, 2.0, (27, 15)),
    ],
)
def test_level_size(height, width, scale, expected):
    assert level_size(height, width, scale) == expected
