"""``group_by_content``: copies made on purpose, and a slow twin of the measure."""

import io
import itertools
import shutil

import numpy as np
import pytest
from PIL import Image, ImageEnhance

import minidet.datasets.near_duplicates as module
from minidet.datasets import Annotation, Dataset, group_by_content, synthetic_dataset

PICTURES = 6


@pytest.fixture(scope="module")
def drawn():
    """Pictures with nothing in common, as wide as high."""
    return [Image.fromarray(one.read()) for one in synthetic_dataset(PICTURES, seed=3).annotations]


@pytest.fixture
def group(tmp_path, drawn):
    """Save pictures, after those of ``drawn``, and return the groups of the saved ones."""
    for number, picture in enumerate(drawn):
        picture.save(tmp_path / f"{number}.jpg", quality=95)

    def call(*pictures, **options):
        paths = [tmp_path / f"{number}.jpg" for number in range(PICTURES)]
        for number, picture in enumerate(pictures):
            paths.append(tmp_path / f"more{number}.png")
            picture.save(paths[-1], **options)
        groups = group_of(paths)
        assert groups[:PICTURES] == list(range(PICTURES))
        return groups[PICTURES:]

    return call


def group_of(paths):
    dataset = Dataset([Annotation(path, path.name, []) for path in paths], "test")
    groups = group_by_content(dataset)
    assert groups.dtype == np.int64
    return groups.tolist()


def cropped(picture, left=0.0, top=0.0, right=0.0, bottom=0.0):
    width, height = picture.size
    corners = (left * width, top * height, width - right * width, height - bottom * height)
    return picture.crop(tuple(map(round, corners)))


def jpeg(picture, quality):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file)


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: picture,
        lambda picture: picture.resize((picture.width // 2, picture.height // 2)),
        lambda picture: picture.resize((picture.width, picture.height // 2)),
        lambda picture: jpeg(picture, 20),
        lambda picture: ImageEnhance.Brightness(picture).enhance(0.6),
        lambda picture: ImageEnhance.Contrast(picture).enhance(0.5),
        lambda picture: Image.fromarray(np.asarray(picture)[:, :, ::-1]),
        lambda picture: picture.convert("L"),
        lambda picture: picture.convert("RGBA"),
        lambda picture: cropped(picture, right=0.2),
        lambda picture: cropped(picture, left=0.2),
        lambda picture: cropped(picture, top=0.2),
        lambda picture: cropped(picture, bottom=0.24),
        lambda picture: cropped(picture, top=0.1, bottom=0.12),
        lambda picture: cropped(picture, 0.08, 0.08, 0.08, 0.08),
        lambda picture: cropped(picture, left=0.09, bottom=0.07),
    ],
)
def test_a_changed_copy_is_in_the_group_of_its_original(group, drawn, change):
    assert group(*(change(picture) for picture in drawn)) == list(range(PICTURES))


def test_half_a_picture_and_its_mirror_image_are_others(group, drawn):
    picture = drawn[2]
    halves = [cropped(picture, right=0.6), cropped(picture, left=0.6)]
    assert group(*halves, picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == [6, 7, 8]


@pytest.mark.parametrize("quality", [None, 90])
def test_a_copy_that_exif_turns_upright_is_a_copy(tmp_path, drawn, quality):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    ending, options = (".png", {}) if quality is None else (".jpg", {"quality": quality})
    paths = [tmp_path / f"{name}{ending}" for name in ("upright", "lying", "lying_without")]
    lying = drawn[0].transpose(Image.Transpose.ROTATE_90)
    drawn[0].save(paths[0], **options)
    lying.save(paths[1], exif=exif, **options)
    lying.save(paths[2], **options)
    assert group_of(paths) == [0, 0, 1]


def test_a_group_is_closed(tmp_path, drawn):
    """Two crops that have too little in common are one group if the whole picture is there."""
    pictures = [cropped(drawn[1], right=0.24), cropped(drawn[1], left=0.24), drawn[1]]
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path, picture in zip(paths, pictures, strict=True):
        picture.save(path)
    assert group_of(paths[:2]) == [0, 1]
    assert group_of(paths) == [0, 0, 0]


def test_numbers_are_in_the_order_of_the_first(tmp_path, drawn):
    for number in range(3):
        drawn[number].save(tmp_path / f"{number}.png")
    order = [2, 0, 2, 1, 0]
    paths = []
    for place, number in enumerate(order):
        paths.append(tmp_path / f"at{place}.png")
        shutil.copy(tmp_path / f"{number}.png", paths[-1])
    assert group_of(paths) == [0, 1, 0, 2, 1]


def test_pictures_of_one_colour(tmp_path):
    """They resemble nothing, but copies of one are copies."""
    paths = []
    for number, grey in enumerate([0, 90, 90, 255]):
        paths.append(tmp_path / f"{number}.png")
        Image.new("RGB", (40, 30), (grey, grey, grey)).save(paths[-1])
    assert group_of(paths) == [0, 1, 1, 2]


def test_what_cannot_be_read_is_alone(tmp_path, drawn):
    names = ["missing.jpg", "missing.jpg", "text.jpg", "also_text.jpg", "cut.jpg", "good.jpg"]
    paths = [tmp_path / name for name in names]
    for path in paths[2:4]:
        path.write_text("no picture")
    drawn[0].save(paths[5])
    paths[4].write_bytes(paths[5].read_bytes()[:3000])
    assert group_of([*paths, tmp_path]) == [0, 1, 2, 3, 4, 5, 6]


def test_unreadable_ones_between_copies(tmp_path, drawn):
    paths = [tmp_path / name for name in ("missing.jpg", "a.png", "none.jpg", "b.png", "c.png")]
    drawn[0].save(paths[1])
    drawn[1].save(paths[3])
    cropped(drawn[1], top=0.2).save(paths[4])
    assert group_of(paths) == [0, 1, 2, 3, 3]


def test_products_are_correlations(drawn):
    thumbnails = np.stack([np.asarray(picture.convert("L").resize((32, 32))) for picture in drawn])
    features = module._features(thumbnails, ((0.0, 0.76), (0.08, 1.0)))
    assert features.shape == (PICTURES, 256)
    np.testing.assert_allclose(features.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)


def test_numbering_anew():
    assert module._in_order(np.array([2, 0, 1, 2])).tolist() == [0, 1, 2, 0]
    assert module._in_order(np.array([7, 7, 3, 9, 3])).tolist() == [0, 0, 1, 2, 1]


def test_drawn_pictures_are_not_drawn(monkeypatch):
    first, other = synthetic_dataset(4), synthetic_dataset(4, seed=1)
    monkeypatch.setattr(type(first.annotations[0]), "read", None)
    together = Dataset([*first.annotations, *other.annotations, *first.annotations], "three")
    assert group_by_content(together).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3]


def test_no_photographs():
    assert group_by_content(Dataset([], "none")).shape == (0,)


def test_a_small_block_changes_nothing(group, drawn, monkeypatch):
    pictures = [cropped(drawn[4], bottom=0.2), drawn[0], drawn[5]]
    monkeypatch.setattr(module, "BLOCK", 20)  # two rows of nine
    assert group(*pictures) == [4, 0, 5]


def test_of_a_large_set_only_whole_photographs_are_compared(group, drawn, monkeypatch):
    monkeypatch.setattr(module, "CROPS_UP_TO", 7)
    assert group(jpeg(drawn[0], 50), cropped(drawn[4], bottom=0.2)) == [0, 6]


def test_a_slow_twin(tmp_path, drawn):
    """Correlations of cells averaged one by one, the limit set between any two of them."""
    pictures = [drawn[0], cropped(drawn[0], right=0.15), cropped(drawn[0], 0.05, 0.1), drawn[1], drawn[2]]
    paths = [tmp_path / f"{number}.png" for number in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        picture.save(path)
    dataset = Dataset([Annotation(path, path.name, []) for path in paths], "twin")
    cells = [[twin_cells(picture, window) for window in twin_windows()] for picture in pictures]
    likeness = {(i, j): twin_likeness(cells[i], cells[j]) for i, j in itertools.combinations(range(5), 2)}
    values = sorted(likeness.values())
    for low, high in itertools.pairwise(values):
        if high - low < 1e-3:
            continue
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "LIKENESS", (low + high) / 2)
            expected = list(range(5))
            for (i, j), value in likeness.items():
                if value >= high:
                    expected = [expected[i] if group == expected[j] else group for group in expected]
            groups = group_by_content(dataset).tolist()
        assert [[a == b for b in groups] for a in groups] == [[a == b for b in expected] for a in expected]
    assert sum(b - a >= 1e-3 for a, b in itertools.pairwise(values)) >= 7


def twin_windows():
    spans = [(a, b) for a in (0, 6, 12, 18, 24) for b in (0, 6, 12, 18, 24) if a + b <= 25]
    windows = {(*span, 0, 0) for span in spans} | {(0, 0, *span) for span in spans}
    return sorted(windows | set(itertools.product((0, 8), repeat=4)))


def twin_likeness(first, second):
    """Each window of one against the first window, which is the whole, of the other."""
    return max(
        np.corrcoef(one, other[0])[0, 1] for ones, other in ((first, second), (second, first)) for one in ones
    )


def twin_cells(picture, window):
    """Grey, 32 x 32, the window of it in 16 x 16 cells, minus the mean around."""
    pixels = np.asarray(picture.convert("L").resize((32, 32), Image.Resampling.BOX), np.float64)
    # With each pixel as 25 x 25, every window, in per cent of 800, has whole cells.
    pixels = pixels.repeat(25, axis=0).repeat(25, axis=1)
    top, bottom, left, right = (8 * percent for percent in window)
    inside = pixels[top : 800 - bottom, left : 800 - right]
    height, width = (side // 16 for side in inside.shape)
    assert inside.shape == (16 * height, 16 * width)
    cells = inside.reshape(16, height, 16, width).mean(axis=(1, 3))
    around = np.pad(cells, 2, mode="edge")
    means = [[around[y : y + 5, x : x + 5].mean() for x in range(16)] for y in range(16)]
    return (cells - means).ravel()
