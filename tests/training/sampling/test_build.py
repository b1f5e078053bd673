import hashlib
import logging
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minidet.datasets import Annotation, Dataset, load_sample
from minidet.errors import InputError
from minidet.training.objectives import SampleType
from minidet.training.sampling import build
from minidet.training.sampling.build import build_samples
from minidet.training.sampling.make import make_samples
from minidet.training.sampling.samples import Samples
from minidet.training.sampling.settings import SampleSettings
from minidet.training.sampling.store import MANIFEST, SampleStore
from tests.training.harness import run_killed

SETTINGS = SampleSettings(negatives_per_photograph=4, negatives_per_face=1, jitters_per_face=6)
POINTS = [[10, 12], [25, 12], [18, 20], [12, 28], [24, 28]]


def photographs(folder: Path, count: int = 7, source: str = "made up", **options) -> Dataset:
    """Noise, with a face on every photograph but the third."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(count)
    annotations = []
    for number in range(count):
        path = folder / f"{number}.png"
        noise = rng.integers(0, 256, (80, 100, 3), dtype=np.uint8)
        if not path.exists():
            Image.fromarray(noise).save(path)
        x, y = rng.integers(0, 40, 2)
        faces = [] if number == 2 else [[x, y, x + 36, y + 40]]
        points = [] if number == 2 else [np.add(POINTS, [x, y])]
        annotations.append(Annotation(path, path.name, faces, points))
    return Dataset(annotations, source, **options)


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    return photographs(tmp_path / "photographs")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(build, "PHOTOGRAPHS_PER_SHARD", 2)


def built(datasets, folder, network="pnet", settings=SETTINGS, **options) -> SampleStore:
    return build_samples(datasets, network, folder, settings, **({"seed": 5, "progress": False} | options))


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


class Corners:
    """Proposes the same two squares on every photograph."""

    def __init__(self, side: int = 40) -> None:
        self.side = side
        self.recipe = {"side": side}

    def __call__(self, image):
        assert image.shape == (80, 100, 3)
        return np.array([[1, 1, self.side, self.side], [11, 11, 50, 50]], np.float32)


# ---- what is in the set ----


def expected_samples(datasets, network, seed, propose=None) -> Samples:
    """All photographs one after the other, by hand."""
    parts, number = [], 0
    for dataset in datasets:
        for annotation in dataset.annotations:
            sample = load_sample(annotation)
            rng = np.random.default_rng([seed, number])
            proposals = propose(sample.image) if propose else None
            parts.append(
                make_samples(
                    sample,
                    network,
                    SETTINGS,
                    rng,
                    photograph=number,
                    proposals=proposals,
                    negatives=dataset.exhaustive,
                )
            )
            number += 1
    return Samples.join(parts)


@pytest.mark.parametrize("network", ["pnet", "rnet", "onet"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_the_set_is_what_each_photograph_gives(tmp_path, dataset, network, jobs):
    propose = None if network == "pnet" else Corners()
    other = photographs(tmp_path / "others", 3, "others", exhaustive=False)
    store = built([dataset, other], tmp_path / "set", network, propose=propose, jobs=jobs)
    expected = expected_samples([dataset, other], network, 5, propose)
    taken = store.take(np.arange(len(store)))
    assert len(store) == len(expected) > 50
    for field in fields(Samples):
        np.testing.assert_array_equal(getattr(taken, field.name), getattr(expected, field.name))
    assert store.names == [annotation.name for part in (dataset, other) for annotation in part.annotations]
    assert store.network == network


def test_where_not_every_face_is_annotated_nothing_is_background(tmp_path, dataset):
    other = photographs(tmp_path / "others", 3, "others", exhaustive=False)
    store = built([dataset, other], tmp_path / "set")
    samples = store.take(store.rows_of(SampleType.NEGATIVE))
    assert set(samples.photographs) == set(range(7))
    positives = store.take(store.rows_of(SampleType.POSITIVE))
    assert set(positives.photographs) & {7, 8, 9}


def test_files_are_the_same_whatever_the_number_of_jobs(tmp_path, dataset):
    one = built([dataset], tmp_path / "one", jobs=1)
    two = built([dataset], tmp_path / "two", jobs=2)
    assert contents(one.folder) == contents(two.folder)
    assert sorted(contents(one.folder)) == [MANIFEST, *(f"shard_0000{number}.npy" for number in range(4))]
    assert one.sha256 == two.sha256


def test_another_seed_makes_another_set(tmp_path, dataset):
    one = built([dataset], tmp_path / "one")
    other = built([dataset], tmp_path / "other", seed=6)
    shards = [
        {name: sha for name, sha in contents(s.folder).items() if name != MANIFEST} for s in (one, other)
    ]
    assert not set(shards[0].values()) & set(shards[1].values())


def test_a_large_set_has_larger_shards_and_no_more_of_them(tmp_path, dataset, monkeypatch):
    monkeypatch.setattr(build, "MOST_SHARDS", 3)
    store = built([dataset], tmp_path / "set")
    assert sorted(contents(store.folder)) == [MANIFEST, *(f"shard_0000{number}.npy" for number in range(3))]


# ---- broken off and resumed ----


class StopError(Exception):
    pass


def stopping_after(count: int, monkeypatch) -> list[int]:
    """Let ``make_samples`` raise after so many photographs; return the list of those it makes."""
    made: list[int] = []

    def make(*args, photograph, **options):
        if len(made) == count:
            raise StopError
        made.append(photograph)
        return make_samples(*args, photograph=photograph, **options)

    monkeypatch.setattr(build, "make_samples", make)
    return made


def test_finished_shards_are_not_made_again(tmp_path, dataset, monkeypatch):
    whole = built([dataset], tmp_path / "whole")
    stopping_after(5, monkeypatch)
    with pytest.raises(StopError):
        built([dataset], tmp_path / "set", jobs=1)
    finished = contents(tmp_path / "set")
    assert sorted(finished) == [MANIFEST, "shard_00000.npy", "shard_00001.npy"]
    with pytest.raises(InputError, match="not finished: 2 of 4 shards"):
        SampleStore(tmp_path / "set")
    made = stopping_after(100, monkeypatch)
    built([dataset], tmp_path / "set", jobs=1)
    assert made == [4, 5, 6]
    assert contents(tmp_path / "set") == contents(whole.folder)


def test_a_finished_set_is_opened(tmp_path, dataset, monkeypatch):
    first = built([dataset], tmp_path / "set")
    stopping_after(0, monkeypatch)
    assert built([dataset], tmp_path / "set").sha256 == first.sha256


@pytest.mark.parametrize("write", ["write_shard", "write_manifest"])
@pytest.mark.parametrize("number", [1, 2, 4])
def test_broken_off_between_two_files(tmp_path, dataset, monkeypatch, write, number):
    whole = built([dataset], tmp_path / "whole")
    really_write, calls = getattr(build, write), []

    def stop(*args):
        calls.append(args)
        if len(calls) == number:
            raise StopError
        return really_write(*args)

    monkeypatch.setattr(build, write, stop)
    with pytest.raises(StopError):
        built([dataset], tmp_path / "set")
    monkeypatch.setattr(build, write, really_write)
    built([dataset], tmp_path / "set")
    assert contents(tmp_path / "set") == contents(whole.folder)


def test_what_a_killed_process_left_half_written_is_gone_in_the_end(tmp_path, dataset, monkeypatch):
    whole = built([dataset], tmp_path / "whole")
    stopping_after(3, monkeypatch)
    with pytest.raises(StopError):
        built([dataset], tmp_path / "set", jobs=1)
    (tmp_path / "set" / ".shard_00001.npy.draft").write_bytes(b"half a sh")
    (tmp_path / "set" / ".manifest.json.draft").write_bytes(b'{"format')
    (tmp_path / "set" / "shard_00001.npy").write_bytes(b"whole, but not yet in the manifest")
    monkeypatch.undo()
    monkeypatch.setattr(build, "PHOTOGRAPHS_PER_SHARD", 2)
    built([dataset], tmp_path / "set")
    assert contents(tmp_path / "set") == contents(whole.folder)


@pytest.mark.parametrize("damage", ["missing", "cut", "altered"])
def test_a_damaged_part_is_refused_by_name_before_it_goes_on(tmp_path, dataset, monkeypatch, damage):
    stopping_after(5, monkeypatch)
    with pytest.raises(StopError):
        built([dataset], tmp_path / "set", jobs=1)
    path = tmp_path / "set" / "shard_00001.npy"
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(data[:-1] if damage == "cut" else data[:-1] + bytes([data[-1] ^ 1]))
    made = stopping_after(100, monkeypatch)
    with pytest.raises(InputError, match=r"shard_00001\.npy"):
        built([dataset], tmp_path / "set")
    assert not made


SCRIPT = """
import sys, time
from pathlib import Path
from minidet.datasets import Dataset
from minidet.training.sampling import build
from tests.training.sampling.test_build import built, photographs

class Slow(Dataset):
    def __getitem__(self, index):
        time.sleep(0.02)
        return super().__getitem__(index)

build.PHOTOGRAPHS_PER_SHARD = 2
plain = photographs(Path(sys.argv[1]), 40)
built([Slow(plain.annotations, plain.source)], sys.argv[2], jobs=2)
"""


@pytest.mark.slow
def test_killed_five_times_the_set_is_the_same(tmp_path):
    whole = built([photographs(tmp_path / "photographs", 40)], tmp_path / "whole")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "photographs"), str(tmp_path / "set")]
    killed = run_killed(
        command,
        progress=lambda: len(list((tmp_path / "set").glob("shard_*.npy"))),
        steps=20,
        kills=5,
        rng=np.random.default_rng(11),
        cwd=Path(__file__).parents[3],
    )
    assert killed.steps[-1] < 20
    assert contents(tmp_path / "set") == contents(whole.folder)


# ---- another recipe ----


def test_a_folder_of_another_recipe_is_refused_by_its_first_difference(tmp_path, dataset):
    folder = tmp_path / "set"
    built([dataset], folder, recipe={"note": 1})
    before = contents(folder)
    cases = [
        ({"seed": 6}, "seed: 5 there, 6 here"),
        ({"recipe": {"note": 2}}, "further.note: 1 there, 2 here"),
        ({"recipe": None}, "further.note: 1 there, nothing here"),
        ({"network": "rnet", "propose": Corners()}, 'network: "pnet" there, "rnet" here'),
        ({"settings": SampleSettings()}, "settings.negatives_per_photograph: 4 there, 50 here"),
    ]
    for change, difference in cases:
        with pytest.raises(InputError, match=difference):
            built([dataset], folder, **({"recipe": {"note": 1}} | change))
    fewer = Dataset(dataset.annotations[:6], dataset.source)
    partial = Dataset(dataset.annotations, dataset.source, exhaustive=False)
    renamed = Dataset(dataset.annotations, "copied")
    for datasets, difference in [
        ([fewer], "data.1.sha256: "),
        ([partial], "data.1.exhaustive: true there, false here"),
        ([renamed], 'data.1.source: "made up" there, "copied" here'),
        ([dataset, renamed], 'data.2.source: nothing there, "copied" here'),
    ]:
        with pytest.raises(InputError, match=rf"holds training crops of another recipe \({difference}"):
            built(datasets, folder, recipe={"note": 1})
    assert contents(folder) == before


def test_a_moved_box_is_another_recipe(tmp_path, dataset):
    built([dataset], tmp_path / "set")
    dataset.annotations[0].boxes[0, 0] += 0.5
    with pytest.raises(InputError, match="another recipe"):
        built([dataset], tmp_path / "set")


def test_other_proposals_are_another_recipe(tmp_path, dataset):
    built([dataset], tmp_path / "set", "rnet", propose=Corners(40))
    with pytest.raises(InputError, match=r"proposals\.side: 40 there, 41 here"):
        built([dataset], tmp_path / "set", "rnet", propose=Corners(41))


def test_the_recipe_is_in_the_store(tmp_path, dataset):
    store = built([dataset], tmp_path / "set", "rnet", propose=Corners(), recipe={"stage": [1, 2]})
    assert store.recipe["seed"] == 5
    assert store.recipe["settings"]["jitters_per_face"] == 6
    assert store.recipe["proposals"] == {"side": 40}
    assert store.recipe["data"]["1"]["source"] == "made up"
    assert store.recipe["further"] == {"stage": [1, 2]}


# ---- photographs that cannot be used ----


def test_unreadable_photographs_are_named_and_counted(tmp_path, dataset, caplog):
    (tmp_path / "photographs" / "0.png").unlink()
    (tmp_path / "photographs" / "3.png").write_bytes(b"no picture")
    with caplog.at_level(logging.WARNING, "minidet"):
        store = built([dataset], tmp_path / "set")
    assert [entry["photograph"] for entry in store.skipped] == ["0.png", "3.png"]
    assert "does not exist" in store.skipped[0]["why"] or "no such file" in store.skipped[0]["why"]
    assert not set(store.take(np.arange(len(store))).photographs) & {0, 3}
    lines = [record.getMessage() for record in caplog.records if str(tmp_path / "set") in record.getMessage()]
    assert len(lines) == 1
    assert "2 of 7 photographs left out, the first is 0.png (" in lines[0]
    assert "manifest.json names them all" in lines[0]


def test_one_bad_photograph_does_not_change_the_others(tmp_path, dataset):
    whole = built([dataset], tmp_path / "whole")
    (tmp_path / "photographs" / "3.png").unlink()
    store = built([dataset], tmp_path / "set")
    old, new = (one.take(np.arange(len(one))) for one in (whole, store))
    for field in fields(Samples):
        np.testing.assert_array_equal(
            getattr(old[old.photographs != 3], field.name), getattr(new, field.name)
        )


def test_annotations_that_cannot_be_used_are_named_and_counted(tmp_path, caplog):
    good = photographs(tmp_path / "photographs", 4).annotations
    nan = [[np.nan, np.nan]] * 5
    outside = [[-3, 10], [30, 10], [12, 20], [10, 30], [20, 30]]
    good[0] = Annotation(good[0].path, "flat", [[10, 10, 50, 10], [10, 10, 50, 50], [9, 9, 8, 8]])
    good[1] = Annotation(good[1].path, "far", [[200, 10, 250, 60], [10, -60, 50, 0]], [nan, outside])
    within = [[90, 70, 99, 79], [-20, -20, 30, 30]]  # photographs are 100 wide and 80 high
    incomplete = [[np.nan, 10], *outside[:4]]
    good[3] = Annotation(good[3].path, "edge", [*within, [100, 0, 130, 40], [0, 80, 40, 120]])
    good.append(Annotation(good[2].path, "all right", within, [nan, incomplete]))
    with caplog.at_level(logging.WARNING, "minidet"):
        store = built([Dataset(good, "bad boxes")], tmp_path / "set")
    assert store.remarks == [
        {"photograph": "flat", "why": "2 boxes without area"},
        {"photograph": "far", "why": "2 boxes outside the photograph, 1 landmark outside the photograph"},
        {"photograph": "edge", "why": "2 boxes outside the photograph"},
    ]
    assert store.skipped == []
    assert "3 of 5 photographs used in part, the first is flat (2 boxes without area)" in caplog.text


def test_a_resumed_set_remembers_what_was_skipped(tmp_path, dataset, monkeypatch):
    (tmp_path / "photographs" / "0.png").unlink()
    (tmp_path / "photographs" / "6.png").unlink()
    whole = built([dataset], tmp_path / "whole")
    stopping_after(4, monkeypatch)
    with pytest.raises(StopError):
        built([dataset], tmp_path / "set", jobs=1)
    stopping_after(100, monkeypatch)
    store = built([dataset], tmp_path / "set")
    assert [entry["photograph"] for entry in store.skipped] == ["0.png", "6.png"]
    assert contents(store.folder) == contents(whole.folder)


def test_more_than_half_unreadable_is_refused(tmp_path):
    dataset = photographs(tmp_path / "photographs", 8)
    for number in range(4):
        (tmp_path / "photographs" / f"{number}.png").unlink()
    assert len(built([dataset], tmp_path / "half").skipped) == 4
    (tmp_path / "photographs" / "7.png").unlink()
    with pytest.raises(
        InputError, match=r"more than half of 8 photographs cannot be used, the first is '0.png'"
    ):
        built([dataset], tmp_path / "more")


def test_all_unreadable_is_refused(tmp_path, dataset):
    for number in range(7):
        (tmp_path / "photographs" / f"{number}.png").unlink()
    with pytest.raises(InputError, match="more than half of 7 photographs"):
        built([dataset], tmp_path / "set")


@pytest.mark.parametrize("datasets", [[], [Dataset([], "none")]])
def test_no_photographs_are_refused(tmp_path, datasets):
    with pytest.raises(InputError, match=r"build_samples: no photographs \((no data set|none)\)"):
        built(datasets, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_a_set_without_crops_is_refused(tmp_path):
    dataset = photographs(tmp_path / "photographs", 3, exhaustive=False)[2:]  # no face
    with pytest.raises(InputError, match="not one crop for pnet in 1 photographs"):
        built([dataset], tmp_path / "set")


# ---- what cannot be asked for ----


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": "qnet"}, "network='qnet'; expected 'pnet', 'rnet' or 'onet'"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 0.5}, "seed=0.5"),
        ({"propose": Corners()}, "P-Net is the first stage; expected no proposer"),
        ({"jobs": 0}, "jobs=0"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(tmp_path, dataset, change, message):
    with pytest.raises(InputError, match=message):
        built([dataset], tmp_path / "set", **change)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path, dataset):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot make the folder"):
        built([dataset], tmp_path / "file" / "set")


def test_a_folder_of_something_else_is_refused(tmp_path, dataset):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / MANIFEST).write_text('{"name": "an app"}')
    with pytest.raises(InputError, match="is no manifest of training crops"):
        built([dataset], tmp_path / "set")


def test_a_mistake_in_the_code_is_not_taken_for_a_bad_photograph(tmp_path, dataset, monkeypatch):
    def broken(*args, **options):
        raise InputError("make_samples: something is wrong")

    monkeypatch.setattr(build, "make_samples", broken)
    with pytest.raises(InputError, match="something is wrong"):
        built([dataset], tmp_path / "set")


def test_progress_goes_on_where_the_set_was_broken_off(tmp_path, dataset, capsys, monkeypatch):
    stopping_after(5, monkeypatch)
    with pytest.raises(StopError):
        built([dataset], tmp_path / "set", jobs=1)
    stopping_after(100, monkeypatch)
    built([dataset], tmp_path / "set", progress=True)
    assert "57%" in capsys.readouterr().err  # of the 7 photographs 4 were done


def test_progress_is_shown_on_request(tmp_path, dataset, capsys):
    built([dataset], tmp_path / "set")
    assert capsys.readouterr().err == ""
    built([dataset], tmp_path / "again", progress=True)
    assert "crops for pnet: 100%" in capsys.readouterr().err
