"""The messages by which a directory travels: snapshots in chunks, changes, and what the device made of them."""

from typing import ClassVar

import msgspec

from wire.limits import Whole
from wire.message import Message
from wire.vocabulary import DirectoryRefusal


class DirectoryRef(msgspec.Struct, frozen=True):
    """Which directory: versions rise within an epoch, `digest` covers the rows."""

    epoch: str
    ver: Whole
    digest: str


class BookEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One item of the site's book (schedules, zones, plans …): its key and its JSON, which stays as it came."""

    key: str
    item: msgspec.Raw


class DirBegin(Message, frozen=True, kw_only=True):
    """A snapshot of the directory follows in `chunks` chunks.

    `sig` (base64url) is central's signature over device, epoch, version, digest, issue time and `feat`: what a device
    must understand before it may decide from this directory. It comes first, so that nothing unsigned is stored.
    """

    type: ClassVar[str] = "dir.begin"
    snap: str
    epoch: str
    ver: Whole
    rows: Whole
    chunks: Whole
    digest: str
    items: Whole = 0
    issued_ms: Whole = 0
    feat: list[str] = []
    sig: str = ""


class DirChunk(Message, frozen=True, kw_only=True):
    """Part `i` (from 0) of a snapshot: rows (`DirectoryRow`) and items of the book."""

    type: ClassVar[str] = "dir.chunk"
    snap: str
    i: Whole
    rows: list[msgspec.Raw] = []
    book: list[BookEntry] = []


class DirEnd(Message, frozen=True, kw_only=True):
    """The snapshot is complete."""

    type: ClassVar[str] = "dir.end"
    snap: str


class DirDelta(Message, frozen=True, kw_only=True):
    """What version `to` has other than version `from`: rows and items to put, keys to delete. One transaction.

    `digest` is that of the whole directory afterwards, `sig` as in `dir.begin`. From a version to itself it carries
    nothing and says that the device's directory was still current at `issued_ms`.
    """

    type: ClassVar[str] = "dir.delta"
    epoch: str
    first: Whole = msgspec.field(name="from")
    to: Whole
    digest: str
    issued_ms: Whole
    sig: str
    put: list[msgspec.Raw] = []
    gone: list[str] = msgspec.field(name="del", default_factory=list)
    book_put: list[BookEntry] = []
    book_gone: list[str] = msgspec.field(name="book_del", default_factory=list)
    feat: list[str] = []


class DirGot(Message, frozen=True, kw_only=True):
    """The device staged chunk `i`: credit for the next."""

    type: ClassVar[str] = "dir.got"
    snap: str
    i: Whole


class DirResync(Message, frozen=True, kw_only=True):
    """The device asks for a whole snapshot."""

    type: ClassVar[str] = "dir.resync"
    why: str


class DirRefusal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A directory that the device did not take, and why."""

    epoch: str
    ver: Whole
    code: DirectoryRefusal
    detail: str = ""


class DirState(Message, frozen=True, kw_only=True):
    """The directory that the device decides from, after it was swapped in, or after another was `refused`.

    Without any directory, `epoch` is empty.
    """

    type: ClassVar[str] = "dir.state"
    epoch: str
    ver: Whole
    digest: str
    refused: DirRefusal | None = None
