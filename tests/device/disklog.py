"""What a disk was told, in order: the log that QEMU's `blklogwrites` driver keeps.

The format is that of the kernel's dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst, struct
log_write_super and log_write_entry in drivers/md/dm-log-writes.c): a superblock, then for each request a header and its
bytes, all in whole sectors. A machine that is killed leaves the superblock's count behind; the entries themselves end
where the file or its zeros begin.
"""

import struct
from collections.abc import Iterator
from typing import Final

from tests.crashstates.powercut import Entry

SECTOR: Final = 512
_HEADER: Final = struct.Struct("<QQQQ")
_FLUSH, _FUA, _DISCARD = 1, 2, 4


class DiskLogError(Exception):
    """The log holds what this reader does not know."""


def entries(log: bytes) -> Iterator[Entry]:
    """Yield writes and flushes, oldest first. A write that was logged in part never reached the disk."""
    at = SECTOR
    while at + SECTOR <= len(log):
        sector, count, flags, data_bytes = _HEADER.unpack_from(log, at)
        if not any((sector, count, flags, data_bytes)):
            return
        if flags & ~_FLUSH:
            raise DiskLogError(f"entry at byte {at} has flags {flags:#x}; only writes and flushes are understood")
        begin, end = at + SECTOR, at + SECTOR + count * SECTOR
        if end > len(log):
            return
        if count:
            yield Entry(sector * SECTOR, log[begin:end], is_flush=False, end=end)
        if flags & _FLUSH:
            yield Entry(0, b"", is_flush=True, end=end)
        at = end
