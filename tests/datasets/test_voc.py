import os
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from minidet.datasets.sample import Annotation
from minidet.datasets.voc import read_voc, write_voc
from minidet.errors import InputError

FACE = """<object><name>{name}</name><difficult>{difficult}</difficult>
<bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox></object>"""


def face(*corners: object, name: str = "face", difficult: int = 0) -> str:
    return FACE.format(*corners, name=name, difficult=difficult)


def xml(filename: str, *faces: str, size: tuple[int, int] | None = (40, 30)) -> str:
    stated = "" if size is None else f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
    return f"<annotation><filename>{filename}</filename>{stated}{''.join(faces)}</annotation>"


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def put_image(path: Path, width: int = 40, height: int = 30) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height)).save(path)
    return path


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Three photographs: two faces, a difficult one in a subfolder, none."""
    folder = tmp_path / "faces"
    put(folder / "annotations/a.xml", xml("a.jpg", face(11, 6, 20, 25), face(1.5, 2, 40, 30.25, name="mask")))
    put(folder / "annotations/sub/b.xml", xml("b.png", face(3, 3, 9, 9, difficult=1), size=None))
    put(folder / "annotations/c.xml", xml("c.jpg", size=(0, 0)))
    for name in ("a.jpg", "sub/b.png", "c.jpg"):
        put_image(folder / "images" / name)
    return folder


def test_three_records(faces: Path) -> None:
    dataset = read_voc(str(faces))
    assert dataset.source == f"voc:{faces}"
    assert dataset.exhaustive
    a, c, b = dataset.annotations
    assert [a.name, c.name, b.name] == ["a.jpg", "c.jpg", "sub/b.png"]
    assert [x.path for x in (a, c, b)] == [faces / "images" / x.name for x in (a, c, b)]
    # Pixels 11 to 20 are the continuous 10 to 20: ten of them.
    assert_array_equal(a.boxes, np.float32([[10, 5, 20, 25], [0.5, 1, 40, 30.25]]))
    assert_array_equal(a.ignore, [False, False])
    assert_array_equal(b.ignore, [True])
    assert_array_equal(a.landmark_mask, [False, False])
    assert (a.size, b.size, c.size) == ((40, 30), None, None)
    assert c.boxes.shape == (0, 4)
    assert [len(sample.boxes) for sample in dataset] == [2, 0, 1]


@pytest.mark.parametrize(
    ("xml_folder", "image_folder"), [("Annotations", "JPEGImages"), ("", ""), ("a", "a")]
)
def test_layouts(tmp_path: Path, xml_folder: str, image_folder: str) -> None:
    put(tmp_path / xml_folder / "b.xml", xml("b.jpg", face(1, 1, 9, 9)))
    image = put_image(tmp_path / image_folder / "b.jpg")
    assert [a.path for a in read_voc(tmp_path).annotations] == [image]


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("x.jpg", "sub/x.jpg"),  # the folder of the xml file first
        ("x.jpg", "x.jpg"),  # then the folder of all
        ("other/x.jpg", "other/x.jpg"),
        ("C:\\faces\\x.jpg", "sub/stem.jpg"),  # named after the xml file
        ("x", "sub/stem.PNG"),
        ("", "sub/stem.JPG"),
        ("x.jpg", "sub/X.JPG"),
        (" x.jpg\n", "sub/x.jpg"),
        ("/etc/x.jpg", "sub/stem.jpg"),
        ("../x.jpg", "sub/x.jpg"),
    ],
)
def test_the_photograph_is_found(tmp_path: Path, filename: str, name: str) -> None:
    put(tmp_path / "annotations/sub/stem.xml", xml(filename, face(1, 1, 9, 9)))
    put_image(tmp_path / "images" / name)
    put_image(tmp_path / "images/another.jpg")
    (annotation,) = read_voc(tmp_path).annotations
    assert annotation.name == name
    assert annotation.path == tmp_path / "images" / name


def test_a_stated_photograph_goes_before_one_named_after_the_xml_file(tmp_path: Path) -> None:
    put(tmp_path / "a.xml", xml("b.jpg", face(1, 1, 9, 9)))
    for name in ("a.jpg", "b.jpg"):
        put_image(tmp_path / name)
    assert read_voc(tmp_path).annotations[0].name == "b.jpg"


def test_a_missing_photograph_is_where_it_should_be(tmp_path: Path) -> None:
    put(tmp_path / "annotations/sub/a.xml", xml("a.jpg", face(1, 1, 9, 9)))
    put(tmp_path / "annotations/sub/b.xml", xml("", face(1, 1, 9, 9)))
    dataset = read_voc(tmp_path)
    assert [a.path for a in dataset.annotations] == [
        tmp_path / "images/sub/a.jpg",
        tmp_path / "images/sub/b.jpg",
    ]
    with pytest.raises(InputError, match=r"images/sub/a\.jpg"):
        dataset[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: "\n\n" + '<?xml version="1.0" encoding="utf-8"?>\n' + text,
        lambda text: text.replace("<xmin>11<", "<xmin>\n 11.0 \n<"),
        lambda text: text.replace("<object>", "<object><part><bndbox><xmin>x</xmin></bndbox></part>"),
        lambda text: text.replace("<difficult>0</difficult>", ""),
        lambda text: text + "\n\n",
    ],
    ids=["windows", "bom", "blank-lines", "spaces", "parts", "no-difficult", "blank-end"],
)
def test_harmless_differences(faces: Path, change) -> None:
    path = faces / "annotations/a.xml"
    path.write_bytes(change(path.read_text()).encode())
    path.rename(path.with_suffix(".XML"))
    dataset = read_voc(faces)
    assert_array_equal(dataset.annotations[0].boxes, np.float32([[10, 5, 20, 25], [0.5, 1, 40, 30.25]]))
    assert_array_equal(dataset.annotations[0].ignore, [False, False])


def test_hidden_files_are_left_out(faces: Path) -> None:
    put(faces / "annotations/._a.xml", "\0\0")
    assert len(read_voc(faces)) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (xml("a.jpg", face(1, 2, 3, 4))[:-20], r"a\.xml is not an xml file, or is cut short"),
        ("", r"a\.xml is not an xml file, or is cut short"),
        ("1 2 3 4", r"a\.xml is not an xml file"),
        ('<?xml version="1.0" encoding="klingon"?><annotation/>', r"a\.xml is not an xml file"),
        ('<?xml version="1.0" encoding="shift_jis"?><annotation/>', r"a\.xml is not an xml file"),
        ("<html></html>", r"a\.xml is an xml file of <html>; expected <annotation>"),
        (xml("a.jpg", face(1, 2, 3, 4), "<object/>"), r"a\.xml object 2: there is no <bndbox>"),
        (
            xml("a.jpg", face(1, 2, 3, 4).replace("ymax", "bottom")),
            r"a\.xml object 1: its <bndbox> has no <ymax>",
        ),
        (xml("a.jpg", face(1, "", 3, 4)), r"a\.xml object 1: its <bndbox> has no <ymin>"),
        (xml("a.jpg", face("1,5", 2, 3, 4)), r"a\.xml object 1: xmin is '1,5'; expected a number"),
        (xml("a.jpg", face(1, 2, "nan", 4)), r"a\.xml object 1: xmax is 'nan'; expected a number"),
        (xml("a.jpg", face(1, 2, 3, "inf")), r"a\.xml object 1: ymax is 'inf'; expected a number"),
        (xml("a.jpg", face(1, 2, 3, 4, difficult="no")), r"a\.xml object 1: difficult is 'no'"),
        (xml("a.jpg", size=("wide", 3)), r"a\.xml: width is 'wide'; expected a number"),
        (xml("a.jpg", size=(3, 3.5)), r"a\.xml: height is '3\.5'; expected a whole number"),
    ],
)
def test_broken_files(tmp_path: Path, text: str, message: str) -> None:
    put(tmp_path / "annotations/a.xml", text)
    with pytest.raises(InputError, match=message) as error:
        read_voc(tmp_path)
    assert str(tmp_path / "annotations/a.xml") in str(error.value)
    assert "\n" not in str(error.value)


def test_broken_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere does not exist"):
        read_voc(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no xml files"):
        read_voc(tmp_path)
    (tmp_path / "annotations").mkdir()
    with pytest.raises(InputError, match=r"annotations holds no xml files"):
        read_voc(tmp_path)
    with pytest.raises(InputError, match=r"a\.xml is a file; expected a folder"):
        read_voc(put(tmp_path / "a.xml", ""))


@pytest.mark.parametrize("copy_images", [False, True])
def test_round_trip(tmp_path: Path, copy_images: bool) -> None:
    rng = np.random.default_rng(0)
    before = [
        Annotation(
            put_image(tmp_path / "from" / name),
            name,
            rng.uniform(-5, 4000, (G, 4)),
            ignore=rng.random(G) < 0.5,
            size=size,
        )
        for name, G, size in [
            ("a.jpg", 3, (40, 30)),
            ("sub/a.png", 5, (41, 30)),
            ("sub/é & <b>.jpg", 0, None),
        ]
    ]
    write_voc(before, tmp_path / "to", copy_images=copy_images)
    after = read_voc(tmp_path / "to").annotations
    assert [a.name for a in after] == [a.name for a in before]
    for a, b in zip(after, before, strict=True):
        np.testing.assert_allclose(a.boxes, b.boxes, rtol=0, atol=1e-6)
        assert_array_equal(a.ignore, b.ignore)
        assert a.size == (b.size or (40, 30))  # measured where it was not stated
        assert a.path == tmp_path / "to/images" / b.name
        assert a.path.exists() == copy_images


def test_whole_pixels_stay_whole(tmp_path: Path) -> None:
    write_voc([Annotation("a.jpg", "a.jpg", [[10, 20, 40, 60]])], tmp_path)
    text = (tmp_path / "annotations/a.xml").read_text()
    assert "<xmin>11</xmin>" in text
    assert "<xmax>40</xmax>" in text
    assert "<size>" not in text


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ([Annotation("a", "../a.jpg", [])], r"write_voc: the name '\.\./a\.jpg' is no path below a folder"),
        ([Annotation("a", "/a.jpg", [])], r"is no path below a folder"),
        ([Annotation("a", "", [])], r"is no path below a folder"),
        (
            [Annotation("a", "s/a.jpg", []), Annotation("a", "s/a.png", [])],
            r"write_voc: 's/a\.png' and 's/a\.jpg' would have the same file",
        ),
        ([Annotation("a", "a.jpg", [])] * 2, r"'a\.jpg' and 'a\.jpg' would have the same file"),
        (
            [Annotation("a", "a.jpg", [[0, 0, np.nan, 9]])],
            r"write_voc: face 0 of 'a\.jpg' has the box \[0\.0",
        ),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, annotations: list[Annotation], message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_voc(annotations, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_a_broken_photograph_stops_before_anything_is_written(tmp_path: Path) -> None:
    annotations = [Annotation("a.jpg", "a.jpg", []), Annotation(put(tmp_path / "b.jpg", "x"), "b.jpg", [])]
    with pytest.raises(InputError, match=r"b\.jpg is not a picture"):
        write_voc(annotations, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_copying_a_missing_photograph(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot copy .*a\.jpg to .*images/a\.jpg: No such file"):
        write_voc([Annotation(tmp_path / "a.jpg", "a.jpg", [])], tmp_path / "to", copy_images=True)


def test_writing_over_what_was_read(faces: Path) -> None:
    before = (faces / "images/a.jpg").read_bytes()
    write_voc(read_voc(faces).annotations, faces, copy_images=True)
    assert (faces / "images/a.jpg").read_bytes() == before
    assert len(read_voc(faces)) == 3


@pytest.mark.skipif("MINIDET_DATA" not in os.environ, reason="needs the photographs")
def test_mask_photographs() -> None:
    dataset = read_voc(Path(os.environ["MINIDET_DATA"]) / "facemask")
    assert len(dataset) == 638
    assert sum(len(annotation.boxes) for annotation in dataset.annotations) == 3106
    assert all(annotation.path.is_file() for annotation in dataset.annotations)
    outside = 0
    for annotation in dataset.annotations:
        assert annotation.size is not None
        x1, y1, x2, y2 = annotation.boxes.T
        width, height = annotation.size
        outside += int(((x1 < 0) | (y1 < 0) | (x2 > width) | (y2 > height)).sum())
    assert outside == 9
