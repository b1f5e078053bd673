"""Run a detector over a data set: several photographs at a time, resumable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tqdm import tqdm

from minidet.datasets import Annotation, Dataset, load_sample
from minidet.detections import Detections
from minidet.errors import InputError
from minidet.evaluation.journal import Journal
from minidet.evaluation.parallel import photograph_workers
from minidet.evaluation.views import FaceDetector, ViewSettings, detect_views


def predict(
    dataset: Dataset,
    detector: FaceDetector,
    views: ViewSettings | None = None,
    *,
    jobs: int | None = None,
    journal: Path | None = None,
    recipe: dict[str, Any] | None = None,
    progress: bool = True,
) -> list[Detections]:
    """Find the faces of every photograph of a data set.

    Parameters
    ----------
    dataset : Dataset
    detector : FaceDetector
        It serves several threads at once.
    views : ViewSettings, optional
        By default each photograph is looked at once, as it is.
    jobs : int, optional
        Photographs at a time; by default as many as the fast backend may use threads. Each then has one.
    journal : Path, optional
        A file that keeps every result as it comes. If it is there already, what it holds is not done again.
    recipe : dict, optional
        Plain values that identify what is run; a journal of another recipe is refused.
    progress : bool
        Show a progress bar on standard error.

    Returns
    -------
    list of Detections
        One per photograph, in the order of the data set.

    Raises
    ------
    InputError
        If a photograph cannot be read or brought to a size, two have one name, or the journal is of another
        recipe.
    """
    settings = views or ViewSettings()

    def find(annotation: Annotation) -> Detections:
        image = load_sample(annotation).image
        try:
            return detect_views(image, detector, settings)
        except InputError as error:
            raise InputError(f"{annotation.path}: {error}") from None

    _check_names(dataset)
    record = Journal(journal, recipe or {}) if journal else None
    done = dict(record.done) if record else {}
    missing = [annotation for annotation in dataset.annotations if annotation.name not in done]

    bar = tqdm(
        desc="evaluate",
        total=len(dataset),
        initial=len(dataset) - len(missing),
        unit="photo",
        disable=not progress,
    )
    with bar, photograph_workers(jobs) as parallel_map:
        for annotation, faces in zip(missing, parallel_map(find, missing), strict=True):
            done[annotation.name] = faces
            if record:
                record.add(annotation.name, faces)
            bar.update()
    return [done[annotation.name] for annotation in dataset.annotations]


def _check_names(dataset: Dataset) -> None:
    seen = set()
    for annotation in dataset.annotations:
        if annotation.name in seen:
            raise InputError(f"{dataset.source}: two photographs are called {annotation.name!r}")
        seen.add(annotation.name)
