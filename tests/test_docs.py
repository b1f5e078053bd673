"""The documentation keeps up with the code: links, forward and backward side by side, examples that run."""

import ast
import doctest
import importlib
import math
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from minidet.models.mtcnn import ONet, PNet, RNet
from minidet.models.retinaface.blocks import ConvBlock, DepthwiseBlock
from minidet.models.retinaface.context import Context
from minidet.models.retinaface.fpn import FPN, FivePyramid
from minidet.models.retinaface.heads import Heads
from minidet.models.retinaface.mobilenet_v1 import DepthwiseSeparable, FourStageMobileNetV1, MobileNetV1
from minidet.models.retinaface.resnet import Bottleneck, ResNet
from minidet.models.retinaface.retinaface import RetinaFaceNet

ROOT = Path(__file__).parent.parent
NETWORKS = ROOT / "docs" / "networks"
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])
NETWORK_PAGES = ["pnet", "rnet", "onet", "retinaface", "retinaface_sizes", "mesh"]

link_docs = runpy.run_path(str(ROOT / "scripts" / "link_docs.py"))
definitions, relinked, LINK = link_docs["definitions"], link_docs["relinked"], link_docs["LINK"]


def read(page):
    """The text of a page of docs/networks."""
    return (NETWORKS / f"{page}.md").read_text(encoding="utf-8")


FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def fenced(page, language):
    """The blocks of a page that are marked as ``language``."""
    return [block for marked, block in FENCE.findall(read(page)) if marked == language]


# ---- Links -----------------------------------------------------------------------------------------


def test_links_into_the_code_end_where_the_name_stands():
    assert link_docs["wrong_links"]() == [], "run python scripts/link_docs.py"


MODULE = """\
LIMIT = 3
@overload
def f(x): ...
def f(x): ...


class C:
    def f(self): ...
"""


def test_the_script_finds_functions_classes_methods_and_constants(tmp_path):
    (tmp_path / "code.py").write_text(MODULE)
    page = tmp_path / "page.md"
    page.write_text(
        "[`f`](code.py#L) [C.f](code.py#L2) [C](code.py#L7) [`LIMIT`](code.py#L10) [code.py](code.py)"
    )
    text, wrong = relinked(page)
    assert text == (
        "[`f`](code.py#L4) [C.f](code.py#L8) [C](code.py#L7) [`LIMIT`](code.py#L1) [code.py](code.py)"
    )
    assert wrong == [
        "page.md: [`f`](code.py#L): `f` is in line 4",
        "page.md: [C.f](code.py#L2): `C.f` is in line 8",
        "page.md: [`LIMIT`](code.py#L10): `LIMIT` is in line 1",
    ]


def test_the_script_leaves_what_it_cannot_find_and_says_so(tmp_path):
    (tmp_path / "code.py").write_text(MODULE)
    page = tmp_path / "page.md"
    page.write_text("[g](code.py#L3) [f](none.py#L3) [the function f](code.py#L4)")
    text, wrong = relinked(page)
    assert text == page.read_text()
    assert wrong == [
        "page.md: [g](code.py#L3): no `g` there",
        "page.md: [f](none.py#L3): no `f` there",
        "page.md: [the function f](code.py#L4): no `the function f` there",
    ]


def anchors(page):
    """What a link to a heading of ``page`` may end in, as GitHub derives it."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if path.startswith("http"):
            continue
        file = page.parent / path if path else page
        assert file.exists(), f"{target}: no such file"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{target}: no such heading"


# ---- Code in the pages -----------------------------------------------------------------------------


def python_blocks(page):
    """The blocks of Python of a page."""
    return [code for marked, code in FENCE.findall(page.read_text(encoding="utf-8")) if marked == "python"]


def lookup(name):
    """What a dotted name such as ``minidet.boxes.iou`` means."""
    module = name
    while module:
        try:
            found = importlib.import_module(module)
            break
        except ModuleNotFoundError:
            module = module.rpartition(".")[0]
    for part in name.removeprefix(module).split(".")[1:]:
        found = getattr(found, part)
    return found


@pytest.mark.parametrize(
    "page", [page for page in PAGES if python_blocks(page)], ids=lambda page: str(page.relative_to(ROOT))
)
def test_code_in_a_page_is_python_and_calls_what_there_is(page):
    for code in python_blocks(page):
        for node in ast.walk(ast.parse(re.sub(r"^(>>>|\.\.\.) ?|^%.*$", "", code, flags=re.MULTILINE))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("minidet"):
                for alias in node.names:
                    lookup(f"{node.module}.{alias.name}")
            if isinstance(node, ast.Attribute) and re.fullmatch(r"minidet(\.\w+)+", ast.unparse(node)):
                lookup(ast.unparse(node))


# ---- Forward and backward, side by side ------------------------------------------------------------


def tables(page):
    """Every table of a page: its header, and its rows without that of dashes; all as lists of cells."""
    for table in re.findall(r"(?:^\|.*\n)+", read(page), re.MULTILINE):
        header, _, *rows = [
            [cell.strip() for cell in row.strip().removeprefix("|").removesuffix("|").split("|")]
            for row in table.splitlines()
        ]
        yield header, rows


@pytest.mark.parametrize("page", [*NETWORK_PAGES, "README"])
def test_every_row_has_a_cell_for_every_column(page):
    for header, rows in tables(page):
        assert [row for row in rows if len(row) != len(header)] == []


# Those whose first column is the lines of a forward pass, which its header links to.
SIDE_BY_SIDE = {
    LINK.findall(header[0])[-1][0].removesuffix(".forward"): (header, rows)
    for page in NETWORK_PAGES
    for header, rows in tables(page)
    if re.search(r"\.forward`\]", header[0])
}
every_table = pytest.mark.parametrize("part", SIDE_BY_SIDE)


def normal(statements):
    """Code without layout and comments."""
    return [ast.unparse(statement) for statement in statements]


def shown(cell):
    """The statements in a cell of a table."""
    return normal(ast.parse("\n".join(re.findall(r"`([^`]+)`", cell))).body)


def written(header_cell):
    """The statements of the functions that a header links to, without their docstrings."""
    statements = []
    for name, path, _ in LINK.findall(header_cell):
        _docstring, *body = definitions(NETWORKS / path)[name].body
        statements += normal(body)
    return statements


@every_table
def test_the_left_column_is_forward_line_by_line(part):
    header, rows = SIDE_BY_SIDE[part]
    assert [line for row in rows for line in shown(row[0])] == written(header[0])


@every_table
def test_the_right_column_is_backward_from_bottom_to_top(part):
    header, rows = SIDE_BY_SIDE[part]
    assert [line for row in reversed(rows) for line in reversed(shown(row[2]))] == written(header[2])


def called(cell):
    """The parts and operations that a cell goes through, in whichever direction."""
    parts = re.findall(r"(\w+)(?:\.forward|\.backward)\(|\(self\.(\w+), ", cell)
    operations = re.findall(r"(concat|upsample_nearest2d|flatten_columns_first)", cell)
    return {name for names in parts for name in names if name} | set(operations)


@every_table
def test_what_stands_side_by_side_belongs_together(part):
    for forward, _, backward, *_ in SIDE_BY_SIDE[part][1]:
        assert called(forward) == called(backward)


def test_every_part_of_every_network_is_shown():
    parts = set()
    for file in (ROOT / "minidet" / "models").rglob("*.py"):
        names = definitions(file)
        parts |= {name for name in names if f"{name}.forward" in names and f"{name}.backward" in names}
    assert parts | {"Sequential"} == set(SIDE_BY_SIDE)


def zeros(*shape):
    return np.zeros(shape, np.float32)


# A module of each kind, what its forward is given, and the letters in its column of shapes.
FINE = {"H1": 20, "W1": 21, "H2": 10, "W2": 11, "H6": 1, "W6": 1}
LEVELS = {"H3": 5, "W3": 6, "H4": 3, "W4": 3, "H5": 2, "W5": 2}
ANCHORS = {"A3": 60, "A4": 18, "A5": 8, "A": 86}
RUNS = {
    "PNet": (PNet(landmark_head=True), {"x": zeros(2, 3, 17, 20)}, {"H": 17, "W": 20, "h": 4, "w": 5}),
    "RNet": (RNet(landmark_head=True), {"x": zeros(2, 3, 24, 24)}, {}),
    "ONet": (ONet(), {"x": zeros(2, 3, 48, 48)}, {}),
    "RetinaFaceNet": (RetinaFaceNet(), {"x": zeros(2, 3, 40, 42)}, LEVELS | ANCHORS),
    "MobileNetV1": (MobileNetV1(), {"x": zeros(2, 3, 40, 42)}, LEVELS),
    "FPN": (
        FPN((64, 128, 256), 64),
        {"c3": zeros(2, 64, 5, 6), "c4": zeros(2, 128, 3, 3), "c5": zeros(2, 256, 2, 2)},
        LEVELS,
    ),
    "ResNet": (ResNet((1, 1, 1, 1), finest=2), {"x": zeros(2, 3, 40, 42)}, LEVELS | FINE),
    "FourStageMobileNetV1": (FourStageMobileNetV1(), {"x": zeros(2, 3, 40, 42)}, LEVELS | FINE),
    "FivePyramid": (
        FivePyramid((32, 64, 128, 256), 64),
        {
            "c2": zeros(2, 32, 10, 11),
            "c3": zeros(2, 64, 5, 6),
            "c4": zeros(2, 128, 3, 3),
            "c5": zeros(2, 256, 2, 2),
        },
        LEVELS | FINE,
    ),
    "Bottleneck": (
        Bottleneck(5, 2, stride=2),
        {"x": zeros(2, 5, 5, 8)},
        {"C": 2, "H": 5, "W": 8, "s": 2},
    ),
    "Context": (Context(8), {"x": zeros(2, 8, 5, 6)}, {"C": 8, "H": 5, "W": 6}),
    "Heads": (Heads(8, 3), {"x": zeros(2, 8, 5, 6)}, {"H": 5, "W": 6, "K": 3}),
    "DepthwiseSeparable": (
        DepthwiseSeparable(3, 4, stride=2),
        {"x": zeros(2, 3, 5, 8)},
        {"IC": 3, "OC": 4, "H": 5, "W": 8, "s": 2},
    ),
    "DepthwiseBlock": (
        DepthwiseBlock(3, stride=2),
        {"x": zeros(2, 3, 5, 8)},
        {"C": 3, "H": 5, "W": 8, "s": 2},
    ),
    "ConvBlock": (
        ConvBlock(3, 4, 3, stride=2),
        {"x": zeros(2, 3, 5, 8)},
        {"OC": 4, "H": 5, "W": 8, "s": 2},
    ),
}


def made(line):
    """The names that a line gives to its results."""
    statement = ast.parse(line).body[0]
    if not isinstance(statement, ast.Assign):
        return []
    return [name.id for name in getattr(statement.targets[0], "elts", statement.targets)]


@pytest.mark.parametrize("part", RUNS)
def test_the_shapes_are_those_of_a_forward_pass(part):
    module, inputs, letters = RUNS[part]
    scope = {**vars(importlib.import_module(type(module).__module__)), "self": module, **inputs}
    letters = {"N": 2, "ceil": math.ceil, **letters}
    for forward, shapes, *_ in SIDE_BY_SIDE[part][1]:
        lines = [re.sub("^return ", "result = ", line) for line in shown(forward)]
        exec("\n".join(lines), scope)
        stated = [eval(shape, letters) for shape in re.findall("`([^`]+)`", shapes)]
        if stated:
            assert [scope[name].shape for line in lines for name in made(line)] == stated, forward


# ---- Equations and examples ------------------------------------------------------------------------


@pytest.mark.parametrize("page", [*NETWORK_PAGES, "README"])
def test_formulas_are_written_so_that_github_shows_them(page):
    text = FENCE.sub("", read(page))
    inline = re.findall(r"\$`([^`]*)`\$", text)
    assert "$" not in re.sub(r"\$`[^`]*`\$", "", text), "a formula in a line stands between $` and `$"
    for formula in fenced(page, "math") + inline:
        assert formula.count("{") == formula.count("}")
        assert "|" not in formula, r"| cuts tables up; write \lvert and \rvert"
        assert r"\operatorname" not in formula, "GitHub does not allow it"


def test_an_operation_reads_the_same_on_every_page():
    sections = {}
    for page in NETWORK_PAGES:
        for title, text in re.findall(r"^### ([^\n]+)\n(.*?)(?=^##)", read(page), re.MULTILINE | re.DOTALL):
            sections.setdefault(title, []).append(text)
    assert len(sections["conv2d"]) == 4
    assert [title for title, texts in sections.items() if len(set(texts)) > 1] == []


@pytest.mark.parametrize("page", NETWORK_PAGES)
def test_the_example_by_hand_comes_out(page):
    blocks = fenced(page, "pycon")
    assert blocks
    example = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, page, f"{page}.md", 0)
    assert doctest.DocTestRunner().run(example).failed == 0


@pytest.mark.parametrize("page", NETWORK_PAGES)
def test_one_step_lowers_the_loss(page, capsys):
    (step,) = fenced(page, "python")
    exec(step, {})
    before, after = re.fullmatch(r"before (.*)\nafter (.*)\n", capsys.readouterr().out).groups()
    assert 0 < float(after) < float(before)


# ---- Programs with what they print -----------------------------------------------------------------

PROGRAM = re.compile(r"^```python\n((?:(?!```).*\n)*)```\n\n```\n((?:(?!```).*\n)*)```$", re.MULTILINE)
PROGRAMS = [
    pytest.param(program, printed, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, (program, printed) in enumerate(PROGRAM.findall(page.read_text(encoding="utf-8")))
    if not printed.startswith("$ ")  # a command typed after it
]


@pytest.mark.parametrize(("program", "printed"), PROGRAMS)
def test_a_program_prints_what_stands_below_it(program, printed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(program, "<docs>", "exec"), {"__name__": "docs"})
    assert capsys.readouterr().out == printed


def test_there_are_such_programs():
    assert {"datasets", "evaluation"} <= {parameter.id.partition("-")[0] for parameter in PROGRAMS}
