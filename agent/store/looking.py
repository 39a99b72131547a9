"""A look at the directory from outside, while the agent runs or after it died. Nothing is ever written."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from agent.errors import StoreError
from agent.store import db
from agent.store.directory import DIRECTORY_NAME
from agent.store.kept import Kept
from rules.book import Book
from wire.messages import DirectoryRef, DirectoryRow

_decode_row: Final = msgspec.json.Decoder(DirectoryRow).decode
_decode_ref: Final = msgspec.json.Decoder(DirectoryRef).decode


class Look:
    """One version of the directory, open for reading."""

    def __init__(self, connection: sqlite3.Connection, kept: Kept) -> None:
        self._connection = connection
        self.kept = kept
        found = connection.execute("SELECT value FROM meta WHERE name = 'directory'").fetchone()
        self.ref: DirectoryRef | None = _decode_ref(found[0].encode()) if found else None
        self.book: Book | None = None

    def find(self, key_hex: str) -> DirectoryRow | None:
        """Return the row of a keyed index, or None."""
        found = self._connection.execute("SELECT row FROM credentials WHERE key = ?", (bytes.fromhex(key_hex),))
        row = found.fetchone()
        return _decode_row(row[0]) if row else None

    def rows(self) -> Iterator[DirectoryRow]:
        """Yield every row."""
        return (_decode_row(text) for (text,) in self._connection.execute("SELECT row FROM credentials"))


@contextmanager
def look(folder: Path) -> Iterator[Look]:
    """Open the directory of a state folder for reading; raise StoreError where there is none that can be read."""
    path = folder / DIRECTORY_NAME
    if not path.exists():
        raise StoreError(f"{path} does not exist: has this device ever run? name its folder with --state")
    try:
        connection = db.connect_reader(path)
        try:
            yield Look(connection, Kept(folder / "kept.json"))
        finally:
            connection.close()
    except (sqlite3.Error, msgspec.DecodeError) as fault:
        raise StoreError(
            f"{path} cannot be read ({fault}): restart the agent, it fetches the directory again"
        ) from fault
