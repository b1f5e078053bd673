import numpy as np

from minidet.training.objectives import SampleType
from minidet.training.sampling import picture
from minidet.training.sampling.labels import encode_labels, encode_points
from minidet.training.sampling.picture import draw_samples
from minidet.training.sampling.samples import Samples
from tests.training.sampling.photos import POINTS


def some_samples(side=12):
    network = {12: "pnet", 24: "rnet"}[side]
    windows = np.array([[100.0, 50.0, 124.0, 74.0]] * 3)
    faces = windows + np.array([[6, 0, 0, 0], [0, 0, -6, 0], [0, 0, 12, 12]])
    crops = np.full((3, side, side, 3), 90, np.uint8)
    points = (windows[:, None, :2] + 24 * POINTS).astype(np.float32)
    return Samples.join(
        [
            Samples.of_type(SampleType.NEGATIVE, crops, windows, 0),
            Samples.of_type(
                SampleType.PART, crops, windows, 0, box_deltas=encode_labels(network, windows, faces)
            ),
            Samples.of_type(
                SampleType.LANDMARK, crops, windows, 0, landmark_deltas=encode_points(windows, points)
            ),
        ]
    )


def drawn_rows(monkeypatch, *arguments, **options):
    """What is handed to the sheet."""
    kept = []
    monkeypatch.setattr(picture, "samples_sheet", lambda rows, cell: kept.extend(rows))
    draw_samples(*arguments, **options)
    return kept


def test_labels_are_decoded_into_pixels_of_the_crop(monkeypatch):
    for side in (12, 24):
        negative, part, landmark = drawn_rows(monkeypatch, some_samples(side))
        faces = np.array([[0.25, 0, 1, 1], [0, 0, 0.75, 1], [0, 0, 1.5, 1.5]]) * side
        np.testing.assert_allclose(part.boxes, faces, atol=1e-3)
        assert part.captions == ["0.75", "0.75", "0.44"]
        np.testing.assert_allclose(landmark.landmarks, np.tile(POINTS, (3, 1, 1)) * side, atol=1e-3)
        assert np.isnan(negative.boxes).all()
        assert np.isnan(negative.landmarks).all()
        assert np.isnan(part.landmarks).all()
        assert np.isnan(landmark.boxes).all()


def test_a_type_without_samples_has_no_row(monkeypatch):
    titles = [row.title for row in drawn_rows(monkeypatch, some_samples())]
    assert [title.split(",")[0].split(" (")[0] for title in titles] == ["negative", "part", "landmark"]
    assert all(title.endswith("(3 samples)") for title in titles)
    assert drawn_rows(monkeypatch, Samples.empty(12)) == []


def test_at_most_as_many_as_columns_chosen_by_the_seed(monkeypatch):
    crops = np.arange(50, dtype=np.uint8)[:, None, None, None] * np.ones((1, 12, 12, 3), np.uint8)
    samples = Samples.of_type(SampleType.NEGATIVE, crops, np.zeros((50, 4)), 0)
    first, again, other = (
        drawn_rows(monkeypatch, samples, columns=5, seed=seed)[0].crops[:, 0, 0, 0].tolist()
        for seed in (0, 0, 1)
    )
    assert len(first) == 5
    assert first == again != other
    assert first == sorted(first)


def test_is_a_picture():
    assert draw_samples(some_samples()).mode == "RGB"
    assert draw_samples(Samples.empty(12)).mode == "RGB"
