"""Deformable convolution against torchvision, against a dense definition, and at the edges of the picture."""

import re
from pathlib import Path

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.ops import (
    conv2d_backward,
    conv2d_forward,
    deform_conv2d_backward,
    deform_conv2d_forward,
)
from tests.check import FLOATS, OP_TOLERANCE, assert_close
from tests.gradients import STEP, assert_backward_of_op
from tests.oracles.cases import (
    CASES,
    CONV_SIZES,
    CONV_SWEEP,
    Numbers,
    deform_conv2d,
    expected,
    stored,
)

TORCHVISION = Path(__file__).parent.parent / "oracles" / "torchvision_deform.npz"


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CASES["deform_conv2d"], ids=str)
def test_equals_torch(case, dtype):
    y = deform_conv2d_forward(**case.inputs(dtype), **case.options)
    assert_close(y, expected(case)["y"].astype(dtype), OP_TOLERANCE[dtype])


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_equals_torchvision(version):
    oracle = stored(TORCHVISION)
    x, offset, weight, bias = (oracle[f"v1_{name}"] for name in ("x", "off", "w", "b"))
    mask = oracle["v2_mask"] if version == "v2" else None
    y = deform_conv2d_forward(x, offset, weight, bias, padding=1, mask=mask)
    assert_close(y, oracle[f"{version}_y"], OP_TOLERANCE["float64"])

    found = deform_conv2d_backward(oracle[f"{version}_dy"], x, offset, weight, padding=1, mask=mask)
    by_name = dict(zip(("dx", "doff", "dw", "db", "dmask"), found, strict=True))
    theirs = {name for name in by_name if f"{version}_{name}" in oracle}
    assert theirs == by_name.keys() - {"v1": {"dmask"}, "v2": {"db"}}[version]
    for name in theirs:
        assert_close(by_name[name], oracle[f"{version}_{name}"], OP_TOLERANCE["float64"])


# ---- Offsets that need no interpolation ------------------------------------------------------------


def zeros_and_ones(y_shape, KH, KW, groups):
    N, _, OH, OW = y_shape
    return np.zeros((N, 2 * groups * KH * KW, OH, OW)), np.ones((N, groups * KH * KW, OH, OW))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("size", CONV_SIZES)
@pytest.mark.parametrize(("k", "stride", "padding"), CONV_SWEEP)
def test_offsets_of_zero_make_a_plain_convolution(k, stride, padding, size, groups):
    N, H, W = size
    numbers = Numbers(f"{k} {stride} {padding} {size} {groups}")
    x, weight, bias = numbers.real(N, 4, H, W), numbers.real(3, 4, k, k), numbers.real(3)
    options = {"stride": stride, "padding": padding}
    plain = conv2d_forward(x, weight, bias, **options)
    grad_output = numbers.real(*plain.shape)
    plain_gradients = conv2d_backward(grad_output, x, weight, **options)
    offset, ones = zeros_and_ones(plain.shape, k, k, groups)
    for mask in (None, ones):
        y = deform_conv2d_forward(x, offset, weight, bias, mask=mask, **options)
        assert_close(y, plain, OP_TOLERANCE["float64"])
        found = deform_conv2d_backward(grad_output, x, offset, weight, mask=mask, **options)
        for gradient, of_plain in zip((found[0], *found[2:4]), plain_gradients, strict=True):
            assert_close(gradient, of_plain, OP_TOLERANCE["float64"])


@pytest.mark.parametrize(("down", "right"), [(1, 0), (0, 1), (-1, 2), (3, -2), (0, -9)])
def test_one_whole_offset_for_all_moves_the_picture(down, right):
    numbers = Numbers("moved")
    x, weight = numbers.real(2, 3, 6, 7), numbers.real(2, 3, 3, 2)
    far = np.pad(x, ((0, 0), (0, 0), (12, 12), (12, 12)))
    moved = far[:, :, 11 + down : 19 + down, 11 + right : 20 + right]  # with a padding of 1
    offset, _ = zeros_and_ones((2, 2, 6, 8), 3, 2, 1)
    offset[:, 0::2], offset[:, 1::2] = down, right
    y = deform_conv2d_forward(x, offset, weight, padding=1)
    assert_close(y, conv2d_forward(np.ascontiguousarray(moved), weight), OP_TOLERANCE["float64"])


def test_each_tap_of_each_group_has_its_offset_and_its_mask():
    # Filter oc has a single 1, at channel ic and tap (ky, kx). The picture says where it was read.
    H, W, KH, KW, G = 40, 50, 2, 3, 2
    x = np.arange(4 * H * W, dtype=float).reshape(1, 4, H, W)
    weight = np.eye(4 * KH * KW).reshape(-1, 4, KH, KW)
    OH, OW = (H + 2 - KH) // 3 + 1, (W + 2 - KW) // 3 + 1
    numbers = Numbers("taps")
    offset = numbers.whole(-4, 4, 1, 2 * G * KH * KW, OH, OW)
    mask = numbers.whole(1, 9, 1, G * KH * KW, OH, OW)
    y = deform_conv2d_forward(x, offset, weight, stride=3, padding=1, mask=mask)
    oc, oy, ox = np.indices(y.shape[1:])
    ic, tap = np.divmod(oc, KH * KW)
    ky, kx = np.divmod(tap, KW)
    g = ic // 2
    iy = oy * 3 - 1 + ky + offset[0, g * 2 * KH * KW + 2 * tap, oy, ox].astype(int)
    ix = ox * 3 - 1 + kx + offset[0, g * 2 * KH * KW + 2 * tap + 1, oy, ox].astype(int)
    inside = (iy >= 0) & (iy < H) & (ix >= 0) & (ix < W)
    read = x[0, ic, np.clip(iy, 0, H - 1), np.clip(ix, 0, W - 1)] * inside
    assert 0.7 < inside.mean() < 1
    np.testing.assert_array_equal(y[0], read * mask[0, g * KH * KW + tap, oy, ox])


# ---- Between pixels: a sample is the sum over all pixels, each times how near it is ----------------


def near(place, size):
    """How much each of ``size`` pixels in a row has to say at ``place``: a tent of one pixel either side."""
    return np.maximum(0, 1 - np.abs(place[..., None] - np.arange(size)))


def dense(x, offset, weight, mask, stride, padding):
    N, IC, H, W = x.shape
    _, _, KH, KW = weight.shape
    OH, OW = offset.shape[2:]
    G = offset.shape[1] // (2 * KH * KW)
    offset, mask = offset.reshape(N, G, KH, KW, 2, OH, OW), mask.reshape(N, G, KH, KW, OH, OW)
    ky, kx, oy, ox = np.indices((KH, KW, OH, OW))
    rows = near(oy * stride - padding + ky + offset[:, :, :, :, 0], H)  # (N, G, KH, KW, OH, OW, H)
    columns = near(ox * stride - padding + kx + offset[:, :, :, :, 1], W)
    groups = x.reshape(N, G, IC // G, H, W)
    samples = np.einsum("ngihw,ngabyxh,ngabyxw,ngabyx->ngiabyx", groups, rows, columns, mask)
    return np.einsum("oiab,niabyx->noyx", weight, samples.reshape(N, IC, KH, KW, OH, OW))


@pytest.mark.parametrize("spread", [0.25, 1, 4])
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(("size", "k", "stride", "padding"), [((5, 6), 3, 1, 1), ((6, 5), 2, 2, 0)])
def test_equals_the_dense_definition(size, k, stride, padding, groups, spread):
    H, W = size
    numbers = Numbers(f"dense {size} {groups} {spread}")
    OH, OW = ((side + 2 * padding - k) // stride + 1 for side in size)
    x, weight = numbers.real(2, 4, H, W), numbers.real(3, 4, k, k)
    offset = spread * numbers.real(2, 2 * groups * k * k, OH, OW)
    mask = numbers.real(2, groups * k * k, OH, OW)
    y = deform_conv2d_forward(x, offset, weight, stride=stride, padding=padding, mask=mask)
    assert_close(y, dense(x, offset, weight, mask, stride, padding), OP_TOLERANCE["float64"])


def test_on_a_slope_the_value_is_exact_and_its_gradient_the_slope():
    row, column = np.indices((9, 9))
    x = (3.0 * row - 2.0 * column + 5.0)[None, None]
    offset = np.clip(Numbers("slope").real(1, 18, 7, 7), -1.0, 0.999)
    offset[:, :, [0, -1]], offset[..., [0, -1]] = 0, 0  # so that every sample is within the picture
    y = deform_conv2d_forward(x, offset, np.ones((1, 1, 3, 3)))
    plain = deform_conv2d_forward(x, np.zeros_like(offset), np.ones((1, 1, 3, 3)))
    moved = 3 * offset[:, 0::2].sum(axis=1) - 2 * offset[:, 1::2].sum(axis=1)
    np.testing.assert_allclose(y[0], plain[0] + moved, rtol=1e-12)
    grad_output = np.ones_like(y)
    _, grad_offset, *_ = deform_conv2d_backward(grad_output, x, offset, np.ones((1, 1, 3, 3)))
    inner = grad_offset[:, :, 1:-1, 1:-1]
    np.testing.assert_allclose(inner[:, 0::2], 3, rtol=1e-12)
    np.testing.assert_allclose(inner[:, 1::2], -2, rtol=1e-12)


def test_every_number_of_every_gradient_with_groups_mask_and_padding():
    case = deform_conv2d((1, 2, 3, 3), (2, 3, 3), groups=2, masked=True, bias=True, stride=1, padding=1)
    offset = case.arrays["offset"]
    assert np.abs(offset - np.round(offset)).min() > 2 * STEP  # the kinks are on the pixels
    assert_backward_of_op(case)


def test_float32_is_computed_in_float64_and_rounded_once():
    case = deform_conv2d((2, 6, 5, 4), (3, 3, 3), groups=2, masked=True, bias=True, stride=1, padding=1)
    exact = deform_conv2d_forward(**case.inputs("float64"), **case.options)
    y = deform_conv2d_forward(**case.inputs("float32"), **case.options)
    np.testing.assert_array_equal(y, exact.astype(np.float32))
    g = Numbers("upstream").real(*y.shape)
    arrays, rounded = case.inputs("float64"), case.inputs("float32")
    del arrays["bias"], rounded["bias"]
    found = deform_conv2d_backward(g.astype(np.float32), **rounded, **case.options)
    for one, other in zip(found, deform_conv2d_backward(g, **arrays, **case.options), strict=True):
        np.testing.assert_array_equal(one, other.astype(np.float32))


# ---- The edge of the picture -----------------------------------------------------------------------

# One row of pixels 2, 4 and one tap, sent to a column: its value, and the slope of that value.
ALONG = [
    (-(10.0**300), 0, 0),
    (-1e9, 0, 0),
    (-1.5, 0, 0),
    (-1.0, 0, 2),  # just outside, on its way in: on a kink the slope is that towards larger coordinates
    (-0.75, 0.5, 2),
    (-0.25, 1.5, 2),
    (0.0, 2, 2),
    (0.5, 3, 2),
    (1.0, 4, -4),
    (1.25, 3, -4),
    (1.875, 0.5, -4),
    (2.0, 0, 0),
    (2.5, 0, 0),
    (1e9, 0, 0),
    (10.0**300, 0, 0),
]


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize(("place", "value", "slope"), ALONG)
def test_outside_is_zero_and_the_edge_blends_with_it(place, value, slope, axis):
    x = np.array([[[[2.0, 4.0]]]])
    offset = np.zeros((1, 2, 1, 1))
    offset[0, 1] = place
    if axis == "y":
        x, offset = x.swapaxes(2, 3), offset[:, ::-1]
    # The stride leaves one output.
    y = deform_conv2d_forward(x, offset, np.full((1, 1, 1, 1), 3.0), stride=9)
    assert y.item() == 3 * value
    grad_x, grad_offset, grad_weight, _, _ = deform_conv2d_backward(
        np.full((1, 1, 1, 1), 5.0), x, offset, np.full((1, 1, 1, 1), 3.0), stride=9
    )
    assert grad_weight.item() == 5 * value
    along, across = (1, 0) if axis == "x" else (0, 1)
    assert grad_offset[0, along].item() == 15 * slope
    assert grad_offset[0, across].item() == -15 * value  # below and beside the row is zero
    np.testing.assert_array_equal(grad_x.ravel(), 15 * near(np.array(place), 2))


def test_samples_far_outside_leave_the_bias_and_no_gradient():
    numbers = Numbers("outside")
    x, weight, bias = numbers.real(1, 2, 4, 5), numbers.real(3, 2, 3, 3), numbers.real(3)
    mask = numbers.real(1, 9, 4, 5)
    for far in (-8.0, 8.0):
        offset = np.full((1, 18, 4, 5), far)
        y = deform_conv2d_forward(x, offset, weight, bias, padding=1, mask=mask)
        np.testing.assert_array_equal(y, np.broadcast_to(bias[:, None, None], y.shape))
        grad_x, grad_offset, grad_weight, grad_bias, grad_mask = deform_conv2d_backward(
            np.ones_like(y), x, offset, weight, padding=1, mask=mask
        )
        for gradient in (grad_x, grad_offset, grad_weight, grad_mask):
            assert not gradient.any()
        assert grad_bias.tolist() == [20, 20, 20]


# ---- Groups, and what may be left out --------------------------------------------------------------


def test_a_group_follows_its_own_offsets_only():
    numbers = Numbers("groups")
    x, offset, mask = numbers.real(1, 6, 5, 5), numbers.real(1, 36, 3, 3), numbers.real(1, 18, 3, 3)
    weight = numbers.real(2, 6, 3, 3)
    y = deform_conv2d_forward(x, offset, weight, mask=mask)
    halves = [
        deform_conv2d_forward(
            x[:, 3 * g : 3 * g + 3],
            offset[:, 18 * g : 18 * g + 18],
            weight[:, 3 * g : 3 * g + 3],
            mask=mask[:, 9 * g : 9 * g + 9],
        )
        for g in (0, 1)
    ]
    assert_close(y, halves[0] + halves[1], OP_TOLERANCE["float64"])


def test_no_bias_is_a_bias_of_zeros_and_no_mask_one_of_ones():
    numbers = Numbers("left out")
    x, offset, weight = numbers.real(1, 2, 5, 5), numbers.real(1, 18, 3, 3), numbers.real(2, 2, 3, 3)
    y = deform_conv2d_forward(x, offset, weight)
    with_all = deform_conv2d_forward(x, offset, weight, np.zeros(2), mask=np.ones((1, 9, 3, 3)))
    np.testing.assert_array_equal(y, with_all)
    *without, no_mask = deform_conv2d_backward(y, x, offset, weight)
    *with_mask, grad_mask = deform_conv2d_backward(y, x, offset, weight, mask=np.ones((1, 9, 3, 3)))
    assert no_mask is None
    assert grad_mask.any()
    for one, other in zip(without, with_mask, strict=True):
        np.testing.assert_array_equal(one, other)


# ---- Refusals --------------------------------------------------------------------------------------


def some_nan():
    offset = np.zeros((1, 36, 3, 4))
    offset[0, 5, 1, 2] = np.nan
    return offset


SHARED = [
    ({"x": np.zeros((1, 4, 5, 6), np.int64)}, r"`x` is int64; expected float32 or float64$"),
    ({"offset": np.zeros((1, 36, 3, 4), np.float32)}, r"`offset` is float32, `\w+` is float64"),
    ({"weight": np.zeros((2, 4, 3, 3), np.float32)}, r"`weight` is float32, `\w+` is float64"),
    ({"mask": np.zeros((1, 18, 3, 4), np.float32)}, r"`mask` is float32, `\w+` is float64"),
    ({"x": np.zeros((4, 5, 6))}, r"`x` has shape \(4, 5, 6\); expected \(N, C, H, W\)$"),
    (
        {"weight": np.zeros((2, 3, 3))},
        r"`weight` has shape \(2, 3, 3\); expected \(OC, IC, KH, KW\)$",
    ),
    ({"weight": np.zeros((2, 3, 3, 3))}, r"`weight` expects 3 input channels, `x` has 4 \(shape"),
    (
        {"offset": np.zeros((36, 3, 4))},
        r"`offset` has shape \(36, 3, 4\); expected \(N, 2 \* G \* KH \* KW, OH, OW\)$",
    ),
    *[
        (
            {"offset": np.zeros((1, channels, 3, 4))},
            rf"`offset` has {channels} channels; expected 18 for each group, "
            r"in a number of groups that divides the 4 channels of `x`$",
        )
        for channels in (0, 9, 17, 37, 54, 144)
    ],
    *[
        (
            {"offset": np.zeros(shape)},
            rf"`offset` has shape {re.escape(str(shape))}; "
            r"expected \(1, 36, 3, 4\), two numbers for each tap and output$",
        )
        for shape in [(2, 36, 3, 4), (1, 36, 4, 4), (1, 36, 3, 6), (1, 36, 1, 1)]
    ],
    *[
        (
            {"mask": np.zeros(shape)},
            rf"`mask` has shape {re.escape(str(shape))}; "
            r"expected \(1, 18, 3, 4\), one number for each tap and output$",
        )
        for shape in [(1, 9, 3, 4), (1, 36, 3, 4), (2, 18, 3, 4), (1, 18, 4, 3), (18, 3, 4)]
    ],
    ({"offset": some_nan()}, r"`offset` is not finite in image 0, channel 5, row 1, column 2: nan$"),
    ({"padding": -1}, r"padding=-1; expected at least 0$"),
    ({"padding": 0.5}, r"padding=0.5; expected one whole number$"),
    ({"stride": 0}, r"stride=0; expected at least 1$"),
    ({"stride": (2, 2)}, r"stride=\(2, 2\); expected one whole number$"),
    ({"x": np.zeros((1, 4, 2, 6))}, r"a window of 3 does not fit a side of 2 \+ 2 \* 0 pixels$"),
]


def fitting():
    return {
        "x": np.zeros((1, 4, 5, 6)),
        "offset": np.zeros((1, 36, 3, 4)),
        "weight": np.zeros((2, 4, 3, 3)),
        "mask": np.ones((1, 18, 3, 4)),
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *SHARED,
        ({"bias": np.zeros(2, np.float32)}, r"`bias` is float32, `x` is float64"),
        ({"bias": np.zeros(1)}, r"`bias` has shape \(1,\); expected \(2,\), one per channel$"),
    ],
)
def test_refuses(change, message):
    deform_conv2d_forward(**fitting())
    with pytest.raises(InputError, match=f"^deform_conv2d: {message}"):
        deform_conv2d_forward(**{**fitting(), **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *[(change, message) for change, message in SHARED if "is int64" not in message],
        ({"x": np.zeros((1, 4, 5, 6), np.float32)}, r"`x` is float32, `grad_output` is float64"),
        *[
            (
                {"grad_output": np.zeros(shape)},
                rf"`grad_output` has shape {re.escape(str(shape))}; "
                r"expected \(1, 2, 3, 4\), the shape of the output$",
            )
            for shape in [(1, 2, 5, 6), (1, 4, 3, 4), (2, 2, 3, 4), (2, 3, 4)]
        ],
    ],
)
def test_backward_refuses(change, message):
    given = {"grad_output": np.zeros((1, 2, 3, 4)), **fitting()}
    deform_conv2d_backward(**given)
    with pytest.raises(InputError, match=f"^deform_conv2d: {message}"):
        deform_conv2d_backward(**{**given, **change})
