import json

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.weights import checksum, load_npz, save_npz
from minidet.weights.npz import FORMAT_VERSION, HEADER

STATE = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "a.bias": np.array([0.5, -1.0])}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "weights.npz"
    save_npz(path, STATE, architecture="toy")
    return path


def write(path, header, arrays=STATE):
    np.savez(path, **{HEADER: np.array(json.dumps(header))}, **arrays)


def test_round_trip(path):
    architecture, state = load_npz(path)
    assert architecture == "toy"
    assert state.keys() == STATE.keys()
    for name, array in STATE.items():
        assert state[name].dtype == array.dtype
        np.testing.assert_array_equal(state[name], array)


def test_the_file_holds_no_pickle(path):
    with np.load(path, allow_pickle=False) as archive:
        assert all(archive[name].dtype != object for name in archive.files)


def test_writing_twice_gives_the_same_bytes(path, tmp_path):
    save_npz(tmp_path / "again.npz", STATE, architecture="toy")
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()


def test_checksum_is_of_the_content_not_of_the_order():
    assert checksum(STATE) == checksum(dict(reversed(STATE.items())))


@pytest.mark.parametrize(
    "other",
    [
        {**STATE, "a.bias": np.array([0.5, -1.0000001])},
        {**STATE, "a.bias": np.array([0.5, -1.0], np.float32)},
        {**STATE, "a.weight": STATE["a.weight"].reshape(3, 2)},
        {"b.weight": STATE["a.weight"], "a.bias": STATE["a.bias"]},
        {"a.weight": STATE["a.weight"]},
    ],
    ids=["value", "type", "shape", "name", "fewer"],
)
def test_checksum_sees_every_change(other):
    assert checksum(other) != checksum(STATE)


def test_altered_numbers_are_refused(path):
    header = {"format": FORMAT_VERSION, "architecture": "toy", "sha256": checksum(STATE)}
    write(path, header, {**STATE, "a.bias": np.array([0.5, -2.0])})
    with pytest.raises(InputError, match="does not match its checksum"):
        load_npz(path)


def test_newer_format_is_refused(path):
    write(path, {"format": FORMAT_VERSION + 1, "architecture": "toy", "sha256": checksum(STATE)})
    with pytest.raises(InputError, match=f"has format {FORMAT_VERSION + 1}"):
        load_npz(path)


@pytest.mark.parametrize("header", [{}, [], {"format": 1}, 5])
def test_odd_header_is_refused(path, header):
    write(path, header)
    with pytest.raises(InputError, match="not a minidet weight file"):
        load_npz(path)


def test_foreign_npz_is_refused(tmp_path):
    np.savez(tmp_path / "foreign.npz", **STATE)
    with pytest.raises(InputError, match=r"foreign\.npz is not a minidet weight file"):
        load_npz(tmp_path / "foreign.npz")


def test_npz_with_a_pickle_is_refused(tmp_path):
    np.savez(tmp_path / "pickle.npz", **{HEADER: np.array([{"format": 1}], dtype=object)})
    with pytest.raises(InputError, match="not a minidet weight file"):
        load_npz(tmp_path / "pickle.npz")


@pytest.mark.parametrize("content", [b"", b"a text file\n", b"PK\x03\x04 no zip", b"\x93NUMPY"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "other.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"other\.npz"):
        load_npz(tmp_path / "other.npz")


def test_every_truncation_is_refused(path):
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            load_npz(path)


def test_random_damage_is_refused_and_never_a_traceback(path):
    whole = path.read_bytes()
    random = np.random.RandomState(0)
    for _ in range(2000):
        damaged = bytearray(whole)
        for _ in range(random.randint(1, 4)):
            damaged[random.randint(len(damaged))] = random.randint(256)
        path.write_bytes(damaged)
        try:
            load_npz(path)  # some bytes of a zip file carry no meaning
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017  # refusing is not required, only refusing cleanly


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no such file: .*none\.npz"):
        load_npz(tmp_path / "none.npz")


def test_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        load_npz(tmp_path)


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"'.*weights\.bin' ends differently"):
        save_npz(tmp_path / "weights.bin", STATE, architecture="toy")
    assert not list(tmp_path.iterdir())
