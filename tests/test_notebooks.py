"""The rules that every notebook keeps, and sliders moved. ``scripts/run_notebooks.py`` runs them whole."""

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
from matplotlib.colors import to_hex
from PIL import Image

import minidet
from minidet.boxes import LocationSettings, assign_locations, generate_anchors, iou, nms, soft_nms
from minidet.course import exercises
from minidet.datasets import bundled_portrait_path, group_faces, group_picture
from minidet.datasets.meshes import coloured_head, head_topology
from minidet.mesh import render_forward

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_LINES = 12

PRESENT = {int(path.stem[:2]) for path in NOTEBOOKS}
TO_COME: set[int] = set()
"""Numbers that may be missing, and that a notebook may speak of all the same."""

EXERCISES = {exercise.name: exercise for exercise in exercises()}

script = runpy.run_path(str(ROOT / "scripts" / "run_notebooks.py"))
problems, stills, chosen = script["problems"], script["stills"], script["chosen"]

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path, kind):
    """The texts of the cells of a kind."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == kind]


def parsed(path):
    """The code of a notebook, without the lines that speak to IPython."""
    return [ast.parse(plain(code)) for code in cells(path, "code")]


def plain(code):
    return re.sub(r"^%.*$", "", code, flags=re.MULTILINE)


def split(path):
    """The cells of a notebook before its exercises, and the exercises."""
    every_cell = json.loads(path.read_text(encoding="utf-8"))["cells"]
    headings = (k for k, cell in enumerate(every_cell) if source(cell).startswith("## Exercises\n"))
    place = next(headings, len(every_cell))
    return every_cell[:place], every_cell[place:]


def source(cell):
    return "".join(cell["source"])


def answers_shown(path):
    """The cells with exercises that are run: the name of the exercise, and what its check said."""
    for cell in split(path)[1]:
        name = re.search(r'minidet\.course\.check\("(\w+)"', source(cell))
        if cell["cell_type"] == "code" and name:
            said = ["".join(output.get("data", {}).get("text/plain", "")) for output in cell["outputs"]]
            yield name[1], "".join(said)


every_notebook_with_answers = pytest.mark.parametrize(
    "path", [path for path in NOTEBOOKS if list(answers_shown(path))], ids=lambda path: path.stem
)


# ---- What a notebook is ----------------------------------------------------------------------------


def test_names_are_numbered_and_no_number_comes_twice():
    assert NOTEBOOKS
    names = [path.stem for path in NOTEBOOKS]
    assert [name for name in names if not re.fullmatch(r"\d\d_[a-z0-9_]+", name)] == []
    assert len({name[:2] for name in names}) == len(names)


def test_no_number_is_left_out():
    assert set(range(1, max(PRESENT) + 1)) - PRESENT <= TO_COME


@every_notebook
def test_it_speaks_of_notebooks_that_exist_and_not_of_itself(path):
    words = " ".join(cells(path, "markdown"))
    spoken_of = re.findall(r"[Nn]otebooks?\s+(\d+)(?:(?:\s+and|,)\s+(\d+))?", words)
    numbers = {int(number) for pair in spoken_of for number in pair if number}
    assert numbers <= (PRESENT | TO_COME) - {int(path.stem[:2])}


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
def test_its_steps_end_with_an_assertion(path):
    steps, _ = split(path)
    last = [source(cell) for cell in steps if cell["cell_type"] == "code"][-1]
    assert any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(plain(last))))


@every_notebook
def test_it_closes_with_exercises(path):
    _, closing = split(path)
    assert closing, "there is no cell that begins with ## Exercises"
    questions = source(closing[0])
    assert re.findall(r"^(\d)\. ", questions, re.MULTILINE) in (["1"], ["1", "2"], ["1", "2", "3"])
    assert not [cell for cell in closing[1:] if re.search(r"^##? ", source(cell), re.MULTILINE)]
    assert re.search(r'minidet\.course\.check\("\w+", \w+\)', "\n".join(map(source, closing)))


@every_notebook
def test_its_exercises_exist_and_its_answers_take_their_arguments(path):
    text = "\n".join(source(cell) for cell in split(path)[1])
    defined = dict(re.findall(r"^ *def (\w+)\((.*)\):$", text, re.MULTILINE))
    for name, function in re.findall(r'course\.check\("(\w+)", (\w+)\)', text):
        assert name in EXERCISES
        if function in defined:
            assert f"{name}({defined[function]})" == EXERCISES[name].signature
    for asked in re.findall(r"^\d\. `(\w+\(.*?\))`", text, re.MULTILINE):
        assert asked in {exercise.signature for exercise in EXERCISES.values()}


@every_notebook_with_answers
def test_the_first_answer_is_wrong_and_the_mistake_is_called_by_its_name(path):
    name, said = next(answers_shown(path))
    assert any(mistake.sentence in said for mistake in EXERCISES[name].mistakes)


@every_notebook_with_answers
def test_no_answer_is_given_away(path):
    for name, said in answers_shown(path):
        assert said.startswith(f"{name}: not right yet; ")
        assert "Raised" not in said


def test_the_course_asks_for_two_dozen_answers():
    text = "\n".join(source(cell) for path in NOTEBOOKS for cell in split(path)[1])
    assert len(set(re.findall(r'course\.check\("(\w+)"', text))) >= 24
    assert list(every_notebook_with_answers.args[1])


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


def test_a_slider_over_a_list_becomes_what_it_has_selected():
    labels = ("P-Net", "R-Net", "O-Net")
    widgets = {
        "box": {"children": ["IPY_MODEL_one", "IPY_MODEL_two", "IPY_MODEL_none", "IPY_MODEL_button"]},
        "one": {"description": "stage", "_options_labels": labels, "index": 1},
        "two": {"description": "range", "_options_labels": labels, "index": [0, 2]},
        "none": {"description": "other", "_options_labels": (), "index": None},
        "button": {"description": "press"},
    }
    (note,) = stills(shown(widget={"model_id": "box"}), widgets)
    chosen_ones = "stage = R-Net, range = P-Net to O-Net, other = nothing"
    assert note["text"] == f"[run the notebook to change {chosen_ones}]\n"


def test_what_a_slider_over_a_list_tells_is_what_ipywidgets_sends():
    widgets = pytest.importorskip("ipywidgets", reason="the notebooks have requirements of their own")
    slider = widgets.SelectionSlider(options=[24, 48], value=48, description="side")
    (note,) = stills(shown(widget={"model_id": "slider"}), {"slider": slider.get_state()})
    assert note["text"] == "[run the notebook to change side = 48]\n"


# ---- Sliders ---------------------------------------------------------------------------------------


@pytest.fixture
def live():
    """Run a notebook as far as its last sliders; return what it has defined, the sliders' views among it."""
    pytest.importorskip("ipywidgets", reason="the notebooks have requirements of their own")

    def run(name):
        codes = [plain(code) for code in cells(FOLDER / f"{name}.ipynb", "code")]
        last = max(k for k, code in enumerate(codes) if "interact(" in code)
        defined = {}
        for code in codes[: last + 1]:
            exec(code, defined)
        return defined

    return run


def move(view, **values):
    """Set sliders, as a hand would, and return the axes that are shown then."""
    sliders = {child.description: child for child in view.widget.children if hasattr(child, "description")}
    before = view.widget.result
    for name, value in values.items():
        sliders[name].value = value
        assert sliders[name].value == value
    assert view.widget.result is not before, "the sliders move nothing"
    return view.widget.result.axes[0]


def drawn(ax, colour="#ff2bd6"):
    """The boxes of a colour, (K, 4)."""
    frames = [frame for frame in ax.patches if to_hex(frame.get_edgecolor()) == colour]
    return np.array([frame.get_bbox().extents for frame in frames]).reshape(-1, 4)


@pytest.mark.slow
def test_sliders_of_nms(live):
    notebook = live("06_iou_and_nms")
    trace = minidet.RetinaFace().trace(notebook["pair"])
    boxes, scores = trace["decode"]["boxes"], trace["candidates"]["scores"]
    titles = []
    for score, overlap in ((0.5, 0.1), (0.5, 0.8), (0.9, 0.8)):
        ax = move(notebook["suppressed"], score=score, overlap=overlap)
        sure = scores > score
        kept = nms(boxes[sure], scores[sure], overlap)
        np.testing.assert_allclose(drawn(ax), boxes[sure][kept], rtol=1e-5)
        assert ax.get_title() == f"{sure.sum()} candidates, {len(kept)} boxes kept"
        titles.append(ax.get_title())
    assert len(set(titles)) == 3

    for sigma, lowest in ((0.1, 0.5), (2.0, 0.1)):
        ax = move(notebook["softened"], sigma=sigma, lowest=lowest)
        kept, lowered = soft_nms(boxes, scores, sigma=sigma, score_threshold=lowest)
        np.testing.assert_allclose(drawn(ax), boxes[kept], rtol=1e-5)
        assert [text.get_text() for text in ax.texts] == [f"{score:.2f}" for score in lowered]


@pytest.mark.slow
def test_sliders_of_the_pyramid(live):
    notebook = live("07_pnet_and_the_pyramid")
    titles = []
    for smallest, factor, threshold in ((40, 0.7, 0.6), (20, 0.5, 0.6), (20, 0.5, 0.9)):
        ax = move(notebook["proposals"], smallest=smallest, factor=factor, threshold=threshold)
        trace = minidet.MTCNN(smallest, factor, (threshold, 0.7, 0.7)).trace(group_picture())
        pixels = sum(level.shape[0] * level.shape[1] for level in trace["pyramid"]["levels"])
        np.testing.assert_allclose(drawn(ax), trace["merge"]["boxes"], rtol=1e-5)
        np.testing.assert_allclose(drawn(ax, "#00ff00"), trace.detections.boxes, rtol=1e-5)
        proposals, faces = len(trace["merge"]["boxes"]), len(trace.detections)
        assert ax.get_title() == f"{pixels} pixels, {proposals} proposals, {faces} faces"
        titles.append(ax.get_title())
    assert len(set(titles)) == 3


@pytest.mark.slow
def test_sliders_of_the_cascade(live):
    notebook = live("08_the_whole_cascade")
    group, trace = notebook["group"], notebook["trace"]
    wanted = (
        trace["propose"]["boxes"],
        trace["merge"]["boxes"],
        trace["rnet"]["boxes"][trace["refine"]["passed"]],
        trace["refine"]["boxes"],
        trace["onet"]["boxes"][trace["output"]["passed"]],
        trace["output"]["boxes"],
    )
    for number, boxes in enumerate(wanted):
        np.testing.assert_allclose(drawn(move(notebook["stage"], number=number)), boxes, rtol=1e-5)
    titles = []
    for pnet, rnet, onet in ((0.9, 0.7, 0.7), (0.9, 0.3, 0.7), (0.9, 0.3, 0.95)):
        ax = move(notebook["with_thresholds"], pnet=pnet, rnet=rnet, onet=onet)
        steps = minidet.MTCNN(score_thresholds=(pnet, rnet, onet)).trace(group)
        counts = [len(steps[name]["boxes"]) for name in ("merge", "refine", "output")]
        assert ax.get_title() == f"proposals, refined, faces: {counts[0]}, {counts[1]}, {counts[2]}"
        assert np.array_equal(ax.images[0].get_array(), minidet.draw(group, steps.detections))
        titles.append(ax.get_title())
    assert len(set(titles)) == 3


def test_sliders_of_the_anchors(live):
    view = live("11_anchors_and_matching")["one_cell"]
    portrait = minidet.read_image(bundled_portrait_path())
    anchors = generate_anchors(*portrait.shape[:2])
    for level, x, y in ((0, 0, 0), (1, 300, 200), (2, 511, 599)):
        ax = move(view, level=level, x=x, y=y)
        stride = 8 * 2**level
        (cell,) = drawn(ax, "#00ff00")
        assert cell[0] <= x < cell[2] == cell[0] + stride
        assert cell[1] <= y < cell[3] == cell[1] + stride
        shown = drawn(ax)
        assert (shown[:, 2] - shown[:, 0]).tolist() == [16 * 4**level, 32 * 4**level]
        np.testing.assert_allclose((shown[:, :2] + shown[:, 2:]) / 2, [(cell[:2] + cell[2:]) / 2] * 2)
        assert (iou(shown.astype(np.float32), anchors).max(axis=1) == 1).all()


def test_sliders_of_the_taps(live):
    view = live("19_deformable_context_and_five_levels")["learnt"]
    rings = np.array([(x, y) for y in (19.5, 20.5, 21.5) for x in (19.5, 20.5, 21.5)])
    losses, reach = [], []
    for step in (0, 40, 398):
        ax = move(view, step=step)
        plain, moved = (np.asarray(marks.get_offsets()) for marks in ax.collections)
        np.testing.assert_allclose(plain, rings)
        begun, title = ax.get_title().split(": loss ")
        assert begun == f"step {step}"
        losses.append(float(title))
        reach.append(np.abs(moved - 20.5).max(axis=0))
    assert losses[0] > losses[1] > losses[2]
    assert reach[0].tolist() == [1, 1]
    assert (reach[1] > 1).all()
    np.testing.assert_allclose(reach[2], [3, 3], atol=0.2)  # as far apart as the task wants them


@pytest.mark.slow
def test_sliders_of_the_head(live):
    view, triangles = live("20_dense_3d_branch")["head"], head_topology().triangles
    light = np.array([[-3.0, -2, 3, 0.7, 0.7, 0.7, 0.4, 0.4, 0.4]])
    titles = []
    for degrees, smile in ((0, 1), (-45, 1), (-45, -0.5)):
        ax = move(view, degrees=degrees, smile=smile)
        code = np.zeros(18)
        code[[3, 9, 12]] = 1, smile, 1
        camera = np.array([[0, 0, 8, np.deg2rad(degrees), 0, 0, 6.4]])
        vertices, colours = (array[None] for array in coloured_head(code))
        (picture,), cache = render_forward(vertices, colours, camera, light, triangles, 128)
        wanted = np.clip(255 * picture, 0, 255).astype(np.uint8)
        assert np.array_equal(ax.images[0].get_array(), wanted)
        assert ax.get_title() == f"{(cache.shown >= 0).sum()} pixels"
        titles.append(ax.get_title())
    assert len(set(titles)) == 3


def test_sliders_of_the_locations(live):
    view = live("21_anchor_free")["free"]
    faces, titles = group_faces(), []
    for reach, radius in ((4, 0.5), (8, 0.5), (8, 3)):
        ax = move(view, reach=reach, radius=radius)
        settings = LocationSettings(reach=reach, centre_radius=radius)
        locations = settings.lay(*group_picture().shape[:2])
        face = assign_locations(locations, faces, settings)
        np.testing.assert_allclose(ax.collections[0].get_offsets(), locations.points[face >= 0])
        counts = np.bincount(face[face >= 0], minlength=len(faces))
        assert ax.get_title() == f"{(face >= 0).sum()} positive, {counts.min()} to {counts.max()} for a face"
        titles.append(ax.get_title())
    assert len(set(titles)) == 3
