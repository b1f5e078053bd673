"""The WIDER FACE protocol: a case by hand per rule, a slow twin, the figures of the public Python port."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from minidet.datasets.widerface_ground_truth import WiderImage, read_widerface_ground_truth
from minidet.errors import InputError
from minidet.evaluation.widerface import THRESHOLDS, widerface_ap, widerface_curves
from minidet.evaluation.widerface_files import read_predictions, write_predictions

# 10 x 10 pixels each in the official count, which adds one to a side; they do not touch one another.
A, B, C, D = [0, 0, 9, 9], [100, 0, 9, 9], [200, 0, 9, 9], [300, 0, 9, 9]
NOWHERE = [900, 900, 9, 9]


def image(faces, counted=None, *, easy=None, medium=None, name="a"):
    """A photograph with these faces; all of them count, or those that ``counted`` tells.

    ``easy`` and ``medium`` are for those two lists alone.
    """
    hard = np.array([True] * len(faces) if counted is None else counted, bool)
    lists = {"easy": easy, "medium": medium, "hard": None}
    return WiderImage(
        event="0--Parade",
        name=name,
        xywh=np.array(faces, float).reshape(-1, 4),
        counted={s: hard if chosen is None else np.array(chosen, bool) for s, chosen in lists.items()},
    )


def curves_of(*photographs):
    """Curves of pairs (image, boxes), where boxes is a list of (box, score)."""
    ground_truth = [image for image, _ in photographs]
    predictions = {
        (image.event, image.name): [[*box, score] for box, score in boxes] for image, boxes in photographs
    }
    return widerface_curves(predictions, ground_truth)


def ap(*photographs):
    """AP of the hard list."""
    return curves_of(*photographs)["hard"].ap


# ---- One case by hand per rule ---------------------------------------------------------------------


def test_every_face_found():
    assert ap((image([A, B]), [(A, 0.9), (B, 0.1)])) == 1


def test_a_wrong_box_before_the_right_one():
    # Recall 0 at precision 0/1, recall 1 at precision 1/2.
    assert ap((image([A]), [(NOWHERE, 0.9), (A, 0.8)])) == 1 / 2


def test_a_wrong_box_after_the_right_one():
    # Recall 1 is reached at precision 1; what comes later takes nothing away.
    assert ap((image([A]), [(A, 0.9), (NOWHERE, 0.8)])) == 1


def test_a_missed_face():
    # Recall ends at 1/2.
    assert ap((image([A, B]), [(A, 0.9)])) == 1 / 2


def test_the_envelope():
    # Wrong, right, right: recall 1/2 at precision 1/2, recall 1 at precision 2/3. From the second point the
    # envelope is 2/3 to the left as well. Without it: 1/2 x 1/2 + 1/2 x 2/3 = 7/12.
    assert ap((image([A, B]), [(NOWHERE, 0.9), (A, 0.5), (B, 0.1)])) == pytest.approx(2 / 3, abs=1e-15)


def test_a_box_on_an_ignored_face_is_neither_right_nor_wrong():
    # Were it wrong, AP would be 1/2 as above.
    assert ap((image([A, B], [False, True]), [(A, 0.9), (B, 0.8)])) == 1


def test_an_ignored_face_may_be_found_often():
    boxes = [(A, 0.9), (A, 0.8), (A, 0.7), (B, 0.6)]
    assert ap((image([A, B], [False, True]), boxes)) == 1


def test_a_second_hit_is_wrong():
    # Right, wrong, right: recall 1/2 at precision 1, recall 1 at 2/3. 1/2 x 1 + 1/2 x 2/3 = 5/6.
    assert ap((image([A, B]), [(A, 0.9), (A, 0.5), (B, 0.1)])) == pytest.approx(5 / 6, abs=1e-15)


def test_the_better_score_gets_the_face():
    # Both boxes find A. The second fits perfectly, but the first comes first: recall 1 at precision 1.
    assert ap((image([A]), [([0, 1, 9, 9], 0.9), (A, 0.8)])) == 1


def test_only_the_best_face_is_tried():
    # Rows 0..9 and 3..12 of the same columns. The second box, rows 1..10, has 9 rows of 11 in common with the
    # first face and 8 of 12 with the second: it goes to the first, which is taken; the second is never found.
    faces = [[0, 0, 9, 9], [0, 3, 9, 9]]
    assert ap((image(faces), [([0, 0, 9, 9], 0.9), ([0, 1, 9, 9], 0.8)])) == 1 / 2


def test_the_best_face_is_sought_among_the_ignored_ones_too():
    # The same faces; the first is ignored, so the box that prefers it is left out, and nothing is found.
    faces = [[0, 0, 9, 9], [0, 3, 9, 9]]
    assert ap((image(faces, [False, True]), [([0, 1, 9, 9], 0.8)])) == 0


@pytest.mark.parametrize(("counted", "expected"), [([True, False], 1), ([False, True], 0)])
def test_of_equal_overlaps_the_face_listed_first(counted, expected):
    # Rows 0..9 and 2..11: the box, rows 1..10, has 9 rows of 11 in common with either.
    faces = [[0, 0, 9, 9], [0, 2, 9, 9]]
    assert ap((image(faces, counted), [([0, 1, 9, 9], 0.8)])) == expected


@pytest.mark.parametrize(("height", "expected"), [(4, 1), (3.999, 0)])
def test_an_iou_of_one_half_is_a_hit_and_sides_have_one_pixel_more(height, expected):
    # 10 x (4 + 1) of 10 x 10 pixels are one half. Without the added pixel 9 x 4 of 9 x 9 would be less.
    assert ap((image([A]), [([0, 0, 9, height], 0.9)])) == expected


@pytest.mark.parametrize("x", [-9, 9])
def test_boxes_that_overlap_by_the_added_pixel_only(x):
    # One column of 10 pixels of 10 + 10 - 1 columns: far from one half.
    assert ap((image([A]), [([x, 0, 9, 9], 0.9)])) == 0


def test_boxes_apart_in_both_directions():
    # Two gaps must not multiply to an overlap: 10 x 10 pixels here, as many as the face has.
    assert ap((image([A]), [([-20, -20, 9, 9], 0.9)])) == 0


@pytest.mark.parametrize("boxes", [[A, NOWHERE], [NOWHERE, A]])
def test_equal_scores_pass_together(boxes):
    # There is no threshold between them: recall 1 is reached at precision 1/2, and at 1/3 with the last box.
    assert ap((image([A]), [(boxes[0], 0.9), (boxes[1], 0.9), (NOWHERE, 0.1)])) == 1 / 2


def test_scores_that_no_threshold_tells_apart_pass_together():
    # 0.501 takes the first box only, 0.500 takes two more, one of them wrong: 1/2 x 1 + 1/2 x 2/3 = 5/6.
    boxes = [(A, 1), (B, 0.5008), (NOWHERE, 0.5003), (NOWHERE, 0)]
    assert ap((image([A, B]), boxes)) == pytest.approx(5 / 6, abs=1e-15)


def test_a_score_equal_to_a_threshold_passes():
    # Thresholds are 0.999, 0.998, ... 0, so 0.5 is number 500 and has index 499.
    curve = curves_of((image([A, B, C]), [(A, 1), (B, 0.5), (C, 0)]))["hard"]
    assert THRESHOLDS[[0, 499, 999]].tolist() == [0.999, 0.5, 0]
    assert (curve.recall * 3).round(12).tolist() == [1] * 499 + [2] * 500 + [3]


def test_boxes_in_a_photograph_without_any_face_do_not_count():
    boxes = [(NOWHERE, 0.95), (A, 0.9)]
    assert ap((image([], name="empty"), boxes), (image([A]), [(A, 0.9), (NOWHERE, 0.1)])) == 1


def test_boxes_in_a_photograph_with_ignored_faces_only_do_count():
    # The photograph has a face, so a box beside it is wrong; the one on it is left out. Recall 1 at 1/2.
    boxes = [(NOWHERE, 0.95), (A, 0.9)]
    assert ap((image([A], [False], name="b"), boxes), (image([A]), [(A, 0.8)])) == 1 / 2


def test_a_photograph_without_boxes_still_has_faces():
    # One of three faces is found.
    assert ap((image([A, B], name="b"), []), (image([A]), [(A, 0.8)])) == pytest.approx(1 / 3, abs=1e-15)


def test_scores_are_stretched_over_all_photographs_together():
    # In order of score: right (first photograph), wrong (first), wrong (second), right (second). Recall 1/2
    # at precision 1, recall 1 at 2/4: 1/2 + 1/2 x 1/2 = 3/4. Stretched photograph by photograph, the wrong
    # box of the second would come together with the right one of the first: 1/2 x 1/2 + 1/2 x 1/2 = 1/2.
    photographs = [
        (image([A], name="a"), [(A, 0.9), (NOWHERE, 0.8)]),
        (image([A], name="b"), [(NOWHERE, 0.2), (A, 0.1)]),
    ]
    assert ap(*photographs) == 3 / 4


@pytest.mark.parametrize(("factor", "shift"), [(1, 0), (100, 0), (8, -5), (1e-4, 7), (1e-4, -7)])
def test_scores_of_any_range(factor, shift):
    # Right, wrong, right, right: recall 1/3 at precision 1, 2/3 at 2/3, 1 at 3/4. Envelope: 1, 3/4, 3/4.
    boxes = [(A, 0.9), (NOWHERE, 0.7), (B, 0.4), (C, 0.1)]
    boxes = [(box, factor * score + shift) for box, score in boxes]
    assert ap((image([A, B, C]), boxes)) == pytest.approx((1 + 3 / 4 + 3 / 4) / 3, abs=1e-15)


@pytest.mark.parametrize("score", [0, 0.7, 1, -3])
def test_if_all_scores_are_equal_the_curve_is_one_point(score):
    # Recall 1/2 at precision 1/2, at every threshold.
    curve = curves_of((image([A, B]), [(A, score), (NOWHERE, score)]))["hard"]
    assert (set(curve.recall), set(curve.precision), curve.ap) == ({0.5}, {0.5}, 0.25)


def test_no_box_at_all():
    curve = curves_of((image([A]), []), (image([B], name="b"), []))["hard"]
    assert (set(curve.recall), set(curve.precision), curve.ap) == ({0}, {0}, 0)


def test_a_precision_of_no_boxes_is_zero():
    # Down to a threshold of 0.5 only the box on the ignored face passes: 0 right of 0.
    curve = curves_of((image([A, B], [False, True]), [(A, 1), (B, 0.5), (NOWHERE, 0)]))["hard"]
    assert curve.precision.tolist() == [0] * 499 + [1] * 500 + [0.5]
    assert curve.recall.tolist() == [0] * 499 + [1] * 501
    assert curve.ap == 1


def test_the_three_lists_judge_the_same_boxes():
    # Easy A; medium A, B; hard A, B, C. D counts nowhere. In order of score: B, D, nothing, A.
    # Easy: B and D are left out, so A comes after one wrong box: AP 1/2.
    # Medium: recall 1/2 at precision 1, recall 1 at 2/3: 5/6. Hard: the same at recalls 1/3 and 2/3: 5/9.
    faces = image([A, B, C, D], [1, 1, 1, 0], easy=[1, 0, 0, 0], medium=[1, 1, 0, 0])
    curves = curves_of((faces, [(B, 0.9), (D, 0.8), (NOWHERE, 0.5), (A, 0.2)]))
    assert list(curves) == ["easy", "medium", "hard"]
    assert [curve.ap for curve in curves.values()] == pytest.approx([1 / 2, 5 / 6, 5 / 9], abs=1e-15)
    assert [curve.faces for curve in curves.values()] == [1, 2, 3]


def test_curves_have_a_point_per_threshold():
    curve = curves_of((image([A, B]), [(A, 0.9), (B, 0.1)]))["easy"]
    assert (curve.recall.shape, curve.precision.shape) == ((1000,), (1000,))
    assert (curve.recall.dtype, curve.precision.dtype) == (np.float64, np.float64)


# ---- A slow twin, from the files on -----------------------------------------------------------------


def iou_by_definition(a, b):
    """IoU of two boxes x y w h, counted in pixels with both ends."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]) + 1
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]) + 1
    if width <= 0 or height <= 0:
        return 0
    return width * height / ((a[2] + 1) * (a[3] + 1) + (b[2] + 1) * (b[3] + 1) - width * height)


def ap_by_definition(predictions, photographs, subset):
    """Walk through all photographs anew for every threshold."""
    scores = [row[4] for rows in predictions.values() for row in rows]
    low, high = min(scores), max(scores)
    recalls, precisions = [0], [0]
    faces = sum(len(chosen[subset]) for _, _, _, chosen in photographs)
    for t in range(1000):
        right = judged = 0
        for event, name, boxes, chosen in photographs:
            found = set()
            for *box, score in predictions[event, name]:
                if len(boxes) == 0 or (score - low) / (high - low) < 1 - (t + 1) / 1000:
                    continue
                overlaps = [iou_by_definition(box, face) for face in boxes]
                best = overlaps.index(max(overlaps))
                if overlaps[best] < 0.5:
                    judged += 1
                elif best in chosen[subset]:
                    judged += 1
                    right += best not in found
                    found.add(best)
        recalls.append(right / faces)
        precisions.append(right / judged if judged else 0)
    recalls.append(1)
    precisions.append(0)
    return sum(
        (recalls[i] - recalls[i - 1]) * max(precisions[i:])
        for i in range(1, len(recalls))
        if recalls[i] != recalls[i - 1]
    )


def random_photographs(rng, n):
    """(event, name, boxes, faces that count per list, from 0), on a coarse grid: overlaps often tie."""
    photographs = []
    for i in range(n):
        G = 0 if i % 7 == 0 else int(rng.integers(1, 6))
        boxes = np.column_stack([rng.integers(0, 10, (G, 2)), rng.integers(3, 7, (G, 2))])
        hard = np.flatnonzero(rng.random(G) < 0.8)
        medium = hard[rng.random(len(hard)) < 0.8]
        chosen = {"easy": medium[rng.random(len(medium)) < 0.8], "medium": medium, "hard": hard}
        photographs.append((f"{i // 9}--Event", f"photo_{i}", boxes, {s: set(c) for s, c in chosen.items()}))
    return photographs


def random_predictions(rng, photographs):
    """Boxes near the faces and elsewhere, none in some photographs; scores tie often, or never."""
    predictions = {}
    for i, (event, name, faces, _) in enumerate(photographs):
        near = faces[rng.random(len(faces)) < 0.8] + rng.integers(-1, 2, 4) // 2
        again = faces[rng.random(len(faces)) < 0.3]
        elsewhere = np.column_stack([rng.integers(0, 10, (2, 2)), rng.integers(3, 7, (2, 2))])
        boxes = rng.permutation(np.concatenate([near, again, elsewhere]))[: 0 if i % 5 == 2 else None]
        scores = rng.integers(-3, 9, len(boxes)) / 4 if i % 2 else rng.uniform(-1, 2.5, len(boxes))
        predictions[event, name] = np.column_stack([boxes.astype(float), np.sort(scores)[::-1]])
    return predictions


def cells(items):
    """What a MATLAB file holds for a nested list: cells of one column, arrays in the innermost."""
    column = np.empty((len(items), 1), object)
    for i, item in enumerate(items):
        column[i, 0] = cells(item) if isinstance(item, list) else item
    return column


def write_ground_truth(folder, photographs):
    """Write the four files of the official evaluation."""
    events = list(dict.fromkeys(event for event, _, _, _ in photographs))
    per_event = [[photograph for photograph in photographs if photograph[0] == event] for event in events]
    lists = {
        "event_list": cells(events),
        "file_list": cells([[name for _, name, _, _ in group] for group in per_event]),
        "face_bbx_list": cells([[boxes.astype(np.int32) for _, _, boxes, _ in group] for group in per_event]),
    }
    folder.mkdir()
    savemat(folder / "wider_face_val.mat", lists)
    for subset in ("easy", "medium", "hard"):
        numbers = [
            [
                np.array([[face + 1] for face in sorted(chosen[subset])], np.uint8).reshape(-1, 1)
                for *_, chosen in group
            ]
            for group in per_event
        ]
        savemat(folder / f"wider_{subset}_val.mat", {**lists, "gt_list": cells(numbers)})


@pytest.mark.parametrize("seed", range(3))
def test_files_in_average_precision_out_equals_the_slow_twin(tmp_path, seed):
    rng = np.random.default_rng(seed)
    photographs = random_photographs(rng, 24)
    predictions = random_predictions(rng, photographs)
    write_ground_truth(tmp_path / "ground_truth", photographs)
    write_predictions(tmp_path / "predictions", predictions)
    measured = widerface_ap(tmp_path / "predictions", tmp_path / "ground_truth")
    expected = {s: ap_by_definition(predictions, photographs, s) for s in ("easy", "medium", "hard")}
    assert measured == pytest.approx(expected, abs=1e-12)
    assert all(0.1 < value < 0.9 for value in measured.values())  # so that there is something to compare


@pytest.mark.skipif("MINIDET_DATA" not in os.environ, reason="needs the official ground truth")
def test_the_figures_of_the_public_python_port(tmp_path):
    data = Path(os.environ["MINIDET_DATA"])
    with zipfile.ZipFile(data.parent / "golden" / "widerface_predictions.zip") as archive:
        archive.extractall(tmp_path)
    ground_truth = read_widerface_ground_truth(data / "widerface_gt")
    curves = widerface_curves(read_predictions(tmp_path), ground_truth)
    assert {subset: curve.ap for subset, curve in curves.items()} == pytest.approx(
        {"easy": 0.8500330999350666, "medium": 0.8195334811224768, "hard": 0.5249744811429183}, abs=1e-12
    )
    assert [curve.faces for curve in curves.values()] == [7211, 13319, 31958]


# ---- Mistakes --------------------------------------------------------------------------------------


def complaint_about(predictions, *ground_truth):
    """The message about these predictions."""
    with pytest.raises(InputError) as caught:
        widerface_curves(predictions, ground_truth)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_missing_predictions():
    assert complaint_about({("0--Parade", "b"): []}, *[image([A], name=name) for name in "abc"]) == (
        "predictions: missing for 2 of 3 photographs, first 0--Parade/a "
        "(one without boxes needs an entry too)"
    )


def test_predictions_for_photographs_that_are_not_there():
    predictions = {("0--Parade", name): [] for name in ("x", "a", "y")}
    assert complaint_about(predictions, image([A])) == (
        "predictions: 2 not in the ground truth, first 0--Parade/x"
    )


@pytest.mark.parametrize(
    ("key", "label"), [(("0--Parade", "a.jpg"), "0--Parade/a.jpg"), ("0--Parade/a", "'0--Parade/a'")]
)
def test_misnamed_predictions(key, label):
    assert complaint_about({key: []}, image([A])) == (
        f"predictions: 1 not in the ground truth, first {label}; "
        "missing for 1 of 1 photographs, first 0--Parade/a (one without boxes needs an entry too)"
    )


def test_a_misnamed_file_and_a_missing_one(tmp_path):
    rng = np.random.default_rng(0)
    photographs = random_photographs(rng, 24)
    write_ground_truth(tmp_path / "ground_truth", photographs)
    write_predictions(tmp_path / "predictions", random_predictions(rng, photographs))
    folder = tmp_path / "predictions" / "0--Event"
    (folder / "photo_3.txt").rename(folder / "photo_3.jpg.txt")
    with pytest.raises(InputError, match=r"1 not in the ground truth, first 0--Event/photo_3\.jpg; missing"):
        widerface_ap(tmp_path / "predictions", tmp_path / "ground_truth")
    (folder / "photo_3.jpg.txt").unlink()
    with pytest.raises(InputError, match=r": missing for 1 of 24 photographs, first 0--Event/photo_3 "):
        widerface_ap(tmp_path / "predictions", tmp_path / "ground_truth")


def test_unsorted_boxes():
    boxes = [[*A, 0.5], [*A, 0.4], [*A, 0.6]]
    assert complaint_about({("0--Parade", "a"): boxes}, image([A])) == (
        "predictions of 0--Parade/a, row 2: score 0.6 after 0.4; sort boxes, best score first"
    )


def test_boxes_of_another_shape():
    assert complaint_about({("0--Parade", "a"): [A]}, image([A])) == (
        "predictions of 0--Parade/a: shape (1, 4); expected (K, 5), x y w h score"
    )


def test_a_list_on_which_no_face_counts():
    assert complaint_about({("0--Parade", "a"): []}, image([A], easy=[False])) == (
        "widerface_curves: no face of the ground truth counts as easy; AP needs one"
    )


def test_a_ground_truth_without_photographs():
    assert complaint_about({}) == "widerface_curves: no face of the ground truth counts as easy; AP needs one"
