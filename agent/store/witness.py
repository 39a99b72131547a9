"""The journal's high-water mark, kept outside the database.

SQLite drops the rest of a write-ahead log silently from the first frame that does not check out. The witness, written
after each commit, tells that something is missing. Two slots take turns, each with a checksum (CRC-32), in different
4 KiB blocks: a torn write costs at most the newer one. The file is mapped: a store into the map costs no call into a
file system that is busy committing, and the kernel keeps it when the process dies.
"""

import mmap
import os
from pathlib import Path
from typing import Final
from zlib import crc32

import msgspec

from agent.store.db import flush_folder

_SLOT_BYTES: Final = 512
_SLOTS_AT: Final = (0, 4096)
_FILE_BYTES: Final = 4096 + _SLOT_BYTES


class Mark(msgspec.Struct, frozen=True):
    """How far the journal got: event `n` of `run` is durable, the chain stands at `head` (hex)."""

    store: str
    ord: int
    run: str
    n: int
    head: str
    seq: int = 0
    stands: list[str] | None = None
    """What keeps people out (`standing.brief`); None where an older agent wrote this."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Mark).decode


def read_mark(path: Path) -> Mark | None:
    """Return the newest intact mark; None where there is none."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    marks = [mark for at in _SLOTS_AT if (mark := _parse(content[at : at + _SLOT_BYTES]))]
    return max(marks, key=lambda mark: mark.seq, default=None)


class Witness:
    """The open witness file; only the writer thread uses it."""

    def __init__(self, path: Path) -> None:
        known = read_mark(path)
        self._seq = known.seq if known else 0
        with path.open("r+b" if path.exists() else "x+b") as file:
            if file.seek(0, os.SEEK_END) < _FILE_BYTES:
                file.write(bytes(_FILE_BYTES - file.tell()))  # real blocks: a store into a hole could fail by a signal
                file.flush()
                os.fsync(file.fileno())
                flush_folder(path.parent)
            self._map = mmap.mmap(file.fileno(), _FILE_BYTES)
        self._is_flushed = True

    def write(self, store: str, ord_: int, run: str, n: int, head: bytes, stands: list[str]) -> None:
        """Note a mark; it survives the process at once and the power only after `flush`."""
        self._seq += 1
        text = _encode(Mark(store, ord_, run, n, head.hex(), self._seq, stands))
        slot = b"%08x%s" % (crc32(text), text)
        at = _SLOTS_AT[self._seq & 1]
        self._map[at : at + _SLOT_BYTES] = slot.ljust(_SLOT_BYTES, b" ")
        self._is_flushed = False

    @property
    def is_flushed(self) -> bool:
        """True where the newest mark survives a power cut."""
        return self._is_flushed

    def flush(self) -> None:
        """Make the newest mark durable."""
        if not self._is_flushed:
            self._map.flush()
            self._is_flushed = True

    def close(self) -> None:
        """Flush and close."""
        if not self._map.closed:
            self.flush()
            self._map.close()


def _parse(slot: bytes) -> Mark | None:
    text = slot[8:].rstrip(b" ")
    try:
        return _decode(text) if int(slot[:8], 16) == crc32(text) else None
    except (ValueError, msgspec.DecodeError):
        return None
