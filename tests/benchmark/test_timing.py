"""Medians, ratios and turns, from fixed numbers: nothing here looks at a clock."""

import pytest

from minidet.benchmark.timing import PATIENCE_SECONDS, Spread, alternate, ratio, spread


class Recorder:
    """A runner that takes the seconds it is told to, and notes the turns of all."""

    def __init__(self, name, seconds, turns):
        self.name, self.seconds, self.turns = name, iter(seconds), turns

    def run(self, instance, times, *, warm):
        self.turns.append((self.name, instance, times, warm))
        second = next(self.seconds)
        return [second, 2 * second, 3 * second][:times] if times > 2 else [second] * times


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2.0], (2.0, 2.0, 2.0)),
        ([1.0, 3.0], (2.0, 1.5, 2.5)),
        ([5.0, 1.0, 3.0], (3.0, 2.0, 4.0)),
        ([100.0, 1.0, 2.0, 3.0, 4.0], (3.0, 2.0, 4.0)),  # one outlier moves nothing
    ],
)
def test_spread(values, expected):
    assert spread(values) == Spread(*expected)


def test_ratio_is_taken_round_by_round():
    # The machine is four times slower in round two, for both: every ratio is a half.
    assert ratio([1.0, 4.0, 1.0], [2.0, 8.0, 2.0]) == Spread(0.5, 0.5, 0.5)


def test_ratio_uses_the_rounds_that_both_have():
    assert ratio([1.0, 1.0, 1.0], [4.0]) == Spread(0.25, 0.25, 0.25)


def test_contestants_take_turns_and_change_their_order():
    turns, pauses, done = [], [], []
    runners = {name: Recorder(name, [0.1] * 3, turns) for name in "ab"}
    medians = alternate(
        runners, 7, 3, first={"a": 0.1, "b": 0.1}, done=lambda: done.append(1), pause=pauses.append
    )
    assert "".join(name for name, *_ in turns) == "abbaab"
    assert {instance for _, instance, _, _ in turns} == {7}
    assert medians == {"a": [0.1] * 3, "b": [0.1] * 3}
    assert len(pauses) == len(done) == 6


def test_the_length_of_a_block_follows_from_how_long_a_run_takes():
    turns = []
    runners = {"quick": Recorder("quick", [0.001, 0.01], turns), "slow": Recorder("slow", [5.0, 5.0], turns)}
    medians = alternate(runners, 0, 2, first={"quick": 9.0, "slow": 5.0}, pause=lambda seconds: None)
    assert turns[0] == ("quick", 0, 1, False)  # the first run had to compile
    assert turns[1] == ("slow", 0, 1, False)  # needs no warming up
    assert turns[3] == ("quick", 0, 50, True)
    assert medians["quick"] == [0.001, 0.02]  # the median of a block


def test_who_has_had_enough_time_sits_out(monkeypatch):
    clock = iter(range(0, 100_000, int(PATIENCE_SECONDS) // 2 + 1))
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    turns, done = [], []
    runners = {"a": Recorder("a", [1.0] * 9, turns)}
    medians = alternate(
        runners, 0, 9, first={"a": 1.0}, done=lambda: done.append(1), pause=lambda seconds: None
    )
    assert len(turns) == len(medians["a"]) == 2
    assert len(done) == 9  # so that a progress bar arrives
