"""The file of a snapshot: built under another name, checked, flushed, and renamed over the one in use.

The file in use is never written, so a decision never waits and never sees a mix. `seal` is a plain SHA-256 over the
rows in order: it finds damage at rest some ten times faster than the hash of the set, which only deltas need.
"""

import sqlite3
from binascii import hexlify
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from agent.errors import DirectoryRefusedError
from agent.store import canary, db, migrations
from agent.store.edition import ISSUE, TOTAL, Edition, edition_of, issue_text, read_issue, seal_of
from agent.store.errors import SchemaError
from rules.book import Book
from wire.directory import DirectoryTextError, Issue, item_element, key_in
from wire.sethash import SetHash
from wire.transfer import DirBegin, DirChunk
from wire.vocabulary import DirectoryRefusal

_PAGE_BYTES: Final = 4096
_SEAL: Final = "seal"
_KEY_IN_TEXT: Final = slice(len('{"key":"'), len('{"key":"') + 32)
_CANARIES: Final = 32


class Staging:
    """A snapshot that is being built; used in the directory's thread only."""

    def __init__(self, path: Path, begin: DirBegin, issue: Issue) -> None:
        remove(path)
        self.snap = begin.snap
        self.rows = self.items = 0
        self._begin = begin
        self._issue = issue
        self._path = path
        self._next = 0
        self._total = SetHash()
        self._connection = _connect(path)
        # Flushed once, as a whole, before it is used.
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.execute("PRAGMA journal_mode=MEMORY")

    def add(self, chunk: DirChunk) -> None:
        """Add the next chunk; raise DirectoryRefusedError where it is another, or holds what is no row."""
        if chunk.i != self._next or chunk.i >= self._begin.chunks:
            raise self._incomplete(f"chunk {chunk.i} came where {self._next} was expected")
        self._next += 1
        try:
            texts = [(key_in(text), text) for text in map(bytes, chunk.rows)]
        except DirectoryTextError as fault:
            raise self._incomplete(f"chunk {chunk.i}: {fault}") from fault
        items = [(entry.key, bytes(entry.item)) for entry in chunk.book]
        self._connection.execute("BEGIN")
        try:
            self._connection.executemany(
                "INSERT INTO credentials (key, row, seal) VALUES (?, ?, ?)",
                ((key, text, seal_of(key, text)) for key, text in texts),
            )
            self._connection.executemany("INSERT INTO book (key, item) VALUES (?, ?)", items)
        except sqlite3.IntegrityError as fault:
            self._connection.execute("ROLLBACK")
            raise self._incomplete(f"chunk {chunk.i} repeats a key") from fault
        self._connection.execute("COMMIT")
        self._total = self._total.changed(text for _, text in texts).changed(item_element(*item) for item in items)
        self.rows += len(texts)
        self.items += len(items)

    def finish(self, path: Path) -> tuple[Edition, Book | None]:
        """Check the whole, try decisions from it, and put it in the place of `path`; return what decisions see now."""
        self._check()
        meta = {ISSUE: issue_text(self._issue), TOTAL: self._total.state.hex(), _SEAL: _seal(self._connection)}
        self._connection.executemany("INSERT INTO meta (name, value) VALUES (?, ?)", meta.items())
        keys = self._connection.execute("SELECT key FROM credentials ORDER BY random() LIMIT ?", (_CANARIES,))
        sample = [key for (key,) in keys]
        self._connection.close()
        with closing(db.connect_reader(self._path)) as tried:
            book = canary.sing(edition_of(tried), sample, ())
        db.flush_file(self._path)
        self._path.rename(path)
        db.flush_folder(path.parent)
        return edition_of(db.connect_reader(path, is_immutable=True)), book

    def drop(self) -> None:
        """Give it up."""
        self._connection.close()
        remove(self._path)

    def _check(self) -> None:
        begin = self._begin
        if (self._next, self.rows, self.items) != (begin.chunks, begin.rows, begin.items):
            raise self._incomplete(
                f"has {self.rows} rows and {self.items} items in {self._next} chunks, "
                f"{begin.rows} and {begin.items} in {begin.chunks} were announced"
            )
        if self._total.digest != begin.digest:
            why = f"snapshot {self.snap} has digest {self._total.digest}, {begin.digest} was announced"
            raise DirectoryRefusedError(DirectoryRefusal.DIGEST, why)

    def _incomplete(self, why: str) -> DirectoryRefusedError:
        return DirectoryRefusedError(DirectoryRefusal.INCOMPLETE, f"snapshot {self.snap}: {why}")


def staged(path: Path) -> Path:
    """Return the name under which the next snapshot is built."""
    return path.with_suffix(".new")


def create(path: Path) -> None:
    """Make an empty directory where there is none, and bring an older one to the present shape."""
    _connect(path).close()
    db.flush_folder(path.parent)


def roll_back(path: Path) -> None:
    """Undo a change of shape that was cut short; a reader could not, and what cannot be undone shows as damage."""
    if path.exists() and path.with_name(path.name + "-journal").exists():
        with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master")


def remove(path: Path) -> None:
    """Remove a file that was being built, and the rollback journal that a crash may have left."""
    path.unlink(missing_ok=True)
    path.with_name(path.name + "-journal").unlink(missing_ok=True)


def damage(path: Path, max_rows: int) -> str | None:
    """Return why a file cannot be used; raise SchemaError for one of a newer agent.

    The rows are compared with their seal where there are no more than `max_rows`.
    """
    try:
        connection = db.connect_reader(path)
    except sqlite3.Error as fault:
        return str(fault)
    try:
        version = migrations.check(connection, migrations.DIRECTORY, path)
        if not migrations.is_shaped(connection, migrations.DIRECTORY):
            return "its tables are not as they were made"
        return None if version < 1 else _damage(connection, max_rows)
    except SchemaError:
        raise
    except (sqlite3.Error, msgspec.DecodeError, TypeError, AttributeError, ValueError) as fault:
        return str(fault)
    finally:
        connection.close()


def _damage(connection: sqlite3.Connection, max_rows: int) -> str | None:
    meta = dict(connection.execute("SELECT name, value FROM meta"))
    rows = connection.execute("SELECT count(*) FROM credentials").fetchone()[0]
    if ISSUE not in meta:
        return "it has rows and no version" if rows else None
    issue = read_issue(meta[ISSUE])
    if TOTAL in meta and SetHash.read(bytes.fromhex(meta[TOTAL])).digest != issue.digest:
        return "its hash does not match its version"
    # An older agent's digest is what is a seal now.
    if rows <= max_rows and _seal(connection) != meta.get(_SEAL, issue.digest):
        return "its rows do not match their seal"
    return None


def _connect(path: Path) -> sqlite3.Connection:
    """Open a file that is being built. No log beside it: it is renamed as one file."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA page_size={_PAGE_BYTES}")
        migrations.migrate(connection, migrations.DIRECTORY, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _seal(connection: sqlite3.Connection) -> str:
    total = sha256()
    has_seals = connection.execute("SELECT 1 FROM pragma_table_info('credentials') WHERE name = 'seal'").fetchone()
    seals = "seal" if has_seals else "NULL"
    for key, text, sealed in connection.execute(f"SELECT key, row, {seals} FROM credentials ORDER BY key"):  # noqa: S608
        if text[_KEY_IN_TEXT].lower() != hexlify(key):
            return "none: a row is stored under another key"
        if sealed not in (None, seal_of(key, text)):
            return "none: a row does not match its own seal"
        total.update(text)
        total.update(b"\n")
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'book'").fetchone():
        for key, item in connection.execute("SELECT key, item FROM book ORDER BY key"):
            total.update(item_element(key, item))
            total.update(b"\n")
    return total.hexdigest()
