"""Files that name photographs: written, read back, and what is refused."""

import pytest

from minidet.datasets import Annotation, Dataset, only_named, read_name_list, write_name_list
from minidet.errors import InputError


def dataset(*names, exhaustive=True):
    annotations = [Annotation(f"there/{name}", name, [[0, 0, 9, 9]]) for name in names]
    return Dataset(annotations, f"set of {len(names)}", exhaustive=exhaustive)


def test_what_is_written_is_read(tmp_path):
    names = ["b/ü 1.jpg", "a.jpg", "#c.jpg"]
    write_name_list(tmp_path / "new" / "list.txt", iter(names))
    assert (tmp_path / "new" / "list.txt").read_bytes() == "b/ü 1.jpg\na.jpg\n#c.jpg\n".encode()
    assert read_name_list(tmp_path / "new" / "list.txt", [dataset("a.jpg", *names)]) == names


def test_windows_line_ends_empty_lines_and_several_sets(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbfb.jpg\r\n\r\n  a.jpg\r\n")
    assert read_name_list(tmp_path / "list.txt", [dataset("a.jpg"), dataset("b.jpg")]) == ["b.jpg", "a.jpg"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.jpg\nx.jpg\n", "1 of 2 names are not in set of 1 and set of 2: 'x.jpg'"),
        ("1\n2\n3\n4\na.jpg", "4 of 5 names are not in set of 1 and set of 2: '1', '2', '3', ..."),
        ("1\n2\n3\n", "3 of 3 names are not in set of 1 and set of 2: '1', '2', '3'"),
        ("\n \n", "names no photographs; expected one name per line"),
    ],
)
def test_what_is_refused(tmp_path, text, message):
    path = tmp_path / "list.txt"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_name_list(path, [dataset("a.jpg"), dataset("b.jpg", "c.jpg")])
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).endswith(message)


def test_a_missing_list(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_name_list(tmp_path / "none.txt", [dataset("a.jpg")])


@pytest.mark.parametrize("name", ["", " a.jpg", "a.jpg ", "a\nb.jpg", "a\rb.jpg", "a\0.jpg", "\udcff.jpg"])
def test_a_name_that_is_no_line(tmp_path, name):
    with pytest.raises(InputError, match="cannot be a line of"):
        write_name_list(tmp_path / "list.txt", ["good.jpg", name])
    assert not (tmp_path / "list.txt").exists()


def test_only_named():
    part = only_named(dataset("a", "b", "c", "a", exhaustive=False), ["c", "a", "x"], "part")
    assert [one.name for one in part.annotations] == ["a", "c", "a"]
    assert (part.source, part.exhaustive) == ("part", False)
