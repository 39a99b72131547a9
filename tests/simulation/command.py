"""The command line: plays many seeds in some processes, prints figures, and for a violation how to see it again."""

import sys
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Final, TextIO

import django

from tests.simulation.scenario import FAULT_KINDS, Scenario, draw
from tests.simulation.shrink import shrink
from tests.simulation.world import Outcome, play

TRACE_LINES: Final = 60
SHRUNK: Final = 3
"""Violations that are cut down to a small scenario; of the others only the seed is told."""
LEAST_READS: Final = 200
LEAST_FAULTS: Final = 20


@dataclass
class Sum:
    """What all seeds together came to."""

    seeds: int = 0
    simulated_s: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)
    thin: int = 0
    hashes: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count one seed in."""
        self.seeds += 1
        self.simulated_s += outcome.simulated_s
        self.counts.update(outcome.counts)
        self.hashes ^= int(outcome.hash, 16)
        faults = sum(n for name, n in outcome.counts.items() if name.startswith("fault "))
        self.thin += outcome.counts["reads"] < LEAST_READS or faults < LEAST_FAULTS
        if outcome.violations:
            self.broken.append((outcome.scenario.seed, outcome.violations))


def run(arguments: Sequence[str]) -> int:
    """Play seeds as the arguments say; return 1 where anything was broken."""
    options = _options(arguments)
    if options.trace:
        outcome = play(draw(options.first))
        sys.stdout.write("\n".join((*outcome.trace, *outcome.violations, f"hash {outcome.hash}", "")))
        return int(bool(outcome.violations))
    began = time.perf_counter()
    total = Sum()
    for outcome in _outcomes(range(options.first, options.first + options.seeds), options.jobs):
        total.add(outcome)
        _show_progress(total, options, time.perf_counter() - began, outcome)
    _print(total, time.perf_counter() - began, sys.stdout)
    return int(bool(total.broken))


def _options(arguments: Sequence[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds to play (100)")
    parser.add_argument("--first", type=int, default=1, help="the first seed (1)")
    parser.add_argument("--jobs", type=int, default=2, help="processes to play in (2)")
    parser.add_argument("--trace", action="store_true", help="play the first seed alone and print its trace")
    return parser.parse_args(arguments)


def _outcomes(seeds: Iterable[int], jobs: int) -> Iterator[Outcome]:
    """Yield what became of each seed, in order; traces stay behind, they repeat from the seed."""
    if jobs < 2:
        yield from map(_play_seed, seeds)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=django.setup) as pool:
        yield from pool.map(_play_seed, seeds, chunksize=4)


def _play_seed(seed: int) -> Outcome:
    played = play(draw(seed))
    return Outcome(Scenario(seed, ()), played.hash, played.violations, (), played.counts, played.simulated_s)


def _show_progress(total: Sum, options: Namespace, took_s: float, outcome: Outcome) -> None:
    if outcome.violations:
        print(f"seed {outcome.scenario.seed}: {outcome.violations[0]}", file=sys.stderr, flush=True)
    if total.seeds % 100 == 0 and total.seeds < options.seeds:
        line = f"{total.seeds} of {options.seeds} seeds, {total.seeds / took_s:.1f} a second"
        print(f"{line}, {len(total.broken)} with violations", file=sys.stderr, flush=True)


def _print(total: Sum, took_s: float, out: TextIO) -> None:
    hours = total.simulated_s / 3600
    print(f"{total.seeds} seeds in {took_s:.0f} s: {total.seeds / took_s:.1f} seeds/s, {hours:.0f} hours", file=out)
    ordinary = {name: n for name, n in sorted(total.counts.items()) if not name.startswith("fault ")}
    print("  " + ", ".join(f"{n} {name}" for name, n in ordinary.items()), file=out)
    print(f"  seeds with fewer than {LEAST_READS} reads or {LEAST_FAULTS} faults: {total.thin}", file=out)
    print("faults:", file=out)
    for kind in FAULT_KINDS:
        print(f"  {kind:<26} {total.counts[f'fault {kind}']:>8}", file=out)
    print(f"traces: {total.hashes:016x}", file=out)
    print(f"seeds with violations: {len(total.broken)}", file=out)
    for seed, violations in total.broken[:SHRUNK]:
        _print_broken(seed, violations, out)
    for seed, violations in total.broken[SHRUNK:]:
        print(f"seed {seed}: {violations[0]}", file=out)


def _print_broken(seed: int, violations: tuple[str, ...], out: TextIO) -> None:
    print(f"\nseed {seed} (again with `python -m tests.simulation --first {seed} --trace`):", file=out)
    for violation in violations[:5]:
        print(f"  {violation}", file=out)
    small = shrink(draw(seed), lambda scenario: bool(play(scenario).violations))
    again = play(small)
    print(f"  still broken with {len(small.steps)} steps:", file=out)
    for step in small.steps:
        print(f"    {tuple(step)!r}", file=out)
    for violation in again.violations[:3]:
        print(f"  {violation}", file=out)
    print(f"  the last {TRACE_LINES} lines of its trace:", file=out)
    for line in again.trace[-TRACE_LINES:]:
        print(f"    {line}", file=out)
