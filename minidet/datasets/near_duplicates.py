"""Which photographs of a data set show the same picture: copies to the byte, and nearly so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from minidet._typing import Float32Array
from minidet.datasets.dataset import Dataset
from minidet.datasets.sample import Annotation
from minidet.image.io import open_quietly, upright

LIKENESS = 0.8
"""From this correlation up two photographs show one picture; :func:`group_by_content` tells why."""

THUMBNAIL, CELLS = 32, 16
"""Pixels of a side: of the thumbnails that are kept, and of what is cut out of them and compared."""

SURROUNDINGS = 5
"""Cells of a side: a cell is compared with the mean of so many around it."""

ONE_AXIS = (0.0, 0.06, 0.12, 0.18, 0.24)
"""Shares of a side that one photograph may lack at one end or, up to a quarter together, at both."""
BOTH_AXES = (0.0, 0.08)
"""The same where width and height are cut."""

CROPS_UP_TO = 20_000
"""Photographs; in a larger set only whole ones are compared, since the time grows with the square."""

BLOCK = 2**24
"""Correlations computed at a time, for the sake of memory: 64 MB."""

Span: TypeAlias = tuple[float, float]
"""From where to where a window reaches along a side, as shares of it."""


def group_by_content(dataset: Dataset, *, progress: bool = True) -> NDArray[np.int64]:
    """Give every photograph the number of its group: one group per picture, however often it is there.

    In one group are photographs whose bytes are the same, and those of which one is the other resized,
    recompressed, with other colours, or cropped by up to a quarter. A group is closed: if A is like B and B
    like C, all three are in one.

    The measure: each photograph becomes a grey thumbnail of 16 x 16 cells. Each cell is compared with the
    mean of the 5 x 5 around it, since without that all portraits before a bright wall are alike. The
    correlation of two such thumbnails is 1 for the same picture, whatever its brightness and contrast. If one
    is a crop of the other, their cells do not lie over each other. Therefore the whole of each is also
    compared with crops of the other: up to a quarter off the width or off the height, or 8 % off several
    sides. The best of these correlations counts, and 0.8 is enough.

    Parameters
    ----------
    dataset : Dataset
        A photograph that cannot be read is a group of its own; :func:`check_dataset` names it. A drawn
        picture is not drawn for this: two of the same name with the same boxes are one.
    progress : bool
        Show progress bars on standard error if that is a terminal.

    Returns
    -------
    groups : (N,) int64 array
        Counted from 0, in the order of the first photograph of each.

    Notes
    -----
    The limit was found by looking at all pairs from 0.65 up, in 638 photographs of people with masks and 683
    of AFW and Helen. From 0.80 up every pair is one picture or one scene seconds later: 22 groups of 50
    photographs with masks, 6 pairs of Helen, none between the sets. From there down to 0.75 most are one
    person in one place another time; at 0.78 comes the first pair of two people. Three pairs that share less
    than three quarters of a crowd were missed, at 0.67 to 0.75.

    297 of these photographs, changed on purpose, were found again: at half the size, as JPEG of quality 20,
    with 1.5 times the brightness or 1.6 times the contrast, with red and blue exchanged, squashed by a
    quarter, without 20 % at one side or 10 % at one, two or four. Of those without 5 % at each side 98 % were
    found, without 15 % below and 8 % at the left a third. Nobody looks for mirrored copies: there were none.

    Time: 2 s for 638 photographs on two cores.

    Examples
    --------
    >>> from minidet.datasets import synthetic_dataset
    >>> pictures = synthetic_dataset(3).annotations
    >>> group_by_content(Dataset([*pictures, pictures[1]], "four, of which two are one"))
    array([0, 1, 2, 1])
    """
    keys = _keys(dataset.annotations, progress)
    number_of: dict[Key, int] = {}
    numbers = [number_of.setdefault(key, len(number_of)) for key in keys]  # the same bytes, the same number
    thumbnails = {number: key for key, number in number_of.items() if isinstance(key, bytes)}
    pixels = np.frombuffer(b"".join(thumbnails.values()), np.uint8).reshape(-1, THUMBNAIL, THUMBNAIL)
    pairs = np.array(list(thumbnails), np.int64)[_alike(pixels, progress)]  # (2, P)
    return _in_order(_joined(pairs, len(number_of))[numbers])


# ---- what is compared ----

Key: TypeAlias = bytes | tuple[object, ...]
"""Of a photograph: its thumbnail, or else something that only the very same one has."""


def _keys(annotations: Sequence[Annotation], progress: bool) -> list[Key]:
    from joblib import Parallel, delayed  # only here, because `import minidet` should not wait for it

    def key(number: int, annotation: Annotation) -> Key:
        if not annotation.on_disk:
            return annotation.name, annotation.boxes.tobytes()
        thumbnail = _thumbnail(annotation)
        with bar.get_lock():  # two threads at once would be counted as one
            bar.update()
        return (number,) if thumbnail is None else thumbnail.tobytes()

    files = sum(annotation.on_disk for annotation in annotations)
    with tqdm(desc="look", total=files, unit="photograph", disable=_hidden(progress and files > 0)) as bar:
        # Threads will do: Pillow decodes while other threads run.
        workers = Parallel(n_jobs=-1, backend="threading")
        keys: list[Key] = workers(delayed(key)(*each) for each in enumerate(annotations))
    return keys


def _thumbnail(annotation: Annotation) -> NDArray[np.uint8] | None:
    """Return the grey thumbnail of a photograph, upright; None if it cannot be read."""
    try:
        with open(annotation.path, "rb") as file, open_quietly(file) as picture:
            if picture.format in ("JPEG", "MPO"):
                picture.draft("L", (2 * THUMBNAIL, 2 * THUMBNAIL))  # decodes at an eighth of the size
                grey = upright(picture).convert("L")
            else:
                grey = Image.fromarray(annotation.read()).convert("L")
        return np.asarray(grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))
    except Exception:  # on a broken file Pillow raises whatever it runs into
        return None


def _windows(photographs: int) -> list[tuple[Span, Span]]:
    """List what is cut out of a photograph: from where to where down, and across."""
    whole = (0.0, 1.0)
    if photographs > CROPS_UP_TO:
        return [(whole, whole)]
    one = [(a, 1 - b) for a in ONE_AXIS for b in ONE_AXIS if a + b <= 0.25]
    both = [(a, 1 - b) for a in BOTH_AXES for b in BOTH_AXES]
    windows = [(down, whole) for down in one] + [(whole, across) for across in one]
    return list(dict.fromkeys(windows + [(down, across) for down in both for across in both]))


def _features(thumbnails: NDArray[np.uint8], window: tuple[Span, Span]) -> Float32Array:
    """Return what is compared: (N, 256), of length 1, with mean 0, so that a product is a correlation."""
    down, across = (_averaging(span) for span in window)
    cells = down @ thumbnails.astype(np.float32) @ across.T  # (N, 16, 16)
    cells -= _mean_around(cells)
    features = cells.reshape(len(cells), CELLS * CELLS)
    features = features - features.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(lengths, 1e-3)  # of one colour: like no other


def _averaging(span: Span) -> Float32Array:
    """Return the (16, 32) weights that average the pixels of a span into cells, in part covered ones too."""
    edges = THUMBNAIL * np.linspace(*span, CELLS + 1)
    left = np.arange(THUMBNAIL)
    shared = np.minimum(edges[1:, None], left + 1) - np.maximum(edges[:-1, None], left)
    weights = np.maximum(shared, 0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _mean_around(cells: Float32Array) -> Float32Array:
    from scipy.ndimage import uniform_filter  # here, as joblib above

    return uniform_filter(cells, (1, SURROUNDINGS, SURROUNDINGS), mode="nearest")


# ---- comparing ----


def _alike(thumbnails: NDArray[np.uint8], progress: bool) -> NDArray[np.int64]:
    """Find the pairs that show one picture, among them each photograph with itself; (2, P) indices."""
    pairs = [np.empty((2, 0), np.int64)]
    whole = _features(thumbnails, ((0.0, 1.0), (0.0, 1.0)))
    rows = max(1, BLOCK // max(1, len(thumbnails)))
    windows = tqdm(
        _windows(len(thumbnails)), desc="compare", unit="crop", disable=_hidden(progress and len(whole) > 0)
    )
    for window in windows:
        for start in range(0, len(thumbnails), rows):
            part = _features(thumbnails[start : start + rows], window)
            first, second = np.nonzero(part @ whole.T >= LIKENESS)
            pairs.append(np.stack([first + start, second]))
    return np.concatenate(pairs, axis=1)


def _joined(pairs: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Number the groups that pairs make of ``count`` things."""
    from scipy.sparse import coo_array  # here, as joblib above
    from scipy.sparse.csgraph import connected_components

    places = tuple(pairs.astype(np.int32))  # SciPy 1.11 takes no others
    links = coo_array((np.ones(pairs.shape[1], np.bool_), places), shape=(count, count))
    return connected_components(links, directed=False)[1].astype(np.int64)


def _in_order(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number groups anew, in the order of their first members."""
    _, first, numbers = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[numbers]


def _hidden(progress: bool) -> bool | None:
    return None if progress else True  # tqdm's disable=None hides a bar unless it would go to a terminal
