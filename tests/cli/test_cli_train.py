"""``minidet train`` from data to weights that detect, killed and resumed, and what it refuses."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import minidet
from minidet.cli import main
from minidet.cli.train_run import hold_out
from minidet.datasets import Annotation, Dataset, synthetic_dataset
from minidet.training.log import RunLog
from minidet.training.recipes import RETINAFACE as RETINAFACE_RECIPE
from minidet.training.recipes import RETINAFACE_FINE_TUNING, RNET
from minidet.weights import load_npz
from tests.training.harness import last_step, run_killed

DATA = "synthetic:24,size=96x96,faces=1-2,heights=24-60"
RETINAFACE = ["train", "retinaface", "--data", DATA, "--size", "96", "--batch-size", "2"]
MTCNN = ["train", "mtcnn", "--data", DATA, "--batch-size", "64"]


def weights_of(path):
    return load_npz(path)[1]


def assert_same(first, second):
    first, second = weights_of(first), weights_of(second)
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert np.array_equal(array, second[name]), name


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "retinaface"
    assert main([*RETINAFACE, "--steps", "12", "--out", str(folder)]) == 0
    return folder


def test_the_folder_of_a_run(trained, capsys):
    names = {path.name for path in trained.iterdir()}
    assert {"retinaface.npz", "log.jsonl", "curves.png", "summary.json", "checkpoint-00000012.npz"} <= names
    detector = minidet.RetinaFace(weights=trained / "retinaface.npz", score_threshold=0.01)
    detector.detect(np.zeros((96, 96, 3), np.uint8))
    records = RunLog.read(trained / "log.jsonl")
    kinds = [record["kind"] for record in records]
    assert kinds.count("train") == 12
    assert kinds.count("validation") == 12
    train = next(record for record in records if record["kind"] == "train")
    assert set(train) == {"kind", "step", "loss", "classification", "box", "landmark", "lr"}


def test_the_same_seed_gives_the_same_weights(trained, tmp_path):
    assert main([*RETINAFACE, "--steps", "12", "--out", str(tmp_path / "again"), "--workers", "2"]) == 0
    assert_same(trained / "retinaface.npz", tmp_path / "again" / "retinaface.npz")


def test_another_seed_gives_others(trained, tmp_path):
    assert main([*RETINAFACE, "--steps", "12", "--out", str(tmp_path / "other"), "--seed", "1"]) == 0
    first, second = (weights_of(folder / "retinaface.npz") for folder in (trained, tmp_path / "other"))
    name = "backbone.stage1.0.conv.weight"
    assert not np.array_equal(first[name], second[name])


@pytest.mark.slow
def test_killed_ten_times_and_resumed_it_ends_with_the_same_weights(trained, tmp_path):
    folder = tmp_path / "killed"
    script = tmp_path / "run.py"
    script.write_text(
        "import sys\n"
        "import minidet.training.train_retinaface as module\n"
        "from dataclasses import replace\n"
        "from pathlib import Path\n"
        "from minidet.cli.train import add_parser\n"
        "import argparse\n"
        "from minidet.cli.train_run import open_data, retinaface_recipe\n"
        "parser = argparse.ArgumentParser()\n"
        "add_parser(parser.add_subparsers())\n"
        f"options = parser.parse_args({[*RETINAFACE, '--steps', '12', '--out', str(folder)]!r})\n"
        "recipe = replace(retinaface_recipe(options), checkpoint_every=int(sys.argv[1]))\n"
        "datasets, validation = open_data(options.data, None)\n"
        "folder = Path(options.out)\n"
        "module.train_retinaface(datasets, folder, recipe, validation=validation, progress=False)\n"
    )
    whole = tmp_path / "whole"
    code = script.read_text().replace(str(folder), str(whole))
    (tmp_path / "whole.py").write_text(code)
    subprocess.run([sys.executable, tmp_path / "whole.py", "2"], check=True)
    killed = run_killed(
        [sys.executable, script, "2"],
        lambda: last_step(folder / "log.jsonl"),
        steps=12,
        kills=10,
        rng=np.random.default_rng(1),
        longest_delay=0.02,
        timeout=300,
    )
    assert len(killed.steps) == 10
    assert_same(whole / "retinaface.npz", folder / "retinaface.npz")
    assert_same(trained / "retinaface.npz", folder / "retinaface.npz")


def test_mtcnn_from_data_to_a_detector(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("minidet.training.train_mtcnn.check_stage", lambda recall, floor: None)
    folder = tmp_path / "mtcnn"
    assert main([*MTCNN, "--steps", "60,20,10", "--out", str(folder)]) == 0
    for network in ("pnet", "rnet", "onet"):
        assert {"samples", "samples.png", "log.jsonl", "curves.png", f"{network}.npz"} <= {
            path.name for path in (folder / network).iterdir()
        }
        losses = [r for r in RunLog.read(folder / network / "log.jsonl") if r["kind"] == "train"]
        assert any(record["landmark"] > 0 for record in losses)
    state = weights_of(folder / "mtcnn.npz")
    assert {"pnet.landmark_head.weight", "rnet.landmark_head.weight", "onet.landmark_head.weight"} <= set(
        state
    )
    minidet.MTCNN(weights=folder / "mtcnn.npz").detect(np.zeros((96, 96, 3), np.uint8))
    shown = capsys.readouterr()
    assert "steps per second" in shown.out
    assert "waiting for data" in shown.out

    before = (folder / "mtcnn.npz").read_bytes()
    assert main([*MTCNN, "--steps", "60,20,10", "--out", str(folder), "--resume"]) == 0
    assert weights_of(folder / "mtcnn.npz").keys() == state.keys()
    assert (folder / "mtcnn.npz").read_bytes() == before


def test_a_stage_that_loses_faces_ends_the_training(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("minidet.cli.train_run.RNET", replace(RNET, floor=1.0))
    assert main([*MTCNN, "--steps", "1", "--out", str(tmp_path / "weak")]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("minidet: error: P-Net finds ")
    assert "the next stage would be trained on what is left" in error
    assert not (tmp_path / "weak" / "rnet").exists()


@pytest.mark.parametrize("norms", ["learn", "frozen", "reestimated"])
def test_fine_tuning_from_shipped_weights(tmp_path, norms):
    arguments = [*RETINAFACE, "--init", "retinaface_mobilenet025", "--norms", norms, "--lr", "1e-5"]
    assert main([*arguments, "--steps", "2", "--out", str(tmp_path / norms)]) == 0
    shipped = minidet.weights.load_weights("retinaface_mobilenet025", architecture="retinaface_mobilenet025")
    tuned = weights_of(tmp_path / norms / "retinaface.npz")
    moved = np.abs(tuned["heads3.box_head.weight"] - shipped["heads3.box_head.weight"]).max()
    assert 0 < moved < 1e-3
    kept = np.array_equal(
        tuned["backbone.stage1.0.norm.running_mean"], shipped["backbone.stage1.0.norm.running_mean"]
    )
    assert kept == (norms == "frozen")


def test_fine_tuning_has_a_recipe_of_its_own(tmp_path):
    """The rate for random weights would undo in a few steps what the shipped ones know."""
    rates = {}
    for name, extra in {"random": [], "init": ["--init", "retinaface_mobilenet025"]}.items():
        assert main([*RETINAFACE, *extra, "--steps", "20", "--out", str(tmp_path / name)]) == 0
        log = RunLog.read(tmp_path / name / "log.jsonl")
        rates[name] = max(record["lr"] for record in log if record["kind"] == "train")
    assert rates["random"] == pytest.approx(RETINAFACE_RECIPE.optimisation.lr, rel=0.02)
    assert rates["init"] == pytest.approx(RETINAFACE_FINE_TUNING.optimisation.lr, rel=0.02)
    assert rates["init"] < 0.1 * rates["random"]


def test_mtcnn_fine_tunes_from_the_released_weights(tmp_path, monkeypatch):
    arguments = [*MTCNN, "--init", "mtcnn", "--lr", "1e-5", "--steps", "2", "--out", str(tmp_path / "tuned")]
    monkeypatch.setattr("minidet.training.train_mtcnn.check_stage", lambda recall, floor: None)
    assert main(arguments) == 0
    shipped = minidet.weights.load_weights("mtcnn", architecture="mtcnn")
    tuned = weights_of(tmp_path / "tuned" / "mtcnn.npz")
    for name, array in shipped.items():
        assert np.abs(tuned[name] - array).max() < 1e-3, name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "mtcnn", "--data", DATA, "--norms", "frozen"], "--norms is for retinaface"),
        (["train", "mtcnn", "--data", DATA, "--size", "96"], "--size is for retinaface"),
        (["train", "mtcnn", "--data", DATA, "--recipe", "reference"], "--recipe reference is for retinaface"),
        ([*RETINAFACE, "--steps", "1,2,3"], "--steps 1,2,3; expected one number for retinaface"),
        ([*RETINAFACE, "--steps", "1,2"], "expected one number, or three"),
        ([*RETINAFACE, "--steps", "1", "--epochs", "1"], "not allowed with"),
        ([*RETINAFACE, "--lr", "0"], "expected a learning rate between 0 and 1"),
        ([*RETINAFACE, "--seed", "-1"], "--seed"),
        ([*RETINAFACE, "--init", "nothing"], "'nothing' is neither a file nor one of"),
        ([*RETINAFACE, "--init", "mtcnn"], "is for mtcnn; expected weights for retinaface_mobilenet025"),
        (["train", "retinaface", "--data", "voc:nowhere"], "there is no 'nowhere'"),
        (["train", "retinaface", "--data", "synthetic:1"], "1 photographs are too few to keep some"),
        ([*RETINAFACE, "--resume"], "to go on with; leave --resume out to begin"),
    ],
)
def test_one_line_errors(tmp_path, capsys, arguments, message):
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("minidet: error: ")
    assert message in error


def test_a_run_is_not_overwritten(trained, capsys):
    assert main([*RETINAFACE, "--steps", "12", "--out", str(trained)]) == 2
    assert "holds a training; give --resume to go on with it" in capsys.readouterr().err
    assert main([*RETINAFACE, "--steps", "13", "--out", str(trained), "--resume"]) == 2
    assert "another recipe (recipe.length.steps: 12 there, 13 here)" in capsys.readouterr().err


def test_held_out_photographs_are_not_learnt():
    first = Dataset([Annotation(f"{i}.jpg", f"{i}.jpg", []) for i in range(25)], "first")
    points = Dataset([Annotation(f"p{i}.jpg", f"p{i}.jpg", []) for i in range(9)], "points", exhaustive=False)
    learning, held = hold_out([first, points])
    assert [one.name for one in held.annotations] == ["0.jpg", "10.jpg", "20.jpg"]
    assert sorted(one.name for one in learning[0].annotations) == sorted(
        f"{i}.jpg" for i in range(25) if i % 10
    )
    assert learning[1] is points
    assert held.exhaustive


def test_of_a_large_set_200_are_held_out():
    large = Dataset([Annotation(f"{i}.jpg", f"{i}.jpg", []) for i in range(12_880)], "wider")
    learning, held = hold_out([large])
    assert len(held) <= 200
    assert len(learning[0]) + len(held) == 12_880


def test_drawn_sets_are_held_out_too():
    learning, held = hold_out([synthetic_dataset(30)])
    assert len(learning[0]) == 27
    assert held[1].image.shape == (320, 320, 3)
