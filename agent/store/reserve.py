"""Blocks of disk kept back, so that a full card can still take what must be written."""

import os
from pathlib import Path
from typing import Final

from agent.store.db import flush_folder

_START_BYTES: Final = 192 * 1024


class Reserve:
    """Two files of real blocks beside the journal: one for a running agent, a small one so that it can start."""

    def __init__(self, journal: Path, size_bytes: int) -> None:
        self._running = journal.with_suffix(".reserve")
        self._starting = journal.with_suffix(".start")
        self._size_bytes = size_bytes

    def hold(self) -> bool:
        """Allocate what is missing; False where the disk has less than twice that free."""
        held = [_hold(self._starting, _START_BYTES), _hold(self._running, self._size_bytes)]
        return all(held)

    def free(self) -> bool:
        """Give the running agent's part back to the disk; False where there was none."""
        return _free(self._running)

    def free_all(self) -> bool:
        """Give everything back, so that a run can begin; False where there was nothing."""
        return any([_free(self._running), _free(self._starting)])


def _hold(path: Path, size_bytes: int) -> bool:
    if path.exists():
        return True
    disk = os.statvfs(path.parent)
    if disk.f_bavail * disk.f_frsize < 2 * size_bytes:
        return False
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size_bytes)
        finally:
            os.close(descriptor)
    except OSError:
        _free(path)
        return False
    return True


def _free(path: Path) -> bool:
    try:
        path.unlink()
        flush_folder(path.parent)
    except OSError:
        return False
    return True
