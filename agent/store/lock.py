"""One agent for one state folder: an exclusive lock that the kernel drops when its holder dies (flock(2))."""

import fcntl
import os
from pathlib import Path
from typing import Final

from agent.errors import StoreBusyError, StoreError

_STOP: Final = "systemctl stop doorstile-agent, or kill {} where it was started by hand"


class FolderLock:
    """Holds a state folder from construction to `release`; the lock file names the holder's process id."""

    def __init__(self, folder: Path) -> None:
        """Raise StoreBusyError where another process holds the folder, StoreError where it cannot be written."""
        self._path = folder / "agent.lock"
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as fault:
            raise StoreError(f"{self._path} cannot be written ({fault.strerror}): check owner and mount") from fault
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            holder = os.pread(self._file, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._file)
            raise StoreBusyError(
                f"{folder} is in use by process {holder}: stop that agent first ({_STOP.format(holder)})"
            ) from fault
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Let go of the folder; harmless when repeated."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
