from minidet.viz.benchmark import draw_roofline, draw_shares, draw_times
from minidet.viz.figure import COLOURS, new_axes, save_figure


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_a_bar_and_its_number_for_each_share():
    ax = new_axes()
    assert draw_shares(ax, ["a", "b"], [(0.5, 0.4, 0.6), (1.5, 1.4, 1.7)]) is ax
    assert [patch.get_width() for patch in ax.patches] == [0.5, 1.5]
    assert texts(ax) == ["0.50", "1.50"]
    faster, slower = ax.patches
    assert faster.get_facecolor() != slower.get_facecolor()
    assert ax.get_xlim()[1] > 1.7


def test_lines_with_a_gap():
    ax = new_axes()
    draw_times(ax, ["1", "2", "3"], {("minidet", "1 thread"): [1.0, None, 3.0]}, x_label="faces")
    (line,) = ax.lines
    assert line.get_label() == "minidet, 1 thread"
    assert line.get_ydata()[[0, 2]].tolist() == [1.0, 3.0]
    assert ax.get_xlabel() == "faces"


def test_of_neighbours_one_is_labelled_and_savers_stand_out():
    ax = new_axes()
    points = {"first": (10.0, 80.0), "beside": (11.0, 81.0), "above": (11.0, 300.0)}
    draw_roofline(ax, 100.0, 20.0, points)
    assert texts(ax) == ["100 GFLOP/s", "20 GB/s", "first", "above"]
    assert [line.get_color() for line in ax.lines[1:]] == [COLOURS[0], COLOURS[0], COLOURS[1]]


def test_a_figure_is_written(tmp_path):
    save_figure(draw_shares(new_axes(), ["a"], [(0.5, 0.4, 0.6)]), tmp_path / "shares.png")
    assert (tmp_path / "shares.png").read_bytes().startswith(b"\x89PNG")
