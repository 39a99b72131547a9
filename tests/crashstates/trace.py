"""What a program did to the files of one folder, in order, and what it claimed meanwhile."""

from pathlib import Path

import msgspec


class Write(msgspec.Struct, frozen=True, array_like=True, tag="write"):
    """Bytes at a place of a file; a store into a mapped file counts too."""

    inode: int
    at: int
    data: bytes


class Resize(msgspec.Struct, frozen=True, array_like=True, tag="resize"):
    """A file got another size."""

    inode: int
    size: int


class Sync(msgspec.Struct, frozen=True, array_like=True, tag="sync"):
    """fsync, fdatasync or msync of a file; where it failed, what it should have written may be lost for good."""

    inode: int
    is_done: bool


class Link(msgspec.Struct, frozen=True, array_like=True, tag="link"):
    """A new file got a name."""

    path: str
    inode: int


class Rename(msgspec.Struct, frozen=True, array_like=True, tag="rename"):
    """A file got another name, and what had that name is gone."""

    path: str
    to: str


class Unlink(msgspec.Struct, frozen=True, array_like=True, tag="unlink"):
    """A name is gone."""

    path: str


class MakeFolder(msgspec.Struct, frozen=True, array_like=True, tag="mkdir"):
    """A new folder."""

    path: str


class SyncFolder(msgspec.Struct, frozen=True, array_like=True, tag="syncdir"):
    """fsync of a folder; "" is the root."""

    path: str


class Said(msgspec.Struct, frozen=True, array_like=True, tag="said"):
    """A claim of the program: from here on it has to be true after a power cut."""

    words: list[str]


NameOp = Link | Rename | Unlink | MakeFolder
DataOp = Write | Resize
Op = Write | Resize | Sync | Link | Rename | Unlink | MakeFolder | SyncFolder | Said


class Trace(msgspec.Struct):
    """The folder at the start, where everything is durable, and what followed."""

    name: str
    start: dict[str, bytes]
    ops: list[Op]

    def save(self, path: Path) -> None:
        """Write the trace to a file."""
        path.write_bytes(msgspec.msgpack.encode(self))

    @classmethod
    def load(cls, path: Path) -> "Trace":
        """Read a trace from a file."""
        return msgspec.msgpack.decode(path.read_bytes(), type=Trace)
