"""Checkpoints made by PyTorch (``tests/oracles/make_torch_files.py``), and files built here to do harm."""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.weights.torch_file import read_torch_file

FILES = Path(__file__).parents[1] / "oracles" / "torch_files"
MAGIC = 0x1950A86A20F9469CFC6C
layouts = pytest.mark.parametrize("layout", ["zip", "legacy"])


def reason_only(parameter: object) -> str:
    """Name a case by its text and not by the bytes of its pickle."""
    return parameter if isinstance(parameter, str) else ""


def refused(path: str | Path) -> str:
    """Return the message with which ``path`` is refused: one line, naming the file and what was expected."""
    with pytest.raises(InputError) as caught:
        read_torch_file(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    assert message.endswith(
        "; expected a PyTorch state dict, as written by torch.save(model.state_dict(), path)"
    )
    return message


# ---- Files made by PyTorch -------------------------------------------------------------------------


@layouts
@pytest.mark.parametrize(
    ("name", "expected"),
    [("tensors", "tensors"), ("module", "module"), ("checkpoint", "module"), ("model", "module")],
)
def test_reads_what_torch_wrote(layout: str, name: str, expected: str) -> None:
    arrays = read_torch_file(FILES / f"{name}_{layout}.pth")
    with np.load(FILES / f"{expected}.npz") as oracle:
        assert list(arrays) == oracle.files
        for key, array in arrays.items():
            assert array.dtype == oracle[key].dtype, key
            assert array.shape == oracle[key].shape, key
            assert array.tobytes() == oracle[key].tobytes(), key  # to the bit, NaN and -0 included


@layouts
def test_arrays_are_fresh(layout: str) -> None:
    arrays = read_torch_file(str(FILES / f"tensors_{layout}.pth"))
    for name, array in arrays.items():
        assert type(array) is np.ndarray, name
        assert array.flags.c_contiguous, name
        assert array.flags.writeable, name
        assert array.flags.owndata, name
        assert array.dtype.isnative, name
    arrays["whole"][...] = -1.0
    arrays["expanded"][0, 0] = -1.0
    assert (arrays["shared.transposed"] >= 0).all()
    assert (arrays["expanded"][0, 1:] == 1.5).all()


# ---- Files built by hand ---------------------------------------------------------------------------


ORDERED_DICT = b"ccollections\nOrderedDict\n"


def code(value: object) -> bytes:
    """Return the pickle instructions that put ``value`` on the stack."""
    return pickle.dumps(value, protocol=2)[2:-1]


def program(*instructions: bytes) -> bytes:
    return b"\x80\x02" + b"".join(instructions) + b"."


def reference(kind: str = "FloatStorage", key: object = "0", count: object = 6, *view: object) -> bytes:
    parts = [
        code("storage"),
        f"ctorch\n{kind}\n".encode(),
        code(key),
        code("cpu"),
        code(count),
        *map(code, view),
    ]
    return b"(" + b"".join(parts) + b"tQ"


def tensor(storage: bytes, offset: object = 0, size: object = (2, 3), stride: object = (3, 1)) -> bytes:
    hooks = ORDERED_DICT + b")R"
    arguments = [storage, code(offset), code(size), code(stride), b"\x89", hooks]
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + b"".join(arguments) + b"tR"


def state_dict(**tensors: bytes) -> bytes:
    return program(b"}", *(code(name) + value + b"s" for name, value in tensors.items()))


def write_zip(path: Path, pickled: bytes, *storages: bytes, **records: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("any name/data.pkl", pickled)
        for key, raw in enumerate(storages):
            archive.writestr(f"any name/data/{key}", raw)
        for name, raw in records.items():
            archive.writestr(f"any name/{name}", raw)
    return path


def write_legacy(
    path: Path, pickled: bytes, *storages: bytes, keys: object = None, itemsize: int = 4
) -> Path:
    keys = [str(key) for key in range(len(storages))] if keys is None else keys
    heads = [pickle.dumps(part, protocol=2) for part in (MAGIC, 1001, {"little_endian": True})]
    runs = [struct.pack("<q", len(raw) // itemsize) + raw for raw in storages]
    path.write_bytes(b"".join([*heads, pickled, pickle.dumps(keys, protocol=2), *runs]))
    return path


WRITERS: dict[str, Callable[..., Path]] = {"zip": write_zip, "legacy": write_legacy}
SIX = np.arange(6, dtype="<f4").tobytes()


@layouts
def test_reads_files_built_by_hand(layout: str, tmp_path: Path) -> None:
    transposed = tensor(reference(), 0, (3, 2), (1, 3))
    pickled = state_dict(a=tensor(reference()), b=transposed, c=tensor(reference(), 5, (1,), (2**63 - 1,)))
    arrays = read_torch_file(WRITERS[layout](tmp_path / "x.pth", pickled, SIX))
    np.testing.assert_array_equal(arrays["a"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(arrays["b"], [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(arrays["c"], [5])  # the stride of an axis of length 1 is never used


@layouts
def test_reads_strings_and_dicts_of_python_2(layout: str, tmp_path: Path) -> None:
    storage = b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x06NtQ"
    old = b"ctorch._utils\n_rebuild_tensor\n(" + storage + b"K\x00" + code((6,)) + code((1,)) + b"tR"
    pickled = program(ORDERED_DICT, b"](](U\x01w", old, b"ee\x85R")
    arrays = read_torch_file(WRITERS[layout](tmp_path / "x.pth", pickled, SIX))
    np.testing.assert_array_equal(arrays["w"], np.arange(6))


def test_reads_both_byte_orders(tmp_path: Path) -> None:
    pickled = state_dict(w=tensor(reference()), h=tensor(reference("BFloat16Storage", "1", 1), 0, (), ()))
    pi = 0x4049  # the upper half of its float32
    for order, letter in (("little", "<"), ("big", ">")):
        storages = [np.arange(6, dtype=f"{letter}f4").tobytes(), np.array(pi, f"{letter}u2").tobytes()]
        arrays = read_torch_file(write_zip(tmp_path / "x.pth", pickled, *storages, byteorder=order.encode()))
        np.testing.assert_array_equal(arrays["w"], [[0, 1, 2], [3, 4, 5]])
        assert arrays["w"].dtype.isnative
        assert arrays["h"] == np.float32(3.140625)
    assert "byte order" in refused(write_zip(tmp_path / "x.pth", pickled, SIX, b"\0\0", byteorder=b"middle"))


def test_bool_is_zero_or_one(tmp_path: Path) -> None:
    pickled = state_dict(w=tensor(reference("BoolStorage", "0", 3), 0, (3,), (1,)))
    arrays = read_torch_file(write_zip(tmp_path / "x.pth", pickled, b"\x00\x02\x01"))
    np.testing.assert_array_equal(arrays["w"].view(np.uint8), [0, 1, 1])


def test_an_empty_state_dict(tmp_path: Path) -> None:
    assert read_torch_file(write_zip(tmp_path / "x.pth", state_dict())) == {}


@layouts
def test_the_prefix_module_stays_when_it_is_not_common(layout: str, tmp_path: Path) -> None:
    pickled = state_dict(**{"module.a": tensor(reference()), "b": tensor(reference())})
    assert list(read_torch_file(WRITERS[layout](tmp_path / "x.pth", pickled, SIX))) == ["module.a", "b"]


# ---- Harm ------------------------------------------------------------------------------------------


class Harmful:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


SYSTEM = f"{os.system.__module__}.system"


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


def harmful_pickle(marker: Path, protocol: int) -> bytes:
    return pickle.dumps({"weight": Harmful(f"echo harm > {marker}")}, protocol=protocol)


@layouts
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_runs_a_command_is_refused(
    layout: str, protocol: int, tmp_path: Path, marker: Path
) -> None:
    message = refused(WRITERS[layout](tmp_path / "x.pth", harmful_pickle(marker, protocol)))
    assert not marker.exists()
    if protocol in (2, 3):
        assert f"{SYSTEM!r}: refused, and nothing was executed" in message
    pickle.loads(harmful_pickle(marker, protocol))  # the harm is real: Python's own unpickler does it
    assert marker.exists()


@pytest.mark.parametrize("place", range(5))
def test_a_harmful_pickle_in_every_place_of_a_legacy_file(place: int, tmp_path: Path, marker: Path) -> None:
    healthy: list[object] = [MAGIC, 1001, {}, {}, []]
    parts = [pickle.dumps(part, protocol=2) for part in healthy]
    parts[place] = harmful_pickle(marker, 2)
    path = tmp_path / "x.pth"
    path.write_bytes(b"".join(parts))
    assert ("magic number" if place == 0 else SYSTEM) in refused(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "name",
    [
        "builtins eval",
        "__builtin__ eval",
        "torch load",
        "torch FloatStorage.x",
        "torch ComplexFloatStorage",
        "torch.storage _load_from_bytes",
        "torch._utils _rebuild_tensor_v3",
        "collections OrderedDict.fromkeys",
        "numpy.core.multiarray scalar",
    ],
)
def test_every_other_name_is_refused(name: str, tmp_path: Path) -> None:
    module, attribute = name.split(" ")
    pickled = program(f"c{module}\n{attribute}\n".encode())
    for write in WRITERS.values():
        assert repr(f"{module}.{attribute}") in refused(write(tmp_path / "x.pth", pickled))


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [
        ((2, 3), (4, 1), 0),  # one element too far
        ((2, 3), (3, 1), 1),
        ((6,), (2,), 0),
        ((7,), (1,), 0),
        ((1,), (1,), 6),
        ((), (), 6),
        ((2, 3), (3, 1), -1),
        ((2, 3), (-3, 1), 3),
        ((-2, 3), (3, 1), 0),
        ((-2, -3), (3, 1), 0),
        ((2, 3), (3,), 0),
        ((2,) * 33, (0,) * 33, 0),
        ((2**32, 2**32), (2**32, 1), 0),  # the product is 0 in 64 bits
        ((2**63 - 1,), (2,), 8),
        ((2**64 + 2,), (1,), 0),
        ((2,), (2**64,), 0),
        ((6,), (1,), 2**64),
        ((6,), (1,), "0"),
        ((6.0,), (1,), 0),
        ([6], [1], 0),
        (6, 1, 0),
    ],
)
def test_a_window_that_leaves_its_storage_is_refused(
    size: object, stride: object, offset: object, tmp_path: Path
) -> None:
    pickled = state_dict(w=tensor(reference(), offset, size, stride))
    for write in WRITERS.values():
        assert "describes the tensor 'w'" in refused(write(tmp_path / "x.pth", pickled, SIX))


@layouts
def test_tensors_out_of_proportion_to_the_file_are_refused(layout: str, tmp_path: Path) -> None:
    one = WRITERS[layout](
        tmp_path / "x.pth", state_dict(w=tensor(reference(), 0, (10**6, 10**6), (0, 0))), SIX
    )
    assert "larger than the file" in refused(one)
    empty = write_zip(
        tmp_path / "x.pth", state_dict(w=tensor(reference(), 0, (0, 2**62, 2**62), (0, 0, 0))), SIX
    )
    assert "larger than the file" in refused(empty)  # no array has this shape
    shared = {f"w{i}": tensor(reference(), 0, (10**6,), (0,)) for i in range(20)}
    assert "larger than the file" in refused(WRITERS[layout](tmp_path / "x.pth", state_dict(**shared), SIX))


@pytest.mark.parametrize(
    ("storage", "reason"),
    [
        (reference(count=5), "cut short or damaged"),
        (reference(count=7), "cut short or damaged"),
        (reference(count=2**62), "cut short or damaged"),
        (reference(count=-6), "something other than a storage"),
        (reference(count=2**70), "something other than a storage"),
        (reference(count="6"), "something other than a storage"),
        (reference(key=0), "something other than a storage"),
        (reference("FloatStorage", "0", 6, ("1", 0, 6)), "something other than a storage"),
        (reference("FloatStorage", "0", 6, None, None), "something other than a storage"),
        (code(("module", "FloatStorage", "0", "cpu", 6)) + b"Q", "something other than a storage"),
        (code(("storage", "FloatStorage", "0", "cpu", 6)) + b"Q", "something other than a storage"),
        (code("storage") + b"Q", "something other than a storage"),
        (reference("HalfStorage"), "cut short or damaged"),
        (reference("DoubleStorage"), "cut short or damaged"),
        (reference() + b"0" + reference("IntStorage"), "instruction POP"),
        (reference(key="9"), "9'"),
        (code(None), "'w' in an unknown way"),
    ],
    ids=reason_only,
)
def test_a_storage_that_is_not_there_is_refused(storage: bytes, reason: str, tmp_path: Path) -> None:
    assert reason in refused(write_zip(tmp_path / "x.pth", state_dict(w=tensor(storage)), SIX))
    refused(write_legacy(tmp_path / "x.pth", state_dict(w=tensor(storage)), SIX))


@layouts
def test_a_storage_described_twice_differently_is_refused(layout: str, tmp_path: Path) -> None:
    pickled = state_dict(a=tensor(reference()), b=tensor(reference("IntStorage")))
    assert "'0' twice, differently" in refused(WRITERS[layout](tmp_path / "x.pth", pickled, SIX))


FAULTS = {
    "text of 2 GB": program(b"}X\xff\xff\xff\x7fa"),
    "deep list": program(b"}", b"]" * 100_000),
    "deep tuple": program(b"(" * 100_000, b"t" * 100_000),
    "key with 2**100 parts to hash": program(b"}", b")", b"q\x00h\x00\x86" * 100, b"Ns"),
    "key nested too deeply to hash": program(b"}(", b")" + b"\x85" * 100_000, b"Nu"),
    "name with 2**100 parts to print": program(b")", b"q\x00h\x00\x86" * 100, b")R"),
    "tuple without mark": program(b"t"),
    "items without mark": program(b"u"),
    "call of nothing": program(b"R"),
    "attributes of nothing": program(b"Nb"),
    "tuple of nothing": program(b"\x85"),
    "item of a number": program(b"K\x01K\x02a"),
    "key of a list": program(b"]K\x01K\x02s"),
    "list as key": program(b"}]Ns"),
    "key without value": program(b"}(K\x01u"),
    "empty memo slot": program(b"h\x07"),
    "not UTF-8": program(b"}X\x01\x00\x00\x00\xff"),
    "two objects": program(b"NN"),
    "escape that Python warns about": program(b"S'\\q'\n"),
    "nothing": b"",
    "no object": b".",
    "no end": b"\x80\x02}",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_programs_with_faults_are_refused(fault: str, tmp_path: Path) -> None:
    for write in WRITERS.values():
        refused(write(tmp_path / "x.pth", FAULTS[fault]))


def test_a_list_makes_one_dict_only(tmp_path: Path) -> None:
    once = (
        ORDERED_DICT + b"](" + b"](K\x01K\x02eeq\x00\x85R"
    )  # OrderedDict([[1, 2]]), the list kept in slot 0
    again = ORDERED_DICT + b"h\x00\x85R"
    assert "not all strings" in refused(write_zip(tmp_path / "x.pth", program(once)))
    assert "damaged pickle" in refused(write_zip(tmp_path / "x.pth", program(b"](", once, again, b"e")))


def test_a_far_memo_slot_takes_no_memory(tmp_path: Path) -> None:
    far = program(b"}r\xff\xff\xff\x7f")  # slot 2**31 - 1: Python's own unpickler fills 32 GB up to there
    assert read_torch_file(write_zip(tmp_path / "x.pth", far)) == {}


# ---- Damage ----------------------------------------------------------------------------------------

DAMAGED = [
    FILES / f"{name}_{layout}.pth" for name in ("tensors", "checkpoint") for layout in ("zip", "legacy")
]


@pytest.mark.parametrize("source", DAMAGED, ids=lambda path: path.stem)
def test_a_file_cut_short_anywhere_is_refused(source: Path, tmp_path: Path) -> None:
    whole = source.read_bytes()
    path = tmp_path / "cut.pth"
    for length in [*range(0, len(whole), 7), len(whole) - 1]:
        path.write_bytes(whole[:length])
        refused(path)


@pytest.mark.parametrize("source", DAMAGED, ids=lambda path: path.stem)
def test_damaged_bytes_give_an_error_or_a_dict(source: Path, tmp_path: Path) -> None:
    whole = source.read_bytes()
    rng = np.random.default_rng(20)
    path = tmp_path / "damaged.pth"
    accepted = 0
    for _ in range(250):
        damaged = bytearray(whole)
        for position in rng.integers(len(whole), size=rng.integers(1, 4)):
            damaged[position] = rng.integers(256)
        path.write_bytes(damaged)
        with contextlib.suppress(InputError):
            assert type(read_torch_file(path)) is dict
            accepted += 1
    assert 10 < accepted < 240  # both happen, or the damage is not what it should be


# ---- Files that are no checkpoints -----------------------------------------------------------------


def test_missing_files_and_folders(tmp_path: Path) -> None:
    assert "cannot be read (No such file" in refused(tmp_path / "none.pth")
    assert "cannot be read" in refused(tmp_path)
    assert "cannot be read" in refused(f"{tmp_path}\0")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "starts with b''"),
        (b"conv1.weight 0.5\nconv2.weight 0.25\n" * 20, "starts with b'conv1.we'"),
        (pickle.dumps({"weight": 1.0}), "a pickle without PyTorch's magic number"),
        (pickle.dumps(MAGIC + 1, protocol=2), "a pickle without PyTorch's magic number"),
        (pickle.dumps(MAGIC, protocol=2) + pickle.dumps(1002, protocol=2), "another version than 1001"),
        (pickle.dumps(MAGIC, protocol=2), "cut short"),
        (b"PK\x03\x04 and no more", "a damaged zip archive or one that is cut short"),
    ],
)
def test_other_files(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    assert reason in refused(path)


def test_an_npz_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    assert "a NumPy .npz file" in refused(tmp_path / "x.npz")
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(3))
    assert "a NumPy .npz file" in refused(tmp_path / "x.npz")


def test_other_zip_archives(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("photograph.jpg", b"")
    assert "0 records <folder>/data.pkl" in refused(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("a/data.pkl", state_dict())
        archive.writestr("b/data.pkl", state_dict())
    assert "2 records <folder>/data.pkl" in refused(path)
    assert "TorchScript" in refused(write_zip(path, state_dict(), **{"constants.pkl": b""}))


def test_a_compressed_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", state_dict(w=tensor(reference())))
        archive.writestr("archive/data/0", SIX)
    assert "'archive/data.pkl' compressed" in refused(path)


def test_a_zip_archive_that_lists_its_bytes_twice(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", state_dict(w=tensor(reference())))
        archive.writestr("archive/data/0", bytes(4000))
        for key in range(1, 20):  # more names for the record
            twin = zipfile.ZipInfo(f"archive/data/{key}")
            record = archive.getinfo("archive/data/0")
            twin.header_offset, twin.CRC = record.header_offset, record.CRC
            twin.file_size = twin.compress_size = record.file_size
            archive.filelist.append(twin)
    assert "larger than the file" in refused(path)


def test_a_tar_file_of_the_first_pytorch(tmp_path: Path) -> None:
    (tmp_path / "sys_info").write_bytes(b"")
    with tarfile.open(tmp_path / "x.pth", "w", format=tarfile.PAX_FORMAT) as archive:
        archive.add(tmp_path / "sys_info", "sys_info")
    assert "a tar archive" in refused(tmp_path / "x.pth")


@pytest.mark.parametrize(
    ("pickled", "reason"),
    [
        (program(tensor(reference())), "something other than a dict"),
        (program(b"]" + tensor(reference()) + b"a"), "something other than a dict"),
        (program(b"}" + code("epoch") + b"K\x03s"), "holds 'epoch', of type int"),
        (program(b"}" + code("net") + b"}s"), "holds 'net', of type dict"),
        (program(b"}" + code("w") + reference() + b"s"), "holds 'w', of type Storage"),
        (program(b"}K\x01" + tensor(reference()) + b"s"), "keys are not all strings"),
        (program(b"}" + code("model") + b"}" + code("epoch") + b"K\x03ss"), "holds 'epoch', of type int"),
        (program(b"}" + code("model") + b"K\x03s"), "holds 'model', of type int"),
    ],
    ids=reason_only,
)
def test_checkpoints_without_a_state_dict(pickled: bytes, reason: str, tmp_path: Path) -> None:
    storages = [SIX] if b"storage" in pickled else []
    for write in WRITERS.values():
        assert reason in refused(write(tmp_path / "x.pth", pickled, *storages))


def test_legacy_files_with_a_wrong_list_of_keys(tmp_path: Path) -> None:
    path, pickled = tmp_path / "x.pth", state_dict(w=tensor(reference()))
    assert "'1' that no tensor uses" in refused(write_legacy(path, pickled, SIX, SIX))
    assert "lacks the storage '0'" in refused(write_legacy(path, pickled))
    assert "lacks the list" in refused(write_legacy(path, pickled, SIX, keys=[0]))
    assert "lacks the list" in refused(write_legacy(path, pickled, SIX, keys="0"))


@pytest.mark.parametrize("count", [0, 5, 7, -6, 2**62])
def test_a_legacy_storage_with_a_wrong_count(count: int, tmp_path: Path) -> None:
    path = write_legacy(tmp_path / "x.pth", state_dict(w=tensor(reference())), SIX)
    path.write_bytes(path.read_bytes()[: -len(SIX) - 8] + struct.pack("<q", count) + SIX)
    assert "before the 6 elements of '0'" in refused(path)
