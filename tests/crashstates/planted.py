"""Bugs of the storage layer, switched on by tests alone: each must be caught by the crash states of its workload."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from unittest import mock

from agent import identity
from agent.store import db, kept, room, snapshot
from agent.store.batch import Batch
from agent.store.changes import Changes, Delta
from agent.store.edition import ISSUE, TOTAL, Edition, edition_of, issue_text
from agent.store.reading import run_lines
from agent.store.writer import Writer
from wire.transfer import DirectoryRef


@dataclass(frozen=True, slots=True)
class Bug:
    """A planted bug: what it breaks, what is lost by it, and the workload whose crash states show it.

    `fail_sync` is the sync that fails in the recording, 0 for none.
    """

    breaks: str
    promise: str
    workload: str
    planted: Callable[[], AbstractContextManager[object]]
    fail_sync: int = 0


class _Normal(sqlite3.Connection):
    """A connection whose commits are never flushed one by one."""

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        return super().execute(sql.replace("synchronous=FULL", "synchronous=NORMAL"), *values)


@contextmanager
def _normal_sync() -> Iterator[None]:
    real = sqlite3.connect

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        return real(*args, factory=_Normal, **options)

    with mock.patch.object(sqlite3, "connect", connect):
        yield


@contextmanager
def _sync_retried() -> Iterator[None]:
    real = Writer._transact

    def transact(self: Writer, batch: Batch) -> db.Fault | None:
        with mock.patch.object(Writer, "_failed", return_value=db.Fault.BROKEN):
            fault = real(self, batch)
        if fault is None:
            return None
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        return real(self, batch)

    with mock.patch.object(Writer, "_transact", transact):
        yield


@contextmanager
def _rows_in_place() -> Iterator[None]:
    def finish(self: snapshot.Staging, path: Path) -> tuple[Edition, None]:
        into = sqlite3.connect(path, isolation_level=None)
        into.execute("DELETE FROM credentials")
        for row in self._connection.execute("SELECT key, row FROM credentials"):
            into.execute("INSERT INTO credentials (key, row) VALUES (?, ?)", row)
        meta = {ISSUE: issue_text(self._issue), TOTAL: self._total.state.hex()}
        meta[snapshot._SEAL] = snapshot._seal(self._connection)
        into.executemany("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", meta.items())
        into.close()
        self.drop()
        return edition_of(db.connect_reader(path, is_immutable=True)), None

    with mock.patch.object(snapshot.Staging, "finish", finish):
        yield


@contextmanager
def _change_row_by_row() -> Iterator[None]:
    real = Changes.apply

    def apply(self: Changes, base: DirectoryRef, delta: Delta) -> None:
        for key, text in delta.rows.items():
            real(self, base, replace(delta, rows={key: text}))
        real(self, base, delta)

    with mock.patch.object(Changes, "apply", apply):
        yield


@contextmanager
def _unflushed_change() -> Iterator[None]:
    real = Changes.apply

    def apply(self: Changes, base: DirectoryRef, delta: Delta) -> None:
        self._connection.execute("PRAGMA synchronous=NORMAL")
        real(self, base, delta)

    with mock.patch.object(Changes, "apply", apply):
        yield


@contextmanager
def _written_in_place() -> Iterator[None]:
    def replace_file(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        db.flush_folder(path.parent)

    with mock.patch.object(identity, "replace_file", replace_file):
        yield


@contextmanager
def _deleted_beyond() -> Iterator[None]:
    real = room.prune

    def prune(connection: sqlite3.Connection, keep_events: int, keep_bytes: int, rows: int) -> room.Pruned | None:
        pruned = real(connection, keep_events, keep_bytes, rows)
        if pruned is not None:
            for line in run_lines(connection):
                span = (db.place(line.ord, line.acked), db.place(line.ord, line.acked + 1))
                connection.execute("DELETE FROM events WHERE place > ? AND place <= ?", span)
        return pruned

    with mock.patch.object(room, "prune", prune):
        yield


@contextmanager
def _unflushed_snapshot() -> Iterator[None]:
    with mock.patch.object(db, "flush_file"):
        yield


@contextmanager
def _unflushed_names() -> Iterator[None]:
    def flush_folder(folder: Path) -> None:
        """Leave renames to chance."""

    with (
        mock.patch.object(db, "flush_folder", flush_folder),
        mock.patch.object(kept, "flush_folder", flush_folder),
        mock.patch.object(identity, "_flush_folder", flush_folder),
    ):
        yield


_LOST: Final = "an event that a person saw granted is gone after a power cut"

BUGS: Final[dict[str, Bug]] = {
    "normal-sync": Bug("commits are not flushed (WAL with synchronous=NORMAL)", _LOST, "journal", _normal_sync),
    "sync-retried": Bug("after EIO the same log is committed to again", _LOST, "failing", _sync_retried, fail_sync=2),
    "prune-beyond-cursor": Bug(
        "retention deletes what central has not acknowledged", "a check-in never arrives", "journal", _deleted_beyond
    ),
    "directory-row-by-row": Bug(
        "a directory is applied in place, row by row", "the door decides from a mix", "directory", _rows_in_place
    ),
    "directory-unflushed": Bug(
        "a snapshot is renamed before its bytes are durable",
        "the door knows nobody after a power cut",
        "directory",
        _unflushed_snapshot,
    ),
    "change-row-by-row": Bug(
        "a change of the directory is several transactions",
        "the door decides from a mix",
        "changes",
        _change_row_by_row,
    ),
    "change-unflushed": Bug(
        "a change is reported before it is durable", "a revoked card opens again", "changes", _unflushed_change
    ),
    "identity-in-place": Bug(
        "the identity is overwritten in place", "the device has to join again", "identity", _written_in_place
    ),
    "rename-unflushed": Bug(
        "a rename is reported before it is durable",
        "central knows a key that the device forgot",
        "identity",
        _unflushed_names,
    ),
}
"""By name."""
