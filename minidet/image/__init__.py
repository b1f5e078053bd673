"""Pixels: reading, resizing, cropping, aligning, preparing for a network, drawing."""

from minidet.image.align import ARCFACE_TEMPLATE, align, similarity_transform
from minidet.image.crop import crop
from minidet.image.crop_squares import crop_squares
from minidet.image.draw import draw, draw_mesh
from minidet.image.io import ImageSource, read_image
from minidet.image.preprocess import mtcnn_input, retinaface_input
from minidet.image.pyramid import level_size, pyramid_scales
from minidet.image.resize import resize_area, resize_bilinear

__all__ = [
    "ARCFACE_TEMPLATE",
    "ImageSource",
    "align",
    "crop",
    "crop_squares",
    "draw",
    "draw_mesh",
    "level_size",
    "mtcnn_input",
    "pyramid_scales",
    "read_image",
    "resize_area",
    "resize_bilinear",
    "retinaface_input",
    "similarity_transform",
]
