"""The journal: broken off at any place, resumed, and the same to the last bit."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from minidet.detections import Detections
from minidet.errors import InputError
from minidet.evaluation.journal import Journal

RECIPE = {"data": {"source": "test:é", "sha256": "12"}, "views": {"flip": False, "iou": 0.4}, "side": None}


def random_faces(seed, count):
    rng = np.random.default_rng(seed)
    return Detections(
        rng.normal(0, 1000, (count, 4)), rng.uniform(0, 1, count), rng.normal(0, 1000, (count, 5, 2))
    )


RESULTS = {"a.png": random_faces(1, 1), "sub/é ü.png": random_faces(2, 0), 'c"\n.png': random_faces(3, 2)}


def assert_same(one, other):
    for name in ("boxes", "scores", "landmarks"):
        a, b = getattr(one, name), getattr(other, name)
        assert a.dtype == b.dtype == np.float32
        assert a.shape == b.shape
        assert a.tobytes() == b.tobytes()


def write(path, results=RESULTS, recipe=RECIPE):
    journal = Journal(path, recipe)
    for name, faces in results.items():
        journal.add(name, faces)
    return path


@pytest.fixture
def file(tmp_path):
    return tmp_path / "detections.jsonl"


# ---- What is written is read -----------------------------------------------------------------------


def test_a_new_one_is_empty_and_there(file):
    assert Journal(file, RECIPE).done == {}
    assert json.loads(file.read_text()) == {"recipe": RECIPE}


def test_lines_of_json(file):
    header, *lines = write(file).read_text().splitlines()
    assert json.loads(header) == {"recipe": RECIPE}
    records = [json.loads(line) for line in lines]
    assert [record["image"] for record in records] == list(RESULTS)
    assert [record["faces"] for record in records] == [faces.to_dicts() for faces in RESULTS.values()]


def test_results_come_back_bit_for_bit(file):
    done = Journal(write(file), RECIPE).done
    assert list(done) == list(RESULTS)
    for name, faces in RESULTS.items():
        assert_same(done[name], faces)


@given(arrays(np.float32, (2, 15)))
def test_every_float32_comes_back(tmp_path_factory, numbers):
    faces = Detections(numbers[:, :4], numbers[:, 4], numbers[:, 5:].reshape(2, 5, 2))
    file = tmp_path_factory.mktemp("journal") / "detections.jsonl"
    back = Journal(write(file, {"a": faces}), RECIPE).done["a"]
    for name in ("boxes", "scores", "landmarks"):
        np.testing.assert_array_equal(getattr(back, name), getattr(faces, name))
        finite = ~np.isnan(getattr(faces, name))  # a NaN is a NaN, whatever its bits
        assert getattr(back, name)[finite].tobytes() == getattr(faces, name)[finite].tobytes()
    shutil.rmtree(file.parent)


def test_equal_scores_stay_in_order(file):
    faces = Detections(np.arange(16).reshape(4, 4), [0.5] * 4, np.zeros((4, 5, 2)))
    assert_same(Journal(write(file, {"a": faces}), RECIPE).done["a"], faces)


def test_opening_changes_nothing(file):
    before = write(file).read_bytes()
    Journal(file, RECIPE)
    assert file.read_bytes() == before


def test_goes_on_where_it_stopped(file):
    names = list(RESULTS)
    for name in names:
        Journal(file, RECIPE).add(name, RESULTS[name])
    assert list(Journal(file, RECIPE).done) == names


# ---- Cut short -------------------------------------------------------------------------------------


def test_cut_at_every_byte(file, tmp_path):
    whole = write(file).read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]  # where a line is complete
    assert len(ends) == 4
    cut_file = tmp_path / "cut.jsonl"
    for cut in range(len(whole) + 1):
        cut_file.write_bytes(whole[:cut])
        complete = sum(end <= cut for end in ends)
        journal = Journal(cut_file, RECIPE)
        assert list(journal.done) == list(RESULTS)[: max(complete - 1, 0)], cut
        assert cut_file.read_bytes() == whole[: ends[max(complete, 1) - 1]], cut  # the header is made again
        for name in list(RESULTS)[len(journal.done) :]:
            journal.add(name, RESULTS[name])
        assert cut_file.read_bytes() == whole, cut


# ---- Another recipe --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"side": 640}, "side: null there, 640 here"),
        ({"views": {"flip": True, "iou": 0.4}}, "views.flip: false there, true here"),
        ({"views": {"flip": 0, "iou": 0.4}}, "views.flip: false there, 0 here"),
        ({"views": {"flip": False}}, "views.iou: 0.4 there, nothing here"),
        ({"more": None}, "more: nothing there, null here"),
        ({"data": {"source": "test:e", "sha256": "12"}}, r'data.source: "test:\u00e9" there, "test:e" here'),
        ({"data": "test"}, 'data: nothing there, "test" here'),
    ],
)
def test_another_recipe_is_refused_and_the_entry_named(file, change, difference):
    before = write(file).read_bytes()
    with pytest.raises(InputError) as error:
        Journal(file, RECIPE | change)
    assert str(error.value) == (
        f"{file} holds results of another recipe ({difference}); give another folder, or delete that file"
    )
    assert file.read_bytes() == before


def test_an_entry_less_is_named(file):
    write(file)
    with pytest.raises(InputError, match=r"\(side: null there, nothing here\)"):
        Journal(file, {name: value for name, value in RECIPE.items() if name != "side"})


def test_another_order_is_told(file):
    write(file)
    with pytest.raises(InputError, match=r"\(the entries are in another order\)"):
        Journal(file, dict(reversed(RECIPE.items())))


# ---- Not a journal ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"notes\n",
        b"notes\nand more",
        b"\xff\xd8\xff\xe0\n\x00\x01",
        b"[1, 2]\n",
        b"7\n",
        b'{"recipe": 7}\n',
        b'{"image": "a.png", "faces": []}\n',
        b"\n\n",
    ],
)
def test_a_file_that_is_no_journal_is_refused_and_kept(file, content):
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"holds results of another recipe \(its first line is no recipe\)"):
        Journal(file, RECIPE)
    assert file.read_bytes() == content


@pytest.mark.parametrize("content", [b"notes", b"\xff\xd8\xff\xe0", b"\n", b'{"recipe": {"other'])
def test_nor_is_one_without_a_whole_line_overwritten(file, content):
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"is no file of results; give another folder, or delete that file"):
        Journal(file, RECIPE)
    assert file.read_bytes() == content


@pytest.mark.parametrize(
    "line",
    [
        "",
        "notes",
        "7",
        "[]",
        "{}",
        '{"image": "a.png"}',
        '{"image": ["a.png"], "faces": []}',
        '{"image": "a.png", "faces": 7}',
        '{"image": "a.png", "faces": [7]}',
        '{"image": "a.png", "faces": [{"box": [1, 2, 3, 4], "score": 1}]}',
        '{"image": "a.png", "faces": [{"box": [1, 2, 3], "score": 1, "landmarks": []}]}',
        '{"image": "a.png", "faces": [{"box": "abcd", "score": 1, "landmarks": []}]}',
        "\ud800",
        "[" * 100_000,
        '{"image": "a.png", "faces": [{"box": [1, 2, 3, 1e39], "score": 1, "landmarks": '
        "[[1, 1], [1, 1], [1, 1], [1, 1], [1, 1]]}]}",
    ],
)
def test_a_line_that_is_no_result_is_refused_and_counted(file, line):
    write(file)
    with file.open("ab") as stream:
        stream.write(line.encode("utf-8", "surrogatepass") + b"\n")
    before = file.read_bytes()
    with pytest.raises(InputError, match=r"line 5 is no result of a photograph; delete the file"):
        Journal(file, RECIPE)
    assert file.read_bytes() == before


def test_a_header_without_end_is_refused(file):
    file.write_text("[" * 100_000 + "\n")
    with pytest.raises(InputError, match="its first line is no recipe"):
        Journal(file, RECIPE)


def test_a_folder_in_its_place(tmp_path):
    with pytest.raises(InputError, match="is a folder; expected a file"):
        Journal(tmp_path, RECIPE)


def test_its_folder_is_made(tmp_path):
    assert write(tmp_path / "new/detections.jsonl").exists()
