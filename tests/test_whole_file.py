"""A file is there whole or not at all."""

import os

import pytest

from minidet._whole_file import write_whole


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "a"
    write_whole(path, lambda file: file.write(b"first"))

    def fail(file):
        file.write(b"sec")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left on device"):
        write_whole(path, fail)
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_the_new_content_takes_the_place_of_the_old(tmp_path):
    path = tmp_path / "a"
    for content in (b"first", b"second, longer", b""):
        write_whole(path, lambda file, content=content: file.write(content))
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_can_be_written_into_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "no" / "a", lambda file: file.write(b""))


def test_bytes_are_on_the_disk_before_the_name(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, n=name, real=real: (calls.append(n), real(*args))[1])
    write_whole(tmp_path / "a", lambda file: file.write(b"x"))
    assert calls == ["fsync", "replace", "fsync"]
