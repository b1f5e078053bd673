"""The detectors as users meet them: what goes in, what comes out, and what is refused."""

import io
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import minidet
from minidet import MTCNN, Detections, InputError, RetinaFace, read_image
from minidet.api import default_detector
from minidet.boxes import iou
from minidet.weights import SHIPPED

MTCNN_STEPS = ["pyramid", "pnet", "propose", "merge", "rnet", "refine", "onet", "output"]
RETINAFACE_STEPS = ["input", "network", "anchors", "candidates", "decode", "nms"]
BLACK = np.zeros((60, 80, 3), np.uint8)


def assert_same(a, b):
    np.testing.assert_array_equal(a.boxes, b.boxes)
    np.testing.assert_array_equal(a.scores, b.scores)
    np.testing.assert_array_equal(a.landmarks, b.landmarks)


def assert_no_face(faces):
    assert isinstance(faces, Detections)
    assert (faces.boxes.shape, faces.scores.shape, faces.landmarks.shape) == ((0, 4), (0,), (0, 5, 2))
    assert {faces.boxes.dtype, faces.scores.dtype, faces.landmarks.dtype} == {np.dtype(np.float32)}


def assert_one_face_like(faces, expected, least=0.7):
    """Require one face, whose box agrees with the expected one by an IoU of at least ``least``."""
    assert len(faces) == 1
    assert iou(faces.boxes, expected.boxes)[0, 0] >= least


def png(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def faces_of_both(mtcnn, retinaface, small_portrait):
    return {detector: detector.detect(small_portrait) for detector in (mtcnn, retinaface)}


@pytest.fixture
def expected(detector, faces_of_both):
    """What ``detector`` finds in ``small_portrait``, given as an array."""
    return faces_of_both[detector]


@pytest.fixture(scope="session")
def png_path(small_portrait, tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "portrait.png"
    path.write_bytes(png(small_portrait))
    return path


# ---- what goes in ----


def test_the_portrait_has_one_face(expected):
    assert len(expected) == 1
    assert expected.scores[0] > 0.99
    x1, y1, x2, y2 = expected.boxes[0]
    left_eye, right_eye, nose, left_mouth, right_mouth = expected.landmarks[0]
    assert x1 < left_eye[0] < nose[0] < right_eye[0] < x2
    assert left_mouth[0] < right_mouth[0]
    assert y1 < left_eye[1] < nose[1] < left_mouth[1] < y2


@pytest.mark.parametrize(
    "as_source",
    [
        str,
        lambda path: path,
        lambda path: path.read_bytes(),
        lambda path: io.BytesIO(path.read_bytes()),
        Image.open,
    ],
    ids=["str", "Path", "bytes", "BytesIO", "PIL"],
)
def test_every_kind_of_source_gives_the_same(detector, expected, png_path, as_source):
    assert_same(detector.detect(as_source(png_path)), expected)


def test_an_open_file_gives_the_same(detector, expected, png_path):
    with open(png_path, "rb") as file:
        assert_same(detector.detect(file), expected)


def test_a_view_gives_the_same(detector, expected, portrait):
    view = portrait[::4, ::4]
    assert not view.flags.c_contiguous
    assert_same(detector.detect(view), expected)


def test_the_image_is_not_changed(detector, small_portrait):
    image = small_portrait.copy()
    detector.detect(image)
    np.testing.assert_array_equal(image, small_portrait)


def test_bgr_read_as_bgr(detector, expected, small_portrait):
    bgr = small_portrait[:, :, ::-1]
    assert_same(detector.detect(read_image(bgr, color="bgr")), expected)


def test_alpha_is_dropped(detector, expected, small_portrait):
    rgba = np.dstack([small_portrait, np.arange(150 * 128).reshape(150, 128).astype(np.uint8)])
    assert_same(detector.detect(rgba), expected)
    assert_same(detector.detect(Image.fromarray(rgba)), expected)


@pytest.mark.parametrize("mode", ["L", "LA", "CMYK"])
def test_pictures_of_other_modes_show_the_face_too(detector, expected, small_portrait, mode):
    picture = Image.fromarray(small_portrait).convert(mode)
    assert_one_face_like(detector.detect(picture), expected)


@pytest.mark.parametrize("shape", [(150, 128), (150, 128, 1)])
def test_grey_arrays_show_the_face_too(detector, expected, small_portrait, shape):
    grey = small_portrait.mean(axis=2).round().astype(np.uint8).reshape(shape)
    assert_one_face_like(detector.detect(grey), expected)


def test_floats_from_0_to_1(detector, expected, small_portrait):
    assert_same(detector.detect(small_portrait / 255), expected)


@pytest.mark.parametrize("method", ["detect", "trace"])
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no/such/file.jpg", "read_image: no such file: 'no/such/file.jpg'; check the path"),
        (b"not a picture", "read_image: <bytes> is not a picture; give a JPEG, a PNG or the like"),
        (np.zeros((3, 64, 64), np.uint8), "read_image: array of shape (3, 64, 64) looks channels-first"),
    ],
)
def test_what_is_no_picture_is_refused(detector, method, source, message):
    with pytest.raises(InputError) as caught:
        getattr(detector, method)(source)
    assert str(caught.value).startswith(message)


# ---- what comes out ----


@pytest.mark.parametrize(
    "shape", [(1, 1), (2, 2), (10, 10), (12, 12), (11, 200), (200, 11), (5000, 3), (3, 5000)], ids=str
)
def test_images_too_small_for_a_face(detector, shape):
    assert_no_face(detector.detect(np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)))


@pytest.mark.parametrize("value", [0, 127, 255])
def test_no_face_in_a_picture_of_one_colour(detector, value):
    assert_no_face(detector.detect(np.full((75, 101, 3), value, np.uint8)))


def test_a_picture_as_small_as_p_nets_window_can_be_searched():
    faces = MTCNN(min_face_size=5).detect(np.full((10, 11, 3), 127, np.uint8))
    assert_no_face(faces)


@pytest.mark.parametrize("min_face_size", [30, 40, 60, 80, 120])
def test_raising_min_face_size_does_not_lose_a_face_well_above_it(portrait, min_face_size):
    # ipazc/mtcnn finds nothing from 30 on: it drops the wrong end of the pyramid.
    faces = MTCNN(min_face_size=min_face_size).detect(portrait)
    found_with_20 = Detections([[174, 120, 356, 340]], [1], np.zeros((1, 5, 2)))
    assert_one_face_like(faces, found_with_20)


def test_in_the_mirror_left_and_right_change_places(detector, expected, small_portrait):
    mirrored = detector.detect(small_portrait[:, ::-1])
    assert len(mirrored) == 1
    W = small_portrait.shape[1]
    landmarks = expected.landmarks[0, [1, 0, 2, 4, 3]] * [-1, 1] + [W, 0]
    # The eyes are 21 pixels apart.
    assert np.abs(mirrored.landmarks[0] - landmarks).max() < 4
    x1, y1, x2, y2 = expected.boxes[0]
    assert np.abs(mirrored.boxes[0] - [W - x2, y1, W - x1, y2]).max() < 4


def test_a_shifted_picture_gives_a_shifted_face(retinaface, small_portrait):
    # By 32 pixels, the largest stride, so that every anchor lands on another one.
    shifted = np.pad(small_portrait, ((32, 0), (32, 0), (0, 0)), mode="edge")
    face, moved = retinaface.detect(small_portrait)[0], retinaface.detect(shifted)[0]
    assert np.abs(moved.box - face.box - 32).max() < 2


def test_max_side_gives_boxes_in_pixels_of_the_image_given(retinaface, portrait):
    faces = RetinaFace(max_side=200).detect(portrait)
    assert_one_face_like(faces, retinaface.detect(portrait), least=0.85)


def test_a_higher_score_threshold_reports_fewer(small_portrait):
    few = RetinaFace(score_threshold=0.5).detect(small_portrait)
    many = RetinaFace(score_threshold=0.0005).detect(small_portrait)
    assert len(many) > len(few)
    assert (np.diff(many.scores) <= 0).all()
    assert many.scores.min() > 0.0005
    assert_same(many[many.scores > 0.5], few)
    assert_same(RetinaFace(score_threshold=0.0005, max_faces=2).detect(small_portrait), many[:2])


# ---- many images ----


def test_a_batch_equals_single_calls(detector, small_portrait, png_path):
    sources = [small_portrait, BLACK, png_path, small_portrait[20:, :90], small_portrait[:5, :5]]
    many = detector.detect_batch(sources, progress=False)
    assert [min(len(faces), 1) for faces in many] == [1, 0, 1, 1, 0]
    for faces, source in zip(many, sources, strict=True):
        assert_same(faces, detector.detect(source))


def test_an_empty_batch(detector):
    assert detector.detect_batch([]) == []


def test_a_batch_shows_its_progress(retinaface, capsys):
    retinaface.detect_batch([BLACK, BLACK], progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "2/2" in err


@pytest.mark.parametrize(("sources", "progress"), [([BLACK, BLACK], False), ([BLACK], True), ([], True)])
def test_no_progress_of_one_image_or_unasked(retinaface, capsys, sources, progress):
    retinaface.detect_batch(sources, progress=progress)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("bad", "message"), [("gone.png", r"no such file: 'gone\.png'"), (np.zeros((3, 4, 5)), "channels-first")]
)
def test_a_batch_with_a_bad_image_names_it(detector, bad, message):
    with pytest.raises(InputError, match=f"^image 1: .*{message}"):
        detector.detect_batch([BLACK, bad], progress=False)


@pytest.mark.parametrize(
    "source",
    [
        *("photo.jpg", Path("photo.jpg"), b"encoded", bytearray(b"encoded"), io.BytesIO(b"encoded")),
        *(BLACK, BLACK[:, :, 0], Image.fromarray(BLACK)),
    ],
)
def test_a_batch_of_one_image_without_a_list_is_refused(detector, source):
    with pytest.raises(InputError, match="expected a list of images"):
        detector.detect_batch(source)


def test_a_batch_may_be_any_iterable(detector):
    assert len(detector.detect_batch(BLACK for _ in range(3))) == 3


def test_a_batch_with_something_else_in_it_names_it(detector):
    with pytest.raises(TypeError, match=r"^image 1: .*NoneType"):
        detector.detect_batch([BLACK, None], progress=False)


@pytest.fixture
def hasty_threads():
    """Let Python switch between threads all the time."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("hasty_threads")
def test_threads_may_share_a_detector(detector, small_portrait):
    # Each has an image of its own, so that a mix-up shows, and all are of one size, so that one may happen.
    images = [small_portrait[10 + k : 102 + k, 28 + k : 108 + k] for k in range(7)]
    images.append(np.zeros_like(images[0]))
    alone = [detector.detect(image) for image in images]
    with ThreadPoolExecutor(max_workers=8) as pool:
        together = list(pool.map(detector.detect, images))
    assert len({faces.boxes.tobytes() for faces in alone}) == 8
    for a, b in zip(alone, together, strict=True):
        assert_same(a, b)


def test_detecting_changes_nothing_in_the_detector(detector, expected, small_portrait):
    attributes, settings = vars(detector).copy(), replace(detector.settings)
    detector.detect(BLACK)
    detector.trace(small_portrait[:100])
    assert_same(detector.detect(small_portrait), expected)
    assert vars(detector) == attributes
    assert detector.settings == settings


# ---- trace ----


def test_a_trace_has_the_detections_of_detect(detector, expected, small_portrait):
    assert_same(detector.trace(small_portrait).detections, expected)


def test_mtcnn_trace(mtcnn, small_portrait):
    trace = mtcnn.trace(small_portrait)
    assert [step.name for step in trace] == MTCNN_STEPS
    levels = trace["pyramid"]["levels"]
    assert len(levels) == len(trace["pyramid"]["scales"]) == len(trace["pnet"]["scores"]) == 6
    for level, scores, deltas in zip(
        levels, trace["pnet"]["scores"], trace["pnet"]["box_deltas"], strict=True
    ):
        cells = tuple(-(-(n - 2) // 2) - 4 for n in level.shape[:2])
        assert (scores.shape, deltas.shape) == (cells, (4, *cells))
    proposed, merged = len(trace["propose"]["boxes"]), len(trace["merge"]["kept"])
    assert sum(trace["propose"]["per_level"]) == proposed >= merged
    assert trace["merge"]["boxes"].shape == (merged, 4)
    looked_at = len(trace["rnet"]["boxes"])
    assert trace["rnet"]["crops"].shape == (looked_at, 24, 24, 3)
    assert trace["rnet"]["scores"].shape == (looked_at,)
    assert merged >= looked_at >= len(trace["refine"]["passed"]) >= len(trace["refine"]["kept"])
    looked_at = len(trace["onet"]["boxes"])
    assert trace["onet"]["crops"].shape == (looked_at, 48, 48, 3)
    assert trace["output"]["boxes"].tolist() == trace.detections.boxes.tolist()


def test_retinaface_trace(retinaface, small_portrait):
    trace = retinaface.trace(small_portrait)  # 150 x 128
    assert [step.name for step in trace] == RETINAFACE_STEPS
    A = 2 * (19 * 16 + 10 * 8 + 5 * 4)
    assert trace["input"]["x"].shape == (1, 3, 150, 128)
    assert trace["network"]["box_deltas"].shape == (1, A, 4)
    assert trace["network"]["scores"].shape == (1, A, 2)
    assert trace["network"]["landmark_deltas"].shape == (1, A, 10)
    assert trace["anchors"]["anchors"].shape == (A, 4)
    count = len(trace["candidates"]["candidates"])
    assert count > 1
    assert trace["decode"]["boxes"].shape == (count, 4)
    assert trace["decode"]["landmarks"].shape == (count, 5, 2)
    assert trace["nms"]["boxes"].tolist() == trace.detections.boxes.tolist()
    maps = {name: array.shape for name, array in trace.features.items()}
    sizes, channels = {"3": (19, 16), "4": (10, 8), "5": (5, 4)}, {"3": 64, "4": 128, "5": 256}
    assert maps == {
        **{f"c{k}": (1, channels[k], *sizes[k]) for k in sizes},
        **{f"p{k}": (1, 64, *sizes[k]) for k in sizes},
        **{f"context{k}": (1, 64, *sizes[k]) for k in sizes},
    }


def test_traces_without_a_face(mtcnn, retinaface):
    trace = mtcnn.trace(BLACK)
    assert MTCNN_STEPS[:4] == [step.name for step in trace][:4]
    assert_no_face(trace.detections)
    trace = retinaface.trace(BLACK)
    assert [step.name for step in trace] == RETINAFACE_STEPS
    assert_no_face(trace.detections)


@pytest.mark.parametrize("shape", [(1, 1, 3), (10, 10, 3), (11, 200, 3)])
def test_traces_of_tiny_images(mtcnn, retinaface, shape):
    assert [step.name for step in mtcnn.trace(np.zeros(shape, np.uint8))] == MTCNN_STEPS[:1]
    assert [step.name for step in retinaface.trace(np.zeros(shape, np.uint8))] == RETINAFACE_STEPS


def test_a_trace_prints_a_line_per_step(detector):
    trace = detector.trace(BLACK)
    assert len(str(trace).splitlines()) == len(trace)


# ---- the networks ----


@pytest.mark.parametrize(("H", "W", "h", "w"), [(11, 12, 1, 1), (13, 14, 2, 2), (25, 40, 8, 15)])
def test_pnet_gives_a_map(mtcnn, H, W, h, w):
    x = np.random.default_rng(0).normal(size=(2, 3, H, W)).astype(np.float32)
    scores, box_deltas = mtcnn.pnet(x)
    assert (scores.shape, box_deltas.shape) == ((2, 2, h, w), (2, 4, h, w))
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-6)
    assert scores.dtype == box_deltas.dtype == np.float32


@pytest.mark.parametrize("N", [0, 1, 3])
def test_rnet_judges_crops(mtcnn, N):
    scores, box_deltas = mtcnn.rnet(np.random.default_rng(0).normal(size=(N, 3, 24, 24)).astype(np.float32))
    assert (scores.shape, box_deltas.shape) == ((N, 2), (N, 4))
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-6)
    assert scores.dtype == box_deltas.dtype == np.float32


@pytest.mark.parametrize("N", [0, 1, 3])
def test_onet_judges_crops_and_places_landmarks(mtcnn, N):
    x = np.random.default_rng(0).normal(size=(N, 3, 48, 48)).astype(np.float32)
    scores, box_deltas, landmark_deltas = mtcnn.onet(x)
    assert (scores.shape, box_deltas.shape, landmark_deltas.shape) == ((N, 2), (N, 4), (N, 10))
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-6)
    assert scores.dtype == box_deltas.dtype == landmark_deltas.dtype == np.float32


@pytest.mark.parametrize(
    ("H", "W", "A"), [(64, 96, 2 * (96 + 24 + 6)), (33, 20, 2 * (5 * 3 + 3 * 2 + 2 * 1)), (1, 1, 6)]
)
def test_retinaface_network_answers_for_every_anchor(retinaface, H, W, A):
    x = np.random.default_rng(0).normal(0, 60, size=(2, 3, H, W)).astype(np.float32)
    box_deltas, scores, landmark_deltas = retinaface.network(x)
    assert (box_deltas.shape, scores.shape, landmark_deltas.shape) == ((2, A, 4), (2, A, 2), (2, A, 10))
    np.testing.assert_allclose(scores.sum(axis=2), 1, rtol=1e-6)
    assert box_deltas.dtype == scores.dtype == landmark_deltas.dtype == np.float32


def test_a_batch_of_crops_is_judged_like_each_alone(mtcnn):
    x = np.random.default_rng(0).normal(size=(3, 3, 48, 48)).astype(np.float32)
    for together, alone in zip(mtcnn.onet(x), mtcnn.onet(x[1:2]), strict=True):
        np.testing.assert_allclose(together[1:2], alone, rtol=1e-5, atol=1e-6)


# ---- minidet.detect ----


def test_detect_is_retinaface_unless_told(retinaface, mtcnn, faces_of_both, small_portrait):
    assert_same(minidet.detect(small_portrait), faces_of_both[retinaface])
    assert_same(minidet.detect(small_portrait, model="retinaface"), faces_of_both[retinaface])
    assert_same(minidet.detect(small_portrait, model="mtcnn"), faces_of_both[mtcnn])


def test_detect_loads_the_weights_once():
    assert default_detector("mtcnn") is default_detector("mtcnn")


@pytest.mark.parametrize("model", ["yolo", "MTCNN", ""])
def test_an_unknown_model(model):
    with pytest.raises(InputError) as caught:
        minidet.detect(BLACK, model=model)
    assert str(caught.value) == f"model={model!r}; expected 'retinaface' or 'mtcnn'"


# ---- options ----


@pytest.mark.parametrize("new", [MTCNN, RetinaFace])
def test_backends_that_are_not_there(new):
    with pytest.raises(InputError) as caught:
        new(backend="torch")
    assert str(caught.value) == "backend='torch'; expected 'fast' or 'readable'"


@pytest.mark.parametrize("new", [MTCNN, RetinaFace])
@pytest.mark.parametrize("backend", ["fast", "readable"])
def test_both_backends(new, backend):
    assert_no_face(new(backend=backend).detect(BLACK))


def test_options_arrive_in_the_settings():
    assert MTCNN(30, 0.5, (0.1, 0.2, 0.3), crop_border="zero").settings == minidet.detectors.MTCNNSettings(
        min_face_size=30, pyramid_factor=0.5, score_thresholds=(0.1, 0.2, 0.3), crop_border="zero"
    )
    new = RetinaFace(0.1, 0.2, 300, max_candidates=40, max_faces=5)
    assert new.settings == minidet.detectors.RetinaFaceSettings(
        score_threshold=0.1, iou_threshold=0.2, max_side=300, max_candidates=40, max_faces=5
    )


def test_defaults_are_those_of_the_settings(mtcnn, retinaface):
    assert mtcnn.settings == minidet.detectors.MTCNNSettings()
    assert retinaface.settings == minidet.detectors.RetinaFaceSettings()


@pytest.mark.parametrize(
    ("new", "options", "message"),
    [
        (MTCNN, {"min_face_size": 0.5}, "MTCNN: min_face_size=0.5; expected at least 1 pixel"),
        (MTCNN, {"pyramid_factor": 2}, "MTCNN: pyramid_factor=2; expected above 0 and below 1"),
        (
            MTCNN,
            {"score_thresholds": (0.6, 0.7)},
            "MTCNN: score_thresholds=(0.6, 0.7); expected three numbers from 0 to 1",
        ),
        (MTCNN, {"crop_border": "wrap"}, "MTCNN: crop_border='wrap'; expected 'clip' or 'zero'"),
        (RetinaFace, {"score_threshold": -1}, "RetinaFace: score_threshold=-1; expected 0 to 1"),
        (RetinaFace, {"iou_threshold": 40}, "RetinaFace: iou_threshold=40; expected 0 to 1"),
        (RetinaFace, {"max_side": -5}, "RetinaFace: max_side=-5; expected a whole number from 1 up"),
        (RetinaFace, {"max_faces": 0}, "RetinaFace: max_faces=0; expected a whole number from 1 up"),
    ],
)
def test_options_out_of_range(new, options, message):
    with pytest.raises(InputError) as caught:
        new(**options)
    assert str(caught.value) == message


def test_the_zero_border_sees_black_where_the_default_stretches(small_portrait):
    at_the_edge = small_portrait[:, 50:]  # cuts the face, whose box begins at about 43
    clip, zero = (MTCNN(crop_border=border).trace(at_the_edge) for border in ("clip", "zero"))
    outside = np.flatnonzero(clip["rnet"]["boxes"][:, 0] < -2)
    assert outside.size > 0
    np.testing.assert_array_equal(zero["rnet"]["boxes"], clip["rnet"]["boxes"])
    assert (zero["rnet"]["crops"][outside, 12, 0] == 0).all()
    assert (clip["rnet"]["crops"][outside, 12, 0] > 0).any()


# ---- weights ----


@pytest.mark.parametrize("as_type", [lambda path: path, str], ids=["Path", "str"])
def test_weights_from_a_path_are_like_the_shipped_ones(detector, expected, small_portrait, as_type):
    name = "mtcnn" if isinstance(detector, MTCNN) else "retinaface_mobilenet025"
    same = type(detector)(weights=as_type(SHIPPED[name].path))
    assert_same(same.detect(small_portrait), expected)


@pytest.mark.parametrize(
    ("new", "weights", "own"),
    [
        (MTCNN, "retinaface_mobilenet025", "mtcnn"),
        (RetinaFace, "mtcnn", "retinaface"),
    ],
)
def test_weights_for_the_other_detector_are_refused(new, weights, own):
    for source in (weights, str(SHIPPED[weights].path)):
        with pytest.raises(InputError) as caught:
            new(weights=source)
        assert str(caught.value) == f"weights: {source!r} is for {weights}; expected weights for {own}"


@pytest.mark.parametrize("weights", ["retinaface", "no/such.npz", "no/such/folder"])
@pytest.mark.parametrize("new", [MTCNN, RetinaFace])
def test_missing_weights(new, weights):
    with pytest.raises(InputError) as caught:
        new(weights=weights)
    assert str(caught.value) == (
        f"weights: {weights!r} is neither a file nor one of mtcnn, retinaface_mobilenet025, "
        "mtcnn_minidet, retinaface_masks"
    )
