"""What importing minidet does not do, and that all it offers is documented."""

import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import minidet

ROOT = Path(minidet.__file__).parent.parent
# Importing a `__main__` would run the command line.
MODULES = [
    "minidet",
    *(m.name for m in pkgutil.walk_packages(minidet.__path__, "minidet.") if not m.name.endswith("__main__")),
]


def run(code, *arguments):
    """What a fresh Python prints that runs ``code``; warnings are errors there too."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_import_loads_no_large_package_that_detecting_does_not_need():
    # Numba looks for the version of scipy when it is imported; minidet must not load more of it.
    loaded = run(
        "import sys, numba; before = set(sys.modules); import minidet; print(*set(sys.modules) - before)"
    )
    assert "minidet" in loaded
    assert "PIL" in loaded
    packages = {name.partition(".")[0] for name in loaded}
    assert not {"matplotlib", "scipy", "torch", "onnx", "joblib", "hypothesis", "pytest"} & packages


# Python tells an audit hook of everything that leaves the process or starts another, but not of threads.
QUIETLY = """
import sys, threading

def refuse(event, arguments):
    starts_another = event in {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn",
                               "os.spawn", "os.system", "os.exec", "thread"}
    if starts_another or event.startswith("socket."):
        raise AssertionError(f"{event} {arguments}")

sys.addaudithook(refuse)
threading.Thread.start = lambda thread: refuse("thread", thread)
import minidet
assert threading.active_count() == 1, threading.enumerate()
"""


def test_import_starts_no_thread_and_no_process_and_opens_no_socket():
    assert run(QUIETLY + "print('done')") == ["done"]


@pytest.mark.parametrize("model", ["mtcnn", "retinaface"])
def test_nor_does_detecting_with_one_thread(model):
    detecting = """
import numpy as np
minidet.set_num_threads(1)
image = np.zeros((64, 64, 3), np.uint8)
print(len(minidet.detect(image, model=sys.argv[1])))
assert threading.active_count() == 1, threading.enumerate()
"""
    assert run(QUIETLY + detecting, model) == ["0"]


@pytest.mark.parametrize(
    "action",
    [
        "import socket; socket.socket()",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.fork()",
        "threading.Thread(target=print).start()",
    ],
)
def test_the_watch_notices(action):
    with pytest.raises(AssertionError, match="in refuse"):
        run(QUIETLY + action)


def test_the_names_promised_are_there():
    promised = {
        "MTCNN",
        "Detections",
        "Face",
        "InputError",
        "RetinaFace",
        "Trace",
        "align",
        "boxes",
        "course",
        "crop",
        "datasets",
        "detect",
        "draw",
        "evaluation",
        "get_num_threads",
        "losses",
        "nn",
        "ops",
        "read_image",
        "set_num_threads",
        "training",
    }
    assert promised <= set(minidet.__all__)


@pytest.mark.parametrize("module", MODULES)
def test_every_name_of_all_is_there_and_listed_once(module):
    module = importlib.import_module(module)
    names = getattr(module, "__all__", [])
    assert [name for name in names if not hasattr(module, name)] == []
    assert len(set(names)) == len(names)


def public_things(module):
    """Yield by name the public functions and classes that a module defines, and their public methods."""
    for name, thing in vars(module).items():
        is_own = getattr(thing, "__module__", None) == module.__name__
        if name.startswith("_") or not is_own or not (inspect.isclass(thing) or inspect.isroutine(thing)):
            continue
        yield name, thing
        if inspect.isclass(thing):
            for member in vars(thing):
                attribute = inspect.getattr_static(thing, member)
                is_method = inspect.isroutine(attribute) or isinstance(attribute, property | classmethod)
                if is_method and not member.startswith("_"):
                    yield f"{name}.{member}", getattr(thing, member)


@pytest.mark.parametrize("module", MODULES)
def test_everything_public_is_documented(module):
    module = importlib.import_module(module)
    assert (module.__doc__ or "").strip(), f"{module.__name__} has no docstring"
    undocumented = [
        name
        for name, thing in public_things(module)
        # A dataclass without a docstring gets its own signature for one. A method may inherit its docstring.
        if not (inspect.getdoc(thing) or "").strip() or (thing.__doc__ or "").startswith(f"{name}(")
    ]
    assert undocumented == []


def test_the_walk_finds_what_it_should():
    found = dict(public_things(importlib.import_module("minidet.detections")))
    assert {"Face", "Detections", "Detections.clip", "Detections.empty"} <= set(found)
    assert "minidet.boxes.nms" in MODULES
