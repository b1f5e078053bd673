"""What ``minidet benchmark`` does once its options are known."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tqdm import tqdm

import minidet
from minidet import benchmark
from minidet.benchmark import ALL_PEERS, CASES, Inputs, Photographs, Results, Roofline, Row
from minidet.cli.files import bundled_portrait, find_images, make_writable
from minidet.cli.terminal import show
from minidet.errors import InputError


def run_benchmark(options: argparse.Namespace) -> int:
    """Measure and print; return the exit status."""
    cases = choose_cases(options.cases)
    wanted = choose_peers(options.against)
    threads = options.threads or ([1, 2] if (os.cpu_count() or 1) > 1 else [1])
    folder = None if options.out is None else Path(options.out)
    if folder is not None:
        make_writable(folder)
    peers = benchmark.find_interpreters(wanted, options.peer_python, required=options.against or ())
    absent = [name for name in wanted if name not in peers]
    machine = benchmark.describe_machine()
    show("\n".join(f"{name}: {value}" for name, value in machine.items()))
    if absent:
        show(f"not installed: {', '.join(absent)}")

    photographs = read_photographs(options.images)
    inputs = {case.name: case.make(photographs) for case in cases}
    results = Results()
    blocks = sum(
        benchmark.count_blocks(case, len(inputs[case.name].labels), peers, len(threads), options.runs)
        for case in cases
    )
    # tqdm's disable=None hides the bar unless it would go to a terminal.
    with tqdm(total=blocks, unit="block", disable=None) as bar:
        for case in cases:
            bar.set_description(case.name)
            measure(case, inputs[case.name], results, peers, threads, options, bar)
            show("\n" + benchmark.as_table(row for row in results.rows if row.case == case.name))
    if options.cold:
        benchmark.time_command(Path(bundled_portrait().name), results)
    show("\n" + benchmark.describe_starts(results.starts))
    roofline = None
    if options.roofline:
        roofline = measure_roofline()
        show("\n" + benchmark.describe_roofline(roofline))
    if folder is not None:
        save(folder, results, machine, absent, roofline)
    return 2 if any(row.contestant == "minidet" and row.milliseconds is None for row in results.rows) else 0


def measure(
    case: benchmark.Case,
    inputs: Inputs,
    results: Results,
    peers: dict[str, str],
    threads: list[int],
    options: argparse.Namespace,
    bar: Any,
) -> None:
    """Run one case, its cold start before it if that is wanted."""
    with ExitStack() as stack:
        environment = None
        if options.cold:
            environment = stack.enter_context(benchmark.empty_cache())
            benchmark.time_cold_start(case, inputs, results, threads=threads[0], environment=environment)
        benchmark.run_case(
            case,
            inputs,
            results,
            peers=peers,
            threads=threads,
            rounds=options.runs,
            done=bar.update,
            environment=environment,
        )


def choose_cases(names: list[str]) -> list[benchmark.Case]:
    """Return the cases of these names, in the order of the list; without names those that are no sweep."""
    for name in names:
        if name not in CASES and name != "all":
            raise InputError(f"benchmark: no case {name!r}; expected {', '.join(CASES)} or all")
    if "all" in names:
        return list(CASES.values())
    return [case for case in CASES.values() if (case.name in names if names else not case.sweep)]


def choose_peers(names: list[str] | None) -> list[str]:
    """Return the peers to look for."""
    for name in names or ():
        if name not in ALL_PEERS:
            raise InputError(f"benchmark: no peer {name!r}; expected {', '.join(ALL_PEERS)}")
    return list(ALL_PEERS) if names is None else names


def read_photographs(arguments: list[str]) -> Photographs:
    """Read the bundled portrait and the images the user has given."""
    others = {}
    for number, image in enumerate(find_images(arguments), start=1):
        try:
            others[f"{number}"] = minidet.read_image(image.source)
        except InputError as error:
            raise InputError(f"benchmark: {error}") from error
    return Photographs(minidet.read_image(bundled_portrait().source), others)


def measure_roofline() -> Roofline:
    """Measure the machine, and the steps of the shipped RetinaFace."""
    if not minidet.fast.is_available():
        raise InputError("benchmark: --roofline needs Numba's compiler, which NUMBA_DISABLE_JIT switches off")
    network: Any = minidet.RetinaFace().network
    return benchmark.measure_roofline(network)


def save(
    folder: Path, results: Results, machine: dict[str, str], absent: list[str], roofline: Roofline | None
) -> None:
    """Write the tables and draw the plots."""
    everything = results, machine, absent, roofline
    (folder / "results.json").write_text(benchmark.as_json(*everything), encoding="utf-8")
    (folder / "results.md").write_text(benchmark.as_markdown(*everything), encoding="utf-8")
    plots = save_plots(folder, results.rows, roofline)
    show(
        f"written: {', '.join(str(folder / name) for name in ('results.json', 'results.md', *plots))}",
        file=sys.stderr,
    )


def save_plots(folder: Path, rows: list[Row], roofline: Roofline | None) -> list[str]:
    """Draw what there is to draw; return the names of the files."""
    # Here, because matplotlib takes a second, which who wants no plots should not wait for.
    from minidet.viz.benchmark import draw_roofline, draw_shares, draw_times
    from minidet.viz.figure import new_axes, save_figure

    drawn = []
    compared = [
        row
        for row in rows
        if row.share is not None and row.contestant in ALL_PEERS and not _is_sweep(row.case)
    ]
    if compared:
        axes = new_axes(height=1.2 + 0.24 * len(compared))
        labels = [f"{row.case} {row.instance}, {_threads(row)}: {row.contestant}" for row in compared]
        draw_shares(axes, labels, [row.share for row in compared if row.share])
        save_figure(axes, folder / "shares.png")
        drawn.append("shares.png")
    for name in dict.fromkeys(row.case for row in rows if _is_sweep(row.case)):
        of_case = [row for row in rows if row.case == name]
        instances = list(dict.fromkeys(row.instance for row in of_case))
        lines: dict[tuple[str, str], list[float | None]] = {}
        for row in of_case:
            line = lines.setdefault((row.contestant, _threads(row)), [None] * len(instances))
            line[instances.index(row.instance)] = row.milliseconds.median if row.milliseconds else None
        axes = draw_times(new_axes(), instances, lines, x_label=CASES[name].sweep)
        axes.set_title(CASES[name].title, fontsize=10)
        save_figure(axes, folder / f"{name}.png")
        drawn.append(f"{name}.png")
    if roofline is not None:
        points = {
            layer.name: (2 * layer.multiply_adds / layer.bytes, 2e-9 * layer.multiply_adds / layer.seconds)
            for layer in roofline.layers
            if layer.multiply_adds and layer.seconds
        }
        axes = draw_roofline(new_axes(), roofline.peak_gflops, roofline.copy_gigabytes, points)
        save_figure(axes, folder / "roofline.png")
        drawn.append("roofline.png")
    return drawn


def _is_sweep(case: str) -> bool:
    return bool(CASES[case].sweep)


def _threads(row: Row) -> str:
    return f"{row.threads} thread{'s' * (row.threads != 1)}"
