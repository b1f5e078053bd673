"""Lists of landmarks: the text list in its two orders, the json, both written and both broken."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minidet.datasets import Annotation
from minidet.datasets.mean_face import box_from_landmarks
from minidet.datasets.points import read_points, write_points_json, write_points_list
from minidet.errors import InputError

A = [[34.25, 34.75], [47.25, 36.25], [40.5, 46], [34, 50.75], [45, 52]]
B = [[10, 10.5], [22, 9], [17, 17], [12, 24], [21, 23]]
C = [[60, 12], [70, 13], [66, 20], [61, 25], [69, 26]]

PAIRS = """\
photos/a.jpg 34.25 34.75 47.25 36.25 40.5 46 34 50.75 45 52
photos/b 1.png 10 10.5 22 9 17 17 12 24 21 23
photos/c.jpg 10 10.5 22 9 17 17 12 24 21 23
photos/b 1.png 60 12 70 13 66 20 61 25 69 26
"""

ROWS = """\
photos/a.jpg 34.25 47.25 40.5 34 45 34.75 36.25 46 50.75 52
photos/b 1.png 10 22 17 12 21 10.5 9 17 24 23
photos/c.jpg 10 22 17 12 21 10.5 9 17 24 23
photos/b 1.png 60 70 66 61 69 12 13 20 25 26
"""

JSON = [
    {
        "image": "photos/a.jpg",
        "width": 80,
        "height": 70,
        "faces": [{"landmarks5": A, "landmarks68": [[1, 2]]}],
    },
    {
        "image": "photos/b 1.png",
        "faces": [
            {"landmarks5": B, "box": [5, 2, 27, 30.5], "ignore": False},
            {"landmarks5": None, "box": [55, 5, 75, 30], "ignore": True},
        ],
    },
    {"image": "photos/c.jpg", "width": 82, "height": None, "faces": []},
]


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "photos").mkdir()
    for width, name in enumerate(("a.jpg", "b 1.png", "c.jpg"), 80):
        Image.new("RGB", (width, 70)).save(tmp_path / "photos" / name)
    return tmp_path


def save(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def fails(path: Path, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_points(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# ---- the text list ----


@pytest.mark.parametrize("text", [PAIRS, ROWS], ids=["x1 y1 x2 y2", "x1 x2 y1 y2"])
def test_list(folder, text):
    path = save(folder / "faces.txt", text)

    dataset = read_points(path)

    assert dataset.source == f"points:{path}"
    assert not dataset.exhaustive
    assert [a.name for a in dataset.annotations] == ["photos/a.jpg", "photos/b 1.png", "photos/c.jpg"]
    first, second, third = dataset.annotations
    np.testing.assert_array_equal(first.landmarks, [A])
    np.testing.assert_array_equal(second.landmarks, [B, C])
    np.testing.assert_array_equal(third.landmarks, [B])
    np.testing.assert_allclose(second.boxes, box_from_landmarks([B, C]), rtol=1e-6)
    assert [sample.image.shape for sample in dataset] == [(70, 80, 3), (70, 81, 3), (70, 82, 3)]


def test_list_from_windows(folder):
    text = "\ufeff" + PAIRS.replace("\n", " \r\n\r\n").replace("/", "\\")
    path = folder / "faces.txt"
    path.write_bytes(text.encode())
    np.testing.assert_array_equal(read_points(path).annotations[1].landmarks, [B, C])
    assert read_points(path)[1].image.shape == (70, 81, 3)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("c.jpg 10 10.5", "c.jpg 10", 3, "9 numbers; expected a path and ten numbers"),
        ("c.jpg 10 10.5", "c.jpg 10 10.5 3", 3, "11 numbers; expected a path and ten numbers"),
        ("photos/c.jpg 10", "10", 3, "10 numbers; expected a path and ten numbers"),
        ("c.jpg 10 10.5", "c.jpg 10 1o.5", 3, "number 2 is '1o.5'; expected a number"),
        ("c.jpg 10 10.5", "c.jpg nan 10.5", 3, "number 1 is 'nan'; expected a number"),
        ("photos/c.jpg 10 10.5 22 9 17 17 12 24 21 23", "photos/c.jpg", 3, "0 numbers; expected a path"),
    ],
)
def test_broken_list(tmp_path, old, new, line, message):
    assert PAIRS.count(old) == 1
    path = save(tmp_path / "faces.txt", PAIRS.replace(old, new))
    fails(path, f"{path} line {line}: {message}")


def test_no_list(tmp_path):
    fails(save(tmp_path / "faces.txt", "\n"), "faces.txt is empty")
    fails(tmp_path / "nothing.txt", "nothing.txt does not exist")


# ---- the json ----


def test_json(folder):
    path = save(folder / "faces.json", json.dumps(JSON))

    dataset = read_points(path)

    assert not dataset.exhaustive
    first, second, third = dataset.annotations
    assert (first.name, first.size) == ("photos/a.jpg", (80, 70))
    np.testing.assert_array_equal(first.landmarks, [A])
    np.testing.assert_allclose(first.boxes, box_from_landmarks([A]), rtol=1e-6)
    np.testing.assert_array_equal(second.boxes, [[5, 2, 27, 30.5], [55, 5, 75, 30]])
    np.testing.assert_array_equal(second.landmark_mask, [True, False])
    np.testing.assert_array_equal(second.ignore, [False, True])
    assert second.size is None
    assert third.boxes.shape == (0, 4)
    assert third.size is None
    assert [sample.image.shape for sample in dataset] == [(70, 80, 3), (70, 81, 3), (70, 82, 3)]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (7, 'entry 2: no "image"'),
        ({"faces": []}, 'entry 2: no "image"'),
        ({"image": "", "faces": []}, 'entry 2: no "image"'),
        ({"image": "a.jpg"}, 'entry 2 (a.jpg): no list of "faces"'),
        ({"image": "a.jpg", "faces": {}}, 'entry 2 (a.jpg): no list of "faces"'),
        ({"image": "a.jpg", "faces": [], "width": "8", "height": 9}, "entry 2 (a.jpg): width is '8'"),
        ({"image": "a.jpg", "faces": [], "width": 0, "height": 9}, "entry 2 (a.jpg): its size is 0 x 9"),
    ],
)
def test_broken_entry(tmp_path, entry, message):
    path = save(tmp_path / "faces.json", json.dumps([JSON[0], entry]))
    fails(path, f"{path} {message}")


@pytest.mark.parametrize(
    ("face", "message"),
    [
        ([], '[]; expected {"landmarks5"'),
        ({"landmarks68": A}, 'neither "landmarks5" nor "box"; expected one of them'),
        (
            {"landmarks5": A[:4]},
            "landmarks5 is [[34.25, 34.75], [47.25, 36.25], [40.5, 46], [34, 50.75]]; expected",
        ),
        ({"landmarks5": [*A, [1, 2]]}, "expected [x, y] of five points"),
        ({"landmarks5": [*A[:4], [1, 2, 3]]}, "expected [x, y] of five points"),
        ({"landmarks5": [*A[:4], 5]}, "expected [x, y] of five points"),
        ({"landmarks5": "five"}, 'landmarks5 is "five"; expected [x, y] of five points'),
        ({"landmarks5": [*A[:4], [1, "2"]]}, "landmarks5 is '2'; expected a number"),
        ({"landmarks5": [*A[:4], [1, None]]}, "landmarks5 is None; expected a number"),
        ({"landmarks5": [*A[:4], [1, float("nan")]]}, "landmarks5 is nan; expected a number"),
        ({"landmarks5": A, "box": [1, 2, 3]}, "box is [1, 2, 3]; expected [x1, y1, x2, y2]"),
        ({"landmarks5": A, "box": [1, 2, 3, True]}, "box is True; expected a number"),
        ({"landmarks5": A, "ignore": 1}, "ignore is 1; expected true or false"),
    ],
)
def test_broken_face(tmp_path, face, message):
    entry = {"image": "a.jpg", "faces": [{"landmarks5": A}, face]}
    path = save(tmp_path / "faces.json", json.dumps([JSON[0], entry]))
    fails(path, f"{path} entry 2 (a.jpg) face 2: ")
    fails(path, message)


def test_json_cut_short(tmp_path):
    path = save(tmp_path / "faces.json", json.dumps(JSON, indent=1)[:60])
    fails(path, f"{path} line 5: not json, or cut short")


def test_no_json_list(tmp_path):
    fails(save(tmp_path / "faces.json", json.dumps({"images": JSON})), "faces.json: a dict; expected a list")
    fails(save(tmp_path / "faces.json", ""), "faces.json line 1: not json")
    fails(save(tmp_path / "faces.json", "[" * 100_000), "faces.json: lists within lists")
    fails(save(tmp_path / "faces.json", f"[{'1' * 5000}]"), "faces.json: holds a number of thousands of dig")
    fails(
        save(tmp_path / "faces.json", '[{"image": "a\\u0000", "faces": []}]'),
        "entry 1: \"image\" is 'a\\x00'",
    )
    fails(tmp_path / "nothing.json", "nothing.json does not exist")


# ---- written ----


def assert_same(ours, theirs) -> None:
    assert [a.path.resolve() for a in ours] == [a.path.resolve() for a in theirs]
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.boxes, b.boxes, rtol=0, atol=2e-6)
        np.testing.assert_allclose(a.landmarks, b.landmarks, rtol=0, atol=2e-6)
        np.testing.assert_array_equal(a.ignore, b.ignore)


@pytest.mark.parametrize("place", ["faces.json", "lists/of/faces.json"])
def test_json_round_trip(folder, place):
    annotations = read_points(save(folder / "old.json", json.dumps(JSON))).annotations
    write_points_json(annotations, folder / place)
    again = read_points(folder / place).annotations
    assert_same(again, annotations)
    assert [a.size for a in again] == [(80, 70), (81, 70), (82, 70)]  # measured where it was not stated
    if place == "faces.json":
        assert [a.name for a in again] == ["photos/a.jpg", "photos/b 1.png", "photos/c.jpg"]


def test_json_without_photographs(tmp_path):
    write_points_json(
        [Annotation(tmp_path / "gone.jpg", "gone.jpg", [[1, 2, 3, 4]])], tmp_path / "faces.json"
    )
    (annotation,) = read_points(tmp_path / "faces.json").annotations
    assert annotation.size is None
    np.testing.assert_array_equal(annotation.boxes, [[1, 2, 3, 4]])


def test_empty_json_round_trip(tmp_path):
    write_points_json([], tmp_path / "faces.json")
    assert len(read_points(tmp_path / "faces.json")) == 0


@pytest.mark.parametrize("place", ["faces.txt", "lists/of/faces.txt"])
def test_list_round_trip(folder, place):
    annotations = read_points(save(folder / "old.txt", ROWS)).annotations
    write_points_list(annotations, folder / place)
    assert_same(read_points(folder / place).annotations, annotations)


def test_paths_relative_to_the_working_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    save(Path("faces.txt"), PAIRS)
    write_points_list(read_points("faces.txt").annotations, "again.txt")
    assert Path("again.txt").read_text().startswith("photos/a.jpg 34.25 34.75 47.25 ")


@pytest.mark.parametrize("options", [{"landmarks": [A], "ignore": [True]}, {}])
def test_what_a_list_cannot_say(tmp_path, options):
    with pytest.raises(InputError, match=r"'a.jpg' has faces that are ignored or without landmarks"):
        write_points_list([Annotation("a.jpg", "a.jpg", [[1, 2, 3, 4]], **options)], tmp_path / "faces.txt")


def test_points_that_would_be_read_in_another_order(tmp_path):
    """A list of faces whose x1 y1 ... read as x1 ... y1 ... is a better face."""
    swapped = np.array(A).T.reshape(5, 2)
    with pytest.raises(InputError, match=r"look so little like faces"):
        write_points_list([Annotation("a.jpg", "a.jpg", [[1, 2, 3, 4]], [swapped])], tmp_path / "faces.txt")


def test_a_json_that_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match=r"face 0 of 'a.jpg' has the box .*nan.*; expected finite numbers"):
        write_points_json([Annotation("a.jpg", "a.jpg", [[1, 2, 3, np.nan]])], tmp_path / "faces.json")
    with pytest.raises(InputError, match=r"faces.txt'; expected a name that ends in .json"):
        write_points_json([], tmp_path / "faces.txt")


# ---- the real lists ----


@pytest.mark.skipif("MINIDET_DATA" not in os.environ, reason="the lists are in $MINIDET_DATA")
def test_the_real_list():
    """Its first line reads x1 ... x5 y1 ... y5."""
    dataset = read_points(Path(os.environ["MINIDET_DATA"], "landmarks80/landmarks.txt"))
    assert len(dataset) == 10648
    first = dataset.annotations[0]
    expected = [[34.32, 34.80], [47.28, 36.24], [40.40, 46.00], [34.00, 50.80], [45.04, 52.08]]
    np.testing.assert_array_equal(first.landmarks, np.float32([expected]))
    # Eyes above the mouth: so it is in all but a few.
    points = np.concatenate([annotation.landmarks for annotation in dataset.annotations])
    assert (points[:, :2, 1].mean(axis=1) < points[:, 3:, 1].mean(axis=1)).mean() > 0.99


@pytest.mark.skipif("MINIDET_DATA" not in os.environ, reason="the json is in $MINIDET_DATA")
def test_the_real_json():
    dataset = read_points(Path(os.environ["MINIDET_DATA"], "ibug/annotations.json"))
    assert len(dataset) == 683
    assert sum(len(annotation.boxes) for annotation in dataset.annotations) == 835
    sample = dataset[0]
    assert dataset.annotations[0].size == (sample.image.shape[1], sample.image.shape[0])
