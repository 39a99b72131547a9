"""The digest of a directory: what both sides compare to know that a device decides from the same rows."""

from collections.abc import Iterable
from hashlib import sha256

import msgspec

from wire.messages import DirectoryRow

_encoder = msgspec.json.Encoder()


def row_text(row: DirectoryRow) -> bytes:
    """Return the canonical text of a row: its JSON, fields in the order of `DirectoryRow`, defaults left out."""
    return _encoder.encode(row)


def directory_digest(rows: Iterable[DirectoryRow]) -> str:
    """Return the SHA-256 (hex) over the rows' canonical texts, a newline after each; rows come in order of `key`."""
    total = sha256()
    for row in rows:
        total.update(row_text(row))
        total.update(b"\n")
    return total.hexdigest()
