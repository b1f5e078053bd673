"""Every kind of picture a user may hold becomes one thing: an (H, W, 3) uint8 RGB array, upright."""

from __future__ import annotations

import io
import math
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from minidet.errors import InputError, one_line

ImageSource: TypeAlias = (
    str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | NDArray[Any]
)
"""What :func:`read_image` takes."""


IMAGE_SUFFIXES = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".jp2", ".j2k", ".jpx", ".jpf", ".png", ".apng", ".webp",
    ".avif", ".gif", ".tif", ".tiff", ".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".pnm", ".tga",
})  # fmt: skip
"""What counts as a photograph in a folder, in lower case: the endings of kinds that Pillow opens."""


def read_image(
    source: ImageSource, *, color: Literal["rgb", "bgr"] = "rgb", exif: bool = True
) -> NDArray[np.uint8]:
    """Read a picture from wherever it is into an (H, W, 3) uint8 RGB array, upright.

    Parameters
    ----------
    source : path, bytes, binary file object, PIL image or array
        A path, ``bytes`` and a file object hold an encoded file of any kind that Pillow reads; of an
        animation, the first frame is taken. A file object is read from its start, wherever it stands, and
        left standing there. A PIL image is taken as it shows itself: its current frame. An array is grey,
        (H, W), (H, W, 1) or, with alpha, (H, W, 2), or colour, (H, W, 3) or, with alpha, (H, W, 4). Grey is
        repeated in the three channels.
    color : {"rgb", "bgr"}
        The channel order of a colour array; OpenCV makes BGR. A grey array has no order and is read the
        same with both. Encoded pictures and PIL images know their own order and accept only "rgb".
    exif : bool
        Turn the picture upright as its EXIF orientation tells, in a file or a PIL image. An EXIF block too
        broken to read is no orientation. A TIFF is upright with False too: there Pillow turns as it decodes.

    Returns
    -------
    image : (H, W, 3) uint8 array
        RGB, C-contiguous, and never a view of the caller's array.

    Raises
    ------
    InputError
        The picture cannot be read, or its values can be understood in two ways. The message is one line.
    TypeError
        ``source`` is none of the kinds above.

    Notes
    -----
    What the values of an array mean is decided by its dtype:

    =====================  ======================  =============================================
    dtype                  values                  becomes
    =====================  ======================  =============================================
    uint8                  0 .. 255                itself
    bool                   False, True             0, 255
    uint16                 all 0, or largest >255  round(value / 257), as 65535 = 255 * 257
    uint16                 largest in 1 .. 255     an error: 8-bit data, or almost black?
    any other integer      0 .. 255                the same value
    float16/32/64          0 <= all, largest <= 1  round(255 * value)
    float16/32/64          1 < largest < 2         an error: a 0 .. 1 picture that overshoots,
                                                   or a 0 .. 255 one that is almost black?
    float16/32/64          2 <= largest <= 255     round(value)
    =====================  ======================  =============================================

    So the range of a float picture is decided by its largest colour value alone. A negative value, a NaN, an
    infinity, a value above those of the table and every other dtype is an error. Halves round to even.

    Alpha is dropped, not blended: a transparent pixel shows the colour stored under it, and alpha takes no
    part in the decisions above. A 16-bit, 32-bit integer or float file (or PIL image of mode "I;16", "I",
    "F") follows the uint16 and float rows, except that a *file* with a largest value of 1 .. 255 is no
    error: it is known to be dark. Colour profiles are not applied.

    Examples
    --------
    >>> read_image(np.array([[0.0, 0.2, 1.0]]))  # largest value 1.0: the range is 0..1, and 0.2 * 255 = 51
    array([[[  0,   0,   0],
            [ 51,  51,  51],
            [255, 255, 255]]], dtype=uint8)
    >>> read_image(np.array([[0.0, 51.0]]))[0, 1]  # largest value 51.0: the range is 0..255
    array([51, 51, 51], dtype=uint8)
    >>> read_image(np.array([[257 * 3, 65535]], dtype=np.uint16))[0, :, 0]
    array([  3, 255], dtype=uint8)
    >>> read_image(np.array([[[1, 2, 3]]], dtype=np.uint8), color="bgr")
    array([[[3, 2, 1]]], dtype=uint8)
    """
    if color not in ("rgb", "bgr"):
        raise InputError(f'read_image: color={color!r} is unknown; use "rgb" or "bgr"')
    if isinstance(source, np.ndarray):
        return _read_array(source, color)
    _check_kind(source, color)
    if isinstance(source, Image.Image):
        return _read_pil_image(source, "<PIL image>", exif=exif)
    if isinstance(source, (str, os.PathLike)):
        return _read_path(source, exif=exif)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _read_encoded(io.BytesIO(bytes(source)), "<bytes>", exif=exif)
    return _read_file_object(source, exif=exif)


def _check_kind(source: object, color: str) -> None:
    """Refuse what is neither encoded, nor a file object, nor a PIL image; and "bgr" for what is."""
    if isinstance(source, io.TextIOBase):
        raise TypeError("read_image: the file object is in text mode; open the file with mode 'rb'")
    is_known = isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview, Image.Image))
    if not is_known and not hasattr(source, "read"):
        raise TypeError(
            "read_image: source must be a path, bytes, a binary file object, a PIL image or a NumPy array, "
            f"not {_type_name(source)}"
        )
    if color == "bgr":
        raise InputError(
            f'read_image: color="bgr" is for arrays; a source of type {_type_name(source)} knows its own '
            "channel order, so leave `color` out"
        )


# ---- encoded pictures ----


def _read_path(path: str | os.PathLike[str], *, exif: bool) -> NDArray[np.uint8]:
    name = repr(os.fsdecode(path))  # repr, because a path may hold a line break
    if os.path.isdir(path):
        raise InputError(f"read_image: {name} is a folder; give the path of one picture in it")
    try:
        file = open(path, "rb")  # noqa: SIM115  # only opening it may be answered with "no such file"
    except FileNotFoundError:
        raise InputError(f"read_image: no such file: {name}; check the path") from None
    except (OSError, ValueError) as error:  # not allowed, name too long, a null byte in it
        raise InputError(f"read_image: cannot open {name}: {one_line(error)}; check the path") from error
    with file:
        return _read_encoded(file, name, exif=exif)


def _read_file_object(file: BinaryIO, *, exif: bool) -> NDArray[np.uint8]:
    # Pillow gets a copy of the bytes, so it can neither move nor close the caller's file.
    label = getattr(file, "name", None)  # a pipe's is a number, a BytesIO has none
    name = repr(label) if isinstance(label, str) else "<file object>"
    with _failure_is_input_error(name):
        data = _read_whole(file)
    if not isinstance(data, bytes):
        raise TypeError(f"read_image: {name} reads {_type_name(data)}, not bytes; open it with mode 'rb'")
    return _read_encoded(io.BytesIO(data), name, exif=exif)


def _read_whole(file: BinaryIO) -> bytes:
    if not (hasattr(file, "seekable") and file.seekable()):  # a pipe, a download
        return file.read()
    position = file.tell()
    file.seek(0)
    data = file.read()
    file.seek(position)
    return data


def _read_encoded(file: BinaryIO, name: str, *, exif: bool) -> NDArray[np.uint8]:
    with _failure_is_input_error(name):
        picture = open_quietly(file)
    with picture:
        return _read_pil_image(picture, name, exif=exif)


# `catch_warnings` swaps a list that all threads share: two at once can leave it swapped for good.
_warnings_lock = threading.Lock()


def open_quietly(file: BinaryIO) -> Image.Image:
    """Open an encoded picture without Pillow's warning of every picture above 89 million pixels.

    From twice that Pillow refuses, and that is kept.
    """
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(file)


@contextmanager
def _failure_is_input_error(name: str) -> Iterator[None]:
    # All exceptions, because on a broken file Pillow's decoders raise whatever they run into:
    # OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, KeyError, ...
    try:
        yield
    except UnidentifiedImageError as error:
        raise InputError(f"read_image: {name} is not a picture; give a JPEG, a PNG or the like") from error
    except Image.DecompressionBombError as error:
        raise InputError(
            f"read_image: {name} is too large: {one_line(error)} "
            "If you trust it, raise PIL.Image.MAX_IMAGE_PIXELS"
        ) from error
    except Exception as error:
        reason = one_line(error)
        raise InputError(f"read_image: {name} cannot be read: {reason}; is the file damaged?") from error


# ---- PIL images ----


def _read_pil_image(image: Image.Image, name: str, *, exif: bool) -> NDArray[np.uint8]:
    if 0 in image.size:
        raise InputError(f"read_image: {name} is empty (width x height = {image.width} x {image.height})")
    # A `format` is what an image read from a file has, and one made in memory has not.
    from_file = image.format is not None
    with _failure_is_input_error(name):
        image.load()
        if exif:
            image = upright(image)
        values = _pil_values(image)  # (H, W) or (H, W, 3)

    what = f"{name} (mode {image.mode})"
    if image.mode == "F":
        return _rgb(_float_to_8_bit(values, what))
    if image.mode.startswith("I"):
        return _rgb(_deep_integers_to_8_bit(values, what, from_file=from_file))
    return _rgb(values)


def upright(image: Image.Image) -> Image.Image:
    """Turn a PIL image as its EXIF orientation tells."""
    # A picture is still a picture when its EXIF block is garbage; Pillow raises at least SyntaxError then.
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _pil_values(image: Image.Image) -> NDArray[Any]:
    """Give the pixels of any mode: as they are if deeper than 8 bits (I;16, I;16B, I, F), else as RGB."""
    if image.mode.startswith(("I", "F")):
        return np.asarray(image)  # (H, W)
    if image.mode == "La":  # grey times alpha: the one mode from which Pillow has no single step to RGB
        image = image.convert("LA")
    # Alpha is dropped anyway, and with this entry Pillow would warn of palettes with alpha.
    if "transparency" in image.info:
        image = image.copy()
        del image.info["transparency"]
    return np.asarray(image.convert("RGB"))  # (H, W, 3)


def _deep_integers_to_8_bit(values: NDArray[Any], what: str, *, from_file: bool) -> NDArray[np.uint8]:
    # Old versions of Pillow open a 16-bit PNG as mode "I", which has 32 bits.
    smallest, largest = values.min(), values.max()
    if smallest < 0 or largest > 65535:
        raise InputError(
            f"read_image: {what} has values {smallest} to {largest}, outside 0 to 65535; "
            "scale them yourself and pass an array"
        )
    if not from_file:
        _check_really_16_bit(values, what)
    return _16_to_8_bit(values)


# ---- arrays ----


def _read_array(array: NDArray[Any], color: str) -> NDArray[np.uint8]:
    _check_shape(array.shape)
    array = np.asarray(array)  # of a masked array the data, so that all pixels are checked
    values = _to_8_bit(_without_alpha(array))
    return _rgb(values[:, :, ::-1] if color == "bgr" and values.ndim == 3 else values)


def _check_shape(shape: tuple[int, ...]) -> None:
    is_image = len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 2, 3, 4))
    if is_image and 0 not in shape:
        return
    expected = "expected (H, W), (H, W, 1), (H, W, 2), (H, W, 3) or (H, W, 4)"
    if 0 in shape:
        problem = f"is empty; {expected} with no side 0"
    elif len(shape) == 3 and shape[0] in (1, 2, 3, 4):
        problem = "looks channels-first; use array.transpose(1, 2, 0)"
    elif len(shape) == 4:
        problem = "looks like a batch; read one image at a time, such as array[0]"
    else:
        problem = f"is not an image; {expected}"
    raise InputError(f"read_image: array of shape {shape} {problem}")


def _without_alpha(array: NDArray[Any]) -> NDArray[Any]:
    """(H, W), (H, W, 1) and (H, W, 2) give (H, W); (H, W, 3) and (H, W, 4) give (H, W, 3)."""
    if array.ndim == 2:
        return array
    return array[:, :, 0] if array.shape[2] <= 2 else array[:, :, :3]


def _to_8_bit(values: NDArray[Any]) -> NDArray[np.uint8]:
    kind, what = values.dtype.kind, f"{values.dtype.name} array"  # .name says nothing of the byte order
    if kind == "b":
        return values.astype(np.uint8) * np.uint8(255)
    if what == "uint16 array":
        _check_really_16_bit(values, what)
        return _16_to_8_bit(values)
    if kind in "ui":
        return _integers_to_8_bit(values, what)
    if kind == "f":
        return _float_to_8_bit(values, what)
    raise InputError(f"read_image: {what} is not a picture; convert it to uint8 or to floats in 0..1")


def _integers_to_8_bit(values: NDArray[Any], what: str) -> NDArray[np.uint8]:
    smallest, largest = values.min(), values.max()
    if smallest < 0 or largest > 255:
        raise InputError(
            f"read_image: {what} has values {smallest} to {largest}, outside 0 to 255; "
            "scale them to that range"
        )
    return values.astype(np.uint8)


def _check_really_16_bit(values: NDArray[Any], what: str) -> None:
    largest = values.max()
    if 1 <= largest <= 255:
        raise InputError(
            f"read_image: {what} has the largest value {largest}: 8-bit data, or 16-bit and almost black? "
            "For the first pass array.astype(np.uint8), for the second (array // 257).astype(np.uint8)"
        )


def _16_to_8_bit(values: NDArray[Any]) -> NDArray[np.uint8]:
    # round(v / 257) = floor((v + 128) / 257): 257 is odd, so there are no halves. 32 bits hold v + 128.
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _float_to_8_bit(values: NDArray[Any], what: str) -> NDArray[np.uint8]:
    smallest, largest = float(values.min()), float(values.max())
    if not (math.isfinite(smallest) and math.isfinite(largest)):  # a NaN anywhere makes both of them NaN
        raise InputError(f"read_image: {what} has a NaN or an infinite value; mend it, or use np.nan_to_num")
    if smallest < 0:
        raise InputError(
            f"read_image: {what} has the negative value {smallest:g}; use values in 0..1 or 0..255, "
            "such as (array + 1) / 2 if yours are in -1..1"
        )
    if largest > 255:
        raise InputError(f"read_image: {what} has the value {largest:g}; use values in 0..1 or 0..255")
    if 1 < largest < 2:
        raise InputError(
            f"read_image: {what} has the largest value {largest:g}: 0..1 with an overshoot, or 0..255 and "
            "almost black? For the first pass np.clip(array, 0, 1), "
            "for the second array.round().astype(np.uint8)"
        )
    full_scale = 255.0 if largest <= 1 else 1.0
    # float16 has 11 bits, too few to hold 255 * value without rounding it twice.
    values = values.astype(np.promote_types(values.dtype, np.float32), copy=False)
    return np.rint(full_scale * values).astype(np.uint8)


# ---- for all of them ----


def _rgb(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Copy (H, W) or (H, W, 3) into a fresh (H, W, 3); grey goes into each of the three channels."""
    rgb = np.empty((*values.shape[:2], 3), dtype=np.uint8)
    rgb[...] = values if values.ndim == 3 else values[:, :, np.newaxis]
    return rgb


def _type_name(thing: object) -> str:
    """`list`, `torch.Tensor`, `io.BytesIO`."""
    kind = type(thing)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
