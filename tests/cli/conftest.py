"""What the tests of the command line share: running it, small photographs, and no network."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

import minidet
from minidet.cli import main

ROOT = Path(__file__).parents[2]


class Result(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the command line used the network")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(autouse=True, scope="session")
def _warm(small_portrait: np.ndarray) -> None:
    # Otherwise the first test of a fresh machine finds the notice of the compiler on standard error.
    minidet.detect(small_portrait)
    minidet.detect(small_portrait, "mtcnn")
    minidet.MTCNN().trace(small_portrait)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Call ``main`` in this process."""

    def call(*arguments: object) -> Result:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        return Result(status, *capsys.readouterr())

    return call


@pytest.fixture
def run_error(run: Callable[..., Result]) -> Callable[..., str]:
    """Call ``main``, require one line of error, nothing else and status 2, and return the line's message."""

    def call(*arguments: object) -> str:
        status, out, err = run(*arguments)
        assert (status, out) == (2, "")
        assert err.startswith("minidet: error: ")
        assert err.count("\n") == 1
        assert err.endswith("\n")
        return err.removeprefix("minidet: error: ").rstrip("\n")

    return call


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """Start a Python of its own with these arguments, in ``tmp_path``, connected by pipes."""

    def call(*arguments: object, **environment: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "", **environment},
        )

    return call


@pytest.fixture(scope="session")
def face(portrait: np.ndarray) -> Image.Image:
    """The portrait at 102 x 120 pixels."""
    return Image.fromarray(portrait).resize((102, 120))


@pytest.fixture
def photo(face: Image.Image, tmp_path: Path) -> Path:
    """A JPEG with one face."""
    path = tmp_path / "photo.jpg"
    face.save(path)
    return path


@pytest.fixture
def group(face: Image.Image, tmp_path: Path) -> Path:
    """A PNG with three faces: one about 43 pixels high and two of 26."""
    picture = Image.new("RGB", (192, 144))
    picture.paste(face)
    small = face.resize((61, 72))
    picture.paste(small, (102, 0))
    picture.paste(small, (112, 72))
    path = tmp_path / "group.png"
    picture.save(path)
    return path


@pytest.fixture
def album(face: Image.Image, tmp_path: Path) -> Path:
    """A folder with images, their names chosen to collide, and with other things."""
    folder = tmp_path / "album"
    for name in ["b.PNG", "a.jpg", "a.png", "sub/a.jpg", ".hidden.jpg", ".hidden/a.jpg"]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        face.save(path)
    (folder / "notes.txt").write_text("no image")
    return folder
