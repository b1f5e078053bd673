import json
import threading
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.training.objectives import SampleType
from minidet.training.sampling.samples import Samples
from minidet.training.sampling.store import (
    MANIFEST,
    SampleStore,
    file_checksum,
    read_manifest,
    record_type,
    write_manifest,
)
from tests.training.sampling.sets import random_samples, write_set

CUTS = (40, 40, 70)  # the second shard is empty


def assert_equal(a: Samples, b: Samples) -> None:
    for field in fields(Samples):
        x, y = getattr(a, field.name), getattr(b, field.name)
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y, err_msg=field.name)


@pytest.mark.parametrize("network", ["pnet", "rnet", "onet"])
def test_gives_back_what_was_written(tmp_path, network):
    samples = random_samples(100, network=network)
    store = write_set(tmp_path / "set", samples, CUTS, network=network)
    assert len(store) == 100
    assert store.network == network
    assert_equal(store.take(np.arange(100)), samples)


def test_rows_come_in_the_order_asked_for_and_as_often(tmp_path):
    samples = random_samples(100)
    store = write_set(tmp_path / "set", samples, CUTS)
    rows = np.random.default_rng(1).integers(0, 100, 300)
    rows[:4] = [39, 40, 69, 70]  # on both sides of where shards meet
    assert_equal(store.take(rows), samples[rows])
    assert len(store.take(np.array([], np.intp))) == 0


def test_what_is_taken_may_be_changed(tmp_path):
    samples = random_samples(100)
    store = write_set(tmp_path / "set", samples, CUTS)
    taken = store.take(np.arange(100))
    for field in fields(Samples):
        array = getattr(taken, field.name)
        assert array.flags.c_contiguous
        array[...] = 0
    assert_equal(store.take(np.arange(100)), samples)


@pytest.mark.parametrize("row", [-1, 100])
def test_a_row_that_is_not_there_is_refused(tmp_path, row):
    store = write_set(tmp_path / "set", random_samples(100), CUTS)
    with pytest.raises(InputError, match=rf"row {row}; expected 0 to 99"):
        store.take(np.array([3, row]))


def test_rows_and_counts_by_type(tmp_path):
    samples = random_samples(100)
    store = write_set(tmp_path / "set", samples, CUTS)
    for kind in SampleType:
        rows = [row for row in range(100) if samples.sample_types[row] == kind]
        assert store.rows_of(kind).tolist() == rows
        assert store.counts[kind] == len(rows)
    assert store.describe().startswith("100 crops for pnet of 10 photographs: ")
    assert f"{store.counts[SampleType.PART]} part" in store.describe()


def test_the_counts_of_a_shard_stand_in_the_manifest(tmp_path):
    samples = random_samples(100)
    write_set(tmp_path / "set", samples, CUTS)
    shard = read_manifest(tmp_path / "set")["shards"][2]
    assert shard["rows"] == 30
    for kind in SampleType:
        assert shard["counts"][kind.name.lower()] == int((samples.sample_types[40:70] == kind).sum())
    assert shard["sha256"] == file_checksum(tmp_path / "set" / shard["file"])


def test_threads_get_the_same(tmp_path):
    samples = random_samples(100)
    store = write_set(tmp_path / "set", samples, CUTS)
    wrong = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(50):
            rows = rng.integers(0, 100, 30)
            if not np.array_equal(store.take(rows).crops, samples.crops[rows]):
                wrong.append(rows)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_equal_sets_have_equal_checksums(tmp_path):
    one = write_set(tmp_path / "one", random_samples(100), CUTS)
    same = write_set(tmp_path / "same", random_samples(100), CUTS)
    other = write_set(tmp_path / "other", random_samples(100, seed=1), CUTS)
    assert one.sha256 == same.sha256 != other.sha256


def test_a_record_has_no_gaps_and_a_byte_order():
    record = record_type("onet")
    assert record.itemsize == 48 * 48 * 3 + 1 + 4 * (4 + 10 + 4) + 4
    assert record["windows"].base.str == "<f4"
    assert set(record.names) == {field.name for field in fields(Samples)}


# ---- damage ----


@pytest.fixture
def folder(tmp_path) -> Path:
    write_set(tmp_path / "set", random_samples(100), CUTS)
    return tmp_path / "set"


def test_a_missing_shard_is_named(folder):
    (folder / "shard_00002.npy").unlink()
    with pytest.raises(InputError, match=r"shard_00002\.npy is missing"):
        SampleStore(folder)


def test_a_cut_shard_is_named(folder):
    path = folder / "shard_00003.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"shard_00003\.npy is [0-9,]+ bytes long; expected"):
        SampleStore(folder)


def test_an_altered_shard_is_named(folder):
    path = folder / "shard_00000.npy"
    data = bytearray(path.read_bytes())
    data[-7] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"shard_00000\.npy does not match its checksum"):
        SampleStore(folder)


def test_a_shard_of_another_set_is_named(folder, tmp_path):
    write_set(tmp_path / "other", random_samples(100, seed=1), CUTS)
    (tmp_path / "other" / "shard_00002.npy").replace(folder / "shard_00002.npy")
    with pytest.raises(InputError, match=r"shard_00002\.npy does not match its checksum"):
        SampleStore(folder)


def test_an_empty_shard_is_checked_too(folder):
    (folder / "shard_00001.npy").write_bytes(b"")
    with pytest.raises(InputError, match=r"shard_00001\.npy is 0 bytes long"):
        SampleStore(folder)


@pytest.mark.parametrize("dtype", ["pnet", "rnet"])
def test_a_manifest_that_describes_other_records_is_refused(folder, dtype):
    manifest = read_manifest(folder)
    if dtype == "rnet":
        manifest["network"] = "rnet"
    else:
        manifest["shards"][0]["rows"] -= 1
    write_manifest(folder, manifest)
    with pytest.raises(InputError, match=r"shard_00000\.npy holds other records"):
        SampleStore(folder)


def test_an_unfinished_set_is_refused(folder):
    manifest = read_manifest(folder)
    manifest["finished"] = False
    del manifest["shards"][3]
    write_manifest(folder, manifest)
    with pytest.raises(InputError, match=r"not finished: 3 of 4 shards"):
        SampleStore(folder)


def test_a_folder_without_a_set_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no set of training crops: there is no manifest\.json"):
        SampleStore(tmp_path)
    with pytest.raises(InputError, match=r"nowhere holds no set"):
        SampleStore(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "not json, or cut short"),
        (lambda text: "[]", "is no manifest of training crops"),
        (lambda text: "{}", "is no manifest of training crops"),
        (
            lambda text: text.replace('"format": 1', '"format": 2'),
            "has format 2; this version of minidet reads 1",
        ),
        (lambda text: text.replace('"seed": 0', '"seed": 7'), "does not match its own checksum"),
    ],
)
def test_a_damaged_manifest_is_refused(folder, change, message):
    path = folder / MANIFEST
    before = path.read_text()
    path.write_text(change(before))
    assert path.read_text() != before
    with pytest.raises(InputError, match=message):
        SampleStore(folder)


def test_the_manifest_is_json_that_others_can_read(folder):
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["recipe"] == {"seed": 0}
    assert [shard["rows"] for shard in manifest["shards"]] == [40, 0, 30, 30]
