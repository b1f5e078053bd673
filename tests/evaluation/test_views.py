"""Views of a photograph: whatever is done to it, the face has to come out where it is."""

import numpy as np
import pytest

from minidet.detections import Detections
from minidet.errors import InputError
from minidet.evaluation.resize_rule import NATIVE, ResizeRule
from minidet.evaluation.views import MERGES, ViewSettings, detect_views, merge_detections
from tests.evaluation.making import found

# A face of flat colours, which mix linearly when they are resized. Red is the box; green added makes the
# eyes, blue the corners of the mouth, both the nose. The left eye sits higher and the mouth is not in the
# middle, so that no mistake hides behind symmetry. Nor is the face in the middle of the photograph.
BOX = (24, 12, 72, 76)
BLOCKS = {  # centres of 8 x 8 pixels
    "left eye": (36, 26),
    "right eye": (60, 30),
    "nose": (46, 46),
    "left mouth corner": (34, 64),
    "right mouth corner": (58, 64),
}
COLOURS = {"eye": (255, 255, 0), "nose": (255, 255, 255), "corner": (255, 0, 255)}
LANDMARKS = np.array(list(BLOCKS.values()))


@pytest.fixture
def image():
    """The face on black, 140 x 100 pixels; read-only."""
    picture = np.zeros((100, 140, 3), np.uint8)
    x1, y1, x2, y2 = BOX
    picture[y1:y2, x1:x2] = (255, 0, 0)
    for name, (x, y) in BLOCKS.items():
        picture[y - 4 : y + 4, x - 4 : x + 4] = COLOURS[name.split()[-1]]
    picture.flags.writeable = False
    return picture


class FlatFaceDetector:
    """Find the face by its colours, turned and mirrored as it may be; name its points as seen in the image.

    "Left" is what is left once the face is held upright. That is how a detector sees a face that it is shown
    turned, and in a mirror image it calls the other eye the left one.
    """

    def __init__(self):
        self.shapes = []

    def detect(self, source):
        assert source.dtype == np.uint8
        assert source.flags.c_contiguous
        self.shapes.append(source.shape)
        red, green, blue = np.moveaxis(source / 255.0, 2, 0)
        eyes, corners = np.maximum(green - blue, 0), np.maximum(blue - green, 0)
        up = centre(eyes) - centre(corners)
        to_the_right = np.array([-up[1], up[0]])  # a quarter clockwise of up; y points down
        points = [
            *both_sides(eyes, to_the_right),
            centre(np.minimum(green, blue)),
            *both_sides(corners, to_the_right),
        ]
        return found((extent(red), 0.5), landmarks=[points])


def centre(weights):
    """The centre of gravity (x, y), in continuous coordinates."""
    rows, columns = np.indices(weights.shape) + 0.5
    return np.array([(weights * columns).sum(), (weights * rows).sum()]) / weights.sum()


def both_sides(weights, to_the_right):
    """The centres of what is on the left and of what is on the right of the middle."""
    rows, columns = np.indices(weights.shape) + 0.5
    x, y = centre(weights)
    side = (columns - x) * to_the_right[0] + (rows - y) * to_the_right[1]
    return centre(weights * (side < 0)), centre(weights * (side > 0))


def extent(weights):
    """The box of a bright rectangle, to a fraction of a pixel."""
    bounds = []
    for axis in (0, 1):
        profile = weights.max(axis=axis)
        middle = (profile * (np.arange(len(profile)) + 0.5)).sum() / profile.sum()
        bounds.append((middle - profile.sum() / 2, middle + profile.sum() / 2))
    (x1, x2), (y1, y2) = bounds
    return x1, y1, x2, y2


def every_candidate(image, detector, *, scales=("native",), flip=False, turns=(0,)):
    """The results of all views, one by one: no box overlaps another by more than 1."""
    rules = tuple(ResizeRule.parse(text) for text in scales)
    settings = ViewSettings(scales=rules, flip=flip, turns=turns, merge="nms", iou_threshold=1.0)
    return detect_views(image, detector, settings)


# ---- The face has to come out where it is ----------------------------------------------------------


def test_the_detector_of_this_test_sees_what_is_there(image):
    faces = FlatFaceDetector().detect(image)
    np.testing.assert_allclose(faces.boxes, [BOX], atol=1e-4)
    np.testing.assert_allclose(faces.landmarks, [LANDMARKS], atol=1e-4)


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
@pytest.mark.parametrize("flip", [False, True])
def test_turned_and_mirrored_exactly(image, flip, turn):
    faces = every_candidate(image, FlatFaceDetector(), flip=flip, turns=(turn,))
    assert len(faces) == 1 + flip
    np.testing.assert_allclose(faces.boxes, [BOX] * len(faces), atol=1e-4)
    np.testing.assert_allclose(faces.landmarks, [LANDMARKS] * len(faces), atol=1e-4)


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(
    "scale", ["short=50", "short=77", "short=200", "short=200:230", "long=99", "long=301", "90x90", "300x170"]
)
def test_at_other_sizes_within_half_a_pixel(image, scale, flip, turn):
    faces = every_candidate(image, FlatFaceDetector(), scales=(scale,), flip=flip, turns=(turn,))
    assert len(faces) == 1 + flip
    np.testing.assert_allclose(faces.boxes, [BOX] * len(faces), atol=0.5)
    np.testing.assert_allclose(faces.landmarks, [LANDMARKS] * len(faces), atol=0.5)


def test_all_at_once(image):
    detector = FlatFaceDetector()
    scales = ("native", "long=280", "120x130")
    faces = every_candidate(image, detector, scales=scales, flip=True, turns=(0, 1, 2, 3))
    assert len(faces) == len(detector.shapes) == 24
    np.testing.assert_allclose(faces.boxes, [BOX] * 24, atol=0.5)
    np.testing.assert_allclose(faces.landmarks, [LANDMARKS] * 24, atol=0.5)
    across, upright = (
        [(100, 140, 3), (200, 280, 3), (130, 120, 3)],
        [(140, 100, 3), (280, 200, 3), (130, 120, 3)],
    )
    expected = [shape for shape in (*across, *upright, *across, *upright) for _ in (False, True)]
    assert detector.shapes == expected


def test_clockwise_by_quarters(image):
    # A mark in the upper left corner: turned clockwise it is seen in the upper right one, and so on.
    marked = np.zeros((4, 6, 3), np.uint8)
    marked[0, 0] = 255
    seen = []

    class Looking:
        def detect(self, source):
            seen.append(tuple(np.argwhere(source[..., 0])[0].tolist()) + source.shape[:2])
            return found()

    every_candidate(marked, Looking(), turns=(0, 1, 2, 3))
    assert seen == [(0, 0, 4, 6), (0, 3, 6, 4), (3, 5, 4, 6), (5, 0, 6, 4)]


def test_mirrored_is_left_for_right(image):
    views = []

    class Keeping:
        def detect(self, source):
            views.append(source.copy())
            return found()

    every_candidate(image, Keeping(), flip=True)
    np.testing.assert_array_equal(views[0], image)
    np.testing.assert_array_equal(views[1], image[:, ::-1])


def test_of_a_single_view_nothing_is_lost(image):
    class Several:
        def detect(self, source):
            return Detections([BOX, BOX, [0, 0, 9, 9]], [0.9, 0.8, 0.1], np.arange(30).reshape(3, 5, 2))

    faces = detect_views(image, Several(), ViewSettings())
    direct = Several().detect(image)
    np.testing.assert_array_equal(faces.boxes, direct.boxes)
    np.testing.assert_array_equal(faces.scores, direct.scores)
    np.testing.assert_array_equal(faces.landmarks, direct.landmarks)


def test_a_single_view_may_be_of_another_size_or_turned(image):
    for settings in (
        ViewSettings(scales=(ResizeRule.parse("long=280"),)),
        ViewSettings(turns=(3,)),
    ):
        faces = detect_views(image, FlatFaceDetector(), settings)
        np.testing.assert_allclose(faces.boxes, [BOX], atol=0.5)
        np.testing.assert_allclose(faces.landmarks, [LANDMARKS], atol=0.5)


@pytest.mark.parametrize("merge", MERGES[1:])
@pytest.mark.parametrize("shape", [(1, 1), (5, 1), (1, 5)])
def test_no_face_in_any_view(merge, shape):
    class Nobody:
        def detect(self, source):
            return Detections.empty()

    scales = (NATIVE, ResizeRule.parse("long=3"), ResizeRule.parse("2x2"))
    settings = ViewSettings(scales=scales, flip=True, turns=(0, 1, 2, 3), merge=merge)
    faces = detect_views(np.zeros((*shape, 3), np.uint8), Nobody(), settings)
    assert (faces.boxes.shape, faces.scores.shape, faces.landmarks.shape) == ((0, 4), (0,), (0, 5, 2))
    assert faces.boxes.dtype == faces.scores.dtype == faces.landmarks.dtype == np.float32


# ---- One box per face ------------------------------------------------------------------------------

# Two boxes that share 8 of 12 columns (IoU 2/3), and one alone, which soft-NMS lets overtake the second.
LEFT, RIGHT, ALONE = [0, 0, 10, 10], [2, 0, 12, 10], [50, 0, 60, 10]
CANDIDATES = found(
    (LEFT, 0.75), (RIGHT, 0.5), (ALONE, 0.25), landmarks=np.arange(3.0)[:, None, None] * np.ones((3, 5, 2))
)


def merged(merge, candidates=CANDIDATES, **settings):
    return merge_detections(candidates, ViewSettings(merge=merge, **settings))


def test_merge_none():
    assert merged("none") is CANDIDATES


def test_merge_nms():
    faces = merged("nms")
    np.testing.assert_array_equal(faces.boxes, [LEFT, ALONE])
    np.testing.assert_array_equal(faces.scores, [0.75, 0.25])
    np.testing.assert_array_equal(faces.landmarks[:, 0, 0], [0, 2])
    assert len(merged("nms", iou_threshold=0.7)) == 3


def test_merge_vote():
    # Weights 3/5 and 2/5: every coordinate is two fifths of the way to the other. The lonely box is the last
    # that is left, so it stays.
    faces = merged("vote")
    np.testing.assert_allclose(faces.boxes, [[0.8, 0, 10.8, 10], ALONE], atol=1e-6)
    np.testing.assert_array_equal(faces.scores, [0.75, 0.25])
    np.testing.assert_allclose(faces.landmarks[:, 0, 0], [0.4, 2], atol=1e-6)
    # At an IoU that no two have, nobody confirms any; again the last one stays.
    np.testing.assert_array_equal(merged("vote", iou_threshold=0.7).boxes, [ALONE])


def test_merge_soft_linear():
    faces = merged("soft-linear")
    np.testing.assert_array_equal(faces.boxes, [LEFT, ALONE, RIGHT])
    np.testing.assert_allclose(faces.scores, [0.75, 0.25, 0.5 / 3], rtol=1e-6)
    np.testing.assert_array_equal(faces.landmarks[:, 0, 0], [0, 2, 1])
    # Below its threshold an overlap costs nothing.
    np.testing.assert_array_equal(merged("soft-linear", iou_threshold=0.7).scores, [0.75, 0.5, 0.25])


@pytest.mark.parametrize("iou_threshold", [0.1, 0.9])
def test_merge_soft_gaussian(iou_threshold):
    faces = merged("soft-gaussian", iou_threshold=iou_threshold)  # which it has no use for
    np.testing.assert_array_equal(faces.boxes, [LEFT, ALONE, RIGHT])
    lowered = 0.5 * np.exp(-((2 / 3) ** 2) / 0.5)
    np.testing.assert_allclose(faces.scores, [0.75, 0.25, lowered], rtol=1e-6)
    np.testing.assert_array_equal(faces.landmarks[:, 0, 0], [0, 2, 1])


@pytest.mark.parametrize("merge", MERGES[1:])
def test_views_of_one_face_become_one(image, merge):
    scales = (NATIVE, ResizeRule.parse("long=280"))
    settings = ViewSettings(scales=scales, flip=True, turns=(0, 2), merge=merge)
    faces = detect_views(image, FlatFaceDetector(), settings)
    confident = faces[faces.scores == 0.5]  # soft-NMS keeps the others with less
    assert len(confident) == 1
    assert (np.sort(faces.scores)[:-1] < 0.1).all()
    np.testing.assert_allclose(confident.boxes, [BOX], atol=0.5)
    np.testing.assert_allclose(confident.landmarks, [LANDMARKS], atol=0.5)


# ---- Settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "views"),
    [
        ({}, 1),
        ({"flip": True}, 2),
        ({"turns": (0, 3)}, 2),
        ({"scales": (NATIVE, ResizeRule("long", 9), ResizeRule("long", 10))}, 3),
        ({"scales": (NATIVE, ResizeRule("long", 9)), "flip": True, "turns": (0, 1, 2, 3)}, 16),
    ],
)
def test_number_of_views(settings, views):
    assert ViewSettings(**settings, merge="vote").views == views
    if views > 1:
        with pytest.raises(InputError, match=rf"^merge='none' with {views} views; expected one of nms, soft"):
            ViewSettings(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scales": ()}, r"^scales=''; expected one or more, all different"),
        ({"scales": (ResizeRule("long", 9),) * 2}, r"^scales='long=9, long=9'; expected one or more, all"),
        ({"turns": ()}, r"^turns=\(\); expected one or more of 0, 1, 2, 3, all different"),
        ({"turns": (0, 4)}, r"^turns=\(0, 4\); expected"),
        ({"turns": (-1,)}, r"^turns=\(-1,\); expected"),
        ({"turns": (1, 1)}, r"^turns=\(1, 1\); expected"),
        ({"turns": (0.5,)}, r"^turns=\(0.5,\); expected"),
        ({"merge": "mean"}, r"^merge='mean'; expected one of none, nms, soft-linear, soft-gaussian, vote"),
        ({"merge": "nms", "iou_threshold": 1.5}, r"^iou_threshold=1.5; expected 0 to 1"),
        ({"merge": "nms", "iou_threshold": -0.1}, r"^iou_threshold=-0.1; expected 0 to 1"),
        ({"merge": "nms", "iou_threshold": np.nan}, r"^iou_threshold=nan; expected 0 to 1"),
        ({"merge": "nms", "iou_threshold": "0.4"}, r"^iou_threshold='0.4'; expected 0 to 1"),
    ],
)
def test_settings_refuse(settings, message):
    with pytest.raises(InputError, match=message):
        ViewSettings(**settings)
