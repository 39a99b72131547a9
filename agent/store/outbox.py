"""The journal seen from the link: where the next unacknowledged event is, and how far back central can ask."""

import sqlite3
from collections.abc import Iterable
from typing import Final

from agent.store import reading
from agent.store.db import seal
from agent.store.types import Draft, Loss, Promise
from wire.vocabulary import TombReason

MOVE_CURSOR: Final = "UPDATE runs SET acked = ?, acked_head = ?, acked_bytes = ? WHERE ord = ?"


def next_waiting(
    lines: Iterable[reading.RunLine], line: reading.RunLine, upto: int
) -> tuple[reading.RunLine | None, int]:
    """Return the run and number after which the oldest waiting event comes once `line` is acknowledged to `upto`."""
    for other in lines:
        acked = upto if other is line else other.acked
        if acked < other.last:
            return other, acked
    return None, 0


def rewind(
    connection: sqlite3.Connection, run: str, upto: int, genesis_head: bytes
) -> tuple[reading.RunLine, Loss | None] | None:
    """Take a run's cursor back to `upto`, or as far as its rows reach; inside the caller's transaction.

    Return the run as it stands then, and what lies before the cursor and is gone; None where all of it is.
    """
    line = next((line for line in reading.run_lines(connection) if line.run == run), None)
    if line is None:
        return None
    known = reading.head_at(connection, line, upto, genesis_head) if upto >= line.pruned else None
    loss = None
    if known is None:
        loss = Loss(run, upto + 1, line.pruned, TombReason.PRUNED, line.pruned_head)
        declare(connection, loss)
        upto, known = line.pruned, (line.pruned_head, line.pruned_bytes)
    line.acked, line.acked_head, line.acked_bytes = upto, *known
    connection.execute(MOVE_CURSOR, (upto, *known, line.ord))
    return line, loss


def declare(connection: sqlite3.Connection, loss: Loss) -> None:
    """Write a loss down; inside the caller's transaction."""
    fields = (loss.run, loss.first, loss.to, str(loss.why), loss.head)
    connection.execute(
        "INSERT OR REPLACE INTO losses (run, first, last, why, head, seal) VALUES (?, ?, ?, ?, ?, ?)",
        (*fields, seal(*fields)),
    )


def keep_promise(promises: dict[str, Promise], draft: Draft, run: str, n: int) -> None:
    """Apply what a durable event does to the promises."""
    if draft.settles is not None:
        begun = promises.pop(draft.settles, None) or Promise(draft.settles, run, n)
        if draft.outcome:
            promises[draft.settles] = Promise(draft.settles, begun.run, begun.n, draft.outcome)
    if draft.opens is not None:
        promises[draft.opens] = Promise(draft.opens, run, n)
