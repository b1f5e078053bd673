"""On which machine: a time without it means nothing."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import llvmlite.binding as llvm

from minidet.fast.simd import LANES, host_features
from minidet.fast.team import usable_processors

_FEATURES = ("avx512f", "avx512vl", "avx2", "fma", "neon", "sve")


def describe_machine() -> dict[str, str]:
    """Return the processor, its vectors, its number, the system and Python, each in a few words."""
    return {
        "processor": _processor(),
        "vectors": f"{LANES} float32 ({', '.join(_features()) or 'no features told'})",
        "processors": str(usable_processors()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        match = None
    name = match[1] if match else platform.processor() or platform.machine()
    return f"{name} ({llvm.get_host_cpu_name()})"


def _features() -> list[str]:
    return [name for name in _FEATURES if name in host_features()]
