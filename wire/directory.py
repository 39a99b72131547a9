"""A directory: credential rows and the items of the site's book, under one version, one digest and one signature.

Rows and items are texts that central writes and everybody else keeps as they came: the digest covers the text, so that
a field which this release does not know is neither lost nor forgotten.
"""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from wire.errors import DoorstileError
from wire.rows import DirectoryRow
from wire.sethash import SetHash
from wire.transfer import BookEntry, DirBegin, DirDelta, DirectoryRef

DELTAS: Final = "dir.delta"
"""In `hello.feat`: the device takes changes, not only whole directories."""
DELTA_ROWS: Final = 500
DELTA_BYTES: Final = 96 * 1024
"""What one chunk or one delta may hold; a larger change is several versions, or a snapshot."""
_SIGNED_AS: Final = "doorstile-directory-v1"
_ROW: Final = re.compile(rb'\{"key":"([0-9a-f]{32})",')
_encoder: Final = msgspec.json.Encoder()
_decode_row: Final = msgspec.json.Decoder(DirectoryRow).decode


class DirectoryTextError(DoorstileError):
    """A text that is no row of a directory."""


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """What central signs: this directory was current for this device at `issued_ms` (wall time).

    `feat` names what a device has to understand before it may decide from it: a rule that an older agent would
    ignore must be named here, so that it keeps the directory that it has (`wire.book.FEATURES`).
    """

    epoch: str
    ver: int
    digest: str
    device: str = ""
    issued_ms: int = 0
    feat: tuple[str, ...] = ()

    @property
    def ref(self) -> DirectoryRef:
        """Which directory it is."""
        return DirectoryRef(self.epoch, self.ver, self.digest)

    @property
    def signed(self) -> bytes:
        """The bytes that the signature (Ed25519, RFC 8032) covers: a JSON array, so that no field can run over."""
        fields = [_SIGNED_AS, self.device, self.epoch, self.ver, self.digest, self.issued_ms, list(self.feat)]
        return _encoder.encode(fields)


def issue_of(message: DirBegin | DirDelta, device: str) -> Issue:
    """Return what the signature in a message covers; `device` is whom it was sent to."""
    ver = message.ver if isinstance(message, DirBegin) else message.to
    return Issue(
        device=device,
        epoch=message.epoch,
        ver=ver,
        digest=message.digest,
        issued_ms=message.issued_ms,
        feat=tuple(message.feat),
    )


def row_text(row: DirectoryRow) -> bytes:
    """Return the text of a row: its JSON, fields in the order of `DirectoryRow`, defaults left out."""
    return _encoder.encode(row)


def raw_row(row: DirectoryRow) -> msgspec.Raw:
    """Return a row as it goes over the link."""
    return msgspec.Raw(row_text(row))


def read_row(text: bytes) -> DirectoryRow:
    """Return what a row says; fields that are not known here are ignored. Raise DirectoryTextError."""
    try:
        return _decode_row(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise DirectoryTextError(f"a row cannot be read ({fault})") from fault


def key_in(text: bytes) -> bytes:
    """Return the 16 bytes by which a row is found; raise DirectoryTextError where the text does not begin with them."""
    found = _ROW.match(text)
    if found is None:
        raise DirectoryTextError(f'{text[:48]!a} is no row: it must begin with {{"key":"…" and 32 hexadecimal digits')
    return bytes.fromhex(found[1].decode())


def item_element(key: str, item: bytes) -> bytes:
    """Return what the digest covers of an item of the book; a row counts by its text, which begins with a brace."""
    return b"book\0" + key.encode() + b"\0" + item


def directory_hash(texts: Iterable[bytes], book: Iterable[tuple[str, bytes]] = ()) -> SetHash:
    """Return the hash of a directory from the texts of its rows and the items of its book, in any order."""
    rows = SetHash.of(texts)
    return rows.changed(item_element(key, item) for key, item in book)


def directory_digest(rows: Iterable[DirectoryRow], book: Iterable[BookEntry] = ()) -> str:
    """Return the digest of a directory (hex), as `directory_hash` defines it."""
    return directory_hash(map(row_text, rows), ((entry.key, bytes(entry.item)) for entry in book)).digest
