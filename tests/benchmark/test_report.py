"""Tables from fixed numbers."""

import json

from minidet.benchmark.report import as_json, as_markdown, as_table, describe_roofline, describe_starts
from minidet.benchmark.roofline import Layer, Roofline
from minidet.benchmark.run import Results, Row, Start
from minidet.benchmark.timing import Spread

ROWS = [
    Row("nms", "9 boxes", "minidet", 1, "the same", Spread(3.0, 2.9, 3.25)),
    Row("nms", "9 boxes", "torchvision", 1, "the same", Spread(1234.5, 58.0, 66.0), Spread(0.05, 0.04, 0.06)),
    Row("nms", "9 boxes", "torchvision", 2, "not timed, wrong: kept is not the same"),
    Row("matching", "1 face", "minidet", 1, "the same", Spread(0.5, 0.4, 0.6)),
]
STARTS = [
    Start("nms", "minidet", 1, 0.25, 3.5, 120.4, True),
    Start("nms", "torchvision", 1, 2.0, 0.0625, float("nan"), False),
]
ROOFLINE = Roofline(
    200.0, 20.0, (Layer("conv", 100_000_000, 1_000_000, 0.002), Layer("copy", 0, 10_000_000, 0.001))
)
MACHINE = {"processor": "a fast one", "processors": "2"}


def test_as_table():
    assert as_table(ROWS).splitlines() == [
        "NMS at IoU 0.4: 9 boxes",
        "  contestant   threads    ms  minidet / this       agreement",
        "  minidet            1  3.00                       the same",
        "  torchvision        1  1234  0.050 (0.040-0.060)  the same",
        "  torchvision        2     -                       not timed, wrong: kept is not the same",
        "Matching anchors to faces: 1 face",
        "  contestant  threads     ms  minidet / this  agreement",
        "  minidet           1  0.500                  the same",
    ]


def test_starts():
    assert describe_starts(STARTS).splitlines() == [
        "Start",
        "  case  contestant   threads  machine code  load s  first run s  peak MB",
        "  nms   minidet            1  compiled        0.25        3.500      120",
        "  nms   torchvision        1  -               2.00        0.062        -",
    ]


def test_roofline():
    lines = describe_roofline(ROOFLINE).splitlines()
    assert lines[0] == "One core: 200 GFLOP/s of fused multiply-add, copies 20.0 GB/s"
    assert lines[1].split() == ["step", "MMAC", "MB", "ms", "GFLOP/s", "%", "of", "roof"]
    assert lines[2].split() == ["conv", "100.00", "1.00", "2.000", "100", "50"]  # 1 ms at best
    assert lines[3].split() == ["copy", "0.00", "10.00", "1.000", "0", "50"]  # 0.5 ms at best
    assert lines[4].split() == ["all", "100.0", "11.0", "3.00", "67", "50"]


def test_as_markdown():
    page = as_markdown(Results(ROWS, STARTS, {"numpy": "2.0"}), MACHINE, ["mtcnn"], ROOFLINE)
    assert "- processor: a fast one\n- processors: 2\n- numpy 2.0\n- not installed: mtcnn\n" in page
    assert "## NMS at IoU 0.4: 9 boxes\n\n| contestant | threads | ms | minidet / this | agreement |" in page
    assert "| torchvision | 1 | 1234 | 0.050 (0.040-0.060) | the same |" in page
    assert "| conv | 100.00 | 1.00 | 2.000 | 100 | 50 |" in page
    for line in page.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")


def test_without_starts_and_roofline_their_headings_are_left_out():
    page = as_markdown(Results(ROWS), MACHINE, [])
    assert "Start" not in page
    assert "Roofline" not in page
    assert "not installed" not in page


def test_as_json():
    document = json.loads(as_json(Results(ROWS, STARTS, {"numpy": "2.0"}), MACHINE, ["mtcnn"], ROOFLINE))
    assert document["machine"] == MACHINE
    assert document["rows"][1]["share"] == {"median": 0.05, "low": 0.04, "high": 0.06}
    assert document["rows"][2]["milliseconds"] is None
    assert document["starts"][1]["megabytes"] is None  # JSON has no NaN
    assert document["roofline"]["peak_gflops"] == 200
    assert document["roofline"]["layers"][0] == ["conv", 100_000_000, 1_000_000, 0.002]
    assert json.loads(as_json(Results(), MACHINE, []))["roofline"] is None
