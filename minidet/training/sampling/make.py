"""All training crops of one photograph."""

from __future__ import annotations

import numpy as np

from minidet._check import check_finite, check_ndim, check_shape
from minidet._typing import FloatArray
from minidet.datasets.sample import Sample
from minidet.errors import InputError
from minidet.training.objectives.mtcnn import SampleType
from minidet.training.sampling.classify import Windows, at_most, classify
from minidet.training.sampling.cut import cut
from minidet.training.sampling.labels import encode_labels
from minidet.training.sampling.landmarks import landmark_samples
from minidet.training.sampling.samples import INPUT_SIDES, NetworkName, Samples
from minidet.training.sampling.settings import SampleSettings
from minidet.training.sampling.windows import (
    inside,
    jitters,
    longer_sides,
    random_squares,
    squares_near,
    windows_of_boxes,
)

TRIES = 3
"""Squares drawn for every negative wanted, since those that show too much of a face are dropped. Where even
three are too few, around a face that fills the photograph, there are fewer negatives."""


def make_samples(
    sample: Sample,
    network: NetworkName,
    settings: SampleSettings,
    rng: np.random.Generator,
    *,
    photograph: int = 0,
    proposals: FloatArray | None = None,
    negatives: bool = True,
) -> Samples:
    """Cut the training crops of one photograph, and label them.

    ==========  ==========================================  ================================
    sample      P-Net                                       R-Net, O-Net
    ==========  ==========================================  ================================
    negative    random squares, squares that touch a face   proposals
    positive    jittered squares around faces               proposals, and jittered squares
    part        the same squares, further off               the same
    landmark    jittered squares, every second turned       the same, and proposals
    ==========  ==========================================  ================================

    Squares that are drawn lie inside the photograph. Proposals may reach outside; the crop is then what the
    detector would show, and there is none of a proposal that holds no pixel.

    Parameters
    ----------
    sample : Sample
        A photograph with its faces.
    network : "pnet", "rnet" or "onet"
    settings : SampleSettings
    rng : numpy Generator
    photograph : int
        Its number in its data set; goes into ``Samples.photographs``.
    proposals : (P, 4) array, x1 y1 x2 y2
        For R-Net and O-Net: the squares that the networks before let through, in MTCNN's pixels, which count
        from 1, as in ``trace["merge"]["boxes"]`` and ``trace["refine"]["boxes"]``. None gives them the
        squares of P-Net instead: the wrong way, to compare with.
    negatives : bool
        Whether what is not annotated is background. False for photographs on which not every face is
        annotated: then no crop is called background.

    Returns
    -------
    Samples
        Negatives first, then positives, parts and landmark samples. A turned landmark sample has the window
        that was cut out of the turned photograph.

    Raises
    ------
    InputError
        If ``proposals`` are given for P-Net, or not (P, 4) finite numbers.

    Examples
    --------
    >>> photo = Sample(
    ...     image=np.zeros((100, 100, 3), np.uint8),
    ...     boxes=np.array([[30.0, 30.0, 70.0, 70.0]], np.float32),
    ...     landmarks=np.full((1, 5, 2), np.nan, np.float32),
    ...     landmark_mask=np.array([False]),
    ...     ignore=np.array([False]),
    ...     name="a.jpg",
    ... )
    >>> samples = make_samples(photo, "pnet", SampleSettings(), np.random.default_rng(0))
    >>> samples.crops.shape[1:], int((samples.sample_types == SampleType.NEGATIVE).sum())
    ((12, 12, 3), 55)
    """
    _check(network, proposals)
    H, W = sample.image.shape[:2]
    ignored = sample.ignore | (longer_sides(sample.boxes) < settings.min_face_size)
    taught = at_most(settings.most_faces, np.flatnonzero(~ignored), rng)
    faces = sample.boxes[taught]

    # 1. What there is to see: background for P-Net, for the others what the networks before let through.
    if proposals is None:
        near = squares_near(rng, faces, TRIES * settings.negatives_per_face)
        anywhere = random_squares(rng, W, H, TRIES * settings.negatives_per_photograph)
        near_faces = classify(near[inside(near, W, H)], sample.boxes, ignored, settings)
        everywhere = classify(anywhere, sample.boxes, ignored, settings)
        seen = Windows.join(
            near_faces.of_types(SampleType.NEGATIVE).at_most(settings.negatives_per_face * len(faces), rng),
            everywhere.of_types(SampleType.NEGATIVE).at_most(settings.negatives_per_photograph, rng),
        )
    else:
        seen = classify(windows_of_boxes(proposals), sample.boxes, ignored, settings)

    # 2. Squares close around the faces.
    per_face = settings.jitters_per_face if proposals is None else settings.jitters_beside_proposals
    around = jitters(rng, faces, per_face)
    close = classify(around[inside(around, W, H)], sample.boxes, ignored, settings)
    windows = Windows.join(seen, close.of_types(SampleType.POSITIVE, SampleType.PART))

    # 3. Not too many of each type; crops and labels.
    parts = []
    for sample_type, most in (
        (SampleType.NEGATIVE, settings.most_negatives if negatives else 0),
        (SampleType.POSITIVE, settings.most_positives),
        (SampleType.PART, settings.most_parts),
    ):
        chosen = windows.of_types(sample_type).at_most(most, rng)
        crops, kept = cut(sample.image, chosen.places, INPUT_SIDES[network])
        chosen = chosen.rows(kept)
        labels = None
        if sample_type != SampleType.NEGATIVE:
            labels = encode_labels(network, chosen.places, sample.boxes[chosen.owners])
        parts.append(Samples.of_type(sample_type, crops, chosen.places, photograph, box_deltas=labels))
    parts.append(landmark_samples(sample, network, settings, rng, photograph, taught, seen))
    return Samples.join(parts)


def _check(network: NetworkName, proposals: FloatArray | None) -> None:
    if network not in INPUT_SIDES:
        raise InputError(f"make_samples: network={network!r}; expected 'pnet', 'rnet' or 'onet'")
    if network == "pnet" and proposals is not None:
        raise InputError("make_samples: `proposals` are given for pnet, which is the first and has none")
    if proposals is not None:
        check_ndim("make_samples", "proposals", proposals, 2, "P, 4")
        check_shape("make_samples", "proposals", proposals, (len(proposals), 4), "x1 y1 x2 y2 of each")
        check_finite("make_samples", "proposals", proposals, "proposal")
