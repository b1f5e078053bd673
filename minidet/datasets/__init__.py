"""Annotated photographs: files in, samples out.

One reader per format, each in a file of its name: ``widerface``, ``voc``, ``coco``, ``yolo``, ``celeba``,
``points``. All return a :class:`Dataset`; :func:`open_dataset` chooses by "KIND:PATH".
"""

from minidet.datasets.celeba import read_celeba
from minidet.datasets.check import DatasetSummary, Problem, check_dataset, summarize_dataset
from minidet.datasets.coco import read_coco, write_coco
from minidet.datasets.dataset import Dataset, load_sample
from minidet.datasets.group import bundled_portrait_path, group_faces, group_picture
from minidet.datasets.mean_face import box_from_landmarks
from minidet.datasets.name_list import only_named, read_name_list, write_name_list
from minidet.datasets.near_duplicates import group_by_content
from minidet.datasets.open import open_dataset
from minidet.datasets.points import read_points, write_points_json, write_points_list
from minidet.datasets.sample import Annotation, Sample
from minidet.datasets.split import split_by_content
from minidet.datasets.synthetic import (
    SyntheticAnnotation,
    SyntheticDataset,
    SyntheticSettings,
    synthetic_dataset,
)
from minidet.datasets.voc import read_voc, write_voc
from minidet.datasets.widerface import read_widerface, write_bbx_gt, write_label_txt
from minidet.datasets.widerface_ground_truth import WiderImage, read_widerface_ground_truth
from minidet.datasets.yolo import read_yolo, write_yolo

__all__ = [
    "Annotation",
    "Dataset",
    "DatasetSummary",
    "Problem",
    "Sample",
    "SyntheticAnnotation",
    "SyntheticDataset",
    "SyntheticSettings",
    "WiderImage",
    "box_from_landmarks",
    "bundled_portrait_path",
    "check_dataset",
    "group_by_content",
    "group_faces",
    "group_picture",
    "load_sample",
    "only_named",
    "open_dataset",
    "read_celeba",
    "read_coco",
    "read_name_list",
    "read_points",
    "read_voc",
    "read_widerface",
    "read_widerface_ground_truth",
    "read_yolo",
    "split_by_content",
    "summarize_dataset",
    "synthetic_dataset",
    "write_bbx_gt",
    "write_coco",
    "write_label_txt",
    "write_name_list",
    "write_points_json",
    "write_points_list",
    "write_voc",
    "write_yolo",
]
