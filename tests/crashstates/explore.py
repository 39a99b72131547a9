"""Build the crash states of a trace and check each; in one process, or in several side by side."""

import logging
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice, pairwise
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

from tests.crashstates.checks import CHECKS
from tests.crashstates.claims import Claims
from tests.crashstates.disk import Disk
from tests.crashstates.recording import working_folder
from tests.crashstates.states import State, Style, build, sampled, telling
from tests.crashstates.trace import Said, Trace

_THOROUGH_EVERY = 25
_KEPT_WRONG = 20


@dataclass(frozen=True, slots=True)
class Job:
    """States to check: up to `per_point` at each operation of the trace from `first` up to `last`, by `seed`."""

    name: str
    trace: Path
    first: int
    last: int
    per_point: int
    seed: int


@dataclass(slots=True)
class Tally:
    """What was checked, and what came of it; `wrong` names the state (operation:kind:value) of each violation."""

    states: int = 0
    same: int = 0
    violations: int = 0
    wrong: list[str] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def add(self, other: "Tally") -> None:
        """Take in another tally."""
        self.states += other.states
        self.same += other.same
        self.violations += other.violations
        self.wrong = (self.wrong + other.wrong)[:_KEPT_WRONG]
        self.told += other.told
        self.seconds += other.seconds


def points(trace: Trace, first: int, last: int) -> Iterator[tuple[int, Disk, Claims]]:
    """Yield each crash point from `first` up to `last`: the disk and the claims after that many operations."""
    disk, claims = Disk(trace.start), Claims()
    for number, op in enumerate(trace.ops[:last]):
        if number >= first:
            yield number, disk, claims
        disk.apply(number, op)
        if isinstance(op, Said):
            claims.note(op.words)
    if last == len(trace.ops):
        yield last, disk, claims


def explore(job: Job) -> Tally:
    """Do a job in this process."""
    logging.disable(logging.CRITICAL)
    trace, tally, began = Trace.load(job.trace), Tally(), perf_counter()
    seen: set[tuple[int, int]] = set()
    with tempfile.TemporaryDirectory(prefix="doorstile-states-", dir=working_folder()) as scratch:
        for point, disk, claims in points(trace, job.first, job.last):
            for style in _styles(disk, job, point):
                state = build(disk, style)
                key = (state.key, len(claims.tried) + len(claims.durable) + len(claims.acking))
                if key in seen:
                    tally.same += 1
                    continue
                seen.add(key)
                where = f"{job.trace.name}:{point}:{style[0]}:{style[1]}"
                _check(job.name, state, claims, Path(scratch, "state"), where, tally)
    tally.seconds = perf_counter() - began
    return tally


def explore_all(jobs: Sequence[Job], processes: int) -> Iterator[tuple[Job, Tally]]:
    """Do jobs in several processes and yield their results in the order of the jobs."""
    if processes == 1:
        yield from ((job, explore(job)) for job in jobs)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from zip(jobs, pool.map(explore, jobs), strict=True)


def split(name: str, path: Path, operations: int, per_point: int, seed: int, parts: int) -> list[Job]:
    """Divide the crash points of a trace into jobs."""
    edges = [operations * part // parts for part in range(parts)] + [operations]
    return [Job(name, path, first, last, per_point, seed) for first, last in pairwise(edges)]


def one(trace: Trace, name: str, point: int, style: Style, folder: Path) -> Tally:
    """Check one state again and leave its files in `folder`."""
    tally = Tally()
    for number, disk, claims in points(trace, point, point + 1):
        if number == point:
            build(disk, style).write(folder)
            shutil.copytree(folder, folder.with_name(folder.name + ".cut"))
            outcome = CHECKS[name](folder, claims, True)
            tally.wrong, tally.told = outcome.wrong, Counter(outcome.told)
    return tally


def _styles(disk: Disk, job: Job, point: int) -> list[Style]:
    """Take as many styles as wanted: all telling ones and then random ones, or a random choice of both."""
    chance = random.Random(job.seed * 1_000_003 + point)
    pending = disk.pending()
    fixed = list(telling(pending))
    if not pending:
        return fixed
    random_ones = list(islice(sampled(chance.getrandbits(40)), max(job.per_point, 8)))
    if job.per_point >= len(fixed):
        return fixed + random_ones[: job.per_point - len(fixed)]
    return chance.sample(fixed + random_ones, job.per_point)


def _check(name: str, state: State, claims: Claims, folder: Path, where: str, tally: Tally) -> None:
    folder.mkdir()
    state.write(folder)
    outcome = CHECKS[name](folder, claims, tally.states % _THOROUGH_EVERY == 0)
    shutil.rmtree(folder)
    tally.states += 1
    tally.told.update({_shape(told) for told in outcome.told})
    if outcome.wrong:
        tally.violations += 1
        if len(tally.wrong) < _KEPT_WRONG:
            tally.wrong.append(f"{where}  {outcome.wrong[0]}")


def _shape(text: str) -> str:
    """Return a finding without its numbers, so that equal ones are counted together."""
    words = ["…" if any(letter.isdigit() for letter in word) else word for word in text.split()]
    return " ".join(words)
