"""Which steps of passes were used: durable in one transaction with the decision that used them, and never going back.

A pass is named `KIND:INDEX`, its kind and its keyed index. Memory is bounded for each kind; what is dropped, the lowest
steps first, leaves a floor: of that kind no step up to it is accepted any more, whoever's it is. The floor stands under
the kind alone. No clock is asked, so a clock that is set back makes nothing usable again.

What damage may have taken from the memory is doubted, in the same rows: `doubts` counts how often that happened,
`doubts_settled` for how many of them it is known up to which step, and `doubted` is that step. Rotating codes have
their floor there; of signed ones, whose step is the one in which they end, those that began before it count as used.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from agent.store.db import seal
from wire.vocabulary import CredentialKind

KEPT: Final = 4096
"""Passes remembered of a kind: far more than are shown at one door while a rotating code is accepted (45 s)."""
_DROPPED_AT_ONCE: Final = KEPT // 8


DOUBTS: Final = "doubts"
SETTLED: Final = "doubts_settled"
DOUBTED: Final = "doubted"
"""The step up to which nobody knows what was used."""


class Moved(Struct, frozen=True):
    """What a transaction changes: steps to write by name, floors among them, and names to drop."""

    puts: dict[str, int]
    drops: frozenset[str]


class Steps:
    """The last used step of each pass; changed in the writer's thread alone, read from any."""

    def __init__(self, known: Iterable[tuple[str, int]] = (), *, kept: int = KEPT) -> None:
        self._steps = dict(known)
        self._kept = kept

    def last(self, name: str) -> int:
        """Return the highest step of a pass that counts as used, 0 where none does."""
        return max(self._steps.get(name, 0), self._steps.get(_kind(name), 0))

    @property
    def is_doubtful(self) -> bool:
        """Whether memory was lost at a moment that no clock has told yet."""
        return self.last(DOUBTS) > self.last(SETTLED)

    def settled(self, step: int) -> dict[str, int]:
        """Return what to learn where all that is doubted was used up to `step`."""
        return {DOUBTED: step, CredentialKind.PASS_ROTATING.value: step, SETTLED: self.last(DOUBTS)}

    def moved(self, uses: Mapping[str, int]) -> Moved:
        """Return what it takes to remember these uses; steps that are not higher than what stands change nothing."""
        puts = {name: step for name, step in uses.items() if step > self.last(name)}
        drops: set[str] = set()
        for kind in {_kind(name) for name in puts}:
            of_kind = {name: step for name, step in (self._steps | puts).items() if name.startswith(f"{kind}:")}
            if len(of_kind) > self._kept:
                lowest = sorted(of_kind, key=lambda name: (of_kind[name], name))
                gone = lowest[: len(of_kind) - self._kept + min(_DROPPED_AT_ONCE, self._kept // 8)]
                puts[kind] = max(puts.get(kind, 0), self.last(kind), of_kind[gone[-1]])
                drops.update(gone)
        return Moved({name: step for name, step in puts.items() if name not in drops}, frozenset(drops))

    def apply(self, moved: Moved) -> None:
        """Take over what is durable now."""
        self._steps.update(moved.puts)
        for name in moved.drops:
            self._steps.pop(name, None)

    def learn(self, connection: sqlite3.Connection, uses: Mapping[str, int]) -> None:
        """Remember what was used elsewhere; inside the caller's transaction. Believed even where that fails."""
        moved = self.moved(uses)
        write(connection, moved)
        self.apply(moved)


def write(connection: sqlite3.Connection, moved: Moved) -> None:
    """Write the changes; inside the caller's transaction."""
    connection.executemany("DELETE FROM steps WHERE name = ?", [(name,) for name in moved.drops])
    connection.executemany(
        "INSERT OR REPLACE INTO steps (name, step, seal) VALUES (?, ?, ?)",
        [(name, step, seal(name, step)) for name, step in moved.puts.items()],
    )


def doubt(connection: sqlite3.Connection) -> None:
    """Write that memory may be lost, unless that stands already; inside the caller's transaction."""
    known = Steps(stored(connection))
    if not known.is_doubtful:
        write(connection, known.moved({DOUBTS: known.last(SETTLED) + 1}))


def stored(connection: sqlite3.Connection) -> list[tuple[str, int]]:
    """Return the steps of a journal file."""
    return connection.execute("SELECT name, step FROM steps").fetchall()


def _kind(name: str) -> str:
    return name.partition(":")[0]
