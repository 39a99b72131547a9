"""What the keeper is told of lines: that one is on and until when at most, and that it is off again.

The guard of a pulse is a thread of the process that it guards: stopped as a whole (SIGSTOP, a debugger) it guards
nothing. So the keeper, which is another process, hears of each pulse over its pipe before the line goes on, and ends an
agent that is late. A report is one write that never waits. It is left out where the keeper has not read for long and
the pipe fills: an end could then be lost, and a keeper that woke up would take an old pulse for one that runs.
"""

import fcntl
import os
import struct
import termios
from contextlib import suppress
from typing import Final

LATE_MS: Final = 500
"""What a line may be on beyond its ceiling, at which the guard acts, before the keeper does."""
_UNREAD: Final = struct.Struct("i")


class Reports:
    """The agent's end of the keeper's pipe; says nothing until there is one. Call it from any thread."""

    def __init__(self) -> None:
        self._pipe = -1
        self._most_unread_bytes = 0
        self._told: set[int] = set()

    def begin(self, pipe: int) -> None:
        """Tell a keeper from now on; half of the pipe stays free for the ends of what has begun."""
        os.set_blocking(pipe, False)
        self._most_unread_bytes = fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) // 2
        self._pipe = pipe

    def end(self) -> None:
        """Tell nobody any more; the pipe is its owner's to close."""
        self._pipe = -1

    def on(self, line: int, until_mono_ms: int) -> None:
        """Say that a line goes on and when its guard ends that at the latest, or that it stays on for longer."""
        if self._pipe >= 0 and self._unread_bytes() <= self._most_unread_bytes:
            self._told.add(line)
            self._write(line, until_mono_ms + LATE_MS)

    def off(self, line: int) -> None:
        """Say that a line is off."""
        if self._pipe >= 0 and line in self._told:
            self._told.discard(line)
            self._write(line, 0)

    def _write(self, line: int, until_mono_ms: int) -> None:
        with suppress(OSError):  # a keeper that is gone, or mute, is no reason to keep somebody out
            os.write(self._pipe, b"%d %d\n" % (line, until_mono_ms))

    def _unread_bytes(self) -> int:
        try:
            return int(_UNREAD.unpack(fcntl.ioctl(self._pipe, termios.FIONREAD, bytes(_UNREAD.size)))[0])
        except OSError:
            return self._most_unread_bytes + 1


class LineReport:
    """Reports of one line."""

    __slots__ = ("_line", "_reports")

    def __init__(self, reports: Reports, line: int) -> None:
        self._reports = reports
        self._line = line

    def on(self, until_mono_ms: int) -> None:
        """As `Reports.on`."""
        self._reports.on(self._line, until_mono_ms)

    def off(self) -> None:
        """As `Reports.off`."""
        self._reports.off(self._line)
