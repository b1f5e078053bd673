import logging
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

import minidet._jit
from minidet._jit import Compilation, _fingerprint_of_fast, jit, jit_fast, jit_inline


def double(x):
    return 2 * x


class Event:
    """What Numba tells a listener when it compiles ``function``."""

    def __init__(self, function):
        self.data = {"dispatcher": SimpleNamespace(py_func=function)}


@pytest.fixture
def ours(monkeypatch):
    monkeypatch.setattr(double, "__module__", "minidet.ops.double")
    return Event(double)


def test_a_kernel_without_a_place_for_its_cache_still_runs(monkeypatch):
    def refuse(function):
        raise RuntimeError("cannot cache function 'double': no locator available")

    monkeypatch.setattr(minidet._jit, "FunctionCache", refuse)
    monkeypatch.setattr(minidet._jit, "compilation", Compilation())
    assert jit(double)(np.float32(3)) == 6
    assert not minidet._jit.compilation.kept


class Files:
    """Where Numba would keep machine code on disk, in memory."""

    kept: ClassVar = {}

    def __init__(self, function):
        self._cache_file = SimpleNamespace(
            _source_stamp="date of the file", _data_name_pattern="double.{number:d}.nbc"
        )

    def load_overload(self, signature, target):
        return None

    def save_overload(self, signature, compiled):
        self.kept[signature] = self._cache_file._source_stamp


def test_nothing_is_looked_up_on_disk_before_the_first_call(monkeypatch):
    asked = []
    monkeypatch.setattr(
        minidet._jit, "FunctionCache", lambda function: asked.append(function) or Files(function)
    )
    kernel = jit(double)
    assert asked == []
    assert kernel(3) == 6
    assert asked == [double]


@pytest.mark.parametrize(
    ("decorator", "stamp"),
    [
        (jit, "date of the file"),
        (jit_fast, ("date of the file", "digest of fast")),
        (jit_inline, ("date of the file", "digest of fast")),
    ],
)
def test_a_kernel_of_fast_is_kept_with_the_digest_of_all_its_files(decorator, stamp, monkeypatch):
    monkeypatch.setattr(minidet._jit, "FunctionCache", Files)
    monkeypatch.setattr(minidet._jit, "_fingerprint_of_fast", lambda: "digest of fast")
    monkeypatch.setattr(Files, "kept", {})
    decorator(double)(3)
    assert list(Files.kept.values()) == [stamp]


def test_the_digest_changes_with_any_file_of_fast(tmp_path, monkeypatch):
    fast = tmp_path / "fast" / "kernels"
    fast.mkdir(parents=True)
    monkeypatch.setattr(minidet._jit, "__file__", str(tmp_path / "_jit.py"))
    digests = []
    for text in ("one", "two"):
        (fast / "kernel.py").write_text(text)
        digests.append(_fingerprint_of_fast.__wrapped__())
    (fast / "another.py").write_text("")
    digests.append(_fingerprint_of_fast.__wrapped__())
    (fast / "another.py").rename(fast / "renamed.py")
    digests.append(_fingerprint_of_fast.__wrapped__())
    assert len(set(digests)) == 4


def test_machine_code_is_kept_and_found_again(tmp_path):
    (tmp_path / "doubling.py").write_text(
        """\
import sys
import minidet._jit

minidet._jit._fingerprint_of_fast = lambda: sys.argv[1]

@minidet._jit.jit_fast
def double(x):
    return 2 * x

if __name__ == "__main__":
    double(3)
    print(sum(double.stats.cache_hits.values()))
"""
    )

    def hits(digest):
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
        command = [sys.executable, str(tmp_path / "doubling.py"), digest]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert [hits("a"), hits("a"), hits("b")] == [0, 1, 0]


def test_processes_that_compile_at_the_same_time_do_not_share_files(tmp_path):
    """Each compiles the kernel for another type; then either has to find the code for its own."""
    (tmp_path / "doubling.py").write_text(
        """\
import sys
import numpy as np
from minidet._jit import jit

@jit
def double(x):
    return 2 * x

if __name__ == "__main__":
    x = {"float": 1.5, "array": np.ones(2)}[sys.argv[1]]
    double._cache._files  # the index is looked up in one of them before the other has written it
    sys.stdin.readline()
    print(double(x), flush=True)
"""
    )

    def start(kind):
        command = [sys.executable, str(tmp_path / "doubling.py"), kind]
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "kept")}
        return subprocess.Popen(command, env=environment, stdin=-1, stdout=-1, stderr=-2, text=True)

    for _ in range(3):
        both = [start("float"), start("array")]
        for process in both:
            process.stdin.write("\n")
            process.stdin.flush()
        assert [process.communicate()[0] for process in both] == ["3.0\n", "[2. 2.]\n"]
    names = [path.name for path in (tmp_path / "kept").rglob("*.nbc")]
    assert len({name.split(".")[-3] for name in names}) == len(names)


def test_progress_is_told_every_few_seconds(ours, caplog, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("minidet._jit.time.perf_counter", lambda: now[0])
    listener = Compilation()
    for seconds in (1, 1, 1.5, 1, 4):
        listener.on_start(ours)
        now[0] += seconds
        listener.on_end(ours)
    assert [record.message for record in caplog.records][1:] == [
        "minidet: 3 kernels compiled so far ...",
        "minidet: 5 kernels compiled so far ...",
    ]


def test_the_first_compilation_is_announced_and_the_others_are_not(ours, caplog):
    listener = Compilation()
    with caplog.at_level(logging.WARNING, logger="minidet"):
        for _ in range(3):
            listener.on_start(ours)
            listener.on_end(ours)
    assert [record.message for record in caplog.records] == [
        "minidet: compiling its kernels for this machine (some seconds) ..."
    ]
    assert listener.kernels == 3


def test_a_kernel_inside_another_is_counted_but_its_time_is_not_counted_twice(ours, monkeypatch):
    clock = iter([10.0, 11.0, 12.0, 13.0])
    monkeypatch.setattr("minidet._jit.time.perf_counter", lambda: next(clock))
    listener = Compilation()
    listener.on_start(ours)
    listener.on_start(ours)
    listener.on_end(ours)
    listener.on_end(ours)
    assert (listener.kernels, listener.seconds) == (2, 3.0)


@pytest.mark.parametrize(("kept", "fate"), [(True, "kept for the next run"), (False, "not kept")])
def test_the_report_comes_once_and_says_whether_the_code_is_kept(ours, caplog, kept, fate):
    listener = Compilation()
    listener.on_start(ours)
    listener.on_end(ours)
    listener.kept = kept
    caplog.clear()
    listener.report()
    listener.report()
    (record,) = caplog.records
    assert record.message.startswith(f"minidet: compiled 1 kernels in {listener.seconds:.1f} s; {fate}")


def test_a_full_disk_is_no_reason_to_stop(monkeypatch):
    class Full(Files):
        def save_overload(self, signature, compiled):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(minidet._jit, "FunctionCache", Full)
    monkeypatch.setattr(minidet._jit, "compilation", Compilation())
    assert jit(double)(3) == 6
    assert not minidet._jit.compilation.kept


def test_other_peoples_functions_are_none_of_our_business(caplog):
    listener = Compilation()
    with caplog.at_level(logging.WARNING, logger="minidet"):
        listener.on_start(Event(double))
        listener.on_end(Event(double))
    assert listener.kernels == 0
    assert not caplog.records
