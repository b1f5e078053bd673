"""``synthetic:COUNT,...``, and the settings behind it."""

from __future__ import annotations

import re

import pytest

from minidet.datasets import SyntheticDataset, SyntheticSettings, open_dataset, synthetic_dataset
from minidet.datasets.synthetic.options import format_options, parse_options
from minidet.errors import InputError


def test_everything():
    text = (
        "12,seed=3,size=200x100,faces=1-2,heights=20-40.5,yaw=10,pitch=11,roll=12.5,overlap=0.2,negatives=0"
    )
    count, seed, settings = parse_options(text)
    assert (count, seed) == (12, 3)
    assert settings == SyntheticSettings((200, 100), (1, 2), (20.0, 40.5), 10.0, 11.0, 12.5, 0.2, 0.0)
    assert format_options(count, seed, settings) == text


def test_any_order_and_defaults():
    assert parse_options("5") == (5, 0, SyntheticSettings())
    assert parse_options("5,faces=2-3,seed=1") == (5, 1, SyntheticSettings(faces=(2, 3)))
    assert format_options(5, 0, SyntheticSettings()) == "5"


def test_open_dataset():
    dataset = open_dataset("synthetic:4,faces=2-2,size=160x120,heights=20-50")
    assert isinstance(dataset, SyntheticDataset)
    assert dataset.source == "synthetic:4,size=160x120,faces=2-2,heights=20-50"
    assert dataset.exhaustive
    assert [annotation.size for annotation in dataset.annotations] == [(160, 120)] * 4
    same = synthetic_dataset(
        4, settings=SyntheticSettings(faces=(2, 2), size=(160, 120), face_heights=(20, 50))
    )
    assert same.source == dataset.source
    assert (same[3].image == dataset[3].image).all()


EXPECTED = "; expected synthetic:COUNT[,seed=S][,size=WxH][,faces=A-B][,heights=A-B]"
KNOWN = "expected one of seed=, size=, faces=, heights=, yaw=, pitch=, roll=, overlap=, negatives="
WRONG = {
    "": "data set 'synthetic:': '' for COUNT is no whole number from 0 up" + EXPECTED,
    "x": "data set 'synthetic:x': 'x' for COUNT is no whole number from 0 up" + EXPECTED,
    "-1": "data set 'synthetic:-1': '-1' for COUNT is no whole number from 0 up" + EXPECTED,
    "1.5": "data set 'synthetic:1.5': '1.5' for COUNT is no whole number from 0 up" + EXPECTED,
    "seed=3": "data set 'synthetic:seed=3': 'seed=3' for COUNT is no whole number from 0 up" + EXPECTED,
    "5,": "data set 'synthetic:5,': no option ''; " + KNOWN,
    "5,seed": "data set 'synthetic:5,seed': no option 'seed'; " + KNOWN,
    "5,colour=red": "data set 'synthetic:5,colour=red': no option 'colour=red'; " + KNOWN,
    "5,seed=1,seed=1": "data set 'synthetic:5,seed=1,seed=1': seed= stands there twice; expected it once",
    "5,seed=a": "data set 'synthetic:5,seed=a': 'a' for seed= is no whole number from 0 up" + EXPECTED,
    "5,size=320": "data set 'synthetic:5,size=320': size=320; expected two numbers and 'x' between them",
    "5,size=ax9": "data set 'synthetic:5,size=ax9': 'a' for size= is no whole number from 0 up" + EXPECTED,
    "5,faces=3": "data set 'synthetic:5,faces=3': faces=3; expected two numbers and '-' between them",
    "5,faces=1-b": "data set 'synthetic:5,faces=1-b': 'b' for faces= is no whole number from 0 up" + EXPECTED,
    "5,heights=9": "data set 'synthetic:5,heights=9': heights=9; expected two numbers and '-' between them",
    "5,heights=9-inf": "data set 'synthetic:5,heights=9-inf': 'inf' for heights= is no number from 0 up"
    + EXPECTED,
    "5,yaw=-3": "data set 'synthetic:5,yaw=-3': '-3' for yaw= is no number from 0 up" + EXPECTED,
    "5,size=8x900": "SyntheticSettings: size=(8, 900); expected two whole numbers from 16 to 4096",
    "5,faces=3-1": "SyntheticSettings: faces=(3, 1); expected the smaller number first",
    "5,heights=30-20": "SyntheticSettings: face_heights=(30.0, 20.0); expected the smaller number first",
    "5,heights=2-20": "SyntheticSettings: face_heights=(2.0, 20.0); expected two numbers from 8 up",
    "5,yaw=61": "SyntheticSettings: max_yaw=61.0; expected degrees from 0 to 60",
    "5,pitch=41": "SyntheticSettings: max_pitch=41.0; expected degrees from 0 to 40",
    "5,roll=46": "SyntheticSettings: max_roll=46.0; expected degrees from 0 to 45",
    "5,overlap=2": "SyntheticSettings: max_overlap=2.0; expected a number from 0 to 1",
    "5,negatives=101": "SyntheticSettings: negatives=101.0; expected a number from 0 to 100",
    "5,size=100x50,heights=43-60": "SyntheticSettings: face_heights=(43.0, 60.0) and size=(100, 50): "
    "the highest face that fits the picture has 42 pixels",
}


@pytest.mark.parametrize("text", WRONG)
def test_says_what_is_wrong(text):
    with pytest.raises(InputError, match=f"^{re.escape(WRONG[text])}$"):
        open_dataset(f"synthetic:{text}")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": [320, 320]}, "size=[320, 320]; expected two whole numbers from 16 to 4096"),
        ({"size": (320.0, 320)}, "size=(320.0, 320); expected two whole numbers from 16 to 4096"),
        ({"faces": (1, 2, 3)}, "faces=(1, 2, 3); expected two whole numbers from 0 to 100"),
        ({"faces": (-1, 2)}, "faces=(-1, 2); expected two whole numbers from 0 to 100"),
        ({"faces": (0, 101)}, "faces=(0, 101); expected two whole numbers from 0 to 100"),
        ({"face_heights": (20, float("nan"))}, "face_heights=(20, nan); expected two numbers from 8 up"),
        ({"face_heights": (20, float("inf"))}, "face_heights=(20, inf); expected two numbers from 8 up"),
        ({"max_yaw": "10"}, "max_yaw='10'; expected degrees from 0 to 60"),
        ({"max_roll": -1}, "max_roll=-1; expected degrees from 0 to 45"),
    ],
)
def test_settings_say_what_is_wrong(wrong, message):
    with pytest.raises(InputError, match=f"^{re.escape('SyntheticSettings: ' + message)}$"):
        SyntheticSettings(**wrong)


@pytest.mark.parametrize(("count", "seed"), [(-1, 0), (1.5, 0), ("3", 0), (3, -1), (3, 0.5), (3, None)])
def test_count_and_seed_are_whole(count, seed):
    with pytest.raises(
        InputError, match=r"^synthetic_dataset: (count|seed)=.*expected a whole number from 0 up$"
    ):
        synthetic_dataset(count, seed=seed)
