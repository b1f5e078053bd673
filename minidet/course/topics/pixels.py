"""Exercises on the way from pixels to a tensor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minidet._typing import Float32Array, RGBImage
from minidet.course.answers import pixels as answers
from minidet.course.exercise import Exercise, Mistake
from minidet.course.topics._numbers import pixels

TOPIC = "Pixels"
MEAN_BGR = np.array([104, 117, 123], np.float32)

PICTURES = (
    {"image": np.array([[[255, 128, 0]]], np.uint8)},
    {"image": pixels(1, 2, 3)},
    {"image": pixels(2, 4, 4)},
)


def _tensor(pixels: Float32Array) -> Float32Array:
    return pixels.transpose(2, 0, 1)[None]


def _reshaped(pixels: Float32Array) -> Float32Array:
    H, W, C = pixels.shape
    return pixels.reshape(1, C, H, W)


def _mtcnn_in_bytes(image: RGBImage) -> Float32Array:
    return _tensor((image - np.uint8(127)).astype(np.float32) / np.float32(128))


MTCNN_INPUT = Exercise(
    name="mtcnn_input",
    topic=TOPIC,
    question=(
        "Bring the pixels of an RGB image (H, W, 3), uint8, to about -1 .. 1 as MTCNN does: (value - "
        "127.5) / 128."
    ),
    returns="x (1, 3, H, W) float32",
    reference=answers.mtcnn_input,
    cases=PICTURES,
    mistakes=(
        Mistake(
            "BGR and RGB are exchanged: MTCNN was trained on RGB.",
            lambda image: answers.mtcnn_input(image[:, :, ::-1]),
        ),
        Mistake(
            "Your tensor is reshaped from (H, W, 3), which mixes up pixels and channels: move the "
            "axis, with transpose.",
            lambda image: _reshaped((image.astype(np.float32) - 127.5) / 128),
        ),
        Mistake(
            "You divide by 127.5: the released networks were trained with 128.",
            lambda image: answers.mtcnn_input(image) * np.float32(128 / 127.5),
        ),
        Mistake(
            "You divide by 255, which gives 0 .. 1 for a network that was trained on -1 .. 1.",
            lambda image: _tensor(image.astype(np.float32) / 255),
        ),
        Mistake(
            "You subtract in uint8, where 0 - 127 is 129: convert to float32 first.",
            _mtcnn_in_bytes,
        ),
        Mistake(
            "Your tensor has no batch axis: a network takes N images, here one.",
            lambda image: answers.mtcnn_input(image)[0],
        ),
    ),
)

RETINAFACE_INPUT = Exercise(
    name="retinaface_input",
    topic=TOPIC,
    question=(
        "Turn an RGB image (H, W, 3), uint8, into RetinaFace's input: channels in the order blue, "
        "green, red, less "
        "their means 104, 117, 123."
    ),
    returns="x (1, 3, H, W) float32",
    reference=answers.retinaface_input,
    cases=PICTURES,
    mistakes=(
        Mistake(
            "BGR and RGB are exchanged: the first channel has to be blue.",
            lambda image: answers.retinaface_input(image[:, :, ::-1]),
        ),
        Mistake(
            "Your channels are BGR, but you subtract the means in the order RGB: 104 is blue's.",
            lambda image: _tensor(image[:, :, ::-1].astype(np.float32) - MEAN_BGR[::-1]),
        ),
        Mistake(
            "Your tensor is reshaped from (H, W, 3), which mixes up pixels and channels: move the "
            "axis, with transpose.",
            lambda image: _reshaped(image[:, :, ::-1].astype(np.float32) - MEAN_BGR),
        ),
        Mistake(
            "You subtract in uint8, where 0 - 104 is 152: convert to float32 first.",
            lambda image: _tensor((image[:, :, ::-1] - MEAN_BGR.astype(np.uint8)).astype(np.float32)),
        ),
        Mistake(
            "You also divide by 255: RetinaFace's input is not scaled.",
            lambda image: answers.retinaface_input(image) / np.float32(255),
        ),
        Mistake(
            "Your tensor has no batch axis: a network takes N images, here one.",
            lambda image: answers.retinaface_input(image)[0],
        ),
    ),
)


def _interpolated(
    image: RGBImage,
    height: int,
    width: int,
    place: Callable[[int, int, int], float],
) -> Float32Array:
    """Interpolate at ``place(index, size, new_size)`` in both directions; beyond the edge it is repeated."""
    H, W = image.shape[:2]
    y = np.array([min(max(place(i, H, height), 0), H - 1) for i in range(height)])
    x = np.array([min(max(place(j, W, width), 0), W - 1) for j in range(width)])
    top, left = y.astype(int), x.astype(int)
    bottom, right = np.minimum(top + 1, H - 1), np.minimum(left + 1, W - 1)
    fy, fx = (y - top)[:, None, None], (x - left)[:, None]
    upper = (1 - fx) * image[top][:, left] + fx * image[top][:, right]
    lower = (1 - fx) * image[bottom][:, left] + fx * image[bottom][:, right]
    return ((1 - fy) * upper + fy * lower).astype(np.float32)


def _nearest(index: int, size: int, new_size: int) -> float:
    return (2 * index + 1) * size // (2 * new_size)


SIZES = (
    {"image": np.array([[[0], [100]]], np.uint8), "height": 1, "width": 4},
    {"image": np.array([[[10], [20], [60]], [[30], [40], [90]]], np.uint8), "height": 4, "width": 6},
    {"image": pixels(3, 3, 4), "height": 5, "width": 3},
)

RESIZE_BILINEAR = Exercise(
    name="resize_bilinear",
    topic=TOPIC,
    question=(
        "Resize an image (H, W, C), uint8: output pixel j lies at (j + 0.5) W / width - 0.5 between "
        "the centres of "
        "input pixels, and is interpolated in both directions; beyond the outermost centres the edge "
        "is repeated."
    ),
    returns="(height, width, C) float32",
    reference=answers.resize_bilinear,
    cases=SIZES,
    mistakes=(
        Mistake(
            "You leave out the half pixels: output pixel j is placed at j W / width, and the image "
            "moves to one side.",
            lambda image, height, width: _interpolated(image, height, width, lambda i, n, m: i * n / m),
        ),
        Mistake(
            "Your corners are aligned: output pixel j is placed at j (W - 1) / (width - 1).",
            lambda image, height, width: _interpolated(
                image, height, width, lambda i, n, m: i * (n - 1) / max(m - 1, 1)
            ),
        ),
        Mistake(
            "You take the nearest pixel and do not interpolate.",
            lambda image, height, width: _interpolated(image, height, width, _nearest),
        ),
        Mistake(
            "Height and width are exchanged: an array has rows first.",
            lambda image, height, width: answers.resize_bilinear(image, width, height),
        ),
        Mistake(
            "You cut the interpolated values down to whole numbers.",
            lambda image, height, width: np.floor(answers.resize_bilinear(image, height, width)),
        ),
    ),
)


def _whole_pixels_only(image: RGBImage, height: int, width: int) -> Float32Array:
    H, W = image.shape[:2]
    out = np.empty((height, width, image.shape[2]), np.float32)
    for i in range(height):
        for j in range(width):
            rows = slice(i * H // height, (i + 1) * H // height)
            columns = slice(j * W // width, (j + 1) * W // width)
            out[i, j] = image[rows, columns].mean(axis=(0, 1))
    return out


def _first_of_each(image: RGBImage, height: int, width: int) -> Float32Array:
    H, W = image.shape[:2]
    rows, columns = np.arange(height) * H // height, np.arange(width) * W // width
    return image[rows][:, columns].astype(np.float32)


def _by_share(image: RGBImage, height: int, width: int) -> Float32Array:
    def shares(size: int, new_size: int) -> Float32Array:
        begin = np.arange(new_size)[:, None] * size / new_size
        pixel = np.arange(size)
        return np.clip(np.minimum(begin + size / new_size, pixel + 1) - np.maximum(begin, pixel), 0, 1)

    H, W = image.shape[:2]
    rows, columns = shares(H, height), shares(W, width)
    total = np.einsum("iy,jx,yxc->ijc", rows, columns, image.astype(np.float64))
    return (total * height * width / (H * W)).astype(np.float32)


RESIZE_AREA = Exercise(
    name="resize_area",
    topic=TOPIC,
    question=(
        "Shrink an image (H, W, C), uint8: every output pixel is the mean of all input pixels that "
        "it touches, wholly "
        "or in part, rows floor(i H / height) up to ceil((i + 1) H / height) - 1 and columns likewise."
    ),
    returns="(height, width, C) float32",
    reference=answers.resize_area,
    cases=(
        {"image": np.array([[[10], [20], [30], [60]]], np.uint8), "height": 1, "width": 2},
        {"image": np.array([[[10], [20], [60], [50], [40]]], np.uint8), "height": 1, "width": 2},
        {"image": pixels(4, 5, 4), "height": 2, "width": 3},
    ),
    mistakes=(
        Mistake(
            "You leave out pixels that an output pixel covers in part: round the end of the window up.",
            _whole_pixels_only,
        ),
        Mistake("You take one pixel of each window and not the mean of all.", _first_of_each),
        Mistake(
            "You weigh pixels by the share that is covered, as OpenCV does; here they count in full.",
            _by_share,
        ),
        Mistake(
            "Height and width are exchanged: an array has rows first.",
            lambda image, height, width: answers.resize_area(image, width, height),
        ),
    ),
)

EXERCISES = (MTCNN_INPUT, RETINAFACE_INPUT, RESIZE_BILINEAR, RESIZE_AREA)
