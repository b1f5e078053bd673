"""The data set: the same pictures whoever asks, when and in which order; annotations that fit them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from minidet.datasets import (
    SyntheticAnnotation,
    SyntheticDataset,
    SyntheticSettings,
    check_dataset,
    read_coco,
    read_voc,
    read_yolo,
    summarize_dataset,
    synthetic_dataset,
    write_coco,
    write_points_json,
    write_voc,
    write_yolo,
)
from minidet.datasets._writing import measured_size
from minidet.datasets.synthetic.head import head_triangles
from minidet.datasets.synthetic.render import Layer
from minidet.errors import InputError

SETTINGS = SyntheticSettings(size=(120, 96), faces=(0, 3), face_heights=(16.0, 60.0))


def make(count=6, seed=0):
    return synthetic_dataset(count, seed=seed, settings=SETTINGS)


def pictures(dataset):
    return [sample.image for sample in dataset]


def test_pictures_are_pictures():
    for sample in make():
        assert sample.image.shape == (96, 120, 3)
        assert sample.image.dtype == np.uint8
        assert sample.image.std() > 5
        assert sample.image.flags.c_contiguous
        assert sample.boxes.dtype == sample.landmarks.dtype == np.float32
        assert sample.landmark_mask.all()
        assert not sample.ignore.any()


def test_same_seed_same_bytes():
    one, other = make(), make()
    for a, b in zip(one, other, strict=True):
        assert a.image.tobytes() == b.image.tobytes()
        assert a.boxes.tobytes() == b.boxes.tobytes()
        assert a.landmarks.tobytes() == b.landmarks.tobytes()
        assert a.name == b.name


def test_other_seed_other_pictures():
    differ = [(a != b).mean() for a, b in zip(pictures(make()), pictures(make(seed=1)), strict=True)]
    assert min(differ) > 0.5


def test_pictures_of_a_set_differ():
    images = pictures(make())
    differ = [(images[i] != images[j]).mean() for i in range(6) for j in range(i)]
    assert min(differ) > 0.5


def test_backgrounds_of_a_set_differ():
    settings = SyntheticSettings(size=(120, 96), faces=(0, 0))
    images = pictures(synthetic_dataset(4, settings=settings))
    assert min((images[i] != images[j]).mean() for i in range(4) for j in range(i)) > 0.5


def test_longer_set_begins_with_the_shorter():
    for a, b in zip(make(3), make(5)[:3], strict=True):
        assert (a.image == b.image).all()
        assert (a.boxes == b.boxes).all()


def test_order_of_access_does_not_matter():
    expected = pictures(make())
    dataset = make()
    for number in (4, 1, 5, 1, 0, 3, 2):
        assert (dataset[number].image == expected[number]).all()


def test_threads_do_not_matter():
    expected = pictures(make())
    dataset = make()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda k: dataset[k % 6].image, range(24)))
    for k, image in enumerate(found):
        assert (image == expected[k % 6]).all()


def test_annotations_do_not_depend_on_what_only_pixels_show():
    plain = SyntheticSettings(size=(120, 96), faces=(0, 3), face_heights=(16.0, 60.0), negatives=0)
    one, other = make(), synthetic_dataset(6, settings=plain)
    assert all((a.boxes == b.boxes).all() for a, b in zip(one, other, strict=True))
    assert any((a.image != b.image).any() for a, b in zip(one, other, strict=True))


def test_slices_keep_their_meshes():
    dataset = make()
    part = dataset[1::2]
    assert isinstance(part, SyntheticDataset)
    assert part.source == "synthetic:6,size=120x96,faces=0-3,heights=16-60[1::2]"
    assert [annotation.name for annotation in part.annotations] == [
        "synthetic/000001.png",
        "synthetic/000003.png",
        "synthetic/000005.png",
    ]
    assert (part[1].image == dataset[3].image).all()
    assert part.triangles is dataset.triangles
    assert dataset[-1].name == "synthetic/000005.png"


def test_pictures_without_faces_occur():
    counts = [len(annotation.boxes) for annotation in make(60).annotations]
    assert counts.count(0) > 5
    empty = make(60)[counts.index(0)]
    assert empty.boxes.shape == (0, 4)
    assert empty.landmarks.shape == (0, 5, 2)
    assert make(60).annotations[counts.index(0)].vertices.shape == (0, 399, 3)


def test_annotation():
    for annotation in make(20).annotations:
        assert isinstance(annotation, SyntheticAnnotation)
        assert annotation.usable() is annotation
        assert annotation.vertices.dtype == np.float32
        assert annotation.vertices.shape == (len(annotation.boxes), 399, 3)
        for box, points, vertices in zip(
            annotation.boxes, annotation.landmarks, annotation.vertices, strict=True
        ):
            x, y, z = vertices.T
            np.testing.assert_array_equal(box, [x.min(), y.min(), x.max(), y.max()])
            for point, vertex in zip(points, (157, 165, 237, 291, 297), strict=True):
                assert point.tolist() == vertices[vertex, :2].tolist()
            assert (points > box[:2]).all()
            assert (points < box[2:]).all()
            assert z[237] < z.mean()  # the nose is nearer than the rest


def test_box_is_that_of_the_drawn_face():
    """A face drawn alone reaches up to its box, and not beyond."""
    for annotation in make(20).annotations:
        for box, vertices in zip(annotation.boxes, annotation.vertices, strict=True):
            layer = Layer(0, 0, 480, 384)  # four times as large, or the tip of a chin falls between samples
            layer.add_mesh(
                4 * vertices.astype(np.float64),
                head_triangles(),
                np.ones((2, 2, 3), np.float32),
                np.ones((399, 2)),
            )
            rows, columns = np.nonzero(np.isfinite(layer.samples[..., 6]))
            drawn = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / 8
            np.testing.assert_allclose(drawn, box, atol=0.5)


def test_the_face_is_where_its_box_is():
    """Without the faces the picture is the same but for heads and bodies: near each box it differs."""
    from minidet.datasets.synthetic.picture import draw_picture
    from minidet.datasets.synthetic.scene import draw_scene

    changed = 0
    for number in range(8):
        people = draw_scene(np.random.default_rng([0, number, 0]), SETTINGS)
        image, empty = (
            draw_picture(who, SETTINGS, np.random.default_rng([0, number, 1])) for who in (people, [])
        )
        # Random numbers for the camera come after the looks, so only gross changes are counted.
        gross = abs(image.astype(int) - empty).max(axis=2) > 60
        for person in people:
            x1, y1, x2, y2 = (round(value) for value in person.box.tolist())
            changed += gross[y1:y2, x1:x2].mean() > 0.3
    assert changed >= 6


def test_eyes_are_bright_with_dark_pupils():
    """Landmarks belong to the drawing: around an eye there is more contrast than on the cheek below it."""
    settings = SyntheticSettings(
        size=(160, 160), faces=(1, 1), face_heights=(120.0, 130.0), max_yaw=10, max_pitch=5, max_roll=5
    )
    more = []
    for sample in synthetic_dataset(20, settings=settings):
        gray = sample.image.mean(axis=2)
        for x, y in sample.landmarks[0, :2].round().astype(int).tolist():
            eye, cheek = gray[y - 5 : y + 6, x - 8 : x + 9], gray[y + 18 : y + 29, x - 8 : x + 9]
            more.append(eye.std() > 1.2 * cheek.std())
    assert np.mean(more) > 0.85


def test_check_data_finds_nothing():
    dataset = make(12)
    assert check_dataset(dataset, progress=False) == []
    assert check_dataset(dataset, decode=False, progress=False) == []
    assert summarize_dataset(dataset).photographs == 12


def test_check_data_sees_a_picture_twice():
    dataset = make(2)
    dataset.annotations = [*dataset.annotations, dataset.annotations[0]]
    assert [problem.kind for problem in check_dataset(dataset, progress=False)] == ["photograph listed twice"]


@pytest.mark.parametrize(
    ("write", "read", "name"),
    [(write_voc, read_voc, ""), (write_yolo, read_yolo, ""), (write_coco, read_coco, "f.json")],
)
def test_can_be_written(write, read, name, tmp_path):
    dataset = make(4)
    write(dataset.annotations, tmp_path / name, copy_images=True)
    again = read(tmp_path / name)
    assert len(again) == 4
    for sample in again:
        number = int(sample.name[-10:-4])
        assert (sample.image == dataset[number].image).all()
        np.testing.assert_allclose(sample.boxes, dataset[number].boxes, atol=1e-3)


def test_a_file_of_the_same_name_is_not_the_picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "synthetic").mkdir()
    Image.new("RGB", (7, 5)).save(tmp_path / "synthetic" / "000000.png")
    annotation = make(1).annotations[0]
    assert measured_size(annotation) == (120, 96)
    assert annotation.read().shape == (96, 120, 3)


def test_points_cannot_be_written(tmp_path):
    with pytest.raises(
        InputError,
        match=r"^'synthetic/000000.png' is drawn, not a file, and this writer copies none; use write_coco",
    ):
        write_points_json(make(1).annotations, tmp_path / "a.json")


@pytest.mark.slow
def test_large_pictures_and_faces():
    settings = SyntheticSettings(size=(640, 480), faces=(1, 1), face_heights=(400.0, 400.0))
    sample = synthetic_dataset(1, settings=settings)[0]
    assert sample.image.shape == (480, 640, 3)
    assert sample.boxes[0, 3] - sample.boxes[0, 1] == pytest.approx(400, abs=1e-3)
