"""SQLite connections of the store, and what their errors mean.

Sources: sqlite.org/wal.html, sqlite.org/pragma.html#pragma_synchronous, sqlite.org/rescode.html. A commit in WAL mode
with `synchronous=FULL` has reached the medium when it returns. A read-only connection neither writes nor checkpoints.
"""

import os
import sqlite3
from enum import Enum, auto
from pathlib import Path
from typing import Final
from zlib import crc32

RUN_BITS: Final = 40
"""An event's row id is `(ord << 40) + n`: one tree in the order of writing, no index beside it."""
MAX_N: Final = (1 << RUN_BITS) - 1
_BUSY_TIMEOUT_S: Final = 5.0


class Fault(Enum):
    """What a failed statement means for the file."""

    FULL = auto()  # nothing was committed; room may be made
    BUSY = auto()  # nothing was committed; another process holds the file
    BROKEN = auto()  # nothing more may be written


def place(ord_: int, n: int) -> int:
    """Return the row id of event `n` in the run of ordinal `ord_`."""
    return (ord_ << RUN_BITS) + n


def seal(*fields: str | int | bytes | None) -> int:
    """Return the checksum (CRC-32) that a row carries which no chain covers; a member of a StrEnum counts as text."""
    plain = tuple(str(field) if isinstance(field, str) else field for field in fields)
    return crc32(repr(plain).encode())


def classify(fault: sqlite3.Error) -> Fault:
    """Sort an error of a statement by what may be done next."""
    primary = (getattr(fault, "sqlite_errorcode", None) or sqlite3.SQLITE_IOERR) & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        return Fault.FULL
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Fault.BUSY
    return Fault.BROKEN


def connect_writer(path: Path, *, page_bytes: int) -> sqlite3.Connection:
    """Open the one writing connection of a file, creating it where it is missing; no implicit transactions.

    The caller checkpoints; the automatic checkpoint is only a backstop. May be handed to another thread.
    """
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA page_size={page_bytes}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA wal_autocheckpoint=500")
        connection.execute("PRAGMA secure_delete=OFF")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def connect_reader(path: Path, *, is_immutable: bool = False) -> sqlite3.Connection:
    """Open a connection that cannot write; raise sqlite3.OperationalError where the file is missing.

    An immutable file is never written while it has this name, so each query goes without locks and checks.
    """
    mode = "?mode=ro&immutable=1" if is_immutable else "?mode=ro"
    connection = sqlite3.connect(
        path.absolute().as_uri() + mode, uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None,
        check_same_thread=False,
    )  # fmt: skip
    connection.execute("PRAGMA query_only=ON")
    return connection


def wal_of(path: Path) -> Path:
    """Return the write-ahead log that belongs to a database file."""
    return path.with_name(path.name + "-wal")


def shm_of(path: Path) -> Path:
    """Return the shared-memory index that belongs to a database file."""
    return path.with_name(path.name + "-shm")


def flush_folder(folder: Path) -> None:
    """Make renames and new names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_file(path: Path) -> None:
    """Make a file's bytes durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
