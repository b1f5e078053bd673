"""Which images are found, and where their pictures go."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest
from PIL import Image

from minidet.cli.files import (
    InputImage,
    find_images,
    is_annotated,
    make_writable,
    output_paths,
    save_annotated,
)
from minidet.errors import InputError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names(images: list[InputImage], folder: Path) -> list[str]:
    return [Path(image.name).relative_to(folder).as_posix() for image in images]


def test_a_folder_is_searched_with_its_subfolders(tmp_path):
    touch(tmp_path, "z.JPG", "a.webp", "m/n/b.Tiff", "m/a.jpeg", "m.bmp", "README", "film.mp4", "jpg")
    touch(tmp_path, ".a.jpg", ".git/a.jpg", "m/.cache/x/a.jpg")
    found = find_images([str(tmp_path)])
    assert names(found, tmp_path) == ["a.webp", "m/a.jpeg", "m/n/b.Tiff", "m.bmp", "z.JPG"]
    assert [image.subfolder.as_posix() for image in found] == [".", "m", "m/n", ".", "."]


def test_a_hidden_folder_is_searched_if_it_is_named(tmp_path):
    touch(tmp_path, ".album/a.jpg")
    assert names(find_images([str(tmp_path / ".album")]), tmp_path) == [".album/a.jpg"]


def test_files_are_taken_as_they_are(tmp_path):
    touch(tmp_path, "photo", ".photo")
    arguments = [str(tmp_path / "photo"), "-", str(tmp_path / ".photo"), "missing"]
    assert [image.name for image in find_images(arguments)] == arguments


def test_dash_is_standard_input_even_beside_a_folder_of_that_name(tmp_path, monkeypatch):
    touch(tmp_path, "-/a.jpg")
    monkeypatch.chdir(tmp_path)
    assert find_images(["-"]) == [InputImage("-")]
    assert [image.name for image in find_images(["./-"])] == ["-/a.jpg"]


def test_one_folder_without_images_among_others(tmp_path):
    touch(tmp_path, "full/a.jpg", "bare/notes.txt")
    image, bare = find_images([str(tmp_path / "full"), str(tmp_path / "bare")])
    assert Path(image.source).name == "a.jpg"
    with pytest.raises(InputError, match=r"no images in the folder '.*bare'"):
        _ = bare.source


def test_a_subfolder_that_cannot_be_looked_into_is_named_and_the_rest_is_found(tmp_path, monkeypatch):
    touch(tmp_path, "a.jpg", "closed/b.jpg")
    scan = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may look everywhere, so this is played
    image, closed = find_images([str(tmp_path)])
    assert image.stem == "a"
    with pytest.raises(InputError, match=r"cannot look into '.*closed' \(Permission denied\)"):
        _ = closed.source


def test_closed_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="standard input is closed"):
        _ = InputImage("-").source


def test_every_image_has_its_own_output(tmp_path):
    images = [
        InputImage(name) for name in ["x/a.jpg", "x/a.png", "y/a.jpg", "x/a_2.jpg", "x/A.jpg", "x/a.jpg"]
    ]
    paths = output_paths(images, tmp_path)
    assert [path.name for path in paths] == [
        "a_faces.png",
        "a_2_faces.png",
        "a_3_faces.png",
        "a_2_2_faces.png",
        "A_4_faces.png",  # a file system may take A_faces.png for a_faces.png
        "a_5_faces.png",
    ]
    assert paths == output_paths(images, tmp_path)


def test_no_input_is_overwritten(tmp_path):
    touch(tmp_path, "a.jpg", "a_faces.png", "b.jpg", "b_faces.png")
    save_annotated(Image.new("RGB", (4, 4)), tmp_path / "b_faces.png")
    inputs = [InputImage(str(tmp_path / name)) for name in ["a.jpg", "b.jpg", "b_faces.png"]]
    assert [path.name for path in output_paths(inputs, tmp_path)] == [
        "a_2_faces.png",  # a_faces.png is somebody's file
        "b_2_faces.png",  # b_faces.png is minidet's, but an input here
        "b_faces_faces.png",
    ]


def test_no_input_is_overwritten_through_a_link(tmp_path):
    touch(tmp_path, "photos/a_faces.png", "a.jpg")
    (tmp_path / "drawn").symlink_to(tmp_path / "photos")
    save_annotated(Image.new("RGB", (4, 4)), tmp_path / "photos/a_faces.png")
    inputs = [InputImage(str(tmp_path / "a.jpg")), InputImage(str(tmp_path / "photos/a_faces.png"))]
    first, _ = output_paths(inputs, tmp_path / "drawn")
    assert first.name == "a_2_faces.png"


def test_annotated_pictures_know_their_author(tmp_path):
    ours, theirs = tmp_path / "a_faces.png", tmp_path / "b_faces.png"
    save_annotated(Image.new("RGB", (4, 4)), ours)
    Image.new("RGB", (4, 4)).save(theirs)
    assert is_annotated(ours)
    assert not is_annotated(theirs)
    assert not is_annotated(tmp_path / "missing_faces.png")
    assert not is_annotated(ours.rename(tmp_path / "kept.png"))  # renamed: it is the user's now


def test_make_writable_tries_to_write(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)  # root may write everywhere, so this is played
    with pytest.raises(InputError, match="Permission denied"):
        make_writable(tmp_path)


def test_make_writable(tmp_path):
    make_writable(tmp_path / "a" / "b")
    make_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file"):
        make_writable(tmp_path / "file")
