"""The log: cut back at any step and written again, it is the log of a run that was never interrupted."""

import errno
import json
import math
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.training.log import RunLog

LAST = 6


def records_of(step):
    """What a run writes at a step; every third has a validation, too."""
    yield {"kind": "train", "step": step, "loss": 1 / step, "box": 0.1 * step, "lr": 0.01}
    if step % 3 == 0:
        yield {"kind": "validation", "step": step, "recall": 1 - 1 / step, "name": "é"}


def write(path, first=1, last=LAST):
    log = RunLog(path, after_step=first - 1)
    for step in range(first, last + 1):
        for record in records_of(step):
            log.add(record)
    return log


ALL = [record for step in range(1, LAST + 1) for record in records_of(step)]


def refuses(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run/log.jsonl"


# ---- What is written is read -----------------------------------------------------------------------


def test_a_new_one_is_empty_and_there(path):
    RunLog(path, after_step=0)
    assert path.read_bytes() == b""
    assert RunLog.read(path) == []


def test_records_come_back_in_order(path):
    write(path)
    assert RunLog.read(path) == ALL
    assert [json.loads(line) for line in path.read_text().splitlines()] == ALL


def test_a_line_is_there_when_add_returns(path):
    log = RunLog(path, after_step=0)
    for count, record in enumerate(ALL, start=1):
        log.add(record)
        assert RunLog.read(path) == ALL[:count]


def test_a_killed_process_loses_no_line(path):
    program = (
        "import os, signal, sys; from pathlib import Path; from minidet.training.log import RunLog\n"
        "log = RunLog(Path(sys.argv[1]), after_step=0)\n"
        "for step in range(1, 100): log.add({'kind': 'train', 'step': step})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", program, path]).returncode == -9
    assert [record["step"] for record in RunLog.read(path)] == list(range(1, 100))


def test_the_json_is_strict(path):
    log = RunLog(path, after_step=0)
    record = {
        "step": 1,
        "nan": math.nan,
        "infinite": -math.inf,
        "numpy": [np.float32(0.5), np.int64(3), np.float32(np.nan), np.bool_(True)],
        "within": {"tuple": (math.inf, 1), "none": None, "text": "NaN"},
    }
    log.add(record)
    assert path.read_text() == (
        '{"step": 1, "nan": null, "infinite": null, "numpy": [0.5, 3, null, true], '
        '"within": {"tuple": [null, 1], "none": null, "text": "NaN"}}\n'
    )
    assert math.isnan(record["nan"])  # the caller's record stays


def test_a_step_of_numpy(path):
    log = RunLog(path, after_step=0)
    log.add({"step": np.int64(3)})
    assert RunLog.read(path) == [{"step": 3}]


def test_numbers_come_back_bit_for_bit(path):
    values = np.random.default_rng(5).normal(size=100).tolist()
    RunLog(path, after_step=0).add({"step": 1, "values": values})
    assert RunLog.read(path)[0]["values"] == values


# ---- Resumed ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", range(LAST + 1))
@pytest.mark.parametrize("stopped", range(LAST + 1))
def test_stopped_and_resumed_it_is_the_same_file(path, tmp_path, stopped, after):
    write(tmp_path / "whole.jsonl")
    write(path, last=stopped)
    resumed_at = min(after, stopped)  # a checkpoint is never ahead of the log
    RunLog(path, after_step=resumed_at)
    assert {record["step"] for record in RunLog.read(path)} == set(range(1, resumed_at + 1))
    write(path, first=resumed_at + 1)
    assert path.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_cut_at_every_byte(path, tmp_path):
    write(path)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    assert len(lines) == len(ALL) == 8
    cut_path = tmp_path / "cut.jsonl"
    for cut in range(len(whole) + 1):
        cut_path.write_bytes(whole[:cut])
        complete = whole[:cut].count(b"\n")
        assert RunLog.read(cut_path) == ALL[:complete]
        RunLog(cut_path, after_step=4)
        assert cut_path.read_bytes() == b"".join(lines[: min(complete, 5)]), cut


def test_a_log_behind_its_checkpoint_goes_on(path):
    write(path, last=2)
    log = RunLog(path, after_step=4)
    log.add({"step": 5})
    assert [record["step"] for record in RunLog.read(path)] == [1, 2, 5]


def test_a_run_from_the_start_begins_a_new_file(path):
    path.parent.mkdir()
    path.write_text('{"step": 0}\n{"step": 1}\n')  # by hand: add() takes no step 0
    RunLog(path, after_step=0)
    assert path.read_bytes() == b""


# ---- Two runs, one file ----------------------------------------------------------------------------

CHANGED = "was changed by something else; is another training running there? Give each a folder of its own"


def test_whoever_writes_second_notices(path):
    first, second = RunLog(path, after_step=0), RunLog(path, after_step=0)
    first.add({"step": 1})
    with refuses(f"{path} {CHANGED}"):
        second.add({"step": 1})
    assert path.read_text() == '{"step": 1}\n'
    first.add({"step": 2})


def test_a_run_whose_log_another_has_cut_notices(path):
    first = write(path)
    second = RunLog(path, after_step=2)
    with refuses(f"{path} {CHANGED}"):
        first.add({"step": LAST + 1})
    second.add({"step": 3})
    assert [record["step"] for record in RunLog.read(path)] == [1, 2, 3]


# ---- What is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0, -1, 1.0, "1", None])
def test_a_step_is_a_whole_number_from_1_up(path, step):
    with refuses(f"RunLog.add: step={step!r}; expected a whole number from 1 up"):
        RunLog(path, after_step=0).add({"step": step})
    assert path.read_bytes() == b""


def test_steps_do_not_fall(path):
    log = RunLog(path, after_step=0)
    for step in (3, 3, 5):
        log.add({"step": step})
    with refuses("RunLog.add: step=4; expected a whole number from 5 up"):
        log.add({"step": 4})
    resumed = RunLog(path, after_step=3)
    with refuses("RunLog.add: step=2; expected a whole number from 3 up"):
        resumed.add({"step": 2})


def test_a_record_without_step(path):
    with refuses("RunLog.add: step=None; expected a whole number from 1 up"):
        RunLog(path, after_step=0).add({"loss": 1.0})


@pytest.mark.parametrize("content", [b"notes", b"\xff\xd8\xff\xe0", b"\0\0\0"])
def test_a_file_without_a_line_that_is_no_log_is_kept(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    for use in (RunLog.read, lambda path: RunLog(path, after_step=0)):
        with refuses(f"{path} is no log of a training; give another folder, or delete that file"):
            use(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "line", [b"", b"notes", b"7", b"[]", b"{}", b'{"step": "1"}', b'{"step": null}', b"\xff", b"[" * 100_000]
)
def test_a_line_that_is_no_record_is_refused_and_counted(path, line):
    write(path)
    with path.open("ab") as file:
        file.write(line + b"\n")
    before = path.read_bytes()
    for use in (RunLog.read, lambda path: RunLog(path, after_step=LAST)):
        with refuses(f"{path} line 9 is no record of a training; delete the file"):
            use(path)
    assert path.read_bytes() == before


def test_a_folder_in_its_place(tmp_path):
    for use in (RunLog.read, lambda path: RunLog(path, after_step=0)):
        with refuses(f"{tmp_path} is a folder; expected a file"):
            use(tmp_path)


def test_a_file_in_place_of_its_folder(tmp_path):
    (tmp_path / "run").write_text("mine")
    with refuses(f"cannot write {tmp_path / 'run/log.jsonl'}: File exists"):
        RunLog(tmp_path / "run/log.jsonl", after_step=0)


def test_reading_one_that_is_not_there(path):
    with refuses(f"{path} does not exist; check the path"):
        RunLog.read(path)


def test_a_folder_that_vanishes(path):
    log = write(path)
    path.unlink()
    path.parent.rmdir()
    with refuses(f"cannot write {path}: No such file or directory"):
        log.add({"step": LAST + 1})


def test_a_full_disk_leaves_no_half_line(path):
    resource = pytest.importorskip("resource", reason="Windows has no limit on the size of a file")
    log = write(path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, hard))
    try:
        with refuses(f"cannot write {path}: {os.strerror(errno.EFBIG)}"):
            log.add({"step": LAST + 1, "text": "x" * 100})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    log.add({"step": LAST + 1})
    assert RunLog.read(path) == [*ALL, {"step": LAST + 1}]
