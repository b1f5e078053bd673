import pytest

from minidet.errors import InputError
from minidet.training.sampling.settings import SampleSettings


def test_the_defaults_are_those_of_the_paper():
    settings = SampleSettings()
    assert (settings.positive, settings.part, settings.negative) == (0.65, 0.4, 0.3)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("positive", 1.5, "0 to 1"),
        ("part", "0.4", "0 to 1"),
        ("negative", -0.1, "0 to 1"),
        ("negatives_per_photograph", -1, "whole number from 0 up"),
        ("negatives_per_face", 2.5, "whole number from 0 up"),
        ("jitters_per_face", None, "whole number from 0 up"),
        ("jitters_beside_proposals", -1, "whole number from 0 up"),
        ("landmark_jitters_per_face", -1, "whole number from 0 up"),
        ("most_faces", -1, "whole number from 0 up"),
        ("most_negatives", -1, "whole number from 0 up"),
        ("most_positives", -1, "whole number from 0 up"),
        ("most_parts", -1, "whole number from 0 up"),
        ("most_landmarks", 1e3, "whole number from 0 up"),
        ("min_face_size", 0.5, "at least 1 pixel"),
        ("min_landmark_face_size", float("nan"), "at least 1 pixel"),
        ("min_face_size", float("inf"), "at least 1 pixel"),
        ("max_rotation", -5, "0 to 180 degrees"),
        ("max_rotation", 181, "0 to 180 degrees"),
    ],
)
def test_refuses(name, value, expected):
    with pytest.raises(InputError, match=f"SampleSettings: {name}=.*; expected .*{expected}") as caught:
        SampleSettings(**{name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bounds", [{"part": 0.7}, {"negative": 0.45}, {"positive": 0.35}])
def test_refuses_bounds_that_are_not_in_order(bounds):
    with pytest.raises(InputError, match="expected this order"):
        SampleSettings(**bounds)


def test_equal_bounds_and_zeros_are_fine():
    SampleSettings(negative=0.5, part=0.5, positive=0.5, most_faces=0, jitters_per_face=0, max_rotation=0)
