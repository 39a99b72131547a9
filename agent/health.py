"""How the process and its disk are doing, for the heartbeat (proc(5), statvfs(3))."""

import os
from pathlib import Path
from typing import Final

_STATM: Final = Path("/proc/self/statm")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


def rss_bytes() -> int:
    """Return the memory that the process holds."""
    return int(_STATM.read_text(encoding="ascii").split()[1]) * _PAGE_BYTES


def disk_free_bytes(folder: Path) -> int:
    """Return what an ordinary user may still write on the folder's file system."""
    figures = os.statvfs(folder)
    return figures.f_bavail * figures.f_frsize
