"""Every public name says what it does, with parameters, shapes, errors and source.

What a machine cannot see, whether the words are true and plain, is for readers.
"""

import ast
import importlib
import inspect
import re
import runpy
import textwrap
from pathlib import Path

import pytest

EXT = Path(__file__).parent.parent / "docs" / "ext"
NAMES = runpy.run_path(str(EXT / "public_names.py"))

SECTION = re.compile(r"^([A-Z]\w+)\n(-{4,})$", re.MULTILINE)
SOURCE = re.compile(r"\b[A-Z]\w+ (et al\.|&) .*\d{4}|\b(19|20)\d\d\b|biubug6|facenet-pytorch|Caffe")


def undecorated(thing):
    """The function below class methods, properties and decorators."""
    thing = getattr(thing, "__func__", thing)
    return inspect.unwrap(getattr(thing, "fget", None) or getattr(thing, "func", None) or thing)


def entries():
    """Every public class, function, method and property: path, kind, what it is, and the classes above."""
    for package in NAMES["packages"]():
        for name in package.names:
            if inspect.isclass(name.value):
                yield name.path, "class", name.value, ()
                for member in NAMES["members"](name.value):
                    found = inspect.getattr_static(name.value, member)
                    is_property = isinstance(found, property) or hasattr(found, "func")
                    kind = "property" if is_property else "method"
                    above = [vars(base)[member] for base in name.value.__mro__ if member in vars(base)]
                    yield f"{name.path}.{member}", kind, undecorated(found), above[1:]
            elif inspect.isroutine(name.value):
                yield name.path, "function", undecorated(name.value), ()


ENTRIES = {path: (kind, thing, above) for path, kind, thing, above in entries()}
CONSTANTS = {
    name.path: name for package in NAMES["packages"]() for name in package.names if name.path not in ENTRIES
}


def of_kind(*kinds):
    """A test for each entry of these kinds."""
    return pytest.mark.parametrize("path", [path for path, (kind, *_) in ENTRIES.items() if kind in kinds])


def sections(docstring):
    """The parts of a docstring by heading; what stands before the first is the "Summary"."""
    parts = SECTION.split(docstring)
    return {"Summary": parts[0].strip()} | {
        heading: text for heading, text in zip(parts[1::3], parts[3::3], strict=True)
    }


def items(section):
    """(names, type, description) of what a section lists."""
    for item in re.split(r"\n(?=\S)", section.strip("\n")):
        head, _, description = item.partition("\n")
        names, colon, kind = head.partition(" : ")
        listed = [name.strip().lstrip("*") for name in names.split(",")] if colon or section else []
        yield listed, kind if colon else names, " ".join(description.split())


def listed(found, *headings):
    """All names in these sections."""
    return {
        name
        for heading in headings
        if heading in found
        for names, *_ in items(found[heading])
        for name in names
    }


def documented(path):
    """The sections of an entry's docstring; what it leaves out, as the methods say that it overrides."""
    _, thing, above = ENTRIES[path]
    found = {}
    for method in [*map(undecorated, reversed(above)), thing]:
        found |= sections(inspect.getdoc(method) if method.__doc__ else "")
    return found


def parameters(function):
    """Names of the arguments, ``self`` left out."""
    return {name for name in inspect.signature(function).parameters if name not in ("self", "cls")}


def returned(function):
    """What the annotation says comes back, as a text; empty for nothing."""
    annotation = str(inspect.get_annotations(function).get("return", "None"))
    return "" if annotation in ("None", "NoReturn", "Iterator[None]") else annotation


def raised(function):
    """The errors that a function raises itself: by ``raise``, or by calling a check."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    errors = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            errors.add(ast.unparse(error))
        if isinstance(node, ast.Call) and re.match(r"_?check(_|$)", ast.unparse(node.func)):
            errors.add("InputError")
    return errors


# ---- The rules -------------------------------------------------------------------------------------


def test_there_are_names_of_every_kind():
    kinds = [kind for kind, *_ in ENTRIES.values()]
    assert {kind: kinds.count(kind) > 20 for kind in kinds} == dict.fromkeys(
        ("class", "function", "method", "property"), True
    )
    assert {"minidet.MTCNN.detect_batch", "minidet.ops.conv2d_forward", "minidet.nn.Conv2d.forward"} <= set(
        ENTRIES
    )


@pytest.mark.parametrize("path", ENTRIES)
def test_it_begins_with_a_sentence(path):
    first = documented(path)["Summary"].partition("\n\n")[0]
    assert re.search(r"[.:)]$", first), f"{path}: {first!r}"


@pytest.mark.parametrize("path", CONSTANTS)
def test_constants_are_explained(path):
    assert NAMES["comment"](CONSTANTS[path])


@of_kind("function", "method")
def test_every_parameter_is_explained_and_no_other(path):
    assert listed(documented(path), "Parameters") == parameters(ENTRIES[path][1])


@of_kind("class")
def test_every_argument_or_field_of_a_class_is_explained(path):
    cls = ENTRIES[path][1]
    if (
        inspect.isabstract(cls)
        or getattr(cls, "_is_protocol", False)
        or issubclass(cls, Exception | dict | list)
    ):
        return  # made by nobody, or as its base is
    wanted = set(getattr(cls, "__dataclass_fields__", ())) or set(getattr(cls, "_fields", ()))
    if not wanted and "__init__" in vars(cls):
        wanted = parameters(cls.__init__)
    explained = listed(sections(inspect.getdoc(cls)), "Parameters", "Attributes")
    assert {name for name in wanted if not name.startswith("_")} <= explained


@of_kind("function")
def test_what_comes_back_is_explained(path):
    function = ENTRIES[path][1]
    found = sections(inspect.getdoc(function))
    assert ("Returns" in found or "Yields" in found) == bool(returned(function))


@of_kind("method")
def test_arrays_that_a_method_returns_are_explained(path):
    if re.search(r"Array|RGBImage", returned(ENTRIES[path][1])):
        assert "Returns" in documented(path)


@of_kind("property")
def test_arrays_of_a_property_have_a_shape(path):
    if re.search(r"Array|RGBImage", returned(ENTRIES[path][1])):
        assert re.search(r"\([\w ]+,.*\)", documented(path)["Summary"])


SHAPE = re.compile(r"\(\w[^()]*,[^()]*\)|shape|like ``|to array|path, bytes")


@pytest.mark.parametrize("path", ENTRIES)
def test_arrays_have_their_shape_in_parentheses(path):
    found = sections(inspect.getdoc(ENTRIES[path][1]) or "")
    for heading in ("Parameters", "Attributes", "Returns", "Yields"):
        for names, kind, description in items(found.get(heading, "")):
            if re.search(r"\barrays?\b", kind):
                assert SHAPE.search(kind), f"{path}: {', '.join(names)} : {kind}; {description}"


@of_kind("function", "method")
def test_errors_are_announced(path):
    announced = documented(path).get("Raises", "")
    for error in raised(ENTRIES[path][1]) - {"NotImplementedError", "AssertionError"}:
        assert error in announced


FROM_PAPERS = ("minidet.losses", "minidet.models", "minidet.detectors", "minidet.training.objectives")
FROM_PAPERS_TOO = {
    *(f"minidet.ops.{name}_{way}" for name in ("batch_norm2d", "prelu") for way in ("forward", "backward")),
    *(f"minidet.boxes.{name}" for name in ("generate_anchors", "match_anchors", "soft_nms", "box_voting")),
    *(f"minidet.boxes.{way}_{what}" for way in ("encode", "decode") for what in ("boxes", "landmarks")),
    *(f"minidet.training.optim.{name}" for name in ("SGD", "Adam", "AdamW")),
    *(f"minidet.nn.{name}" for name in ("xavier_uniform", "kaiming_normal")),
    *(f"minidet.evaluation.{name}" for name in ("average_precision", "widerface_ap")),
}


@pytest.mark.parametrize(
    "path",
    [
        path
        for path, (kind, *_) in ENTRIES.items()
        if path in FROM_PAPERS_TOO
        or (kind == "function" and path.startswith(FROM_PAPERS))
        or (kind == "class" and path.startswith("minidet.models"))
    ],
)
def test_what_comes_from_a_paper_names_it(path):
    thing = ENTRIES[path][1]
    module = importlib.import_module(thing.__module__)
    assert SOURCE.search(f"{inspect.getdoc(thing)}\n{module.__doc__}")


def test_the_list_of_what_comes_from_papers_is_right():
    assert set(ENTRIES) >= FROM_PAPERS_TOO


# ---- The rules can fail ----------------------------------------------------------------------------


def test_sections_and_their_items_are_found():
    listing = "a, b : (N, 2) array\n    Rows\n    of two.\nc : int\n"
    text = f"Do.\n\nParameters\n----------\n{listing}\nRaises\n------\nE"
    assert list(sections(text)) == ["Summary", "Parameters", "Raises"]
    assert list(items(sections(text)["Parameters"])) == [
        (["a", "b"], "(N, 2) array", "Rows of two."),
        (["c"], "int", ""),
    ]
    assert listed(sections(text), "Parameters") == {"a", "b", "c"}


def test_errors_in_the_body_are_seen():
    def function(x):
        check_ndim("f", "x", x, 4)  # noqa: F821
        if x:
            raise ValueError("x")

    assert raised(function) == {"InputError", "ValueError"}
