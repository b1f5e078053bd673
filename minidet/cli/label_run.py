"""What ``minidet label`` does once its options are known."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import minidet
from minidet.cli.evaluate_run import make_detector, make_views
from minidet.cli.files import find_images, make_writable, open_photographs
from minidet.cli.terminal import show, show_error
from minidet.datasets import (
    Annotation,
    Dataset,
    write_coco,
    write_label_txt,
    write_points_json,
)
from minidet.errors import InputError
from minidet.evaluation import (
    Labelled,
    LabelSettings,
    describe_labels,
    describe_recipe,
    detection_recipe,
    label_photographs,
)

ENDINGS = {"coco": ".json", "points": ".json", "widerface": ".txt"}
FORMAT_OF = {".json": "coco", ".txt": "widerface"}


def run_label(options: argparse.Namespace) -> int:
    """Label and print; return the exit status."""
    file = Path(options.out)
    form = choose_format(options.format, file)
    if form == "points" and options.copy_images:
        raise InputError("--copy-images changes nothing with --format points, which keeps paths")
    settings = make_settings(options, form)
    dataset, failures = find_photographs(options)
    check_expressible(dataset, form)
    folder = None if form == "points" or options.copy_images else folder_of_names(dataset, file, form)
    check_target(options, dataset, file)
    views = make_views(options)
    # The teacher reports doubtful detections, too; what is below --min-face is sorted out later.
    teacher = argparse.Namespace(**{**vars(options), "min_score": settings.least_score})
    if options.model == "retinaface":
        teacher.min_face = None
    detector = make_detector(teacher, views)

    def report(annotation: Annotation, error: Exception) -> None:
        text = str(error)
        known = str(annotation.path) in text
        show_error(error if known else InputError(f"{annotation.path}: {text}"))

    labelled = label_photographs(
        dataset.annotations,
        detector,
        settings,
        views,
        jobs=options.jobs,
        on_error=report,
        progress=sys.stderr is not None and sys.stderr.isatty(),
    )
    if not labelled.annotations:
        raise InputError(f"none of the photographs of {dataset.source} could be read; nothing is written")
    recipe = {**detection_recipe(dataset, detector.recipe, views), "labels": asdict(settings)}
    write(labelled, file, form, folder, recipe, copy_images=options.copy_images)

    show(describe_labels(labelled.counts, settings))
    phrases = describe_recipe({name: recipe[name] for name in ("detector", "views")})
    show(f"teacher: {phrases['detector']}; {phrases['views']}")
    show(f"written to {file}; read it as {form}:{file}", file=sys.stderr)
    if labelled.unreadable:
        noun = "photograph" if labelled.unreadable == 1 else "photographs"
        show(f"minidet: left out {labelled.unreadable:,} {noun}; see above", file=sys.stderr)
    return 2 if labelled.unreadable or failures else 0


def choose_format(wanted: str | None, file: Path) -> str:
    """Return the format of ``file``, whose name has to end accordingly."""
    form = wanted or FORMAT_OF.get(file.suffix.lower())
    if form is None:
        raise InputError(f"--out {str(file)!r}; expected a name that ends in .json or .txt")
    if file.suffix.lower() != ENDINGS[form]:
        raise InputError(
            f"--out {str(file)!r} with --format {form}; expected a name that ends in {ENDINGS[form]}"
        )
    return form


def make_settings(options: argparse.Namespace, form: str) -> LabelSettings:
    """Read when the teacher is believed."""
    if options.data is None:
        for name, given in (
            ("only-annotated", options.only_annotated),
            ("boxes", options.boxes == "teacher"),
        ):
            if given:
                raise InputError(f"--{name} is for --data KIND:PATH; in DIR nothing is annotated")
    ignore_score = options.ignore_score
    if form == "widerface":  # which cannot say that a face is to be ignored
        ignore_score = None
    elif ignore_score is not None and ignore_score >= options.min_score:
        raise InputError(
            f"--ignore-score {ignore_score:g} with --min-score {options.min_score:g}; "
            "expected a lower one, or none"
        )
    return LabelSettings(
        min_score=options.min_score,
        ignore_score=ignore_score,
        min_face=options.min_face or 0.0,
        add_faces=not options.only_annotated,
        teacher_boxes=options.boxes == "teacher",
    )


def find_photographs(options: argparse.Namespace) -> tuple[Dataset, int]:
    """Return the photographs to label, and how many places could not be looked into."""
    if (options.folder is None) == (options.data is None):
        raise InputError("nothing to label, or two things; expected either DIR or --data KIND:PATH")
    if options.data is not None:
        dataset = open_photographs(options.data)
        if not all(annotation.on_disk for annotation in dataset.annotations):
            raise InputError(f"{dataset.source} is drawn, and knows all its faces; expected photographs")
        return dataset, 0
    if not os.path.isdir(options.folder):
        raise InputError(f"there is no folder {options.folder!r}; expected one with photographs")
    images = find_images([options.folder])
    problems = [image.problem for image in images if image.problem]
    paths = [Path(image.name) for image in images if not image.problem]
    if not paths:
        raise InputError(problems[0])
    for problem in problems:
        show_error(InputError(problem))
    annotations = [Annotation(path, path.relative_to(options.folder).as_posix(), []) for path in paths]
    return Dataset(annotations, options.folder), len(problems)


def check_expressible(dataset: Dataset, form: str) -> None:
    """Refuse, before a teacher takes its time, what the format cannot say."""
    if form == "widerface" and any(annotation.ignore.any() for annotation in dataset.annotations):
        raise InputError(
            f"{dataset.source} has faces to be ignored, which label.txt cannot say; expected --format coco "
            "or points, and a FILE that ends in .json"
        )


def check_target(options: argparse.Namespace, dataset: Dataset, file: Path) -> None:
    """Require that ``file`` can be written and is not what the annotations were read from."""
    source = None if options.data is None else Path(options.data.partition(":")[2]).expanduser()
    if source is not None and file.exists() and source.is_file() and file.samefile(source):
        raise InputError(f"--out {str(file)!r} is what {dataset.source} is read from; expected another file")
    if file.is_dir():
        raise InputError(f"--out {str(file)!r} is a folder; expected a file")
    make_writable(file.parent)


def folder_of_names(dataset: Dataset, file: Path, form: str) -> Path:
    """Return the folder below which the reader of this file will look for the photographs."""
    beside = Path(os.path.abspath(file)).parent
    folders = [beside / "images"] if form == "widerface" else [beside]
    if form == "coco" and beside.name.casefold() == "annotations":
        folders.append(beside.parent / "images")
    for folder in folders:
        if all(_absolute(annotation).is_relative_to(folder) for annotation in dataset.annotations):
            return folder
    outside = next(one for one in dataset.annotations if not _absolute(one).is_relative_to(folders[0]))
    raise InputError(
        f"a reader of {file} looks for photographs in {folders[0]}, and {outside.path} is not there; "
        "expected --copy-images, --format points, or a FILE in a folder above the photographs"
    )


def write(
    labelled: Labelled,
    file: Path,
    form: str,
    folder: Path | None,
    recipe: dict[str, Any],
    *,
    copy_images: bool,
) -> None:
    """Write the annotations in the format asked for."""
    annotations = labelled.annotations if folder is None else _renamed(labelled.annotations, folder)
    if form == "points":
        write_points_json(annotations, file)
    elif form == "widerface":
        write_label_txt(annotations, file, copy_images=copy_images)
    else:
        info = {
            "description": "faces found by a detector, beside those that were annotated before",
            "contributor": f"minidet {minidet.__version__}",
            "recipe": recipe,
            "counts": labelled.counts._asdict(),
        }
        write_coco(annotations, file, copy_images=copy_images, info=info)


def _renamed(annotations: Sequence[Annotation], folder: Path) -> list[Annotation]:
    """Call each photograph by its path below ``folder``."""
    return [
        Annotation(
            one.path,
            _absolute(one).relative_to(folder).as_posix(),
            one.boxes,
            one.landmarks,
            one.ignore,
            one.size,
        )
        for one in annotations
    ]


def _absolute(annotation: Annotation) -> Path:
    return Path(os.path.abspath(annotation.path))  # which removes ".."; links stay as they are
