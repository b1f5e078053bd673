"""Counters that several threads change at the same time, for code that Numba compiles.

NumPy arrays of int64 hold the counters. An increment is one indivisible instruction, and whatever a thread
has written before its increment is seen by a thread that has read the result.
"""

from __future__ import annotations

import platform
import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.np.arrayobj import make_array

from minidet.fast.intrinsic import intrinsic

_X86 = platform.machine().lower() in {"x86_64", "amd64"}


@intrinsic
def fetch_and_increment(typing: Any, counters: Any, index: Any) -> Any:
    """Add one to ``counters[index]`` and return what it was before."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _element(context, builder, signature, arguments)
        return builder.atomic_rmw("add", pointer, ir.Constant(ir.IntType(64), 1), "acq_rel")

    return types.int64(counters, types.intp), write


@intrinsic
def read_counter(typing: Any, counters: Any, index: Any) -> Any:
    """Return ``counters[index]`` as the other threads have left it."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _element(context, builder, signature, arguments)
        return builder.load_atomic(pointer, "acquire", align=8)

    return types.int64(counters, types.intp), write


@intrinsic
def pause(typing: Any) -> Any:
    """Tell the processor that this thread waits in a loop."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if _X86:
            _call(builder, "llvm.x86.sse2.pause", ir.VoidType())
        return context.get_dummy_value()

    return types.void(), write


@intrinsic
def yield_processor(typing: Any) -> Any:
    """Let the operating system run another thread, where it can be asked to."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if sys.platform != "win32":
            _call(builder, "sched_yield", ir.IntType(32))
        return context.get_dummy_value()

    return types.void(), write


@intrinsic
def cycle_counter(typing: Any) -> Any:
    """Return the processor's clock, which ticks evenly; 0 where a program may not read it."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if _X86:
            return _call(builder, "llvm.readcyclecounter", ir.IntType(64))
        return ir.Constant(ir.IntType(64), 0)

    return types.int64(), write


def _element(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    counters, index = arguments
    data = make_array(signature.args[0])(context, builder, counters).data
    return builder.gep(data, [index])


def _call(builder: Any, name: str, result: Any) -> Any:
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, []), name)
    return builder.call(function, [])
