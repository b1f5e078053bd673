"""Run the notebooks, two at a time, and check what is stored of them.

    python scripts/run_notebooks.py              run all; nothing is written
    python scripts/run_notebooks.py 03 07        those whose names begin so
    python scripts/run_notebooks.py --write      store the outputs of this run

A notebook passes if every cell runs, within the processor time its metadata allow (90 seconds by default),
and if the stored file is complete: outputs below every code cell, cells counted from 1, below 1.5 MB, and
nothing of the machine it ran on. Where a notebook has sliders, the picture that they show at first is stored
in their place, for readers without a kernel.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"

AT_A_TIME = 2
SECONDS = 90
"""Processor time that a notebook may take: other programs can double what a clock on the wall says. One that
trains says in its metadata: ``"minidet": {"seconds": 180}``."""

NEVER = 1800
"""Seconds on the wall after which a notebook is thought to hang."""

MOST_BYTES = 1_500_000

LARGE_PNG = 60_000
"""Characters from which on a picture is stored as JPEG."""

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

WIDGET = "application/vnd.jupyter.widget-view+json"

# A path says on whose machine the notebook ran.
PATH_OF_A_MACHINE = re.compile(r"(?<![\w.])/(?:home|root|tmp|usr|work|opt|var|Users|private)/\w|\b[A-Z]:\\\\")


class NotebookError(Exception):
    """What a notebook did wrong, in words."""


def main(arguments: list[str] | None = None) -> int:
    """Run and check; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0], epilog="The exit status is 1 if a notebook fails."
    )
    parser.add_argument("names", nargs="*", help="beginnings of names (default: all notebooks)")
    parser.add_argument("--write", action="store_true", help="store the outputs of this run")
    options = parser.parse_args(arguments)

    paths = chosen(options.names)
    if not paths:
        print(f"no notebook begins with {' or '.join(options.names)}", file=sys.stderr)
        return 1
    warm_up()
    failures = asyncio.run(run_all(paths, options.write))
    print(f"{len(paths) - failures} of {len(paths)} notebooks pass")
    return 1 if failures else 0


def chosen(names: list[str], folder: Path = FOLDER) -> list[Path]:
    """List the notebooks whose names begin with one of ``names``, or all."""
    return [
        path
        for path in sorted(folder.glob("*.ipynb"))
        if not names or any(path.stem.startswith(Path(name).stem) for name in names)
    ]


def warm_up() -> None:
    """Compile the kernels of both detectors and of their training, so that no notebook pays for it."""
    import numpy as np  # here, so that the checks below need nothing but the standard library

    import minidet
    from minidet.cli.files import bundled_portrait

    for backend in ("fast", "readable"):
        for detector in (
            minidet.MTCNN(200, backend=backend),
            minidet.RetinaFace(max_side=200, backend=backend),
        ):
            detector.trace(bundled_portrait().source)
    x = np.zeros((1, 3, 64, 64), np.float32)
    for model in (minidet.models.mtcnn.PNet(), minidet.models.retinaface.RetinaFaceNet()):
        network = minidet.fast.accelerate(model)
        answers = [answer for answer in network.train().forward(x) if answer is not None]
        network.backward(*(np.zeros_like(answer) for answer in answers))


async def run_all(paths: list[Path], write: bool) -> int:
    """Run notebooks side by side and print a line for each; return how many fail."""
    places = asyncio.Semaphore(AT_A_TIME)

    async def run_one(path: Path) -> bool:
        async with places:
            started = time.perf_counter()
            try:
                notebook, taken = await run_in_time(path)
                seconds = time.perf_counter() - started
                if write:
                    store(notebook, path)
                if wrong := problems(path):
                    raise NotebookError("stored file: " + "; ".join(wrong))
            except NotebookError as error:
                print(f"{path.stem:<32} {time.perf_counter() - started:6.1f} s  FAILS\n{error}", flush=True)
                return False
            size = path.stat().st_size / 1000
            print(f"{path.stem:<32} {seconds:6.1f} s  processor {taken:5.1f} s  {size:6.0f} kB", flush=True)
            return True

    return (await asyncio.gather(*map(run_one, paths))).count(False)


async def run_in_time(path: Path) -> tuple[Any, float]:
    """Run one notebook as :func:`run` does, unless it takes too much of the processor, or never ends."""
    metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    allowed = metadata.get("minidet", {}).get("seconds", SECONDS)
    try:
        notebook, taken = await asyncio.wait_for(run(path), NEVER)
    except TimeoutError:
        raise NotebookError(f"not done after {NEVER} s") from None
    if taken > allowed:
        raise NotebookError(f"took {taken:.0f} s of the processor; expected at most {allowed}")
    return notebook, taken


async def run(path: Path) -> tuple[Any, float]:
    """Run one notebook in a kernel of its own; return it with its outputs, and the processor time it took.

    Raises
    ------
    NotebookError
        With the number of the cell, its text and the error.
    """
    import nbformat
    import psutil
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    notebook = nbformat.read(path, as_version=4)
    current, taken = 0, 0.0

    class Client(NotebookClient):
        """Lets what a slider shows be an output of its cell, as where there are no sliders.

        The original answers the kernel in the middle of a cell, and now and then both wait for ever.
        """

        def on_comm_open_jupyter_widget(self, msg: Any) -> None:
            """Leave the output to the cell."""

    def note(cell: Any, cell_index: int) -> None:
        nonlocal current
        current = cell_index

    def measure(**_: Any) -> None:
        nonlocal taken
        process = client.km.provisioner.process
        taken = sum(psutil.Process(process.pid).cpu_times()[:2])  # of the user and of the system

    client = Client(
        notebook,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_start=note,
        on_cell_executed=measure,
    )
    try:
        await client.async_execute(env={**os.environ, "PYTHONHASHSEED": "0"})
    except (CellExecutionError, DeadKernelError) as error:
        source = "".join(f"    {line}\n" for line in notebook.cells[current].source.splitlines())
        reason = f"{error.ename}: {error.evalue}" if isinstance(error, CellExecutionError) else str(error)
        raise NotebookError(f"cell {current + 1}:\n{source}{reason}") from error
    widgets = client.widget_state
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [nbformat.from_dict(s) for output in cell.outputs for s in stills(output, widgets)]
    return notebook, taken


def stills(output: Any, widgets: dict[str, Any]) -> list[Any]:
    """Return what stands for an output in the file: itself, or for sliders their names and values."""
    if output.get("output_type") == "stream" and output.get("name") == "stderr":
        return []  # news of kernels being compiled; an error is no stream
    data = output.get("data", {})
    if WIDGET in data:
        parts = _parts(data[WIDGET]["model_id"], widgets)
        controls = [part for part in parts if part.get("description") and {"value", "index"} & part.keys()]
        names = ", ".join(f"{part['description']} = {_value(part)}" for part in controls)
        return [
            {"output_type": "stream", "name": "stdout", "text": f"[run the notebook to change {names}]\n"}
        ]
    if "image/jpeg" in data:  # a PIL image shows itself in two ways
        data.pop("image/png", None)
    elif len(data.get("image/png", "")) > LARGE_PNG:
        data["image/jpeg"] = as_jpeg(data.pop("image/png"))
    if any(kind.startswith("image/") for kind in data):
        data["text/plain"] = _without_addresses(data.get("text/plain", ""))
    return [output]


def as_jpeg(png: str) -> str:
    """Encode a picture anew, base64 to base64: a photograph as PNG takes five times the room."""
    from PIL import Image

    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=88, optimize=True)
    return base64.b64encode(jpeg.getvalue()).decode()


def _parts(model: str, widgets: dict[str, Any]) -> list[dict[str, Any]]:
    """List the state of a widget and of all widgets inside it."""
    state = widgets[model]
    children = [child.removeprefix("IPY_MODEL_") for child in state.get("children", [])]
    return [state, *(part for child in children for part in _parts(child, widgets))]


def _value(control: dict[str, Any]) -> Any:
    """Return what a control is set to. One that selects from a list keeps only the place in the list."""
    if "index" not in control:
        return control["value"]
    labels, index = control["_options_labels"], control["index"]
    if isinstance(index, int):
        return labels[index]
    return " to ".join(labels[place] for place in index or ()) or "nothing"


def _without_addresses(text: str) -> str:
    return re.sub(r" at 0x[0-9A-Fa-f]+", "", text)


def store(notebook: Any, path: Path) -> None:
    """Write a notebook with its outputs, and with nothing that differs between machines."""
    import nbformat

    own = {name: value for name, value in notebook.metadata.items() if name == "minidet"}
    notebook.metadata = nbformat.from_dict({**METADATA, **own})
    notebook.nbformat_minor = 5
    for number, cell in enumerate(notebook.cells, 1):
        cell.id = f"cell-{number:02}"
        cell.metadata = nbformat.from_dict({})
        for output in cell.get("outputs", []):
            if "metadata" in output:
                output.metadata = nbformat.from_dict({})
    nbformat.write(notebook, path)


def problems(path: Path) -> list[str]:
    """List what is wrong with a stored notebook; nothing is run.

    Examples
    --------
    >>> [problems(path) for path in chosen(["01"])]
    [[]]
    """
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    codes = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in codes for output in cell["outputs"]]
    found = []
    if path.stat().st_size > MOST_BYTES:
        found.append(f"{path.stat().st_size} bytes; expected at most {MOST_BYTES}")
    if [cell["execution_count"] for cell in codes] != list(range(1, len(codes) + 1)):
        found.append("cells are not counted 1, 2, 3, ...; store a whole run with --write")
    for number, cell in enumerate(notebook["cells"], 1):
        if cell["cell_type"] == "code" and not cell["outputs"]:
            found.append(f"cell {number} has no output")
    if any(output["output_type"] == "error" or output.get("name") == "stderr" for output in outputs):
        found.append("an output is an error or a warning")
    if any(WIDGET in output.get("data", {}) for output in outputs):
        found.append("sliders without the picture that stands for them; store a run with --write")
    if {name: notebook["metadata"].get(name) for name in METADATA} != METADATA or "widgets" in notebook[
        "metadata"
    ]:
        found.append("metadata of another program; store a run with --write")
    if machine := PATH_OF_A_MACHINE.search(json.dumps([_texts(output) for output in outputs])):
        found.append(f"a path of a machine: {machine.group()}...")
    return found


def _texts(output: dict[str, Any]) -> list[Any]:
    """Return what an output says in words: an encoded picture may look like anything."""
    data = output.get("data", {})
    return [output.get("text", ""), *(value for kind, value in data.items() if not kind.startswith("image/"))]


if __name__ == "__main__":
    sys.exit(main())
