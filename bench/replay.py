"""Fifty thousand events that waited, sent over loopback: our link from its journal against a bare loop and a peer.

The reference is what a WebSocket client can do at all: batches of 200, eight under way, stdlib JSON, no database. Ours
reads each batch from the journal on disk, checks each acknowledgement against the chain, and moves the cursor. The
peer keeps its events in persist-queue's acknowledging SQLite queue and sends a message for each.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from websockets.asyncio.client import connect

from agent.clock import Clock, SystemTime, boot_id
from agent.identity import load_identity
from agent.store.directory import Directory
from agent.store.journal import Journal, JournalLimits
from agent.sync.connect import Endpoint
from agent.sync.runner import Link
from bench.doors import DEVICE, decision, fill_journal, give_identity
from bench.drains import MESSAGE_PATH, REFERENCE_PATH, drain
from bench.measure import (
    Options,
    Target,
    conclude,
    in_turn_async,
    median,
    print_table,
    read_options,
    say_calibration,
    work_folder,
)
from wire.events import Stamp, number, write_tail
from wire.messages import Command, CommandResult
from wire.vocabulary import ClockQuality, EventKind

EVENTS: Final = 50_000
EVENTS_OF_PEER: Final = 1_000
BATCH: Final = 200
UNDER_WAY: Final = 8
LIMIT_RATIO: Final = 0.8
LIMIT_CPU_US: Final = 5.0
_ROOM: Final = 1 << 30
REFERENCE, OURS, PEER = "reference: batch 200, window 8", "ours, from the journal", "persist-queue, a message each"


@dataclass(frozen=True, slots=True)
class Round:
    """Events per second, and CPU of this process in microseconds for each."""

    rate: float
    cpu_us: float


class _Refusing:
    """Nobody sends commands here."""

    async def execute(self, command: Command, begin_before_ms: int) -> CommandResult:
        raise NotImplementedError

    async def forget(self, id_: str) -> None:
        raise NotImplementedError


async def _timed(events: int, work: Callable[[], Awaitable[None]]) -> Round:
    began, began_cpu = time.perf_counter(), time.process_time()
    await work()
    return Round(events / (time.perf_counter() - began), (time.process_time() - began_cpu) / events * 1e6)


def _events(count: int) -> list[dict[str, Any]]:
    at = Stamp("b" * 32, 1, 1_750_000_000_000, ClockQuality.SYNCED)
    texts = (number(n, write_tail(EventKind.DECISION, at, decision(n))) for n in range(1, count + 1))
    return [json.loads(text) | {"digest": "0" * 64} for text in texts]


def _reference(url: str, events: list[dict[str, Any]]) -> Callable[[], Awaitable[Round]]:
    async def send() -> None:
        async with connect(url.replace("http:", "ws:") + REFERENCE_PATH, compression=None, proxy=None) as socket:
            under_way = 0
            for first in range(0, len(events), BATCH):
                await socket.send(
                    json.dumps({"type": "events", "from": first + 1, "ev": events[first : first + BATCH]})
                )
                under_way += 1
                if under_way == UNDER_WAY:
                    json.loads(await socket.recv())
                    under_way -= 1
            for _ in range(under_way):
                json.loads(await socket.recv())

    return lambda: _timed(len(events), send)


def _peer(url: str, folder: Path, events: list[dict[str, Any]]) -> Callable[[], Awaitable[Round]]:
    import persistqueue

    turn = iter(range(1_000_000))

    async def round_() -> Round:
        queue = persistqueue.SQLiteAckQueue(str(folder / f"peer-{next(turn)}"), auto_commit=True)
        for event in events:
            queue.put(event)

        async def send() -> None:
            async with connect(url.replace("http:", "ws:") + MESSAGE_PATH, compression=None, proxy=None) as socket:
                for _ in events:
                    event = queue.get(block=False)
                    await socket.send(json.dumps(event))
                    json.loads(await socket.recv())
                    queue.ack(event)

        try:
            return await _timed(len(events), send)
        finally:
            queue.close()

    return round_


def _ours(url: str, folder: Path, journal: Journal, directory: Directory) -> Callable[[], Awaitable[Round]]:
    async def send() -> None:
        link = Link(
            Endpoint(url),
            load_identity(folder),
            outbox=journal,
            directory=directory,
            commands=_Refusing(),
            clock=Clock(SystemTime(), boot=boot_id()),
            random=Random(1),
            agent="bench",
        )
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(link.run(tasks))
            while journal.backlog().events:  # noqa: ASYNC110 - the journal has no event for an empty backlog
                await asyncio.sleep(0.002)
            running.cancel()

    async def round_() -> Round:
        for run in journal.held():
            await journal.rewind(run.run, 0)
        return await _timed(journal.backlog().events, send)

    return round_


async def measure(options: Options, folder: Path) -> list[Target]:
    """Measure in turn and return the targets."""
    events = 5_000 if options.is_quick else EVENTS
    give_identity(folder)
    await fill_journal(folder, events, max_bytes=_ROOM)
    limits = JournalLimits(max_bytes=_ROOM, keep_events=2 * events, keep_bytes=_ROOM)
    journal, directory = Journal.open(folder, device=DEVICE, limits=limits), Directory.open(folder)
    texts = _events(events)
    try:
        with drain() as url:
            contenders = {
                REFERENCE: _reference(url, texts),
                OURS: _ours(url, folder, journal, directory),
                PEER: _peer(url, folder, texts[:EVENTS_OF_PEER]),
            }
            rounds = await in_turn_async(options.rounds, contenders)
    finally:
        await directory.close()
        await journal.close()
    rates = {name: median([each.rate for each in made]) for name, made in rounds.items()}
    cpu = {name: median([each.cpu_us for each in made]) for name, made in rounds.items()}
    rows = [
        (name, f"{rates[name]:.0f}", f"{rates[name] / rates[REFERENCE]:.3f}", f"{cpu[name]:.2f}") for name in rounds
    ]
    print_table(("replay over loopback", "events/s", "/ reference", "CPU us/event"), rows)
    ratios = [ours.rate / bare.rate for ours, bare in zip(rounds[OURS], rounds[REFERENCE], strict=True)]
    return [
        Target("replay_client_ratio", median(ratios), LIMIT_RATIO, is_floor=True),
        Target("replay_client_cpu_us", cpu[OURS], LIMIT_CPU_US),
    ]


def main() -> int:
    """Run the bench."""
    options = read_options(__doc__ or "")
    with work_folder(options) as folder:
        say_calibration(folder)
        return conclude(asyncio.run(measure(options, folder)), options)


if __name__ == "__main__":
    sys.exit(main())
