"""What changed since the snapshot: a small file beside it, read into memory when it is opened.

Each delta is one transaction with full synchronisation, so after a power cut it is there as a whole or not at all. The
file names the snapshot that it belongs to; beside another one it is stale and removed. Rows are sealed one by one,
because the file is written in place.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from agent.store import db, migrations
from agent.store.edition import ISSUE, TOTAL, Edition, issue_text, read_issue
from wire.directory import Issue
from wire.sethash import SetHash
from wire.transfer import DirectoryRef

CHANGES_NAME: Final = "directory-changes.db"
MAX_CHANGED: Final = 20_000
"""Rows and items that may differ from the snapshot; beyond, a new snapshot costs less than the memory."""
_BASE: Final = "base"
_PAGE_BYTES: Final = 4096
_PUT_ROW: Final = "INSERT OR REPLACE INTO credentials (key, row, seal) VALUES (?, ?, ?)"
_PUT_ITEM: Final = "INSERT OR REPLACE INTO book (key, item, seal) VALUES (?, ?, ?)"
_PUT_META: Final = "INSERT OR REPLACE INTO meta (name, value, seal) VALUES (?, ?, ?)"


class ChangesDamagedError(Exception):
    """The file cannot be trusted; says why."""


@dataclass(frozen=True, slots=True)
class Delta:
    """One change, ready to be written: rows and items with their new text, None where they go."""

    issue: Issue
    total: SetHash
    rows: Mapping[bytes, bytes | None]
    book: Mapping[str, bytes | None]


class Changes:
    """The one writing connection; belongs to the directory's thread after it is opened."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or create the file; raise sqlite3.Error, also where it is misshapen, SchemaError for a newer agent's."""
        connection = db.connect_writer(path, page_bytes=_PAGE_BYTES)
        try:
            migrations.migrate(connection, migrations.CHANGES, path)
            db.flush_folder(path.parent)
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    def apply(self, base: DirectoryRef, delta: Delta) -> None:
        """Commit a change; when this returns it is on the medium. After sqlite3.Error its outcome is unknown."""
        meta = {_BASE: _ref_text(base), ISSUE: issue_text(delta.issue), TOTAL: delta.total.state.hex()}
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            rows = ((key, text, db.seal(key, text)) for key, text in delta.rows.items())
            self._connection.executemany(_PUT_ROW, rows)
            items = ((key, item, db.seal(key, item)) for key, item in delta.book.items())
            self._connection.executemany(_PUT_ITEM, items)
            self._connection.executemany(_PUT_META, ((n, value, db.seal(n, value)) for n, value in meta.items()))
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def over(self, base: Edition) -> Edition | None:
        """Return the edition that the changes make of `base`; None where they are of another snapshot, or none.

        Raise ChangesDamagedError where the file cannot be trusted.
        """
        try:
            meta = dict(_sealed(self._connection, "SELECT name, value, seal FROM meta"))
            if _BASE not in meta and not self._is_empty():
                raise ChangesDamagedError("it does not say which snapshot it belongs to")
            if base.ref is None or meta.get(_BASE) != _ref_text(base.ref):
                return None
            rows = dict(_sealed(self._connection, "SELECT key, row, seal FROM credentials"))
            items = dict(_sealed(self._connection, "SELECT key, item, seal FROM book"))
            issue, total = read_issue(meta[ISSUE]), SetHash.read(bytes.fromhex(meta[TOTAL]))
        except (sqlite3.Error, msgspec.DecodeError, KeyError, TypeError, ValueError) as fault:
            raise ChangesDamagedError(str(fault)) from fault
        if total.digest != issue.digest:
            raise ChangesDamagedError("its hash does not match its version")
        return changed(base, Delta(issue, total, rows, items))

    def _is_empty(self) -> bool:
        found = "SELECT EXISTS (SELECT 1 FROM meta UNION SELECT 1 FROM credentials UNION SELECT 1 FROM book)"
        return not self._connection.execute(found).fetchone()[0]

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def changed(edition: Edition, delta: Delta) -> Edition:
    """Return the edition after a change."""
    come = sum(text is not None for text in delta.rows.values())
    was = sum(edition.text(key) is not None for key in delta.rows)
    book = {key: item for key, item in {**edition.book, **delta.book}.items() if item is not None}
    return replace(
        edition,
        issue=delta.issue,
        total=delta.total,
        changed={**edition.changed, **delta.rows},
        book=book,
        count=edition.count + come - was,
    )


def remove(path: Path) -> None:
    """Remove the file and its log."""
    for part in (path, db.wal_of(path), db.shm_of(path)):
        part.unlink(missing_ok=True)


def _sealed(connection: sqlite3.Connection, query: str) -> list[tuple[Any, Any]]:
    found = connection.execute(query).fetchall()
    for key, value, seal in found:
        if db.seal(key, value) != seal:
            raise ValueError(f"the seal of {key[:8]!a} is broken")
    return [(key, value) for key, value, _ in found]


def _ref_text(ref: DirectoryRef) -> str:
    return msgspec.json.encode(ref).decode()
