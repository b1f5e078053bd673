"""Landmark samples: crops that hold the five points of a face."""

from __future__ import annotations

import numpy as np

from minidet._typing import IntArray
from minidet.boxes import iou
from minidet.datasets.sample import Sample
from minidet.training.objectives.mtcnn import SampleType
from minidet.training.sampling.classify import Windows, at_most
from minidet.training.sampling.cut import cut
from minidet.training.sampling.labels import encode_points
from minidet.training.sampling.samples import INPUT_SIDES, NetworkName, Samples
from minidet.training.sampling.settings import SampleSettings
from minidet.training.sampling.turn import cut_turned, inside_turned, turn
from minidet.training.sampling.windows import jitters, longer_sides


def landmark_samples(
    sample: Sample,
    network: NetworkName,
    settings: SampleSettings,
    rng: np.random.Generator,
    photograph: int,
    taught: IntArray,
    seen: Windows,
) -> Samples:
    """Cut the landmark samples of one photograph.

    Parameters
    ----------
    sample : Sample
    network : "pnet", "rnet" or "onet"
    settings : SampleSettings
    rng : numpy Generator
    photograph : int
        Its number in its data set.
    taught : (F,) integer array
        Faces around which squares may be drawn; those without landmarks and small ones are passed over.
    seen : Windows
        Windows that are there already. Positives of a face with landmarks are landmark samples too.

    Returns
    -------
    Samples
        First those that are shown as they are, then those that are turned.
    """
    H, W = sample.image.shape[:2]
    size = INPUT_SIDES[network]
    boxes = sample.boxes.astype(np.float64)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2  # (G, 2)
    pointed = sample.landmark_mask & (longer_sides(boxes) >= settings.min_landmark_face_size)  # (G,)

    # 1. Squares around the faces, every second turned about the centre of its face.
    faces = taught[pointed[taught]]
    places = jitters(rng, boxes[faces], settings.landmark_jitters_per_face)  # (M, 4)
    owners = np.repeat(faces, settings.landmark_jitters_per_face)  # (M,)
    degrees = settings.max_rotation * rng.uniform(-1, 1, len(places))  # (M,)
    degrees[::2] = 0

    # 2. Those that show enough of their face and nothing from beyond the edges of the photograph.
    overlaps = iou(places, boxes)[np.arange(len(places)), owners]  # (M,)
    useful = (overlaps > settings.positive) & inside_turned(places, centres[owners], degrees, W, H)

    # 3. Beside them the positives that are there already; of all of them those that hold all five points.
    known = seen.of_types(SampleType.POSITIVE)
    known = known.rows(pointed[known.owners])
    places = np.concatenate([places[useful], known.places])
    owners = np.concatenate([owners[useful], known.owners])
    degrees = np.concatenate([degrees[useful], np.zeros(len(known.places))])
    points = turn(sample.landmarks[owners], centres[owners], degrees)  # (M, 5, 2)
    deltas = encode_points(places, points)  # (M, 10)
    complete = np.flatnonzero(((deltas >= 0) & (deltas <= 1)).all(axis=1))
    chosen = at_most(settings.most_landmarks, complete, rng)

    # 4. Crops.
    plain, turned = chosen[degrees[chosen] == 0], chosen[degrees[chosen] != 0]
    crops, kept = cut(sample.image, places[plain], size)
    plain = plain[kept]
    turned_crops = np.empty((len(turned), size, size, 3), np.uint8)
    for crop, m in zip(turned_crops, turned, strict=True):
        crop[:] = cut_turned(sample.image, places[m], centres[owners[m]], degrees[m], size)
    rows = np.concatenate([plain, turned])
    return Samples.of_type(
        SampleType.LANDMARK,
        np.concatenate([crops, turned_crops]),
        places[rows],
        photograph,
        landmark_deltas=deltas[rows],
    )
