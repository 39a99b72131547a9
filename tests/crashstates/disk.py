"""A model of what is durable: files, names, and what a power cut may do to all that no sync has confirmed.

Source: POSIX.1-2017, fsync() and rename(): only a sync orders anything. Between syncs each sector of each write, each
change of size and each change of a name may have reached the medium or not, whatever the others did. A sync that failed
leaves its writes in doubt for ever: the kernel counts them as clean (Rebello et al., "Can applications recover from
fsync failures?", USENIX ATC 2020); they are certain again once their page is written and synced anew.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.crashstates.recorder import SECTOR_BYTES
from tests.crashstates.trace import (
    DataOp,
    Link,
    MakeFolder,
    NameOp,
    Op,
    Rename,
    Resize,
    Said,
    Sync,
    SyncFolder,
    Unlink,
    Write,
)

_PAGE_BYTES: Final = 4096


@dataclass(slots=True)
class File:
    """One inode: durable bytes, writes that no sync has confirmed, and writes whose sync failed."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, DataOp]] = field(default_factory=list)
    doubtful: list[tuple[int, Write]] = field(default_factory=list)

    def sync(self, *, is_done: bool) -> None:
        """All pending writes are durable, or in doubt for ever."""
        if not is_done:
            for number, op in self.pending:
                if isinstance(op, Write):
                    self.doubtful.append((number, op))
                else:
                    _apply(self.durable, op)
            self.pending.clear()
            return
        pages = {page for _, op in self.pending if isinstance(op, Write) for page in _pages(op)}
        for _, doubt in self.doubtful:
            for piece in _split(doubt, _PAGE_BYTES):
                if piece.at // _PAGE_BYTES in pages:
                    _apply(self.durable, piece)
        self.doubtful = [
            (number, piece)
            for number, doubt in self.doubtful
            for piece in _split(doubt, _PAGE_BYTES)
            if piece.at // _PAGE_BYTES not in pages
        ]
        for _, op in self.pending:
            _apply(self.durable, op)
        self.pending.clear()


class Disk:
    """The model, moved on by each operation of a trace."""

    def __init__(self, start: dict[str, bytes]) -> None:
        self.files: dict[int, File] = {}
        self.names: dict[str, int] = {}
        self.folders: set[str] = set()
        self.pending_names: list[tuple[int, NameOp]] = []
        for number, (path, content) in enumerate(sorted(start.items())):
            self.files[number] = File(bytearray(content))
            self.names[path] = number
            self._note_folders(path)

    def apply(self, number: int, op: Op) -> None:
        """Do operation `number` of the trace."""
        match op:
            case Write() | Resize():
                self.files.setdefault(op.inode, File()).pending.append((number, op))
            case Sync():
                self.files.setdefault(op.inode, File()).sync(is_done=op.is_done)
            case SyncFolder():
                self._sync_names(op.path)
            case Link() | Rename() | Unlink() | MakeFolder():
                self.pending_names.append((number, op))
            case Said():
                pass

    def pending(self) -> list[int]:
        """Return the numbers of all operations that no sync has confirmed, in order."""
        numbers = {number for file in self.files.values() for number, _ in (*file.pending, *file.doubtful)}
        return sorted(numbers.union(number for number, _ in self.pending_names))

    def names_after(self, survives: Callable[[int], bool]) -> tuple[dict[str, int], set[str]]:
        """Return names and folders where only some of the pending changes of names survive."""
        names, folders = dict(self.names), set(self.folders)
        for number, op in self.pending_names:
            if survives(number):
                _rename(names, folders, op)
        return names, folders

    def _sync_names(self, folder: str) -> None:
        left: list[tuple[int, NameOp]] = []
        for number, op in self.pending_names:
            if folder in _folders_of(op):
                _rename(self.names, self.folders, op)
            else:
                left.append((number, op))
        self.pending_names = left

    def _note_folders(self, path: str) -> None:
        while "/" in path:
            path = path.rpartition("/")[0]
            self.folders.add(path)


def content(file: File, cut: "Cut", chosen: Callable[[int, int], bool], fill: Callable[[int], bytes]) -> bytearray:
    """Return a file's bytes after a power cut.

    `chosen(operation, sector)` tells which sectors survived; `cut` shortens one write; `fill` gives the bytes of a part
    that belongs to the file by its size alone.
    """
    found = bytearray(file.durable)
    size = len(found)
    for number, op in (*file.doubtful, *file.pending):
        if isinstance(op, Resize):
            if chosen(number, 0):
                _apply(found, op)
            continue
        size = max(size, op.at + len(op.data))
        data = op.data[: cut.keep_bytes] if number == cut.number else op.data
        for index, piece in enumerate(_split(Write(op.inode, op.at, data), SECTOR_BYTES)):
            if chosen(number, index):
                _apply(found, piece)
    if cut.has_full_size and size > len(found):
        found += fill(size - len(found))
    return found


@dataclass(frozen=True, slots=True)
class Cut:
    """How a power cut is unkind: one write shortened to some bytes, or the size of files ahead of their bytes."""

    number: int = -1
    keep_bytes: int = 0
    has_full_size: bool = False


def _apply(found: bytearray, op: DataOp) -> None:
    if isinstance(op, Resize):
        if op.size < len(found):
            del found[op.size :]
        else:
            found.extend(bytes(op.size - len(found)))
        return
    if op.at > len(found):
        found.extend(bytes(op.at - len(found)))
    found[op.at : op.at + len(op.data)] = op.data


def _pages(op: Write) -> range:
    return range(op.at // _PAGE_BYTES, (op.at + max(1, len(op.data)) - 1) // _PAGE_BYTES + 1)


def _split(op: Write, unit: int) -> Iterator[Write]:
    at, end = op.at, op.at + len(op.data)
    while at < end:
        upto = min(end, (at // unit + 1) * unit)
        yield Write(op.inode, at, op.data[at - op.at : upto - op.at])
        at = upto


def _folders_of(op: NameOp) -> set[str]:
    paths = (op.path, op.to) if isinstance(op, Rename) else (op.path,)
    return {path.rpartition("/")[0] for path in paths}


def _rename(names: dict[str, int], folders: set[str], op: NameOp) -> None:
    """Change a name; without effect where an earlier change that it builds on was lost."""
    match op:
        case Link():
            names[op.path] = op.inode
        case Rename():
            if op.path in names:
                names[op.to] = names.pop(op.path)
        case Unlink():
            names.pop(op.path, None)
            folders.discard(op.path)
        case MakeFolder():
            folders.add(op.path)
