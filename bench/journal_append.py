"""Durable append from asyncio, hash chain included, against the bare disk, bare SQLite and two peers.

Every contender writes the same event of about 300 bytes, one at a time, and waits until it is durable; ours also with
eight writers at once. What a card feels are flushes and bytes for each event, with every event acknowledged online.
"""

import asyncio
import json
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

from agent.store.journal import Draft, Journal
from bench.doors import DEVICE, decision
from bench.flushes import bytes_written_so_far, counted_run, flushes_so_far
from bench.measure import (
    Options,
    Target,
    conclude,
    in_turn,
    median,
    print_table,
    quantile,
    raw_flushes,
    read_options,
    say_calibration,
    work_folder,
)
from wire.chain import link, unsplice
from wire.events import Stamp, number, write_tail
from wire.vocabulary import ClockQuality, EventKind

EVENTS: Final = 300
EVENTS_OF_SLOW: Final = 40
WRITERS: Final = 8
RAW, BARE, UTILS, PEER = "raw write + fdatasync", "sqlite3 WAL FULL", "sqlite-utils insert", "persist-queue ack queue"
ALONE, TOGETHER = "ours, alone", f"ours, {WRITERS} writers"
_AT: Final = Stamp("01890a5d-ac96-7000-8000-0000000000b0", 1_000_000, 1_750_000_000_000, ClockQuality.SYNCED)


@dataclass(frozen=True, slots=True)
class Round:
    """How long each event of one round took, in microseconds, and how many became durable per second."""

    took_us: list[float]
    rate: float


def _draft(n: int) -> Draft:
    return Draft(EventKind.DECISION, _AT, decision(n))


def _text(n: int) -> bytes:
    draft = _draft(n)
    return number(n, write_tail(draft.kind, draft.at, draft.body))


def _timed(events: int, work: Callable[[], object]) -> Round:
    took = []
    began = time.perf_counter_ns()
    for _ in range(events):
        start = time.perf_counter_ns()
        work()
        took.append((time.perf_counter_ns() - start) / 1000)
    return Round(took, events / (time.perf_counter_ns() - began) * 1e9)


def _raw(folder: Path, events: int) -> Callable[[], Round]:
    def run() -> Round:
        took = raw_flushes(folder, events)
        return Round(took, events / sum(took) * 1e6)

    return run


def _bare(folder: Path, events: int) -> Callable[[], Round]:
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE events (n INTEGER PRIMARY KEY, text BLOB)")
    numbers = count(1)

    def append() -> None:
        n = next(numbers)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO events (n, text) VALUES (?, ?)", (n, _text(n)))
        connection.execute("COMMIT")

    return lambda: _timed(events, append)


def _utils(folder: Path, events: int) -> Callable[[], Round]:
    from sqlite_utils import Database

    table = Database(folder / "utils.db").table("events")
    numbers = count(1)

    def append() -> None:
        n = next(numbers)
        table.insert({"run": "0" * 16, "n": n, "text": _text(n)}, pk=("run", "n"))

    return lambda: _timed(events, append)


def _peer(folder: Path, events: int) -> Callable[[], Round]:
    import persistqueue

    queue: Any = persistqueue.SQLiteAckQueue(str(folder / "peer"), auto_commit=True, multithreading=True)
    numbers = count(1)
    return lambda: _timed(events, lambda: queue.put(_text(next(numbers))))


async def _append_alone(journal: Journal, events: int) -> Round:
    took = []
    began = time.perf_counter_ns()
    for n in range(events):
        start = time.perf_counter_ns()
        await journal.append(_draft(n))
        took.append((time.perf_counter_ns() - start) / 1000)
    return Round(took, events / (time.perf_counter_ns() - began) * 1e9)


async def _append_together(journal: Journal, events: int) -> Round:
    began = time.perf_counter_ns()
    rounds = await asyncio.gather(*(_append_alone(journal, events // WRITERS) for _ in range(WRITERS)))
    rate = events // WRITERS * WRITERS / (time.perf_counter_ns() - began) * 1e9
    return Round([took for part in rounds for took in part.took_us], rate)


@contextmanager
def _ours(folder: Path) -> Iterator[tuple[asyncio.Runner, Journal]]:
    with asyncio.Runner() as runner:
        journal = Journal.open(folder / "ours", device=DEVICE)
        try:
            yield runner, journal
        finally:
            runner.run(journal.close())


async def _acknowledge_online(folder: Path, events: int) -> tuple[float, float]:
    """Append events and acknowledge each at once; return flushes and KiB for each."""
    journal = Journal.open(folder, device=DEVICE)
    head = journal.runs()[-1].head
    flushes, written = flushes_so_far(), bytes_written_so_far()
    for n in range(1, events + 1):
        event = await journal.append(_draft(n))
        sent = unsplice((await journal.read(event.run, n - 1, 1, 1 << 16))[0].data)
        assert sent is not None
        head = link(head, sent[0])
        await journal.acknowledge(event.run, n, head)
    cost = (flushes_so_far() - flushes) / events, (bytes_written_so_far() - written) / events / 1024
    await journal.close()
    return cost


def _wear(folder: Path, events: int) -> tuple[float, float] | None:
    """Return flushes and KiB per event of our journal with online acknowledgement; None where they cannot be had."""
    target = folder / "wear"
    said = counted_run("bench.journal_append", ["--child", str(target), str(events)], folder)
    shutil.rmtree(target, ignore_errors=True)
    if said is None:
        return None
    flushes, kib = json.loads(said)
    return flushes, kib


def _targets(rounds: dict[str, list[Round]], wear: list[tuple[float, float]]) -> list[Target]:
    def ratio(ours: str, theirs: str, measure: Callable[[Round], float]) -> float:
        pairs = zip(rounds[ours], rounds[theirs], strict=True)
        return median([measure(mine) / measure(other) for mine, other in pairs])

    def middle(one: Round) -> float:
        return median(one.took_us)

    def rate(one: Round) -> float:
        return one.rate

    targets = [
        Target("append_alone_p50_per_bare_commit_ratio", ratio(ALONE, BARE, middle), 1.6),
        Target("append_alone_per_sqlite_utils_ratio", ratio(ALONE, UTILS, rate), 10, is_floor=True),
        Target("append_8_writers_per_raw_ratio", ratio(TOGETHER, RAW, rate), 1.2, is_floor=True),
        Target("append_8_writers_per_persist_queue_ratio", ratio(TOGETHER, PEER, rate), 2.5, is_floor=True),
    ]
    if wear:
        targets.append(Target("append_acknowledged_flushes", median([flushes for flushes, _ in wear]), 1.15))
        targets.append(Target("append_acknowledged_kib", median([kib for _, kib in wear]), 16))
    return targets


def _print(rounds: dict[str, list[Round]], wear: list[tuple[float, float]]) -> None:
    floor = median([one.rate for one in rounds[RAW]])
    rows = []
    for name, found in rounds.items():
        took = [value for one in found for value in one.took_us]
        speed = median([one.rate for one in found])
        rows.append((name, speed, speed / floor, median(took), quantile(took, 0.99)))
    print_table(("durable append", "per s", "/ raw", "p50 us", "p99 us"), rows)
    if wear:
        flushes, kib = (median(values) for values in zip(*wear, strict=True))
        print(f"ours, each event acknowledged online: {flushes:.2f} flushes and {kib:.1f} KiB for each event")
    else:
        print("ours, each event acknowledged online: not run (no C compiler; Debian package gcc)")


def main(options: Options) -> int:
    """Measure in turn, print, and return the exit status."""
    events, slow = (40, 4) if options.is_quick else (EVENTS, EVENTS_OF_SLOW)
    with work_folder(options) as folder:
        say_calibration(folder)
        with _ours(folder) as (runner, journal):
            contenders: dict[str, Callable[[], Round]] = {
                RAW: _raw(folder, events),
                BARE: _bare(folder, events),
                ALONE: lambda: runner.run(_append_alone(journal, events)),
                PEER: _peer(folder, events),
                TOGETHER: lambda: runner.run(_append_together(journal, events * 2)),
                UTILS: _utils(folder, slow),
            }
            rounds = in_turn(options.rounds, contenders)
        wear = [found for _ in range(1 if options.is_quick else 3) if (found := _wear(folder, events * 3))]
    _print(rounds, wear)
    return conclude(_targets(rounds, wear), options)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(asyncio.run(_acknowledge_online(Path(sys.argv[2]), int(sys.argv[3])))))
    else:
        sys.exit(main(read_options(__doc__ or "")))
