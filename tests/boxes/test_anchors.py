"""Anchors: how many, where, and in which order."""

import numpy as np
import pytest

from minidet.boxes import PAPER_ANCHORS, REFERENCE_ANCHORS, AnchorSettings, generate_anchors
from minidet.errors import InputError

STRIDES = (8, 16, 32)
SIZES = ((16, 32), (64, 128), (256, 512))


def anchors_by_definition(height, width, strides, sizes):
    """One anchor after the other, with loops."""
    anchors = []
    for stride, level in zip(strides, sizes, strict=True):
        for y in range(0, height, stride):  # 0, s, 2 s, .. below H: ceil(H / s) rows
            for x in range(0, width, stride):
                for size in level:
                    cx, cy = x + stride / 2, y + stride / 2
                    anchors.append([cx - size / 2, cy - size / 2, cx + size / 2, cy + size / 2])
    return np.array(anchors, np.float32)


@pytest.mark.parametrize(
    ("height", "width", "count"),
    [
        (640, 640, 16_800),
        (840, 840, 29_126),  # 105, 52.5 -> 53, 26.25 -> 27 cells a side
        (480, 640, 12_600),
        (8, 8, 2 * 3),
        (9, 33, 2 * (2 * 5 + 1 * 3 + 1 * 2)),
        (1, 1, 6),
    ],
)
def test_count(height, width, count):
    assert generate_anchors(height, width).shape == (count, 4)


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (7, 9), (16, 16), (17, 31), (33, 64), (65, 1), (97, 50)]
)
def test_against_loops(height, width):
    np.testing.assert_array_equal(
        generate_anchors(height, width), anchors_by_definition(height, width, STRIDES, SIZES)
    )


def test_other_strides_and_sizes_against_loops():
    strides, sizes = (4, 10), ((5, 7.5, 11), (30,))
    np.testing.assert_array_equal(
        generate_anchors(23, 31, strides=strides, sizes=sizes),
        anchors_by_definition(23, 31, strides, sizes),
    )


def test_levels_rows_columns_sizes_in_this_order():
    anchors = generate_anchors(16, 24, strides=(8, 16), sizes=((2, 4), (6,)))
    centres_and_sides = [[(a[0] + a[2]) / 2, (a[1] + a[3]) / 2, a[2] - a[0]] for a in anchors.tolist()]
    assert centres_and_sides == [
        *([4, 4, 2], [4, 4, 4], [12, 4, 2], [12, 4, 4], [20, 4, 2], [20, 4, 4]),
        *([4, 12, 2], [4, 12, 4], [12, 12, 2], [12, 12, 4], [20, 12, 2], [20, 12, 4]),
        *([8, 8, 6], [24, 8, 6]),  # the last cell's centre lies on the edge of the image
    ]


def test_all_are_square_and_centred_within_half_a_stride_of_the_image():
    anchors = generate_anchors(50, 70)
    sides = anchors[:, 2:] - anchors[:, :2]
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    np.testing.assert_array_equal(sides[:, 0], sides[:, 1])
    assert (centres > 0).all()
    assert (centres < [70 + 16, 50 + 16]).all()


def test_float32():
    assert generate_anchors(8, 8).dtype == np.float32


@pytest.mark.parametrize(
    ("height", "width", "options", "message"),
    [
        (0, 8, {}, "image of 0 x 8; expected sides of at least 1 pixel"),
        (8, -1, {}, "image of 8 x -1; expected sides of at least 1 pixel"),
        (8, 8, {"strides": (8, 16)}, "2 strides and 3 sets of sizes"),
        (8, 8, {"strides": (), "sizes": ()}, "0 strides and 0 sets of sizes"),
        (8, 8, {"strides": (0,), "sizes": ((4,),)}, "strides=(0,), sizes=((4,),); expected positive numbers"),
        (
            8,
            8,
            {"strides": (8,), "sizes": ((4, 0),)},
            "strides=(8,), sizes=((4, 0),); expected positive numbers",
        ),
    ],
)
def test_refused(height, width, options, message):
    with pytest.raises(InputError) as caught:
        generate_anchors(height, width, **options)
    assert str(caught.value) == f"generate_anchors: {message}"


# ---- Settings --------------------------------------------------------------------------------------


def test_the_table_of_the_paper():
    rows = [(160, 16), (80, 32), (40, 64), (20, 128), (10, 256)]
    assert PAPER_ANCHORS.level_sizes(640, 640) == [3 * side**2 for side, _ in rows]
    assert sum(PAPER_ANCHORS.level_sizes(640, 640)) == 102_300
    anchors = PAPER_ANCHORS.lay(640, 640)
    assert len(anchors) == 102_300
    assert round(PAPER_ANCHORS.level_sizes(640, 640)[0] / len(anchors), 4) == 0.7507
    sides = np.unique((anchors[:, 2] - anchors[:, 0]).round(2))
    expected = [
        16,
        20.16,
        25.40,
        32,
        40.32,
        50.80,
        64,
        80.63,
        101.59,
        128,
        161.27,
        203.19,
        256,
        322.54,
        406.37,
    ]
    np.testing.assert_allclose(sides, expected, atol=0.006)
    np.testing.assert_allclose(sides[1:] / sides[:-1], 2 ** (1 / 3), rtol=1e-3)


def test_the_reference_is_the_default():
    np.testing.assert_array_equal(REFERENCE_ANCHORS.lay(100, 70), generate_anchors(100, 70))
    assert REFERENCE_ANCHORS.per_position == 2
    assert PAPER_ANCHORS.per_position == 3


@pytest.mark.parametrize(("height", "width"), [(640, 640), (33, 50), (1, 1)])
@pytest.mark.parametrize("settings", [REFERENCE_ANCHORS, PAPER_ANCHORS], ids=["reference", "paper"])
def test_levels_are_counted_as_they_are_laid(settings, height, width):
    counts = settings.level_sizes(height, width)
    anchors = settings.lay(height, width)
    assert sum(counts) == len(anchors)
    sizes = (anchors[:, 2] - anchors[:, 0]).astype(np.float64)
    for number, level in enumerate(np.split(sizes, np.cumsum(counts)[:-1])):
        assert set(level.round(1)) == {round(size, 1) for size in settings.sizes[number]}


@pytest.mark.parametrize(
    ("strides", "sizes", "message"),
    [
        ((), (), "AnchorSettings: 0 strides and 0 sets of sizes"),
        ((8,), ((16,), (32,)), "AnchorSettings: 1 strides and 2 sets of sizes"),
        ((0,), ((16,),), "expected positive numbers"),
        ((8, 16), ((16, 32), (64,)), "expected equally many on every level"),
        ((8,), ((),), "expected equally many on every level"),
    ],
)
def test_settings_that_make_no_sense(strides, sizes, message):
    with pytest.raises(InputError, match=message):
        AnchorSettings(strides, sizes)
