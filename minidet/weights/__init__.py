"""Trained numbers: the shipped files, minidet's own format, and readers for the reference checkpoints."""

from minidet.weights.convert_mtcnn import convert_mtcnn
from minidet.weights.convert_retinaface import (
    convert_folded_retinaface,
    convert_retinaface,
    convert_retinaface_resnet,
)
from minidet.weights.load import load_weights, read_checkpoint, read_weights
from minidet.weights.npz import checksum, load_npz, save_npz
from minidet.weights.shipped import SHIPPED, ShippedWeights
from minidet.weights.topology import split_topology, with_topology
from minidet.weights.torch_file import read_torch_file

__all__ = [
    "SHIPPED",
    "ShippedWeights",
    "checksum",
    "convert_folded_retinaface",
    "convert_mtcnn",
    "convert_retinaface",
    "convert_retinaface_resnet",
    "load_npz",
    "load_weights",
    "read_checkpoint",
    "read_torch_file",
    "read_weights",
    "save_npz",
    "split_topology",
    "with_topology",
]
