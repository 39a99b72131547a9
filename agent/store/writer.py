"""The journal's writer: one named thread, one writing connection, group commit.

Everything that was queued while the last commit was under way goes into the next one, up to a bound. The thread
numbers the events, links the chain, commits, and then tells the event loop once for the whole group. What needs no
flush of its own (an acknowledgement's cursor, retention) rides with the next commit, or follows without a flush when
nothing comes: replaying it is harmless.

A failed commit has an unknown outcome. The thread then leaves a mark for the next start, refuses everything and parks
for ever with the connection in hand: closing it would checkpoint a log whose sync failed. A commit to a file that
somebody removed or replaced is as unknown; what that file holds is copied for the next start first.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final, NoReturn

from agent.errors import CommitUnknownError, StoreBusyError, StoreError, StoreFullError
from agent.store import room, standing, steps
from agent.store.batch import Batch
from agent.store.db import Fault, classify, flush_folder, seal, wal_of
from agent.store.footing import Footing
from agent.store.orders import Append, Change, Errand, Position, Report, Stop
from agent.store.reserve import Reserve
from agent.store.steps import Steps
from agent.store.types import JournalLimits, Promise
from agent.store.witness import Witness

log = logging.getLogger(__name__)

_PRUNE_ROWS: Final = 256
_INSERT: Final = "INSERT INTO events (place, prev, digest, bytes, text) VALUES (?, ?, ?, ?, ?)"


class Writer:
    """Owns the writing connection; every method except `put` and `start` runs in the writer's thread."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        witness: Witness,
        reserve: Reserve,
        footing: Footing,
        limits: JournalLimits,
        position: Position,
        promises: dict[str, Promise],
        used: Steps,
        publish: Callable[[Report], None],
    ) -> None:
        self._path = path
        self._connection = connection
        self._witness = witness
        self._reserve = reserve
        self._footing = footing
        self._limits = limits
        self._at = position
        self._promises = promises
        self._stands = standing.among(key for key, promise in promises.items() if promise.outcome is None)
        self._used = used
        self._publish = publish
        self._queue: SimpleQueue[Append | Change | Errand | Stop] = SimpleQueue()
        self._changes: dict[tuple[str, ...], Change] = {}
        self._used_bytes = room.used_bytes(connection)
        self._frames = 0
        self._patience_s: float | None = limits.idle_s
        self._shed_upto = 0
        self._fault: StoreError | None = None
        self._thread = threading.Thread(target=self._main, name="journal-writer", daemon=True)

    @property
    def used_bytes(self) -> int:
        """What the live rows take, as of the last commit."""
        return self._used_bytes

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def put(self, item: Append | Change | Errand | Stop) -> None:
        """Queue an item; callable from any thread."""
        self._queue.put(item)

    def _main(self) -> None:
        try:
            self._serve()
        except Exception as fault:
            log.exception("the journal's writer failed")
            self._condemn(fault)
            self._publish(Report([], self._at.n, self._at.bytes, fault=self._fault))
            self._park()

    def _serve(self) -> None:
        while self._fault is None:
            try:
                item = self._queue.get(timeout=self._patience_s)
            except Empty:
                self._rest()
                continue
            last = self._take(item)
            if isinstance(last, Errand):
                self._run(last)
            elif isinstance(last, Stop):
                self._close(last)
                return
        self._park()

    def _take(self, item: Append | Change | Errand | Stop) -> Errand | Stop | None:
        """Commit what is queued, up to the bound or to the first item that stands alone, and return that one."""
        group: list[Append] = []
        size = 0
        alone: Errand | Stop | None = None
        with suppress(Empty):
            while True:
                if isinstance(item, Append):
                    group.append(item)
                    size += len(item.entries)
                elif isinstance(item, Change):
                    if item.forgets and group:
                        self._append(group)  # a key may end and begin again; changes come before a group's events
                        group = []
                    self._changes[item.key] = item
                    self._promises.pop(item.forgets or "", None)
                    self._patience_s = self._limits.idle_s
                else:
                    alone = item
                    break
                if size >= self._limits.group_events:
                    break
                item = self._queue.get_nowait()
        if group:
            self._append(group)
        return alone

    def _append(self, group: Sequence[Append]) -> None:
        batch = Batch(self._at, self._promises, self._used)
        for append in group:
            batch.add(append)
        fault = self._write(batch) if batch.accepted else None
        answers = [(append.waiter, first if fault is None else fault) for append, first in batch.accepted]
        self._publish(Report(answers + batch.refused, self._at.n, self._at.bytes, fault=self._fault))
        if fault is None:
            self._mark()  # after the answer: it may lag behind the journal, and nobody at the door waits for it
        if self._frames >= self._limits.checkpoint_frames:
            self._checkpoint()

    def _write(self, batch: Batch) -> StoreError | None:
        """Commit a batch and move on; return what went wrong instead of raising it."""
        need = batch.total_bytes - self._at.bytes + room.ROW_OVERHEAD_BYTES * len(batch.rows)
        if self._used_bytes + need > self._limits.max_bytes and not self._make_room(need):
            return self._fault or StoreFullError(
                f"the journal holds {self._used_bytes} bytes that central has not acknowledged, the limit is "
                f"{self._limits.max_bytes}: restore the link to central or raise the limit"
            )
        fault = self._transact(batch)
        if fault is Fault.FULL and self._free_disk():
            fault = self._transact(batch)
        if fault is Fault.FULL:
            return StoreFullError(f"no room on the disk of {self._path}: free some space; unsent events are kept")
        if fault is Fault.BUSY:
            return StoreBusyError(f"another process writes to {self._path}: end it; only the agent may write there")
        if fault is Fault.BROKEN or self._has_lost_footing():
            return self._fault
        self._advance(batch, need)
        return None

    def _transact(self, batch: Batch) -> Fault | None:
        moved = self._used.moved(batch.uses) if batch.uses else None
        stands = self._stands_after(batch)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for change in self._changes.values():
                self._connection.execute(change.sql, change.values)
            self._connection.executemany(_INSERT, batch.rows)
            for key, promise in batch.promises.items():
                self._store_promise(key, promise)
            if stands != self._stands:
                standing.write(self._connection, stands)
            if moved is not None:
                steps.write(self._connection, moved)
            self._connection.execute("COMMIT")
        except sqlite3.Error as fault:
            return self._failed(fault)
        if moved is not None:
            self._used.apply(moved)
        self._stands = stands
        return None

    def _has_lost_footing(self) -> bool:
        """Condemn a file to which no name leads any more, with what was just committed to it."""
        trouble = self._footing.trouble()
        if not trouble:
            return False
        is_rescued = self._footing.rescue(self._connection)
        self._fault = CommitUnknownError(
            f"{trouble}; {'the next start goes on with a copy of it' if is_rescued else 'it could not be copied'}. "
            f"Nobody but the agent may change files in {self._path.parent} while it runs"
        )
        leave_mark(self._path, trouble)
        return True

    def _stands_after(self, batch: Batch) -> tuple[str, ...]:
        """Return what keeps people out once a batch is durable."""
        changed = batch.promises
        began = [key for key, promise in changed.items() if promise is not None and promise.outcome is None]
        return standing.among([*(key for key in self._stands if key not in changed), *began])

    def _store_promise(self, key: str, promise: Promise | None) -> None:
        if promise is None:
            self._connection.execute("DELETE FROM promises WHERE key = ?", (key,))
        else:
            self._connection.execute(
                "INSERT OR REPLACE INTO promises (key, run, n, outcome, seal) VALUES (?, ?, ?, ?, ?)",
                (key, promise.run, promise.n, promise.outcome, seal(key, promise.run, promise.n, promise.outcome)),
            )

    def _advance(self, batch: Batch, need: int) -> None:
        self._at.n, self._at.head, self._at.bytes = batch.n, batch.head, batch.total_bytes
        for key, promise in batch.promises.items():
            if promise is None:
                self._promises.pop(key, None)
            else:
                self._promises[key] = promise
        self._used_bytes += need
        # One frame for the leaf, one for each small table, and three for each page that the rows fill.
        small = bool(self._changes or batch.promises) + bool(batch.uses)
        self._frames += 1 + small + 3 * need // self._limits.page_bytes
        self._changes.clear()
        self._patience_s = self._limits.idle_s

    def _mark(self) -> None:
        at = self._at
        stands = standing.brief(self._stands)
        self._guard(lambda: self._witness.write(at.store, at.ord, at.run, at.n, at.head, stands))

    def _failed(self, fault: sqlite3.Error) -> Fault:
        kind = classify(fault)
        if kind is Fault.BROKEN:
            self._condemn(fault)
        elif self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
        return kind

    def _condemn(self, fault: Exception) -> None:
        """Commit nothing more to this file, and make the next start begin a new one."""
        self._fault = CommitUnknownError(
            f"{self._path}: a write failed and its outcome is unknown ({fault}); the next start copies the journal to "
            "a new file. If this repeats, replace the card"
        )
        self._fault.__cause__ = fault
        leave_mark(self._path, str(fault))

    def _park(self) -> NoReturn:
        held = self._connection
        while True:
            item = self._queue.get()
            if not isinstance(item, Change):
                self._publish(Report([(item.waiter, self._fault)], self._at.n, self._at.bytes, fault=self._fault))
            assert held is not None

    def _guard(self, work: Callable[[], object]) -> None:
        """Do what only helps to detect damage; its failure is told and costs nothing."""
        try:
            work()
        except OSError as fault:
            log.warning("%s: the witness cannot be written (%s); damage may go unseen", self._path, fault)

    def _quietly(self, work: Callable[[sqlite3.Connection], Any]) -> tuple[bool, Any]:
        """Run work in a transaction without a flush of its own; False where the disk is full or held."""
        result: Any = None
        try:
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute("BEGIN IMMEDIATE")
            for change in self._changes.values():
                self._connection.execute(change.sql, change.values)
            result = work(self._connection)
            self._connection.execute("COMMIT")
            self._connection.execute("PRAGMA synchronous=FULL")
        except sqlite3.Error as fault:
            if self._failed(fault) is not Fault.BROKEN:
                self._connection.execute("PRAGMA synchronous=FULL")
            return False, None
        self._changes.clear()
        return True, result

    def _prune(self, keep_events: int, keep_bytes: int) -> bool:
        """Delete one step of acknowledged rows; False where there is nothing to delete."""
        _, pruned = self._quietly(lambda connection: room.prune(connection, keep_events, keep_bytes, _PRUNE_ROWS))
        if pruned is None:
            return False
        self._used_bytes -= pruned.freed_bytes
        self._frames += 4 + pruned.freed_bytes // self._limits.page_bytes // 8
        self._publish(Report([], self._at.n, self._at.bytes, [pruned]))
        return True

    def _make_room(self, need: int) -> bool:
        """Bring the journal `need` bytes below its limit; False where unacknowledged events alone fill it."""
        goal = self._limits.max_bytes - need
        while self._used_bytes > goal and self._fault is None and self._prune(0, 0):
            pass
        while self._used_bytes > goal and self._fault is None and self._shed():
            pass
        return self._used_bytes <= goal

    def _shed(self) -> bool:
        """Reduce some diagnostics to stubs; False once all of the journal was looked at."""
        is_done, result = self._quietly(lambda connection: room.shed(connection, self._shed_upto, _PRUNE_ROWS))
        if not is_done or result is None:
            return False
        freed, self._shed_upto = result
        self._used_bytes -= freed
        return True

    def _free_disk(self) -> bool:
        """Give the disk what can be spared: the reserve, acknowledged rows, the log's length."""
        is_freed = self._reserve.free()
        while self._fault is None and self._prune(0, 0):
            is_freed = True
        if self._fault is None:
            self._checkpoint()
        return is_freed and self._fault is None

    def _checkpoint(self) -> None:
        """Move the log into the file and flush the witness."""
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as fault:
            if self._failed(fault) is Fault.BROKEN:
                self._publish(Report([], self._at.n, self._at.bytes, fault=self._fault))
            return
        self._frames = 0
        self._guard(self._witness.flush)

    def _rest(self) -> None:
        """Nothing came for a while: write what waits, delete a step, flush the witness, hold the reserve."""
        self._patience_s = None
        if self._changes:
            self._quietly(lambda connection: None)
        if self._fault is None and self._prune(self._limits.keep_events, self._limits.keep_bytes):
            self._patience_s = 0.02
        elif self._fault is None:
            self._guard(self._witness.flush)
            self._reserve.hold()
        if self._fault is None and self._frames >= self._limits.checkpoint_frames:
            self._checkpoint()
        if self._fault is not None:
            self._publish(Report([], self._at.n, self._at.bytes, fault=self._fault))

    def _run(self, errand: Errand) -> None:
        is_done, result = self._quietly(errand.work)
        if not is_done and self._fault is None and self._reserve.free():
            is_done, result = self._quietly(errand.work)
        answer = result if is_done else self._fault or StoreFullError(f"{self._path}: no room, or held by another")
        self._publish(Report([(errand.waiter, answer)], self._at.n, self._at.bytes, fault=self._fault))

    def _close(self, stop: Stop) -> None:
        if self._changes:
            self._quietly(lambda connection: None)
        if self._fault is None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._guard(self._witness.close)
        self._publish(Report([(stop.waiter, None)], self._at.n, self._at.bytes))


def mark_path(path: Path) -> Path:
    """Return where `leave_mark` notes that a file must not be written again."""
    return path.with_suffix(".suspect")


def leave_mark(path: Path, why: str) -> None:
    """Note beside a file that the next start has to copy it; where even that fails, the page cache is gone anyway."""
    with suppress(OSError):
        mark_path(path).write_text(why + "\n")
        flush_folder(path.parent)


def wal_bytes(path: Path) -> int:
    """Return the length of a file's write-ahead log."""
    try:
        return wal_of(path).stat().st_size
    except OSError:
        return 0
