"""Whether the open files of the journal are still those that their names stand for.

A file that somebody removes or replaces goes on to exist for whoever has it open, and takes commits that no later start
will find (unlink(2)). So a commit counts as durable only where the names still lead to it. Where they do not, all rows
can be read from the open file for as long as this process lives, and are copied to where the next start looks for a
rebuilt journal. An inode's number is not given to another file while it is open, so number and device tell files apart.
"""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from agent.store.db import flush_file, flush_folder, shm_of, wal_of
from agent.store.lock import FolderLock

_LOOKS_AT_LOCK_S: Final = 1.0


class Footing:
    """What the journal stands on: made right after its files were opened, asked after each commit."""

    def __init__(self, path: Path, lock: FolderLock, mono_s: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._lock = lock
        self._mono_s = mono_s
        files = (path, wal_of(path), shm_of(path))
        self._known = {file: known for file in files if (known := _identity(file)) is not None}
        self._next_look_mono_s = 0.0

    def trouble(self) -> str:
        """Return what is no longer what was opened; nothing where all is well. The lock is looked at once a second."""
        for file, known in self._known.items():
            if _identity(file) != known:
                return f"{file} was removed or replaced while it was in use"
        now = self._mono_s()
        if now >= self._next_look_mono_s:
            self._next_look_mono_s = now + _LOOKS_AT_LOCK_S
            if not self._lock.is_ours():
                return f"{self._path.parent} was replaced, or another agent took it"
        return ""

    def rescue(self, connection: sqlite3.Connection) -> bool:
        """Copy all that the open files hold for `salvage.finish`; False where that failed or is another's to decide."""
        if _identity(self._path) not in (None, self._known.get(self._path)) or not self._lock.is_ours():
            return False
        beside = self._path.with_suffix(".rebuild")
        try:
            beside.unlink(missing_ok=True)
            with closing(sqlite3.connect(beside)) as copy:
                connection.backup(copy)
            flush_file(beside)
            beside.rename(self._path.with_suffix(".new"))
            flush_folder(self._path.parent)
        except (sqlite3.Error, OSError):
            return False
        return True


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
