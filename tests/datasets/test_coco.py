import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from minidet.datasets.coco import read_coco, write_coco
from minidet.datasets.sample import Annotation
from minidet.errors import InputError

POINTS = [[18, 35], [31, 35], [25, 42], [19, 50], [30, 50.5]]
KEYPOINTS = [number for x, y in POINTS for number in (x, y, 2)]

# Three photographs: two faces, none, a crowd.
CONTENT: dict[str, Any] = {
    "info": {"description": "three records"},
    "categories": [{"id": 1, "name": "face"}, {"id": 7, "name": "mask"}],
    "images": [
        {"id": 20, "file_name": "b.jpg", "width": 40, "height": 30},
        {"id": 3, "file_name": "sub/a.jpg"},
        {"id": "x", "file_name": "c.PNG", "width": 41.0, "height": 30},
    ],
    "annotations": [
        {"id": 1, "image_id": 20, "category_id": 7, "bbox": [10, 20, 30.5, 40], "keypoints": KEYPOINTS},
        {"id": 2, "image_id": "x", "bbox": [1, 2, 3, 4], "iscrowd": 1, "keypoints": [5, 5, 0] * 17},
        {"id": 3, "image_id": 20, "bbox": [0, 0, 5, 5], "iscrowd": 0, "keypoints": []},
    ],
}


def put(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def put_image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30)).save(path)
    return path


@pytest.fixture
def content() -> dict[str, Any]:
    """Content of a json file that a test may change."""
    return deepcopy(CONTENT)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The json file of three records, and their photographs."""
    for image in CONTENT["images"]:
        put_image(tmp_path / "faces/images" / image["file_name"])
    return put(tmp_path / "faces/faces.json", CONTENT)


def test_three_records(file: Path) -> None:
    dataset = read_coco(str(file))
    assert dataset.source == f"coco:{file}"
    b, a, c = dataset.annotations
    assert [b.name, a.name, c.name] == ["b.jpg", "sub/a.jpg", "c.PNG"]
    assert [x.path for x in (b, a, c)] == [file.parent / "images" / x.name for x in (b, a, c)]
    assert_array_equal(b.boxes, np.float32([[10, 20, 40.5, 60], [0, 0, 5, 5]]))
    assert_array_equal(b.landmarks[0], np.float32(POINTS))
    assert_array_equal(b.landmark_mask, [True, False])
    assert_array_equal(b.ignore, [False, False])
    assert a.boxes.shape == (0, 4)
    assert a.landmarks.shape == (0, 5, 2)
    assert_array_equal(c.boxes, np.float32([[1, 2, 4, 6]]))
    assert_array_equal(c.ignore, [True])
    assert_array_equal(c.landmark_mask, [False])
    assert (b.size, a.size, c.size) == ((40, 30), None, (41, 30))
    assert [len(sample.boxes) for sample in dataset] == [2, 0, 1]


@pytest.mark.parametrize("json_name", ["x.json", "annotations/x.JSON"])
def test_folder_with_one_json(tmp_path: Path, json_name: str, content: dict[str, Any]) -> None:
    put(tmp_path / json_name, content)
    put(tmp_path / "other/y.json", {})
    assert len(read_coco(tmp_path)) == 3


@pytest.mark.parametrize(
    ("json_name", "images"),
    [
        ("x.json", "."),
        ("x.json", "images"),
        ("annotations/x.json", "annotations"),
        ("annotations/x.json", "images"),
        ("annotations/instances_train2017.json", "images/train2017"),
        ("annotations/instances_train2017.json", "train2017"),
        ("annotations/person_keypoints_val.json", "val"),
        ("annotations/train.json", "train"),
    ],
)
def test_layouts(tmp_path: Path, json_name: str, images: str, content: dict[str, Any]) -> None:
    put(tmp_path / json_name, content)
    image = put_image(tmp_path / images / "sub/a.jpg")
    put_image(tmp_path / "elsewhere/sub/a.jpg")
    dataset = read_coco(tmp_path / json_name)
    assert dataset.annotations[1].path == image
    # A missing one is expected beside those that are there.
    assert dataset.annotations[0].path == tmp_path / images / "b.jpg"


def test_the_nearest_folder_of_photographs_is_taken(tmp_path: Path, content: dict[str, Any]) -> None:
    put(tmp_path / "annotations/x.json", content)
    for folder in ("x", "images/x", "images", "annotations/images", "annotations"):  # from the farthest on
        put_image(tmp_path / folder / "b.jpg")
        assert read_coco(tmp_path).annotations[0].path == tmp_path / folder / "b.jpg"


def test_missing_photographs_are_where_they_should_be(tmp_path: Path, content: dict[str, Any]) -> None:
    dataset = read_coco(put(tmp_path / "x.json", content))
    assert dataset.annotations[0].path == tmp_path / "images/b.jpg"
    with pytest.raises(InputError, match=r"images/b\.jpg"):
        dataset[0]


@pytest.mark.parametrize(
    ("file_name", "name"), [("sub\\d.jpg", "sub/d.jpg"), ("../images/d.jpg", "images/d.jpg"), (None, None)]
)
def test_file_names(tmp_path: Path, content: dict[str, Any], file_name: str | None, name: str | None) -> None:
    image = put_image(tmp_path / "images" / (name or "d.jpg").removeprefix("images/"))
    content["images"] = [{"id": 20, "file_name": file_name or str(image)}]  # None: the absolute path
    content["annotations"] = []
    (annotation,) = read_coco(put(tmp_path / "x.json", content)).annotations
    assert annotation.path.samefile(image)
    assert annotation.name == (name or image.as_posix()[1:])


@pytest.mark.parametrize(
    ("keypoints", "mask"),
    [
        (KEYPOINTS, True),
        ([*KEYPOINTS[:2], 1, *KEYPOINTS[3:]], True),
        ([*KEYPOINTS[:8], 0, *KEYPOINTS[9:]], False),
        (KEYPOINTS[:12], False),
        ([*KEYPOINTS, 1, 1, 2], False),
        (None, False),
    ],
)
def test_keypoints(
    tmp_path: Path, content: dict[str, Any], keypoints: list[float] | None, mask: bool
) -> None:
    content["annotations"][0]["keypoints"] = keypoints
    annotation = read_coco(put(tmp_path / "x.json", content)).annotations[0]
    assert_array_equal(annotation.landmark_mask, [mask, False])
    assert np.isfinite(annotation.landmarks[0]).all() == mask


def test_ignore(tmp_path: Path, content: dict[str, Any]) -> None:
    content["annotations"][0]["ignore"] = 1
    assert_array_equal(read_coco(put(tmp_path / "x.json", content)).annotations[0].ignore, [True, False])


def test_harmless_differences(file: Path) -> None:
    text = "\ufeff\r\n" + file.read_text().replace(", ", " ,\r\n\r\n ") + "\r\n "
    file.write_bytes(text.encode())
    file.rename(file.with_suffix(".JSON"))
    assert_array_equal(read_coco(file.parent).annotations[0].boxes[0], np.float32([10, 20, 40.5, 60]))


def test_mistakes_in_boxes_are_kept(tmp_path: Path, content: dict[str, Any]) -> None:
    content["annotations"][0]["bbox"] = [90, -5, -1, 0]
    boxes = read_coco(put(tmp_path / "x.json", content)).annotations[0].boxes
    assert_array_equal(boxes[0], np.float32([90, -5, 89, -5]))


# What is put where in the content, and what the message says.
BROKEN: list[tuple[tuple[Any, ...], Any, str]] = [
    (("images",), None, r'there is no "images"'),
    (("annotations",), None, r'there is no "annotations"'),
    (("images",), {}, r'"images" is a dict; expected a list'),
    (("annotations", 1), [1, 2], r'"annotations"\[1\] is a list; expected an object'),
    (("images", 1, "id"), None, r'"images"\[1\]: there is no "id"'),
    (("images", 1, "id"), [3], r'"images"\[1\]: "id" is \[3\]; expected a whole number'),
    (("images", 1, "id"), 20, r'"images"\[1\]: id 20 comes twice'),
    (("annotations", 2, "id"), 1, r'"annotations"\[2\]: id 1 comes twice'),
    (("annotations", 2, "id"), None, r'"annotations"\[2\]: there is no "id"'),
    (("images", 1, "file_name"), None, r'image 3: there is no "file_name"'),
    (("images", 1, "file_name"), 7, r"image 3: file_name is 7; expected the path of a photograph"),
    (("images", 1, "file_name"), "", r"image 3: file_name is ''; expected the path"),
    (("images", 0, "width"), "40", r"image 20: width is '40'; expected a number"),
    (("images", 0, "width"), 40.5, r"image 20: its size is 40\.5 x 30; expected whole numbers"),
    (("images", 0, "height"), 0, r"image 20: its size is 40 x 0; expected whole numbers from 1 up"),
    (("annotations", 1, "image_id"), 99, r'annotation 2: image_id 99 is not among the "images"'),
    (("annotations", 1, "image_id"), [3], r'annotation 2: image_id \[3\] is not among the "images"'),
    (("annotations", 1, "image_id"), None, r'annotation 2: there is no "image_id"'),
    (("annotations", 1, "bbox"), None, r'annotation 2: there is no "bbox"'),
    (("annotations", 1, "bbox"), [1, 2, 3], r"annotation 2: bbox is \[1, 2, 3\]; expected \[left, top,"),
    (("annotations", 1, "bbox"), 5, r"annotation 2: bbox is 5; expected \[left, top,"),
    (("annotations", 1, "bbox", 2), "3", r"annotation 2: a number of bbox is '3'; expected a number"),
    (
        ("annotations", 1, "bbox", 2),
        float("nan"),
        r"annotation 2: a number of bbox is nan; expected a number",
    ),
    (("annotations", 0, "keypoints"), "x", r"annotation 1: keypoints is 'x'; expected a list"),
    (("annotations", 0, "keypoints", 3), "x", r"annotation 1: a number of keypoints is 'x'; expected"),
]


@pytest.mark.parametrize(("place", "value", "message"), BROKEN, ids=lambda value: str(value)[:40])
def test_broken_content(
    tmp_path: Path, content: dict[str, Any], place: tuple[Any, ...], value: object, message: str
) -> None:
    *way, last = place
    part: Any = content
    for step in way:
        part = part[step]
    if value is None:
        del part[last]
    else:
        part[last] = value
    with pytest.raises(InputError, match=message) as error:
        read_coco(put(tmp_path / "x.json", content))
    assert str(error.value).startswith(str(tmp_path / "x.json"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps(CONTENT)[:-40], r"x\.json line 1: not json, or cut short"),
        ("", r"x\.json line 1: not json"),
        ("[" * 100_000, r"x\.json: lists within lists without end"),
        ('{"images": [{"id": ' + "1" * 5000 + "}]}", r"x\.json: holds a number of thousands of digits"),
        ("[]", r'x\.json holds a list; expected an object with "images" and "annotations"'),
        ("3", r"x\.json holds a int; expected an object"),
    ],
)
def test_broken_files(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_coco(path)
    assert "\n" not in str(error.value)


def test_broken_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.json does not exist"):
        read_coco(tmp_path / "nowhere.json")
    with pytest.raises(InputError, match=r"holds no json file"):
        read_coco(tmp_path)
    for name in ("a", "b"):
        put(tmp_path / "annotations" / f"{name}.json", CONTENT)
    with pytest.raises(InputError, match=r"holds 2 json files \(a\.json, b\.json\); name one of them"):
        read_coco(tmp_path)
    (tmp_path / "x.json").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(InputError, match=r"x\.json is not a text file"):
        read_coco(tmp_path / "x.json")


@pytest.mark.parametrize("copy_images", [False, True])
def test_round_trip(tmp_path: Path, copy_images: bool) -> None:
    rng = np.random.default_rng(0)
    before = []
    for name, G, size in [("b.jpg", 3, (40, 30)), ("sub/a.png", 5, (41, 30)), ("sub/é.jpg", 0, None)]:
        points = rng.uniform(-5, 4000, (G, 5, 2))
        points[::2] = np.nan
        path = put_image(tmp_path / "from" / name)
        boxes, ignore = rng.uniform(-5, 4000, (G, 4)), rng.random(G) < 0.5
        before.append(Annotation(path, name, boxes, points, ignore, size))
    write_coco(before, tmp_path / "to/faces.json", copy_images=copy_images)
    after = read_coco(tmp_path / "to/faces.json").annotations
    assert [a.name for a in after] == [a.name for a in before]
    for a, b in zip(after, before, strict=True):
        # Two float32 numbers of up to 4000 may differ by a rounding, 2^-12.
        assert_allclose(a.boxes, b.boxes, rtol=2**-23, atol=2e-6)
        assert_allclose(a.landmarks, b.landmarks, rtol=0, atol=1e-6)
        assert_array_equal(a.landmark_mask, b.landmark_mask)
        assert_array_equal(a.ignore, b.ignore)
        assert a.size == (b.size or (40, 30))  # measured where it was not stated
        assert a.path == tmp_path / "to/images" / b.name
        assert a.path.exists() == copy_images


def test_what_is_written(tmp_path: Path) -> None:
    faces = Annotation(
        "a.jpg", "a.jpg", [[10, 20, 40.5, 60], [0, 0, 5, 5]], [POINTS, np.full((5, 2), np.nan)]
    )
    write_coco([faces], tmp_path / "x.json")
    content = json.loads((tmp_path / "x.json").read_text())
    assert content["images"] == [{"id": 1, "file_name": "a.jpg"}]
    face, other = content["annotations"]
    assert face == {
        "id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 30.5, 40], "area": 1220, "iscrowd": 0,
        "keypoints": KEYPOINTS, "num_keypoints": 5,
    }  # fmt: skip
    assert (other["keypoints"], other["num_keypoints"]) == ([0] * 15, 0)
    assert len(content["categories"][0]["keypoints"]) == 5
    write_coco([Annotation("a.jpg", "a.jpg", [[10, 20, 40.5, 60]])], tmp_path / "x.json")
    assert "keypoints" not in (tmp_path / "x.json").read_text()


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ([Annotation("a", "../a.jpg", [])], r"write_coco: the name '\.\./a\.jpg' is no path below a folder"),
        ([Annotation("a", "a.jpg", [])] * 2, r"'a\.jpg' and 'a\.jpg' would have the same file"),
        ([Annotation("a", "a.jpg", [[0, 0, np.inf, 9]])], r"write_coco: face 0 of 'a\.jpg' has the box"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, annotations: list[Annotation], message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_coco(annotations, tmp_path / "x.json")
    assert not (tmp_path / "x.json").exists()


def test_names_may_differ_in_their_endings_alone(tmp_path: Path) -> None:
    write_coco([Annotation("a", "a.jpg", []), Annotation("a", "a.png", [])], tmp_path / "x.json")
    assert [a.name for a in read_coco(tmp_path / "x.json").annotations] == ["a.jpg", "a.png"]


@pytest.mark.parametrize("name", ["a\0b.jpg", "\ud800.jpg"])
def test_names_that_no_file_can_have(tmp_path: Path, content: dict[str, Any], name: str) -> None:
    content["images"][0]["file_name"] = name
    with pytest.raises(InputError, match=r"image 20: file_name is .*; expected the path of a photograph"):
        read_coco(put(tmp_path / "x.json", content))


def test_a_name_that_is_too_long_is_a_missing_photograph(tmp_path: Path, content: dict[str, Any]) -> None:
    content["images"][0]["file_name"] = "a" * 5000
    assert read_coco(put(tmp_path / "x.json", content)).annotations[0].name == "a" * 5000


def test_info_is_written_and_not_read(tmp_path):
    annotation = Annotation(tmp_path / "a.jpg", "a.jpg", [[1, 2, 3, 4]], size=(9, 9))
    write_coco([annotation], tmp_path / "with.json", info={"description": "made by hand", "version": 2})
    write_coco([annotation], tmp_path / "without.json")
    texts = [json.loads((tmp_path / name).read_text()) for name in ("with.json", "without.json")]
    assert texts[0].pop("info") == {"description": "made by hand", "version": 2}
    assert texts[0] == texts[1]
    (read,) = read_coco(tmp_path / "with.json").annotations
    np.testing.assert_array_equal(read.boxes, annotation.boxes)
