"""How the process and its disk are doing, for the heartbeat (proc(5), statvfs(3)).

A figure that cannot be read is 0, which the heartbeat leaves out: the process may be short of descriptors, and no
figure is worth the door.
"""

import os
from pathlib import Path
from typing import Final

_STATM: Final = Path("/proc/self/statm")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def rss_bytes() -> int:
    """Return the memory that the process holds; 0 where it cannot be told."""
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def disk_free_bytes(folder: Path) -> int:
    """Return what an ordinary user may still write on the folder's file system; 0 where it cannot be told."""
    try:
        figures = os.statvfs(folder)
    except OSError:
        return 0
    return figures.f_bavail * figures.f_frsize
