"""``check_dataset``: each kind of problem made on purpose, and a data set without any."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minidet.datasets import Annotation, Dataset
from minidet.datasets.check import PROBLEM_KINDS, check_dataset, summarize_dataset
from minidet.datasets.mean_face import box_from_landmarks
from minidet.datasets.points import read_points
from minidet.datasets.voc import read_voc
from minidet.errors import InputError

WIDTH, HEIGHT = 100, 80
BOX = (20, 10, 60, 60)
LANDMARKS = np.array([[30, 25], [50, 26], [40, 35], [32, 45], [48, 46]], np.float64)
LEFT_EYE, RIGHT_EYE, NOSE, LEFT_CORNER, RIGHT_CORNER = range(5)


@pytest.fixture
def save(tmp_path):
    """Write a noisy photograph of 100 x 80 pixels and return its path; no two have the same bytes."""
    rng = np.random.default_rng(7)

    def call(name="a.jpg", size=(WIDTH, HEIGHT), **options):
        path = tmp_path / name
        pixels = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels).save(path, **options)
        return path

    return call


def check(*annotations, **options):
    return check_dataset(Dataset(annotations, "test"), **options)


def check_face(path, box=BOX, landmarks=None, **options):
    """Return (kind, message) of the problems of a face, which is not the first of its photograph."""
    faces = np.array([[1, 1, 9, 9], box])
    points = np.full((2, 5, 2), np.nan)
    if landmarks is not None:
        points[1] = landmarks
    problems = check(Annotation(path, "a.jpg", faces, points, **options))
    assert {(problem.photograph, problem.face) for problem in problems} <= {("a.jpg", 1)}
    return [(problem.kind, problem.message) for problem in problems]


def moved(landmarks, point, x, y):
    landmarks = landmarks.copy()
    landmarks[point] = x, y
    return landmarks


def exchanged(*pairs):
    landmarks = LANDMARKS.copy()
    for pair in pairs:
        landmarks[list(pair)] = landmarks[list(pair)[::-1]]
    return landmarks


def turned(landmarks, quarters):
    """Turn about (40, 35), which is the centre of BOX."""
    centre = np.array([40, 35])
    x, y = (landmarks - centre).T
    for _ in range(quarters):
        x, y = -y, x
    return centre + np.stack([x, y], axis=1)


# ---- nothing wrong ---------------------------------------------------------------------------------


def test_a_clean_data_set(save):
    edge_to_edge = [[0, 0, WIDTH, HEIGHT], BOX]
    corners = [[0, 0], [WIDTH, 0], [50, 40], [0, HEIGHT], [WIDTH, HEIGHT]]
    assert (
        check(
            Annotation(save("a.jpg"), "a.jpg", edge_to_edge, [corners, LANDMARKS], size=(WIDTH, HEIGHT)),
            Annotation(save("b.png"), "b.png", [BOX]),
            Annotation(save("c.png"), "c.png", [], size=(WIDTH, HEIGHT)),
        )
        == []
    )
    assert check() == []


@pytest.mark.parametrize("quarters", range(4))
def test_a_face_may_be_turned(save, quarters):
    assert check_face(save(), landmarks=turned(LANDMARKS, quarters)) == []


def test_sizes_are_those_of_the_upright_photograph(save):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter to see it upright
    path = save(exif=exif)
    for decode in (True, False):
        assert (
            check(Annotation(path, "a", [[0, 0, HEIGHT, WIDTH]], size=(HEIGHT, WIDTH)), decode=decode) == []
        )
    (problem,) = check(Annotation(path, "a", [], size=(WIDTH, HEIGHT)))
    assert problem.kind == "size not as stated"
    assert problem.message == "stated as 100 x 80, is 80 x 100; annotated before it was turned upright?"


# ---- the photograph --------------------------------------------------------------------------------


def test_missing_photograph(tmp_path):
    path = tmp_path / "none.jpg"
    (problem,) = check(Annotation(path, "none.jpg", [BOX]))
    assert (problem.photograph, problem.face, problem.kind) == ("none.jpg", None, "missing photograph")
    assert problem.message == f"no such file: {str(path)!r}"


def test_without_a_photograph_the_stated_size_counts(tmp_path):
    problems = check(Annotation(tmp_path / "none.jpg", "a", [[0, 0, 101, 80]], size=(WIDTH, HEIGHT)))
    assert [problem.kind for problem in problems] == ["missing photograph", "box outside"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no picture", "is not a picture"),
        (b"", "is not a picture"),
    ],
)
@pytest.mark.parametrize("decode", [True, False])
def test_unreadable_photograph(tmp_path, content, reason, decode):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    (problem,) = check(Annotation(path, "a.jpg", [BOX]), decode=decode)
    assert (problem.photograph, problem.face, problem.kind) == ("a.jpg", None, "unreadable photograph")
    assert str(path) in problem.message
    assert reason in problem.message
    assert not problem.message.startswith("read_image")


def test_a_folder_is_an_unreadable_photograph(tmp_path):
    (problem,) = check(Annotation(tmp_path, "a.jpg", [BOX]))
    assert (problem.kind, problem.message) == ("unreadable photograph", f"{str(tmp_path)!r} is not a file")


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_a_photograph_that_is_cut_off(save, name):
    path = save(name)
    path.write_bytes(path.read_bytes()[:-2000])
    annotation = Annotation(path, name, [BOX], size=(WIDTH, HEIGHT))
    (problem,) = check(annotation)
    assert problem.kind == "unreadable photograph"
    assert "cannot be read" in problem.message
    assert check(annotation, decode=False) == []  # which is what it is for


def test_size_not_as_stated(save):
    (problem,) = check(Annotation(save(), "a.jpg", [BOX], size=(WIDTH, HEIGHT + 1)))
    assert (problem.photograph, problem.face, problem.kind) == ("a.jpg", None, "size not as stated")
    assert problem.message == "stated as 100 x 81, is 100 x 80"


def test_the_real_size_counts_for_boxes(save):
    problems = check(Annotation(save(), "a.jpg", [[0, 0, 150, 80]], size=(200, HEIGHT)))
    assert [problem.kind for problem in problems] == ["size not as stated", "box outside"]


def test_photograph_listed_twice(save, tmp_path):
    path = save()
    (tmp_path / "sub").mkdir()
    again = tmp_path / "sub" / ".." / "a.jpg"
    problems = check(*(Annotation(p, name, [BOX]) for p, name in [(path, "a"), (again, "b"), (path, "c")]))
    assert [(problem.photograph, problem.face, problem.kind) for problem in problems] == [
        ("b", None, "photograph listed twice"),
        ("c", None, "photograph listed twice"),
    ]
    assert problems[1].message == "the same file as 'a' before it"


def test_a_missing_photograph_may_be_listed_twice(tmp_path):
    problems = check(*[Annotation(tmp_path / "none.jpg", "none.jpg", [])] * 2)
    assert [problem.kind for problem in problems] == [
        "missing photograph",
        "missing photograph",
        "photograph listed twice",
    ]


@pytest.mark.parametrize("decode", [True, False])
def test_copy_of_another_photograph(save, tmp_path, decode):
    path, copy = save(), tmp_path / "b.jpg"
    shutil.copy(path, copy)
    annotations = [Annotation(path, "a.jpg", [BOX]), Annotation(save("c.jpg"), "c.jpg", [])]
    (problem,) = check(*annotations, Annotation(copy, "b.jpg", [BOX]), decode=decode)
    assert (problem.photograph, problem.face, problem.kind) == ("b.jpg", None, "copy of another photograph")
    assert problem.message == "the same bytes as 'a.jpg' before it"


# ---- boxes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("box", "kind", "message"),
    [
        ((1, 2, np.nan, 4), "box not finite", "box 1 2 nan 4"),
        ((1, 2, np.inf, 4), "box not finite", "box 1 2 inf 4"),
        ((10, 20, 10, 40), "box without area", "box 10 20 10 40 is 0 wide and 20 high"),
        ((10, 40, 20, 35), "box without area", "box 10 40 20 35 is 10 wide and -5 high"),
        ((10, 20, 101, 40), "box outside", "reaches 1 px beyond the right edge"),
        ((-0.25, 20, 90, 40), "box outside", "reaches 0.25 px beyond the left edge"),
        ((10, -3, 90, 40), "box outside", "reaches 3 px beyond the upper edge"),
        ((10, 3, 90, 80.5), "box outside", "reaches 0.5 px beyond the lower edge"),
        (
            (-1, -2, 103, 84),
            "box outside",
            "reaches 1 px beyond the left edge and 2 px beyond the upper edge and",
        ),
        ((100, 10, 110, 20), "box entirely outside", "box 100 10 110 20, photograph 100 x 80"),
        ((-9, 10, 0, 20), "box entirely outside", "box -9 10 0 20, photograph 100 x 80"),
        ((10, 80, 20, 90), "box entirely outside", "box 10 80 20 90, photograph 100 x 80"),
        ((10, -9, 20, 0), "box entirely outside", "box 10 -9 20 0, photograph 100 x 80"),
    ],
)
def test_box(save, box, kind, message):
    (finding,) = check_face(save(), box)
    assert finding[0] == kind
    assert finding[1].startswith(message)


def test_box_outside_names_box_and_photograph(save):
    ((_, message),) = check_face(save(), (10, 20, 101, 40))
    assert message == "reaches 1 px beyond the right edge (box 10 20 101 40, photograph 100 x 80)"


def test_tolerance(save):
    path, points = save(), [moved(LANDMARKS, LEFT_EYE, -0.5, 25)]
    annotation = Annotation(path, "a.jpg", [(0, 0, 100.5, 80)], points)
    assert [problem.kind for problem in check(annotation)] == ["box outside", "landmark outside"]
    assert [problem.kind for problem in check(annotation, tolerance=0.49)] == [
        "box outside",
        "landmark outside",
    ]
    assert check(annotation, tolerance=0.5) == []


@pytest.mark.parametrize("tolerance", [-1, np.nan, np.inf, "1", None])
def test_no_tolerance(tolerance):
    with pytest.raises(InputError, match=r"tolerance=.*; expected a number of pixels from 0 up"):
        check(tolerance=tolerance)


def test_a_box_made_of_the_landmarks_may_reach_outside(save):
    path, points = save(), LANDMARKS - (0, 20)
    (box,) = box_from_landmarks(points[None])
    assert box[1] < -1
    assert check_face(path, box, points) == []
    (finding,) = check_face(path, np.add(box, (0, 0, 0, 0.1)), points)
    assert finding[0] == "box outside"


def test_same_box_twice(save):
    path = save()
    annotation = Annotation(path, "a.jpg", [BOX, [1, 1, 9, 9], BOX, BOX, np.add(BOX, 0.001)])
    problems = check(annotation, Annotation(save("b.jpg"), "b.jpg", [BOX]))
    assert [(problem.face, problem.kind) for problem in problems] == [
        (2, "same box twice"),
        (3, "same box twice"),
    ]
    assert problems[1].message == "box 20 10 60 60 is that of face 0 too"


def test_boxes_without_area_are_not_the_same(save):
    problems = check(Annotation(save(), "a.jpg", [[0, 0, 0, 0]] * 2))
    assert [problem.kind for problem in problems] == ["box without area"] * 2


def test_ignored_faces_are_checked(save):
    (problem,) = check(Annotation(save(), "a.jpg", [[5, 5, 5, 5]], ignore=[True]))
    assert problem.kind == "box without area"


# ---- landmarks -------------------------------------------------------------------------------------


def test_landmarks_incomplete(save):
    points = moved(moved(LANDMARKS, NOSE, np.nan, np.nan), RIGHT_CORNER, 48, np.inf)
    assert check_face(save(), landmarks=points) == [
        ("landmarks incomplete", "without nose, right mouth corner")
    ]


@pytest.mark.parametrize(
    ("point", "x", "y", "where"),
    [
        (LEFT_EYE, -1.5, 25, "left eye (-1.5 25) 1.5 px"),
        (LEFT_CORNER, 30, 80.25, "left mouth corner (30 80.25) 0.25 px"),
        (RIGHT_EYE, 50, -2, "right eye (50 -2) 2 px"),
        (RIGHT_CORNER, 103, 83.5, "right mouth corner (103 83.5) 3.5 px"),
    ],
)
def test_landmark_outside(save, point, x, y, where):
    whole = (0, 0, WIDTH, HEIGHT)
    assert check_face(save(), whole, moved(LANDMARKS, point, x, y)) == [
        ("landmark outside", f"{where} outside the photograph of 100 x 80")
    ]


def test_each_landmark_outside_is_named(save):
    ((_, message),) = check_face(save(), (0, 0, WIDTH, HEIGHT), LANDMARKS - (32.5, 0))
    assert message == (
        "left eye (-2.5 25) 2.5 px, left mouth corner (-0.5 45) 0.5 px outside the photograph of 100 x 80"
    )


def test_landmark_far_from_box(save):
    # The box is 40 x 50, so twice the box is 0 -15 80 85.
    assert check_face(save(), landmarks=moved(LANDMARKS, RIGHT_EYE, 80, 26)) == []
    assert check_face(save(), landmarks=moved(LANDMARKS, RIGHT_EYE, 82, 26)) == [
        ("landmark far from box", "right eye (82 26) 2 px outside twice the box 20 10 60 60")
    ]
    # Twice this one is 0 -8 80 32: the nose lies on the edge, and one is enough to be named.
    points = moved(moved(LANDMARKS, NOSE, 40, 32), RIGHT_CORNER, 48, 31)
    assert check_face(save(), (20, 2, 60, 22), points) == [
        ("landmark far from box", "left mouth corner (32 45) 13 px outside twice the box 20 2 60 22")
    ]


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize(
    ("pairs", "kinds"),
    [
        ([(LEFT_EYE, RIGHT_EYE)], ["eyes exchanged"]),
        ([(LEFT_CORNER, RIGHT_CORNER)], ["mouth corners exchanged"]),
        (
            [(LEFT_EYE, RIGHT_EYE), (LEFT_CORNER, RIGHT_CORNER)],
            ["eyes exchanged", "mouth corners exchanged"],
        ),
    ],
)
def test_exchanged_points(save, pairs, kinds, quarters):
    findings = check_face(save(), landmarks=turned(exchanged(*pairs), quarters))
    assert [kind for kind, _ in findings] == kinds


def test_exchanged_points_are_named(save):
    ((_, message),) = check_face(save(), landmarks=exchanged((LEFT_EYE, RIGHT_EYE)))
    assert message == "left eye at (50 26), right eye at (30 25)"


def test_points_in_one_place_have_no_order(save):
    assert check_face(save(), landmarks=np.tile(LANDMARKS[NOSE], (5, 1))) == []


# ---- all of it -------------------------------------------------------------------------------------


def test_goes_on_after_every_problem_and_knows_every_kind(save, tmp_path):
    a, b, cut = save("a.jpg"), save("b.jpg"), save("cut.jpg")
    cut.write_bytes(cut.read_bytes()[:-2000])
    shutil.copy(a, tmp_path / "copy.jpg")
    faces = [
        (BOX, LANDMARKS),
        (BOX, exchanged((LEFT_EYE, RIGHT_EYE), (LEFT_CORNER, RIGHT_CORNER))),
        ((1, 1, 1, 1), moved(LANDMARKS, NOSE, np.nan, 0)),
        ((1, np.nan, 1, 1), moved(LANDMARKS, NOSE, 40, 90)),
        ((90, 10, 101, 20), LANDMARKS),
        ((100, 10, 101, 20), np.full((5, 2), np.nan)),
    ]
    boxes, landmarks = zip(*faces, strict=True)
    problems = check(
        Annotation(tmp_path / "none.jpg", "none.jpg", []),
        Annotation(cut, "cut.jpg", []),
        Annotation(a, "a.jpg", [], size=(1, 1)),
        Annotation(a, "a.jpg", []),
        Annotation(tmp_path / "copy.jpg", "copy.jpg", []),
        Annotation(b, "b.jpg", boxes, landmarks),
    )
    assert [(problem.photograph, problem.face, problem.kind) for problem in problems] == [
        ("none.jpg", None, "missing photograph"),
        ("cut.jpg", None, "unreadable photograph"),
        ("a.jpg", None, "size not as stated"),
        ("a.jpg", None, "photograph listed twice"),
        ("copy.jpg", None, "copy of another photograph"),
        ("b.jpg", 1, "same box twice"),
        ("b.jpg", 1, "eyes exchanged"),
        ("b.jpg", 1, "mouth corners exchanged"),
        ("b.jpg", 2, "box without area"),
        ("b.jpg", 2, "landmarks incomplete"),
        ("b.jpg", 3, "box not finite"),
        ("b.jpg", 3, "landmark outside"),
        ("b.jpg", 4, "box outside"),
        ("b.jpg", 4, "landmark far from box"),
        ("b.jpg", 5, "box entirely outside"),
    ]
    assert {problem.kind for problem in problems} == set(PROBLEM_KINDS)
    assert all("\n" not in problem.message for problem in problems)


def test_the_docstring_explains_every_kind():
    for kind in PROBLEM_KINDS:
        assert f"\n    {kind}  " in check_dataset.__doc__


def test_no_progress_bar_without_a_terminal(save, capsys):
    check(Annotation(save(), "a.jpg", []), progress=True)
    assert capsys.readouterr() == ("", "")


def test_summary(save):
    faces = [[0, 0, 10, 20], [0, 0, 10, 50], [5, 5, 5, 90], [0, 0, 10, np.inf]]
    landmarks = np.full((4, 5, 2), np.nan)
    landmarks[1] = LANDMARKS
    annotations = [
        Annotation("a.jpg", "a.jpg", faces, landmarks, [True, False, False, False]),
        Annotation("b.jpg", "b.jpg", []),
    ]
    summary = summarize_dataset(Dataset(annotations, "test"))
    assert (summary.photographs, summary.without_faces) == (2, 1)
    assert (summary.faces, summary.with_landmarks, summary.ignored) == (4, 1, 1)
    assert summary.box_heights == (20, 35, 50)


def test_summary_of_nothing():
    assert summarize_dataset(Dataset([], "test")).box_heights is None


@pytest.mark.skipif("MINIDET_DATA" not in os.environ, reason="needs the photographs of MINIDET_DATA")
def test_the_mask_photographs_have_nine_boxes_outside():
    dataset = read_voc(Path(os.environ["MINIDET_DATA"]) / "facemask")
    problems = check_dataset(dataset)
    assert Counter(problem.kind for problem in problems) == {
        "box outside": 9,
        "copy of another photograph": 4,
    }
    outside = [problem.message for problem in problems if problem.kind == "box outside"]
    assert {message.partition(" (")[0] for message in outside} == {"reaches 1 px beyond the right edge"}
    summary = summarize_dataset(dataset)
    assert (summary.photographs, summary.ignored) == (638, 0)
    assert 3050 < summary.faces < 3150
    assert summary.box_heights[1] == 24


@pytest.mark.skipif("MINIDET_DATA" not in os.environ, reason="needs the photographs of MINIDET_DATA")
def test_four_faces_of_the_landmark_crops_stand_on_their_heads_and_none_has_exchanged_points():
    dataset = read_points(Path(os.environ["MINIDET_DATA"]) / "landmarks80" / "landmarks.txt")
    points = np.concatenate([annotation.landmarks for annotation in dataset.annotations])
    assert (points[:, LEFT_EYE, 0] > points[:, RIGHT_EYE, 0]).sum() == 4
    problems = check_dataset(dataset, decode=False)
    assert Counter(problem.kind for problem in problems) == {"copy of another photograph": 3}


def test_rounding_is_no_problem_by_default(save):
    boxes = [[10, 10, 30.009, 20], [10, 10, 30.02, 20]]
    problems = check(Annotation(save("a.png", (30, 20)), "a.png", boxes))
    assert [(problem.kind, problem.face) for problem in problems] == [("box outside", 1)]
