"""Making room in the journal: what may go, in which order, in steps small enough to do between two events.

Acknowledged rows go first. Then diagnostics lose their text and stay as stubs, so that the chain goes on. A decision, a
passage, a mode or a command never goes before central has it. No step looks at a clock. Each runs inside the caller's
transaction.
"""

import sqlite3
from dataclasses import dataclass
from typing import Final

from agent.store.db import MAX_N, place
from agent.store.reading import last_row
from wire.chain import link
from wire.vocabulary import EventKind

ROW_OVERHEAD_BYTES: Final = 80
"""What a row takes beside its text: two hashes, numbers, its share of the tree."""
_DIAGNOSTIC: Final = tuple(
    f'"kind":"{kind}"'.encode() for kind in (EventKind.READ_FAULT, EventKind.ALARM, EventKind.DOOR)
)


@dataclass(frozen=True, slots=True)
class Pruned:
    """Rows up to `n` of a run are gone; `freed_bytes` became free inside the file."""

    run: str
    n: int
    head: bytes
    total_bytes: int
    freed_bytes: int
    is_whole_run: bool


def used_bytes(connection: sqlite3.Connection) -> int:
    """Return what the live rows take; reads one row for each run."""
    used = 0
    runs = connection.execute("SELECT ord, pruned, pruned_bytes, shed_bytes FROM runs").fetchall()
    for ord_, pruned, pruned_bytes, shed_bytes in runs:
        n, total = last_row(connection, ord_, pruned, pruned_bytes)
        used += total - pruned_bytes - shed_bytes + ROW_OVERHEAD_BYTES * (n - pruned)
    return used


def prune(connection: sqlite3.Connection, keep_events: int, keep_bytes: int, rows: int) -> Pruned | None:
    """Delete up to `rows` of the oldest acknowledged rows beyond what is kept; None where there are none."""
    events, size = connection.execute(
        "SELECT total(acked - pruned), total(acked_bytes - pruned_bytes) FROM runs"
    ).fetchone()
    if events <= keep_events and size <= keep_bytes:
        return None
    oldest = connection.execute(
        "SELECT ord, run, pruned, pruned_bytes, acked, acked_head, acked_bytes FROM runs WHERE acked > pruned "
        "ORDER BY ord LIMIT 1"
    ).fetchone()
    ord_, run, pruned, pruned_bytes, acked, acked_head, acked_bytes = oldest
    wanted = rows if size > keep_bytes else min(rows, int(events) - keep_events)
    upto, head, total = acked, acked_head, acked_bytes
    if pruned + wanted < acked:
        upto, head, total = _cut(connection, ord_, pruned + wanted, (acked, acked_head, acked_bytes))
    freed = _delete(connection, ord_, pruned, upto)
    shed = total - pruned_bytes - freed[1]
    connection.execute(
        "UPDATE runs SET pruned = ?, pruned_head = ?, pruned_bytes = ?, shed_bytes = max(0, shed_bytes - ?) "
        "WHERE ord = ?",
        (upto, head, total, shed, ord_),
    )
    is_whole = _forget_run(connection, ord_)
    return Pruned(run, upto, head, total, freed[1] + ROW_OVERHEAD_BYTES * freed[0], is_whole)


def shed(connection: sqlite3.Connection, after: int, rows: int) -> tuple[int, int] | None:
    """Take the text from diagnostics among the `rows` rows that follow row id `after`.

    Return the bytes freed and the last row id looked at, None at the end of the journal.
    """
    found = connection.execute(
        "SELECT place, text FROM events WHERE place > ? ORDER BY place LIMIT ?", (after, rows)
    ).fetchall()
    if not found:
        return None
    freed = 0
    for row_id, text in found:
        if text is not None and is_diagnostic(text):
            freed += len(text)
            connection.execute("UPDATE events SET text = NULL WHERE place = ?", (row_id,))
            connection.execute("UPDATE runs SET shed_bytes = shed_bytes + ? WHERE ord = ? >> 40", (len(text), row_id))
    return freed, found[-1][0]


def is_diagnostic(text: bytes) -> bool:
    """True for an event that tells of a fault and nothing about a person."""
    return text.startswith(_DIAGNOSTIC, text.find(b",") + 1)


def _cut(connection: sqlite3.Connection, ord_: int, n: int, end: tuple[int, bytes, int]) -> tuple[int, bytes, int]:
    row = connection.execute(
        "SELECT place & ?, prev, digest, bytes FROM events WHERE place BETWEEN ? AND ? ORDER BY place LIMIT 1",
        (MAX_N, place(ord_, n), place(ord_, end[0])),
    ).fetchone()
    return (row[0], link(row[1], row[2]), row[3]) if row else end


def _delete(connection: sqlite3.Connection, ord_: int, after: int, upto: int) -> tuple[int, int]:
    span = (place(ord_, after), place(ord_, upto))
    size = connection.execute("SELECT total(length(text)) FROM events WHERE place > ? AND place <= ?", span).fetchone()[
        0
    ]
    gone = connection.execute("DELETE FROM events WHERE place > ? AND place <= ?", span).rowcount
    return gone, int(size)


def _forget_run(connection: sqlite3.Connection, ord_: int) -> bool:
    """Drop a run of which no row is left, but never the newest two: the next run's h(0) builds on them."""
    dropped = connection.execute(
        "DELETE FROM runs WHERE ord = ?1 AND ord < (SELECT max(ord) - 1 FROM runs) "
        "AND NOT EXISTS (SELECT 1 FROM events WHERE place BETWEEN ?1 << 40 AND ?1 << 40 | ?2) "
        "AND NOT EXISTS (SELECT 1 FROM losses WHERE losses.run = runs.run)",
        (ord_, MAX_N),
    )
    return dropped.rowcount > 0
