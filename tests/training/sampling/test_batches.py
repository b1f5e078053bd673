import threading
from collections import Counter

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.image import mtcnn_input
from minidet.training.objectives import SampleType
from minidet.training.photometric import PhotometricSettings
from minidet.training.sampling.batches import MTCNNBatches, share_out
from minidet.training.sampling.mirror import mirror_samples
from minidet.training.sampling.store import SampleStore
from tests.training.sampling.sets import samples_of, write_set

NEGATIVE, POSITIVE, PART, LANDMARK = SampleType
COUNTS = {NEGATIVE: 70, POSITIVE: 10, PART: 23, LANDMARK: 3}
"""Of landmarks there are fewer than a batch of 28 asks for."""
CUTS = (31, 60)


@pytest.fixture
def store(tmp_path) -> SampleStore:
    return write_set(tmp_path / "set", samples_of(COUNTS), CUTS)


def rows_in(batch) -> list[int]:
    return batch.targets.box_deltas[:, 0].astype(int).tolist()


def plain(store, **options) -> MTCNNBatches:
    return MTCNNBatches(store, **({"batch_size": 28, "seed": 3, "mirror": False} | options))


def twin(store: SampleStore, kind: SampleType, seed: int, wanted: int) -> list[int]:
    """The rows of one type as they come over all batches: one shuffled deck after the other."""
    rows: list[int] = []
    epoch = 0
    while len(rows) < wanted:
        deck = np.random.default_rng([seed, int(kind), epoch]).permutation(store.rows_of(kind))
        rows += deck.tolist()
        epoch += 1
    return rows[:wanted]


def test_batches_deal_from_one_shuffled_deck_per_type(store):
    batches = plain(store)
    dealt = {kind: [] for kind in SampleType}
    for step in range(30):
        batch = batches.batch(step)
        for kind, row in zip(batch.targets.sample_types, rows_in(batch), strict=True):
            dealt[SampleType(kind)].append(row)
    for kind, per_batch in zip(SampleType, (12, 4, 4, 8), strict=True):
        assert dealt[kind] == twin(store, kind, 3, 30 * per_batch)


def test_every_sample_comes_once_per_epoch_of_its_type(store):
    batches = plain(store, ratio=(7, 5, 1, 1))  # 14, 10, 2 and 2 in a batch
    negatives = [row for step in range(5) for row in rows_in(batches.batch(step))[:14]]
    assert sorted(negatives) == store.rows_of(NEGATIVE).tolist()
    positives = [row for step in range(3) for row in rows_in(batches.batch(step))[14:24]]
    assert set(Counter(positives).values()) == {3}


def test_the_order_changes_from_epoch_to_epoch(store):
    batches = plain(store, ratio=(7, 5, 1, 1))
    assert rows_in(batches.batch(0))[14:24] != rows_in(batches.batch(1))[14:24]


def test_types_of_equal_numbers_have_orders_of_their_own(tmp_path):
    store = write_set(tmp_path / "set", samples_of(dict.fromkeys(SampleType, 50)))
    batches = plain(store, batch_size=200, ratio=(1, 1, 1, 1))
    places = [
        np.argsort(np.argsort(part)).tolist() for part in np.split(np.array(rows_in(batches.batch(0))), 4)
    ]
    assert len({tuple(place) for place in places}) == 4


def test_a_batch_is_what_the_store_holds(store):
    batch = plain(store).batch(4)
    taken = store.take(np.array(rows_in(batch)))
    np.testing.assert_array_equal(batch.x, mtcnn_input(taken.crops))
    assert batch.x.dtype == np.float32
    assert batch.x.shape == (28, 3, 12, 12)
    np.testing.assert_array_equal(batch.targets.sample_types, taken.sample_types)
    np.testing.assert_array_equal(batch.targets.box_deltas, taken.box_deltas)
    np.testing.assert_array_equal(batch.targets.landmark_deltas, taken.landmark_deltas)
    assert batch.names == [store.names[k] for k in taken.photographs]


def test_a_batch_depends_on_seed_and_step_alone(store):
    options = {"mirror": True, "photometric": PhotometricSettings()}
    one, other = plain(store, **options), plain(store, **options)
    late = one.batch(17)
    for step in (3, 0, 17):
        again = other.batch(step)
    np.testing.assert_array_equal(late.x, again.x)
    np.testing.assert_array_equal(late.targets.landmark_deltas, again.targets.landmark_deltas)
    assert not np.array_equal(late.x, one.batch(18).x)
    assert not np.array_equal(late.x, plain(store, **options, seed=4).batch(17).x)


def test_threads_make_the_same_batches(store):
    batches = plain(store, mirror=True, photometric=PhotometricSettings())
    expected = [batches.batch(step).x for step in range(40)]
    fresh = plain(store, mirror=True, photometric=PhotometricSettings())
    made = [None] * 40

    def work(first: int) -> None:
        for step in range(first, 40, 4):
            made[step] = fresh.batch(step).x

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for a, b in zip(made, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_about_half_the_samples_are_mirrored_labels_and_all(store):
    batches = plain(store, mirror=True)
    mirrored = total = 0
    for step in range(20):
        batch = batches.batch(step)
        samples = store.take(batches.rows(step))
        flipped = mirror_samples(samples)
        for n in range(28):
            as_is = np.array_equal(batch.x[n], mtcnn_input(samples.crops[n : n + 1])[0])
            source = samples if as_is else flipped
            np.testing.assert_array_equal(batch.x[n], mtcnn_input(source.crops[n : n + 1])[0])
            np.testing.assert_array_equal(batch.targets.box_deltas[n], source.box_deltas[n])
            np.testing.assert_array_equal(batch.targets.landmark_deltas[n], source.landmark_deltas[n])
            mirrored += not as_is
            total += 1
    assert abs(mirrored / total - 0.5) < 4 * np.sqrt(0.25 / total)


def test_whether_a_sample_is_mirrored_depends_on_step_and_seed(tmp_path):
    store = write_set(tmp_path / "set", samples_of({POSITIVE: 1}))
    as_is = mtcnn_input(store.take(np.array([0])).crops)

    def mirrored(seed: int) -> list[bool]:
        batches = plain(store, batch_size=1, ratio=(0, 1, 0, 0), mirror=True, seed=seed)
        return [not np.array_equal(batches.batch(step).x, as_is) for step in range(30)]

    assert {*mirrored(3)} == {True, False}
    assert mirrored(3) != mirrored(4)


def test_colours_are_distorted_and_labels_are_not(store):
    batch, distorted = plain(store).batch(2), plain(store, photometric=PhotometricSettings()).batch(2)
    changed = (batch.x != distorted.x).any(axis=(1, 2, 3))
    assert changed.mean() > 0.5
    np.testing.assert_array_equal(batch.targets.box_deltas, distorted.targets.box_deltas)


# ---- shares ----


def test_shares_of_the_usual_batch():
    assert list(share_out(448, (3, 1, 1, 2), COUNTS).values()) == [192, 64, 64, 128]


@pytest.mark.parametrize("batch_size", range(8, 60))
def test_shares_fill_the_batch_and_are_rounded_by_less_than_one(batch_size):
    counts = share_out(batch_size, (3, 1, 1, 2), COUNTS)
    assert sum(counts.values()) == batch_size
    for kind, share in zip(SampleType, (3, 1, 1, 2), strict=True):
        assert abs(counts[kind] - batch_size * share / 7) < 1


def test_a_type_without_samples_gives_its_share_to_the_others(tmp_path):
    store = write_set(tmp_path / "set", samples_of({NEGATIVE: 30, POSITIVE: 30, PART: 30}), CUTS)
    batches = plain(store, batch_size=50)
    assert list(batches.per_batch.values()) == [30, 10, 10, 0]
    assert "the set has no landmark samples, the others take their share" in batches.describe()


def test_a_type_with_share_zero_is_left_out_without_a_remark(store):
    batches = plain(store, ratio=(3, 1, 1, 0), batch_size=50)
    assert list(batches.per_batch.values()) == [30, 10, 10, 0]
    assert batches.describe() == "batches of 50 crops (30 negative, 10 positive, 10 part), 3 steps per epoch"


def test_a_type_that_is_not_wanted_is_not_missed(tmp_path):
    store = write_set(tmp_path / "set", samples_of({NEGATIVE: 30, POSITIVE: 30, PART: 30}))
    assert "the set has no" not in plain(store, ratio=(3, 1, 1, 0)).describe()


def test_rare_types_are_told_of(tmp_path):
    counts = {NEGATIVE: 3, POSITIVE: 100, PART: 100, LANDMARK: 100}
    store = write_set(tmp_path / "set", samples_of(counts))
    remark = plain(store).describe().split("; ")[1]  # 25 batches with 12 negatives in each
    assert remark == "only 3 negative, each shown 100 times"
    few = plain(store, ratio=(1, 2, 2, 2))  # 13 batches with 4 negatives in each
    assert "only" not in few.describe()


def test_an_epoch_shows_the_type_that_takes_longest(store):
    assert plain(store).steps_per_epoch == 6  # 70 negatives by 12; parts: 23 by 4 is 6 as well
    assert plain(store, ratio=(12, 1, 1, 1), batch_size=15).steps_per_epoch == 23  # 23 parts by 1
    batches = plain(store)
    shown = {row for step in range(6) for row in rows_in(batches.batch(step))}
    assert shown == set(range(106))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size=0; expected a whole number from 1 up"),
        ({"seed": -1}, "seed=-1; expected a whole number from 0 up"),
        ({"batch_size": 3}, "batch_size=3 is too small for one sample of each type at the ratio 3:1:1:2"),
        ({"ratio": (3, 1, 1)}, r"ratio=\(3, 1, 1\); expected four numbers from 0 up"),
        ({"ratio": (3, 1, -1, 2)}, "expected four numbers from 0 up"),
        ({"ratio": (3, 1, "a", 2)}, "expected four numbers from 0 up"),
        ({"ratio": (3, 1, float("nan"), 2)}, "expected four numbers from 0 up"),
        ({"ratio": (0, 0, 0, 0)}, r"leaves nothing of a set with 70 negative, 10 positive"),
    ],
)
def test_settings_that_make_no_sense_are_refused(store, options, message):
    with pytest.raises(InputError, match=message):
        plain(store, **options)


def test_a_step_below_zero_is_refused(store):
    with pytest.raises(InputError, match="step=-1"):
        plain(store).batch(-1)
