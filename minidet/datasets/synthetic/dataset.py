"""The synthetic data set: annotations that draw their own pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from minidet._check import check_whole
from minidet._typing import Float32Array, RGBImage
from minidet.datasets.dataset import Dataset
from minidet.datasets.sample import Annotation
from minidet.datasets.synthetic.head import VERTEX_COUNT, head_triangles
from minidet.datasets.synthetic.options import format_options, parse_options
from minidet.datasets.synthetic.picture import draw_picture
from minidet.datasets.synthetic.scene import Person, draw_scene
from minidet.datasets.synthetic.settings import SyntheticSettings

# Two streams of random numbers for each picture: what annotations tell, and what only pixels tell.
SCENE, PIXELS = 0, 1


class SyntheticAnnotation(Annotation):
    """A picture that is drawn when it is asked for, and the faces on it.

    Parameters
    ----------
    number : int
        Which picture of the set.
    seed : int
        Of the set.
    settings : SyntheticSettings
    """

    on_disk = False

    def __init__(self, number: int, seed: int, settings: SyntheticSettings) -> None:
        self.number, self.seed, self.settings = number, seed, settings
        people = self._people()
        name = f"synthetic/{number:06d}.png"
        super().__init__(
            name,
            name,
            np.array([person.box for person in people]),
            np.array([person.landmarks for person in people]),
            size=settings.size,
        )

    @property
    def vertices(self) -> Float32Array:
        """(G, V, 3): x, y of every mesh's points in the picture, and z away from the viewer; pixels.

        z is 0 at the height of the head's centre. Box and landmarks are taken from these points.
        """
        meshes = [person.vertices for person in self._people()]
        return np.array(meshes, np.float32).reshape(-1, VERTEX_COUNT, 3)

    def read(self) -> RGBImage:
        """Draw the picture."""
        rng = np.random.default_rng([self.seed, self.number, PIXELS])
        return draw_picture(self._people(), self.settings, rng)

    def usable(self) -> SyntheticAnnotation:
        """Return the same: every drawn face has an area."""
        return self

    def _people(self) -> list[Person]:
        return draw_scene(np.random.default_rng([self.seed, self.number, SCENE]), self.settings)


class SyntheticDataset(Dataset):
    """Drawn faces with exact boxes, landmarks and meshes; made by :func:`synthetic_dataset`.

    Parameters
    ----------
    annotations : sequence of SyntheticAnnotation
    source : str
        What :func:`minidet.datasets.open_dataset` makes the same set of.
    """

    annotations: list[SyntheticAnnotation]

    def __init__(self, annotations: Sequence[SyntheticAnnotation], source: str) -> None:
        super().__init__(annotations, source)

    @property
    def triangles(self) -> NDArray[np.int32]:
        """(T, 3): numbers of vertices, the same for every face."""
        return head_triangles()


def synthetic_dataset(
    count: int, *, seed: int = 0, settings: SyntheticSettings | None = None
) -> SyntheticDataset:
    """Make a data set of drawn faces. Nothing is downloaded, and nothing is written to disk.

    Parameters
    ----------
    count : int
        Pictures.
    seed : int
        From 0 up. Picture number i depends on the seed, on i and on the settings only, so a longer set begins
        with the shorter one.
    settings : SyntheticSettings, optional

    Returns
    -------
    dataset : SyntheticDataset
        Pictures are drawn when they are asked for.

    Raises
    ------
    InputError
        If count or seed is no whole number from 0 up.

    Examples
    --------
    >>> dataset = synthetic_dataset(3, seed=1)
    >>> len(dataset), dataset.annotations[0].name, dataset.triangles.shape
    (3, 'synthetic/000000.png', (720, 3))
    >>> for annotation in dataset.annotations:
    ...     print(annotation.boxes.shape, annotation.landmarks.shape, annotation.vertices.shape)
    (3, 4) (3, 5, 2) (3, 399, 3)
    (3, 4) (3, 5, 2) (3, 399, 3)
    (4, 4) (4, 5, 2) (4, 399, 3)
    """
    check_whole("synthetic_dataset", "count", count, least=0)
    check_whole("synthetic_dataset", "seed", seed, least=0)
    chosen = settings or SyntheticSettings()
    annotations = [SyntheticAnnotation(number, int(seed), chosen) for number in range(count)]
    return SyntheticDataset(annotations, "synthetic:" + format_options(count, seed, chosen))


def open_synthetic(options: str) -> SyntheticDataset:
    """Make the data set of a line such as "200,seed=7"; see :func:`parse_options`.

    Examples
    --------
    >>> open_synthetic("2,faces=1-1").annotations[1].boxes.shape
    (1, 4)
    """
    count, seed, settings = parse_options(options)
    return synthetic_dataset(count, seed=seed, settings=settings)
