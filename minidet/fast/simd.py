r"""Register tiles: blocks of vector registers that Numba code can load, multiply, add and store.

A processor multiplies and adds a whole vector of numbers in one instruction, and it has 16 or 32 registers
for such vectors. A convolution is fast when a block of its output stays in those registers while the inputs
stream by. :class:`Tile` is that block, as a type of Numba's::

    Tile of 3 rows, 2 columns, 4 lanes            rows: pixels;  columns x lanes: neighbouring channels

              column 0        column 1
    row 0    [. . . .]       [. . . .]            each [. . . .] is one register
    row 1    [. . . .]       [. . . .]
    row 2    [. . . .]       [. . . .]

The functions below are intrinsics: each writes LLVM instructions for all registers of a tile, and where Numba
calls one there is no call in the machine code. Shapes are part of the type, so a loop over the registers of a
tile does not exist at run time. Arrays are flat float32 arrays with an index; like all kernels, these check
no bounds.

On a processor without such registers LLVM splits a vector into what there is: the result is the same.

This is the only file that speaks to llvmlite.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.codegen import get_host_cpu_features
from numba.core.errors import TypingError
from numba.extending import models, overload, register_model
from numba.np.arrayobj import make_array

from minidet.fast.intrinsic import intrinsic


def host_features() -> set[str]:
    """Return the features that Numba compiles for: the processor's, or what ``NUMBA_CPU_FEATURES`` says."""
    if config.CPU_FEATURES is not None:  # type: ignore[attr-defined]
        text: str = config.CPU_FEATURES  # type: ignore[attr-defined]
    else:
        text = get_host_cpu_features()
    return {feature[1:] for feature in text.split(",") if feature.startswith("+")}


def _choose(features: set[str]) -> tuple[int, int]:
    """Return how many float32 a vector register holds, and how many registers there are."""
    if {"avx512f", "avx512vl"} <= features:
        return 16, 32
    if {"avx2", "fma"} <= features:
        return 8, 16
    if {"neon", "fp-armv8"} & features:
        return 4, 32
    return 4, 16  # SSE2; anything else computes the same, in smaller steps


LANES, REGISTERS = _choose(host_features())

TILE_ROWS, TILE_COLUMNS = {(16, 32): (8, 2), (8, 16): (6, 2)}.get((LANES, REGISTERS), (4, 2))
"""The tile of a dense convolution: the sums fill most registers, and leave room for weights and a pixel."""

_FLOAT = ir.FloatType()
_BYTE = ir.IntType(8)
_INT32 = ir.IntType(32)


class Tile(types.Type):
    """A block of vector registers.

    Parameters
    ----------
    rows : int
        Pixels.
    columns : int
        Vectors per pixel.
    lanes : int
        float32 numbers per vector.
    """

    def __init__(self, rows: int, columns: int, lanes: int) -> None:
        self.rows, self.columns, self.lanes = rows, columns, lanes
        super().__init__(name=f"Tile({rows}, {columns}, {lanes})")


@register_model(Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager: Any, tile: Tile) -> None:
        super().__init__(manager, tile, ir.ArrayType(_vector(tile.lanes), tile.rows * tile.columns))  # type: ignore[no-untyped-call]


def _vector(lanes: int) -> ir.VectorType:
    return ir.VectorType(_FLOAT, lanes)


class _Writer:
    """Writes LLVM instructions at one place of a function."""

    def __init__(self, context: Any, builder: Any) -> None:
        self.context, self.builder = context, builder

    def integer(self, value: int) -> Any:
        return ir.Constant(self.context.get_value_type(types.intp), value)

    def at(self, array_type: Any, array: Any, index: Any) -> Any:
        """Return the address of one element."""
        data = make_array(array_type)(self.context, self.builder, array).data
        return self.builder.gep(data, [index])

    def offset(self, index: Any, steps: int, stride: Any = None) -> Any:
        """Return index + steps * stride; without a stride index + steps."""
        step = self.integer(steps) if stride is None else self.builder.mul(stride, self.integer(steps))
        return self.builder.add(index, step)

    def load(self, array_type: Any, array: Any, index: Any, lanes: int) -> Any:
        pointer = self.at(array_type, array, index)
        pointer = self.builder.bitcast(pointer, _vector(lanes).as_pointer())
        return self.builder.load(pointer, align=4)

    def store(self, array_type: Any, array: Any, index: Any, vector: Any) -> None:
        pointer = self.at(array_type, array, index)
        pointer = self.builder.bitcast(pointer, vector.type.as_pointer())
        self.builder.store(vector, pointer, align=4)

    def splat(self, scalar: Any, lanes: int) -> Any:
        """Return a vector whose lanes are all ``scalar``."""
        empty = ir.Constant(_vector(lanes), ir.Undefined)
        first = self.builder.insert_element(empty, scalar, ir.Constant(_INT32, 0))
        all_first = ir.Constant(ir.VectorType(_INT32, lanes), [0] * lanes)
        return self.builder.shuffle_vector(first, empty, all_first)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """Return a * b + c, in one instruction where there is one."""
        name = f"llvm.fmuladd.v{a.type.count}f32"
        function_type = ir.FunctionType(a.type, [a.type] * 3)
        return self.builder.call(
            cgutils.get_or_insert_function(self.builder.module, function_type, name), [a, b, c]
        )

    def registers(self, tile: Any) -> list[Any]:
        return [self.builder.extract_value(tile, i) for i in range(tile.type.count)]

    def tile(self, registers: Sequence[Any]) -> Any:
        tile = ir.Constant(ir.ArrayType(registers[0].type, len(registers)), ir.Undefined)
        for i, register in enumerate(registers):
            tile = self.builder.insert_value(tile, register, i)
        return tile


def _tile_of(rows: Any, columns: Any, lanes: Any) -> Tile:
    shape = (rows, columns, lanes)
    if not all(isinstance(length, types.IntegerLiteral) for length in shape):
        raise TypingError(f"a tile's shape has to be known when compiling; got {shape}")
    return Tile(*(length.literal_value for length in shape))


def _require_floats(*arrays: Any) -> None:
    for array in arrays:
        if not (isinstance(array, types.Array) and array.dtype == types.float32 and array.ndim == 1):
            raise TypingError(f"expected a flat float32 array; got {array}")


@intrinsic
def tile_of_rows(typing: Any, rows: Any, columns: Any, lanes: Any, array: Any, index: Any) -> Any:
    """Fill every row of a new tile with the ``columns * lanes`` numbers at ``array[index]``: a bias."""
    _require_floats(array)
    tile = _tile_of(rows, columns, lanes)

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder)
        *_, array, index = arguments
        row = [
            w.load(signature.args[3], array, w.offset(index, column * tile.lanes), tile.lanes)
            for column in range(tile.columns)
        ]
        return w.tile(row * tile.rows)

    return tile(rows, columns, lanes, array, types.intp), write


@intrinsic
def tile_of_scalar(typing: Any, rows: Any, columns: Any, lanes: Any, value: Any) -> Any:
    """Fill a new tile with one number."""
    tile = _tile_of(rows, columns, lanes)

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder)
        return w.tile([w.splat(arguments[3], tile.lanes)] * (tile.rows * tile.columns))

    return tile(rows, columns, lanes, types.float32), write


@intrinsic
def tile_load(
    typing: Any, rows: Any, columns: Any, lanes: Any, array: Any, index: Any, row_stride: Any
) -> Any:
    """Load a new tile; its rows begin ``row_stride`` numbers apart."""
    _require_floats(array)
    tile = _tile_of(rows, columns, lanes)

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder)
        *_, array, index, row_stride = arguments
        registers = []
        for row in range(tile.rows):
            start = w.offset(index, row, row_stride)
            for column in range(tile.columns):
                here = w.offset(start, column * tile.lanes)
                registers.append(w.load(signature.args[3], array, here, tile.lanes))
        return w.tile(registers)

    return tile(rows, columns, lanes, array, types.intp, types.intp), write


@intrinsic
def tile_store(typing: Any, array: Any, index: Any, row_stride: Any, tile: Any) -> Any:
    """Store a tile; its rows begin ``row_stride`` numbers apart."""
    _require_floats(array)

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder)
        array, index, row_stride, value = arguments
        registers = iter(w.registers(value))
        for row in range(tile.rows):
            start = w.offset(index, row, row_stride)
            for column in range(tile.columns):
                here = w.offset(start, column * tile.lanes)
                w.store(signature.args[0], array, here, next(registers))
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, tile), write


@intrinsic
def tile_fma(typing: Any, tile: Any, x: Any, index: Any, row_stride: Any, weight: Any, at: Any) -> Any:
    """Add the outer product of one number per row and one weight per column.

    tile[row, column] += x[index + row * row_stride] * weight[at + column]: one input channel of ``rows``
    pixels meets its weights to ``columns * lanes`` output channels. The inner step of every dense
    convolution.
    """
    _require_floats(x, weight)

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder)
        value, x, index, row_stride, weight, at = arguments
        registers = w.registers(value)
        weights = [
            w.load(signature.args[4], weight, w.offset(at, column * tile.lanes), tile.lanes)
            for column in range(tile.columns)
        ]
        for row in range(tile.rows):
            scalar = builder.load(w.at(signature.args[1], x, w.offset(index, row, row_stride)), align=4)
            vector = w.splat(scalar, tile.lanes)
            for column in range(tile.columns):
                i = row * tile.columns + column
                registers[i] = w.fma(vector, weights[column], registers[i])
        return w.tile(registers)

    return tile(tile, x, types.intp, types.intp, weight, types.intp), write


@intrinsic
def tile_fma_window(
    typing: Any,
    tile: Any,
    taps: Any,
    step: Any,
    x: Any,
    index: Any,
    pixel_stride: Any,
    weight: Any,
    at: Any,
    weight_stride: Any,
) -> Any:
    """Add one row of a depthwise filter: channels do not mix.

    tile[row, column] += sum over k < ``taps`` of x[index + (row * step + k) * pixel_stride + column]
    * weight[at + k * weight_stride + column]. ``step`` is the stride of the convolution. Neighbouring windows
    overlap: what two rows share is loaded once.
    """
    _require_floats(x, weight)
    if not (isinstance(taps, types.IntegerLiteral) and isinstance(step, types.IntegerLiteral)):
        raise TypingError(f"taps and step have to be known when compiling; got {taps}, {step}")
    tap_count, stride = taps.literal_value, step.literal_value

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder)
        value, _, _, x, index, pixel_stride, weight, at, weight_stride = arguments
        registers = w.registers(value)
        for column in range(tile.columns):
            pixels: dict[int, Any] = {}
            for k in range(tap_count):
                weight_at = w.offset(w.offset(at, k, weight_stride), column * tile.lanes)
                factor = w.load(signature.args[6], weight, weight_at, tile.lanes)
                for row in range(tile.rows):
                    pixel = row * stride + k
                    if pixel not in pixels:
                        here = w.offset(w.offset(index, pixel, pixel_stride), column * tile.lanes)
                        pixels[pixel] = w.load(signature.args[3], x, here, tile.lanes)
                    i = row * tile.columns + column
                    registers[i] = w.fma(pixels[pixel], factor, registers[i])
        return w.tile(registers)

    intp = types.intp
    return tile(tile, taps, step, x, intp, intp, weight, intp, intp), write


@intrinsic
def tile_slope(typing: Any, tile: Any, slope: Any, index: Any) -> Any:
    """Multiply what is negative by its column's number at ``slope[index]``: every activation of both
    detectors.

    PReLU's learnt slopes, leaky ReLU's 0.1, ReLU's 0, and 1 for none.
    """
    _require_floats(slope)

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder)
        value, slope, index = arguments
        slopes = [
            w.load(signature.args[1], slope, w.offset(index, column * tile.lanes), tile.lanes)
            for column in range(tile.columns)
        ]
        zero = ir.Constant(_vector(tile.lanes), [0.0] * tile.lanes)
        registers = w.registers(value)
        for i, x in enumerate(registers):
            positive = builder.fcmp_ordered(">", x, zero)
            registers[i] = builder.select(positive, x, builder.fmul(x, slopes[i % tile.columns]))
        return w.tile(registers)

    return tile(tile, slope, types.intp), write


@intrinsic
def tile_choose(typing: Any, a: Any, b: Any, x: Any, y: Any) -> Any:
    """Return x where a > b, else y, number by number; all four are tiles of one shape."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder)
        registers = zip(*map(w.registers, arguments), strict=True)
        return w.tile([builder.select(builder.fcmp_ordered(">", *r[:2]), *r[2:]) for r in registers])

    return a(a, b, x, y), write


@intrinsic
def tile_max(typing: Any, a: Any, b: Any) -> Any:
    """Return the larger of two tiles, number by number."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder)
        pairs = zip(*map(w.registers, arguments), strict=True)
        return w.tile([builder.select(builder.fcmp_ordered(">", x, y), x, y) for x, y in pairs])

    return a(a, b), write


def _elementwise(operation: Any, instruction: str) -> None:
    """Let kernels write ``a + b`` for two tiles of one shape."""

    @intrinsic
    def apply(typing: Any, a: Any, b: Any) -> Any:
        def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            w = _Writer(context, builder)
            pairs = zip(*map(w.registers, arguments), strict=True)
            return w.tile([getattr(builder, instruction)(x, y) for x, y in pairs])

        return a(a, b), write

    @overload(operation, strict=False)
    def of_tiles(a: Any, b: Any) -> Any:
        if isinstance(a, Tile) and a == b:
            return lambda a, b: apply(a, b)
        return None


_elementwise(operator.add, "fadd")
_elementwise(operator.sub, "fsub")
_elementwise(operator.mul, "fmul")


@intrinsic
def tile_scaled_add(typing: Any, factor: Any, a: Any, b: Any) -> Any:
    """Return factor * a + b, with a number and two tiles."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder)
        factor, a_value, b_value = arguments
        vector = w.splat(factor, a.lanes)
        pairs = zip(w.registers(a_value), w.registers(b_value), strict=True)
        return w.tile([w.fma(vector, x, y) for x, y in pairs])

    return a(types.float32, a, b), write


@intrinsic
def tile_of_columns(typing: Any, rows: Any, columns: Any, lanes: Any, array: Any, index: Any) -> Any:
    """Fill row r of a new tile with the number ``array[index + r]``: a bias, where rows are channels."""
    _require_floats(array)
    tile = _tile_of(rows, columns, lanes)

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder)
        *_, array, index = arguments
        registers: list[Any] = []
        for row in range(tile.rows):
            scalar = builder.load(w.at(signature.args[3], array, w.offset(index, row)), align=4)
            registers += [w.splat(scalar, tile.lanes)] * tile.columns
        return w.tile(registers)

    return tile(rows, columns, lanes, array, types.intp), write


@intrinsic
def tile_slope_of_rows(typing: Any, tile: Any, slope: Any, index: Any) -> Any:
    """Multiply what is negative by its row's number at ``slope[index]``: the same where rows are channels."""
    _require_floats(slope)

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder)
        value, slope, index = arguments
        zero = ir.Constant(_vector(tile.lanes), [0.0] * tile.lanes)
        registers = w.registers(value)
        for i, x in enumerate(registers):
            here = w.offset(index, i // tile.columns)
            factor = w.splat(builder.load(w.at(signature.args[1], slope, here), align=4), tile.lanes)
            positive = builder.fcmp_ordered(">", x, zero)
            registers[i] = builder.select(positive, x, builder.fmul(x, factor))
        return w.tile(registers)

    return tile(tile, slope, types.intp), write


@intrinsic
def tile_scatter(typing: Any, count: Any, array: Any, index: Any, step: Any, tile: Any) -> Any:
    """Store the first ``count`` lanes of a tile of one register, ``step`` numbers apart."""
    _require_floats(array)
    if not isinstance(count, types.IntegerLiteral):
        raise TypingError(f"count has to be known when compiling; got {count}")
    lanes = count.literal_value

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w = _Writer(context, builder)
        _, array, index, step, value = arguments
        (register,) = w.registers(value)
        for lane in range(lanes):
            number = builder.extract_element(register, ir.Constant(_INT32, lane))
            builder.store(number, w.at(signature.args[1], array, w.offset(index, lane, step)), align=4)
        return context.get_dummy_value()

    return types.void(count, array, types.intp, types.intp, tile), write
