"""``split_by_content``: whole groups, of the right size, whatever the order of the files."""

import numpy as np
import pytest
from PIL import Image

from minidet.datasets import Annotation, Dataset, split_by_content, synthetic_dataset
from minidet.datasets.split import choose_held_out
from minidet.errors import InputError


def unreadable(count, exhaustive=True):
    """Photographs that are not there: each is a group."""
    annotations = [Annotation(f"no/{i}.jpg", f"{i}.jpg", []) for i in range(count)]
    return Dataset(annotations, "voc:none", exhaustive=exhaustive)


def names(dataset):
    return [one.name for one in dataset.annotations]


@pytest.mark.parametrize(
    ("count", "every", "held"), [(25, 5, 5), (26, 5, 6), (30, 2, 15), (7, 10, 1), (2, 2, 1)]
)
def test_sizes(count, every, held):
    dataset = unreadable(count, exhaustive=False)
    learning, held_out = split_by_content(dataset, every)
    assert (len(learning), len(held_out)) == (count - held, held)
    # Both in the order of the set, together all of it.
    place = {name: index for index, name in enumerate(names(dataset))}
    for part in (learning, held_out):
        assert sorted(names(part), key=place.get) == names(part)
        assert not part.exhaustive
    assert sorted(names(learning) + names(held_out)) == sorted(names(dataset))
    assert held_out.source == f"every {every}th of voc:none, by content"
    assert learning.source == f"voc:none but every {every}th, by content"


def test_the_order_of_the_files_is_of_no_matter():
    dataset = unreadable(40)
    expected = set(names(split_by_content(dataset)[1]))
    rng = np.random.default_rng(1)
    for _ in range(5):
        order = rng.permutation(40)
        shuffled = Dataset([dataset.annotations[index] for index in order], "shuffled")
        assert set(names(split_by_content(shuffled)[1])) == expected


def test_it_is_like_a_shuffled_choice():
    """Names mostly tell when and where; neither the first nor every fifth is taken."""
    held = [int(name.removesuffix(".jpg")) for name in names(split_by_content(unreadable(500))[1])]
    assert len({number % 5 for number in held}) == 5
    assert 200 < np.mean(held) < 300


def test_one_more_photograph_changes_little():
    before, after = (set(names(split_by_content(unreadable(count))[1])) for count in (500, 501))
    assert len(before - after) <= 1


def test_groups_stay_whole():
    rng = np.random.default_rng(2)
    for _ in range(50):
        groups = rng.integers(0, 30, 60)
        held = choose_held_out([str(i) for i in range(60)], groups, 12)
        assert not set(groups[held]) & set(groups[~held])
        assert 10 <= held.sum() <= 12


def test_renumbered_groups_are_the_same_groups():
    groups = np.random.default_rng(3).integers(0, 20, 60)
    texts = [str(i) for i in range(60)]
    held = choose_held_out(texts, groups, 12)
    np.testing.assert_array_equal(choose_held_out(texts, 99 - groups, 12), held)


def test_the_order_within_groups_is_of_no_matter():
    rng = np.random.default_rng(4)
    groups = rng.integers(0, 20, 60)
    texts = np.array([f"{i}.jpg" for i in range(60)])
    expected = set(texts[choose_held_out(texts.tolist(), groups, 12)])
    for _ in range(5):
        order = rng.permutation(60)
        held = choose_held_out(texts[order].tolist(), groups[order], 12)
        assert set(texts[order][held]) == expected


def test_large_groups():
    five, fifteen = np.repeat([0, 1], [5, 15]), np.repeat([0, 1], [15, 5])
    texts = [str(i) for i in range(20)]
    # None fits into four: the smallest is taken.
    np.testing.assert_array_equal(choose_held_out(texts, five, 4), five == 0)
    np.testing.assert_array_equal(choose_held_out(texts, fifteen, 4), fifteen == 1)


def test_copies_are_held_out_together(tmp_path):
    annotations = []
    for number, one in enumerate(synthetic_dataset(5, seed=3).annotations):
        for copy, quality in enumerate((95, 40)):
            path = tmp_path / f"{number}{copy}.jpg"
            Image.fromarray(one.read()).save(path, quality=quality)
            annotations.append(Annotation(path, path.name, []))
    learning, held_out = split_by_content(Dataset(annotations, "pairs"), 4)
    assert len(held_out) == 2
    assert len({name[0] for name in names(held_out)}) == 1
    assert not {name[0] for name in names(held_out)} & {name[0] for name in names(learning)}
    given = split_by_content(Dataset(annotations, "pairs"), 4, groups=[0] * 9 + [1])
    assert names(given[1]) == ["41.jpg"]


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        (unreadable(5), {"every": 1}, "every=1; expected a whole number from 2 up"),
        (
            unreadable(5),
            {"groups": [0] * 5},
            "5 photographs show 1 different pictures; expected at least two",
        ),
        (unreadable(1), {}, "voc:none cannot be split"),
        (unreadable(0), {}, "voc:none cannot be split"),
    ],
)
def test_what_is_refused(dataset, options, message):
    with pytest.raises(InputError, match=message):
        split_by_content(dataset, **options)
