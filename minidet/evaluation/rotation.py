"""Recall against the angle of a face: detectors are trained on people who stand upright."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image
from tqdm import tqdm

from minidet._typing import RGBImage
from minidet.datasets import Annotation, Dataset, load_sample
from minidet.evaluation.matching import match_detections
from minidet.evaluation.parallel import photograph_workers
from minidet.evaluation.recall import Recall
from minidet.evaluation.views import FaceDetector

ANGLES = tuple(range(-180, 181, 15))


def recall_by_angle(
    dataset: Dataset,
    detector: FaceDetector,
    *,
    angles: Sequence[float] = ANGLES,
    iou_threshold: float = 0.5,
    min_face_size: float = 0,
    jobs: int | None = None,
    progress: bool = True,
) -> dict[float, Recall]:
    """Turn every photograph by each angle and count the faces that are found.

    Parameters
    ----------
    dataset : Dataset
    detector : FaceDetector
        It serves several threads at once.
    angles : sequence of float
        Degrees, clockwise.
    iou_threshold : float
    min_face_size : float
        Faces of a smaller height, in pixels of the turned photograph, do not count.
    jobs : int, optional
        Photographs at a time.
    progress : bool
        Show a progress bar on standard error.

    Returns
    -------
    dict of angle to Recall
        Whatever the score: the detector's own threshold is what decides.

    Raises
    ------
    InputError
        If a photograph cannot be read.
    """

    def count(task: tuple[float, Annotation]) -> tuple[int, int]:
        angle, annotation = task
        sample = load_sample(annotation)
        image, faces = turned(sample.image, annotation.usable(), angle)
        matched = match_detections(
            detector.detect(image).boxes, faces, iou_threshold=iou_threshold, min_face_size=min_face_size
        )
        return int(matched.found.sum()), int(matched.counted.sum())

    tasks = [(angle, annotation) for angle in angles for annotation in dataset.annotations]
    totals = {angle: [0, 0] for angle in angles}
    with (
        photograph_workers(jobs) as parallel_map,
        tqdm(desc="turn", total=len(tasks), unit="photo", disable=not progress) as bar,
    ):
        for (angle, _), (found, counted) in zip(tasks, parallel_map(count, tasks), strict=True):
            totals[angle][0] += found
            totals[angle][1] += counted
            bar.update()
    return {angle: Recall(found, counted) for angle, (found, counted) in totals.items()}


def turned(image: RGBImage, faces: Annotation, degrees: float) -> tuple[RGBImage, Annotation]:
    r"""Turn a photograph and its faces clockwise about the centre; the frame grows, so nothing is cut off.

    A face is about as round as an ellipse that touches the sides of its box, and so is the turned face: its
    box touches the turned ellipse. With w and h the sides before,

    .. math::
        w' = \sqrt{(w \cos \alpha)^2 + (h \sin \alpha)^2}, \qquad
        h' = \sqrt{(w \sin \alpha)^2 + (h \cos \alpha)^2}

    The box around the four turned *corners* would be up to 1.4 times too large in either direction.

    Parameters
    ----------
    image : (H, W, 3) uint8 array
    faces : Annotation
    degrees : float

    Returns
    -------
    image : (H', W', 3) uint8 array
        Interpolated bilinearly, black where there was nothing.
    faces : Annotation
        Landmarks keep their order: the left eye is still the one that was on the left.

    Examples
    --------
    By a quarter, the upper left corner comes to the upper right:

    >>> image = np.zeros((20, 40, 3), np.uint8)
    >>> turned_image, faces = turned(image, Annotation("a.jpg", "a.jpg", [[0, 0, 10, 4]]), 90)
    >>> turned_image.shape, faces.boxes.round(3)
    ((40, 20, 3), array([[16.,  0., 20., 10.]], dtype=float32))
    """
    angle = np.deg2rad(degrees)
    cos, sin = np.round(np.cos(angle), 15), np.round(np.sin(angle), 15)  # a right angle's cosine is 0
    rotation = np.array([[cos, -sin], [sin, cos]])  # clockwise, since y points down
    height, width = image.shape[:2]
    new_width = int(np.ceil(abs(width * cos) + abs(height * sin)))
    new_height = int(np.ceil(abs(width * sin) + abs(height * cos)))
    centre, new_centre = np.array([width, height]) / 2, np.array([new_width, new_height]) / 2

    # Pillow asks, for every new pixel, where it was before.
    back = np.column_stack([rotation.T, centre - rotation.T @ new_centre])  # (2, 3)
    new_image = Image.fromarray(image).transform(
        (new_width, new_height), Image.Transform.AFFINE, tuple(back.ravel()), Image.Resampling.BILINEAR
    )
    boxes = faces.boxes.astype(np.float64)
    middles = ((boxes[:, :2] + boxes[:, 2:]) / 2 - centre) @ rotation.T + new_centre  # (G, 2)
    sides = boxes[:, 2:] - boxes[:, :2]  # (G, 2), w and h
    half = np.hypot(sides * abs(cos), sides[:, ::-1] * abs(sin)) / 2  # (G, 2)
    return np.asarray(new_image), Annotation(
        faces.path,
        faces.name,
        np.concatenate([middles - half, middles + half], axis=1),
        (faces.landmarks - centre) @ rotation.T + new_centre,
        faces.ignore,
        (new_width, new_height),
    )
