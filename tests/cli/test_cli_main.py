"""The frame around the verbs: help, errors, exit status, and the ways a command may be cut short."""

from __future__ import annotations

import io
import json
import pkgutil
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

import minidet
from minidet.api import Detector
from minidet.cli import main
from minidet.detectors import MTCNNSettings, RetinaFaceSettings

# ---- help ------------------------------------------------------------------------------------------


def test_without_arguments_prints_help(run):
    status, out, err = run()
    assert (status, err) == (0, "")
    assert out.startswith("usage: minidet ")
    assert "detect" in out
    assert "weights" in out


def test_weights_without_action_prints_its_help(run):
    status, out, err = run("weights")
    assert (status, err) == (0, "")
    assert out.startswith("usage: minidet weights ")
    assert "convert" in out


@pytest.mark.parametrize("verb", [["detect"], ["weights", "verify"], ["weights", "convert"], []])
def test_help_option(verb, capsys):
    with pytest.raises(SystemExit) as end:
        main([*verb, "--help"])
    assert end.value.code == 0
    out, err = capsys.readouterr()
    assert out.startswith(" ".join(["usage: minidet", *verb]))
    assert err == ""


def test_help_tells_the_defaults_of_the_library(capsys):
    with pytest.raises(SystemExit):
        main(["detect", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert f"default: {RetinaFaceSettings().score_threshold} for retinaface" in text
    assert f"{MTCNNSettings().score_thresholds[2]} for mtcnn" in text
    assert f"default: {MTCNNSettings().min_face_size}" in text
    assert "default: retinaface" in text
    assert minidet.RetinaFace().settings == RetinaFaceSettings()
    assert minidet.MTCNN().settings == MTCNNSettings()


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"minidet {minidet.__version__}\n"


def test_console_script_is_main():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert pkgutil.resolve_name(project["scripts"]["minidet"]) is main


# ---- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "value", "expected"),
    [
        (["find"], "'find'", "'detect', 'weights'"),
        (["detect", "--colour"], "--colour", "--help"),
        (["detect", "--js"], "--js", "--help"),  # no abbreviations
        (["detect", "--save"], "--save", "expected one argument"),
        (["detect", "--model", "yolo"], "'yolo'", "'retinaface', 'mtcnn'"),
        (["detect", "--min-score", "2"], "--min-score: '2'", "a number from 0 to 1"),
        (["detect", "--min-score", "-0.1"], "--min-score: '-0.1'", "a number from 0 to 1"),
        (["detect", "--min-score", "nan"], "--min-score: 'nan'", "a number from 0 to 1"),
        (["detect", "--min-score", "high"], "--min-score: 'high'", "a number from 0 to 1"),
        (["detect", "--min-face", "0"], "--min-face: '0'", "a number of pixels, at least 1"),
        (["detect", "--min-face", "inf"], "--min-face: 'inf'", "a number of pixels, at least 1"),
        (["detect", "--min-face", "big"], "--min-face: 'big'", "a number of pixels, at least 1"),
        (["weights", "show"], "'show'", "'list', 'verify', 'convert'"),
        (["weights", "convert", "a.pth"], "DST", "required"),
    ],
)
def test_bad_option_is_one_line(arguments, value, expected, run_error):
    message = run_error(*arguments)
    assert value in message
    assert expected in message
    assert message.endswith("--help")


def test_other_exceptions_are_bugs_and_show(photo, monkeypatch, run):
    def detect(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(Detector, "detect", detect)
    with pytest.raises(RuntimeError, match="a bug"):
        run("detect", photo)


def test_line_breaks_in_a_message_are_removed(run_error):
    assert "'ma\\nny'" in run_error("weights", "verify", "ma\nny")
    assert "a b" in run_error("detect", "--a\nb")


def test_ctrl_c(photo, monkeypatch, run):
    def detect(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Detector, "detect", detect)
    assert run("detect", photo) == (130, "", "minidet: interrupted\n")


def test_file_name_that_the_terminal_cannot_show(photo, monkeypatch):
    name = photo.with_name("caf\u00e9.jpg")
    shutil.copy(photo, name)
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(["detect", str(name)]) == 0
    assert rb"caf\xe9.jpg: 1 face in " in terminal.buffer.getvalue()


# ---- real processes --------------------------------------------------------------------------------


def test_python_m(photo, start):
    out, err = start("-m", "minidet", "detect", "-", "--json").communicate(photo.read_bytes())
    assert err == b""
    (record,) = json.loads(out)
    assert record["image"] == "-"
    assert record["faces"] == minidet.detect(photo).to_dicts()


def test_exit_status_of_python_m(start):
    process = start("-m", "minidet", "detect", "missing.jpg")
    out, err = process.communicate()
    assert (process.returncode, out) == (2, b"")
    assert err.startswith(b"minidet: error: ")
    assert err.count(b"\n") == 1


def test_reader_that_goes_away(photo, start):
    process = start("-m", "minidet", "detect", *[photo] * 20)
    assert b"photo.jpg: 1 face in " in process.stdout.readline()
    process.stdout.close()  # as `| head -1` does
    assert process.stderr.read() == b""
    assert process.wait() == 141
    process.stdin.close()
    process.stderr.close()


def test_reader_that_never_came(start):
    process = start("-m", "minidet", "--help")
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 0
    process.stdin.close()
    process.stderr.close()


def test_without_image_in_a_process_of_its_own(tmp_path, portrait_path, start):
    script = (
        "import sys; from minidet.cli import main; status = main(['detect']); "
        "print('matplotlib' in sys.modules); sys.exit(status)"
    )
    process = start("-c", script)
    out, err = process.communicate()
    lines = out.decode().splitlines()
    assert lines[0].startswith(f"{portrait_path}: 1 face in ")
    assert lines[2:] == ["  drawn in grace_hopper_faces.png", "False"]
    assert err.decode() == f"minidet: no image given; using the bundled portrait {portrait_path}\n"
    assert process.returncode == 0
    assert (tmp_path / "grace_hopper_faces.png").is_file()


@pytest.mark.slow
def test_compilation_is_announced_once(photo, start, tmp_path):
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "NUMBA_DISABLE_JIT": "0"}
    arguments = ["-m", "minidet", "detect", "--json", photo, photo]
    cold, cold_err = start(*arguments, **environment).communicate()
    first, *progress, last = cold_err.decode().splitlines()
    assert first.startswith("minidet: compiling ")
    assert all(line.endswith(" kernels compiled so far ...") for line in progress)
    assert last.startswith("minidet: compiled ")
    warm, warm_err = start(*arguments, **environment).communicate()
    assert warm_err == b""
    assert json.loads(cold) == json.loads(warm)
    assert Path(environment["NUMBA_CACHE_DIR"]).is_dir()
