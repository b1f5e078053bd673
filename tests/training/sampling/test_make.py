import math
from dataclasses import fields, replace

import numpy as np
import pytest

from minidet.errors import InputError
from minidet.image import crop_squares
from minidet.training.objectives import SampleType
from minidet.training.sampling.classify import at_most
from minidet.training.sampling.labels import decode_labels, decode_points
from minidet.training.sampling.make import TRIES, make_samples
from minidet.training.sampling.samples import INPUT_SIDES, Samples
from minidet.training.sampling.settings import SampleSettings
from minidet.training.sampling.windows import boxes_of_windows, jitters, random_squares, squares_near
from tests.training.sampling.photos import photo, slow_iou

NEGATIVE, POSITIVE, PART, LANDMARK = SampleType
STEP = 2.0**-16
FEW = SampleSettings(
    negatives_per_photograph=20,
    jitters_per_face=15,
    landmark_jitters_per_face=12,
    most_faces=4,
    most_negatives=25,
    most_positives=7,
    most_parts=9,
    most_landmarks=8,
    min_landmark_face_size=25,
)


def random_photo(seed):
    rng = np.random.default_rng(seed)
    height, width = (int(v) for v in rng.integers(60, 200, 2))
    G = int(rng.integers(0, 8))
    corners = rng.uniform(-10, [width - 20, height - 20], (G, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(12, 80, (G, 2))], axis=1)
    sample = photo(height, width, boxes, ignore=rng.random(G) < 0.3, pointed=rng.random(G) < 0.7, seed=seed)
    astray = rng.normal(0, 4, (G, 5, 2)).astype(np.float32)  # some points lie outside their box
    return replace(sample, landmarks=sample.landmarks + astray)


def random_proposals(sample, seed, count=60):
    """Squares counted from 1, with fractions: some near faces, some anywhere, some far outside."""
    rng = np.random.default_rng([seed, 1])
    H, W = sample.image.shape[:2]
    corners, sides = rng.uniform(-30, [W, H], (count, 2)), rng.uniform(5, 100, (count, 1))
    boxes = np.concatenate([corners, corners + sides], axis=1)
    near = jitters(rng, sample.boxes, 20) + rng.uniform(-0.5, 0.5, (20 * len(sample.boxes), 1))
    return np.concatenate([boxes, near, [[-500, -500, -400, -400]]]).astype(np.float32)


def slow_kind(window, sample, settings):
    """What a window is, and whose: -1 for nothing."""
    small = [max(b[2] - b[0], b[3] - b[1]) < settings.min_face_size for b in sample.boxes]
    ignored = [bool(i) or bool(s) for i, s in zip(sample.ignore, small, strict=True)]
    overlaps = [slow_iou(window, box) for box in sample.boxes]
    best = max(overlaps, default=0.0)
    owner = overlaps.index(best) if overlaps else -1
    if best < settings.negative:
        for box, skip in zip(sample.boxes, ignored, strict=True):
            wide = max(0.0, min(window[2], box[2]) - max(window[0], box[0]))
            high = max(0.0, min(window[3], box[3]) - max(window[1], box[1]))
            if skip and wide * high > (window[2] - window[0]) * (window[3] - window[1]) / 2:
                return -1, owner
        return NEGATIVE, owner
    if ignored[owner]:
        return -1, owner
    return (POSITIVE if best > settings.positive else PART if best >= settings.part else -1), owner


def slow_samples(sample, network, settings, rng, proposals, negatives):
    """Lists of (type, window, owner, degrees) in order: plain loops around the draws of ``windows.py``."""
    H, W = sample.image.shape[:2]
    taught = []
    for g, box in enumerate(sample.boxes):
        if not sample.ignore[g] and max(box[2] - box[0], box[3] - box[1]) >= settings.min_face_size:
            taught.append(g)
    taught = [int(g) for g in at_most(settings.most_faces, np.array(taught, int), rng)]

    def fits(window):
        return window[0] >= 0 and window[1] >= 0 and window[2] <= W and window[3] <= H

    def judged(windows, types):
        kinds = [(window, *slow_kind(window, sample, settings)) for window in windows]
        return [(kind, window, owner, 0.0) for window, kind, owner in kinds if kind in types]

    def some(found, count):
        return [found[i] for i in at_most(count, np.arange(len(found)), rng)]

    faces = sample.boxes[taught]
    if network == "pnet":
        near = squares_near(rng, faces, TRIES * settings.negatives_per_face)
        anywhere = random_squares(rng, W, H, TRIES * settings.negatives_per_photograph)
        seen = some(judged(filter(fits, near), [NEGATIVE]), settings.negatives_per_face * len(taught))
        seen += some(judged(anywhere, [NEGATIVE]), settings.negatives_per_photograph)
        per_face = settings.jitters_per_face
    else:
        windows = [(b[0] - 1.0, b[1] - 1.0, float(b[2]), float(b[3])) for b in proposals.astype(float)]
        seen = judged(windows, [NEGATIVE, POSITIVE, PART])
        per_face = settings.jitters_beside_proposals
    found = seen + judged(filter(fits, jitters(rng, faces, per_face)), [POSITIVE, PART])
    result = []
    for kind, most in (
        (NEGATIVE, settings.most_negatives if negatives else 0),
        (POSITIVE, settings.most_positives),
        (PART, settings.most_parts),
    ):
        result += some([f for f in found if f[0] == kind], most)

    large = [g for g in range(len(sample.boxes)) if sample.landmark_mask[g]]
    large = [
        g
        for g in large
        if np.ptp(sample.boxes[g].reshape(2, 2), axis=0).max() >= settings.min_landmark_face_size
    ]
    pointed = [g for g in taught if g in large]
    windows = jitters(rng, sample.boxes[pointed], settings.landmark_jitters_per_face)
    angles = rng.uniform(-1, 1, len(windows)) * settings.max_rotation
    candidates = []
    for k, window in enumerate(windows):
        g = pointed[k // settings.landmark_jitters_per_face]
        degrees = angles[k] if k % 2 else 0.0
        corners = [
            turned(p, sample.boxes[g], -degrees)
            for p in ((window[i], window[j]) for i in (0, 2) for j in (1, 3))
        ]
        if all(-1e-6 <= x <= W + 1e-6 and -1e-6 <= y <= H + 1e-6 for x, y in corners):
            candidates.append((LANDMARK, window, g, degrees))
    candidates = [c for c in candidates if slow_iou(c[1], sample.boxes[c[2]]) > settings.positive]
    candidates += [(LANDMARK, w, g, 0.0) for kind, w, g, _ in seen if kind == POSITIVE and g in large]
    held = [c for c in candidates if all(0 <= v <= 1 for v in slow_points(c, sample))]
    held = some(held, settings.most_landmarks)
    return result + [c for c in held if c[3] == 0] + [c for c in held if c[3] != 0]


def turned(point, box, degrees):
    c = complex(float(box[0]) + float(box[2]), float(box[1]) + float(box[3])) / 2
    z = (complex(*(float(v) for v in point)) - c) * complex(
        math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    ) + c
    return z.real, z.imag


def slow_points(candidate, sample):
    _, window, g, degrees = candidate
    points = [turned(p, sample.boxes[g], degrees) for p in sample.landmarks[g]]
    side = window[2] - window[0]
    xs, ys = [(x - window[0]) / side for x, _ in points], [(y - window[1]) / side for _, y in points]
    return [round(v / STEP) * STEP for v in xs + ys]


def slow_box(candidate, sample, network):
    _, window, g, _ = candidate
    side = window[2] - window[0]
    u = [(float(sample.boxes[g][i]) - window[i]) / side for i in range(4)]
    if network == "pnet":
        u = [(12 * u[0] - 1) / 11, (12 * u[1] - 1) / 11, 12 * u[2] / 11, 12 * u[3] / 11]
    return [round(v / STEP) * STEP for v in u]


@pytest.mark.parametrize("network", INPUT_SIDES)
@pytest.mark.parametrize("negatives", [True, False])
def test_equals_plain_loops(network, negatives):
    total = np.zeros(4, int)
    for seed in range(40):
        sample = random_photo(seed)
        proposals = None if network == "pnet" else random_proposals(sample, seed)
        made = make_samples(
            sample,
            network,
            FEW,
            np.random.default_rng(seed),
            photograph=seed,
            proposals=proposals,
            negatives=negatives,
        )
        expected = slow_samples(sample, network, FEW, np.random.default_rng(seed), proposals, negatives)
        shown = [c for c in expected if crop_squares(sample.image, as_boxes(c[1]), 12)[1].size or c[3] != 0]
        assert made.sample_types.tolist() == [c[0] for c in shown]
        np.testing.assert_array_equal(
            made.windows, np.array([c[1] for c in shown], np.float32).reshape(-1, 4)
        )
        for m, candidate in enumerate(shown):
            box = slow_box(candidate, sample, network) if candidate[0] in (POSITIVE, PART) else [0] * 4
            points = slow_points(candidate, sample) if candidate[0] == LANDMARK else [0] * 10
            # A proposal's side has rounding in it, so a label on the edge of a step may fall to either side.
            np.testing.assert_allclose(made.box_deltas[m], box, rtol=0, atol=STEP * 1.001)
            np.testing.assert_allclose(made.landmark_deltas[m], points, rtol=0, atol=STEP * 1.001)
            if candidate[3] == 0:
                crop = crop_squares(sample.image, as_boxes(candidate[1]), INPUT_SIDES[network])[0][0]
                assert np.abs(made.crops[m] - crop).max() <= 0.5
        assert (made.photographs == seed).all()
        total += np.bincount(made.sample_types, minlength=4)
    assert (total[1:] > 10).all()
    assert (total[0] > 100) == negatives


def as_boxes(window):
    return boxes_of_windows(np.array([window]))


@pytest.mark.parametrize("network", INPUT_SIDES)
def test_labels_decode_to_the_truth(network):
    sample = photo(boxes=[[40, 30, 90.5, 95.25]], pointed=[True])
    proposals = None if network == "pnet" else random_proposals(sample, 3)
    settings = SampleSettings(max_rotation=0)
    made = make_samples(sample, network, settings, np.random.default_rng(0), proposals=proposals)
    sides = (made.windows[:, 2] - made.windows[:, 0]).astype(np.float64)
    boxed = np.isin(made.sample_types, [POSITIVE, PART])
    error = np.abs(decode_labels(network, made.windows, made.box_deltas) - sample.boxes[0])[boxed]
    assert (error <= STEP * sides[boxed, None] + 1e-4).all()
    pointed = made.sample_types == LANDMARK
    error = np.abs(decode_points(made.windows, made.landmark_deltas) - sample.landmarks[0])[pointed]
    assert (error <= STEP * sides[pointed, None, None] + 1e-4).all()
    assert boxed.sum() > 10
    assert pointed.sum() > 3


def test_equal_generators_equal_samples():
    sample = random_photo(5)
    a, b, c = (make_samples(sample, "pnet", FEW, np.random.default_rng(seed)) for seed in (1, 1, 2))
    for field in fields(Samples):
        np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name))
    assert a.windows.shape != c.windows.shape or (a.windows != c.windows).any()


def test_types_are_as_they_should_be():
    made = make_samples(photo(boxes=[[40, 30, 90, 90]]), "pnet", SampleSettings(), np.random.default_rng(0))
    assert made.crops.dtype == made.sample_types.dtype == np.uint8
    assert made.box_deltas.dtype == made.landmark_deltas.dtype == made.windows.dtype == np.float32
    assert made.photographs.dtype == np.int32
    assert made.crops.shape == (len(made), 12, 12, 3)
    assert made.landmark_deltas.shape == (len(made), 10)


def test_nothing_is_learnt_of_ignored_faces_and_they_are_no_background():
    boxes = [[20, 20, 60, 60], [90, 30, 140, 90]]
    for ignore in ([True, True], [True, False]):
        sample = photo(boxes=boxes, ignore=ignore, pointed=[True, True])
        for seed in range(5):
            made = make_samples(sample, "pnet", SampleSettings(), np.random.default_rng(seed))
            taught = made[made.sample_types != NEGATIVE]
            assert (len(taught) > 0) == (not all(ignore))
            for window in taught.windows:
                assert slow_iou(window, boxes[1]) > slow_iou(window, boxes[0])
            for window in made[made.sample_types == NEGATIVE].windows:
                assert max(slow_iou(window, box) for box in boxes) < 0.3


def test_small_faces_are_no_background_either():
    sample = photo(boxes=[[20, 20, 39, 39]], pointed=[True])
    settings = SampleSettings(min_landmark_face_size=1, negatives_per_photograph=500, most_negatives=1000)
    made = make_samples(sample, "pnet", settings, np.random.default_rng(0))
    assert set(made.sample_types) == {NEGATIVE}
    assert max(slow_iou(window, sample.boxes[0]) for window in made.windows) < 0.3
    at_the_limit = replace(sample, boxes=np.array([[20, 20, 40, 30]], np.float32))  # 20: the longer side
    assert PART in make_samples(at_the_limit, "pnet", settings, np.random.default_rng(0)).sample_types


def test_points_of_faces_below_the_size_for_landmarks_are_not_learnt():
    settings = SampleSettings(min_landmark_face_size=40)
    for side, expected in ((39, False), (40, True)):
        sample = photo(boxes=[[40, 30, 40 + side, 30 + side]], pointed=[True])
        proposals = np.repeat(boxes_of_windows(sample.boxes), 3, axis=0)
        for network in INPUT_SIDES:
            given = None if network == "pnet" else proposals
            made = make_samples(sample, network, settings, np.random.default_rng(0), proposals=given)
            assert (LANDMARK in made.sample_types) == expected
            assert POSITIVE in made.sample_types


def test_a_proposal_on_a_face_is_a_positive_and_a_landmark_sample():
    sample = photo(boxes=[[40, 30, 90, 80]], pointed=[True])
    settings = SampleSettings(jitters_beside_proposals=0, landmark_jitters_per_face=0)
    proposals = np.array([[41.0, 31.0, 90.0, 80.0]], np.float32)
    made = make_samples(sample, "onet", settings, np.random.default_rng(0), proposals=proposals)
    assert made.sample_types.tolist() == [POSITIVE, LANDMARK]
    np.testing.assert_array_equal(made.windows, [[40, 30, 90, 80]] * 2)
    np.testing.assert_array_equal(made.crops[0], made.crops[1])
    assert not made.box_deltas.any()
    np.testing.assert_allclose(made.landmark_deltas[1, :5], [0.3, 0.7, 0.5, 0.35, 0.65], atol=STEP)


@pytest.mark.parametrize("point", [[35, 50], [95, 50], [50, 25], [50, 85]])
def test_a_crop_that_does_not_hold_all_points_is_no_landmark_sample(point):
    sample = photo(boxes=[[40, 30, 90, 80]], pointed=[True])
    sample.landmarks[0, 2] = point  # outside the box: left, right, above, below
    settings = SampleSettings(jitters_beside_proposals=0, landmark_jitters_per_face=0)
    proposals = np.array([[41.0, 31.0, 90.0, 80.0]], np.float32)
    made = make_samples(sample, "onet", settings, np.random.default_rng(0), proposals=proposals)
    assert made.sample_types.tolist() == [POSITIVE]


def test_a_face_outside_the_photograph_gives_nothing():
    sample = photo(boxes=[[-90, 10, -30, 70], [20, 10, 80, 70]], pointed=[True, True])
    settings = SampleSettings(jitters_beside_proposals=0, landmark_jitters_per_face=0)
    proposals = boxes_of_windows(sample.boxes)
    made = make_samples(sample, "rnet", settings, np.random.default_rng(0), proposals=proposals)
    assert made.sample_types.tolist() == [POSITIVE, LANDMARK]
    np.testing.assert_array_equal(made.windows, sample.boxes[[1, 1]])


def test_no_negatives_where_not_all_faces_are_annotated():
    sample = photo(boxes=[[40, 30, 90, 80]], pointed=[True])
    made = make_samples(sample, "pnet", SampleSettings(), np.random.default_rng(0), negatives=False)
    assert set(made.sample_types) == {POSITIVE, PART, LANDMARK}


@pytest.mark.parametrize(("height", "width"), [(1, 1), (11, 40), (12, 12), (20, 13), (23, 23)])
def test_tiny_photographs(height, width):
    boxes = [[-2, -2, width + 3, height + 3]]
    proposals = np.array([[-3.0, -3, width + 5, width + 5], [1, 1, 1, 1]], np.float32)
    for network in INPUT_SIDES:
        given = None if network == "pnet" else proposals
        sample = photo(height, width, boxes, pointed=[True])
        made = make_samples(
            sample, network, SampleSettings(min_face_size=1), np.random.default_rng(0), proposals=given
        )
        assert len(made) == len(made.crops) == len(made.windows)
        if network == "pnet":
            assert (made.windows[:, :2] >= 0).all()
            assert (made.windows[:, 2:] <= [width, height]).all()


def test_negatives_of_a_photograph_without_faces():
    made = make_samples(photo(20, 20), "pnet", SampleSettings(), np.random.default_rng(0))
    assert made.sample_types.tolist() == [NEGATIVE] * 50
    empty = np.empty((0, 4), np.float32)
    made = make_samples(photo(20, 20), "rnet", SampleSettings(), np.random.default_rng(0), proposals=empty)
    assert len(made) == 0
    assert made.crops.shape == (0, 24, 24, 3)


def test_there_are_as_many_negatives_as_wanted_although_many_squares_show_a_face():
    for seed in range(5):
        sample = photo(boxes=[[50, 40, 90, 80]], seed=seed)
        made = make_samples(sample, "pnet", SampleSettings(), np.random.default_rng(seed))
        assert (made.sample_types == NEGATIVE).sum() == 55


def test_a_face_larger_than_the_photograph():
    sample = photo(60, 60, [[-20, -20, 80, 80]], pointed=[True])
    made = make_samples(sample, "pnet", SampleSettings(), np.random.default_rng(0))
    assert len(made) > 0
    for kind, window in zip(made.sample_types, made.windows, strict=True):
        assert slow_kind(window, sample, SampleSettings())[0] == kind or kind == LANDMARK


def test_windows_of_pnet_lie_inside():
    for seed in range(10):
        sample = random_photo(seed)
        made = make_samples(sample, "pnet", FEW, np.random.default_rng(0))
        plain = made[made.sample_types != LANDMARK]  # turned ones may not, in the photograph as it was
        H, W = sample.image.shape[:2]
        assert (plain.windows[:, :2] >= 0).all()
        assert (plain.windows[:, 2:] <= [W, H]).all()


def test_a_crowd_gives_no_more_than_the_most():
    corners = np.mgrid[0:10, 0:10].reshape(2, -1).T * 30.0
    sample = photo(300, 300, np.concatenate([corners, corners + 28], axis=1), pointed=[True] * 100)
    settings = replace(FEW, min_landmark_face_size=20, most_faces=30)
    made = make_samples(sample, "pnet", settings, np.random.default_rng(0))
    assert np.bincount(made.sample_types).tolist() == [25, 7, 9, 8]
    few = replace(settings, most_faces=2, most_positives=1000, most_parts=1000)
    made = make_samples(sample, "pnet", few, np.random.default_rng(0))
    owners = {slow_kind(w, sample, few)[1] for w in made[made.sample_types == POSITIVE].windows}
    assert 1 <= len(owners) <= 4  # of two faces, and of neighbours that a square has slipped onto


def test_proposals_that_are_no_boxes_are_passed_over():
    proposals = np.array([[50.0, 50, 20, 20], [30, 30, 29, 29], [10, 10, 50, 50]], np.float32)
    made = make_samples(photo(), "rnet", SampleSettings(), np.random.default_rng(0), proposals=proposals)
    np.testing.assert_array_equal(made.windows, [[9, 9, 50, 50]])


@pytest.mark.parametrize(("network", "side"), [("rnet", 24), ("onet", 48)])
def test_without_proposals_the_windows_are_those_of_pnet(network, side):
    first = make_samples(photo(), "pnet", SampleSettings(), np.random.default_rng(0))
    later = make_samples(photo(), network, SampleSettings(), np.random.default_rng(0))
    assert later.crops.shape == (len(first), side, side, 3)
    np.testing.assert_array_equal(later.sample_types, first.sample_types)
    np.testing.assert_array_equal(later.windows, first.windows)


@pytest.mark.parametrize(
    ("network", "proposals", "expected"),
    [
        ("lnet", None, "network='lnet'; expected 'pnet', 'rnet' or 'onet'"),
        ("pnet", np.zeros((1, 4)), "`proposals` are given for pnet"),
        ("onet", np.zeros(4), r"`proposals` has shape \(4,\); expected \(P, 4\)"),
        ("onet", np.zeros((2, 5)), r"`proposals` has shape \(2, 5\); expected \(2, 4\)"),
        ("onet", np.full((2, 4), np.nan), "`proposals` is not finite in proposal 0"),
    ],
)
def test_refuses(network, proposals, expected):
    with pytest.raises(InputError, match=expected) as caught:
        make_samples(photo(), network, SampleSettings(), np.random.default_rng(0), proposals=proposals)
    assert "\n" not in str(caught.value)


def test_turned_landmarks_are_where_the_turned_dots_are():
    """Five dots, each of a colour of its own, are found in every crop where the labels say."""
    sample = photo(400, 400, [[100, 100, 300, 300]], pointed=[True])
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255]], np.uint8)
    image = np.zeros((400, 400, 3), np.uint8)
    for (x, y), colour in zip(np.rint(sample.landmarks[0]).astype(int), colours, strict=True):
        image[y - 6 : y + 6, x - 6 : x + 6] = colour
    sample = replace(sample, image=image)
    settings = SampleSettings(max_rotation=30, most_landmarks=1000, landmark_jitters_per_face=40)
    made = make_samples(
        sample, "onet", settings, np.random.default_rng(0), proposals=np.empty((0, 4), np.float32)
    )
    made = made[made.sample_types == LANDMARK]
    tilts = made.landmark_deltas[:, 6] - made.landmark_deltas[:, 5]  # y of right eye less y of left eye
    assert (tilts == 0).sum() >= 3
    assert (tilts > 0.02).sum() >= 3
    assert (tilts < -0.02).sum() >= 3
    for crop, deltas in zip(made.crops, made.landmark_deltas, strict=True):
        points = 48 * deltas.reshape(2, 5).T
        for (x, y), colour in zip(points, colours, strict=True):
            near = (np.abs(crop.astype(int) - colour).max(axis=2) < 90) * 1.0  # near the dot's own colour
            rows, columns = np.mgrid[:48, :48] + 0.5
            centre = np.array([(near * columns).sum(), (near * rows).sum()]) / near.sum()
            np.testing.assert_allclose(centre, [x, y], atol=0.6)


def test_without_rotation_no_crop_is_turned():
    sample = photo(400, 400, [[100, 100, 300, 300]], pointed=[True])
    made = make_samples(sample, "pnet", SampleSettings(max_rotation=0), np.random.default_rng(0))
    deltas = made[made.sample_types == LANDMARK].landmark_deltas
    assert len(deltas) > 3
    np.testing.assert_array_equal(deltas[:, 5], deltas[:, 6])  # both eyes as high


def test_join_and_empty():
    made = make_samples(photo(boxes=[[40, 30, 90, 80]]), "pnet", SampleSettings(), np.random.default_rng(0))
    joined = Samples.join([Samples.empty(12), made[:3], made[[5, 4]]])
    np.testing.assert_array_equal(joined.windows, made.windows[[0, 1, 2, 5, 4]])
    assert len(Samples.empty(48)) == 0
    for field in fields(Samples):
        assert getattr(joined, field.name).dtype == getattr(made, field.name).dtype
