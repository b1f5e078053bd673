"""Running a detector over a data set: in order, in parallel, broken off and resumed."""

import json
import os
import signal
import threading
import time

import numpy as np
import pytest
from PIL import Image

import minidet
from minidet.datasets import Annotation, Dataset
from minidet.detections import Detections
from minidet.errors import InputError
from minidet.evaluation.predict import predict
from minidet.evaluation.resize_rule import ResizeRule
from minidet.evaluation.views import ViewSettings
from minidet.fast import get_num_threads, set_num_threads

PHOTOGRAPHS = 6
JOBS = pytest.mark.parametrize("jobs", [1, 2])
THREADS = 3  # unlike any default a test could mistake it for


@pytest.fixture(autouse=True)
def threads():
    """Three threads, given back afterwards."""
    before = get_num_threads()
    set_num_threads(THREADS)
    yield
    set_num_threads(before)


@pytest.fixture
def dataset(tmp_path):
    """Six photographs of noise, of different sizes; the first pixel is the number of the photograph."""
    rng = np.random.default_rng(0)
    annotations = []
    for number in range(PHOTOGRAPHS):
        path = tmp_path / "photographs" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (5 + number, 8, 3), np.uint8)
        pixels[0, 0] = number
        Image.fromarray(pixels).save(path)
        annotations.append(Annotation(path, path.name, []))
    return Dataset(annotations, "test:noise")


class NoisyDetector:
    """As many faces as the photograph's number, at places that its pixels decide.

    ``fail_at`` is the number of the photograph on which it raises ``error`` instead. ``seen`` collects the
    numbers, ``threads`` how many threads the fast backend had.
    """

    def __init__(self, fail_at=None, error=RuntimeError("broken")):  # noqa: B008
        self.fail_at, self.error = fail_at, error
        self.seen, self.threads = [], []

    def detect(self, source):
        number = int(source[0, 0, 0])
        self.seen.append(number)
        self.threads.append(get_num_threads())
        if number == self.fail_at:
            raise self.error
        rng = np.random.default_rng(int(source.astype(np.int64).sum()))
        return Detections(
            rng.uniform(0, 1000, (number, 4)), rng.uniform(0, 1, number), rng.normal(0, 9, (number, 5, 2))
        )


def run(dataset, detector, **options):
    return predict(dataset, detector, **{"progress": False, "jobs": 1} | options)


def assert_same(results, others):
    assert len(results) == len(others)
    for one, other in zip(results, others, strict=True):
        for name in ("boxes", "scores", "landmarks"):
            assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


# ---- Results ---------------------------------------------------------------------------------------


@JOBS
def test_one_result_per_photograph_in_order(dataset, jobs):
    detector = NoisyDetector()
    results = run(dataset, detector, jobs=jobs)
    assert [len(faces) for faces in results] == list(range(PHOTOGRAPHS))
    assert sorted(detector.seen) == list(range(PHOTOGRAPHS))
    assert_same(results, [NoisyDetector().detect(sample.image) for sample in dataset])


def test_in_order_even_if_the_first_is_the_last_to_be_finished(dataset):
    class Slow(NoisyDetector):
        def detect(self, source):
            if source[0, 0, 0] == 0:
                deadline = time.monotonic() + 30
                while len(self.seen) < 3 and time.monotonic() < deadline:
                    time.sleep(0.001)
            return super().detect(source)

    detector = Slow()
    results = run(dataset, detector, jobs=2)
    assert detector.seen.index(0) >= 3
    assert [len(faces) for faces in results] == list(range(PHOTOGRAPHS))


@JOBS
def test_views_are_what_the_detector_is_shown(dataset, jobs):
    shapes = []

    class Looking:
        def detect(self, source):
            shapes.append(source.shape)
            return Detections.empty()

    views = ViewSettings(scales=(ResizeRule.parse("20x10"),), flip=True, merge="nms")
    results = run(dataset, Looking(), views=views, jobs=jobs)
    assert [len(faces) for faces in results] == [0] * PHOTOGRAPHS
    assert shapes == [(10, 20, 3)] * (2 * PHOTOGRAPHS)


@JOBS
def test_no_photographs(jobs, tmp_path):
    assert run(Dataset([], "nothing"), NoisyDetector(), jobs=jobs) == []
    assert run(Dataset([], "nothing"), NoisyDetector(), jobs=jobs, journal=tmp_path / "j") == []


def test_a_real_detector(tmp_path, small_portrait):
    detector = minidet.MTCNN(min_face_size=40)
    path = tmp_path / "portrait.png"
    Image.fromarray(small_portrait[40:90, 40:90]).save(path)  # small: the definitions are slow without Numba
    dataset = Dataset([Annotation(path, name, []) for name in "ab"], "test:portrait")
    expected = detector.detect(path)
    assert len(expected) == 1
    assert_same(run(dataset, detector, jobs=2, journal=tmp_path / "j"), [expected] * 2)
    assert_same(run(dataset, NoisyDetector(), journal=tmp_path / "j"), [expected] * 2)


# ---- Several at a time -----------------------------------------------------------------------------


def test_two_jobs_are_two_at_a_time(dataset):
    both = threading.Barrier(2, timeout=30)

    class Meeting(NoisyDetector):
        def detect(self, source):
            both.wait()  # a single worker would wait in vain
            return super().detect(source)

    assert len(run(dataset, Meeting(), jobs=2)) == PHOTOGRAPHS


def test_one_job_is_one_at_a_time_and_has_all_threads(dataset):
    detector = NoisyDetector()
    run(dataset, detector, jobs=1)
    assert detector.seen == list(range(PHOTOGRAPHS))
    assert detector.threads == [THREADS] * PHOTOGRAPHS


@pytest.mark.parametrize("jobs", [2, None])
def test_of_several_jobs_each_has_one_thread(dataset, jobs):
    detector = NoisyDetector()
    run(dataset, detector, jobs=jobs)
    assert detector.threads == [1] * PHOTOGRAPHS
    assert get_num_threads() == THREADS


def test_as_many_jobs_as_threads_by_default(dataset):
    everyone = threading.Barrier(THREADS, timeout=30)

    class Meeting(NoisyDetector):
        def detect(self, source):
            everyone.wait()
            return super().detect(source)

    assert len(run(dataset, Meeting(), jobs=None)) == PHOTOGRAPHS  # six photographs, three at a time


@JOBS
@pytest.mark.parametrize("error", [RuntimeError("broken"), InputError("broken")])
def test_the_threads_are_given_back_after_an_error(dataset, jobs, error):
    with pytest.raises(type(error), match=r"^broken$" if type(error) is RuntimeError else r"3\.png: broken$"):
        run(dataset, NoisyDetector(fail_at=3, error=error), jobs=jobs)
    assert get_num_threads() == THREADS


@pytest.mark.parametrize("jobs", [0, -1])
def test_jobs_out_of_range(dataset, jobs):
    with pytest.raises(InputError, match=rf"jobs={jobs}; expected a whole number from 1 up"):
        run(dataset, NoisyDetector(), jobs=jobs)
    assert get_num_threads() == THREADS


# ---- What is refused -------------------------------------------------------------------------------


@JOBS
def test_a_photograph_that_cannot_be_read_is_named(dataset, jobs):
    dataset.annotations[4].path.write_text("not a photograph")
    with pytest.raises(InputError, match=r"4\.png"):
        run(dataset, NoisyDetector(), jobs=jobs)
    assert get_num_threads() == THREADS


@JOBS
def test_a_photograph_that_is_not_there_is_named(dataset, jobs):
    dataset.annotations[4].path.unlink()
    with pytest.raises(InputError, match=r"4\.png"):
        run(dataset, NoisyDetector(), jobs=jobs)


def test_two_photographs_of_one_name(dataset, tmp_path):
    twice = Dataset([*dataset.annotations, dataset.annotations[2]], "test:twice")
    detector = NoisyDetector()
    with pytest.raises(InputError, match=r"^test:twice: two photographs are called '2.png'$"):
        run(twice, detector, journal=tmp_path / "journal")
    assert detector.seen == []
    assert not (tmp_path / "journal").exists()


# ---- Broken off and resumed ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("jobs", "error"), [(1, RuntimeError("broken")), (1, KeyboardInterrupt()), (2, RuntimeError("broken"))]
)
@pytest.mark.parametrize("fail_at", range(PHOTOGRAPHS))
def test_broken_off_and_resumed(dataset, tmp_path, fail_at, error, jobs):
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    expected = run(dataset, NoisyDetector(), journal=unbroken, recipe={"a": 1})

    with pytest.raises(type(error)):
        run(dataset, NoisyDetector(fail_at, error), journal=broken, recipe={"a": 1}, jobs=jobs)
    assert get_num_threads() == THREADS
    done = names_in(broken)
    assert done == [f"{number}.png" for number in range(len(done))]
    assert len(done) == fail_at or (jobs > 1 and len(done) < fail_at)

    detector = NoisyDetector()
    assert_same(run(dataset, detector, journal=broken, recipe={"a": 1}, jobs=jobs), expected)
    assert sorted(detector.seen) == list(range(len(done), PHOTOGRAPHS))
    assert broken.read_bytes() == unbroken.read_bytes()


def test_ctrl_c_while_two_are_at_work(dataset, tmp_path):
    """It comes to the main thread, which waits for results; the fourth comes when that has been told."""
    pressed = threading.Event()

    def interrupt(*_):
        pressed.set()
        raise KeyboardInterrupt

    class Pressing(NoisyDetector):
        def detect(self, source):
            if source[0, 0, 0] == 3:
                deadline = time.monotonic() + 30
                while len(names_in(tmp_path / "broken")) < 3 and time.monotonic() < deadline:
                    time.sleep(0.001)
                os.kill(os.getpid(), signal.SIGINT)
                assert pressed.wait(30)
            return super().detect(source)

    expected = run(dataset, NoisyDetector(), journal=tmp_path / "unbroken")
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(dataset, Pressing(), journal=tmp_path / "broken", jobs=2)
    finally:
        signal.signal(signal.SIGINT, before)
    assert get_num_threads() == THREADS
    assert names_in(tmp_path / "broken") == ["0.png", "1.png", "2.png"]
    assert_same(run(dataset, NoisyDetector(), journal=tmp_path / "broken", jobs=2), expected)
    assert (tmp_path / "broken").read_bytes() == (tmp_path / "unbroken").read_bytes()


def names_in(journal):
    return [json.loads(line)["image"] for line in journal.read_text().splitlines()[1:]]


def test_what_is_done_is_not_done_again(dataset, tmp_path):
    expected = run(dataset, NoisyDetector(), journal=tmp_path / "j")
    for path in (annotation.path for annotation in dataset.annotations):
        path.unlink()  # nor are the photographs read
    detector = NoisyDetector()
    assert_same(run(dataset, detector, journal=tmp_path / "j"), expected)
    assert detector.seen == []


def test_photographs_may_come_in_another_order_or_be_fewer(dataset, tmp_path):
    expected = run(dataset, NoisyDetector(), journal=tmp_path / "j")
    detector = NoisyDetector()
    assert_same(run(dataset[::-2], detector, journal=tmp_path / "j"), expected[::-2])
    assert detector.seen == []


def test_another_recipe(dataset, tmp_path):
    run(dataset, NoisyDetector(), journal=tmp_path / "j", recipe={"model": "one"})
    detector = NoisyDetector()
    with pytest.raises(InputError, match=r'another recipe \(model: "one" there, "two" here\)'):
        run(dataset, detector, journal=tmp_path / "j", recipe={"model": "two"})
    assert detector.seen == []
    assert get_num_threads() == THREADS


# ---- Progress --------------------------------------------------------------------------------------


@JOBS
def test_a_progress_bar_if_wanted(dataset, tmp_path, capsys, jobs):
    run(dataset, NoisyDetector(), journal=tmp_path / "j", jobs=jobs)
    assert capsys.readouterr() == ("", "")
    run(dataset, NoisyDetector(), jobs=jobs, progress=True)
    out, error = capsys.readouterr()
    assert out == ""
    assert "evaluate" in error
    assert "6/6" in error
    predict(dataset, NoisyDetector(), journal=tmp_path / "j", jobs=jobs)  # a bar is the default
    assert "6/6" in capsys.readouterr().err
