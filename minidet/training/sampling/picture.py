"""What training crops look like, labels included: the check that no number replaces."""

from __future__ import annotations

import numpy as np
from PIL import Image

from minidet.boxes.iou import iou
from minidet.training.objectives.mtcnn import SampleType
from minidet.training.sampling.classify import at_most
from minidet.training.sampling.labels import decode_labels, decode_points
from minidet.training.sampling.samples import INPUT_SIDES, NetworkName, Samples
from minidet.viz.samples import CropRow, samples_sheet

_TITLES = {
    SampleType.NEGATIVE: "negative",
    SampleType.POSITIVE: "positive, with the IoU of crop and face",
    SampleType.PART: "part, with the IoU of crop and face",
    SampleType.LANDMARK: "landmark",
}


def draw_samples(samples: Samples, *, columns: int = 10, cell: int = 96, seed: int = 0) -> Image.Image:
    """Draw some samples of each type with what their labels say.

    The labels are decoded with the detector's own functions. So what is seen is where the detector would put
    the face if the network answered exactly as it is taught to.

    Parameters
    ----------
    samples : Samples
        Of one network, which their side tells: 12, 24 or 48.
    columns : int
        Samples of each type, chosen at random.
    cell : int
        Pixels of the sheet that a crop is enlarged to.
    seed : int
        Decides which samples are chosen.

    Returns
    -------
    PIL image, RGB

    Raises
    ------
    InputError
        If ``cell`` is below 48.
    """
    side = samples.crops.shape[1]
    network = next(name for name, pixels in INPUT_SIDES.items() if pixels == side)
    rng = np.random.default_rng(seed)
    rows = []
    for sample_type, title in _TITLES.items():
        of_type = np.flatnonzero(samples.sample_types == sample_type)
        if len(of_type) > 0:
            shown = samples[at_most(columns, of_type, rng)]
            rows.append(_row(f"{title} ({len(of_type):,} samples)", network, sample_type, shown))
    return samples_sheet(rows, cell=cell)


def _row(title: str, network: NetworkName, sample_type: SampleType, shown: Samples) -> CropRow:
    M, side = shown.crops.shape[:2]
    crop = np.tile([0.0, 0.0, side, side], (M, 1))  # (M, 4), the window in pixels of the crop
    boxes, landmarks = np.full((M, 4), np.nan), np.full((M, 5, 2), np.nan)
    captions = [""] * M
    if sample_type in (SampleType.POSITIVE, SampleType.PART):
        boxes = decode_labels(network, crop, shown.box_deltas)
        captions = [f"{iou(crop[:1], box[None])[0, 0]:.2f}" for box in boxes]
    elif sample_type == SampleType.LANDMARK:
        landmarks = decode_points(crop, shown.landmark_deltas)
    return CropRow(title, shown.crops, boxes, landmarks, captions)
