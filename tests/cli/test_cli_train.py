"""``minidet train`` from data to weights that detect, killed and resumed, and what it refuses."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import minidet
from minidet.cli import main
from minidet.cli.train_run import hold_out, hold_out_named, open_data
from minidet.datasets import Annotation, Dataset, synthetic_dataset, write_name_list
from minidet.errors import InputError
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
    assert {
        "retinaface.npz",
        "log.jsonl",
        "curves.png",
        "recipe.json",
        "summary.json",
        "checkpoint-00000012.npz",
    } <= names
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


@pytest.mark.parametrize(
    "network", ["mobilenet025_p2p6_shared", "mobilenet025_cascade", "mobilenet025_p2p6_deform"]
)
def test_weights_remember_their_network(tmp_path, monkeypatch, network):
    folder, further = tmp_path / "run", tmp_path / "further"
    assert main([*RETINAFACE, "--network", network, "--steps", "2", "--out", str(folder)]) == 0
    assert load_npz(folder / "retinaface.npz")[0] == f"retinaface_{network}"
    train = next(record for record in RunLog.read(folder / "log.jsonl") if record["kind"] == "train")
    branches = ("first_", "second_") if "cascade" in network else ("",)
    tasks = {f"{branch}{task}" for branch in branches for task in ("classification", "box", "landmark")}
    assert set(train) == {"kind", "step", "loss", "lr", *tasks}
    detector = minidet.RetinaFace(weights=folder / "retinaface.npz", score_threshold=0.01)
    faces = detector.detect(np.zeros((96, 96, 3), np.uint8))
    assert np.isfinite(faces.boxes).all()

    # Fine-tuning takes the network from the weights; frozen norms leave the stem alone.
    init = ["--init", str(folder / "retinaface.npz"), "--norms", "frozen", "--steps", "1"]
    assert main([*RETINAFACE, *init, "--out", str(further)]) == 0
    architecture, tuned = load_npz(further / "retinaface.npz")
    assert architecture == f"retinaface_{network}"
    first = weights_of(folder / "retinaface.npz")
    stem = "trunk.backbone.stage1.0.conv.weight"
    still = {name for name in first if np.array_equal(first[name], tuned[name])}
    assert stem in still
    assert {name for name in first if name.endswith("conv.weight")} - still


@pytest.mark.slow
def test_resnet_trains_a_step_from_the_command_line(tmp_path):
    arguments = [*RETINAFACE[:4], "--size", "64", "--batch-size", "2", "--network", "resnet50_p2p6"]
    assert main([*arguments, "--val", "synthetic:2,size=64x64", "--steps", "1", "--out", str(tmp_path)]) == 0
    assert load_npz(tmp_path / "retinaface.npz")[0] == "retinaface_resnet50_p2p6"
    record = RunLog.read(tmp_path / "log.jsonl")[0]
    assert record["kind"] == "train"
    assert 0 < record["loss"] < 1e4


@pytest.mark.parametrize("with_landmarks", [False, True])
def test_fine_tuning_without_landmarks_is_warned_of(tmp_path, caplog, with_landmarks):
    drawn = synthetic_dataset(4, seed=3).annotations
    for number, one in enumerate(drawn):
        Image.fromarray(one.read()).save(tmp_path / f"{number}.png")
    entries = [
        {
            "image": f"{number}.png",
            "faces": [
                {"box": box.tolist(), **({"landmarks5": points.tolist()} if with_landmarks else {})}
                for box, points in zip(one.boxes, one.landmarks, strict=True)
            ],
        }
        for number, one in enumerate(drawn)
    ]
    (tmp_path / "faces.json").write_text(json.dumps(entries))
    arguments = [
        "train",
        "retinaface",
        "--data",
        f"points:{tmp_path / 'faces.json'}",
        "--val",
        DATA,
        "--size",
        "96",
    ]
    options = ["--batch-size", "2", "--steps", "1", "--init", "retinaface_mobilenet025"]
    assert main([*arguments, *options, "--out", str(tmp_path / "run")]) == 0
    assert ("minidet label" in caplog.text) != with_landmarks


def test_faces_from_a_size_up(tmp_path, monkeypatch):
    """Every network learns from them, and the cascade looks for them."""
    monkeypatch.setattr("minidet.training.train_mtcnn.check_stage", lambda recall, floor: None)
    assert main([*MTCNN, "--min-face", "16", "--steps", "1", "--out", str(tmp_path)]) == 0
    for network in ("pnet", "rnet", "onet"):
        recipe = json.loads((tmp_path / network / "samples" / "manifest.json").read_text())["recipe"]
        settings = recipe["settings"]
        assert (settings["min_face_size"], settings["min_landmark_face_size"]) == (16, 32)
        assert network == "pnet" or recipe["proposals"]["settings"]["min_face_size"] == 16


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
        (["train", "mtcnn", "--data", DATA, "--network", "resnet50"], "--network is for retinaface"),
        (
            [*RETINAFACE, "--network", "resnet18"],
            "--network 'resnet18'; expected one of mobilenet025, resnet50, resnet152, with [_p2p6]",
        ),
        ([*RETINAFACE, "--network", "mobilenet025_deform_p2p6"], "_anchorfree after it, in this order"),
        (["train", "retinaface", "--data", "voc:nowhere", "--network", "resnet18"], "--network 'resnet18'"),
        ([*RETINAFACE, "--network", "mobilenet025_mesh399"], "photographs have none to learn from"),
        (
            [*RETINAFACE, "--network", "resnet50", "--init", "retinaface_mobilenet025"],
            "is for retinaface_mobilenet025; expected weights for retinaface_resnet50",
        ),
        (["train", "retinaface", "--data", DATA, "--min-face", "12"], "--min-face is for mtcnn"),
        (["train", "mtcnn", "--data", DATA, "--recipe", "reference"], "--recipe reference is for retinaface"),
        ([*RETINAFACE, "--steps", "1,2,3"], "--steps 1,2,3; expected one number for retinaface"),
        ([*RETINAFACE, "--steps", "1,2"], "expected one number, or three"),
        ([*RETINAFACE, "--steps", "1", "--epochs", "1"], "not allowed with"),
        ([*RETINAFACE, "--lr", "0"], "expected a learning rate between 0 and 1"),
        ([*RETINAFACE, "--seed", "-1"], "--seed"),
        ([*RETINAFACE, "--init", "nothing"], "'nothing' is neither a file nor one of"),
        ([*RETINAFACE, "--init", "mtcnn"], "is for mtcnn; expected weights for retinaface"),
        (["train", "retinaface", "--data", "voc:nowhere"], "there is no 'nowhere'"),
        (
            ["train", "retinaface", "--data", "synthetic:1"],
            "1 photographs of one picture are too few to keep some",
        ),
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


def test_a_run_names_what_it_holds_out(trained, tmp_path, run):
    """The list serves a later training and a measurement, and the run goes on with the same photographs."""
    text = (trained / "held_out.txt").read_text()
    assert text.splitlines() == [one.name for one in open_data([DATA], None)[1].annotations]
    assert len(text.splitlines()) == 3
    report = tmp_path / "report"
    status, _, error = run(
        *("evaluate", "--data", DATA, "--only", trained / "held_out.txt", "--save", report),
        *("--weights", trained / "retinaface.npz"),
    )
    assert status == 0, error
    recipe = json.loads((report / "report.json").read_text())["recipe"]
    assert recipe["data"]["source"] == f"{DATA}[{trained / 'held_out.txt'}]"
    assert len((report / "detections.jsonl").read_text().splitlines()) == 1 + 3
    assert (report / "mistakes.png").stat().st_size > 0
    assert main([*RETINAFACE, "--steps", "12", "--out", str(trained), "--resume"]) == 0
    assert (trained / "held_out.txt").read_text() == text


def test_held_out_by_a_list(tmp_path, capsys):
    path = tmp_path / "list.txt"
    write_name_list(path, ["synthetic/000020.png", "synthetic/000003.png"])
    folder = tmp_path / "run"
    command = [*RETINAFACE, "--steps", "1", "--out", str(folder), "--held-out", str(path)]
    assert main(command) == 0
    assert (folder / "held_out.txt").read_text() == "synthetic/000003.png\nsynthetic/000020.png\n"
    learning, held = open_data([DATA], None, str(path))
    assert [one.name for one in held.annotations] == ["synthetic/000003.png", "synthetic/000020.png"]
    assert held.source == f"{DATA}[{path}]"
    assert learning[0].source == f"{DATA} but {path}"
    assert len(learning[0]) == 22
    assert not {one.name for one in learning[0].annotations} & {one.name for one in held.annotations}
    # To go on with other photographs would be another training, and changes nothing.
    write_name_list(path, ["synthetic/000001.png"])
    assert main([*command, "--resume"]) == 2
    assert "another recipe" in capsys.readouterr().err
    assert (folder / "held_out.txt").read_text() == "synthetic/000003.png\nsynthetic/000020.png\n"


def test_with_a_set_to_measure_on_nothing_is_held_out(tmp_path):
    folder = tmp_path / "run"
    validation = "synthetic:2,seed=9,size=96x96"
    assert main([*RETINAFACE, "--steps", "1", "--out", str(folder), "--val", validation]) == 0
    assert not (folder / "held_out.txt").exists()


def missing(name, count, exhaustive=True):
    """Photographs that are not there: no two are alike."""
    annotations = [Annotation(f"no/{name}{i}.jpg", f"{name}{i}.jpg", []) for i in range(count)]
    return Dataset(annotations, name, exhaustive=exhaustive)


def names(dataset):
    return [one.name for one in dataset.annotations]


def test_held_out_photographs_are_not_learnt():
    first, points = missing("first", 25), missing("points", 9, exhaustive=False)
    learning, held = hold_out([first, points])
    assert len(held) == 3
    assert set(names(held)) < set(names(first))
    assert names(learning[0]) == [name for name in names(first) if name not in names(held)]
    assert learning[1] is points
    assert held.exhaustive
    assert held.source == "every 10th of first, by content"
    assert learning[0].source == "first but every 10th, by content"


def test_sets_that_do_not_name_every_face_are_measured_if_there_are_no_others():
    learning, held = hold_out([missing("a", 15, exhaustive=False), missing("b", 15, exhaustive=False)])
    assert len(held) == 3
    assert not held.exhaustive
    assert sum(map(len, learning)) == 27


@pytest.fixture
def copied(tmp_path):
    """Three sets of ten pictures each, the same ones in other qualities; the third with points only."""
    pictures = [Image.fromarray(one.read()) for one in synthetic_dataset(10, seed=3).annotations]
    sets = []
    for name, quality in (("a", 95), ("b", 60), ("points", 40)):
        annotations = []
        for number, picture in enumerate(pictures):
            path = tmp_path / f"{name}{number}.jpg"
            picture.save(path, quality=quality)
            annotations.append(Annotation(path, path.name, []))
        sets.append(Dataset(annotations, name, exhaustive=name != "points"))
    return sets


def test_copies_in_other_sets_are_not_learnt_either(copied):
    learning, held = hold_out(copied)
    # Twenty can be measured, a tenth of them is, and these two are copies of each other.
    number = names(held)[0][1]
    assert names(held) == [f"a{number}.jpg", f"b{number}.jpg"]
    for dataset, rest in zip(copied, learning, strict=True):
        assert names(rest) == [name for name in names(dataset) if number not in name]


def test_copies_of_one_picture_cannot_be_held_out(copied):
    same = [Dataset(dataset.annotations[:1], dataset.source) for dataset in copied]
    with pytest.raises(InputError, match="3 photographs of one picture are too few"):
        hold_out(same)


def test_a_set_given_twice_is_learnt_from_twice_and_measured_on_once(tmp_path):
    first, other = missing("first", 25), missing("other", 1)
    learning, held = hold_out([first, other, first])
    assert len(set(names(held))) == len(held) > 0
    assert names(learning[0]) == names(learning[2]) == [n for n in names(first) if n not in names(held)]

    write_name_list(tmp_path / "list.txt", names(held))
    learning, listed = hold_out_named([first, other, first], str(tmp_path / "list.txt"))
    assert names(listed) == names(held)
    assert names(learning[0]) == names(learning[2])


def test_sets_of_one_name_each_are_not_one(tmp_path):
    """Two drawn sets name their pictures alike."""
    write_name_list(tmp_path / "list.txt", ["a1.jpg"])
    sets = [Dataset(missing("a", 3).annotations, source) for source in ("x", "y")]
    assert names(hold_out_named(sets, str(tmp_path / "list.txt"))[1]) == ["a1.jpg", "a1.jpg"]


def test_a_set_of_which_nothing_is_left_is_left_out(tmp_path):
    write_name_list(tmp_path / "list.txt", ["a0.jpg", "b1.jpg"])
    sets = [missing("a", 1), missing("b", 3, exhaustive=False), missing("c", 2)]
    learning, held = hold_out_named(sets, str(tmp_path / "list.txt"))
    assert [names(one) for one in learning] == [["b0.jpg", "b2.jpg"], ["c0.jpg", "c1.jpg"]]
    assert learning[1] is sets[2]
    assert names(held) == ["a0.jpg", "b1.jpg"]
    assert not held.exhaustive
    assert held.source == f"a[{tmp_path / 'list.txt'}], b[{tmp_path / 'list.txt'}]"
    write_name_list(tmp_path / "list.txt", ["a0.jpg"])
    with pytest.raises(InputError, match="names all 1 photographs; expected some to be left"):
        hold_out_named(sets[:1], str(tmp_path / "list.txt"))


def test_unknown_names_are_counted(tmp_path, run_error):
    (tmp_path / "list.txt").write_text("x.jpg\nsynthetic/000001.png\ny.jpg\n")
    out = tmp_path / "run"
    error = run_error(*RETINAFACE, "--held-out", tmp_path / "list.txt", "--out", out)
    assert error == f"{tmp_path / 'list.txt'}: 2 of 3 names are not in {DATA}: 'x.jpg', 'y.jpg'"
    assert not out.exists()
    error = run_error(*RETINAFACE, "--held-out", tmp_path / "list.txt", "--val", DATA, "--out", out)
    assert "argument --val: not allowed with argument --held-out" in error


def test_of_a_large_set_200_are_held_out():
    learning, held = hold_out([missing("wider", 12_880)])
    assert 190 <= len(held) <= 200
    assert len(learning[0]) + len(held) == 12_880


def test_drawn_sets_are_held_out_too():
    learning, held = hold_out([synthetic_dataset(30)])
    assert len(learning[0]) == 27
    assert held[1].image.shape == (320, 320, 3)
