"""The directory on the device: who may be known at this door. It can be fetched again, so damage costs only that.

Lookups are synchronous: one search in a WITHOUT ROWID tree, a few microseconds. A snapshot is built in a file of its
own by one named thread, checked, flushed and renamed over the old one; the file in use is never written, so a decision
never waits and never sees a mix. Small values that can be fetched again are kept in a file beside it.
"""

import asyncio
import logging
import sqlite3
import sys
from binascii import hexlify
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final, Self, TypeVar

import msgspec

from agent.errors import StoreError
from agent.store import db, migrations
from agent.store.errors import SchemaError
from agent.store.kept import Kept
from wire.directory import row_text
from wire.messages import DirBegin, DirChunk, DirectoryRef, DirectoryRow, DirEnd

log = logging.getLogger(__name__)

DIRECTORY_NAME: Final = "directory.db"
_PAGE_BYTES: Final = 4096
_KEY_IN_TEXT: Final = slice(len('{"key":"'), len('{"key":"') + 32)
_ROWS_CHECKED_AT_OPEN: Final = 20_000
_FIND: Final = "SELECT row FROM credentials WHERE key = ?"
_REF: Final = "directory"
_decode_row = msgspec.json.Decoder(DirectoryRow).decode
_decode_ref = msgspec.json.Decoder(DirectoryRef).decode
_encode = msgspec.json.Encoder().encode

T = TypeVar("T")


class Directory:
    """The directory that decisions are made from; its methods belong to one event loop.

    `found` says what was wrong when it was opened, None where nothing was.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, found: str | None) -> None:
        self._path = path
        self._connection = connection
        self._ref = _ref(connection)
        self._kept = Kept(path.with_name("kept.json"))
        self._count: int = connection.execute("SELECT count(*) FROM credentials").fetchone()[0]
        self._staging: _Staging | None = None
        self._thread = ThreadPoolExecutor(1, "directory-writer")
        self.found = found

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open or create the directory of a state folder; an unreadable one is set aside and starts empty. Blocks.

        Raise SchemaError for a file of a newer agent, StoreError where the folder cannot be used.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / DIRECTORY_NAME
        _remove(_staged(path))
        _roll_back(path)
        found = _damage(path, _ROWS_CHECKED_AT_OPEN) if path.exists() else None
        try:
            if found is not None:
                _set_aside(path)
            _create(path)
            return cls(path, db.connect_reader(path, is_immutable=True), found)
        except (sqlite3.Error, OSError) as fault:
            raise StoreError(f"{path} cannot be opened ({fault}): check the card and its mount") from fault

    @property
    def ref(self) -> DirectoryRef | None:
        """Which directory this is; None before the first snapshot."""
        return self._ref

    def find(self, key_hex: str) -> DirectoryRow | None:
        """Return what is known of a credential by its keyed index, or None. Raise StoreError where the file fails."""
        try:
            row = self._connection.execute(_FIND, (bytes.fromhex(key_hex),)).fetchone()
            return _decode_row(row[0]) if row else None
        except (sqlite3.Error, msgspec.DecodeError) as fault:
            raise StoreError(f"{self._path} cannot be read ({fault}): restart to fetch the directory again") from fault

    def count(self) -> int:
        """Return the number of credentials."""
        return self._count

    def get(self, name: str) -> str | None:
        """Return a small value that `put` kept, or None."""
        return self._kept.get(name)

    async def put(self, name: str, value: str) -> None:
        """Keep a small value durably; it survives a new directory. Raise StoreError where it cannot be written."""
        await self._work(partial(self._kept.put, name, value))

    async def verify(self) -> str | None:
        """Return what is wrong with the rows, None where they match their digest. For large directories, at leisure."""
        return await self._work(partial(_damage, self._path, sys.maxsize))

    async def stage_begin(self, begin: DirBegin) -> None:
        """Begin a snapshot; one that was under way is dropped."""
        await self._drop()
        self._staging = await self._work(partial(_Staging, _staged(self._path), begin))

    async def stage_chunk(self, chunk: DirChunk) -> None:
        """Add the next chunk; raise StoreError, and drop the snapshot, where it is not the one expected."""
        staging = self._expect(chunk.snap)
        await self._checked(partial(staging.add, chunk))

    async def stage_end(self, end: DirEnd) -> DirectoryRef:
        """Check the snapshot and decide from it from now on; a wrong one raises StoreError and the old one stays."""
        staging = self._expect(end.snap)
        ref, connection = await self._checked(partial(staging.finish, self._path))
        old, self._connection = self._connection, connection
        self._staging = None
        self._ref = ref
        self._count = staging.rows
        await self._work(old.close)
        return ref

    async def close(self) -> None:
        """Drop a snapshot that is under way and close the file."""
        await self._drop()
        self._thread.shutdown(wait=True)
        self._connection.close()

    def _expect(self, snap: str) -> "_Staging":
        if self._staging is None or self._staging.snap != snap:
            raise StoreError(f"no snapshot {snap[:40]!a} was begun: ask for a whole one")
        return self._staging

    async def _checked(self, work: Callable[[], T]) -> T:
        try:
            return await self._work(work)
        except StoreError:
            await self._drop()
            raise

    async def _drop(self) -> None:
        if self._staging is not None:
            staging, self._staging = self._staging, None
            await self._work(staging.drop)

    async def _work(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError) as fault:
            raise StoreError(f"{self._path} cannot be written ({fault}): the directory in use stays") from fault


class _Staging:
    """A snapshot that is being built; used in the directory's thread only."""

    def __init__(self, path: Path, begin: DirBegin) -> None:
        _remove(path)
        self.snap = begin.snap
        self.rows = 0
        self._begin = begin
        self._path = path
        self._next = 0
        self._connection = _connect(path)
        # Flushed once, as a whole, before it is used.
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.execute("PRAGMA journal_mode=MEMORY")

    def add(self, chunk: DirChunk) -> None:
        if chunk.i != self._next or chunk.i >= self._begin.chunks:
            raise StoreError(f"snapshot {self.snap}: chunk {chunk.i} came where {self._next} was expected")
        self._next += 1
        try:
            texts = [(bytes.fromhex(row.key), row_text(row)) for row in chunk.rows]
        except ValueError as fault:
            raise StoreError(f"snapshot {self.snap}: chunk {chunk.i} has a key that is not hexadecimal") from fault
        self._connection.execute("BEGIN")
        try:
            self._connection.executemany("INSERT INTO credentials (key, row) VALUES (?, ?)", texts)
        except sqlite3.IntegrityError as fault:
            self._connection.execute("ROLLBACK")
            raise StoreError(f"snapshot {self.snap}: chunk {chunk.i} repeats a key") from fault
        self._connection.execute("COMMIT")
        self.rows += len(texts)

    def finish(self, path: Path) -> tuple[DirectoryRef, sqlite3.Connection]:
        begin = self._begin
        if self._next != begin.chunks or self.rows != begin.rows:
            raise StoreError(
                f"snapshot {self.snap} has {self.rows} rows in {self._next} chunks, "
                f"{begin.rows} in {begin.chunks} were announced"
            )
        found = _digest(self._connection)
        if found != begin.digest:
            raise StoreError(f"snapshot {self.snap} has digest {found}, {begin.digest} was announced")
        ref = DirectoryRef(begin.epoch, begin.ver, begin.digest)
        self._connection.execute("INSERT INTO meta (name, value) VALUES (?, ?)", (_REF, _encode(ref).decode()))
        self._connection.close()
        db.flush_file(self._path)
        self._path.rename(path)
        db.flush_folder(path.parent)
        return ref, db.connect_reader(path, is_immutable=True)

    def drop(self) -> None:
        self._connection.close()
        _remove(self._path)


def _staged(path: Path) -> Path:
    return path.with_suffix(".new")


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


def _create(path: Path) -> None:
    """Make an empty directory where there is none, and bring an older one to the present shape."""
    _connect(path).close()
    db.flush_folder(path.parent)


def _roll_back(path: Path) -> None:
    """Undo a change of shape that was cut short; a reader could not, and what cannot be undone shows as damage."""
    if path.exists() and path.with_name(path.name + "-journal").exists():
        with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master")


def _ref(connection: sqlite3.Connection) -> DirectoryRef | None:
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (_REF,)).fetchone()
    return _decode_ref(row[0].encode()) if row else None


def _damage(path: Path, max_rows: int) -> str | None:
    """Return why a directory file cannot be used; raise SchemaError for one of a newer agent.

    The rows are compared with their digest where there are no more than `max_rows`.
    """
    try:
        connection = db.connect_reader(path)
    except sqlite3.Error as fault:
        return str(fault)
    try:
        if migrations.check(connection, migrations.DIRECTORY, path) < 1:
            return None
        ref = _ref(connection)
        rows = connection.execute("SELECT count(*) FROM credentials").fetchone()[0]
        if ref is None and rows:
            return "it has rows and no version"
        if ref is not None and rows <= max_rows and _digest(connection) != ref.digest:
            return "its rows do not match their digest"
    except SchemaError:
        raise
    except (sqlite3.Error, msgspec.DecodeError, TypeError, AttributeError) as fault:
        return str(fault)
    finally:
        connection.close()
    return None


def _digest(connection: sqlite3.Connection) -> str:
    """Return the directory's digest as `wire.directory.directory_digest` defines it, over the texts as stored."""
    total = sha256()
    for key, text in connection.execute("SELECT key, row FROM credentials ORDER BY key"):
        if text[_KEY_IN_TEXT].lower() != hexlify(key):
            return "none: a row is stored under another key"
        total.update(text)
        total.update(b"\n")
    return total.hexdigest()


def _set_aside(path: Path) -> None:
    """Keep one damaged directory for inspection, beside the journal's."""
    log.warning("%s is damaged and set aside; it will be fetched again", path)
    folder = path.parent / "quarantine"
    folder.mkdir(exist_ok=True)
    path.rename(folder / path.name)
    _remove(path)
    db.flush_folder(path.parent)


def _remove(path: Path) -> None:
    """Remove a file that was being built, and the rollback journal that a crash may have left."""
    path.unlink(missing_ok=True)
    path.with_name(path.name + "-journal").unlink(missing_ok=True)
