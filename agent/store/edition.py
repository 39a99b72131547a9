"""One version of the directory as decisions see it: the file of the last snapshot and the changes since.

An edition never changes. A change makes another one, and the directory swaps which it looks at in one step, so that
rows, book and version always belong together.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

import msgspec

from wire.directory import DirectoryTextError, Issue, read_row
from wire.rows import DirectoryRow
from wire.sethash import SetHash
from wire.transfer import DirectoryRef

_FIND: Final = "SELECT row, seal FROM credentials WHERE key = ?"
ISSUE: Final = "directory"
TOTAL: Final = "total"
_decode_issue: Final = msgspec.json.Decoder(Issue).decode


@dataclass(frozen=True, slots=True)
class Edition:
    """`changed` and `book` hold what is other than in `base`; a row that is gone is None. `total` hashes all of it.

    `issue` is None before the first snapshot; `total` is None where an older agent wrote the file.
    """

    base: sqlite3.Connection
    issue: Issue | None = None
    total: SetHash | None = None
    book: Mapping[str, bytes] = field(default_factory=dict)
    count: int = 0
    changed: Mapping[bytes, bytes | None] = field(default_factory=dict)

    @property
    def ref(self) -> DirectoryRef | None:
        """Which directory it is."""
        return None if self.issue is None else self.issue.ref

    def text(self, key: bytes) -> bytes | None:
        """Return a row's text; raise sqlite3.Error where the file fails, DirectoryTextError for a damaged row."""
        if key in self.changed:
            return self.changed[key]
        found = self.base.execute(_FIND, (key,)).fetchone()
        if found is None:
            return None
        text, sealed = found
        if not isinstance(text, bytes) or sealed not in (None, seal_of(key, text)):
            raise DirectoryTextError(f"the row of {key.hex()[:8]}… does not match its seal")
        return text

    def row(self, key: bytes) -> DirectoryRow | None:
        """Return a row; raise sqlite3.Error or DirectoryTextError."""
        text = self.text(key)
        return None if text is None else read_row(text)


def seal_of(key: bytes, text: bytes) -> int:
    """Return the checksum (CRC-32) of a row in the file of a snapshot: one that was altered is not decided by."""
    return crc32(text, crc32(key))


def edition_of(base: sqlite3.Connection) -> Edition:
    """Return what the file of a snapshot holds."""
    meta = dict(base.execute("SELECT name, value FROM meta"))
    issue, total = meta.get(ISSUE), meta.get(TOTAL)
    return Edition(
        base,
        None if issue is None else read_issue(issue),
        None if total is None else SetHash.read(bytes.fromhex(total)),
        dict(base.execute("SELECT key, item FROM book")),
        base.execute("SELECT count(*) FROM credentials").fetchone()[0],
    )


def read_issue(text: str) -> Issue:
    """Return an issue as it was kept; raise msgspec.DecodeError."""
    return _decode_issue(text.encode())


def issue_text(issue: Issue) -> str:
    """Return an issue as it is kept."""
    return msgspec.json.encode(issue).decode()
