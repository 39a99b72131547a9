"""A central's signature on directories, with a key that only tests have."""

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fakes.memory_outbox import DEVICE
from wire.directory import Issue, directory_digest, issue_of, raw_row
from wire.rows import DirectoryRow
from wire.transfer import BookEntry, DirBegin, DirChunk, DirDelta

KEY: Final = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
PUBLIC: Final = KEY.public_key().public_bytes_raw()
ISSUED_MS: Final = 1_800_000_000_000


def sign(issue: Issue, key: Ed25519PrivateKey = KEY) -> str:
    """Return the signature as it stands in a message."""
    return urlsafe_b64encode(key.sign(issue.signed)).decode().rstrip("=")


def begin_of(
    rows: Sequence[DirectoryRow] = (),
    *,
    snap: str = "s1",
    epoch: str = "epoch",
    ver: int = 3,
    chunks: int = 1,
    book: Sequence[BookEntry] = (),
    digest: str | None = None,
    issued_ms: int = ISSUED_MS,
    feat: Iterable[str] = (),
    device: str = DEVICE,
    key: Ed25519PrivateKey = KEY,
) -> DirBegin:
    """Return the announcement of a snapshot, signed."""
    issue = Issue(
        device=device,
        epoch=epoch,
        ver=ver,
        digest=directory_digest(rows, book) if digest is None else digest,
        issued_ms=issued_ms,
        feat=tuple(feat),
    )
    return DirBegin(
        snap=snap, epoch=epoch, ver=ver, rows=len(rows), items=len(book), chunks=chunks, digest=issue.digest,
        issued_ms=issued_ms, feat=list(issue.feat), sig=sign(issue, key),
    )  # fmt: skip


def chunk_of(rows: Iterable[DirectoryRow] = (), *, snap: str = "s1", i: int = 0) -> DirChunk:
    """Return part of a snapshot."""
    return DirChunk(snap=snap, i=i, rows=[raw_row(row) for row in rows])


def delta_of(
    old: Iterable[DirectoryRow],
    new: Iterable[DirectoryRow],
    *,
    first: int,
    to: int,
    epoch: str = "epoch",
    book: tuple[Sequence[BookEntry], Sequence[BookEntry]] = ((), ()),
    digest: str | None = None,
    issued_ms: int = ISSUED_MS,
    feat: Iterable[str] = (),
    device: str = DEVICE,
    key: Ed25519PrivateKey = KEY,
) -> DirDelta:
    """Return the change from one directory to another, signed."""
    was, now = {row.key: row for row in old}, {row.key: row for row in new}
    had, has = ({entry.key: bytes(entry.item) for entry in entries} for entries in book)
    issue = Issue(
        device=device,
        epoch=epoch,
        ver=to,
        digest=directory_digest(now.values(), book[1]) if digest is None else digest,
        issued_ms=issued_ms,
        feat=tuple(feat),
    )
    return DirDelta(
        epoch=epoch, first=first, to=to, digest=issue.digest, issued_ms=issued_ms, feat=list(issue.feat),
        sig=sign(issue, key), put=[raw_row(row) for index, row in now.items() if was.get(index) != row],
        gone=sorted(was.keys() - now.keys()),
        book_put=[entry for entry in book[1] if had.get(entry.key) != bytes(entry.item)],
        book_gone=sorted(had.keys() - has.keys()),
    )  # fmt: skip


def issued(message: DirBegin | DirDelta, device: str = DEVICE) -> Issue:
    """Return what a message's signature covers, as the session hands it to the store."""
    return issue_of(message, device)
