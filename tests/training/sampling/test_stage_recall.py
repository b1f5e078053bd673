import numpy as np
import pytest
from PIL import Image

from minidet.datasets import Annotation, Dataset
from minidet.errors import InputError
from minidet.fast import get_num_threads
from minidet.training.sampling.stage_recall import (
    StageRecall,
    StageTooWeakError,
    check_stage,
    stage_recall,
)

FACES = [
    [[10, 10, 30, 30], [50, 50, 90, 90]],
    [],
    [[0, 0, 40, 50]],
]
NUMBERS = np.arange(len(FACES))


def photographs(folder, faces, ignore=None) -> Dataset:
    """One picture per list of faces, whose first pixel tells its number."""
    annotations = []
    for number, boxes in enumerate(faces):
        path = folder / f"{number}.png"
        Image.fromarray(np.full((100, 100, 3), number, np.uint8)).save(path)
        annotations.append(Annotation(path, path.name, boxes, ignore=ignore[number] if ignore else None))
    return Dataset(annotations, "made up")


def answering(boxes):
    """Find these boxes, given in continuous coordinates, on the photograph of each number."""

    def propose(image):
        found = np.array(boxes[image[0, 0, 0]], np.float32).reshape(-1, 4)
        return found + np.array([1, 1, 0, 0], np.float32)  # MTCNN counts pixels from 1

    return propose


def measure(dataset, propose, **options) -> StageRecall:
    return stage_recall(dataset, propose, stage="P-Net", progress=False, **options)


def test_by_hand(tmp_path):
    found = [
        [[10, 10, 30, 30], [50, 50, 90, 70], [0, 0, 5, 5]],  # the first face exactly, of the second one half
        [[20, 20, 60, 60]],
        [],
    ]
    recall = measure(photographs(tmp_path, FACES), answering(found))
    assert recall.best_iou.tolist() == [1, 0.5, 0]
    assert recall.heights.tolist() == [20, 40, 50]
    assert recall.boxes.tolist() == [3, 1, 0]
    assert (recall.recall(0.5).found, recall.recall(0.5).faces) == (2, 3)
    assert recall.recall(0.51).found == 1
    by_size = recall.by_size(0.5, edges=(0, 20, 45))
    assert {edges: (one.found, one.faces) for edges, one in by_size.items()} == {
        (0, 20): (0, 0),
        (20, 45): (2, 2),
        (45, float("inf")): (0, 1),
    }


def slow_best_iou(boxes, face) -> float:
    best = 0.0
    for x1, y1, x2, y2 in boxes:
        width = max(0, min(x2, face[2]) - max(x1, face[0]))
        height = max(0, min(y2, face[3]) - max(y1, face[1]))
        shared = width * height
        union = (x2 - x1) * (y2 - y1) + (face[2] - face[0]) * (face[3] - face[1]) - shared
        best = max(best, shared / union)
    return best


@pytest.mark.parametrize("jobs", [1, 2])
def test_against_a_slow_twin(tmp_path, jobs):
    rng = np.random.default_rng(7)

    def random_boxes(count):
        corners, sides = rng.integers(0, 60, (count, 2)), rng.integers(5, 40, (count, 2))
        return np.concatenate([corners, corners + sides], axis=1).tolist()

    faces = [random_boxes(rng.integers(0, 5)) for _ in range(12)]
    found = [random_boxes(rng.integers(0, 60)) for _ in range(12)]
    threads = get_num_threads()
    dataset = photographs(tmp_path, faces)
    recall = measure(dataset, answering(found), min_face_size=0, jobs=jobs)
    assert get_num_threads() == threads
    expected = [
        slow_best_iou(boxes, face) for boxes, of_one in zip(found, faces, strict=True) for face in of_one
    ]
    np.testing.assert_allclose(recall.best_iou, expected, rtol=1e-12)
    assert recall.boxes.tolist() == [len(boxes) for boxes in found]
    for threshold in (0.3, 0.5, 0.8):
        assert recall.recall(threshold).found == sum(value >= threshold for value in expected)
    assert 0 < recall.recall(0.5).value < 1


def test_a_box_may_serve_two_faces(tmp_path):
    faces = [[[0, 0, 40, 40], [4, 0, 44, 40]]]
    recall = measure(photographs(tmp_path, faces), answering([[[2, 0, 42, 40]]]))
    assert recall.recall(0.9).found == 2


def test_ignored_and_small_faces_do_not_count(tmp_path):
    dataset = photographs(tmp_path, FACES, ignore=[[False, True], [], [False]])
    recall = measure(dataset, answering(FACES))
    assert recall.heights.tolist() == [20, 50]
    recall = measure(dataset, answering(FACES), min_face_size=20.0)
    assert recall.heights.tolist() == [20, 50]
    recall = measure(dataset, answering(FACES), min_face_size=21)
    assert recall.heights.tolist() == [50]


def test_unreadable_photographs_are_left_out(tmp_path):
    dataset = photographs(tmp_path, FACES)
    (tmp_path / "0.png").unlink()
    recall = measure(dataset, answering(FACES))
    assert recall.heights.tolist() == [50]
    assert len(recall.boxes) == 2


def test_without_any_photograph_there_is_nothing_to_measure(tmp_path):
    dataset = photographs(tmp_path, FACES)
    for number in NUMBERS:
        (tmp_path / f"{number}.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"no photograph of made up can be used \(.*0\.png"):
        measure(dataset, answering(FACES))
    with pytest.raises(InputError, match=r"no photograph of nothing can be used \(there are none\)"):
        measure(Dataset([], "nothing"), answering(FACES))


def weak() -> StageRecall:
    """Of 1,234 faces 62 %: of those of 20 to 40 pixels 31 %, of those of 40 to 80 pixels 81.4 %."""
    best = np.zeros(1234)
    heights = np.repeat([20.0, 50.0], [476, 758])
    best[:148], best[476 : 476 + 617] = 0.5, 0.9
    return StageRecall("P-Net", best, heights, np.array([10, 20, 30]))


def test_a_weak_stage_is_refused_in_words():
    with pytest.raises(StageTooWeakError) as refusal:
        check_stage(weak())
    assert str(refusal.value) == (
        "P-Net finds 62 % of 1,234 faces at IoU 0.5, below the floor of 80 %: the next stage would be "
        "trained on what is left. Train it longer or on more faces, or lower its threshold "
        "(worst: 31 % of 476 faces of 20-40 px)"
    )
    assert isinstance(refusal.value, InputError)


def test_the_floor_itself_is_enough():
    best = np.array([0.5, 0.5, 0.5, 0.5, 0.49])
    check_stage(StageRecall("P-Net", best, np.full(5, 30.0), np.array([5])))
    with pytest.raises(StageTooWeakError, match="80 % of 5 faces"):
        check_stage(StageRecall("P-Net", best, np.full(5, 30.0), np.array([5])), floor=0.81)
    with pytest.raises(StageTooWeakError, match=r"at IoU 0\.6"):
        check_stage(StageRecall("P-Net", best, np.full(5, 30.0), np.array([5])), iou=0.6)


@pytest.mark.parametrize("value", [-0.1, 1.1, "half", None])
def test_shares_out_of_range_are_refused(value):
    with pytest.raises(InputError, match="floor="):
        check_stage(weak(), floor=value)
    with pytest.raises(InputError, match="iou="):
        weak().recall(value)


def test_a_stage_that_lets_everything_through_is_refused():
    boxes = np.array([1000, 3000])
    check_stage(StageRecall("P-Net", np.ones(3), np.full(3, 30.0), boxes))
    with pytest.raises(StageTooWeakError) as refusal:
        check_stage(StageRecall("P-Net", np.ones(3), np.full(3, 30.0), boxes + 1))
    assert str(refusal.value) == (
        "P-Net lets through 2,001 boxes per photograph, above the limit of 2,000: it does not choose yet. "
        "Train it longer, or raise its threshold"
    )
    with pytest.raises(StageTooWeakError, match="above the limit of 5"):
        check_stage(StageRecall("P-Net", np.ones(3), np.full(3, 30.0), np.array([6])), most_boxes=5)


@pytest.mark.parametrize("value", [0, float("nan"), "many"])
def test_a_limit_that_makes_no_sense_is_refused(value):
    with pytest.raises(InputError, match="most_boxes="):
        check_stage(weak(), most_boxes=value)


def test_no_faces_are_no_proof():
    nobody = StageRecall("P-Net", np.zeros(0), np.zeros(0), np.array([3]))
    with pytest.raises(InputError, match="no faces to measure P-Net by") as refusal:
        check_stage(nobody)
    assert not isinstance(refusal.value, StageTooWeakError)
    assert "0 faces" in str(nobody)


def test_the_table():
    lines = str(weak()).splitlines()
    assert lines[0] == "P-Net: 1,234 faces of 3 photographs, 20.0 boxes per photograph"
    assert lines[1].split() == ["IoU", "all", "20-40", "px", "40-80", "px"]
    rows = {line.split()[0]: line.split()[1:] for line in lines[2:]}
    assert rows["0.5"] == ["62", "%", "31", "%", "81", "%"]
    assert rows["0.6"] == ["50", "%", "0", "%", "81", "%"]
    assert rows["faces"] == ["1,234", "476", "758"]
    assert len({len(line) for line in lines[1:]}) == 1
