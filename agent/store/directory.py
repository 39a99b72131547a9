"""The directory on the device: who may be known at this door. It can be fetched again, so damage costs only that.

Lookups are synchronous: one search in a WITHOUT ROWID tree, a few microseconds. A snapshot is built in a file of its
own by one named thread, checked, flushed and renamed over the old one, so a decision never waits and never sees a mix.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final, Self, TypeVar

import msgspec

from agent.errors import StoreError
from agent.store import db, migrations
from agent.store.errors import SchemaError
from wire.directory import row_text
from wire.messages import DirBegin, DirChunk, DirectoryRef, DirectoryRow, DirEnd

log = logging.getLogger(__name__)

DIRECTORY_NAME: Final = "directory.db"
_PAGE_BYTES: Final = 4096
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
        self._kept = dict(connection.execute("SELECT name, value FROM kept"))
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
        found = _damage(path) if path.exists() else None
        try:
            if found is not None:
                _set_aside(path)
            return cls(path, _connect(path), found)
        except (sqlite3.Error, OSError) as fault:
            raise StoreError(f"{path} cannot be opened ({fault}): check the card and its mount") from fault

    @property
    def ref(self) -> DirectoryRef | None:
        """Which directory this is; None before the first snapshot."""
        text = self._kept.get(_REF)
        return _decode_ref(text.encode()) if text else None

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
        return self._kept.get(f"put.{name}")

    async def put(self, name: str, value: str) -> None:
        """Keep a small value durably; it survives a new directory, and is lost with a damaged one."""
        await self._work(partial(_keep, self._connection, f"put.{name}", value))
        self._kept[f"put.{name}"] = value

    async def stage_begin(self, begin: DirBegin) -> None:
        """Begin a snapshot; one that was under way is dropped."""
        await self._drop()
        self._staging = await self._work(partial(_Staging, _staged(self._path), begin))

    async def stage_chunk(self, chunk: DirChunk) -> None:
        """Add the next chunk; raise StoreError, and drop the snapshot, where it is not the one expected."""
        staging = self._expect(chunk.snap)
        await self._checked(partial(staging.add, chunk))

    async def stage_end(self, end: DirEnd) -> DirectoryRef:
        """Check the snapshot and decide from it from now on; raise StoreError and keep the old one where it is wrong."""
        staging = self._expect(end.snap)
        kept = {name: value for name, value in self._kept.items() if name != _REF}
        ref, connection = await self._checked(partial(staging.finish, kept, self._path))
        old, self._connection = self._connection, connection
        self._staging = None
        self._kept = {**kept, _REF: _encode(ref).decode()}
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
            raise StoreError(f"no snapshot {ascii(snap[:40])} was begun: ask for a whole one")
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
        self._connection.execute("PRAGMA synchronous=OFF")  # flushed once, as a whole, before it is used

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

    def finish(self, kept: dict[str, str], path: Path) -> tuple[DirectoryRef, sqlite3.Connection]:
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
        for name, value in {**kept, _REF: _encode(ref).decode()}.items():
            _keep(self._connection, name, value)
        self._connection.execute("PRAGMA journal_mode=DELETE")  # one file, nothing beside it that a rename would lose
        self._connection.close()
        db.flush_file(self._path)
        self._path.rename(path)
        _remove_log(path)
        db.flush_folder(path.parent)
        return ref, _connect(path)

    def drop(self) -> None:
        self._connection.close()
        _remove(self._path)


def _staged(path: Path) -> Path:
    return path.with_suffix(".new")


def _connect(path: Path) -> sqlite3.Connection:
    """Open a directory file. A rollback journal: it is written rarely, read always, and renamed as one file."""
    connection = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA page_size={_PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("PRAGMA synchronous=FULL")
        migrations.migrate(connection, migrations.DIRECTORY, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _damage(path: Path) -> str | None:
    """Return why a directory file cannot be used; raise SchemaError for one of a newer agent."""
    try:
        connection = sqlite3.connect(path, isolation_level=None)
    except sqlite3.Error as fault:
        return str(fault)
    try:
        if migrations.check(connection, migrations.DIRECTORY, path) < 1:
            return None
        kept = dict(connection.execute("SELECT name, value FROM kept"))
        if _REF in kept and _digest(connection) != _decode_ref(kept[_REF].encode()).digest:
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
    for (text,) in connection.execute("SELECT row FROM credentials ORDER BY key"):
        total.update(text)
        total.update(b"\n")
    return total.hexdigest()


def _keep(connection: sqlite3.Connection, name: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO kept (name, value) VALUES (?, ?)", (name, value))


def _set_aside(path: Path) -> None:
    """Keep one damaged directory for inspection, beside the journal's."""
    log.warning("%s is damaged and set aside; it will be fetched again", path)
    folder = path.parent / "quarantine"
    folder.mkdir(exist_ok=True)
    path.rename(folder / path.name)
    _remove(path)
    db.flush_folder(path.parent)


def _remove_log(path: Path) -> None:
    for suffix in ("-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).unlink()


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    _remove_log(path)
