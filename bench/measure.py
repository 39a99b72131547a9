"""What all benches share: options, turns, medians, the calibration of the disk, and the form of the output.

Absolute times do not hold between machines, nor between runs on a busy one; ratios do. So a bench measures the floor,
its peers and ours in turn, round after round, and judges medians. It prints a table for people, then a line for each
target: `target NAME VALUE LIMIT ok|short`. A name ends in its unit; `_ratio` is against the floor or the peer that the
name says.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

ROUNDS: Final = 7
"""The least number of rounds whose median may be judged."""
_WORK: Final = Path("/var/tmp")
"""Where working files go unless told otherwise: a disk, never memory (hier(7))."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Options:
    """How long to measure, and on which disk."""

    is_quick: bool
    rounds: int
    folder: Path


@dataclass(frozen=True, slots=True)
class Target:
    """A figure and the limit that it has to keep: at most `limit`, or at least where `is_floor`."""

    name: str
    value: float
    limit: float
    is_floor: bool = False

    @property
    def is_met(self) -> bool:
        """True where the figure keeps its limit."""
        return self.value >= self.limit if self.is_floor else self.value <= self.limit

    def __str__(self) -> str:
        """The line that is looked for in the output."""
        return f"target {self.name} {figure(self.value)} {figure(self.limit)} {'ok' if self.is_met else 'short'}"


def read_options(about: str) -> Options:
    """Read the command line of a bench; `about` is the first line of its help."""
    parser = argparse.ArgumentParser(description=about.strip().partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few and short rounds: shows the form, judges nothing")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"interleaved rounds, at least {ROUNDS} [{ROUNDS}]")
    parser.add_argument("--folder", type=Path, default=_WORK, help=f"working files go below this [{_WORK}]")
    given = parser.parse_args()
    return Options(given.quick, 2 if given.quick else max(given.rounds, ROUNDS), given.folder)


@contextmanager
def work_folder(options: Options) -> Iterator[Path]:
    """Give a folder for working files and remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix="doorstile-bench-", dir=options.folder) as folder:
        yield Path(folder)


def in_turn(rounds: int, contenders: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Let each contender do its piece of work once per round; return what each returned, by name."""
    results: dict[str, list[T]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            results[name].append(work())
    return results


async def in_turn_async(rounds: int, contenders: Mapping[str, Callable[[], Awaitable[T]]]) -> dict[str, list[T]]:
    """Do as `in_turn` where the work awaits."""
    results: dict[str, list[T]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            results[name].append(await work())
    return results


def median(values: Sequence[float]) -> float:
    """Return the middle of some figures."""
    return statistics.median(values)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the figure that `share` (0 to 1) of the figures do not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def raw_flushes(folder: Path, times: int, *, size: int = 4096) -> list[float]:
    """Return how long each of some writes and flushes to a preallocated file took, in microseconds."""
    path = folder / "raw-flush"
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    block = os.urandom(size)
    try:
        os.pwrite(file, bytes(size * times), 0)
        os.fsync(file)
        took = []
        for i in range(times):
            began = time.perf_counter_ns()
            os.pwrite(file, block, i * size)
            os.fdatasync(file)
            took.append((time.perf_counter_ns() - began) / 1000)
        return took
    finally:
        os.close(file)
        path.unlink()


def say_calibration(folder: Path, *, times: int = 200) -> float:
    """Measure the raw flush, print it as the first line of a bench, and return its median in microseconds."""
    took = raw_flushes(folder, times)
    middle = median(took)
    print(f"calibration: write + fdatasync of 4 KiB {middle:.0f} us (p99 {quantile(took, 0.99):.0f} us)")
    return middle


def print_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under a head; the first column is words, the others are right-aligned figures."""
    cells = [[_cell(value) for value in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        figures = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        print("  ".join((row[0].ljust(widths[0]), *figures)).rstrip())


def conclude(targets: Sequence[Target], options: Options) -> int:
    """Print the target lines and return the exit status: 1 where one is short, except in a quick run."""
    for target in targets:
        print(target)
    is_short = any(not target.is_met for target in targets)
    return 1 if is_short and not options.is_quick else 0


def figure(value: float) -> str:
    """Write a figure with at least three digits that count, and never with an exponent."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _cell(value: object) -> str:
    return figure(value) if isinstance(value, float) else str(value)
