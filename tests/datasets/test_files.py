import os
import struct
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

import minidet
from minidet.datasets import _files
from minidet.datasets._files import (
    FileIndex,
    check_folder,
    check_number,
    image_size,
    list_files,
    parse_number,
    parse_whole,
    read_bytes,
    read_lines,
    read_text,
    relative_name,
    subfolder,
    write_text,
)
from minidet.errors import InputError


@pytest.mark.parametrize("orientation", [None, 1, 3, 5, 6, 8])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "bmp"])
def test_image_size_is_that_of_read_image(tmp_path: Path, suffix: str, orientation: int | None) -> None:
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.new("RGB", (30, 20)).save(path, **({} if suffix == "bmp" else {"exif": exif}))
    height, width, _ = minidet.read_image(path).shape
    assert image_size(path) == (width, height)
    assert (width > height) == (suffix == "bmp" or orientation not in (5, 6, 8))


def test_png_with_its_orientation_behind_the_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20)).save(path, exif=exif)
    data = path.read_bytes()
    start = data.index(b"eXIf") - 4
    end = start + 12 + struct.unpack(">I", data[start : start + 4])[0]
    before, chunk, after = data[:start], data[start:end], data[end:]
    stop = after.index(b"IEND") - 4
    path.write_bytes(before + after[:stop] + chunk + after[stop:])
    assert minidet.read_image(path).shape == (30, 20, 3)
    assert image_size(path) == (20, 30)


def test_plain_png_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(image: Image.Image) -> None:
        decoded.append(image.filename)

    decoded: list[str] = []
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    monkeypatch.setattr(PngImageFile, "load", load)
    assert image_size(tmp_path / "a.png") == (30, 20)
    assert decoded == []


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_garbage_for_an_exif_block_is_no_orientation(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (30, 20)).save(path, exif=b"Exif\0\0garbage")
    assert image_size(path) == (30, 20)


def test_large_photograph_gives_no_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    assert image_size(tmp_path / "a.png") == (30, 20)


@pytest.mark.parametrize("data", [b"", b"text", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"])
def test_image_size_of_what_is_no_picture(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.jpg"):
        image_size(path)
    with pytest.raises(InputError, match=r"b\.jpg does not exist"):
        image_size(tmp_path / "b.jpg")
    with pytest.raises(InputError, match="is a folder; expected a file"):
        image_size(tmp_path)


def test_read_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeff 1 2 \r\n\r\né\t\n \nlast".encode())
    assert read_lines(path) == [
        (f"{path} line 1", "1 2"),
        (f"{path} line 3", "é"),
        (f"{path} line 5", "last"),
    ]


def test_what_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for read in (read_text, read_lines, read_bytes):
        with pytest.raises(InputError, match=r"a\.txt does not exist"):
            read(path)
        with pytest.raises(InputError, match="is a folder; expected a file"):
            read(tmp_path)
    path.write_bytes(b"\xff\xfe1\x002\x00")
    with pytest.raises(InputError, match=r"a\.txt is not a text file in UTF-8"):
        read_text(path)
    path.write_bytes(b"a\0.jpg 1 2 3")
    with pytest.raises(InputError, match=r"a\.txt is not a text file: it holds a zero byte"):
        read_text(path)
    with pytest.raises(InputError, match=r"does not exist; check the path"):
        check_folder(tmp_path / ("a" * 5000))


def test_numbers() -> None:
    assert parse_number(" -1.5e1 ", "a", "x") == -15
    assert parse_whole("3.0", "a", "x") == 3
    assert check_number(3, "a", "x") == 3.0
    for text in ("", "x", "1 2", "nan", "-inf", "1e13"):
        with pytest.raises(InputError, match=r"a line 3: x1 is .*; expected a number"):
            parse_number(text, "a line 3", "x1")
    with pytest.raises(InputError, match=r"a: x is '3\.5'; expected a whole number"):
        parse_whole("3.5", "a", "x")
    for value in (None, True, "3", [3], float("nan"), float("inf"), 10**400):
        with pytest.raises(InputError, match=r"a: x is .*; expected a number"):
            check_number(value, "a", "x")


def test_write_text(tmp_path: Path) -> None:
    path = tmp_path / "new/folder/a.txt"
    write_text(path, "é\n")
    write_text(path, "ü\n")
    assert path.read_bytes() == "ü\n".encode()
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(InputError, match=r"cannot write .*a\.txt/b\.txt: "):
        write_text(path / "b.txt", "")
    for folder in (Path("."), Path("/"), tmp_path):
        with pytest.raises(InputError, match="is a folder; expected a file"):
            write_text(folder, "")


def test_an_older_file_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "a.txt"
    write_text(path, "old")
    monkeypatch.setattr(_files.os, "replace", full)
    with pytest.raises(InputError, match=r"cannot write .*a\.txt: No space left on device"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_file_index(tmp_path: Path) -> None:
    for name in ("b.JPG", "a10.png", "a2.png", "sub/a.Jpeg", "sub/A.jpeg", "x.txt", ".a.jpg", ".git/a.jpg"):
        write_text(tmp_path / name, "")
    index = FileIndex(tmp_path)
    assert index.names == ["a10.png", "a2.png", "b.JPG", "sub/A.jpeg", "sub/a.Jpeg"]
    assert (index.find("B.jpg"), index.find("b.JPG"), index.find("b")) == ("b.JPG", "b.JPG", None)
    assert (index.find_stem("b"), index.find_stem("B"), index.find_stem("x")) == ("b.JPG", "b.JPG", None)
    assert (index.find_stem("sub/a"), index.find_stem("sub/A")) == ("sub/a.Jpeg", "sub/A.jpeg")
    write_text(tmp_path / "b.png", "")
    assert FileIndex(tmp_path).find_stem("b") == "b.JPG"  # of several the first
    assert FileIndex(tmp_path / "none").names == []
    assert list_files(tmp_path, {".txt"}) == ["x.txt"]
    with pytest.raises(InputError, match="none does not exist"):
        list_files(tmp_path / "none", {".txt"})


def test_subfolder(tmp_path: Path) -> None:
    (tmp_path / "JPEGImages").mkdir()
    write_text(tmp_path / "images", "")  # a file
    assert subfolder(tmp_path, "images", "jpegimages") == tmp_path / "JPEGImages"
    assert subfolder(tmp_path, "labels") is None


def test_relative_name() -> None:
    names = [
        "a.jpg",
        "b\\a.jpg",
        "/x/a.jpg",
        "C:\\x\\a.jpg",
        "C:a.jpg",
        "../../a.jpg",
        "./b//a.jpg",
        " a .jpg",
        "..",
    ]
    assert [relative_name(name) for name in names] == [
        "a.jpg", "b/a.jpg", "x/a.jpg", "x/a.jpg", "a.jpg", "a.jpg", "b/a.jpg", " a .jpg", "",
    ]  # fmt: skip
