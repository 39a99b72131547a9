"""A modelled card with the journal's file on it: what survives which crash."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import zip_longest
from random import Random
from typing import Any, Final, Protocol

from agent.core.types import EventId
from agent.store.reading import RunLine, genesis_of
from agent.store.types import Loss, Promise
from tests.simulation.truth import Truth
from wire.events import Event, Stamp, read_event
from wire.vocabulary import TombReason

QUEUE_EVENTS: Final = 1024
GROUP_EVENTS: Final = 128
IDLE_S: Final = 1.0
READ_S: Final = 0.001


class Trip(StrEnum):
    """What happens at the next commit."""

    BEFORE = "before"  # power or process gone before anything was written
    TORN = "torn"  # gone in the middle: the transaction is whole or absent
    AFTER = "after"  # gone after the flush, before anybody was told
    EIO = "eio"  # the flush fails once: written or not, nobody knows


class Host(Protocol):
    """Whose card it is."""

    @property
    def name(self) -> str: ...

    def crash(self) -> None:
        """Lose the process, and perhaps the power."""

    def spawn(self, job: Coroutine[Any, Any, None], name: str) -> object:
        """Run a job for as long as the process lives."""


@dataclass(frozen=True, slots=True)
class Row:
    """A stored event; `head` is h(n)."""

    digest: bytes
    text: bytes
    head: bytes
    total_bytes: int
    stamp: Stamp


@dataclass(slots=True)
class Image:
    """The small tables of the file at one moment; rows lie in the card's heap and are bounded by `last`."""

    store: str
    lines: dict[str, RunLine] = field(default_factory=dict)
    promises: dict[str, Promise] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)
    steps: dict[str, int] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def copy(self) -> "Image":
        """Return the same, apart from this."""
        lines = {run: replace(line) for run, line in self.lines.items()}
        return Image(self.store, lines, dict(self.promises), list(self.losses), dict(self.steps), dict(self.notes))


Change = Callable[[Image], None]


class Card:
    """What outlives the process."""

    def __init__(self, device: str, random: Random, truth: Truth | None, *, keep_events: int) -> None:
        self.device = device
        self.random = random
        self.truth = truth
        self.keep_events = keep_events
        self.image = Image(f"{random.getrandbits(64):016x}")
        self.rows: dict[str, list[Row | None]] = {}
        self.unflushed: list[Image] = []
        self.is_suspect = False
        self.is_full = False
        self.commit_s = 0.004
        self.trip: Trip | None = None
        self.found: list[str] = []

    def quietly(self, changes: Sequence[Change]) -> None:
        """Write without a flush."""
        self.unflushed.append(self.image.copy())
        for change in changes:
            change(self.image)

    def flushed(self) -> None:
        """All that was written is safe now."""
        self.unflushed.clear()

    def power_cut(self) -> None:
        """What was not flushed may be gone, the newest first."""
        if self.unflushed:
            states = [*self.unflushed, self.image]
            self.image = states[self.random.randrange(len(states))]
            self.unflushed.clear()

    def head_at(self, line: RunLine, n: int) -> bytes | None:
        """Return h(n) where the file still tells it."""
        if n == line.acked:
            return line.acked_head
        if n == line.pruned:
            return line.pruned_head
        if n < line.pruned:
            return None
        if n == 0:
            return genesis_of(self.device, self.image.store, line)
        rows = self.rows[line.run]
        row = rows[n - 1] if n <= min(len(rows), line.last) else None
        if row is not None:
            return row.head
        lost = [loss.head for loss in self.image.losses if (loss.run, loss.to) == (line.run, n)]
        return lost[0] if lost else None

    def corrupt(self, span: int) -> int:
        """Damage the newest unacknowledged events; the next start declares them lost. Return how many."""
        line = next((line for line in reversed(self.image.lines.values()) if line.acked < line.last), None)
        if line is None:
            return 0
        first = max(line.acked + 1, line.last - span + 1)
        for loss in self.image.losses:
            if loss.run == line.run and loss.to >= first:
                return 0
        rows = self.rows[line.run] = list(self.rows[line.run])
        last = rows[line.last - 1]
        for n in range(first, line.last + 1):
            rows[n - 1] = None
            if self.truth is not None:
                self.truth.lost.add((self.device, line.run, n))
        head = last.head if last is not None and self.random.random() < 0.7 else None
        self.image.losses.append(Loss(line.run, first, line.last, TombReason.CORRUPT, head))
        self.found.append(f"run {line.run}: events {first} to {line.last} do not match their digests")
        return line.last - first + 1

    def begin_run(self) -> RunLine:
        """Start a run: durable before its first event."""
        if self.is_suspect:
            self.found.append("journal.db was marked after a failed write")
            self.is_suspect = False
        lines = list(self.image.lines.values())
        for line, after in zip_longest(lines, lines[1:]):
            self._declare_hole(line, after)
        ord_, prev_n, prev_head = 1, 0, b""
        if lines:
            before = lines[-1]
            ord_, prev_n, prev_head = before.ord + 1, before.last, self.head_at(before, before.last) or b""
        run = f"{self.random.getrandbits(64):016x}"
        line = RunLine(ord_, run, prev_n, prev_head, 0, b"", 0, 0, b"", 0)
        line.acked_head = line.pruned_head = genesis_of(self.device, self.image.store, line)
        self.image.lines[run] = line
        self.rows[run] = []
        self.flushed()
        if self.truth is not None:
            self.truth.began(self.device, run, ord_, line.acked_head)
        return line

    def newest(self, most: int) -> list[tuple[EventId, Event]]:
        """Return the last events of earlier runs that are kept, oldest first."""
        found: list[tuple[EventId, Event]] = []
        for line in list(self.image.lines.values())[:-1]:
            rows = enumerate(self.rows[line.run][line.pruned : line.last], line.pruned + 1)
            found += [(EventId(line.run, n), read_event(row.text)) for n, row in rows if row is not None]
        return found[-most:]

    def _declare_hole(self, line: RunLine, after: RunLine | None) -> None:
        """Declare what is missing at the end of a run and was not declared."""
        gone = [n for n in range(line.acked + 1, line.last + 1) if self.rows[line.run][n - 1] is None]
        losses = [loss for loss in self.image.losses if loss.run == line.run]
        gone = [n for n in gone if not any(loss.first <= n <= loss.to for loss in losses)]
        if gone:
            head = after.prev_head or None if after is not None and after.ord == line.ord + 1 else None
            self.image.losses.append(Loss(line.run, gone[0], gone[-1], TombReason.CORRUPT, head))

    def forked(self, random: Random) -> "Card":
        """Return a copy of the card, bit for bit."""
        twin = Card(self.device, random, self.truth, keep_events=self.keep_events)
        twin.image, twin.rows = self.image.copy(), dict(self.rows)
        return twin

    def is_safe(self, run: str, n: int) -> bool:
        """True where event `n` would be there after a power cut right now."""
        oldest = self.unflushed[0] if self.unflushed else self.image
        line = oldest.lines.get(run)
        return line is not None and line.pruned < n <= line.last and self.rows[run][n - 1] is not None
