"""What is read from the journal: batches for the link, heads of the chain, single times. Never writes."""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from agent.core.types import EventId
from agent.store.db import MAX_N, RUN_BITS, place, seal
from agent.store.errors import RowDamagedError
from agent.store.types import Loss, Promise, Spliced
from wire.chain import digest, genesis, link, splice
from wire.events import Event, Stamp, is_text_of, read_event, stub
from wire.vocabulary import ShedReason, TombReason

# The casts keep a damaged column type from looking like anything but wrong bytes.
_ROWS: Final = (
    "SELECT place & ?, CAST(prev AS BLOB), CAST(digest AS BLOB), CAST(bytes AS INTEGER), "
    "CAST(text AS BLOB) FROM events "
    "WHERE place > ? AND place <= ? ORDER BY place"
)
_NEWEST: Final = "SELECT place FROM events WHERE place <= ? ORDER BY place DESC LIMIT 1 OFFSET ?"
_SINCE: Final = "SELECT place, text FROM events WHERE place >= ? AND place <= ? ORDER BY place"
_PASSAGES: Final = re.compile(rb'"kind":"(?:decision|passage)"')
_KIND_WITHIN: Final = 64
"""The kind stands behind the number, at the beginning of a text (`wire.events.write_tail`)."""
_BATCH: Final = "SELECT place, digest, text FROM events WHERE place >= ? AND place <= ? ORDER BY place LIMIT ?"
UNREADABLE: Final = (
    sqlite3.Error, msgspec.DecodeError, UnicodeDecodeError, TypeError, ValueError, AttributeError
)  # fmt: skip
"""What damage looks like to those who read: pages that are none, texts and columns that are something else."""


@dataclass(frozen=True, slots=True)
class Row:
    """A stored event; `text` is None where it was shed. `total_bytes` counts all texts of the run up to this
    one."""

    n: int
    prev: bytes
    digest: bytes
    total_bytes: int
    text: bytes | None

    @property
    def head(self) -> bytes:
        """h(n)."""
        return link(self.prev, self.digest)

    @property
    def is_intact(self) -> bool:
        """True where the text is the one that was digested, and stands in its place."""
        return self.text is None or (is_text_of(self.n, self.text) and digest(self.text) == self.digest)


@dataclass(slots=True)
class RunLine:
    """One run as the tables hold it; `last` counts declared losses at its end."""

    ord: int
    run: str
    prev_n: int
    prev_head: bytes
    acked: int
    acked_head: bytes
    acked_bytes: int
    pruned: int
    pruned_head: bytes
    pruned_bytes: int
    last: int = 0
    last_bytes: int = 0


def run_lines(connection: sqlite3.Connection) -> list[RunLine]:
    """Return all runs, oldest first."""
    rows = connection.execute(
        "SELECT ord, run, prev_n, prev_head, acked, acked_head, acked_bytes, pruned, pruned_head, pruned_bytes "
        "FROM runs ORDER BY ord"
    ).fetchall()
    lines = [RunLine(*row) for row in rows]
    for line in lines:
        n, line.last_bytes = last_row(connection, line.ord, line.pruned, line.pruned_bytes)
        lost = connection.execute("SELECT max(last) FROM losses WHERE run = ?", (line.run,)).fetchone()[0]
        line.last = max(n, line.acked, lost or 0)
    return lines


def last_row(connection: sqlite3.Connection, ord_: int, pruned: int, pruned_bytes: int) -> tuple[int, int]:
    """Return the number of a run's last row and the bytes of all its texts up to there."""
    row = connection.execute(
        "SELECT place & ?, CAST(bytes AS INTEGER) FROM events WHERE place BETWEEN ? AND ? ORDER BY place DESC LIMIT 1",
        (MAX_N, place(ord_, 0), place(ord_, MAX_N)),
    ).fetchone()
    return (row[0], row[1]) if row else (pruned, pruned_bytes)


def rows(connection: sqlite3.Connection, ord_: int, after: int, upto: int = MAX_N) -> Iterator[Row]:
    """Yield the rows of a run from `after` + 1 to `upto`, whatever gaps they have."""
    cursor = connection.execute(_ROWS, (MAX_N, place(ord_, after), place(ord_, upto)))
    return (Row(*found) for found in cursor)


def newest(connection: sqlite3.Connection, lines: Sequence[RunLine], most: int) -> Iterator[tuple[EventId, Event]]:
    """Yield the last decisions and passages among the `most` newest events of these runs, oldest first.

    What cannot be read is left out: it is found and told elsewhere.
    """
    runs = {line.ord: line.run for line in lines}
    upto = place(max(runs, default=0), MAX_N)
    with suppress(sqlite3.Error):
        first = connection.execute(_NEWEST, (upto, most - 1)).fetchone()
        for row_id, text in connection.execute(_SINCE, (first[0] if first else 0, upto)):
            run = runs.get(row_id >> RUN_BITS)
            if run is None or not isinstance(text, bytes) or not _PASSAGES.search(text, 0, _KIND_WITHIN):
                continue
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                yield EventId(run, row_id & MAX_N), read_event(text)


def batch(connection: sqlite3.Connection, line: RunLine, after: int, max_events: int, max_bytes: int) -> list[Spliced]:
    """Return the events that follow `after` without a gap, as many as fit; raise RowDamagedError.

    An event that was shed or that alone exceeds `max_bytes` comes as a stub, so a batch is empty only at a gap or at
    the end.
    """
    first = place(line.ord, after + 1)
    found = connection.execute(_BATCH, (first, place(line.ord, MAX_N), max_events)).fetchall()
    events: list[Spliced] = []
    size = 0
    for expect, (row_id, event_digest, text) in enumerate(found, first):
        if row_id != expect:
            break
        n = row_id & MAX_N
        data = _spliced(line.run, n, event_digest, text)
        if len(data) > max_bytes:
            data = splice(stub(n, ShedReason.TOO_LARGE), event_digest)
        size += len(data) + 1
        if size > max_bytes and events:
            break
        events.append(Spliced(n, data))
    return events


def _spliced(run: str, n: int, event_digest: bytes, text: object) -> bytes:
    if text is None:
        return splice(stub(n, ShedReason.QUOTA), event_digest)
    if not isinstance(text, bytes) or digest(text) != event_digest:
        raise RowDamagedError(f"event {n} of run {run} does not match its digest; restart to salvage the rest")
    return splice(text, event_digest)


def head_at(connection: sqlite3.Connection, line: RunLine, n: int, genesis_head: bytes) -> tuple[bytes, int] | None:
    """Return h(n) and the bytes of all texts up to `n`; None where nothing tells."""
    if n == line.acked:
        return line.acked_head, line.acked_bytes
    if n == line.pruned:
        return line.pruned_head, line.pruned_bytes
    if n == 0:
        return genesis_head, 0
    for row in rows(connection, line.ord, n - 1, n + 1):
        return (row.head, row.total_bytes) if row.n == n else (row.prev, row.total_bytes - len(row.text or b""))
    lost = connection.execute("SELECT head FROM losses WHERE run = ? AND last = ?", (line.run, n)).fetchone()
    return (lost[0], line.last_bytes) if lost and lost[0] else None


def genesis_of(device: str, store: str, line: RunLine) -> bytes:
    """Return h(0) of a run."""
    return genesis(device, store, line.run, line.ord, line.prev_n, line.prev_head)


def stamp_at(connection: sqlite3.Connection, ord_: int, after: int) -> Stamp | None:
    """Return when the first event after `after` happened; None where it has no text, or none that can be read.

    Nothing is decided by that: what is damaged is found and told where it is sent.
    """
    try:
        row = next(rows(connection, ord_, after), None)
        if row is None or row.text is None:
            return None
        event = read_event(row.text)
    except UNREADABLE:
        return None
    return Stamp(event.boot, event.mono_ms, event.wall_ms, event.q, event.err_ms)


def promises(connection: sqlite3.Connection) -> list[Promise]:
    """Return all promises, the oldest first."""
    rows = connection.execute(
        "SELECT key, run, n, outcome FROM promises LEFT JOIN runs USING (run) ORDER BY ord, n, key"
    )
    return [Promise(*row) for row in rows]


def unsealed(connection: sqlite3.Connection) -> Iterator[str]:
    """Yield what no chain covers and does not match its seal: promises, declared losses and used steps."""
    for *fields, sealed in connection.execute("SELECT key, run, n, outcome, seal FROM promises"):
        if seal(*fields) != sealed:
            yield f"promise {fields[0]!r} does not match its seal"
    for *fields, sealed in connection.execute("SELECT run, first, last, why, head, seal FROM losses"):
        if seal(*fields) != sealed:
            yield f"declared loss of run {fields[0]!r} does not match its seal"
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'steps'").fetchone():
        return  # a file of an older agent, not brought forward yet
    for *fields, sealed in connection.execute("SELECT name, step, seal FROM steps"):
        if seal(*fields) != sealed:
            yield f"used step of {fields[0]!r} does not match its seal"


def readable(connection: sqlite3.Connection, query: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query up to the first that cannot be read."""
    try:
        yield from connection.execute(query)
    except (sqlite3.Error, UnicodeDecodeError):  # a damaged name stands in SQLite's own message
        return


def losses(connection: sqlite3.Connection) -> list[Loss]:
    """Return the declared losses that central has not acknowledged."""
    found = connection.execute("SELECT run, first, last, why, head FROM losses ORDER BY run, first")
    return [Loss(run, first, last, TombReason(why), head) for run, first, last, why, head in found]
