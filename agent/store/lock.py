"""One agent for one state folder: exclusive locks that the kernel drops when their holder dies (flock(2)).

Both the folder itself and a file in it are locked. The file says who holds the folder; but a file can be deleted, and
the next agent then locks another of that name. The folder cannot be swapped away without all that is in it.
"""

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
        self._folder = folder
        self._path = folder / "agent.lock"
        self._held: int = -1
        self._file: int = -1
        try:
            self._held = _locked(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            self._file = self._locked_file()
        except BlockingIOError as fault:
            self.release()
            holder = self._holder()
            raise StoreBusyError(
                f"{folder} is in use by process {holder}: stop that agent first ({_STOP.format(holder)})"
            ) from fault
        except OSError as fault:
            self.release()
            raise StoreError(f"{self._path} cannot be written ({fault.strerror}): check owner and mount") from fault

    def is_ours(self) -> bool:
        """Whether the names still stand for what is locked; a lock file that is gone is made anew."""
        if not _is_named(self._held, self._folder):
            return False
        if _is_named(self._file, self._path):
            return True
        try:
            made = self._locked_file()
        except OSError:
            return False
        os.close(self._file)
        self._file = made
        return True

    def release(self) -> None:
        """Let go of the folder; harmless when repeated."""
        held, self._held, self._file = (self._file, self._held), -1, -1
        for descriptor in held:
            if descriptor >= 0:
                os.close(descriptor)

    def _locked_file(self) -> int:
        descriptor = _locked(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        return descriptor

    def _holder(self) -> str:
        try:
            return self._path.read_text(encoding="ascii", errors="replace")[:20].strip() or "unknown"
        except OSError:
            return "unknown"


def _locked(descriptor: int) -> int:
    """Lock what is open and return it; close it and raise OSError where another holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _is_named(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False
