"""A block of disk kept back, so that a full card can still take what must be written."""

import os
from pathlib import Path

from agent.store.db import flush_folder


class Reserve:
    """A file of `size_bytes` real blocks beside the journal."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._path = path
        self._size_bytes = size_bytes

    @property
    def is_held(self) -> bool:
        """True while the reserve is there to be given up."""
        return self._path.exists()

    def hold(self) -> bool:
        """Allocate the reserve; False where the disk has less than twice its size free."""
        if self.is_held:
            return True
        disk = os.statvfs(self._path.parent)
        if disk.f_bavail * disk.f_frsize < 2 * self._size_bytes:
            return False
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, self._size_bytes)
            finally:
                os.close(descriptor)
        except OSError:
            self.free()
            return False
        return True

    def free(self) -> bool:
        """Give the reserve back to the disk; False where there was none."""
        try:
            self._path.unlink()
            flush_folder(self._path.parent)
        except OSError:
            return False
        return True
