"""The harness kills when it says so, and takes no program for one that goes on when it does not."""

import subprocess
import sys

import numpy as np
import pytest

from tests.training.harness import last_step, run_killed

# Counts to 100 in a log, goes on from the last full ten, and notes each of its starts.
COUNTER = """
import os, pathlib, time
log, starts = pathlib.Path("log"), pathlib.Path("starts")
with starts.open("a") as file:
    file.write(str(os.getpid()) + os.linesep)
lines = log.read_text().splitlines(keepends=True) if log.exists() else []
done = len(lines) // 10 * 10
log.write_text("".join(lines[:done]))
for step in range(done + 1, 101):
    with log.open("a") as file:
        file.write('{"kind": "train", "step": %d}\\n' % step)
    time.sleep(0.002)
print("done after", 100 - done)
"""


def run(folder, program, *, kills=6, seed=1, **options):
    command = [sys.executable, "-S", "-c", program]
    return run_killed(
        command,
        lambda: last_step(folder / "log"),
        steps=100,
        kills=kills,
        rng=np.random.default_rng(seed),
        cwd=folder,
        **options,
    )


def test_it_kills_and_then_lets_the_program_finish(tmp_path):
    killed = run(tmp_path, COUNTER, longest_delay=0.01)
    assert len(killed.steps) == 6
    assert len(set(killed.steps)) >= 3  # at different places
    assert max(killed.steps) < 100
    assert len((tmp_path / "starts").read_text().split()) in range(4, 8)  # some die before they can note it
    assert (tmp_path / "log").read_text().count("\n") == 100
    assert killed.output.startswith("done after ")
    assert killed.output != "done after 100\n"


def test_without_kills_it_runs_once(tmp_path):
    killed = run(tmp_path, COUNTER, kills=0)
    assert killed.steps == []
    assert killed.output == "done after 100\n"
    assert len((tmp_path / "starts").read_text().split()) == 1


def test_a_program_that_ends_too_early_is_told(tmp_path):
    with pytest.raises(AssertionError, match="ended with status 3 before it was killed: oh\n"):
        run(tmp_path, "print('oh'); raise SystemExit(3)")


def test_a_program_that_fails_in_the_end_is_told(tmp_path):
    with pytest.raises(AssertionError, match="oh"):
        run(tmp_path, "print('oh'); raise SystemExit(3)", kills=0)


def test_a_program_that_does_not_get_on_is_told(tmp_path):
    with pytest.raises(AssertionError, match=r"step 0 of [0-9]+ after 0\.2 seconds"):
        run(tmp_path, "import time; time.sleep(60)", timeout=0.2, longest_delay=0)


def test_a_program_that_does_not_end_is_told(tmp_path):
    with pytest.raises(subprocess.TimeoutExpired):
        run(tmp_path, "import time; time.sleep(60)", timeout=0.2, kills=0)


def test_much_output_does_not_stop_the_program(tmp_path):
    assert len(run(tmp_path, "print('x' * 1_000_000)", kills=0).output) == 1_000_001


@pytest.mark.parametrize(
    ("content", "step"),
    [
        (None, 0),
        ("", 0),
        ('{"kind": "train", "step": 3', 0),
        ('{"kind": "train", "step": 3}\n', 3),
        ('{"kind": "train", "step": 3, "loss": 1.0}\n{"step": 14, "lr": 1}\n{"step": 15', 14),
        ("notes\n", 0),
    ],
)
def test_the_last_step_of_a_log(tmp_path, content, step):
    log = tmp_path / "log.jsonl"
    if content is not None:
        log.write_text(content)
    assert last_step(log) == step
