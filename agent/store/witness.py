"""The journal's high-water mark, kept outside the database.

SQLite drops the rest of a write-ahead log silently from the first frame that does not check out. The witness, written
after each commit, tells that something is missing. Two slots take turns, each with a checksum (CRC-32), in different
4 KiB blocks: a torn write costs at most the newer one.
"""

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
        is_new = not path.exists()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if is_new:
            os.ftruncate(self._file, _FILE_BYTES)
            os.fsync(self._file)
            flush_folder(path.parent)
        self._is_flushed = True

    def write(self, store: str, ord_: int, run: str, n: int, head: bytes) -> None:
        """Note a mark; it survives the process at once and the power only after `flush`."""
        self._seq += 1
        text = _encode(Mark(store, ord_, run, n, head.hex(), self._seq))
        slot = b"%08x%s" % (crc32(text), text)
        os.pwrite(self._file, slot.ljust(_SLOT_BYTES, b" "), _SLOTS_AT[self._seq & 1])
        self._is_flushed = False

    @property
    def is_flushed(self) -> bool:
        """True where the newest mark survives a power cut."""
        return self._is_flushed

    def flush(self) -> None:
        """Make the newest mark durable."""
        if not self._is_flushed:
            os.fdatasync(self._file)
            self._is_flushed = True

    def close(self) -> None:
        """Flush and close."""
        if self._file >= 0:
            self.flush()
            os.close(self._file)
            self._file = -1


def _parse(slot: bytes) -> Mark | None:
    text = slot[8:].rstrip(b" ")
    try:
        return _decode(text) if int(slot[:8], 16) == crc32(text) else None
    except (ValueError, msgspec.DecodeError):
        return None
