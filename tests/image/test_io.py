"""``read_image``: every kind of source and every kind of value, with numbers written out."""

import inspect
import io
import os
import struct
import time
import warnings
import zlib
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from minidet.errors import InputError
from minidet.image.io import read_image

RED_BLUE = np.array([[[250, 10, 20], [30, 40, 240]]], dtype=np.uint8)  # (1, 2, 3)
GREY_STEPS = np.arange(256, dtype=np.uint8).reshape(16, 16)


def refusal(source, **options):
    """The message of the InputError, after checking that it is one line that says who speaks."""
    with pytest.raises(InputError) as caught:
        read_image(source, **options)
    message = str(caught.value)
    assert message.startswith("read_image: ")
    assert "\n" not in message
    return message


def encode(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def assert_is_image(image):
    assert type(image) is np.ndarray
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert image.flags.c_contiguous
    assert image.flags.writeable
    assert image.flags.owndata


# ---- arrays: shapes ----


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        ([[7, 9]], [[[7, 7, 7], [9, 9, 9]]]),  # (H, W)
        ([[[7], [9]]], [[[7, 7, 7], [9, 9, 9]]]),  # (H, W, 1)
        ([[[7, 200], [9, 0]]], [[[7, 7, 7], [9, 9, 9]]]),  # (H, W, 2): alpha dropped
        ([[[1, 2, 3], [4, 5, 6]]], [[[1, 2, 3], [4, 5, 6]]]),  # (H, W, 3)
        ([[[1, 2, 3, 200], [4, 5, 6, 0]]], [[[1, 2, 3], [4, 5, 6]]]),  # (H, W, 4): alpha dropped
        ([[7]], [[[7, 7, 7]]]),  # one pixel
        ([[[1, 2, 3]]], [[[1, 2, 3]]]),
        ([[[1, 2, 3, 0]]], [[[1, 2, 3]]]),
    ],
)
def test_array_shapes(array, expected):
    image = read_image(np.array(array, dtype=np.uint8))
    assert_is_image(image)
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((3, 480, 640), "(3, 480, 640) looks channels-first; use array.transpose(1, 2, 0)"),
        ((1, 480, 640), "array.transpose(1, 2, 0)"),
        ((4, 480, 640), "array.transpose(1, 2, 0)"),
        ((1, 48, 64, 3), "looks like a batch"),
        ((48, 64, 5), "(48, 64, 5) is not an image"),
        ((9,), "(9,) is not an image"),
        ((), "() is not an image"),
        ((2, 2, 2, 2, 2), "is not an image"),
        ((0, 5), "(0, 5) is empty"),
        ((5, 0), "(5, 0) is empty"),
        ((0, 5, 3), "is empty"),
        ((5, 0, 3), "is empty"),
        ((5, 5, 0), "is empty"),
        ((0,), "is empty"),
    ],
)
def test_array_shape_refused(shape, words):
    message = refusal(np.zeros(shape, dtype=np.uint8))
    assert words in message


def test_channels_first_hint_is_right():
    channels_first = np.ascontiguousarray(RED_BLUE.repeat(5, axis=0).repeat(5, axis=1).transpose(2, 0, 1))
    assert "array.transpose(1, 2, 0)" in refusal(channels_first)
    image = read_image(channels_first.transpose(1, 2, 0))
    np.testing.assert_array_equal(image[0, 0], [250, 10, 20])


# ---- arrays: values ----


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        ("u1", [0, 1, 254, 255], [0, 1, 254, 255]),
        ("?", [False, True], [0, 255]),
        # uint16: 128 is 0.498 of 257 and goes down, 129 is 0.502 and goes up; the last value shows the depth
        ("u2", [0, 128, 129, 257, 385, 386, 65535], [0, 0, 1, 1, 1, 2, 255]),
        ("u2", [65406, 65407, 65408, 65535], [254, 255, 255, 255]),  # v + 128 would not fit in 16 bits
        ("u2", [0, 256], [0, 1]),  # the smallest largest value that is not ambiguous
        ("u2", [0, 0], [0, 0]),  # black is black in both readings
        ("i1", [0, 1, 127], [0, 1, 127]),
        ("i2", [0, 1, 255], [0, 1, 255]),
        ("i4", [0, 1, 255], [0, 1, 255]),
        ("i8", [0, 1, 255], [0, 1, 255]),
        ("u4", [0, 1, 255], [0, 1, 255]),
        ("u8", [0, 1, 255], [0, 1, 255]),
        # floats up to 1: times 255, such as 0.2 * 255 = 51
        ("f2", [0, 0.2, 0.6, 1], [0, 51, 153, 255]),
        ("f4", [0, 0.2, 0.6, 1], [0, 51, 153, 255]),
        ("f8", [0, 0.2, 0.6, 1], [0, 51, 153, 255]),
        ("f8", [0, 0.5], [0, 128]),  # 127.5, a half, goes to the even 128; the largest need not be 1
        ("f8", [0, 0.001], [0, 0]),
        ("f8", [-0.0, 0.0], [0, 0]),
        # floats from 2 to 255: as they are, halves to even
        ("f2", [0, 0.4, 0.6, 255], [0, 0, 1, 255]),
        ("f4", [0.5, 1.5, 2.5, 254.6], [0, 2, 2, 255]),
        ("f8", [0, 1, 2], [0, 1, 2]),
        (">u2", [0, 257, 65535], [0, 1, 255]),
        ("<u2", [0, 257, 65535], [0, 1, 255]),
        (">i4", [0, 1, 255], [0, 1, 255]),
        (">f4", [0, 0.2, 1], [0, 51, 255]),
        (">f4", [0, 51.2, 255], [0, 51, 255]),
        (">f8", [0, 0.2, 1], [0, 51, 255]),
    ],
)
@pytest.mark.parametrize("channels", [0, 1, 3])
def test_array_values(dtype, values, expected, channels):
    array = np.array([values], dtype=dtype)  # (1, W)
    if channels:
        array = np.repeat(array[..., np.newaxis], channels, axis=2)
    image = read_image(array)
    assert_is_image(image)
    assert image.tolist() == [[[value] * 3 for value in expected]]


@pytest.mark.parametrize(
    ("dtype", "values", "words"),
    [
        ("u2", [0, 1], "uint16 array has the largest value 1: 8-bit data"),
        ("u2", [7, 255], "array.astype(np.uint8)"),
        (">u2", [7, 255], "uint16 array has the largest value 255"),
        ("i1", [0, -1], "int8 array has values -1 to 0, outside 0 to 255"),
        ("i2", [0, 256], "int16 array has values 0 to 256"),
        ("i4", [-1, 300], "int32 array has values -1 to 300"),
        ("i8", [2**40, 0], "int64 array has values 0 to 1099511627776"),
        ("u4", [0, 256], "uint32"),
        ("u8", [0, 2**63], "uint64 array has values 0 to 9223372036854775808"),
        ("f2", [0, np.nan], "float16 array has a NaN or an infinite value"),
        ("f4", [np.nan, 300], "NaN"),
        ("f4", [0, np.inf], "infinite"),
        ("f8", [-np.inf, 0], "infinite"),
        ("f8", [-np.inf, np.inf], "infinite"),
        ("f4", [-0.5, 1], "float32 array has the negative value -0.5"),
        ("f8", [-1e-9, 1], "negative value -1e-09"),
        ("f8", [-1, 200], "negative value -1"),
        ("f8", [0, 1.0625], "float64 array has the largest value 1.0625: 0..1 with an overshoot"),
        ("f4", [0, 1.9375], "np.clip(array, 0, 1)"),
        ("f2", [0, 1.5], "almost black"),
        ("f8", [0, 255.5], "float64 array has the value 255.5"),
        (">f4", [0, 65535], "float32 array has the value 65535"),
        ("c8", [0, 1], "complex64 array is not a picture"),
        ("O", [0, 1], "object array is not a picture"),
        ("U3", ["a", "b"], "is not a picture"),
        ("S3", [b"a", b"b"], "is not a picture"),
        ("M8[s]", [0, 1], "datetime64[s] array is not a picture"),
    ],
)
def test_array_values_refused(dtype, values, words):
    assert words in refusal(np.array([values]).astype(dtype))


@pytest.mark.parametrize("largest", [np.nextafter(1, 2), np.nextafter(2, 1)])
def test_float_ambiguity_reaches_both_ends(largest):
    assert "overshoot" in refusal(np.array([[0.0, largest]]))


def test_alpha_takes_no_part_in_the_decisions():
    # With alpha counted the first would be ambiguous, the second negative and the third a 0..255 picture.
    dark = np.array([[[0, 2, 300, 65535]]], dtype=np.uint16)
    assert read_image(dark).tolist() == [[[0, 0, 1]]]
    assert "largest value 200" in refusal(np.array([[[0, 2, 200, 65535]]], dtype=np.uint16))
    assert read_image(np.array([[[0.2, -1.0]]])).tolist() == [[[51, 51, 51]]]
    assert read_image(np.array([[[0.2, 0.2, 0.2, 255.0]]])).tolist() == [[[51, 51, 51]]]
    assert read_image(np.array([[[0.2, 0.2, 1.0, np.nan]]])).tolist() == [[[51, 51, 255]]]


def test_every_8_bit_value_survives_every_dtype():
    expected = np.repeat(GREY_STEPS[..., np.newaxis], 3, axis=2)
    np.testing.assert_array_equal(read_image(GREY_STEPS.astype(np.uint16) * 257), expected)
    for dtype in (np.int16, np.int64, np.uint32, np.float16, np.float32, np.float64):
        np.testing.assert_array_equal(read_image(GREY_STEPS.astype(dtype)), expected)
    for float_dtype in (np.float16, np.float32, np.float64):
        np.testing.assert_array_equal(read_image((GREY_STEPS / 255).astype(float_dtype)), expected)


def test_every_16_bit_value_is_rounded_to_the_nearest():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    nearest = np.floor(values / 257 + 0.5)  # in float64, another way than the code's
    np.testing.assert_array_equal(read_image(values)[..., 0], nearest)


def test_every_float16_in_0_1_is_rounded_once():
    values = np.arange(0, 0x3C01, dtype=np.uint16).view(np.float16).reshape(1, -1)  # 0 .. 1, by bit pattern
    nearest = np.rint(values.astype(np.float64) * 255)
    np.testing.assert_array_equal(read_image(values)[..., 0], nearest)


def image_or_none(source):
    """The image, or None if it is refused: any other outcome fails."""
    try:
        return read_image(source)
    except InputError as error:
        message = str(error)
    assert message.startswith("read_image: ")
    assert "\n" not in message
    return None


@pytest.mark.parametrize("dtype", ["u2", ">u2", "i2", "i4", "f2", "f4", ">f4", "f8"])
def test_any_array_is_an_image_or_one_line(dtype):
    rng = np.random.default_rng(0)
    accepted = 0
    for _ in range(100):
        shape = rng.integers(0, 6, size=rng.integers(2, 5))
        lowest = -1 if np.dtype(dtype).kind != "u" and rng.random() < 0.2 else 0
        array = rng.uniform(lowest, rng.choice([0, 1, 1.5, 100, 255, 30000]), shape).astype(dtype)
        before = array.tobytes()
        image = image_or_none(array)
        assert array.tobytes() == before
        if image is not None:
            accepted += 1
            assert_is_image(image)
            assert image.shape[:2] == array.shape[:2]
            assert not np.shares_memory(image, array)
    assert 5 < accepted < 95


# ---- arrays: memory and order ----


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 2), (4, 6, 3), (4, 6, 4)])
@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_result_is_never_a_view(shape, color):
    array = np.ones(shape, dtype=np.uint8)
    image = read_image(array, color=color)
    assert_is_image(image)
    assert not np.shares_memory(image, array)
    image[...] = 9
    assert (array == 1).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_arrays_of_any_layout(dtype):
    base = np.arange(4 * 6 * 3, dtype=dtype).reshape(4, 6, 3)
    read_only = base.copy()
    read_only.flags.writeable = False
    layouts = [
        (base[::2, ::-1], base[::2, ::-1].tolist()),
        (np.asfortranarray(base), base.tolist()),
        (read_only, base.tolist()),
        (np.broadcast_to(base[:1, :1], (2, 2, 3)), [[[0, 1, 2]] * 2] * 2),
        (base.transpose(1, 0, 2), base.transpose(1, 0, 2).tolist()),
        (base[:, :, 0].T, [[[v] * 3 for v in row] for row in base[:, :, 0].T.tolist()]),
    ]
    for array, expected in layouts:
        image = read_image(array)
        assert_is_image(image)
        assert image.tolist() == expected


def test_array_subclasses(tmp_path):
    matrix = np.array([[1, 2], [3, 4]], dtype=np.uint8).view(np.matrix)
    memmap = np.memmap(tmp_path / "pixels", dtype=np.uint8, mode="w+", shape=(2, 2))
    memmap[...] = [[1, 2], [3, 4]]
    for array in (matrix, memmap):
        image = read_image(array)
        assert_is_image(image)
        assert image[..., 1].tolist() == [[1, 2], [3, 4]]


def test_masked_pixels_count():
    masked = np.ma.masked_array([[0.2, 7.0]], mask=[[False, True]])  # 0..1 without the second, 0..255 with it
    image = read_image(masked)
    assert_is_image(image)
    assert image[..., 0].tolist() == [[0, 7]]


def test_bgr():
    bgr = RED_BLUE[:, :, ::-1]
    with_alpha = np.dstack([bgr, np.full((1, 2), 77, np.uint8)])  # B, G, R, A
    for array in (bgr, with_alpha, bgr.astype(np.uint16) * 257, bgr / 255):
        np.testing.assert_array_equal(read_image(array, color="bgr"), RED_BLUE)
    np.testing.assert_array_equal(read_image(bgr, color="rgb"), bgr)
    for grey in (GREY_STEPS, GREY_STEPS[..., None], np.dstack([GREY_STEPS, GREY_STEPS[::-1]])):
        np.testing.assert_array_equal(read_image(grey, color="bgr"), read_image(grey))


def test_color_refused(tmp_path):
    for color in ("RGB", "grey", None, 3):
        assert f"color={color!r}" in refusal(RED_BLUE, color=color)
    picture = Image.fromarray(RED_BLUE)
    data = encode(picture, "PNG")
    (tmp_path / "a.png").write_bytes(data)
    for source in (picture, data, io.BytesIO(data), tmp_path / "a.png", str(tmp_path / "missing.png")):
        assert 'color="bgr" is for arrays' in refusal(source, color="bgr")


# ---- kinds of source ----


class Downloaded:
    """A file object that can only be read, once, as a response from the network."""

    def __init__(self, data):
        self.data = data

    def read(self):
        data, self.data = self.data, b""
        return data


def test_every_kind_of_source(tmp_path):
    data = encode(Image.fromarray(RED_BLUE), "PNG")
    path = tmp_path / "a.png"
    path.write_bytes(data)
    spaced_out = bytearray(2 * len(data))
    spaced_out[::2] = data
    sources = [
        path,
        str(path),
        data,
        bytearray(data),
        memoryview(data),
        memoryview(spaced_out)[::2],
        io.BytesIO(data),
        Downloaded(data),
        Image.open(io.BytesIO(data)),
        Image.fromarray(RED_BLUE),
        RED_BLUE,
    ]
    for source in sources:
        image = read_image(source)
        assert_is_image(image)
        np.testing.assert_array_equal(image, RED_BLUE)


def test_path_is_found_by_its_bytes_not_its_name(tmp_path):
    path = tmp_path / "really_a_png.jpg"
    path.write_bytes(encode(Image.fromarray(RED_BLUE), "PNG"))
    np.testing.assert_array_equal(read_image(path), RED_BLUE)


def test_file_object_is_left_as_it_was(tmp_path):
    path = tmp_path / "a.gif"
    path.write_bytes(encode(Image.fromarray(GREY_STEPS), "GIF"))
    with path.open("rb") as file:
        file.seek(5)  # as after saving into it: reading starts at the beginning all the same
        assert read_image(file)[15, 15].tolist() == [255, 255, 255]
        assert not file.closed
        assert file.tell() == 5


def test_pipe():
    data = encode(Image.fromarray(RED_BLUE), "PNG")
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as file:
        file.write(data)
    with os.fdopen(reading, "rb") as file:
        np.testing.assert_array_equal(read_image(file), RED_BLUE)
        assert not file.closed


@pytest.mark.parametrize("source", [[[1, 2], [3, 4]], None, 3, np.uint8(3), ([1],), {}, object(), Image])
def test_other_sources_are_a_type_error(source):
    for color in ("rgb", "bgr"):
        with pytest.raises(TypeError, match=r"read_image: .*, not ") as caught:
            read_image(source, color=color)
        assert type(source).__name__ in str(caught.value)
        assert "\n" not in str(caught.value)


def test_text_file_object_is_a_type_error(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode(Image.fromarray(RED_BLUE), "PNG"))
    with path.open(encoding="utf-8") as file, pytest.raises(TypeError, match="'rb'"):
        read_image(file)
    with pytest.raises(TypeError, match=r"<file object> reads str, not bytes; .*'rb'"):
        read_image(Downloaded("text"))


# ---- encoded pictures and PIL images: modes ----


def pil(mode, pixels, size=None):
    """A PIL image of any mode; `pixels` are bytes, values row by row, or an array."""
    if isinstance(pixels, np.ndarray):
        pixels = pixels.tobytes()
    return Image.frombytes(mode, size or (2, 1), bytes(pixels))


def palette_image(alpha=None, mode="P"):
    image = pil("P", [1, 0])
    image.putpalette([10, 20, 30, 250, 110, 120])
    if mode == "PA":
        return image.convert("PA")
    if alpha is not None:
        image.info["transparency"] = alpha
    return image


def rgba_palette_image():
    image = pil("P", [1, 0])
    image.putpalette([10, 20, 30, 0, 250, 110, 120, 7], "RGBA")
    return image


PALETTE_RGB = [[[250, 110, 120], [10, 20, 30]]]
SIXTEEN = [0, 257 * 3, 300, 65535]
SIXTEEN_RGB = [[[0] * 3, [3] * 3, [1] * 3, [255] * 3]]
PIL_IMAGES = {
    "1": (Image.fromarray(np.array([[False, True]])), [[[0, 0, 0], [255, 255, 255]]]),
    "L": (pil("L", [7, 200]), [[[7] * 3, [200] * 3]]),
    "LA": (pil("LA", [7, 0, 200, 128]), [[[7] * 3, [200] * 3]]),
    "La": (pil("La", [0, 0, 100, 128]), [[[0] * 3, [199] * 3]]),  # 100 * 255 / 128 = 199.2
    "P": (palette_image(), PALETTE_RGB),
    "P, one clear index": (palette_image(alpha=1), PALETTE_RGB),
    "P, alpha per index": (palette_image(alpha=b"\x00\x80"), PALETTE_RGB),
    "P, RGBA palette": (rgba_palette_image(), PALETTE_RGB),
    "PA": (palette_image(mode="PA"), PALETTE_RGB),
    "RGB": (pil("RGB", RED_BLUE), RED_BLUE.tolist()),
    "RGBX": (pil("RGBX", [250, 10, 20, 0, 30, 40, 240, 9]), RED_BLUE.tolist()),
    "RGBA": (pil("RGBA", [250, 10, 20, 0, 30, 40, 240, 128]), RED_BLUE.tolist()),
    "RGBa": (pil("RGBa", [0, 0, 0, 0, 100, 0, 128, 128]), [[[0, 0, 0], [199, 0, 255]]]),
    "CMYK": (pil("CMYK", [0, 255, 255, 0, 255, 255, 0, 128]), [[[255, 0, 0], [0, 0, 127]]]),
    "YCbCr": (pil("YCbCr", [100, 128, 128, 29, 255, 107]), [[[100] * 3, [0, 0, 254]]]),
    "HSV": (pil("HSV", [0, 255, 255, 0, 0, 90]), [[[255, 0, 0], [90, 90, 90]]]),
    "LAB": (pil("LAB", [255, 0, 0, 0, 0, 0]), [[[254, 255, 254], [1, 0, 1]]]),  # white and black, nearly
    "I;16": (pil("I;16", np.array(SIXTEEN, "<u2"), (4, 1)), SIXTEEN_RGB),
    "I;16B": (pil("I;16B", np.array(SIXTEEN, ">u2"), (4, 1)), SIXTEEN_RGB),
    "I": (pil("I", np.array(SIXTEEN, "i4"), (4, 1)), SIXTEEN_RGB),
    "F, 0..1": (pil("F", np.array([0.2, 1], "f4")), [[[51] * 3, [255] * 3]]),
    "F, 0..255": (pil("F", np.array([51.4, 255], "f4")), [[[51] * 3, [255] * 3]]),
}


@pytest.mark.parametrize("exif", [True, False])
@pytest.mark.parametrize("name", PIL_IMAGES)
def test_pil_image_modes(name, exif):
    picture, expected = PIL_IMAGES[name]
    assert picture.mode == name.split(",")[0]
    state = (picture.mode, picture.size, dict(picture.info), picture.tobytes(), picture.getpalette())
    image = read_image(picture, exif=exif)
    assert_is_image(image)
    assert image.tolist() == expected
    assert (picture.mode, picture.size, dict(picture.info), picture.tobytes(), picture.getpalette()) == state


def test_pil_images_of_one_pixel_and_of_none():
    assert read_image(Image.new("RGB", (1, 1), (1, 2, 3))).tolist() == [[[1, 2, 3]]]
    assert "<PIL image> is empty (width x height = 0 x 4)" in refusal(Image.new("RGB", (0, 4)))
    assert "is empty" in refusal(Image.new("I", (4, 0)))


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (pil("I", np.array([0, 65536], "i4")), "(mode I) has values 0 to 65536, outside 0 to 65535"),
        (pil("I", np.array([-1, 9], "i4")), "has values -1 to 9"),
        (pil("I", np.array([0, 255], "i4")), "(mode I) has the largest value 255: 8-bit data"),
        (pil("I;16", np.array([0, 255], "<u2")), "(mode I;16) has the largest value 255: 8-bit data"),
        (pil("F", np.array([0, 1.5], "f4")), "(mode F) has the largest value 1.5: 0..1 with an overshoot"),
        (pil("F", np.array([-3, 1], "f4")), "negative value -3"),
        (pil("F", np.array([np.nan, 1], "f4")), "NaN"),
        (pil("F", np.array([9, 256], "f4")), "value 256"),
    ],
)
def test_pil_image_values_refused(picture, words):
    message = refusal(picture)
    assert message.startswith("read_image: <PIL image> (mode ")
    assert words in message


LOSSLESS = {
    "1 PNG": ("1", "PNG", {}),
    "L PNG": ("L", "PNG", {}),
    "L PNG, clear grey": ("L", "PNG", {"transparency": 7}),
    "LA PNG": ("LA", "PNG", {}),
    "P PNG": ("P", "PNG", {}),
    "P PNG, clear index": ("P, one clear index", "PNG", {}),
    "P PNG, alpha per index": ("P, alpha per index", "PNG", {}),
    "RGB PNG": ("RGB", "PNG", {}),
    "RGB PNG, clear colour": ("RGB", "PNG", {"transparency": (250, 10, 20)}),
    "RGBA PNG": ("RGBA", "PNG", {}),
    "I;16 PNG": ("I;16", "PNG", {}),
    "I;16 TIFF": ("I;16", "TIFF", {}),
    "I;16B TIFF": ("I;16B", "TIFF", {}),
    "I TIFF": ("I", "TIFF", {}),
    "F TIFF, 0..1": ("F, 0..1", "TIFF", {}),
    "F TIFF, 0..255": ("F, 0..255", "TIFF", {}),
    "CMYK TIFF": ("CMYK", "TIFF", {}),
    "LAB TIFF": ("LAB", "TIFF", {}),
    "RGB TIFF, compressed": ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    "RGB BMP": ("RGB", "BMP", {}),
    "P GIF": ("P", "GIF", {}),
    "P GIF, clear index": ("P", "GIF", {"transparency": 1}),
    "L PPM": ("L", "PPM", {}),
    "RGB WEBP": ("RGB", "WEBP", {"lossless": True}),
    "RGBA WEBP": ("RGBA", "WEBP", {"lossless": True, "exact": True}),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_files(name, tmp_path):
    key, kind, options = LOSSLESS[name]
    picture, expected = PIL_IMAGES[key]
    data = encode(picture, kind, **options)
    image = read_image(data)
    assert_is_image(image)
    assert image.tolist() == expected
    (tmp_path / "picture").write_bytes(data)
    np.testing.assert_array_equal(read_image(tmp_path / "picture"), image)


def test_jpeg_of_one_colour():
    # A block of one colour has no detail to lose: only the conversion to YCbCr and back rounds.
    for mode, colour, expected in [("RGB", (200, 60, 90), (200, 60, 90)), ("L", 77, (77, 77, 77))]:
        image = read_image(encode(Image.new(mode, (8, 8), colour), "JPEG", quality=100))
        assert image.shape == (8, 8, 3)
        assert np.abs(image.astype(int) - expected).max() <= 2
    inks = encode(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100)
    assert np.abs(read_image(inks).astype(int) - (255, 0, 0)).max() <= 2


def test_a_dark_16_bit_file_is_dark():
    # As an array or an image made in memory it is ambiguous; a file says how deep it is.
    dark = pil("I;16", np.array([0, 200], "<u2"))
    assert "8-bit data" in refusal(dark)
    for kind in ("PNG", "TIFF"):
        data = encode(dark, kind)
        assert read_image(data).tolist() == [[[0, 0, 0], [1, 1, 1]]]
        assert read_image(Image.open(io.BytesIO(data))).tolist() == [[[0, 0, 0], [1, 1, 1]]]


def test_float_file_follows_the_float_rule():
    message = refusal(encode(pil("F", np.array([0, 1.5], "f4")), "TIFF"))
    assert message.startswith("read_image: <bytes> (mode F) has the largest value 1.5")


# ---- animations ----


@pytest.mark.parametrize(
    ("kind", "options"), [("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})]
)
def test_first_frame_of_a_file_current_frame_of_an_image(kind, options):
    red, blue = Image.new("RGB", (4, 4), (255, 0, 0)), Image.new("RGB", (4, 4), (0, 0, 255))
    data = encode(red, kind, save_all=True, append_images=[blue], **options)
    assert (read_image(data) == (255, 0, 0)).all()
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.n_frames == 2
        picture.seek(1)
        assert (read_image(picture) == (0, 0, 255)).all()
        assert picture.tell() == 1
        picture.seek(0)
        assert (read_image(picture) == (255, 0, 0)).all()


# ---- EXIF orientation ----

UPRIGHT = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.uint8)
# How a camera stores the upright picture under each value of the tag (EXIF 2.3, 4.6.4: where row 0 and
# column 0 of the stored picture are in the upright one). The first is "top, left": as it is.
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],  # top, right
    3: UPRIGHT[::-1, ::-1],  # bottom, right
    4: UPRIGHT[::-1],  # bottom, left
    5: UPRIGHT.T,  # left, top: row 0 is the left side, column 0 the top
    6: UPRIGHT[:, ::-1].T,  # right, top: row 0 is the right side
    7: UPRIGHT[::-1, ::-1].T,  # right, bottom
    8: UPRIGHT[::-1].T,  # left, bottom: column 0 is the bottom
}


def orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


@pytest.mark.parametrize("value", STORED)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_exif_orientation(value, kind):
    stored = Image.fromarray(np.ascontiguousarray(STORED[value]))
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(stored, kind, exif=orientation(value), **options)
    as_stored = (UPRIGHT if kind == "TIFF" else STORED[value]).tolist()  # Pillow turns a TIFF as it decodes
    assert read_image(data)[..., 0].tolist() == UPRIGHT.tolist()
    assert read_image(data, exif=False)[..., 0].tolist() == as_stored
    with Image.open(io.BytesIO(data)) as picture:
        assert read_image(picture)[..., 0].tolist() == UPRIGHT.tolist()
        assert read_image(picture, exif=False)[..., 0].tolist() == as_stored
        if kind != "TIFF":
            assert picture.getexif()[0x0112] == value
            assert picture.size == stored.size


def test_exif_option_reaches_every_kind_of_source(tmp_path):
    data = encode(Image.fromarray(UPRIGHT), "PNG", exif=orientation(3))
    path = tmp_path / "a.png"
    path.write_bytes(data)
    for source in (path, str(path), data, io.BytesIO(data), Image.open(io.BytesIO(data))):
        assert read_image(source)[..., 0].tolist() == [[6, 5, 4], [3, 2, 1]]
        assert read_image(source, exif=False)[..., 0].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_exif_orientation_of_a_jpeg():
    halves = Image.new("L", (16, 8))
    halves.paste(255, (8, 0, 16, 8))  # the right half is white
    image = read_image(encode(halves, "JPEG", exif=orientation(6)))  # 6: row 0 is the right side
    assert image.shape == (16, 8, 3)
    assert image[:8].max() < 50
    assert image[8:].min() > 200


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I", "F, 0..1", "P, alpha per index", "RGBA", "CMYK"])
def test_exif_orientation_of_other_modes(mode):
    picture, expected = PIL_IMAGES[mode]
    picture = picture.copy()
    picture.getexif()[0x0112] = 3  # turned by 180 degrees
    assert read_image(picture)[:, ::-1].tolist() == expected
    assert read_image(picture, exif=False).tolist() == expected
    assert picture.getexif()[0x0112] == 3


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_broken_exif_is_no_orientation(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(Image.fromarray(UPRIGHT), kind, exif=b"Exif\0\0garbage", **options)
    assert read_image(data)[..., 0].tolist() == UPRIGHT.tolist()


def test_unknown_orientation_is_none():
    data = encode(Image.fromarray(UPRIGHT), "PNG", exif=orientation(9))
    assert read_image(data)[..., 0].tolist() == UPRIGHT.tolist()


# ---- files that cannot be read ----


def noise(side=64):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))


def test_missing_file_and_folder(tmp_path):
    missing = tmp_path / "missing.png"
    message = refusal(missing)
    assert "no such file" in message
    assert str(missing) in message
    assert "no such file" in refusal("")
    assert "no such file" in refusal(tmp_path / "two\nlines.png")
    message = refusal(tmp_path)
    assert "is a folder" in message
    assert str(tmp_path) in message


def test_paths_that_cannot_be_opened():
    assert "cannot open" in refusal("a\0b.png")
    assert "cannot open" in refusal("a" * 5000)


PNG = encode(noise(), "PNG")
BAD_FILES = {
    "empty": (b"", "is not a picture"),
    "text": (b"This is a letter, not a picture.\n" * 9, "is not a picture"),
    "truncated JPEG": (encode(noise(), "JPEG")[:1500], "cannot be read"),
    "truncated PNG": (PNG[:500], "cannot be read"),
    "truncated GIF": (encode(noise(), "GIF")[:1500], "cannot be read"),
    "truncated TIFF": (encode(noise(), "TIFF")[:500], "read_image"),
    "truncated LZW TIFF": (encode(noise(), "TIFF", compression="tiff_lzw")[:-3000], "cannot be read"),
    "truncated WEBP": (encode(noise(), "WEBP")[:500], "cannot be read"),
    "truncated BMP": (encode(noise(), "BMP")[:500], "cannot be read"),
    "PNG signature only": (PNG[:8], "read_image"),
    "PNG header cut": (PNG[:20], "read_image"),
    "PNG wrong checksum": (PNG[:60] + bytes([PNG[60] ^ 255]) + PNG[61:], "cannot be read"),
    "PNG broken chunk": (PNG[:33] + b"\xff\xff\xff\xff????" + PNG[41:], "read_image"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files(name, tmp_path):
    data, words = BAD_FILES[name]
    path = tmp_path / "bad.dat"
    path.write_bytes(data)
    for source, shown in [(path, str(path)), (str(path), str(path)), (data, "<bytes>")]:
        message = refusal(source)
        assert words in message
        assert shown in message
    assert "<file object>" in refusal(io.BytesIO(data))
    with path.open("rb") as file:
        assert str(path) in refusal(file)
        assert file.tell() == 0
        assert not file.closed


def test_truncated_pil_image_and_closed_ones():
    picture = Image.open(io.BytesIO(BAD_FILES["truncated JPEG"][0]))
    assert "<PIL image> cannot be read" in refusal(picture)
    closed = Image.open(io.BytesIO(PNG))
    closed.load()
    closed.close()
    assert "<PIL image> cannot be read" in refusal(closed)
    file = io.BytesIO(PNG)
    file.close()
    assert "<file object> cannot be read" in refusal(file)


class Unwilling(Image.Image):
    """An image whose decoder fails with any words."""

    words = ""

    def load(self):
        raise KeyError() if not self.words else ValueError(self.words)

    @property
    def size(self):
        return (1, 1)


def test_whatever_a_decoder_says_is_one_line():
    picture = Unwilling()
    assert "cannot be read: KeyError; " in refusal(picture)
    picture.words = "two\n  lines\n"
    assert "cannot be read: two lines; " in refusal(picture)


def png_chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def test_decompression_bomb():
    # 76 bytes that claim 30000 x 30000 grey pixels.
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 30000, 30000, 8, 0, 0, 0, 0))
    message = refusal(b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(b"0")))
    assert "<bytes> is too large" in message
    assert "900000000 pixels" in message
    assert "PIL.Image.MAX_IMAGE_PIXELS" in message


def test_a_large_file_is_read_without_a_warning(monkeypatch):
    data = encode(Image.new("RGB", (5, 3), (1, 2, 3)), "PNG")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # Pillow warns above it, refuses above twice as many
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(io.BytesIO(data))
    assert read_image(data).shape == (3, 5, 3)  # warnings are errors in this test run
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 7)
    assert "is too large" in refusal(data)


def test_threads_leave_the_warning_filters_as_they_were(monkeypatch):
    data = encode(Image.fromarray(RED_BLUE), "PNG")
    before = list(warnings.filters)
    true_open = Image.open

    def slow_open(file):  # long enough for the others to come in between
        time.sleep(0.002)
        return true_open(file)

    monkeypatch.setattr(Image, "open", slow_open)
    threads = [Thread(target=lambda: [read_image(data) for _ in range(5)]) for _ in range(4)]
    for thread in threads:
        thread.start()
        time.sleep(0.001)
    for thread in threads:
        thread.join()
    after, warnings.filters[:] = list(warnings.filters), before  # mended for the tests that follow
    assert after == before


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF", "JPEG", "WEBP", "PPM"])
def test_any_damage_is_an_image_or_one_line(kind):
    rng = np.random.default_rng(0)
    whole = encode(noise(8), kind)
    accepted = 0
    for _ in range(100):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), size=rng.integers(0, 4)):
            damaged[place] = rng.integers(0, 256)
        if rng.random() < 0.5:
            del damaged[rng.integers(0, len(whole)) :]
        image = image_or_none(damaged)
        if image is not None:
            accepted += 1
            assert_is_image(image)
    assert 5 < accepted < 95


def test_files_that_we_open_are_closed(tmp_path, monkeypatch):
    import builtins

    opened = []
    true_open = builtins.open

    def watching_open(*args, **options):
        opened.append(true_open(*args, **options))
        return opened[-1]

    for name, data in {"good": PNG, "bad": BAD_FILES["truncated JPEG"][0], "text": b"no"}.items():
        path = Path(tmp_path / name)
        path.write_bytes(data)
        monkeypatch.setattr(builtins, "open", watching_open)
        try:
            read_image(path)
        except InputError:
            assert name != "good"
        monkeypatch.undo()
    ours = [file for file in opened if Path(str(file.name)).parent == tmp_path]
    assert len(ours) == 3
    assert all(file.closed for file in ours)


def test_signature():
    signature = inspect.signature(read_image)
    assert [(p.name, p.kind.name, p.default) for p in signature.parameters.values()] == [
        ("source", "POSITIONAL_OR_KEYWORD", inspect.Parameter.empty),
        ("color", "KEYWORD_ONLY", "rgb"),
        ("exif", "KEYWORD_ONLY", True),
    ]
