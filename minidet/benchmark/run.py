"""One case after the other: prepare, verify, then time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from minidet.benchmark.agreement import Arrays, DisagreementError, Judge
from minidet.benchmark.cases import Case, Inputs
from minidet.benchmark.contestants import ALL_PEERS, MINIDET, READABLE, Contestant
from minidet.benchmark.process import Process, WorkerError
from minidet.benchmark.timing import Spread, alternate, ratio, spread


@dataclass(frozen=True)
class Row:
    """What came of one contestant on one instance of a case.

    Attributes
    ----------
    case, instance, contestant : str
    threads : int
    agreement : str
        How well its result agrees with the definitions, or why it was not timed.
    milliseconds : Spread or None
        Of a run in the steady state; None if it was not timed.
    share : Spread or None
        minidet's time as a share of this one's, below 1 where minidet is faster; None for minidet itself.
    """

    case: str
    instance: str
    contestant: str
    threads: int
    agreement: str
    milliseconds: Spread | None = None
    share: Spread | None = None


@dataclass(frozen=True)
class Start:
    """How a contestant began, and what it came to need, in a case.

    Attributes
    ----------
    case, contestant : str
    threads : int
    load_seconds : float
        Importing, reading weights, building the network.
    first_seconds : float
        The first run of the first instance.
    megabytes : float
        The most memory the process has used in the whole case, its inputs included.
    compiled : bool
        Whether minidet had to compile, for want of machine code on disk.
    """

    case: str
    contestant: str
    threads: int
    load_seconds: float
    first_seconds: float
    megabytes: float
    compiled: bool


@dataclass
class Results:
    """What a run of the benchmark has found so far.

    Attributes
    ----------
    rows : list of Row
    starts : list of Start
    versions : dict
        Of everything that has taken part.
    """

    rows: list[Row] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Prepared:
    """A contestant that is ready: its process, what it has computed, and how it began."""

    process: Process
    outputs: Sequence[Arrays]
    answer: dict[str, Any]


def count_blocks(case: Case, instances: int, peers: Mapping[str, str], threads: int, rounds: int) -> int:
    """Return how many blocks :func:`run_case` has to time, for a progress bar."""
    taking_part = 1 + sum(name in peers for name in case.peers)  # for every number of threads
    return instances * rounds * (threads * taking_part + 1)  # the definitions have one thread


def run_case(
    case: Case,
    inputs: Inputs,
    results: Results,
    *,
    peers: Mapping[str, str],
    threads: Sequence[int],
    rounds: int,
    done: Callable[[int], object] = lambda blocks: None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Verify and time one case with all contestants that can take part, and add what is found to ``results``.

    Parameters
    ----------
    case : Case
    inputs : Inputs
        From ``case.make``.
    results : Results
    peers : dict
        The interpreter of each peer that is to take part.
    threads : sequence of int
        One after the other. The definitions are timed with the first only: they use one thread.
    rounds : int
        How often each contestant has its turn.
    done : callable
        Called with a number of blocks that are timed or left out.
    environment : dict
        Variables for minidet's own processes.

    Raises
    ------
    WorkerError
        If the definitions themselves cannot be run.
    """
    judges: dict[Contestant, Judge] = {MINIDET: case.judge}
    judges |= {ALL_PEERS[name]: judge for name, judge in case.peers.items() if name in peers}
    reference: Sequence[Arrays] | None = None
    for count in threads:
        contestants = {READABLE: case.judge, **judges} if reference is None else judges
        with ExitStack() as stack:
            ready: dict[Contestant, _Prepared] = {}
            for contestant in contestants:
                own = contestant.backend != ""
                python = sys.executable if own else peers[contestant.name]
                process = Process(contestant, count, python=python, environment=environment if own else None)
                stack.enter_context(process)
                try:
                    answer, outputs = process.prepare(case.task, inputs.arrays, inputs.settings)
                except WorkerError as error:
                    if contestant == READABLE:
                        raise
                    results.rows += [
                        Row(case.name, label, contestant.name, count, f"not timed, failed: {error}")
                        for label in inputs.labels
                    ]
                    done(len(inputs.labels) * rounds)
                    continue
                ready[contestant] = _Prepared(process, outputs, answer)
                results.versions |= answer["versions"]
            if reference is None:
                reference = ready[READABLE].outputs
            for instance, label in enumerate(inputs.labels):
                place = case.name, label, count
                right = _verify(place, contestants, ready, reference[instance], instance, results)
                done((len(ready) - len(right)) * rounds)
                _time(place, right, ready, instance, rounds, results, done)
            results.starts += [
                Start(
                    case.name,
                    contestant.name,
                    count,
                    prepared.answer["load"],
                    prepared.answer["first"][0],
                    prepared.process.peak_memory(),
                    prepared.answer["compiled"],
                )
                for contestant, prepared in ready.items()
            ]


Place = tuple[str, str, int]


def _verify(
    place: Place,
    judges: Mapping[Contestant, Judge],
    ready: Mapping[Contestant, _Prepared],
    reference: Arrays,
    instance: int,
    results: Results,
) -> dict[Contestant, str]:
    """Return who is right, and how well they agree; note the others in the results."""
    case, label, threads = place
    right = {}
    for contestant, prepared in ready.items():
        try:
            agreement = judges[contestant](reference, prepared.outputs[instance])
        except DisagreementError as error:
            results.rows.append(Row(case, label, contestant.name, threads, f"not timed, wrong: {error}"))
        else:
            right[contestant] = "the definition" if contestant == READABLE else agreement
    return right


def _time(
    place: Place,
    right: Mapping[Contestant, str],
    ready: Mapping[Contestant, _Prepared],
    instance: int,
    rounds: int,
    results: Results,
    done: Callable[[int], object],
) -> None:
    case, label, threads = place
    seconds = alternate(
        {contestant.name: ready[contestant].process for contestant in right},
        instance,
        rounds,
        first={contestant.name: ready[contestant].answer["first"][instance] for contestant in right},
        done=lambda: done(1),
    )
    ours = seconds.get(MINIDET.name)
    for contestant, agreement in right.items():
        blocks = seconds[contestant.name]
        results.rows.append(
            Row(
                case,
                label,
                contestant.name,
                threads,
                agreement,
                Spread(*(1000 * value for value in spread(blocks))),
                ratio(ours, blocks) if ours and contestant != MINIDET else None,
            )
        )
