import re

import pytest

from minidet.weights import SHIPPED, checksum, load_npz
from minidet.weights.shipped import FOLDER

NAMES = sorted(SHIPPED)


@pytest.mark.parametrize("name", NAMES)
def test_file_matches_its_checksum_and_architecture(name):
    architecture, state = load_npz(SHIPPED[name].path)
    assert checksum(state) == SHIPPED[name].sha256
    assert architecture == SHIPPED[name].architecture


@pytest.mark.parametrize("name", NAMES)
def test_card_states_the_checksum_and_the_licence(name):
    card = SHIPPED[name].card.read_text()
    assert SHIPPED[name].sha256 in card
    (notice,) = set(re.findall(r"(?:LICENSE|NOTICE)\.[\w-]+", card))
    first_line = (FOLDER / notice).read_text().splitlines()[0]
    assert SHIPPED[name].licence.lower() in first_line.lower()


def test_every_weight_file_is_listed():
    assert sorted(path.stem for path in FOLDER.glob("*.npz")) == NAMES
