"""Prediction files of the WIDER FACE evaluation: round trip, what is accepted, an error for each mistake."""

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.evaluation.widerface_files import read_predictions, write_predictions

GOOD = "a.jpg\n2\n10 20 30 40 0.9\n1.5 2.5 3.5 4.5 0.25\n"
BOXES = [[10, 20, 30, 40, 0.9], [1.5, 2.5, 3.5, 4.5, 0.25]]


def folder_with(tmp_path, text, file="0--Parade/a.txt"):
    """A folder of predictions with this one file."""
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return tmp_path


def complaint_about(tmp_path, text, file="0--Parade/a.txt"):
    """The message about a folder with this one file, without the path of the folder."""
    with pytest.raises(InputError) as caught:
        read_predictions(folder_with(tmp_path, text, file))
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(tmp_path))
    return message.removeprefix(str(tmp_path)).lstrip("/\\").replace("\\", "/")


# ---- What is written and read ----------------------------------------------------------------------


def test_a_file_is_read(tmp_path):
    predictions = read_predictions(folder_with(tmp_path, GOOD))
    assert list(predictions) == [("0--Parade", "a")]
    np.testing.assert_array_equal(predictions["0--Parade", "a"], BOXES)


def test_written_files_have_the_official_layout(tmp_path):
    write_predictions(tmp_path, {("0--Parade", "a"): BOXES, ("1--Handshaking", "b"): []})
    files = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*.txt")}
    assert files == {
        "0--Parade/a.txt": "a.jpg\n2\n10.0 20.0 30.0 40.0 0.9\n1.5 2.5 3.5 4.5 0.25\n",
        "1--Handshaking/b.txt": "b.jpg\n0\n",
    }


def test_a_round_trip_returns_the_same_float64(tmp_path):
    rng = np.random.default_rng(0)
    predictions = {}
    for i in range(12):
        boxes = rng.uniform(0, 1000, (i, 5)) * 10.0 ** rng.integers(-12, 4, (i, 5))
        boxes[:, 4] = np.sort(boxes[:, 4] - 500)[::-1]  # scores of any range, also below zero
        predictions[f"{i % 3}--Event", f"photo_{i}"] = boxes
    write_predictions(tmp_path, predictions)
    read = read_predictions(tmp_path)
    assert read.keys() == predictions.keys()
    for key, boxes in predictions.items():
        assert read[key].dtype == np.float64
        np.testing.assert_array_equal(read[key], boxes)


def test_files_are_overwritten(tmp_path):
    write_predictions(tmp_path, {("0--Parade", "a"): BOXES})
    write_predictions(tmp_path, {("0--Parade", "a"): BOXES[1:]})
    np.testing.assert_array_equal(read_predictions(tmp_path)["0--Parade", "a"], BOXES[1:])


@pytest.mark.parametrize(
    "first_line",
    [
        "a.jpg",
        "a",
        "a.png",
        "0--Parade/a.jpg",
        "0--Parade/a",
        "0--Parade\\a.jpg",
        "val/0--Parade/a",
        " a.jpg ",
    ],
)
def test_the_name_may_be_written_in_several_ways(tmp_path, first_line):
    folder = folder_with(tmp_path, GOOD.replace("a.jpg", first_line))
    np.testing.assert_array_equal(read_predictions(folder)["0--Parade", "a"], BOXES)


@pytest.mark.parametrize("name", ["big", "jump", "pp", "g", "a.jpg", "1.5_m"])
def test_a_name_that_ends_in_letters_of_jpg_stays_whole(tmp_path, name):
    """Peers strip the letters j, p, g and dots from the end, and then miss the photograph."""
    write_predictions(tmp_path, {("0--Parade", name): BOXES})
    assert list(read_predictions(tmp_path)) == [("0--Parade", name)]


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("\n", "\r\n"),
        GOOD.rstrip("\n"),
        GOOD + "\n  \n",
        GOOD.replace(" ", "\t"),
        GOOD.replace(" ", "  "),
    ],
)
def test_line_ends_and_spaces_do_not_matter(tmp_path, text):
    np.testing.assert_array_equal(read_predictions(folder_with(tmp_path, text))["0--Parade", "a"], BOXES)


def test_a_photograph_without_boxes(tmp_path):
    boxes = read_predictions(folder_with(tmp_path, "a.jpg\n0\n"))["0--Parade", "a"]
    assert (boxes.shape, boxes.dtype) == ((0, 5), np.float64)


def test_equal_scores_in_a_row(tmp_path):
    folder = folder_with(tmp_path, "a.jpg\n2\n1 2 3 4 0.5\n5 6 7 8 0.5\n")
    assert read_predictions(folder)["0--Parade", "a"][:, 4].tolist() == [0.5, 0.5]


def test_other_files_are_left_alone(tmp_path):
    folder = folder_with(tmp_path, GOOD)
    (folder / "recipe.json").write_text("{}")
    (folder / "0--Parade" / "a.png").write_text("")
    (folder / "empty").mkdir()
    assert list(read_predictions(folder)) == [("0--Parade", "a")]


# ---- Mistakes in a file ----------------------------------------------------------------------------


def test_unsorted_scores(tmp_path):
    assert complaint_about(tmp_path, "a.jpg\n3\n1 2 3 4 0.5\n1 2 3 4 0.4\n1 2 3 4 0.45\n") == (
        "0--Parade/a.txt, line 5: score 0.45 after 0.4; sort boxes, best score first"
    )


@pytest.mark.parametrize("count", ["1", "3", "2.0", "two", "", "10 20 30 40 0.95"])
def test_a_count_that_disagrees(tmp_path, count):
    assert complaint_about(tmp_path, GOOD.replace("\n2\n", f"\n{count}\n")) == (
        f"0--Parade/a.txt, line 2: announces {count!r} boxes, 2 lines follow"
    )


@pytest.mark.parametrize("line", ["1 2 3 4", "1 2 3 4 0.9 0", "1,2,3,4,0.9", "1 2 3 four 0.9", ""])
def test_wrong_columns(tmp_path, line):
    assert complaint_about(tmp_path, f"a.jpg\n2\n{line}\n1 2 3 4 0.5\n") == (
        f"0--Parade/a.txt, line 3: {line!r}; expected five numbers, x y w h score"
    )


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("column", range(5))
def test_numbers_that_are_none(tmp_path, number, column):
    fields = ["1", "2", "3", "4", "0.5"]
    fields[column] = number
    assert complaint_about(tmp_path, f"a.jpg\n2\n1 2 3 4 0.9\n{' '.join(fields)}\n") == (
        f"0--Parade/a.txt, line 4: {' '.join(fields)}; expected finite numbers"
    )


@pytest.mark.parametrize("box", ["1 2 -3 4 0.5", "1 2 3 -0.5 0.5"])
def test_sides_below_zero(tmp_path, box):
    assert complaint_about(tmp_path, f"a.jpg\n1\n{box}\n") == (
        f"0--Parade/a.txt, line 3: {box}; expected x y w h score, no side below zero"
    )


@pytest.mark.parametrize(
    "first_line", ["b.jpg", "", "aa.jpg", "a.b.jpg", "1--Handshaking/a.jpg", "1 2 3 4 0.9"]
)
def test_the_name_of_another_photograph(tmp_path, first_line):
    assert complaint_about(tmp_path, GOOD.replace("a.jpg", first_line)) == (
        f"0--Parade/a.txt, line 1: names {first_line!r}; expected a.jpg, as the file is called"
    )


@pytest.mark.parametrize(("text", "lines"), [("", 0), ("\n\n", 0), ("a.jpg\n", 1)])
def test_a_file_without_its_two_first_lines(tmp_path, text, lines):
    assert complaint_about(tmp_path, text) == (
        f"0--Parade/a.txt: has {lines} lines; expected a name, a count, and a line per box"
    )


def test_a_file_that_is_no_text(tmp_path):
    path = folder_with(tmp_path, "") / "0--Parade" / "a.txt"
    path.write_bytes(b"\xff\xd8\xff\xe0\n\x80\n")
    with pytest.raises(InputError, match=r"a\.txt, line 1: names "):
        read_predictions(tmp_path)


# ---- Mistakes of the folder ------------------------------------------------------------------------

LAYOUT = "expected FOLDER/EVENT/PHOTOGRAPH.txt, such as 0--Parade/0_Parade_Parade_0_628.txt"


def test_files_without_folders_of_events(tmp_path):
    folder_with(tmp_path, GOOD.replace("a.jpg", "b.jpg"), "b.txt")
    assert complaint_about(tmp_path, GOOD, "a.txt") == (
        f"a.txt: lies outside the folders of events, like 2 files in all; {LAYOUT}"
    )


def test_some_files_without_folders_of_events(tmp_path):
    folder_with(tmp_path, GOOD)
    assert complaint_about(tmp_path, GOOD, "a.txt").startswith("a.txt: lies outside the folders of events")


@pytest.mark.parametrize("file", ["0--Parade/a.json", "predictions/0--Parade/a.txt"])
def test_a_folder_without_predictions(tmp_path, file):
    folder_with(tmp_path, GOOD, file)
    with pytest.raises(InputError) as caught:
        read_predictions(tmp_path)
    assert str(caught.value) == f"{tmp_path}: holds no predictions; {LAYOUT}"


@pytest.mark.parametrize("made", [True, False])
def test_an_empty_folder_and_none(tmp_path, made):
    folder = tmp_path / "predictions"
    if made:
        folder.mkdir()
    with pytest.raises(InputError, match="holds no predictions; expected" if made else "no such folder"):
        read_predictions(folder)


# ---- Mistakes in what is to be written -------------------------------------------------------------


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[1, 2, 3, 4]], "predictions of 0--Parade/b: shape (1, 4); expected (K, 5), x y w h score"),
        (np.empty((0, 4)), "predictions of 0--Parade/b: shape (0, 4); expected (K, 5), x y w h score"),
        ([1, 2, 3, 4, 5], "predictions of 0--Parade/b: shape (5,); expected (K, 5), x y w h score"),
        ([[1, 2, 3, "x", 5]], "predictions of 0--Parade/b: not numbers; expected (K, 5) x y w h score"),
        ([[1, 2, 3, 4, np.nan]], "predictions of 0--Parade/b, row 0: 1 2 3 4 nan; expected finite numbers"),
        (
            BOXES[::-1],
            "predictions of 0--Parade/b, row 1: score 0.9 after 0.25; sort boxes, best score first",
        ),
        (
            [[1, 2, 3, -4, 0]],
            "predictions of 0--Parade/b, row 0: 1 2 3 -4 0; expected x y w h score, no side below zero",
        ),
    ],
)
def test_boxes_that_cannot_be_written(tmp_path, boxes, message):
    with pytest.raises(InputError) as caught:
        write_predictions(tmp_path, {("0--Parade", "a"): BOXES, ("0--Parade", "b"): boxes})
    assert str(caught.value) == message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("key", "label"),
    [
        (("0--Parade", "../a"), "0--Parade/../a"),
        (("..", "a"), "../a"),
        (("0--Parade", ""), "0--Parade/"),
        (("0--Parade", "."), "0--Parade/."),
        (("0--Parade", "b\\a"), "0--Parade/b\\a"),
        (("0--Parade", "b\0a"), "0--Parade/b\0a"),
        (("0--Parade", "a", "b"), "0--Parade/a/b"),
        ("0--Parade/a", "'0--Parade/a'"),
        ("ab", "'ab'"),
    ],
)
def test_names_that_cannot_be_written(tmp_path, key, label):
    with pytest.raises(InputError) as caught:
        write_predictions(tmp_path, {("0--Parade", "a"): BOXES, key: BOXES})
    assert str(caught.value) == f"predictions of {label}: expected a pair of file names, event and photograph"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_place_of_a_file(tmp_path):
    (tmp_path / "0--Parade/a.txt").mkdir(parents=True)
    with pytest.raises(InputError, match=r"a\.txt is a folder; expected a file"):
        read_predictions(tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write .*file"):
        write_predictions(tmp_path / "file", {("0--Parade", "a"): BOXES})
