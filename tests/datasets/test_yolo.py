from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from minidet.datasets.sample import Annotation
from minidet.datasets.yolo import read_yolo, write_yolo
from minidet.errors import InputError

POINTS = np.array([[0.2, 0.3], [0.3, 0.3], [0.25, 0.4], [0.2, 0.5], [0.3, 0.5]])
PAIRS = " ".join(f"{x} {y}" for x, y in POINTS)
TRIPLES = " ".join(f"{x} {y} 2" for x, y in POINTS)


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def put_image(path: Path, width: int = 400, height: int = 300, orientation: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (width, height)).save(path, exif=exif)
    return path


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Three photographs: two faces, one in a subfolder, none."""
    folder = tmp_path / "faces"
    put(folder / "labels/a.txt", f"0 0.0625 0.25 0.075 0.1 {PAIRS}\n1 0.5 0.5 1 1\n")
    put(folder / "labels/train/b.txt", f"0 0.5 0.5 0.25 0.5 {TRIPLES}")
    for name in ("a.jpg", "c.PNG", "train/b.jpg"):
        put_image(folder / "images" / name)
    return folder


def one_label(tmp_path: Path, text: str) -> Annotation:
    put_image(tmp_path / "a.jpg")
    put(tmp_path / "a.txt", text)
    (annotation,) = read_yolo(tmp_path).annotations
    return annotation


def test_three_records(faces: Path) -> None:
    dataset = read_yolo(str(faces))
    assert dataset.source == f"yolo:{faces}"
    a, c, b = dataset.annotations
    assert [a.name, c.name, b.name] == ["a.jpg", "c.PNG", "train/b.jpg"]
    assert [x.path for x in (a, c, b)] == [faces / "images" / x.name for x in (a, c, b)]
    assert_allclose(a.boxes, [[10, 60, 40, 90], [0, 0, 400, 300]], rtol=1e-6, atol=1e-5)
    assert_allclose(a.landmarks[0], POINTS * [400, 300], rtol=1e-6)
    assert_array_equal(a.landmark_mask, [True, False])
    assert_allclose(b.boxes, [[150, 75, 250, 225]], rtol=1e-6)
    assert_array_equal(b.landmark_mask, [True])
    assert c.boxes.shape == (0, 4)
    assert [x.size for x in (a, b, c)] == [(400, 300)] * 3
    assert not any(x.ignore.any() for x in (a, b, c))
    assert [len(sample.boxes) for sample in dataset] == [2, 0, 1]


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("a.jpg", "a.txt"),
        ("sub/a.jpg", "sub/a.txt"),
        ("images/a.jpg", "images/a.txt"),
        ("train/images/a.jpg", "train/labels/a.txt"),
        ("sets/images/train/a.jpg", "sets/labels/train/a.txt"),
        ("images/images/a.jpg", "labels/images/a.txt"),
        ("images/sub/images/a.jpg", "images/sub/labels/a.txt"),
        ("Images/a.JPG", "Labels/A.TXT"),
    ],
)
def test_layouts(tmp_path: Path, image: str, label: str) -> None:
    path = put_image(tmp_path / image)
    put(tmp_path / label, "0 0.5 0.5 1 1")
    (annotation,) = read_yolo(tmp_path).annotations
    assert annotation.path == path
    assert len(annotation.boxes) == 1


def test_photographs_that_differ_in_capitals(tmp_path: Path) -> None:
    for stem, faces in [("a", 1), ("A", 2)]:
        put_image(tmp_path / f"{stem}.jpg")
        put(tmp_path / f"{stem}.txt", "0 0.5 0.5 1 1\n" * faces)
    if len(list(tmp_path.iterdir())) == 4:  # a disk that tells them apart
        assert [len(annotation.boxes) for annotation in read_yolo(tmp_path).annotations] == [2, 1]


def test_photograph_on_its_side(tmp_path: Path) -> None:
    put_image(tmp_path / "a.jpg", 400, 300, orientation=6)
    put(tmp_path / "a.txt", "0 0.5 0.5 1 1")
    dataset = read_yolo(tmp_path)
    assert dataset.annotations[0].size == (300, 400)
    assert_array_equal(dataset.annotations[0].boxes, np.float32([[0, 0, 300, 400]]))
    assert dataset[0].image.shape == (400, 300, 3)


@pytest.mark.parametrize("name", ["classes.txt", "train.txt", "README.txt"])
def test_lists_that_are_no_labels(faces: Path, name: str) -> None:
    put(faces / "labels" / name, "face\n")
    assert len(read_yolo(faces)) == 3


def test_train_can_be_the_name_of_a_photograph(faces: Path) -> None:
    put(faces / "labels/train.txt", "0 0.5 0.5 1 1")
    put_image(faces / "images/train.jpg")
    assert [len(annotation.boxes) for annotation in read_yolo(faces).annotations] == [2, 0, 1, 1]


@pytest.mark.parametrize(
    ("numbers", "mask"),
    [
        (PAIRS, True),
        ("-1 " * 10, False),
        ("0 " * 10, False),
        (PAIRS.replace("0.4", "-0.01"), False),
        (PAIRS.replace("0.4", "0"), True),
        (TRIPLES, True),
        (TRIPLES.replace(" 2", " 1"), True),
        (TRIPLES.replace("0.4 2", "0.4 0"), False),
        (TRIPLES.replace("0.4 2", "-0.01 2"), True),
        ("0 " * 15, False),
        ("-1 " * 15, False),
        ("-100 -100 0 " * 5, False),
    ],
)
def test_landmarks(tmp_path: Path, numbers: str, mask: bool) -> None:
    annotation = one_label(tmp_path, f"0 0.5 0.5 1 1 {numbers}")
    assert_array_equal(annotation.landmark_mask, [mask])
    assert np.isfinite(annotation.landmarks).all() == mask


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: "\n\n" + text.replace("\n", "\n \n"),
        lambda text: text.replace("\n", "  \t\n").replace(" ", "\t "),
        lambda text: text.replace("0 0.0625", "0.0 6.25e-2"),
    ],
    ids=["windows", "bom", "blank-lines", "spaces", "notation"],
)
def test_harmless_differences(faces: Path, change) -> None:
    path = faces / "labels/a.txt"
    path.write_bytes(change(path.read_text()).encode())
    path.rename(path.with_suffix(".TXT"))
    boxes = read_yolo(faces).annotations[0].boxes
    assert_allclose(boxes, [[10, 60, 40, 90], [0, 0, 400, 300]], rtol=1e-6, atol=1e-5)


def test_a_face_may_reach_outside(tmp_path: Path) -> None:
    annotation = one_label(tmp_path, "0 -0.1 1.1 0.5 0.5")
    assert_allclose(annotation.boxes, [[-140, 255, 60, 405]], rtol=1e-6)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 1", r"a\.txt line 2: 4 columns; expected 5 \(class cx cy width height\)"),
        ("0 0.5 0.5 1 1 0.9", r"a\.txt line 2: 6 columns; expected 5"),
        ("0,0.5,0.5,1,1", r"a\.txt line 2: 1 columns; expected 5"),
        ("face 0.5 0.5 1 1", r"a\.txt line 2: the class is 'face'; expected a number"),
        ("0.5 0.5 0.5 1 1", r"a\.txt line 2: the class is '0\.5'; expected a whole number"),
        ("0 0.5 x 1 1", r"a\.txt line 2: cy is 'x'; expected a number"),
        ("0 0.5 0.5 nan 1", r"a\.txt line 2: width is 'nan'; expected a number"),
        ("0 0.5 0.5 1 1 " + PAIRS.replace("0.4", "inf"), r"a\.txt line 2: a landmark is 'inf'"),
        ("0 25 40 30 40", r"a\.txt line 2: 25 is no share of the photograph, .* is the line in pixels\?"),
        ("0 0.5 0.5 1 1 " + PAIRS.replace("0.4", "40"), r"a\.txt line 2: 40 is no share of the photograph"),
    ],
)
def test_broken_lines(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        one_label(tmp_path, f"0 0.5 0.5 1 1\n{line}\n0 0.5 0.5 1 1\n")
    assert str(error.value).startswith(str(tmp_path / "a.txt"))
    assert "\n" not in str(error.value)


def test_broken_files(faces: Path) -> None:
    (faces / "labels/a.txt").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(InputError, match=r"labels/a\.txt is not a text file"):
        read_yolo(faces)


def test_missing_photograph(faces: Path) -> None:
    (faces / "images/train/b.jpg").unlink()
    with pytest.raises(
        InputError, match=r"labels/train/b\.txt: there is no photograph .*images/train/b\.jpg"
    ):
        read_yolo(faces)


def test_missing_photograph_of_a_subfolder_with_both(tmp_path: Path) -> None:
    put(tmp_path / "train/labels/a.txt", "0 0.5 0.5 1 1")
    with pytest.raises(
        InputError, match=r"train/labels/a\.txt: there is no photograph .*train/images/a\.jpg"
    ):
        read_yolo(tmp_path)


def test_broken_photograph(faces: Path) -> None:
    (faces / "images/a.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"labels/a\.txt: its photograph .*images/a\.jpg is not a picture"):
        read_yolo(faces)
    (faces / "labels/a.txt").unlink()
    with pytest.raises(InputError, match=r"^/.*images/a\.jpg is not a picture"):
        read_yolo(faces)


def test_broken_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere does not exist"):
        read_yolo(tmp_path / "nowhere")
    put_image(tmp_path / "images/a.jpg")
    with pytest.raises(InputError, match=r"holds no text files"):
        read_yolo(tmp_path)
    (tmp_path / "labels").mkdir()
    with pytest.raises(InputError, match=r"labels holds no text files"):
        read_yolo(tmp_path)


@pytest.mark.parametrize("with_landmarks", [False, True])
def test_round_trip(tmp_path: Path, with_landmarks: bool) -> None:
    rng = np.random.default_rng(0)
    before = []
    for name, G in [("a.jpg", 3), ("sub/a.png", 5), ("sub/é.jpg", 0)]:
        points = rng.uniform(-40, 300, (G, 5, 2))
        points[::2] = np.nan
        path = put_image(tmp_path / "from" / name, 321, 247)
        boxes = np.hstack([rng.uniform(-40, 100, (G, 2)), rng.uniform(100, 300, (G, 2))])
        before.append(Annotation(path, name, boxes, points if with_landmarks else None))
    write_yolo(before, tmp_path / "to", copy_images=True)
    after = read_yolo(tmp_path / "to").annotations
    assert [a.name for a in after] == [a.name for a in before]
    for a, b in zip(after, before, strict=True):
        assert_allclose(a.boxes, b.boxes, rtol=2**-23, atol=1e-6)
        assert_allclose(a.landmarks, b.landmarks, rtol=2**-23, atol=1e-6)
        assert_array_equal(a.landmark_mask, b.landmark_mask)
        assert (a.path, a.size) == (tmp_path / "to/images" / b.name, (321, 247))


def test_what_is_written(tmp_path: Path) -> None:
    box = [[10, 60, 40, 90]]
    write_yolo([Annotation("none.jpg", "sub/a.jpg", box, size=(400, 300))], tmp_path)
    assert (tmp_path / "labels/sub/a.txt").read_text() == "0 0.0625 0.25 0.075 0.1\n"
    with_points = Annotation("none.jpg", "b.jpg", box, [POINTS * [400, 300]], size=(400, 300))
    write_yolo([Annotation("none.jpg", "a.jpg", box, size=(400, 300)), with_points], tmp_path)
    # A tool that reads points expects as many columns in every line.
    assert (tmp_path / "labels/a.txt").read_text() == "0 0.0625 0.25 0.075 0.1" + " 0" * 15 + "\n"
    assert (tmp_path / "labels/b.txt").read_text() == f"0 0.0625 0.25 0.075 0.1 {TRIPLES}\n"


def test_the_measured_size_goes_before_the_stated(tmp_path: Path) -> None:
    path = put_image(tmp_path / "a.jpg", 400, 300, orientation=6)
    write_yolo([Annotation(path, "a.jpg", [[0, 0, 300, 400]], size=(400, 300))], tmp_path / "to")
    assert (tmp_path / "to/labels/a.txt").read_text() == "0 0.5 0.5 1 1\n"


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (
            Annotation("none.jpg", "../a.jpg", [], size=(9, 9)),
            r"write_yolo: the name '\.\./a\.jpg' is no path",
        ),
        (
            Annotation("none.jpg", "a.jpg", []),
            r"write_yolo: the size of 'a\.jpg' is unknown, as none\.jpg does",
        ),
        (Annotation("none.jpg", "a.jpg", [], size=(0, 9)), r"write_yolo: the size of 'a\.jpg' is unknown"),
        (
            Annotation("none.jpg", "a.jpg", [[0, 0, np.nan, 9]], size=(9, 9)),
            r"write_yolo: face 0 of 'a\.jpg' has the box",
        ),
        (
            Annotation("none.jpg", "a.jpg", [[0, 0, 5, 5], [90, 90, 99, 99]], size=(9, 9)),
            r"write_yolo: face 1 of 'a\.jpg': 10\.5 is no share of the photograph",
        ),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, annotation: Annotation, message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_yolo([Annotation("none.jpg", "good.jpg", [], size=(9, 9)), annotation], tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_photographs_whose_labels_would_be_one(tmp_path: Path) -> None:
    annotations = [Annotation("x", name, [], size=(9, 9)) for name in ("s/a.jpg", "s/a.png")]
    with pytest.raises(InputError, match=r"'s/a\.png' and 's/a\.jpg' would have the same file"):
        write_yolo(annotations, tmp_path)
