"""RetinaFace, compiled: twin of :class:`minidet.models.retinaface.RetinaFaceNet`.

:func:`_plan` reads like ``forward``. What differs: every batch norm is folded into its convolution; a
depthwise and a pointwise convolution are one step, and so are convolutions that read the same map; the three
heads of a level are one layer.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from minidet._jit import jit_fast
from minidet._typing import Float32Array, FloatArray
from minidet.errors import InputError
from minidet.fast.arguments import as_tensor, frozen
from minidet.fast.fold import Folded, fold, side_by_side
from minidet.fast.kernels import separable as separable_kernel
from minidet.fast.kernels import stem as stem_kernel
from minidet.fast.kernels import winograd as winograd_kernel
from minidet.fast.kernels.pointwise import pointwise, pointwise_add_upsampled
from minidet.fast.kernels.retinaface_outputs import retinaface_outputs
from minidet.fast.kernels.separable import separable
from minidet.fast.kernels.stem import stem_of_pixels, stem_of_tensor
from minidet.fast.kernels.winograd import pack_winograd, winograd3x3
from minidet.fast.layout import Arena, Dense, Depthwise, Map, WeightPacker, Winograd, as_record
from minidet.fast.team import Counters, get_num_threads, join, run_plan, step_clocks
from minidet.fast.workspace import aligned, workspaces
from minidet.image.preprocess import BGR_MEAN
from minidet.models.retinaface import RetinaFaceNet
from minidet.models.retinaface.blocks import ConvBlock
from minidet.models.retinaface.context import Context
from minidet.models.retinaface.heads import Heads
from minidet.models.retinaface.mobilenet_v1 import DepthwiseSeparable

ANCHORS_PER_PIXEL = 2


class Separable(NamedTuple):
    """A depthwise convolution and the pointwise one behind it."""

    depthwise: Depthwise
    pointwise: Dense


class LevelLayers(NamedTuple):
    """A context module and its heads; convolutions that read the same map are one layer."""

    shared_and_view3: Winograd
    view5_and_middle7: Winograd
    view7: Winograd
    heads: Dense


class Layers(NamedTuple):
    """Where the weights of each layer lie; names as in the network."""

    stem: Dense
    separable: tuple[Separable, ...]
    lateral3: Dense
    lateral4: Dense
    lateral5: Dense
    merge3: Winograd
    merge4: Winograd
    level: tuple[LevelLayers, ...]


class LevelMaps(NamedTuple):
    """The maps of one level of the pyramid: ``p`` goes in, and the level's answers begin at ``first_anchor``.

    Those of the context module are parts of one map. Per pixel there are 16 channels shared, 32 view3, 16
    view5, 16 view7, 16 middle7; the three views, which are the module's output, are neighbours.
    """

    p: Map
    shared: Map
    context: Map
    view5: Map
    view7: Map
    middle7: Map
    heads: Map
    first_anchor: int


class Maps(NamedTuple):
    """Where the maps of one input size lie. Each thread has ``scratch_size`` numbers from ``scratch`` on."""

    stem: Map
    separable: tuple[Map, ...]
    sum4: Map
    sum3: Map
    level: tuple[LevelMaps, ...]
    scratch: int
    scratch_size: int


VIEW3, VIEW5, VIEW7, MIDDLE7, CONTEXT_CHANNELS = 16, 48, 64, 80, 96
"""First channels of the parts of a context module's map, and how many there are."""

STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
"""Of the thirteen separable layers."""

C3, C4, C5 = 4, 10, 12
"""Numbers of the separable layers whose outputs the pyramid taps."""

STEM_STEPS = ("stem",)

STEPS = (
    *(f"separable {i}" for i in range(13)),
    *("lateral5", "lateral4", "merge4", "lateral3", "merge3"),
    *(f"{part} {level}" for level in (3, 4, 5) for part in ("view3", "view5", "view7", "heads", "outputs")),
)
"""The steps of the plans in order, for who wants to know where the time goes."""


@jit_fast
def _stem_of_pixels(
    image: NDArray[Any],
    mean: Float32Array,
    arena: Float32Array,
    weights: Float32Array,
    layers: NDArray[np.void],
    maps: NDArray[np.void],
    counters: Counters,
) -> None:
    team = join(counters)
    scratch = maps[0].scratch + team.member * maps[0].scratch_size
    stem_of_pixels(image, mean, arena, maps[0].stem, weights, layers[0].stem, scratch, team)


@jit_fast
def _stem_of_tensor(
    x: Float32Array,
    arena: Float32Array,
    weights: Float32Array,
    layers: NDArray[np.void],
    maps: NDArray[np.void],
    counters: Counters,
) -> None:
    team = join(counters)
    scratch = maps[0].scratch + team.member * maps[0].scratch_size
    stem_of_tensor(x, arena, maps[0].stem, weights, layers[0].stem, scratch, team)


@jit_fast
def _plan(
    box_deltas: Float32Array,
    scores: Float32Array,
    landmark_deltas: Float32Array,
    arena: Float32Array,
    weights: Float32Array,
    layers_record: NDArray[np.void],
    maps_record: NDArray[np.void],
    counters: Counters,
) -> None:
    layers, maps = layers_record[0], maps_record[0]
    team = join(counters)
    scratch = maps.scratch + team.member * maps.scratch_size

    # Backbone.
    source = maps.stem
    for i in range(len(STRIDES)):
        block, target = layers.separable[i], maps.separable[i]
        separable(arena, source, target, STRIDES[i], weights, block.depthwise, block.pointwise, scratch, team)
        source = target
    c3, c4, c5 = maps.separable[C3], maps.separable[C4], maps.separable[C5]

    # Feature pyramid.
    p3, p4, p5 = maps.level[0].p, maps.level[1].p, maps.level[2].p
    pointwise(arena, c5, p5, weights, layers.lateral5, team)
    pointwise_add_upsampled(arena, c4, p5, maps.sum4, weights, layers.lateral4, team)
    winograd3x3(arena, maps.sum4, p4, weights, layers.merge4, scratch, team)
    pointwise_add_upsampled(arena, c3, p4, maps.sum3, weights, layers.lateral3, team)
    winograd3x3(arena, maps.sum3, p3, weights, layers.merge3, scratch, team)

    # Context and heads.
    for i in range(3):
        at, layer = maps.level[i], layers.level[i]
        winograd3x3(arena, at.p, at.shared, weights, layer.shared_and_view3, scratch, team)
        winograd3x3(arena, at.shared, at.view5, weights, layer.view5_and_middle7, scratch, team)
        winograd3x3(arena, at.middle7, at.view7, weights, layer.view7, scratch, team)
        pointwise(arena, at.context, at.heads, weights, layer.heads, team)
        retinaface_outputs(arena, at.heads, at.first_anchor, box_deltas, scores, landmark_deltas, team)


class CompiledRetinaFace:
    """A RetinaFace that is called like ``model.predict``, or with the pixels of an image.

    Its weights are those that the model had when it was compiled. Threads may share it.

    Parameters
    ----------
    model : RetinaFaceNet
    """

    def __init__(self, model: RetinaFaceNet) -> None:
        packer = WeightPacker()
        self._layers = as_record(_pack(packer, model))
        self._weights = packer.packed()

    def __call__(self, x: FloatArray) -> tuple[Float32Array, Float32Array, Float32Array]:
        """Compute box_deltas (N, A, 4), scores (N, A, 2) and landmark_deltas (N, A, 10) of x (N, 3, H, W).

        Twin: :meth:`minidet.models.retinaface.RetinaFaceNet.predict`; within 1e-4 of the largest value.

        Raises
        ------
        InputError
            If the shape is another, or a side is 0.
        """
        if x.ndim != 4 or x.shape[1] != 3 or 0 in x.shape[2:]:
            raise InputError(f"RetinaFace: `x` has shape {x.shape}; expected (N, 3, H, W)")
        x = as_tensor(x)
        outputs = _empty_outputs(len(x), x.shape[2], x.shape[3])
        for image, *image_outputs in zip(x, *outputs, strict=True):
            self._run(_stem_of_tensor, (image,), image.shape[1], image.shape[2], image_outputs)
        return outputs

    def of_image(self, image: NDArray[Any]) -> tuple[Float32Array, Float32Array, Float32Array]:
        """Compute the same of one image (H, W, 3), RGB, 0 to 255: box_deltas (1, A, 4) and so on.

        Twin: :func:`minidet.image.retinaface_input`, then the network.
        """
        height, width = image.shape[:2]
        outputs = _empty_outputs(1, height, width)
        source = (frozen(image), BGR_MEAN)
        self._run(_stem_of_pixels, source, height, width, [output[0] for output in outputs])
        return outputs

    def clocks(self, x: Float32Array) -> dict[str, int]:
        """Run on x (1, 3, H, W) and return the ticks of the processor's clock that each step took."""
        outputs = [output[0] for output in _empty_outputs(1, x.shape[2], x.shape[3])]
        ticks = self._run(_stem_of_tensor, (x[0],), x.shape[2], x.shape[3], outputs)
        return dict(zip((*STEM_STEPS, *STEPS), ticks.tolist(), strict=True))

    def _run(
        self, stem: Any, source: tuple[Any, ...], height: int, width: int, outputs: list[Float32Array]
    ) -> NDArray[np.int64]:
        """Run the stem, then the rest, and return the ticks of each step."""
        threads = get_num_threads()
        size, maps = _plan_maps(height, width, threads)
        with workspaces.borrow(size) as arena:
            shared = (arena, self._weights, self._layers, maps)
            # Two plans, so that the second is compiled once for every kind of source.
            first = run_plan(stem, *source, *shared, steps=len(STEM_STEPS), threads=threads)
            second = run_plan(_plan, *outputs, *shared, steps=len(STEPS), threads=threads)
        return np.concatenate([np.diff(step_clocks(first)), np.diff(step_clocks(second))])


def _empty_outputs(images: int, height: int, width: int) -> tuple[Float32Array, Float32Array, Float32Array]:
    positions = sum(-(-height // stride) * -(-width // stride) for stride in (8, 16, 32))
    anchors = ANCHORS_PER_PIXEL * positions
    box_deltas = np.empty((images, anchors, 4), np.float32)
    scores = np.empty((images, anchors, 2), np.float32)
    landmark_deltas = np.empty((images, anchors, 10), np.float32)
    return box_deltas, scores, landmark_deltas


@lru_cache(maxsize=64)
def _plan_maps(height: int, width: int, threads: int) -> tuple[int, NDArray[np.void]]:
    """Return the size of the arena for one image size, and the :class:`Maps` in it.

    A map's memory is used again once its last reader is done.
    """
    arena = Arena()

    def halved(size: int) -> int:
        return -(-size // 2)

    # The same for all steps, so taken before them.
    scratch_size = max(
        stem_kernel.scratch_size(width),
        separable_kernel.scratch_size(width, 16),  # of the widest; deeper maps are narrower by more
        winograd_kernel.scratch_size(64, 64),
    )
    scratch_size = aligned(scratch_size)
    scratch = arena.take(threads * scratch_size)

    height, width = halved(height), halved(width)
    stem = source = arena.map(height, width, 8)
    separable = []
    for i, (stride, channels) in enumerate(zip(STRIDES, _CHANNELS, strict=True)):
        if stride == 2:
            height, width = halved(height), halved(width)
        target = arena.map(height, width, channels)
        if i - 1 not in (C3, C4):  # the pyramid still needs those
            arena.release(source)
        separable.append(target)
        source = target
    c3, c4, c5 = separable[C3], separable[C4], separable[C5]

    p5 = arena.map(c5.height, c5.width, 64)
    arena.release(c5)
    sum4 = arena.map(c4.height, c4.width, 64)
    arena.release(c4)
    p4 = arena.map(c4.height, c4.width, 64)
    arena.release(sum4)
    sum3 = arena.map(c3.height, c3.width, 64)
    arena.release(c3)
    p3 = arena.map(c3.height, c3.width, 64)
    arena.release(sum3)
    levels = []
    first_anchor = 0
    for p in (p3, p4, p5):
        context = arena.map(p.height, p.width, CONTEXT_CHANNELS)
        heads = arena.map(p.height, p.width, 32)
        arena.release(p, context, heads)
        levels.append(
            LevelMaps(
                p,
                shared=context,
                context=context.channels_from(VIEW3),
                view5=context.channels_from(VIEW5),
                view7=context.channels_from(VIEW7),
                middle7=context.channels_from(MIDDLE7),
                heads=heads,
                first_anchor=first_anchor,
            )
        )
        first_anchor += ANCHORS_PER_PIXEL * p.height * p.width
    maps = Maps(stem, tuple(separable), sum4, sum3, tuple(levels), scratch, scratch_size)
    return arena.size, as_record(maps)


_CHANNELS = (16, 32, 32, 64, 64, 128, 128, 128, 128, 128, 128, 256, 256)


def _pack(packer: WeightPacker, model: RetinaFaceNet) -> Layers:
    backbone, fpn = model.backbone, model.fpn
    stages = (backbone.stage1, backbone.stage2, backbone.stage3)
    stem, *separables = [layer for stage in stages for layer in stage.layers]
    return Layers(
        stem=_pack_stem(packer, fold(cast(ConvBlock, stem))),
        separable=tuple(_pack_separable(packer, cast(DepthwiseSeparable, s)) for s in separables),
        lateral3=_pack_pointwise(packer, fold(fpn.lateral3)),
        lateral4=_pack_pointwise(packer, fold(fpn.lateral4)),
        lateral5=_pack_pointwise(packer, fold(fpn.lateral5)),
        merge3=pack_winograd(packer, *fold(fpn.merge3)),
        merge4=pack_winograd(packer, *fold(fpn.merge4)),
        level=(
            _pack_level(packer, model.context3, model.heads3),
            _pack_level(packer, model.context4, model.heads4),
            _pack_level(packer, model.context5, model.heads5),
        ),
    )


def _pack_stem(packer: WeightPacker, stem: Folded) -> Dense:
    taps = stem.weight.transpose(2, 1, 3, 0).reshape(27, -1)  # (ky, channel, kx), as the lines of scratch
    return packer.dense(taps, stem.bias, stem.slope, multiple=stem_kernel.LANES)


def _pack_pointwise(packer: WeightPacker, layer: Folded) -> Dense:
    return packer.dense(layer.weight[:, :, 0, 0].T, layer.bias, layer.slope)


def _pack_separable(packer: WeightPacker, layer: DepthwiseSeparable) -> Separable:
    depthwise = packer.depthwise(*fold(layer.depthwise))
    return Separable(depthwise, _pack_pointwise(packer, fold(layer.pointwise)))


def _pack_level(packer: WeightPacker, context: Context, heads: Heads) -> LevelLayers:
    # The module ends with a ReLU: its views are cut off at 0.
    view3, view5, view7 = (
        fold(view)._replace(slope=np.zeros(len(view.norm.bias.data)))
        for view in (context.view3, context.view5, context.view7)
    )
    # view5 goes to its place; middle7, whose channels follow in the layer, goes behind view7.
    split, jump = VIEW7 - VIEW5, MIDDLE7 - VIEW7
    return LevelLayers(
        pack_winograd(packer, *side_by_side(fold(context.shared), view3)),
        pack_winograd(packer, *side_by_side(view5, fold(context.middle7)), split=split, jump=jump),
        pack_winograd(packer, *view7),
        _pack_heads(packer, heads),
    )


def _pack_heads(packer: WeightPacker, heads: Heads) -> Dense:
    parts = (heads.box_head, heads.class_head, heads.landmark_head)
    weight = np.concatenate([head.weight.data for head in parts])[:, :, 0, 0]
    bias = np.concatenate([head.bias.data for head in parts if head.bias])
    return packer.dense(weight.T, bias, np.ones(len(bias)))
