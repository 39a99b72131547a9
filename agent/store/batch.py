"""One transaction in the making: events get their numbers, digests and places in the chain."""

from agent.errors import StoreError
from agent.store.db import place
from agent.store.errors import DuplicatePromiseError, StepUsedError
from agent.store.orders import Answer, Append, Entry, Position
from agent.store.steps import Steps
from agent.store.types import Promise
from wire.chain import digest, link
from wire.events import number


class Batch:
    """Events that continue a run from `start`; nothing of it is true before it is committed.

    `rows` are values for the events table, `promises` what becomes of each key (None: it is dropped), `accepted` the
    appends with their first number, `refused` the answers to those that were left out, `uses` the steps used up.
    """

    def __init__(self, start: Position, standing: dict[str, Promise], steps: Steps) -> None:
        self._standing = standing
        self._steps = steps
        self._ord = start.ord
        self._run = start.run
        self.n = start.n
        self.head = start.head
        self.total_bytes = start.bytes
        self.rows: list[tuple[int, bytes, bytes, int, bytes]] = []
        self.promises: dict[str, Promise | None] = {}
        self.accepted: list[tuple[Append, int]] = []
        self.refused: list[Answer] = []
        self.uses: dict[str, int] = {}

    def add(self, append: Append) -> None:
        """Number an append's events, or refuse it whole where it opens a promise that stands or uses a used step."""
        fault = self._objection(append)
        if fault is not None:
            self.refused.append((append.waiter, fault))
            return
        self.accepted.append((append, self.n + 1))
        for entry in append.entries:
            self._add(entry)

    def _add(self, entry: Entry) -> None:
        self.n += 1
        text = number(self.n, entry.tail)
        event_digest = digest(text)
        self.total_bytes += len(text)
        self.rows.append((place(self._ord, self.n), self.head, event_digest, self.total_bytes, text))
        self.head = link(self.head, event_digest)
        if entry.settles is not None:
            begun = self._stands(entry.settles) or Promise(entry.settles, self._run, self.n)
            ended = Promise(begun.key, begun.run, begun.n, entry.outcome) if entry.outcome else None
            self.promises[entry.settles] = ended
        if entry.opens is not None:
            self.promises[entry.opens] = Promise(entry.opens, self._run, self.n)
        if entry.uses is not None:
            self.uses[entry.uses.name] = entry.uses.step

    def _objection(self, append: Append) -> StoreError | None:
        taken = self._taken(append)
        if taken is not None:
            return DuplicatePromiseError(f"{taken} was begun before and must not begin again")
        for entry in append.entries:
            use = entry.uses
            if use is not None and use.step <= max(self._steps.last(use.name), self.uses.get(use.name, 0)):
                return StepUsedError(f"step {use.step} of {use.name} was used before")
        return None

    def _stands(self, key: str) -> Promise | None:
        return self.promises[key] if key in self.promises else self._standing.get(key)

    def _taken(self, append: Append) -> str | None:
        seen: set[str] = set()
        for entry in append.entries:
            if entry.opens is not None:
                if entry.opens in seen or self._stands(entry.opens) is not None:
                    return entry.opens
                seen.add(entry.opens)
        return None
