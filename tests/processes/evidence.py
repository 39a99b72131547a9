"""What the device and central hold after everything healed, and what of it breaks a promise."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec

from agent.store.inspect import Shown, inspect
from demo.compare import Comparison, EventKey, compare
from tests.processes.door_process import Edge, edges
from tests.processes.doors import CEILING_S, Door

LATE_MS: Final = 500
"""How much later than its ceiling a busy machine may end a pulse."""
_GRANT_AGE_MS: Final = 12_000
"""A presentation older than ten seconds opens nothing; a slow machine adds to that."""


@dataclass(slots=True)
class Record:
    """A device's journal, read event by event."""

    events: dict[EventKey, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> "Record":
        """Read the journal of a state folder."""
        with inspect(folder) as journal:
            return cls({(shown.run, shown.n): _parsed(shown) for shown in journal.export()})

    def of_kind(self, kind: str) -> Iterator[tuple[EventKey, dict[str, Any]]]:
        """Yield the events of a kind, oldest first."""
        return ((key, event) for key, event in self.events.items() if event.get("kind") == kind)

    def grants(self) -> dict[EventKey, dict[str, Any]]:
        """Return the decisions that let somebody in."""
        return {key: event for key, event in self.of_kind("decision") if event["body"]["outcome"] == "grant"}

    def passages(self) -> list[tuple[EventKey, str]]:
        """Return of each passage which grant it ends, and how."""
        bodies = [event["body"] for _, event in self.of_kind("passage")]
        return [((body["of_run"], body["of_n"]), body["outcome"]) for body in bodies]

    def openings_ms(self) -> list[int]:
        """Return when each grant and each begun command was made, monotonic, in order of time."""
        found = [*self.grants().values(), *(event for _, event in self.of_kind("command_begun"))]
        return sorted(event["mono_ms"] for event in found)


def _parsed(shown: Shown) -> dict[str, Any]:
    return msgspec.json.decode(shown.text) if shown.text is not None else {"kind": "stub"}


def wrong_passages(record: Record) -> list[str]:
    """Say which grants have not exactly one end, and which ends have no grant."""
    ends = Counter(of for of, _ in record.passages())
    grants = record.grants()
    found = [f"passage without a grant: {of}" for of in ends.keys() - grants.keys()]
    found += [f"grant {of} has {ends[of]} passages" for of in grants if ends[of] != 1]
    return found


def wrong_commands(record: Record) -> list[str]:
    """Say which commands began or ended more than once."""
    found = []
    for kind in ("command_begun", "command_result"):
        counts = Counter(event["body"]["id"] for _, event in record.of_kind(kind))
        found += [f"command {id_} has {count} of {kind}" for id_, count in counts.items() if count > 1]
    return found


def wrong_edges(record: Record, line: list[Edge]) -> list[str]:
    """Say which pulses had no durable opening before them, and which were too long."""
    openings = record.openings_ms()
    ons = [edge.at_ms for edge in line if edge.is_on]
    found = []
    for count, at_ms in enumerate(ons, 1):
        before = [opened_ms for opened_ms in openings if opened_ms <= at_ms]
        if len(before) < count or at_ms - before[-1] > _GRANT_AGE_MS:
            found.append(f"line on at {at_ms}: {count} pulses, {len(before)} durable openings before")
    for on, off in pairwise(line):
        if on.is_on and on.pid == off.pid and off.at_ms - on.at_ms > CEILING_S * 1000 + LATE_MS:
            found.append(f"line on for {off.at_ms - on.at_ms} ms")
    if line and line[-1].is_on:
        found.append("the line is still on")
    return found


def open_commands(central_data: Path, device: str = "") -> list[str]:
    """Say which commands central still waits for, of one device or of all."""
    connection = sqlite3.connect((central_data / "central.sqlite3").as_uri() + "?mode=ro", uri=True)
    try:
        rows = connection.execute(
            "SELECT id, state FROM devices_command WHERE state IN ('pending', 'sent', 'queued') AND device_id LIKE ?",
            (device.replace("-", "") or "%",),
        ).fetchall()
    finally:
        connection.close()
    return [f"command {id_} never ended: {state}" for id_, state in rows]


async def settled(door: Door, *, within_s: float = 60.0) -> Comparison:
    """Wait until the door is quiet and both sides are equal, or the time is up; return the last comparison."""
    found: Comparison | None = None
    try:
        async with asyncio.timeout(within_s):
            while True:
                shown = await door.door()
                if shown["waiting"] == "0" and shown["lock"] == "locked":
                    found = await compare(door)
                    if found.is_equal:
                        return found
                await asyncio.sleep(0.3)
    except TimeoutError:
        return found or await compare(door)


def violations(door: Door, found: Comparison, greens: set[EventKey]) -> list[str]:
    """Say everything that breaks a promise at one door."""
    record = Record.of(door.state)
    with inspect(door.state) as journal:
        verdict = journal.verify()
    wrong = [f"journal: {fault}" for fault in verdict.faults]
    wrong += [f"lost: {key}" for key in sorted(found.missing)]
    wrong += [f"invented: {key}" for key in sorted(found.invented)]
    wrong += [f"changed: {key}" for key in sorted(found.different)]
    wrong += [f"green missing at central: {key}" for key in sorted(greens - set(found.central))]
    wrong += [f"green without a grant: {key}" for key in sorted(greens - set(record.grants()))]
    if found.twice or found.dead_letters:
        wrong.append(f"{found.twice} events twice, {found.dead_letters} rejected")
    return wrong + wrong_passages(record) + wrong_commands(record) + wrong_edges(record, edges(door.line))
