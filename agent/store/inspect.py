"""Reading a journal from outside: for `doorstile journal tail`, `export` and `verify`, and for `doorstile why`.

Works while an agent writes and after one died. The connection is read-only and never becomes a second writer; nothing
here takes the folder's lock, moves a file or checkpoints.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.core.types import EventId
from agent.errors import StoreError
from agent.store import db, migrations, notes, reading, steps
from agent.store.opening import JOURNAL_NAME, roll_path, witness_path
from agent.store.roll import read_roll
from agent.store.types import Loss, Promise
from agent.store.verify import findings
from agent.store.witness import read_mark
from wire.events import Event


@dataclass(frozen=True, slots=True)
class Shown:
    """One stored event; `text` is its JSON, None where only its digest was kept."""

    run: str
    n: int
    digest: bytes
    text: bytes | None
    is_acked: bool


@dataclass(frozen=True, slots=True)
class RunCount:
    """One run: rows up to `pruned` are deleted, up to `acked` acknowledged, `rows` are held, `last` is the newest."""

    run: str
    ord: int
    rows: int
    pruned: int
    acked: int
    last: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found: no `faults` means that every row, the chain, the cursors and the witness agree."""

    store: str
    device: str
    runs: tuple[RunCount, ...]
    losses: tuple[Loss, ...]
    promises: tuple[Promise, ...]
    faults: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        """True where nothing is wrong; a declared loss is not a fault of the file."""
        return not self.faults


class Inspector:
    """A journal, opened for reading only; see `inspect`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._meta = dict(connection.execute("SELECT name, value FROM meta"))

    def tail(self, events: int) -> list[Shown]:
        """Return the newest `events` events, oldest first."""
        lines = {line.ord: line for line in reading.run_lines(self._connection)}
        found = self._connection.execute(
            "SELECT place, digest, text FROM events ORDER BY place DESC LIMIT ?", (events,)
        ).fetchall()
        return [_shown(lines, *row) for row in reversed(found)]

    def export(self) -> Iterator[Shown]:
        """Yield every event, oldest first, as of the moment of the first one."""
        lines = {line.ord: line for line in reading.run_lines(self._connection)}
        for row in self._connection.execute("SELECT place, digest, text FROM events ORDER BY place"):
            yield _shown(lines, *row)

    def open_promises(self) -> tuple[str, ...]:
        """Return the keys of what was begun and has not ended, the oldest first."""
        return tuple(promise.key for promise in reading.promises(self._connection) if promise.outcome is None)

    def acknowledged(self) -> dict[str, int]:
        """Return up to which event central has acknowledged each run."""
        return {line.run: line.acked for line in reading.run_lines(self._connection)}

    def passages(self, most: int) -> tuple[tuple[EventId, Event], ...]:
        """Return the decisions and passages among the `most` newest events, oldest first."""
        return tuple(reading.newest(self._connection, reading.run_lines(self._connection), most))

    def noted(self, name: str) -> str | None:
        """Return a small value that the agent kept beside the events, or None; damaged ones count as none."""
        return notes.among(self._meta).get(name)

    def used_steps(self) -> tuple[tuple[str, int], ...]:
        """Return which steps of passes were used, and what of that memory is doubted, by name (see `steps`)."""
        return tuple(steps.stored(self._connection))

    def verify(self) -> Verdict:
        """Check every row, the chain, the cursors and the witness, at one moment of the journal."""
        mark, roll = read_mark(witness_path(self._path)), read_roll(roll_path(self._path))
        self._connection.execute("BEGIN")
        try:
            faults = [answer for (answer,) in self._connection.execute("PRAGMA quick_check(10)") if answer != "ok"]
            faults += findings(self._connection, mark, roll, db.MAX_N)
            counts = tuple(self._count(line) for line in reading.run_lines(self._connection))
            losses = tuple(reading.losses(self._connection))
            promises = tuple(reading.promises(self._connection))
        finally:
            self._connection.execute("ROLLBACK")
        return Verdict(
            self._meta.get("store", ""), self._meta.get("device", ""), counts, losses, promises, tuple(faults)
        )

    def _count(self, line: reading.RunLine) -> RunCount:
        span = (db.place(line.ord, 0), db.place(line.ord, db.MAX_N))
        held = self._connection.execute("SELECT count(*) FROM events WHERE place BETWEEN ? AND ?", span).fetchone()[0]
        return RunCount(line.run, line.ord, held, line.pruned, line.acked, line.last)


@contextmanager
def inspect(folder: Path) -> Iterator[Inspector]:
    """Open the journal of a state folder for reading.

    Raise StoreError where there is none or it cannot be read, SchemaError where a newer agent wrote it.
    """
    path = folder / JOURNAL_NAME
    if not path.exists():
        raise StoreError(f"{path} does not exist: has this device ever run? name its folder with --state")
    try:
        connection = db.connect_reader(path)
    except sqlite3.Error as fault:
        raise StoreError(f"{path} cannot be opened ({fault}): check its owner") from fault
    try:
        migrations.check(connection, migrations.JOURNAL, path)
        yield Inspector(path, connection)
    except sqlite3.Error as fault:
        raise StoreError(f"{path} cannot be read ({fault}): restart the agent to salvage it") from fault
    finally:
        connection.close()


def _shown(lines: dict[int, reading.RunLine], row_id: int, digest: bytes, text: bytes | None) -> Shown:
    line = lines.get(row_id >> db.RUN_BITS)
    n = row_id & db.MAX_N
    return Shown(line.run if line else "unknown", n, digest, text, line is not None and n <= line.acked)
