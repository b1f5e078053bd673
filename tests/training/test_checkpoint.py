"""Checkpoints: every bit comes back, and whatever happens to a file, a whole one is used or none."""

import errno
import hashlib
import io
import json
import logging
import os
import re
import stat
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.training.checkpoint import Checkpoints

RECIPE = {"data": {"source": "test:é", "seed": 7}, "lr": 0.1, "sides": [320, 640], "init": None}


def some_state(seed=0):
    """An array of every kind that a training has, and some that it might have one day."""
    rng = np.random.default_rng(seed)
    return {
        "model.conv1.weight": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "model.bn.running_var": rng.normal(size=5),
        "optimizer.steps": np.array(seed, np.int64),
        "optimizer.lr": np.array(0.1),
        "optimizer.velocity.é": rng.normal(size=(2, 3)).astype(np.float32),
        "empty": np.zeros((0, 3), np.float32),
        "flags": np.array([True, False]),
        "bytes": rng.integers(0, 256, 9, np.uint8),
        "text": np.array(["a", "né"]),
        "special": np.array([np.nan, -np.nan, np.inf, -np.inf, -0.0, 5e-324]),
        "turned": np.asfortranarray(rng.normal(size=(3, 4))),
        "every other": rng.normal(size=8)[::2],
        "big endian": np.arange(3, dtype=">i4"),
        # Names that the file, NumPy or its options use themselves.
        "header": np.arange(2),
        "file": np.arange(3),
        "allow_pickle": np.arange(4),
        "x.npy": np.arange(5),
    }


def bits(state):
    return {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in state.items()}


def open_folder(folder, recipe=RECIPE, **options):
    return Checkpoints(folder, recipe=recipe, **options)


def fill(folder, steps=(300, 600, 900), **options):
    """Save a checkpoint per step, with the step in its state."""
    checkpoints = open_folder(folder, **options)
    for step in steps:
        checkpoints.save(step, some_state(step), {"best": step / 7})
    return [folder / f"checkpoint-{step:08d}.npz" for step in steps]


def assert_is(checkpoint, step):
    assert checkpoint.step == step
    assert checkpoint.extra == {"best": step / 7}
    assert bits(checkpoint.state) == bits(some_state(step))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def refuses(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def warnings(caplog):
    caplog.set_level(logging.WARNING, "minidet")
    return caplog


# ---- What is written is read -----------------------------------------------------------------------


def test_there_is_none_in_a_new_folder(tmp_path):
    assert open_folder(tmp_path / "new/run").load() is None
    assert names(tmp_path / "new/run") == []


def test_every_bit_comes_back(folder, warnings):
    fill(folder)
    assert_is(open_folder(folder).load(), 900)
    assert not warnings.messages


def test_arrays_can_be_written_to(folder):
    fill(folder)
    for array in open_folder(folder).load().state.values():
        array[...] = array


def test_a_state_of_nothing(folder):
    open_folder(folder).save(0, {}, {})
    checkpoint = open_folder(folder).load()
    assert (checkpoint.step, checkpoint.state, checkpoint.extra) == (0, {}, {})


EXTRA = {
    "float": 0.1 + 0.2,
    "generator": np.random.default_rng(3).bit_generator.state,
    "callbacks": [{"best": None}, {}, [True, 1, 1.5, "é\n"]],
}


def test_plain_values_come_back(folder):
    open_folder(folder).save(1, {}, EXTRA)
    assert open_folder(folder).load().extra == EXTRA
    generator = np.random.default_rng(0)
    generator.bit_generator.state = open_folder(folder).load().extra["generator"]
    assert generator.random() == np.random.default_rng(3).random()


@pytest.mark.parametrize("step", [np.int64(12), 12])
def test_the_step_is_in_the_name(folder, step):
    path = open_folder(folder).save(step, {}, {})
    assert path == folder / "checkpoint-00000012.npz"
    assert path.is_file()
    assert open_folder(folder).load().step == 12


def test_steps_are_compared_as_numbers(folder):
    fill(folder, (99_999_999, 100_000_000))
    assert_is(open_folder(folder).load(), 100_000_000)


def test_the_same_gives_the_same_bytes(folder, tmp_path):
    one, other = fill(folder, [5]), fill(tmp_path / "other", [5])
    assert one[0].read_bytes() == other[0].read_bytes()


def test_numpy_reads_the_arrays(folder):
    (path,) = fill(folder, [5])
    with np.load(path, allow_pickle=False) as archive:
        assert archive["state.optimizer.steps"] == 5
        assert json.loads(str(archive["header"]))["recipe"] == RECIPE


# ---- Which are kept --------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_newest_are_kept(folder, keep):
    paths = fill(folder, range(100, 600, 100), keep=keep)
    assert names(folder) == [path.name for path in paths[-keep:]]


def test_also_across_a_resumption(folder):
    fill(folder, (100, 200))
    resumed = open_folder(folder)
    resumed.load()
    resumed.save(300, {}, {})
    assert names(folder) == ["checkpoint-00000200.npz", "checkpoint-00000300.npz"]


def test_saving_a_step_again_replaces_it(folder):
    fill(folder, (100, 200))
    resumed = open_folder(folder)
    resumed.load()
    resumed.save(200, {}, {"again": True})
    assert names(folder) == ["checkpoint-00000100.npz", "checkpoint-00000200.npz"]
    assert open_folder(folder).load().extra == {"again": True}


def test_other_files_stay_and_are_not_read(folder, warnings):
    fill(folder, [100])
    others = [
        "log.jsonl",
        "checkpoint-0000900.npz",
        "checkpoint-00000900.npz.bak",
        "my-checkpoint-00000900.npz",
    ]
    for name in others:
        (folder / name).write_text("mine")
    resumed = open_folder(folder, keep=1)
    assert_is(resumed.load(), 100)
    assert not warnings.messages
    resumed.save(200, {}, {})
    assert names(folder) == sorted([*others, "checkpoint-00000200.npz"])


def test_what_a_killed_process_left_half_written_is_removed(folder):
    fill(folder, [100])
    (folder / ".checkpoint-00000200.npz.4711.draft").write_bytes(b"PK")
    (folder / ".mine.draft").write_bytes(b"")
    assert_is(open_folder(folder).load(), 100)
    assert names(folder) == [".mine.draft", "checkpoint-00000100.npz"]


# ---- Damage ----------------------------------------------------------------------------------------

DAMAGED = "it is cut short or altered: its checksum is another"


def test_cut_short_at_any_place(folder, warnings):
    newest = fill(folder)[-1]
    whole = newest.read_bytes()
    for length in [*range(200), *range(200, len(whole) - 200, 61), *range(len(whole) - 200, len(whole))]:
        newest.write_bytes(whole[:length])
        warnings.clear()
        assert open_folder(folder).load().step == 600
        assert warnings.messages == [
            f"checkpoint-00000900.npz is refused ({DAMAGED}); going on from checkpoint-00000600.npz"
        ]
    newest.write_bytes(whole)
    assert_is(open_folder(folder).load(), 900)


def test_any_flipped_bit_is_noticed(folder):
    fill(folder, [600])
    newest = fill(folder / "other", [900])[0].rename(folder / "checkpoint-00000900.npz")
    whole = newest.read_bytes()
    checkpoints = open_folder(folder)
    for position in [*range(0, len(whole), 97), *range(len(whole) - 90, len(whole))]:
        altered = bytearray(whole)
        altered[position] ^= 1 << position % 8
        newest.write_bytes(altered)
        assert checkpoints.load().step == 600, position
    newest.write_bytes(whole)
    assert checkpoints.load().step == 900


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content + b"\0",
        lambda content: b"\0" * len(content),
        lambda content: content[: len(content) // 2] + b"\0" * (len(content) - len(content) // 2),
        lambda content: b"\0" + content,
        lambda content: content[512:] + content[:512],
    ],
    ids=["one more", "zeros", "half zeros", "shifted", "turned"],
)
def test_other_damage(folder, warnings, damage):
    newest = fill(folder)[-1]
    newest.write_bytes(damage(newest.read_bytes()))
    assert_is(open_folder(folder).load(), 600)
    assert len(warnings.messages) == 1


def seal(path, text):
    """Write a file whose digest is right, as a newer minidet might."""
    file = io.BytesIO()
    np.savez(file, header=np.array(text))
    with zipfile.ZipFile(file, "a") as archive:
        archive.comment = b"0" * 64
    content = file.getvalue()[:-64]
    path.write_bytes(content + hashlib.sha256(content).hexdigest().encode())


def header(**changes):
    return json.dumps({"format": 1, "step": 900, "recipe": RECIPE, "extra": {}} | changes)


def test_sealing_gives_a_file_that_is_accepted(folder):
    newest = fill(folder)[-1]
    seal(newest, header())
    assert open_folder(folder).load().step == 900


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (header(format=2), "it has format 2; this version of minidet reads 1"),
        (header(format=2, step=None), "it has format 2; this version of minidet reads 1"),
        (header(step=901), "it is of step 901"),
        (json.dumps({"format": 1, "extra": {}}), "it was not written by minidet"),
        (header(step="x"), "it was not written by minidet"),
        (header(recipe=7), "it was not written by minidet"),
        ("[]", "it was not written by minidet"),
        ("notes", "it was not written by minidet"),
    ],
)
def test_a_whole_file_that_is_no_such_checkpoint(folder, warnings, text, reason):
    newest = fill(folder)[-1]
    seal(newest, text)
    assert_is(open_folder(folder).load(), 600)
    assert warnings.messages == [
        f"checkpoint-00000900.npz is refused ({reason}); going on from checkpoint-00000600.npz"
    ]


@pytest.mark.parametrize("content", [b"a letter", b"", b"PK\3\4 a letter", b"\x93NUMPY", b"\x80\4N."])
def test_a_whole_file_of_something_else(folder, warnings, content):
    newest = fill(folder)[-1]
    newest.write_bytes(content + hashlib.sha256(content).hexdigest().encode())
    assert_is(open_folder(folder).load(), 600)
    assert "(it was not written by minidet)" in warnings.messages[0]


def test_one_that_cannot_be_read(folder, warnings):
    newest = fill(folder)[-1]
    newest.unlink()
    newest.mkdir()
    assert_is(open_folder(folder).load(), 600)
    assert warnings.messages == [
        "checkpoint-00000900.npz is refused (Is a directory); going on from checkpoint-00000600.npz"
    ]


def test_each_damaged_one_is_named(folder, warnings):
    paths = fill(folder, keep=3)
    for path in paths[1:]:
        path.write_bytes(b"")
    assert_is(open_folder(folder).load(), 300)
    assert warnings.messages == [
        f"checkpoint-00000900.npz is refused ({DAMAGED}); going on from checkpoint-00000300.npz",
        f"checkpoint-00000600.npz is refused ({DAMAGED}); going on from checkpoint-00000300.npz",
    ]


def test_no_whole_one_is_an_error_that_names_them(folder, warnings):
    for path in fill(folder)[1:]:
        path.write_bytes(path.read_bytes()[:-1])
    with refuses(
        f"{folder} has no whole checkpoint: checkpoint-00000900.npz ({DAMAGED}), "
        f"checkpoint-00000600.npz ({DAMAGED}); delete them to begin anew"
    ):
        open_folder(folder).load()
    assert not warnings.messages
    assert len(names(folder)) == 2


def test_an_older_damaged_one_is_not_looked_at(folder, warnings):
    fill(folder)[-2].write_bytes(b"")
    assert_is(open_folder(folder).load(), 900)
    assert not warnings.messages


def test_a_damaged_one_does_not_count_as_kept(folder):
    paths = fill(folder)
    paths[-1].write_bytes(b"")  # 900
    resumed = open_folder(folder)
    resumed.load()  # 600
    resumed.save(700, some_state(700), {"best": 100.0})
    assert names(folder) == [f"checkpoint-00000{step}.npz" for step in (600, 700, 900)]
    resumed.save(900, some_state(900), {"best": 900 / 7})
    assert names(folder) == [f"checkpoint-00000{step}.npz" for step in (700, 900)]
    assert_is(open_folder(folder).load(), 900)
    resumed.save(1000, {}, {})
    assert names(folder) == ["checkpoint-00000900.npz", "checkpoint-00001000.npz"]


def test_a_damaged_one_goes_when_it_is_old(folder):
    fill(folder)[-1].write_bytes(b"")
    resumed = open_folder(folder)
    resumed.load()
    resumed.save(950, {}, {})
    assert names(folder) == [f"checkpoint-00000{step}.npz" for step in (600, 900, 950)]
    resumed.save(1000, {}, {})
    assert names(folder) == ["checkpoint-00000950.npz", "checkpoint-00001000.npz"]


# ---- Another recipe --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"lr": 0.2}, "lr: 0.1 there, 0.2 here"),
        ({"init": False}, "init: null there, false here"),
        ({"sides": [320]}, "sides: [320, 640] there, [320] here"),
        ({"data": {"source": "test:é", "seed": 8}}, "data.seed: 7 there, 8 here"),
        ({"data": {"source": "test:é", "seed": 7.0}}, "data.seed: 7 there, 7.0 here"),
        ({"data": {"source": "test:é"}}, "data.seed: 7 there, nothing here"),
        ({"more": {}}, "more: nothing there, {} here"),
    ],
)
def test_another_recipe_is_refused_and_the_difference_named(folder, change, difference):
    paths = fill(folder)
    with refuses(
        f"{paths[-1]} is of a training with another recipe ({difference}); "
        "give another folder, or delete its checkpoints"
    ):
        open_folder(folder, RECIPE | change).load()
    assert len(names(folder)) == 2


def test_the_order_of_a_recipe_does_not_matter(folder):
    fill(folder)
    assert_is(open_folder(folder, dict(reversed(RECIPE.items()))).load(), 900)


def test_a_recipe_may_have_tuples(folder):
    fill(folder)
    assert_is(open_folder(folder, RECIPE | {"sides": (320, 640)}).load(), 900)


def test_a_recipe_that_changes_later_does_not_change_the_checkpoints(folder):
    recipe = {"lr": [0.1]}
    checkpoints = open_folder(folder, recipe)
    recipe["lr"][0] = 0.2
    checkpoints.save(1, {}, {})
    assert open_folder(folder, {"lr": [0.1]}).load().step == 1


# ---- What cannot be saved --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [np.array([None]), np.array(["a", 1], object), 0.5, None, [1.0], np.array([(1, None)], "i4,O")]
)
def test_what_is_no_array_of_numbers_is_refused(folder, value):
    with refuses("Checkpoints.save: 'model.w' in `state` is no array of numbers"):
        open_folder(folder).save(1, {"model.w": value}, {})
    assert names(folder) == []


@pytest.mark.parametrize("value", [(1, 2), {1: 2}, [{"a": ((),)}], {None: 1}])
def test_values_that_json_would_change_are_refused(folder, value):
    with pytest.raises(InputError, match="`extra` has tuples, or keys that are no text"):
        open_folder(folder).save(1, {}, {"callback": value})


@pytest.mark.parametrize("value", [np.float32(1), np.nan, np.inf, Path(), {1, 2}, {(1, 2): 3}])
def test_values_that_json_has_no_word_for_are_refused(folder, value):
    with pytest.raises(InputError, match=r"^Checkpoints: `extra` is not of plain, finite values: .+$"):
        open_folder(folder).save(1, {}, {"callback": value})
    with pytest.raises(InputError, match=r"^Checkpoints: `recipe` is not of plain, finite values: .+$"):
        open_folder(folder, {"callback": value})


@pytest.mark.parametrize("step", [-1, 1.0, None, "1"])
def test_a_step_is_a_whole_number(folder, step):
    with refuses(f"Checkpoints.save: step={step!r}; expected a whole number from 0 up"):
        open_folder(folder).save(step, {}, {})


@pytest.mark.parametrize("keep", [0, 1.5])
def test_one_at_least_is_kept(folder, keep):
    with refuses(f"Checkpoints: keep={keep!r}; expected a whole number from 1 up"):
        open_folder(folder, keep=keep)


# ---- Two trainings, one folder ---------------------------------------------------------------------

STRANGER = (
    "from which this training did not begin; is another one running there? Give each a folder of its own"
)


def test_a_second_training_does_not_write_into_the_folder_of_a_first(folder):
    first, second = open_folder(folder), open_folder(folder)
    assert first.load() is None
    assert second.load() is None
    first.save(100, some_state(100), {"best": 100 / 7})
    for step in (50, 100, 200):
        with refuses(f"{folder} holds checkpoint-00000100.npz, {STRANGER}"):
            second.save(step, {}, {})
    assert names(folder) == ["checkpoint-00000100.npz"]
    assert_is(open_folder(folder).load(), 100)


def test_nor_does_one_that_did_not_look(folder):
    fill(folder)
    with refuses(f"{folder} holds checkpoint-00000900.npz, {STRANGER}"):
        open_folder(folder).save(1200, {}, {})
    assert len(names(folder)) == 2


def test_one_that_was_overtaken_notices(folder):
    fill(folder, [100])
    first, second = open_folder(folder), open_folder(folder)
    first.load()
    second.load()
    first.save(200, {}, {})
    with refuses(f"{folder} holds checkpoint-00000200.npz, {STRANGER}"):
        second.save(150, {}, {})


# ---- A folder that cannot be written ---------------------------------------------------------------


def test_a_file_in_place_of_the_folder(tmp_path):
    path = tmp_path / "run"
    path.write_text("mine")
    with refuses(f"cannot write to the folder {path}: File exists"):
        open_folder(path)
    with refuses(f"cannot write to the folder {path / 'sub'}: Not a directory"):
        open_folder(path / "sub")


def test_a_folder_that_vanishes(folder):
    checkpoints = open_folder(folder)
    folder.rmdir()
    with refuses(f"cannot read the folder {folder}: No such file or directory"):
        checkpoints.load()
    with refuses(f"cannot read the folder {folder}: No such file or directory"):
        checkpoints.save(1, {}, {})


def test_a_folder_for_reading_only(read_only_folder):
    checkpoints = open_folder(read_only_folder)
    assert checkpoints.load() is None
    path = read_only_folder / "checkpoint-00000001.npz"
    with refuses(f"cannot write {path}: Permission denied; older checkpoints are kept"):
        checkpoints.save(1, {}, {})
    with refuses(f"cannot write to the folder {read_only_folder / 'run'}: Permission denied"):
        open_folder(read_only_folder / "run")
    assert names(read_only_folder) == []


@pytest.fixture
def read_only_folder():
    with tempfile.TemporaryDirectory() as name:  # not tmp_path, which is for its owner only
        os.chmod(name, 0o555)
        user = os.geteuid()
        if user == 0:  # who may write everywhere; as nobody the same holds as for anybody
            os.seteuid(65534)
        yield Path(name)
        os.seteuid(user)


# ---- A disk that is full, power that fails ---------------------------------------------------------


def no_space(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_older_ones(folder, monkeypatch, call):
    paths = fill(folder)
    checkpoints = open_folder(folder)
    checkpoints.load()
    monkeypatch.setattr(os, call, no_space)
    new = folder / "checkpoint-00001200.npz"
    with refuses(f"cannot write {new}: No space left on device; older checkpoints are kept"):
        checkpoints.save(1200, some_state(1200), {"best": 1200 / 7})
    assert names(folder) == [path.name for path in paths[1:]]
    assert_is(open_folder(folder).load(), 900)
    monkeypatch.undo()
    checkpoints.save(1200, some_state(1200), {"best": 1200 / 7})  # somebody has made room
    assert_is(open_folder(folder).load(), 1200)


def test_a_disk_that_fills_up_in_the_middle_of_a_file(folder):
    resource = pytest.importorskip("resource", reason="Windows has no limit on the size of a file")
    paths = fill(folder)
    checkpoints = open_folder(folder)
    checkpoints.load()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(
            InputError, match=r"^cannot write .*1200\.npz: File too large; older checkpoints are"
        ):
            checkpoints.save(1200, some_state(1200), {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(folder) == [path.name for path in paths[1:]]
    assert_is(open_folder(folder).load(), 900)


def test_the_bytes_are_on_the_disk_before_the_name_and_the_name_before_older_ones_go(folder, monkeypatch):
    old = fill(folder, [100], keep=1)[0]
    checkpoints = open_folder(folder, keep=1)
    checkpoints.load()
    fsync, replace, unlink = os.fsync, os.replace, Path.unlink
    calls = []

    def noted_fsync(number):
        kind = "folder" if stat.S_ISDIR(os.fstat(number).st_mode) else f"{os.fstat(number).st_size} bytes"
        calls.append(f"fsync {kind}")
        fsync(number)

    def noted_replace(source, target):
        calls.append(f"rename to {target.name}")
        replace(source, target)

    def noted_unlink(path, missing_ok=False):
        if path.exists():
            calls.append(f"delete {path.name}")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    monkeypatch.setattr(Path, "unlink", noted_unlink)
    new = checkpoints.save(200, some_state(200), {"best": 200 / 7})
    assert calls == [
        f"fsync {new.stat().st_size} bytes",
        f"rename to {new.name}",
        "fsync folder",
        f"delete {old.name}",
    ]


# ---- Killed ----------------------------------------------------------------------------------------

KILLED_TWENTY_TIMES = r"""
import os, random, signal, sys, time
from pathlib import Path
import numpy as np
from minidet.training.checkpoint import Checkpoints

folder = Path(sys.argv[1])
clock = random.Random(4)


def load():
    checkpoints = Checkpoints(folder, recipe={})
    checkpoint = checkpoints.load()
    if checkpoint is None:
        return checkpoints, 0
    assert checkpoint.extra == {"step": checkpoint.step}
    for array in checkpoint.state.values():
        assert array.shape == (120_000,)
        assert (array == checkpoint.step).all()
    return checkpoints, checkpoint.step


def save_for_ever(pipe):
    checkpoints, step = load()
    while True:
        step += 1
        state = {name: np.full(120_000, step, np.float32) for name in "abc"}
        checkpoints.save(step, state, {"step": step})
        os.write(pipe, b"%d\n" % step)


step, drafts = 0, 0
for _ in range(20):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        save_for_ever(writer)
    os.close(writer)
    time.sleep(clock.uniform(0.005, 0.15))
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL  # nothing else had ended it
    with os.fdopen(reader) as lines:
        promised = max(map(int, lines.read().split()), default=0)
    drafts += len(list(folder.glob(".*.draft")))
    last = max(step, promised)
    step = load()[1]
    assert step in (last, last + 1)  # it may have died before it could tell
load()[0].save(step + 1, {"a": np.full(120_000, step + 1, np.float32)}, {"step": step + 1})
assert len(list(folder.iterdir())) == 2  # what the dead had no time to delete is deleted, too
print(step, drafts)
"""


def test_killed_at_any_moment(folder):
    result = subprocess.run(
        [sys.executable, "-c", KILLED_TWENTY_TIMES, folder], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert "refused" not in result.stderr  # no file was damaged, even for a moment
    step, drafts = map(int, result.stdout.split())
    assert step >= 1
    assert drafts >= 1  # some did die in the middle of writing
