"""Turned photographs: where pixels, boxes and landmarks go, and recall by angle."""

import numpy as np
import pytest
from PIL import Image

from minidet.datasets import Annotation, Dataset
from minidet.detections import Detections
from minidet.evaluation import recall_by_angle, turned
from minidet.evaluation.recall import Recall

FIVE = np.array([[[8, 12], [16, 12], [12, 18], [9, 22], [15, 22]]], float)


def annotated(boxes, landmarks=None):
    return Annotation("a.png", "a.png", boxes, landmarks)


@pytest.mark.parametrize("quarters", [-2, -1, 0, 1, 2, 3])
def test_quarter_turns_move_pixels_only(quarters):
    image = np.random.default_rng(0).integers(0, 256, (7, 12, 3), np.uint8)
    view, _ = turned(image, annotated([]), 90 * quarters)
    assert np.array_equal(view, np.rot90(image, -quarters))  # rot90 turns anticlockwise


@pytest.mark.parametrize(
    ("degrees", "box"),
    [(0, [4, 6, 20, 26]), (90, [14, 4, 34, 20]), (180, [40, 14, 56, 34]), (270, [6, 40, 26, 56])],
)
def test_quarter_turns_of_a_box_by_hand(degrees, box):
    # The photograph is 60 x 40. Clockwise, what was y from the top becomes 40 - y from the left.
    _, faces = turned(np.zeros((40, 60, 3), np.uint8), annotated([[4, 6, 20, 26]]), degrees)
    assert faces.boxes == pytest.approx(np.array([box]), abs=1e-4)
    assert faces.size == ((60, 40) if degrees % 180 == 0 else (40, 60))


@pytest.mark.parametrize("degrees", [-170, -100, -45, -30, 10, 33, 60, 123])
def test_a_bright_disc_is_found_where_its_box_says(degrees):
    height, width, radius = 90, 130, 11
    y, x = np.mgrid[:height, :width] + 0.5
    is_disc = (x - 30) ** 2 + (y - 60) ** 2 < radius**2
    image = np.where(is_disc[..., None], 255, 0).astype(np.uint8).repeat(3, axis=2)
    box = [30 - radius, 60 - radius, 30 + radius, 60 + radius]
    landmarks = np.full((1, 5, 2), [30.0, 60.0])
    view, faces = turned(image, annotated([box], landmarks), degrees)
    rows, columns = np.nonzero(view[:, :, 0] > 127)
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert faces.boxes[0] == pytest.approx(seen, abs=1.0)
    centre = [columns.mean() + 0.5, rows.mean() + 0.5]
    assert faces.landmarks[0] == pytest.approx(np.tile(centre, (5, 1)), abs=0.2)
    assert faces.boxes[0, 2:] - faces.boxes[0, :2] == pytest.approx([2 * radius, 2 * radius], abs=1e-4)


@pytest.mark.parametrize("degrees", [20, 45, 71])
def test_nothing_is_cut_off_and_the_box_touches_the_turned_ellipse(degrees):
    image = np.full((50, 80, 3), 255, np.uint8)
    view, faces = turned(image, annotated([[0, 0, 30, 18]]), degrees)
    corners = np.array([[0, 0], [80, 0], [80, 50], [0, 50]]) - [40, 25]
    angle = np.deg2rad(degrees)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    size = np.ptp(corners @ rotation.T, axis=0)
    assert np.array_equal(view.shape[1::-1], np.ceil(size))
    around = np.linspace(0, 2 * np.pi, 20_000)
    ellipse = np.stack([15 + 15 * np.cos(around), 9 + 9 * np.sin(around)], axis=1)
    points = (ellipse - [40, 25]) @ rotation.T + np.array(view.shape[1::-1]) / 2
    assert faces.boxes[0] == pytest.approx([*points.min(axis=0), *points.max(axis=0)], abs=1e-3)


def test_turning_back_restores_places():
    image = np.zeros((40, 60, 3), np.uint8)
    before = annotated([[4, 6, 20, 26]], FIVE)
    view, there = turned(image, before, 37)
    _, back = turned(view, there, -37)
    shift = (np.array(back.size) - [60, 40]) / 2  # the frame has grown twice
    assert back.landmarks - shift == pytest.approx(before.landmarks, abs=1e-3)


def test_landmarks_keep_their_order_and_faces_without_any_stay_so():
    faces = annotated([[4, 6, 20, 26], [30, 6, 40, 26]], np.concatenate([FIVE, np.full((1, 5, 2), np.nan)]))
    _, upside_down = turned(np.zeros((40, 60, 3), np.uint8), faces, 180)
    assert upside_down.landmarks[0] == pytest.approx(np.array([60, 40]) - FIVE[0], abs=1e-4)
    assert upside_down.landmark_mask.tolist() == [True, False]


class UprightOnly:
    """Finds the white square of a photograph, unless the photograph stands on its narrow side."""

    def detect(self, image):
        rows, columns = np.nonzero(image[:, :, 0] > 200)
        if image.shape[0] > image.shape[1]:
            return Detections.empty()
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        return Detections([box], [0.9], np.zeros((1, 5, 2)))


def test_recall_by_angle(tmp_path):
    image = np.zeros((40, 60, 3), np.uint8)
    image[10:20, 5:15] = 255
    annotations = []
    for name in ("a.png", "b.png"):
        Image.fromarray(image).save(tmp_path / name)
        annotations.append(Annotation(tmp_path / name, name, [[5, 10, 15, 20], [30, 30, 31, 31]]))
    recalls = recall_by_angle(
        Dataset(annotations, "squares"), UprightOnly(), angles=(0, 90, 180), min_face_size=5, progress=False
    )
    assert recalls == {0: Recall(2, 2), 90: Recall(0, 2), 180: Recall(2, 2)}
