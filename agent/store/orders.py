"""What the event loop asks of the journal's writer thread, and what it is told in return."""

import sqlite3
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from agent.core.types import Use
from agent.errors import StoreError
from agent.store.room import Pruned


class Entry(Struct, frozen=True):
    """One numberless event: its tail, its promises and the step that it uses up."""

    tail: bytes
    opens: str | None
    settles: str | None
    outcome: str
    uses: Use | None = None


class Append(Struct, frozen=True, eq=False):
    """Events to be written in one transaction; `waiter` belongs to the event loop and is only handed back."""

    entries: tuple[Entry, ...]
    waiter: Any


class Change(Struct, frozen=True):
    """A statement that needs no flush of its own; a newer one with the same `key` replaces it."""

    key: tuple[str, ...]
    sql: str
    values: tuple[Any, ...]
    forgets: str | None = None


class Errand(Struct, frozen=True, eq=False):
    """Something to do in a transaction of its own, after everything queued before it."""

    work: Callable[[sqlite3.Connection], Any]
    waiter: Any


class Stop(Struct, frozen=True, eq=False):
    """Finish and close."""

    waiter: Any


Answer = tuple[Any, Any]
"""A waiter and its result; an exception is a result too."""


class Report(Struct):
    """What the event loop is told: answers, and how far the run reaches now."""

    answers: list[Answer] = []
    last: int = 0
    last_bytes: int = 0
    pruned: list[Pruned] = []
    fault: StoreError | None = None


class Position(Struct):
    """Where the current run stands: the last number, its head, the bytes of all texts so far."""

    store: str
    ord: int
    run: str
    n: int
    head: bytes
    bytes: int = 0
