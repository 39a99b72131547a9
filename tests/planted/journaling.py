"""Bugs of the journal that show without a power cut: what is deleted, what is begun twice, which file is used."""

import asyncio
import json
import sqlite3
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from unittest import mock

from agent.errors import CommitUnknownError
from agent.store import reading, room, standing
from agent.store.batch import Batch
from agent.store.errors import AckHeadError, DuplicatePromiseError, RowDamagedError
from agent.store.footing import Footing
from agent.store.journal import Journal, JournalLimits
from tests.planted.door import patched
from tests.planted.registry import PlantedBug
from tests.store.samples import DEVICE, Chain, alarm, begun, pull
from wire.events import Stamp
from wire.vocabulary import ClockQuality

_LIMITS = JournalLimits(reserve_bytes=4096, idle_s=0.02, keep_events=0, keep_bytes=0)
_LONG_AGO = Stamp("boot-1", 5_000, 1_000, ClockQuality.NONE)
"""Written by a clock that was never set."""
_SETTLE_S = 0.25


def _with_journal(work: Callable[[Path, Journal], Coroutine[Any, Any, str | None]]) -> str | None:
    async def run() -> str | None:
        with tempfile.TemporaryDirectory(prefix="doorstile-planted-") as folder:
            journal = Journal.open(Path(folder), device=DEVICE, limits=_LIMITS)
            try:
                return await work(Path(folder), journal)
            finally:
                await journal.close()

    return asyncio.run(run())


@contextmanager
def _deleted_by_clock() -> Iterator[None]:
    """Retention goes by the age that the wall clock says."""

    def prune(connection: sqlite3.Connection, keep_events: int, keep_bytes: int, rows: int) -> None:
        for place, text in connection.execute("SELECT place, text FROM events").fetchall():
            if text is not None and json.loads(text)["wall_ms"] < 1_700_000_000_000:
                connection.execute("DELETE FROM events WHERE place = ?", (place,))

    with mock.patch.object(room, "prune", prune):
        yield


def _loses_unacknowledged() -> str | None:
    async def work(_folder: Path, journal: Journal) -> str | None:
        for number in range(5):
            await journal.append(alarm(str(number), at=_LONG_AGO))
        await asyncio.sleep(_SETTLE_S)
        chain = Chain.of(journal, journal.run)
        try:
            found = await pull(journal, journal.run, chain)
        except (AssertionError, RowDamagedError):
            found = 0
        return None if found == 5 else f"{5 - found} of 5 events that central never had are deleted"

    return _with_journal(work)


def _begins_twice() -> str | None:
    async def work(folder: Path, journal: Journal) -> str | None:
        await journal.append(begun("c1", opens="unlock:c1"))
        try:
            await journal.append(begun("c1", opens="unlock:c1"))
        except DuplicatePromiseError:
            return None
        return "a command that was begun before is begun again"

    return _with_journal(work)


@contextmanager
def _head_ignored() -> Iterator[None]:
    real = Journal.acknowledge

    async def acknowledge(self: Journal, run: str, upto: int, head: bytes) -> None:
        line = self._line(run)
        known = await self._read(lambda: reading.head_at(self._opened.reader, line, upto, self._genesis(line)))
        await real(self, run, upto, known[0] if known else head)

    with mock.patch.object(Journal, "acknowledge", acknowledge):
        yield


def _believes_any_head() -> str | None:
    async def work(_folder: Path, journal: Journal) -> str | None:
        await journal.append(alarm())
        try:
            await journal.acknowledge(journal.run, 1, bytes(32))
        except AckHeadError:
            return None
        return "an acknowledgement with another chain head moved the cursor"

    return _with_journal(work)


_LOCKDOWN: Final = "stands-lockdown:1:60000:0:x"


def _forgets_a_lockdown() -> str | None:
    async def run() -> str | None:
        with tempfile.TemporaryDirectory(prefix="doorstile-planted-") as folder:
            journal = Journal.open(Path(folder), device=DEVICE, limits=_LIMITS)
            await journal.append(begun("l", opens=_LOCKDOWN))
            await journal.close()
            with closing(sqlite3.connect(Path(folder, "journal.db"), isolation_level=None)) as connection:
                connection.execute("DELETE FROM promises")
            journal = Journal.open(Path(folder), device=DEVICE, limits=_LIMITS)
            stands = [promise.key for promise in journal.open_promises()]
            await journal.close()
            return None if stands else "a lockdown is forgotten with the row that says so"

    return asyncio.run(run())


def _remove(folder: Path) -> None:
    for file in folder.glob("journal.db*"):
        file.unlink()


def _grants_on_a_removed_file() -> str | None:
    async def work(folder: Path, journal: Journal) -> str | None:
        await journal.append(alarm("kept"))
        _remove(folder)
        try:
            await journal.append(alarm("lost"))
        except CommitUnknownError:
            return None
        return "an event was durable in a file that no start will find"

    return _with_journal(work)


PLANTED: Final = (
    PlantedBug(
        "removed-file-unnoticed", "a commit counts wherever the open file is", "nothing durable is lost",
        "tests.planted.journaling", patched(Footing, "trouble", lambda _: ""), _grants_on_a_removed_file,
    ),
    PlantedBug(
        "deleted-by-clock", "events that the wall clock calls old are deleted, acknowledged or not",
        "only what central holds is deleted", "tests.planted.journaling", _deleted_by_clock, _loses_unacknowledged,
    ),
    PlantedBug(
        "promise-begun-twice", "a command whose beginning is on the disk begins again",
        "an unlock takes effect at most once", "tests.planted.journaling",
        patched(Batch, "_taken", lambda *_: None), _begins_twice,
    ),
    PlantedBug(
        "standing-list-unread", "what keeps people out is not compared with its list",
        "a lockdown outlasts damage to what remembers it", "tests.planted.journaling",
        patched(standing, "findings", lambda *_: ()), _forgets_a_lockdown,
    ),
    PlantedBug(
        "ack-head-unchecked", "an acknowledgement moves the cursor whatever chain head it names",
        "no event is deleted that central does not hold", "tests.planted.journaling", _head_ignored,
        _believes_any_head,
    ),
)  # fmt: skip
"""The layer of the journal, without its crashes."""
