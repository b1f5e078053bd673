"""``minidet weights``: list, verify, convert."""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import minidet
from minidet.cli import weights as verb
from minidet.weights import SHIPPED, load_npz, shipped
from minidet.weights.convert_mtcnn import LAYER_NAMES

MTCNN, RETINAFACE = SHIPPED["mtcnn"], SHIPPED["retinaface_mobilenet025"]


def write_torch_file(path, state):
    """Write float32 arrays as torch.save does, without torch: a zip of a pickle and raw numbers."""

    def code(value):
        return pickle.dumps(value, protocol=2)[2:-1]

    program = b"\x80\x02}("
    with zipfile.ZipFile(path, "w") as archive:
        for key, (name, array) in enumerate(state.items()):
            archive.writestr(f"archive/data/{key}", np.ascontiguousarray(array, "<f4").tobytes())
            storage = (
                code("storage")
                + b"ctorch\nFloatStorage\n"
                + b"".join(map(code, (str(key), "cpu", array.size)))
            )
            stride = tuple(step // array.itemsize for step in np.ascontiguousarray(array).strides)
            window = b"".join(map(code, (0, array.shape, stride)))
            hooks = b"ccollections\nOrderedDict\n)R"
            program += code(name) + b"ctorch._utils\n_rebuild_tensor_v2\n((" + storage + b"tQ" + window
            program += b"\x89" + hooks + b"tR"
        archive.writestr("archive/data.pkl", program + b"u.")


@pytest.fixture
def facenet(tmp_path):
    """A folder with facenet-pytorch's three files, made of the shipped numbers."""
    folder = tmp_path / "mtcnn"  # like the shipped weights of that name, which must not be taken instead
    folder.mkdir()
    _, state = load_npz(MTCNN.path)
    for network, names in LAYER_NAMES.items():
        theirs = {ours: name for name, ours in names.items()}
        part = {}
        for name, array in state.items():
            if name.startswith(network):
                layer, _, kind = name.removeprefix(f"{network}.").rpartition(".")
                part[f"{theirs.get(layer, layer)}.{kind}"] = array
        write_torch_file(folder / f"{network}.pt", part)
    return folder


@pytest.fixture
def damaged(tmp_path, monkeypatch):
    """Replace the folder of the shipped files by one with a damaged file and good ones."""
    for weights in SHIPPED.values():
        (tmp_path / weights.path.name).write_bytes(weights.path.read_bytes())
    (tmp_path / "mtcnn.npz").write_bytes(MTCNN.path.read_bytes()[:-1000])
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)


# ---- list ------------------------------------------------------------------------------------------


def test_list(run):
    status, out, err = run("weights", "list")
    assert (status, err) == (0, "")
    header, *rows = out.splitlines()
    assert header.split() == ["name", "architecture", "licence", "size", "origin", "card"]
    assert len(rows) == len(SHIPPED)
    for row, weights in zip(rows, SHIPPED.values(), strict=True):
        size = f"{weights.path.stat().st_size / 1e6:.1f} MB"
        for title, value in [
            ("name", weights.name),
            ("architecture", weights.architecture),
            ("licence", weights.licence),
            ("size", size),
            ("origin", weights.origin),
            ("card", str(weights.card)),
        ]:
            assert row.startswith(value, header.index(title)), title
        assert weights.card.is_file()


# ---- verify ----------------------------------------------------------------------------------------


def test_verify_all(run):
    status, out, err = run("weights", "verify")
    assert (status, err) == (0, "")
    assert out.splitlines() == [f"{name}: intact, sha256 {SHIPPED[name].sha256}" for name in SHIPPED]


def test_verify_one(run):
    assert run("weights", "verify", "mtcnn").out == f"mtcnn: intact, sha256 {MTCNN.sha256}\n"


def test_verify_unknown_name(run_error):
    message = run_error("weights", "verify", "mtcnn", "resnet")
    assert "'resnet'" in message
    assert "mtcnn or retinaface_mobilenet025" in message


def test_verify_other_numbers(run, monkeypatch):
    monkeypatch.setitem(SHIPPED, "mtcnn", replace(MTCNN, sha256="0" * 64))
    status, out, err = run("weights", "verify")
    assert status == 2
    others = [weights for name, weights in SHIPPED.items() if name != "mtcnn"]
    assert out.splitlines() == [f"{one.name}: intact, sha256 {one.sha256}" for one in others]
    assert err == f"minidet: error: {MTCNN.path} has checksum {MTCNN.sha256}; expected {'0' * 64}\n"


def test_verify_damaged_file(run, damaged):
    status, out, err = run("weights", "verify")
    assert status == 2
    assert out.startswith("retinaface_mobilenet025: intact")
    assert err.startswith("minidet: error: ")
    assert err.count("\n") == 1
    assert str(MTCNN.path) in err


# ---- convert ---------------------------------------------------------------------------------------


def test_convert(facenet, photo, tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    status, out, err = run("weights", "convert", "mtcnn", "mine.npz")
    assert (status, err) == (0, "")
    architecture, state = load_npz("mine.npz")
    assert architecture == "mtcnn"
    assert [line.split(maxsplit=1) for line in out.splitlines()] == [
        ["architecture", "mtcnn"],
        [
            "parameters",
            f"{sum(array.size for array in state.values()):,} in {len(state)} arrays, "
            "batch norm statistics included",
        ],
        ["sha256", MTCNN.sha256],  # the same numbers under the same names as in the shipped file
        ["written", "to    mine.npz"],
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.npz", "mtcnn", "photo.jpg"]
    found = run("detect", photo, "--json", "--model", "mtcnn", "--weights", "mine.npz").out
    assert found == run("detect", photo, "--json", "--model", "mtcnn").out


def test_convert_retinaface(tmp_path, monkeypatch, run):
    monkeypatch.setattr(verb, "read_checkpoint", lambda source: load_npz(RETINAFACE.path))
    status, out, _ = run("weights", "convert", "some.pth", tmp_path / "mine.npz")
    assert status == 0
    assert RETINAFACE.sha256 in out
    assert isinstance(minidet.RetinaFace(weights=tmp_path / "mine.npz"), minidet.RetinaFace)


@pytest.mark.slow
def test_convert_the_public_resnet(tmp_path, photo, run):
    public = Path(__file__).parents[1] / "oracles" / "torch_files" / "retinaface_resnet50.pth"
    status, out, _ = run("weights", "convert", public, tmp_path / "mine.npz")
    assert status == 0
    assert out.startswith("architecture  retinaface_resnet50\n")
    assert load_npz(tmp_path / "mine.npz")[0] == "retinaface_resnet50"
    assert run("detect", photo, "--weights", tmp_path / "mine.npz", "--json").status == 0


def test_convert_does_not_overwrite(facenet, tmp_path, run, run_error):
    path = tmp_path / "mine.npz"
    path.write_text("precious")
    message = run_error("weights", "convert", facenet, path)
    assert repr(str(path)) in message
    assert "--force" in message
    assert path.read_text() == "precious"
    assert run("weights", "convert", facenet, path, "--force").status == 0
    assert load_npz(path)[0] == "mtcnn"


@pytest.mark.parametrize("name", ["mine.pth", "nowhere/mine.npz"])
def test_convert_to_a_bad_destination(name, facenet, tmp_path, run_error):
    assert repr(str(tmp_path / name)) in run_error("weights", "convert", facenet, tmp_path / name)


def test_convert_of_something_else(tmp_path, run_error):
    text = tmp_path / "text.pth"
    text.write_text("no weights")
    for source in (text, tmp_path / "missing.pth", MTCNN.path):
        assert str(source) in run_error("weights", "convert", source, tmp_path / "mine.npz")
    assert not (tmp_path / "mine.npz").exists()


def test_convert_of_weights_that_do_not_fit(facenet, tmp_path, run_error):
    (facenet / "rnet.pt").write_bytes((facenet / "pnet.pt").read_bytes())
    message = run_error("weights", "convert", facenet, tmp_path / "mine.npz")
    assert "RNet" in message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mtcnn"]  # and no file half done
