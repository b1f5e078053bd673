r"""Read a PyTorch state dict from its file, without PyTorch.

A checkpoint is two things: a small *pickle* that says which tensors there are, and the raw numbers
they are made of. PyTorch keeps the numbers in *storages*, flat runs of elements of one type; a
tensor is only a window on a storage (``offset``, ``size``, ``stride``), and several can share one.
Two layouts are in use. Since PyTorch 1.6 the parts are records of an uncompressed zip archive, under
one top folder with any name::

    weights.pth (zip)
      |- archive/data.pkl ....... the pickle: {"conv.weight": window on storage "0", ...}
      |- archive/byteorder ...... "little" or "big" (newer files; without it: little)
      |- archive/data/0 ......... the bytes of storage "0"
      `- archive/data/1 ......... the bytes of storage "1"

Before that ("legacy") five pickles and the storages simply follow each other, little-endian::

    +--------------+------+-------------+-------------+-----------------+-----------------------
    | magic number | 1001 | system info | the object  | ["7", "8", ...] | storages, in the order
    | (one pickle) |      | (not used)  | (as above)  | storage keys    | of the list of keys
    +--------------+------+-------------+-------------+-----------------+-----------------------
                                                                        |
                               storage "7": | count, int64 | elements ... | storage "8": ...

A pickle is a program for a small stack machine. In Python's own machine the instruction GLOBAL fetches
any function by name and REDUCE calls it, so loading an unknown checkpoint can run anything. The machine
here, ``_Machine``, is written out for this file format alone. It has no way to call a function: it knows
fourteen names and what each stands for, and refuses every other name and every other instruction. What comes
out is compared with the bytes that are really there (``_check_view``, ``_check_total``) before a number
is read.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import pickletools
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minidet.errors import InputError


def read_torch_file(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Read the state dict in a PyTorch checkpoint (``.pth``, ``.pt``), zip or legacy layout, without PyTorch.

    If the file holds a training checkpoint, a dict with the state dict under ``"state_dict"`` or
    ``"model"``, the state dict is taken out and the rest ignored. The prefix ``module.``, which
    ``DataParallel`` puts before every name, is removed.

    Parameters
    ----------
    path
        The file. It may come from anywhere: nothing in it is executed.

    Returns
    -------
    dict of str to ndarray
        The tensors by name, in the file's order. Each is a fresh C-contiguous array of the type that
        was saved, except that bfloat16, which NumPy does not have, becomes float32 (exactly).

    Raises
    ------
    InputError
        If the file cannot be read, is no checkpoint, is damaged, asks for anything but tensors, or
        describes tensors that its bytes do not hold.

    Examples
    --------
    >>> read_torch_file("missing.pth")
    Traceback (most recent call last):
        ...
    minidet.errors.InputError: missing.pth: cannot be read (No such file or directory); expected a PyTorch
    state dict, as written by torch.save(model.state_dict(), path)
    """
    try:
        file = _read_bytes(path)
        checkpoint, storages = _read_parts(file)
        state_dict = _find_state_dict(checkpoint)
        _check_total(state_dict, len(file))
        return {name: _copy_view(storages[tensor.storage.key], tensor) for name, tensor in state_dict.items()}
    except InputError as error:
        expected = "expected a PyTorch state dict, as written by torch.save(model.state_dict(), path)"
        raise InputError(f"{os.fspath(path)}: {error}; {expected}") from error


class _Storage(NamedTuple):
    """What the pickle says about one run of numbers."""

    element_type: str
    key: str
    element_count: int


class _StoredTensor(NamedTuple):
    """A window on a storage: element ``(i, j)`` is number ``offset + i * stride[0] + j * stride[1]``."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL_VERSION = 1001
_ZIP_START = b"PK\x03\x04"
_LEGACY_START = pickle.dumps(_MAGIC_NUMBER, protocol=2)


def _read_bytes(path: str | os.PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"cannot be read ({reason})") from error


def _read_parts(file: bytes) -> tuple[object, dict[str, NDArray[Any]]]:
    """Return the pickled object, with ``_StoredTensor`` for tensors, and the elements of every storage."""
    if file.startswith(_ZIP_START):
        return _read_zip(file)
    if file.startswith(_LEGACY_START):
        return _read_legacy(file)
    if file[257:262] == b"ustar":
        raise InputError(
            "is a tar archive, the layout of the first PyTorch (load and save it again with PyTorch)"
        )
    if file.startswith(b"\x80"):
        raise InputError("is a pickle without PyTorch's magic number")
    raise InputError(f"starts with {file[:8]!r}, not as a zip archive or a legacy checkpoint")


# ---- The zip layout --------------------------------------------------------------------------------


def _read_zip(file: bytes) -> tuple[object, dict[str, NDArray[Any]]]:
    try:
        with zipfile.ZipFile(io.BytesIO(file)) as archive:
            return _read_archive(archive, len(file))
    except InputError:
        raise
    except Exception as error:  # damage makes zipfile raise anything from BadZipFile to OverflowError
        raise InputError(f"is a damaged zip archive or one that is cut short ({_one_line(error)})") from error


def _read_archive(archive: zipfile.ZipFile, file_size: int) -> tuple[object, dict[str, NDArray[Any]]]:
    top = _find_top_folder(archive)
    _check_members(archive, file_size)
    byte_order = _read_byte_order(archive, top)
    checkpoint, described, _ = _load_pickle(archive.read(f"{top}/data.pkl"), 0)
    storages = {
        key: _decode(_read_record(archive, f"{top}/data/{key}"), storage, byte_order)
        for key, storage in described.items()
    }
    return checkpoint, storages


def _read_record(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except KeyError as error:
        raise InputError(f"lacks the record {name!r} that its pickle refers to") from error


def _find_top_folder(archive: zipfile.ZipFile) -> str:
    """Return the folder of the one ``<top>/data.pkl``."""
    names = archive.namelist()
    tops = [top for top, _, rest in (name.partition("/") for name in names) if rest == "data.pkl"]
    if len(tops) == 1:
        if f"{tops[0]}/constants.pkl" in names:
            raise InputError("is a TorchScript program, not a state dict")
        return tops[0]
    if any(name.endswith(".npy") for name in names):
        raise InputError("is a NumPy .npz file")
    raise InputError(f"is a zip archive with {len(tops)} records <folder>/data.pkl instead of one")


def _check_members(archive: zipfile.ZipFile, file_size: int) -> None:
    """Require plain records that fit in the file: zip bombs are compressed, or list the same bytes often."""
    for member in archive.infolist():
        if member.compress_type != zipfile.ZIP_STORED:
            raise InputError(
                f"is a zip archive with the record {member.filename!r} compressed, unlike PyTorch's"
            )
    if sum(member.file_size for member in archive.infolist()) > file_size:
        raise InputError("is a zip archive whose records are larger than the file")


def _read_byte_order(archive: zipfile.ZipFile, top: str) -> str:
    """Return NumPy's letter for the byte order of the storages."""
    if f"{top}/byteorder" not in archive.namelist():
        return "<"
    order = archive.read(f"{top}/byteorder")
    if order not in (b"little", b"big"):
        raise InputError(f"has the byte order {order[:16]!r} instead of 'little' or 'big'")
    return "<" if order == b"little" else ">"


# ---- The legacy layout -----------------------------------------------------------------------------


def _read_legacy(file: bytes) -> tuple[object, dict[str, NDArray[Any]]]:
    position = len(_LEGACY_START)
    version, _, position = _load_pickle(file, position)
    if version != _PROTOCOL_VERSION:
        raise InputError(f"has the legacy layout in another version than {_PROTOCOL_VERSION}")
    _system_info, _, position = _load_pickle(file, position)
    checkpoint, described, position = _load_pickle(file, position)
    keys, _, position = _load_pickle(file, position)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise InputError("lacks the list of storage keys")
    storages = {}
    for key in keys:
        if key not in described:
            raise InputError(f"holds a storage {key!r} that no tensor uses")
        storages[key], position = _read_legacy_storage(file, position, described[key])
    for key in described:
        if key not in storages:
            raise InputError(f"lacks the storage {key!r} that its pickle refers to")
    if position != len(file):
        raise InputError("does not end with its last storage")
    return checkpoint, storages


def _read_legacy_storage(file: bytes, position: int, storage: _Storage) -> tuple[NDArray[Any], int]:
    """Return the elements of the storage at ``position``, and the position after them."""
    start = position + 8
    count = int.from_bytes(file[position:start], "little", signed=True)
    if len(file) < start or count != storage.element_count:
        raise InputError(
            f"is cut short or damaged before the {storage.element_count} elements of {storage.key!r}"
        )
    end = start + storage.element_count * _itemsize(storage)
    return _decode(file[start:end], storage, "<"), end


# ---- The pickle ------------------------------------------------------------------------------------


def _load_pickle(file: bytes, start: int) -> tuple[object, dict[str, _Storage], int]:
    """Return the object pickled at ``start``, the storages it refers to, and the position after it."""
    stream = io.BytesIO(file)
    stream.seek(start)
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            machine.step(opcode.name, argument)
        (value,) = machine.stack
    except InputError:
        raise
    except Exception as error:  # a damaged program can fail in any way: stack empty, key missing, not text
        raise InputError(f"has a damaged pickle or one that is cut short ({_one_line(error)})") from error
    return value, machine.storages, stream.tell()


class _Machine:
    """Runs the instructions that ``torch.save`` writes (pickle protocol 2), and no others."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []  # where the items of an unfinished list, dict or tuple start on the stack
        self.memo: dict[int, Any] = {}  # values that are used again
        self.storages: dict[str, _Storage] = {}

    def step(self, instruction: str, argument: Any) -> None:
        """Run one instruction; ``argument`` is the number or text that is written with it."""
        match instruction:
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE":
                self.stack.append(argument)
            case "BINSTRING" | "SHORT_BINSTRING":  # the strings of Python 2
                self.stack.append(argument)
            case "NONE":
                self.stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                self.stack.append(instruction == "NEWTRUE")
            case "MARK":
                self.marks.append(len(self.stack))
            case "EMPTY_TUPLE":
                self.stack.append(())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                self.stack.append(tuple(self._pop(int(instruction[-1]))))
            case "TUPLE":
                self.stack.append(tuple(self._pop_to_mark()))
            case "EMPTY_LIST":
                self.stack.append([])
            case "APPEND":
                self._extend_list(self._pop(1))
            case "APPENDS":
                self._extend_list(self._pop_to_mark())
            case "EMPTY_DICT":
                self.stack.append({})
            case "SETITEM":
                self._extend_dict(self._pop(2))
            case "SETITEMS":
                self._extend_dict(self._pop_to_mark())
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = self.stack[-1]
            case "BINGET" | "LONG_BINGET":
                self.stack.append(self.memo[argument])
            case "GLOBAL":
                self.stack.append(_known_name(argument))
            case "REDUCE":
                name, arguments = self._pop(2)
                self.stack.append(_build(name, arguments))
            case "BUILD":
                self._pop(1)  # attributes for the object below: of a state dict, its `_metadata`, not needed
            case "BINPERSID":
                self.stack.append(self._refer(*self._pop(1)))
            case "PROTO" | "STOP":
                pass
            case _:
                raise InputError(
                    f"uses the pickle instruction {instruction}, which no state dict does: refused"
                )

    def _pop(self, count: int) -> list[Any]:
        """Take the top ``count`` values off the stack, the topmost last."""
        return [self.stack.pop() for _ in range(count)][::-1]

    def _pop_to_mark(self) -> list[Any]:
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def _extend_list(self, values: list[Any]) -> None:
        self.stack[-1].extend(values)  # of all values that can be on the stack, only a list has this method

    def _extend_dict(self, values: list[Any]) -> None:
        self.stack[-1].update(_pairs(values[0::2], values[1::2]))  # and only a dict this one

    def _refer(self, reference: object) -> _Storage:
        """Return the storage of a reference to data outside the pickle; there are no other references."""
        match reference:
            # The legacy layout adds None, which could be a part of the storage once (`view metadata`).
            case ("storage", str(element_type), str(key), str(_device), int(count), *view) if (
                element_type in _ELEMENT_TYPES and _is_count(count) and view in ([], [None])
            ):
                storage = _Storage(element_type, key, count)
            case _:
                raise InputError("refers to something other than a storage")
        if self.storages.setdefault(key, storage) != storage:
            raise InputError(f"describes the storage {key!r} twice, differently")
        return storage


def _pairs(keys: list[Any], values: list[Any]) -> dict[Any, Any]:
    """Return a dict; tuples are no keys here, as hashing a deeply nested one can take forever."""
    if any(isinstance(key, tuple) for key in keys):
        raise InputError("holds a dict with tuples for keys: refused")
    return dict(zip(keys, values, strict=True))


def _known_name(module_and_name: str) -> str:
    """Return ``module.name`` if state dicts use it: this is where a harmful file ends."""
    name = module_and_name.replace(" ", ".")
    if name not in _ELEMENT_TYPES and name not in _BUILDERS:
        raise InputError(f"asks for the Python object {name!r}: refused, and nothing was executed")
    return name


_BUILDERS = {
    "collections.OrderedDict",
    "torch._utils._rebuild_tensor",  # PyTorch before 0.4
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
}


def _build(name: str, arguments: Any) -> object:
    """Return what a call of ``name`` in PyTorch would be, as far as it matters here."""
    match name, arguments:
        case "collections.OrderedDict", ():
            return {}
        case "collections.OrderedDict", (list(items),):  # written by Python 2
            pairs = _pairs([key for key, _ in items], [value for _, value in items])
            items[:] = [None]  # no pair, so the list cannot be used again: a small file would become huge
            return pairs
        case "torch._utils._rebuild_tensor", (storage, offset, size, stride):
            return _StoredTensor(storage, offset, size, stride)
        case "torch._utils._rebuild_tensor_v2", (storage, offset, size, stride, _requires_grad, _hooks):
            return _StoredTensor(storage, offset, size, stride)
        case "torch._utils._rebuild_parameter", (tensor, _requires_grad, _hooks):
            return tensor
    raise InputError("builds a dict or a tensor in an unknown way")


# ---- The state dict --------------------------------------------------------------------------------


def _find_state_dict(checkpoint: object) -> dict[str, _StoredTensor]:
    """Return the dict of tensors in ``checkpoint``, which it is or holds, every tensor checked."""
    if not isinstance(checkpoint, dict):
        raise InputError("holds something other than a dict")
    inner = [checkpoint[key] for key in ("state_dict", "model") if isinstance(checkpoint.get(key), dict)]
    entries = inner[0] if inner else checkpoint
    for name, value in entries.items():
        if not isinstance(name, str):
            raise InputError("holds a dict whose keys are not all strings")
        if not isinstance(value, _StoredTensor):
            kind = type(value).__name__.strip("_")
            raise InputError(f"holds {name!r}, of type {kind}, among or instead of tensors")
        _check_view(name, value)
    prefix = "module." if all(name.startswith("module.") for name in entries) else ""
    return {name.removeprefix(prefix): tensor for name, tensor in entries.items()}


_LARGEST_COUNT = 2**63 - 1
_MOST_AXES = 32  # of a NumPy 1 array


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST_COUNT


def _check_view(name: str, tensor: _StoredTensor) -> None:
    """Require that the tensor's window lies inside its storage.

    With nothing negative, the last element of the window, ``offset + sum((size - 1) * stride)``, is
    also the farthest. Python's integers cannot overflow, so the sum is what it says.
    """
    storage, offset, size, stride = tensor
    if not (isinstance(storage, _Storage) and isinstance(size, tuple) and isinstance(stride, tuple)):
        raise InputError(f"describes the tensor {name!r} in an unknown way")
    sound = len(size) == len(stride) <= _MOST_AXES and all(map(_is_count, (offset, *size, *stride)))
    if not sound:
        raise InputError(f"describes the tensor {name!r} with an impossible offset, size or stride")
    farthest = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if 0 not in size and farthest >= storage.element_count:
        raise InputError(
            f"describes the tensor {name!r} beyond its storage: element {farthest} of {storage.element_count}"
        )


def _check_total(state_dict: dict[str, _StoredTensor], file_size: int) -> None:
    """Require arrays that are not out of proportion to the file.

    Stride 0 repeats a number at no cost in the file, and tensors may share a storage, so a file of one
    kilobyte can describe a terabyte. Real ones come to at most a few times their size.
    """
    # An axis of length 0 counts as 1, so that NumPy can hold the shape of every empty array as well.
    total = sum(
        math.prod(max(n, 1) for n in tensor.size) * _itemsize(tensor.storage)
        for tensor in state_dict.values()
    )
    if total > 8 * file_size + 2**26:
        raise InputError("describes tensors many times larger than the file")


# ---- The numbers -----------------------------------------------------------------------------------

# PyTorch's storage classes and their elements in NumPy's notation. bfloat16 and bool are read as the
# integers of their bits.
_ELEMENT_TYPES = {
    "torch.DoubleStorage": "f8",
    "torch.FloatStorage": "f4",
    "torch.HalfStorage": "f2",
    "torch.BFloat16Storage": "u2",
    "torch.LongStorage": "i8",
    "torch.IntStorage": "i4",
    "torch.ShortStorage": "i2",
    "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1",
    "torch.BoolStorage": "u1",
}


def _itemsize(storage: _Storage) -> int:
    return np.dtype(_ELEMENT_TYPES[storage.element_type]).itemsize


def _decode(raw: bytes, storage: _Storage, byte_order: str) -> NDArray[Any]:
    """Return the elements of a storage, (element_count,), from its bytes."""
    if len(raw) != storage.element_count * _itemsize(storage):
        raise InputError(
            f"is cut short or damaged: storage {storage.key!r} of {storage.element_count} elements"
            f" ({storage.element_type}) has {len(raw)} bytes"
        )
    stored = np.frombuffer(raw, np.dtype(byte_order + _ELEMENT_TYPES[storage.element_type]))
    elements: NDArray[Any] = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    if storage.element_type == "torch.BFloat16Storage":
        # bfloat16 is the upper half of a float32: sign, exponent and the first 7 bits of the fraction.
        return (elements.astype(np.uint32) << 16).view(np.float32)
    if storage.element_type == "torch.BoolStorage":
        return elements.astype(np.bool_)
    return elements


def _copy_view(elements: NDArray[Any], tensor: _StoredTensor) -> NDArray[Any]:
    """Copy a window (already checked) on ``elements`` into an array of its own.

    Examples
    --------
    Columns of a 2x3 matrix as rows: along the first axis one step, along the second a row of three.

    >>> storage = _Storage("torch.LongStorage", "0", 6)
    >>> _copy_view(np.arange(6), _StoredTensor(storage, offset=0, size=(3, 2), stride=(1, 3)))
    array([[0, 3],
           [1, 4],
           [2, 5]])
    """
    if 0 in tensor.size:
        return np.empty(tensor.size, elements.dtype)
    itemsize = elements.itemsize
    # An axis of length 1 is never stepped along, so its stride can be anything: 0 is always inside.
    strides = [step * itemsize if n > 1 else 0 for n, step in zip(tensor.size, tensor.stride, strict=True)]
    # np.ndarray, unlike as_strided, compares the window with the buffer once more.
    view = np.ndarray(tensor.size, elements.dtype, elements, tensor.offset * itemsize, strides)  # tensor.size
    return np.array(view, order="C")


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
