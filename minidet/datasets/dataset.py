"""A set of annotated photographs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from typing import Self, overload

import numpy as np
from numpy.typing import ArrayLike

from minidet.datasets.sample import Annotation, Sample


class Dataset(Sequence[Sample]):
    """Annotated photographs, read from disk one by one as they are asked for.

    Parameters
    ----------
    annotations : sequence of Annotation
    source : str
        Where they come from, such as "voc:photos/"; recipes quote it.
    exhaustive : bool
        Whether every face of a photograph is annotated. Where it is not, what a detector finds besides is no
        mistake, and average precision has no meaning.

    Examples
    --------
    >>> annotations = [Annotation("a.jpg", "a.jpg", [[0, 0, 9, 9]]), Annotation("b.jpg", "b.jpg", [])]
    >>> dataset = Dataset(annotations, "two")
    >>> len(dataset), len(dataset[1:]), dataset.annotations[0].name
    (2, 1, 'a.jpg')
    """

    annotations: Sequence[Annotation]
    """In the order of the files; what they say as it stands, mistakes included."""

    def __init__(self, annotations: Sequence[Annotation], source: str, *, exhaustive: bool = True) -> None:
        self.annotations = list(annotations)
        self.source = source
        self.exhaustive = exhaustive

    def __len__(self) -> int:
        return len(self.annotations)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> Self: ...

    def __getitem__(self, index: int | slice) -> Sample | Self:
        """``dataset[0]`` is a Sample, ``dataset[::5]`` every fifth photograph as a data set of its kind.

        A sample has no boxes without an area: nothing can be learnt from them or measured against them.

        Raises
        ------
        InputError
            If the photograph cannot be read.
        """
        if isinstance(index, slice):
            bounds = [index.start, index.stop, *([] if index.step is None else [index.step])]
            part = ":".join("" if bound is None else str(bound) for bound in bounds)
            return self._with(self.annotations[index], f"{self.source}[{part}]")
        return load_sample(self.annotations[index])

    def part(self, chosen: ArrayLike, source: str) -> Self:
        """Return the chosen photographs as a data set.

        Parameters
        ----------
        chosen : (N,) array-like of bool
        source : str
            What the part is called.

        Examples
        --------
        >>> annotations = [Annotation("a.jpg", "a.jpg", []), Annotation("b.jpg", "b.jpg", [])]
        >>> [one.name for one in Dataset(annotations, "two").part([False, True], "the second").annotations]
        ['b.jpg']
        """
        kept = [self.annotations[index] for index in np.flatnonzero(chosen).tolist()]
        return self._with(kept, source)

    def _with(self, annotations: Sequence[Annotation], source: str) -> Self:
        """Return the same with other photographs."""
        other = copy(self)
        other.annotations, other.source = annotations, source
        return other

    def __iter__(self) -> Iterator[Sample]:
        return map(load_sample, self.annotations)


def load_sample(annotation: Annotation) -> Sample:
    """Read the photograph of an annotation, and leave out boxes without an area.

    Parameters
    ----------
    annotation : Annotation

    Returns
    -------
    Sample

    Raises
    ------
    InputError
        If the photograph cannot be read.
    """
    usable = annotation.usable()
    return Sample(
        image=annotation.read(),
        boxes=usable.boxes,
        landmarks=usable.landmarks,
        landmark_mask=usable.landmark_mask,
        ignore=usable.ignore,
        name=usable.name,
    )
