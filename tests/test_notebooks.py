"""The rules that every notebook keeps; nothing is run here. ``scripts/run_notebooks.py`` runs them."""

import ast
import base64
import copy
import io
import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import minidet

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_LINES = 12

script = runpy.run_path(str(ROOT / "scripts" / "run_notebooks.py"))
problems, stills, chosen = script["problems"], script["stills"], script["chosen"]

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path, kind):
    """The texts of the cells of a kind."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == kind]


def parsed(path):
    """The code of a notebook, without the lines that speak to IPython."""
    return [ast.parse(re.sub(r"^%.*$", "", code, flags=re.MULTILINE)) for code in cells(path, "code")]


# ---- What a notebook is ----------------------------------------------------------------------------


def test_names_are_numbered_and_no_number_comes_twice():
    assert NOTEBOOKS
    names = [path.stem for path in NOTEBOOKS]
    assert [name for name in names if not re.fullmatch(r"\d\d_[a-z0-9_]+", name)] == []
    assert len({name[:2] for name in names}) == len(names)


def test_nothing_else_lies_in_the_folder():
    assert sorted(path for path in FOLDER.iterdir() if not path.name.startswith(".")) == NOTEBOOKS


@every_notebook
def test_what_is_stored_is_complete(path):
    assert problems(path) == [], f"python scripts/run_notebooks.py {path.stem} --write"


@every_notebook
def test_it_opens_with_its_number_and_one_question(path):
    first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]
    assert first["cell_type"] == "markdown"
    opening = "".join(first["source"])
    assert re.match(rf"# {int(path.stem[:2])}\. \w", opening)
    assert opening.count("?") == 1
    assert len(re.findall(r"^\*\*[^*]+\?\*\*$", opening, re.MULTILINE)) == 1


@every_notebook
def test_cells_are_short(path):
    assert [code for code in cells(path, "code") if len(code.splitlines()) > MOST_LINES] == []


@every_notebook
def test_it_imports_minidet_and_never_redefines_it(path):
    defined, imported = set(), set()
    for tree in parsed(path):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                defined.add(node.name)
            elif isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
    assert "minidet" in imported
    public = {
        name
        for package in (
            minidet,
            minidet.ops,
            minidet.boxes,
            minidet.image,
            minidet.losses,
            minidet.evaluation,
        )
        for name in package.__all__
    }
    assert defined & public == set()


@every_notebook
def test_its_last_code_asserts(path):
    last = parsed(path)[-1]
    assert any(isinstance(node, ast.Assert) for node in ast.walk(last))


@every_notebook
def test_it_closes_with_exercises(path):
    last = json.loads(path.read_text(encoding="utf-8"))["cells"][-1]
    assert last["cell_type"] == "markdown"
    closing = "".join(last["source"])
    assert closing.startswith("## Exercises\n")
    assert 1 <= len(re.findall(r"^\d\. ", closing, re.MULTILINE)) <= 3
    assert re.search(r'minidet\.course\.check\("\w+", \w+\)', closing)


@every_notebook
def test_it_shows_the_wrong_variant(path):
    assert any(re.search(r"^## .*[Ww]rong", text, re.MULTILINE) for text in cells(path, "markdown"))


@every_notebook
def test_no_sentence_is_left_to_a_machine(path):
    words = "\n".join(cells(path, "markdown") + cells(path, "code"))
    assert not re.search(r"TODO|FIXME|XXX", words)
    assert not re.search(r"/root/|/tmp/|/home/|/work/", words)


# ---- The checks of the script ----------------------------------------------------------------------


@pytest.fixture
def notebook():
    """A notebook that passes."""
    output = {"output_type": "stream", "name": "stdout", "text": "1"}
    code = {"cell_type": "code", "source": "print(1)", "execution_count": 1, "outputs": [output]}
    return {"cells": [{"cell_type": "markdown", "source": "# 1"}, code], "metadata": script["METADATA"]}


@pytest.fixture
def problems_of(tmp_path):
    def write_and_check(notebook):
        path = tmp_path / "01_a.ipynb"
        path.write_text(json.dumps(notebook))
        return problems(path)

    return write_and_check


def test_a_whole_run_has_no_problems(notebook, problems_of):
    assert problems_of(notebook) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda code: code.update(outputs=[]), "cell 2 has no output"),
        (lambda code: code.update(execution_count=2), "not counted 1, 2, 3"),
        (lambda code: code.update(execution_count=None), "not counted 1, 2, 3"),
        (lambda code: code["outputs"][0].update(name="stderr"), "an error or a warning"),
        (lambda code: code["outputs"][0].update(output_type="error"), "an error or a warning"),
        (
            lambda code: code["outputs"][0].update(text="saved in /home/ada/x.png"),
            "a path of a machine: /home/a",
        ),
        (lambda code: code["outputs"][0].update(text=r"in C:\\Users"), "a path of a machine"),
        (
            lambda code: code["outputs"][0].update(data={"text/plain": "'/tmp/x'"}),
            "a path of a machine: /tmp/x",
        ),
        (lambda code: code["outputs"][0].update(data={script["WIDGET"]: {}}), "sliders without the picture"),
        (lambda code: code["outputs"][0].update(text="x" * 1_500_000), "expected at most 1500000"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(notebook, problems_of, change, problem):
    change(notebook["cells"][1])
    (found,) = problems_of(notebook)
    assert problem in found


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"kernelspec": {"name": "my-env"}, "language_info": {"name": "python"}},
        {**script["METADATA"], "language_info": {"name": "python", "version": "3.11.2"}},
        {**script["METADATA"], "widgets": {}},
    ],
)
def test_metadata_of_one_machine_are_named(notebook, problems_of, metadata):
    assert problems_of({**notebook, "metadata": metadata}) == [
        "metadata of another program; store a run with --write"
    ]


def test_a_longer_time_may_stand_in_the_metadata(notebook, problems_of):
    assert problems_of({**notebook, "metadata": {**script["METADATA"], "minidet": {"seconds": 180}}}) == []


def test_an_encoded_picture_may_look_like_a_path(notebook, problems_of):
    notebook["cells"][1]["outputs"] = [{"output_type": "display_data", "data": {"image/png": "=/home/ada"}}]
    assert problems_of(notebook) == []


def test_notebooks_are_chosen_by_the_beginning_of_their_names(tmp_path):
    for name in ("01_a.ipynb", "02_b.ipynb", "10_c.ipynb", "01_note.txt"):
        (tmp_path / name).touch()
    assert [path.stem for path in chosen([], tmp_path)] == ["01_a", "02_b", "10_c"]
    assert [path.stem for path in chosen(["10", "01"], tmp_path)] == ["01_a", "10_c"]
    assert [path.stem for path in chosen(["notebooks/02_b.ipynb"], tmp_path)] == ["02_b"]
    assert chosen(["3"], tmp_path) == []


# ---- What is stored in place of what --------------------------------------------------------------


def encoded(kind, size=8):
    """A picture as a notebook holds it."""
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, kind)
    return base64.b64encode(file.getvalue()).decode()


def shown(**data):
    """An output with pictures or texts, by kind."""
    names = {"png": "image/png", "jpeg": "image/jpeg", "text": "text/plain", "widget": script["WIDGET"]}
    return {"output_type": "display_data", "data": {names[kind]: value for kind, value in data.items()}}


def test_a_small_picture_stays_as_it_is():
    output = shown(png=encoded("png"), text="<Figure size 8x8 with 1 Axes>")
    assert stills(copy.deepcopy(output), {}) == [output]


def test_a_large_one_becomes_a_jpeg():
    (output,) = stills(shown(png=encoded("png", 256)), {})
    assert list(output["data"]) == ["image/jpeg", "text/plain"]
    picture = Image.open(io.BytesIO(base64.b64decode(output["data"]["image/jpeg"])))
    assert (picture.format, picture.size) == ("JPEG", (256, 256))


def test_of_two_ways_to_show_a_picture_one_is_enough():
    (output,) = stills(
        shown(png=encoded("png"), jpeg="abc", text="<PIL.Image.Image size=8x8 at 0x7F12AB>"), {}
    )
    assert output["data"] == {"image/jpeg": "abc", "text/plain": "<PIL.Image.Image size=8x8>"}


def test_warnings_go_and_what_is_printed_stays():
    printed = {"output_type": "stream", "name": "stdout", "text": "1 at 0x12"}
    assert stills({"output_type": "stream", "name": "stderr", "text": "minidet: compiling"}, {}) == []
    assert stills(dict(printed), {}) == [printed]


def test_sliders_become_their_names_and_values():
    widgets = {
        "box": {"children": ["IPY_MODEL_slider", "IPY_MODEL_number", "IPY_MODEL_output"]},
        "slider": {"description": "score", "value": 0.6},
        "number": {"description": "level", "value": 2},
        "output": {"outputs": []},
    }
    (note,) = stills(shown(widget={"model_id": "box"}, text="interactive(...)"), widgets)
    assert note["text"] == "[run the notebook to change score = 0.6, level = 2]\n"
