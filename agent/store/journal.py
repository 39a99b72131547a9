"""The journal: every event of this door, in order, durable before anybody sees its effect.

The outbox is a view of it: what follows the acknowledged number of each run. This is the event loop's side; the writer
thread commits, a reader thread with a read-only connection serves the link. An append that is cancelled while it waits
is committed all the same.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, NoReturn, Self, TypeVar

from agent.core.types import EventId
from agent.errors import StoreError
from agent.store import notes, outbox, reading
from agent.store.errors import (
    AckBeyondError,
    AckHeadError,
    QueueFullError,
    RowDamagedError,
    UnknownRunError,
)
from agent.store.opening import Opened, open_journal, position_of
from agent.store.orders import Append, Change, Entry, Errand, Report, Stop
from agent.store.steps import Steps, stored
from agent.store.types import Draft, JournalLimits, Loss, OpenReport, Promise, RunInfo, Spliced, StoreStats, Waiting
from agent.store.verify import chain
from agent.store.writer import Writer, leave_mark, wal_bytes
from wire.events import Event, Stamp, write_tail

__all__ = ["Draft", "EventId", "Journal", "JournalLimits", "Loss", "Promise", "RunInfo", "Spliced", "Waiting"]

log = logging.getLogger(__name__)

_VERIFIED_AT_ONCE: Final = 1000

T = TypeVar("T")


class Journal:
    """An open journal; all methods except `open` belong to one event loop.

    `on_grown` callbacks get (run, last) after each commit, `on_durable` ones before that each event, in order. Once a
    write failed, every append raises CommitUnknownError and `watch` ends: the process has to exit, the next start mends
    the file.
    """

    def __init__(self, opened: Opened, device: str, limits: JournalLimits) -> None:
        self._opened = opened
        self._device = device
        self._limits = limits
        self._lines = {line.run: line for line in opened.lines}
        self._current = opened.lines[-1]
        self._promises = {promise.key: promise for promise in reading.promises(opened.connection)}
        self._losses = reading.losses(opened.connection)
        self._used = Steps(stored(opened.connection))
        self._notes = notes.stored(opened.connection)
        self._queued = 0
        self._oldest: Stamp | None = None
        self._newest: Stamp | None = None
        self._fault: StoreError | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watchers: list[asyncio.Future[None]] = []
        self.on_grown: list[Callable[[str, int], None]] = []
        self.on_durable: list[Callable[[EventId, Draft], None]] = []
        self._reading = ThreadPoolExecutor(1, "journal-reader")
        self._writer = Writer(
            opened.path, opened.connection, opened.witness, opened.reserve, opened.footing, limits,
            position_of(opened, device),
            dict(self._promises), self._used, self._publish,
        )  # fmt: skip
        waiting = next((line for line in opened.lines if line.acked < line.last), None)
        if waiting is not None:
            self._oldest = reading.stamp_at(opened.reader, waiting.ord, waiting.acked)

    @classmethod
    def open(cls, folder: Path, *, device: str, limits: JournalLimits | None = None) -> Self:
        """Open or create the journal of a state folder, mend it where it is damaged, and begin a run. Blocks.

        Raise StoreBusyError where another agent holds the folder, SchemaError for a file of a newer agent, StoreError
        where the folder cannot be used.
        """
        bounds = limits or JournalLimits()
        return cls(open_journal(folder, device, bounds), device, bounds)

    @property
    def store(self) -> str:
        """The journal's random id, 16 hex digits."""
        return self._opened.store

    @property
    def run(self) -> str:
        """The run that began when the journal was opened, 16 hex digits."""
        return self._current.run

    @property
    def report(self) -> OpenReport:
        """What opening found wrong and what became of it."""
        return self._opened.report

    async def append(self, draft: Draft) -> EventId:
        """Write one event; returns once it is durable.

        Raise DuplicatePromiseError, StepUsedError, StoreFullError (QueueFullError at once) with nothing written,
        StoreBusyError, or CommitUnknownError, after which nothing may be granted.
        """
        return (await self.append_many((draft,)))[0]

    async def append_many(self, drafts: Sequence[Draft]) -> list[EventId]:
        """Write events in one transaction, all or none; raises as `append` does."""
        if not drafts:
            return []
        if self._fault is not None:
            raise self._fault
        if self._queued + len(drafts) > self._limits.queue_events:
            raise QueueFullError(
                f"{self._queued} events wait for the disk, the limit is {self._limits.queue_events}: the card is too "
                "slow or failing"
            )
        entries = tuple(
            Entry(write_tail(draft.kind, draft.at, draft.body), draft.opens, draft.settles, draft.outcome, draft.uses)
            for draft in drafts
        )
        waiter: asyncio.Future[int] = self._here().create_future()
        self._queued += len(drafts)
        append = Append(entries, (waiter, drafts))
        self._writer.put(append)
        first = await waiter
        return [EventId(self._current.run, n) for n in range(first, first + len(drafts))]

    def open_promises(self) -> list[Promise]:
        """Return what was begun and whose end is not recorded."""
        return [promise for promise in self._promises.values() if promise.outcome is None]

    def settled_promises(self) -> list[Promise]:
        """Return what has ended with an outcome that central has not confirmed."""
        return [promise for promise in self._promises.values() if promise.outcome is not None]

    async def forget(self, key: str) -> None:
        """Drop a promise that central confirmed. Not flushed by itself: after a crash it may be there again."""
        if self._promises.pop(key, None) is not None:
            self._writer.put(Change(("promise", key), "DELETE FROM promises WHERE key = ?", (key,), forgets=key))

    def noted(self, name: str) -> str | None:
        """Return a small value that `note` kept, or None."""
        return self._notes.get(name)

    def note(self, name: str, value: str) -> None:
        """Keep a small value beside the events. Not flushed by itself: after a power cut the one before may be back."""
        if self._notes.get(name) != value:
            self._here()
            self._notes[name] = value
            self._writer.put(Change(("note", name), notes.PUT, (name, notes.sealed(value))))

    def last_step(self, name: str) -> int:
        """Return the highest step of a pass that counts as used, 0 where none does; `name` is `KIND:INDEX`."""
        return self._used.last(name)

    async def learn_steps(self, uses: Mapping[str, int]) -> None:
        """Remember steps that were used at other doors. Not flushed by itself; raise StoreError where that fails."""
        await self._errand(lambda connection: self._used.learn(connection, uses))

    @property
    def is_doubtful(self) -> bool:
        """Whether used steps were lost, in this run or an earlier one, and no clock has told yet up to which."""
        return self._used.is_doubtful

    async def settle_doubt(self, step: int) -> None:
        """Remember that nobody knows what was used up to `step`. Raises as `learn_steps` does."""
        await self.learn_steps(self._used.settled(step))

    def runs(self) -> list[RunInfo]:
        """Return the runs with unacknowledged events, oldest first, and the current one last."""
        return [run for run in self.held() if run.acked < run.last or run.run == self.run]

    def held(self) -> list[RunInfo]:
        """Return every run that is still known here, acknowledged or not, oldest first."""
        return [
            RunInfo(line.run, line.ord, line.last, line.acked, line.acked_head, line.prev_n, line.prev_head)
            for line in self._lines.values()
        ]

    async def read(self, run: str, after: int, max_events: int, max_bytes: int) -> list[Spliced]:
        """Return what follows event `after`, ready for the link; empty at the end and where a loss begins.

        Raise UnknownRunError, or RowDamagedError, after which `watch` ends too.
        """
        line = self._line(run)
        found = await self._read(partial(reading.batch, self._opened.reader, line, after, max_events, max_bytes))
        if not found and line.acked <= after < line.last and not self._is_declared(line.run, after + 1):
            # A loss that central knew of, and forgot with a restore: the next start declares it again.
            fault = RowDamagedError(f"event {after + 1} of run {line.run} is missing; restart to declare it lost")
            self._suspect(fault)
            raise fault
        return found

    async def acknowledge(self, run: str, upto: int, head: bytes) -> None:
        """Central holds the run up to `upto`, where its chain stands at `head`; an older figure changes nothing.

        Raise UnknownRunError, AckBeyondError or AckHeadError with nothing changed. The moved cursor becomes durable
        with the next append, or soon after.
        """
        line = self._line(run)
        first = line.acked + 1
        if upto > line.last:
            raise AckBeyondError(run, first, upto, f"event {line.last} is the last that is durable here")
        if upto < line.acked:
            return
        next_line, next_after = outbox.next_waiting(self._lines.values(), line, upto)
        # Within a loss, declared or acknowledged long ago, nothing is left to compare with.
        known, oldest = await self._read(partial(self._look_up, replace(line), upto, next_line, next_after))
        if known is not None and known[0] != head:
            raise AckHeadError(run, first, upto, f"its head is {head.hex()}, ours is {known[0].hex()}")
        if upto > line.acked:
            self._move(line, upto, head, known[1] if known else line.acked_bytes)
            self._oldest = oldest or self._newest

    async def rewind(self, run: str, upto: int) -> Loss | None:
        """Central (restored) holds the run only up to `upto`: send again from there.

        Return the range that is no longer retained, which is declared as a loss too, or None.
        """
        line = self._line(run)
        if upto >= line.acked:
            return None
        work = partial(outbox.rewind, run=run, upto=upto, genesis_head=self._genesis(line))
        done = await self._errand(work)
        if done is None:
            raise UnknownRunError(f"run {run} was deleted, all of it, before it could go back")
        stands, loss = done
        line.acked, line.acked_head, line.acked_bytes = stands.acked, stands.acked_head, stands.acked_bytes
        waiting, after = outbox.next_waiting(self._lines.values(), line, line.acked)
        if waiting is not None:
            self._oldest = await self._read(partial(reading.stamp_at, self._opened.reader, waiting.ord, after))
        if loss is not None:
            self._losses = [known for known in self._losses if (known.run, known.first) != (run, loss.first)]
            self._losses.append(loss)
        return loss

    def losses(self) -> list[Loss]:
        """Return the declared losses that central has not acknowledged."""
        return list(self._losses)

    async def loss_acknowledged(self, run: str, to: int) -> None:
        """Central recorded the losses of a run up to `to`."""
        settled = [loss for loss in self._losses if loss.run == run and loss.to <= to]
        for loss in settled:
            self._losses.remove(loss)
            sql = "DELETE FROM losses WHERE run = ? AND first = ?"
            self._writer.put(Change(("loss", run, str(loss.first)), sql, (run, loss.first)))

    def newest(self, most: int) -> Iterator[tuple[EventId, Event]]:
        """Yield the last events of earlier runs that are kept here, oldest first. Blocks; for the start."""
        return reading.newest(
            self._opened.reader, [line for line in self._lines.values() if line.run != self.run], most
        )

    def _is_declared(self, run: str, n: int) -> bool:
        return any(loss.run == run and loss.first <= n <= loss.to for loss in self._losses)

    def backlog(self) -> Waiting:
        """Return what waits for an acknowledgement."""
        events = sum(line.last - line.acked for line in self._lines.values())
        size = sum(line.last_bytes - line.acked_bytes for line in self._lines.values())
        return Waiting(events, max(0, size), (self._oldest or self._newest) if events else None)

    @property
    def stats(self) -> StoreStats:
        """Figures for the heartbeat."""
        return StoreStats(wal_bytes(self._opened.path), self._writer.used_bytes, self._limits.max_bytes, self._queued)

    async def verify(self) -> list[str]:
        """Check every row of every run; return what is wrong, in plain words.

        For a scrubber in the background: it goes in steps of some milliseconds, so that the link is not kept waiting.
        """
        found: list[str] = []
        for line in [replace(line) for line in self._lines.values()]:
            for after in range(line.pruned, line.last, _VERIFIED_AT_ONCE):
                found += await self._read(partial(self._verify, line, after))
        return found

    async def watch(self) -> NoReturn:
        """Wait until the journal cannot be used any more, and raise why: the process has to exit then."""
        if self._fault is None:
            waiter: asyncio.Future[None] = self._here().create_future()
            self._watchers.append(waiter)
            await waiter
        assert self._fault is not None
        raise self._fault

    async def close(self) -> None:
        """Write what was queued, close the files and let go of the folder."""
        waiter: asyncio.Future[None] = self._here().create_future()
        self._reading.shutdown(wait=True)
        self._opened.reader.close()
        self._writer.put(Stop((waiter, ())))
        try:
            await waiter
        except StoreError:
            log.warning("%s is left as it is for the next start", self._opened.path)
        finally:
            self._opened.lock.release()

    def _here(self) -> asyncio.AbstractEventLoop:
        """Return the running loop; the writer starts with the first call, so that no report goes astray."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._writer.start()
        assert self._loop is asyncio.get_running_loop()
        return self._loop

    def _line(self, run: str) -> reading.RunLine:
        line = self._lines.get(run)
        if line is None:
            raise UnknownRunError(f"the journal does not hold run {run}")
        return line

    def _genesis(self, line: reading.RunLine) -> bytes:
        return reading.genesis_of(self._device, self.store, line)

    async def _read(self, work: Callable[[], T]) -> T:
        """Read in the reader's thread; raise RowDamagedError, after which `watch` ends too, where that cannot be done.

        A start looks at the end of a long journal alone, so damage further back is first met here.
        """
        try:
            return await self._here().run_in_executor(self._reading, work)
        except RowDamagedError as fault:
            self._suspect(fault)
            raise
        except reading.UNREADABLE as fault:
            damage = RowDamagedError(f"{self._opened.path} cannot be read ({fault}); restart to salvage the rest")
            self._suspect(damage)
            raise damage from fault

    def _suspect(self, fault: RowDamagedError) -> None:
        leave_mark(self._opened.path, str(fault))
        self._fail(fault)

    async def _errand(self, work: Callable[[sqlite3.Connection], T]) -> T:
        waiter: asyncio.Future[T] = self._here().create_future()
        self._writer.put(Errand(work, (waiter, ())))
        return await waiter

    def _look_up(
        self, line: reading.RunLine, upto: int, next_line: reading.RunLine | None, next_after: int
    ) -> tuple[tuple[bytes, int] | None, Stamp | None]:
        reader = self._opened.reader
        known = reading.head_at(reader, line, upto, self._genesis(line))
        return known, reading.stamp_at(reader, next_line.ord, next_after) if next_line else None

    def _verify(self, line: reading.RunLine, after: int) -> list[str]:
        return list(chain(self._opened.reader, line, self._genesis(line), after, after + _VERIFIED_AT_ONCE))

    def _move(self, line: reading.RunLine, upto: int, head: bytes, total: int) -> None:
        line.acked, line.acked_head, line.acked_bytes = upto, head, total
        self._writer.put(Change(("cursor", line.run), outbox.MOVE_CURSOR, (upto, head, total, line.ord)))

    def _publish(self, report: Report) -> None:
        """Hand the writer's report to the event loop; called in the writer's thread."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(self._told, report)
        except RuntimeError:
            log.debug("the event loop is closed; a report of the writer is dropped")

    def _told(self, report: Report) -> None:
        line = self._current
        is_grown = report.last > line.last
        line.last, line.last_bytes = report.last, report.last_bytes
        for (waiter, drafts), answer in report.answers:
            self._queued -= len(drafts)
            if drafts and not isinstance(answer, StoreError):
                self._note(drafts, answer)
            if waiter.done():
                continue
            if isinstance(answer, StoreError):
                waiter.set_exception(answer)
            else:
                waiter.set_result(answer)
        for pruned in report.pruned:
            self._forget_rows(pruned.run, pruned.n, pruned.head, pruned.total_bytes, pruned.is_whole_run)
        if report.fault is not None:
            self._fail(report.fault)
        if is_grown:
            for callback in self.on_grown:
                callback(line.run, line.last)

    def _note(self, drafts: Sequence[Draft], first: int) -> None:
        """Keep the promises and the newest time of events that are durable now."""
        for n, draft in enumerate(drafts, first):
            outbox.keep_promise(self._promises, draft, self._current.run, n)
            self._newest = draft.at
            for callback in self.on_durable:
                callback(EventId(self._current.run, n), draft)
        if self._oldest is None:
            self._oldest = drafts[0].at

    def _forget_rows(self, run: str, n: int, head: bytes, total: int, is_whole_run: bool) -> None:
        if is_whole_run:
            self._lines.pop(run, None)
        elif run in self._lines:
            line = self._lines[run]
            line.pruned, line.pruned_head, line.pruned_bytes = n, head, total

    def _fail(self, fault: StoreError) -> None:
        if self._fault is None:
            self._fault = fault
            log.critical("the journal cannot be used any more: %s", fault)
        for waiter in self._watchers:
            if not waiter.done():
                waiter.set_result(None)
        self._watchers.clear()
