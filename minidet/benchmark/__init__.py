"""How fast, compared with whom: every case is verified first and then timed, in turns with its peers.

Every contestant runs in a process of its own (``peers``), with the same number of threads; while one is timed
the others wait. Where to read on::

    cases         what is measured, on which inputs
    contestants   who takes part, and which interpreter has them
    agreement     is it right?
    run           prepare, verify, time: one case after the other
    process       the other end of a worker; peers/worker.py is the worker
    timing        in turns, medians, ratios
    cold          the first time, with nothing compiled
    roofline      how fast it could be at best
    report        tables

minidet needs none of its peers: a script in ``peers`` imports its library by name, when it is run.
"""

from minidet.benchmark.cases import CASES, Case, Inputs, Photographs
from minidet.benchmark.cold import empty_cache, time_cold_start, time_command
from minidet.benchmark.contestants import ALL_PEERS, Contestant, find_interpreters
from minidet.benchmark.machine import describe_machine
from minidet.benchmark.report import as_json, as_markdown, as_table, describe_roofline, describe_starts
from minidet.benchmark.roofline import Roofline, measure_roofline
from minidet.benchmark.run import Results, Row, Start, count_blocks, run_case

__all__ = [
    "ALL_PEERS",
    "CASES",
    "Case",
    "Contestant",
    "Inputs",
    "Photographs",
    "Results",
    "Roofline",
    "Row",
    "Start",
    "as_json",
    "as_markdown",
    "as_table",
    "count_blocks",
    "describe_machine",
    "describe_roofline",
    "describe_starts",
    "empty_cache",
    "find_interpreters",
    "measure_roofline",
    "run_case",
    "time_cold_start",
    "time_command",
]
