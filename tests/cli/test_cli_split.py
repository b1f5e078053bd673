"""``minidet split``: the counts, the list, and what is refused."""

import pytest
from PIL import Image

from minidet.datasets import Annotation, open_dataset, split_by_content, synthetic_dataset, write_voc


@pytest.fixture
def album(tmp_path):
    """Ten photographs with two faces each; the last is a copy of the first."""
    annotations = []
    for number, one in enumerate(synthetic_dataset(9, seed=3).annotations):
        for name in [f"{number}.jpg"] + ["copy.jpg"] * (number == 0):
            path = tmp_path / name
            Image.fromarray(one.read()).save(path, quality=40 if name == "copy.jpg" else 95)
            annotations.append(Annotation(path, name, [[0, 0, 9, 9], [20, 0, 29, 9]], size=(320, 320)))
    write_voc(annotations, tmp_path / "album", copy_images=True)
    return tmp_path / "album"


def test_split(run, album, tmp_path):
    out = tmp_path / "new" / "held_out.txt"
    status, text, error = run("split", f"voc:{album}", "--every", "3", "--out", out)
    assert (status, error) == (0, "")
    assert text == (
        f"voc:{album}: 10 photographs, 20 faces\n"
        "near-duplicates: 2 photographs in 1 groups\n"
        "to learn from: 6 photographs, 12 faces\n"
        f"held out: 4 photographs, 8 faces, named in {out}\n"
    )
    held_out = split_by_content(open_dataset(f"voc:{album}"), 3)[1]
    assert out.read_text().splitlines() == [one.name for one in held_out.annotations]


def test_a_fifth_by_default(run, album, tmp_path):
    run("split", f"voc:{album}", "--out", tmp_path / "held_out.txt")
    assert len((tmp_path / "held_out.txt").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--every", "1"], "every=1; expected a whole number from 2 up"),
        (["--every", "x"], "argument --every: 'x'; expected a whole number from 1 up"),
        (["--out", "."], ". is a folder; expected a file"),
    ],
)
def test_wrong_options(run_error, tmp_path, options, message):
    out = tmp_path / "held_out.txt"
    assert message in run_error("split", "synthetic:4", "--out", out, *options)
    assert not out.exists()


def test_out_is_required(run_error):
    assert "--out" in run_error("split", "synthetic:4")
