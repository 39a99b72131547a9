"""A modelled card with the journal on it: what survives which crash, and what it refuses.

The journal behaves as `agent.store.journal.Journal` does (a property test compares the two); numbering, chain and
promises are the product's own (`agent.store.batch`). An append is flushed before it is answered. A cursor, a forgotten
promise and retention ride with the next append or are written without a flush a second later, so a power cut may take
those back.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, NoReturn

from agent.core.types import EventId
from agent.errors import CommitUnknownError, StoreError, StoreFullError
from agent.store.batch import Batch
from agent.store.errors import AckBeyondError, AckHeadError, QueueFullError, RowDamagedError, UnknownRunError
from agent.store.orders import Append, Entry, Position
from agent.store.reading import RunLine
from agent.store.steps import Steps
from agent.store.types import Draft, Loss, OpenReport, Promise, RunInfo, Spliced, StoreStats, Waiting
from tests.simulation.card import Card, Change, Host, Image, Row, Trip
from wire.chain import link, splice
from wire.events import stub, write_tail
from wire.vocabulary import ShedReason, TombReason

QUEUE_EVENTS: Final = 1024
GROUP_EVENTS: Final = 128
IDLE_S: Final = 1.0
READ_S: Final = 0.001


class CardJournal:
    """The journal of one process; the same faces as the real one, in virtual time."""

    def __init__(self, card: Card, host: Host) -> None:
        self._card = card
        self._host = host
        self._current = card.begin_run()
        self._lines = {run: replace(line) for run, line in card.image.lines.items()}
        self._promises = dict(card.image.promises)
        self._losses = list(card.image.losses)
        self._notes = dict(card.image.notes)
        self._used = Steps(card.image.steps.items())
        line = self._current
        self._at = Position(card.image.store, line.ord, line.run, 0, line.acked_head)
        self._queue: list[tuple[Append, Sequence[Draft]]] = []
        self._queued = 0
        self._is_writing = False
        self._changes: dict[tuple[str, ...], Change] = {}
        self._is_resting = True
        self._fault: StoreError | None = None
        self._watchers: list[asyncio.Future[None]] = []
        self.is_dead = False
        self.on_grown: list[Callable[[str, int], None]] = []
        self.on_durable: list[Callable[[EventId, Draft], None]] = []
        self.report = OpenReport(tuple(card.found))
        card.found.clear()

    @property
    def store(self) -> str:
        """The journal's random id."""
        return self._card.image.store

    @property
    def run(self) -> str:
        """The run that began when it was opened."""
        return self._at.run

    # Appending

    async def append(self, draft: Draft) -> EventId:
        """Write one event; returns once it is durable."""
        return (await self.append_many((draft,)))[0]

    async def append_many(self, drafts: Sequence[Draft]) -> list[EventId]:
        """Write events in one transaction."""
        if self._fault is not None:
            raise self._fault
        if self._queued + len(drafts) > QUEUE_EVENTS:
            raise QueueFullError(f"{self._queued} events wait")
        entries = tuple(
            Entry(write_tail(draft.kind, draft.at, draft.body), draft.opens, draft.settles, draft.outcome, draft.uses)
            for draft in drafts
        )
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._queued += len(drafts)
        self._queue.append((Append(entries, waiter), drafts))
        if not self._is_writing:
            self._is_writing = True
            self._host.spawn(self._write(), "journal-writer")
        first = await waiter
        return [EventId(self.run, n) for n in range(first, first + len(drafts))]

    async def _write(self) -> None:
        while self._queue and self._fault is None:
            await asyncio.sleep(self._card.commit_s)
            group, self._queue = self._queue[:GROUP_EVENTS], self._queue[GROUP_EVENTS:]
            self._queued -= sum(len(drafts) for _, drafts in group)
            self._commit(group)
        self._is_writing = False

    def _commit(self, group: Sequence[tuple[Append, Sequence[Draft]]]) -> None:
        card, trip = self._card, self._card.trip
        card.trip = None
        if trip is Trip.BEFORE:
            self._host.crash()
            return
        if card.is_full:
            self._answer(group, StoreFullError("no room on the disk"))
            return
        batch = Batch(self._at, self._promises, self._used)
        for append, _ in group:
            batch.add(append)
        is_written = trip not in (Trip.TORN, Trip.EIO) or card.random.random() < 0.5
        if is_written:
            self._keep(batch, group)
        if trip is Trip.EIO:
            fault = CommitUnknownError("a write failed and its outcome is unknown")
            self._condemn(fault)
            self._answer(group, fault)
        elif trip is not None:
            self._host.crash()
        else:
            self._publish(batch)

    def _keep(self, batch: Batch, group: Sequence[tuple[Append, Sequence[Draft]]]) -> None:
        """Let a transaction be on the disk, the waiting changes with it."""
        card, run = self._card, self.run
        for change in self._changes.values():
            change(card.image)
        drafts = {append.waiter: drafts for append, drafts in group}
        told = [draft for append, _ in batch.accepted for draft in drafts[append.waiter]]
        for (_, prev, digest, total, text), draft in zip(batch.rows, told, strict=True):
            card.rows[run].append(Row(digest, text, link(prev, digest), total, draft.at))
            n = len(card.rows[run])
            if card.truth is not None:
                card.truth.durable(self._host.name, card.device, run, n, digest, draft)
            for callback in self.on_durable:
                callback(EventId(run, n), draft)
        line = card.image.lines[run]
        line.last, line.last_bytes = batch.n, batch.total_bytes
        _settle(card.image.promises, batch)
        self._used.apply(self._used.moved(batch.uses))
        card.image.steps.update(batch.uses)
        card.flushed()

    def _publish(self, batch: Batch) -> None:
        self._changes.clear()
        self._at.n, self._at.head, self._at.bytes = batch.n, batch.head, batch.total_bytes
        _settle(self._promises, batch)
        line = self._lines[self.run]
        is_grown = batch.n > line.last
        line.last, line.last_bytes = batch.n, batch.total_bytes
        for append, first in batch.accepted:
            if not append.waiter.done():
                append.waiter.set_result(first)
        for waiter, fault in batch.refused:
            if not waiter.done():
                waiter.set_exception(fault)
        if is_grown:
            for callback in self.on_grown:
                callback(self.run, batch.n)

    def _answer(self, group: Sequence[tuple[Append, Sequence[Draft]]], fault: StoreError) -> None:
        for append, _ in group:
            if not append.waiter.done():
                append.waiter.set_exception(fault)

    def _condemn(self, fault: StoreError) -> None:
        self._card.is_suspect = True
        self._fault = fault
        for watcher in self._watchers:
            if not watcher.done():
                watcher.set_result(None)

    async def watch(self) -> NoReturn:
        """Wait until the journal cannot be used any more, and raise why."""
        watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.append(watcher)
        await watcher
        assert self._fault is not None
        raise self._fault

    # Promises

    def note(self, name: str, value: str) -> None:
        """Keep a small value: not flushed by itself, so after a power cut the one before may be back."""
        if self._notes.get(name) != value:
            self._notes[name] = value
            self._later(("note", name), lambda image: image.notes.update({name: value}))

    def noted(self, name: str) -> str | None:
        """Return a small value, or None."""
        return self._notes.get(name)

    def last_step(self, name: str) -> int:
        """Return the highest step of a pass that was used."""
        return self._used.last(name)

    def open_promises(self) -> list[Promise]:
        """Return what was begun and whose end is not recorded."""
        return [promise for promise in self._promises.values() if promise.outcome is None]

    def settled_promises(self) -> list[Promise]:
        """Return what has ended and central has not confirmed."""
        return [promise for promise in self._promises.values() if promise.outcome is not None]

    async def forget(self, key: str) -> None:
        """Drop a promise that central confirmed."""
        if self._promises.pop(key, None) is not None:
            self._later(("promise", key), lambda image: _forget(image, key))

    # The outbox

    def runs(self) -> list[RunInfo]:
        """Return the runs with unacknowledged events, and the current one."""
        return [run for run in self.held() if run.acked < run.last or run.run == self.run]

    def held(self) -> list[RunInfo]:
        """Return every run that is known here."""
        return [
            RunInfo(line.run, line.ord, line.last, line.acked, line.acked_head, line.prev_n, line.prev_head)
            for line in self._lines.values()
        ]

    async def read(self, run: str, after: int, max_events: int, max_bytes: int) -> list[Spliced]:
        """Return what follows event `after`, up to a gap."""
        line = self._line(run)
        await asyncio.sleep(READ_S)
        events: list[Spliced] = []
        size = 0
        for n in range(after + 1, min(after + max_events, line.last, len(self._card.rows[run])) + 1):
            row = self._card.rows[run][n - 1]
            if row is None or n <= line.pruned:
                break
            data = splice(row.text, row.digest)
            if len(data) > max_bytes:
                data = splice(stub(n, ShedReason.TOO_LARGE), row.digest)
            size += len(data) + 1
            if size > max_bytes and events:
                break
            events.append(Spliced(n, data))
        if not events and line.acked <= after < line.last and not self._is_declared(run, after + 1):
            self._condemn(RowDamagedError(f"event {after + 1} of run {run} is missing"))
            raise RowDamagedError(f"event {after + 1} of run {run} is missing")
        return events

    async def acknowledge(self, run: str, upto: int, head: bytes) -> None:
        """Move the cursor if `upto` is durable and `head` is h(upto)."""
        line = self._line(run)
        first = line.acked + 1
        if upto > line.last:
            raise AckBeyondError(run, first, upto, f"event {line.last} is the last")
        if upto < line.acked:
            return
        await asyncio.sleep(READ_S)
        known = self._card.head_at(line, upto)
        if known is not None and known != head:
            raise AckHeadError(run, first, upto, "its head is not ours")
        if upto > line.acked:
            if self._card.truth is not None:
                self._card.truth.acknowledged(self._card.device, run, upto)
            line.acked, line.acked_head = upto, head
            self._later(("cursor", run), lambda image: _move(image, run, upto, head))

    async def rewind(self, run: str, upto: int) -> Loss | None:
        """Send again from `upto` on; return what is no longer retained."""
        line = self._line(run)
        if upto >= line.acked:
            return None
        await asyncio.sleep(self._card.commit_s)
        if self._card.is_full:
            raise StoreFullError("no room on the disk")
        loss = None
        known = self._card.head_at(line, upto) if upto >= line.pruned else None
        if known is None:
            loss = Loss(run, upto + 1, line.pruned, TombReason.PRUNED, line.pruned_head)
            upto, known = line.pruned, line.pruned_head
        line.acked, line.acked_head = upto, known
        self._declare(loss)
        self._card.quietly([*self._changes.values(), lambda image: _rewind(image, run, upto, known, loss)])
        self._changes.clear()
        return loss

    def _declare(self, loss: Loss | None) -> None:
        if loss is not None:
            self._losses = [known for known in self._losses if (known.run, known.first) != (loss.run, loss.first)]
            self._losses.append(loss)

    def losses(self) -> list[Loss]:
        """Return the declared losses that central has not acknowledged."""
        return list(self._losses)

    async def loss_acknowledged(self, run: str, to: int) -> None:
        """Central recorded the losses of a run up to `to`."""
        settled = [loss for loss in self._losses if loss.run == run and loss.to <= to]
        for loss in settled:
            self._losses.remove(loss)
            self._later(("loss", run, str(loss.first)), partial(_bury, gone=loss))

    def _is_declared(self, run: str, n: int) -> bool:
        return any(loss.run == run and loss.first <= n <= loss.to for loss in self._losses)

    def backlog(self) -> Waiting:
        """Return what waits for an acknowledgement."""
        events = sum(line.last - line.acked for line in self._lines.values())
        waiting = next((line for line in self._lines.values() if line.acked < line.last), None)
        if waiting is None:
            return Waiting(events, 0, None)
        rows = self._card.rows[waiting.run]
        row = rows[waiting.acked] if waiting.acked < len(rows) else None
        return Waiting(events, 0, None if row is None else row.stamp)

    @property
    def stats(self) -> StoreStats:
        """Figures for the heartbeat."""
        return StoreStats(0, 0, 0, self._queued)

    def _line(self, run: str) -> RunLine:
        if run not in self._lines:
            raise UnknownRunError(f"the journal does not hold run {run}")
        return self._lines[run]

    # What needs no flush of its own

    def _later(self, key: tuple[str, ...], change: Change) -> None:
        self._changes[key] = change
        if self._is_resting:
            self._is_resting = False
            asyncio.get_running_loop().call_later(IDLE_S, self._rest)

    def _rest(self) -> None:
        self._is_resting = True
        if self.is_dead or self._fault is not None:
            return
        if self._changes and not self._card.is_full:
            self._card.quietly(list(self._changes.values()))
            self._changes.clear()
        while not self._card.is_full and self._prune():
            pass

    def _prune(self) -> bool:
        """Delete acknowledged rows of the oldest run beyond what is kept."""
        spare = sum(line.acked - line.pruned for line in self._lines.values()) - self._card.keep_events
        line = next((line for line in self._lines.values() if line.acked > line.pruned), None)
        if spare <= 0 or line is None:
            return False
        n = min(line.acked, line.pruned + spare)
        head = self._card.head_at(line, n)
        if head is None:
            n, head = line.acked, line.acked_head
        line.pruned, line.pruned_head = n, head
        is_whole = self._is_whole(line)
        if is_whole:
            del self._lines[line.run]
        self._card.quietly([lambda image: _cut(image, line.run, n, head, is_whole)])
        return True

    def _is_whole(self, line: RunLine) -> bool:
        newest = max(other.ord for other in self._lines.values())
        is_owed = any(loss.run == line.run for loss in self._card.image.losses)
        return line.pruned >= line.last and line.ord < newest - 1 and not is_owed


def _settle(promises: dict[str, Promise], batch: Batch) -> None:
    for key, promise in batch.promises.items():
        if promise is None:
            promises.pop(key, None)
        else:
            promises[key] = promise


def _forget(image: Image, key: str) -> None:
    image.promises.pop(key, None)


def _move(image: Image, run: str, upto: int, head: bytes) -> None:
    if run in image.lines:
        image.lines[run].acked, image.lines[run].acked_head = upto, head


def _bury(image: Image, gone: Loss) -> None:
    image.losses = [loss for loss in image.losses if (loss.run, loss.first) != (gone.run, gone.first)]


def _rewind(image: Image, run: str, upto: int, head: bytes, loss: Loss | None) -> None:
    _move(image, run, upto, head)
    if loss is not None:
        _bury(image, loss)
        image.losses.append(loss)


def _cut(image: Image, run: str, n: int, head: bytes, is_whole: bool) -> None:
    if is_whole:
        image.lines.pop(run, None)
    elif run in image.lines:
        image.lines[run].pruned, image.lines[run].pruned_head = n, head
