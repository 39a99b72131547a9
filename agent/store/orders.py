"""What the event loop asks of the journal's writer thread, and what it is told in return."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agent.errors import StoreError
from agent.store.room import Pruned


@dataclass(frozen=True, slots=True)
class Entry:
    """One numberless event: its tail and its promises."""

    tail: bytes
    opens: str | None
    settles: str | None
    outcome: str


@dataclass(frozen=True, slots=True, eq=False)
class Append:
    """Events to be written in one transaction; `waiter` belongs to the event loop and is only handed back."""

    entries: tuple[Entry, ...]
    waiter: Any


@dataclass(frozen=True, slots=True)
class Change:
    """A statement that needs no flush of its own; a newer one with the same `key` replaces it."""

    key: tuple[str, ...]
    sql: str
    values: tuple[Any, ...]
    forgets: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Errand:
    """Something to do in a transaction of its own, after everything queued before it."""

    work: Callable[[sqlite3.Connection], Any]
    waiter: Any


@dataclass(frozen=True, slots=True, eq=False)
class Stop:
    """Finish and close."""

    waiter: Any


Answer = tuple[Any, Any]
"""A waiter and its result; an exception is a result too."""


@dataclass(slots=True)
class Report:
    """What the event loop is told: answers, and how far the run reaches now."""

    answers: list[Answer] = field(default_factory=list)
    last: int = 0
    last_bytes: int = 0
    pruned: list[Pruned] = field(default_factory=list)
    fault: StoreError | None = None


@dataclass(slots=True)
class Position:
    """Where the current run stands: the last number, its head, the bytes of all texts so far."""

    store: str
    ord: int
    run: str
    n: int
    head: bytes
    bytes: int = 0
