"""From a card on the reader to current in the strike, by the objects that the agent is made of.

In one process: the simulated reader, the station, the journal on a real disk, a directory of 10,000 members, acting,
and the real pulse over a line that notes when it goes on. The floor is what no door can do without: one bare commit
(sqlite3, WAL, FULL) of the same event at the same cadence, and the hand-over to a thread that keeps the loop free
(140 us). A door does nothing else between two taps, so flushes are as cold here as they are there.
"""

import asyncio
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agent.acting import Acting, StrikeLock
from agent.clock import Clock, SimulatedTime, SystemTime, boot_id
from agent.core.station import Door
from agent.core.types import EventId
from agent.kiosk.server import Kiosk
from agent.presenting import OneKey, Presenter
from agent.reading import ReaderPlace
from agent.station import Station
from agent.store.directory import Directory
from agent.store.journal import Draft, Journal
from agent.upkeep import whereabouts_of
from bench.doors import CREDENTIAL_KEY, DEVICE, decision, fill_directory, uid
from bench.measure import (
    Options,
    Target,
    conclude,
    in_turn_async,
    median,
    print_table,
    quantile,
    read_options,
    say_calibration,
    work_folder,
)
from hardware.outputs.pulse import PulsedStrike
from hardware.sim import SimBuzzer, SimLight, SimLine, SimReader
from wire.events import Stamp, number, write_tail
from wire.vocabulary import ClockQuality, Direction, EventKind

MEMBERS: Final = 10_000
CADENCE_S: Final = 0.02
PULSE_MS: Final = 4
"""Short, so that a pulse and its passage are over before the next tap, as they are at a door."""
HAND_OVER_US: Final = 140.0
LIMIT_RATIO: Final = 1.5


class TimedLine(SimLine):
    """A line that notes to the nanosecond when it went on."""

    def __init__(self) -> None:
        super().__init__()
        self.on_at_ns = 0
        self.went_on = asyncio.Event()

    def on(self) -> None:
        """Go on."""
        self.on_at_ns = time.perf_counter_ns()
        super().on()
        self.went_on.set()


class TimedJournal:
    """The journal, and when the last append was asked for and answered."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.asked_at_ns = 0
        self.durable_at_ns = 0

    async def append(self, draft: Draft) -> EventId:
        """Append as the journal does."""
        asked_at_ns = time.perf_counter_ns()
        event = await self._journal.append(draft)
        if draft.kind is EventKind.DECISION:
            self.asked_at_ns, self.durable_at_ns = asked_at_ns, time.perf_counter_ns()
        return event


@dataclass(slots=True)
class Passages:
    """What the taps of one round took, in microseconds, whole and by part."""

    total: list[float] = field(default_factory=list)
    deciding: list[float] = field(default_factory=list)
    recording: list[float] = field(default_factory=list)
    acting: list[float] = field(default_factory=list)


@dataclass(slots=True)
class BenchDoor:
    """A door at work; each tap is another member's."""

    reader: SimReader
    line: TimedLine
    journal: TimedJournal
    taps: int = 0

    async def round(self, taps: int) -> Passages:
        """Let some members in and return what it took."""
        passages = Passages()
        for _ in range(taps):
            await asyncio.sleep(CADENCE_S)
            tapped_at_ns = await self._tap()
            on_at_ns, journal = self.line.on_at_ns, self.journal
            passages.total.append((on_at_ns - tapped_at_ns) / 1000)
            passages.deciding.append((journal.asked_at_ns - tapped_at_ns) / 1000)
            passages.recording.append((journal.durable_at_ns - journal.asked_at_ns) / 1000)
            passages.acting.append((on_at_ns - journal.durable_at_ns) / 1000)
        return passages

    async def _tap(self) -> int:
        self.taps += 1
        self.line.went_on.clear()
        tapped_at_ns = time.perf_counter_ns()
        self.reader.tap(uid(self.taps % MEMBERS))
        async with asyncio.timeout(5):
            await self.line.went_on.wait()
        return tapped_at_ns


@asynccontextmanager
async def open_door(folder: Path) -> AsyncIterator[BenchDoor]:
    """Put a door together as the agent does, with a line that can be timed."""
    await fill_directory(folder, MEMBERS)
    journal, directory = Journal.open(folder, device=DEVICE), Directory.open(folder)
    clock = Clock(SimulatedTime(SystemTime()), boot=boot_id())
    reader, line, timed = SimReader("in"), TimedLine(), TimedJournal(journal)
    strike = PulsedStrike("strike", line, ceiling_s=8)
    try:
        async with asyncio.TaskGroup() as tasks:
            acting = Acting(StrikeLock(strike), SimLight(), SimBuzzer(), clock=clock, tasks=tasks)
            acting.listeners.append(Kiosk(door="North door", port=0, panel=None).show)
            whereabouts = whereabouts_of(journal, directory, clock)
            station = Station(
                Door("North door", journal.run, PULSE_MS, hold_off_ms=round(2 * CADENCE_S * 1000)),
                {"in": ReaderPlace("in", Direction.IN)},
                journal=timed,
                presenter=Presenter(directory, journal, clock, OneKey(CREDENTIAL_KEY), presence=whereabouts),
                acting=acting,
                clock=clock,
            )
            running = [tasks.create_task(station.run()), tasks.create_task(reader.run(station.present))]
            await asyncio.sleep(0)
            yield BenchDoor(reader, line, timed)
            await asyncio.sleep(10 * PULSE_MS / 1000)
            for task in running:
                task.cancel()
    finally:
        strike.close()
        await directory.close()
        await journal.close()


class BareCommits:
    """The floor: one row, one commit, on the loop's own thread, at the cadence of the taps."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("CREATE TABLE events (n INTEGER PRIMARY KEY, text BLOB NOT NULL)")
        at = Stamp(boot_id(), 1, 1_750_000_000_000, ClockQuality.SYNCED, 5)
        self._text = number(1, write_tail(EventKind.DECISION, at, decision(1)))

    async def round(self, commits: int) -> list[float]:
        """Commit some rows and return what each took, in microseconds."""
        took = []
        for _ in range(commits):
            await asyncio.sleep(CADENCE_S)
            began = time.perf_counter_ns()
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("INSERT INTO events (text) VALUES (?)", (self._text,))
            self._connection.execute("COMMIT")
            took.append((time.perf_counter_ns() - began) / 1000)
        return took

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


@dataclass(slots=True)
class Figures:
    """All rounds: of the floor, and of the door."""

    floor: list[list[float]]
    door: list[Passages]


async def measure(folder: Path, options: Options) -> Figures:
    """Let floor and door take turns."""
    taps = 5 if options.is_quick else 100
    floor = BareCommits(folder / "floor.db")
    figures = Figures([], [])
    async with open_door(folder) as door:
        await door.round(taps // 5)

        async def time_floor() -> None:
            figures.floor.append(await floor.round(taps))

        async def time_door() -> None:
            figures.door.append(await door.round(taps))

        contenders: dict[str, Callable[[], Awaitable[None]]] = {"floor": time_floor, "door": time_door}
        await in_turn_async(options.rounds, contenders)
    floor.close()
    return figures


def judge(figures: Figures) -> Target:
    """Return the median over the rounds of (median tap) / (median commit + hand-over)."""
    ratios = [
        median(door.total) / (median(floor) + HAND_OVER_US)
        for floor, door in zip(figures.floor, figures.door, strict=True)
    ]
    return Target("read_to_relay_p50_per_floor_ratio", median(ratios), LIMIT_RATIO)


def show(figures: Figures) -> None:
    """Print what each part took, over all rounds."""
    floor = [took for part in figures.floor for took in part]
    parts = (
        ("bare commit", floor),
        ("floor: bare commit + hand-over", [took + HAND_OVER_US for took in floor]),
        ("tap to relay", [took for door in figures.door for took in door.total]),
        ("  tap to record", [took for door in figures.door for took in door.deciding]),
        ("  record to durable", [took for door in figures.door for took in door.recording]),
        ("  durable to relay", [took for door in figures.door for took in door.acting]),
    )
    print_table(("", "p50 us", "p99 us"), [(name, median(took), quantile(took, 0.99)) for name, took in parts])


def main() -> int:
    """Measure, print, judge."""
    options = read_options(__doc__ or "")
    with work_folder(options) as folder:
        say_calibration(folder)
        figures = asyncio.run(measure(folder, options))
    show(figures)
    return conclude([judge(figures)], options)


if __name__ == "__main__":
    sys.exit(main())
