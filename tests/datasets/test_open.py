"""``open_dataset``: KIND:PATH, and what is said of anything else."""

from __future__ import annotations

import pytest
from PIL import Image

from minidet.datasets import Annotation, Dataset
from minidet.datasets import open as module
from minidet.datasets.celeba import read_celeba
from minidet.datasets.coco import read_coco
from minidet.datasets.open import READERS, open_dataset
from minidet.datasets.points import read_points
from minidet.datasets.voc import read_voc
from minidet.datasets.widerface import read_widerface
from minidet.datasets.yolo import read_yolo
from minidet.errors import InputError

KINDS = "widerface, voc, coco, yolo, points, celeba or synthetic"


@pytest.fixture
def faces(tmp_path):
    """A folder of Pascal VOC."""
    folder = tmp_path / "faces"
    folder.mkdir()
    Image.new("RGB", (40, 30)).save(folder / "a.png")
    (folder / "a.xml").write_text(
        "<annotation><filename>a.png</filename><object><name>face</name><bndbox><xmin>11</xmin><ymin>6</ymin>"
        "<xmax>30</xmax><ymax>25</ymax></bndbox></object></annotation>"
    )
    return folder


@pytest.fixture
def asked(monkeypatch):
    """Replace the reader of VOC; returns the paths that it is given."""
    paths = []

    def read(path):
        paths.append(path)
        return Dataset([Annotation("a.jpg", "a.jpg", [])], "another name")

    monkeypatch.setitem(READERS, "voc", read)
    monkeypatch.setattr(module.os.path, "exists", lambda path: True)
    return paths


def test_reads(faces):
    dataset = open_dataset(f"voc:{faces}")
    assert dataset.source == f"voc:{faces}"
    assert dataset.annotations[0].boxes.tolist() == [[10, 5, 30, 25]]


def test_each_kind_has_its_reader():
    readers = [read_widerface, read_voc, read_coco, read_yolo, read_points, read_celeba]
    kinds = ["widerface", "voc", "coco", "yolo", "points", "celeba"]
    assert dict(zip(kinds, readers, strict=True)) == READERS


@pytest.mark.parametrize("path", [r"C:\faces", "C:/faces", "a:b:c", "faces/", "."])
def test_the_first_colon_counts(asked, path):
    assert open_dataset(f"voc:{path}").source == f"voc:{path}"
    assert asked == [path]


def test_home(asked, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert open_dataset("voc:~/faces").source == "voc:~/faces"
    assert asked == [f"{tmp_path}/faces"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("pascal:faces/", f"no kind of data set 'pascal'; expected KIND:PATH with a KIND of {KINDS}"),
        ("VOC:faces/", f"no kind of data set 'VOC'; expected KIND:PATH with a KIND of {KINDS}"),
        ("Synthetic:9", f"no kind of data set 'Synthetic'; expected KIND:PATH with a KIND of {KINDS}"),
        ("synthetic", f"data set 'synthetic' has no colon; expected KIND:PATH with a KIND of {KINDS}"),
        (":faces/", f"no kind of data set ''; expected KIND:PATH with a KIND of {KINDS}"),
        ("faces", f"data set 'faces' has no colon; expected KIND:PATH with a KIND of {KINDS}"),
        ("voc", f"data set 'voc' has no colon; expected KIND:PATH with a KIND of {KINDS}"),
        ("", f"data set '' has no colon; expected KIND:PATH with a KIND of {KINDS}"),
        ("voc:", "data set 'voc:' has no path; expected one after the colon"),
        ("voc:faces", "data set 'voc:faces': there is no 'faces'; check the path"),
        (None, "data set None; expected a text KIND:PATH"),
        ("points:a\0b", r"data set 'points:a\x00b': there is no 'a\x00b'; check the path"),
    ],
)
def test_errors(source, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        open_dataset(source)
    assert str(error.value) == message


def test_a_path_without_a_kind(faces, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        open_dataset("faces")
    assert str(error.value) == "data set 'faces' has no kind before its path; expected voc:faces"


def test_a_path_of_several_kinds(faces, asked, monkeypatch):
    monkeypatch.setitem(READERS, "points", READERS["voc"])
    with pytest.raises(InputError, match=r"expected voc:.*faces or points:.*faces$"):
        open_dataset(str(faces))


def test_a_path_that_no_kind_reads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    with pytest.raises(InputError) as error:
        open_dataset("notes")
    assert str(error.value) == (
        f"data set 'notes' has no kind before its path; expected KIND:notes, but of {KINDS} none can read it"
    )


def test_what_the_reader_says_goes_through(tmp_path):
    with pytest.raises(InputError, match="holds no xml files"):
        open_dataset(f"voc:{tmp_path}")
