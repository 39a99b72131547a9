"""The keeper: a small process that switches the lines off when the agent dies, and kills one that leaves a line on.

A line's level may outlive the process that set it (see `hardware.pins.last_word`, which is what the keeper runs). The
service's own remedy, `doorstile run --outputs-off` after the end, has to start a Python with all of gpiozero first. The
keeper is there already: it sleeps on a pipe whose other end only the agent holds, and the kernel closes that end
whatever the agent died of. Over the same pipe it hears of each pulse (`hardware.outputs.reports`). It is a process
group of its own: what stops or interrupts the agent's at a terminal is none of its business.
"""

import logging
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from hardware.gpiochips import gpio_chips, header_of
from hardware.outputs.reports import Reports
from hardware.profiles import Profile

log = logging.getLogger(__name__)

PROGRAM: Final = Path(__file__).with_name("pins") / "last_word.py"
_ENDS_WITHIN_S: Final = 1.0


class Keeper:
    """The agent's end. It is dismissed once the lines are off; if it never is, the keeper has its say."""

    def __init__(self, process: subprocess.Popen[bytes] | None, reports: Reports | None = None) -> None:
        self._process = process
        self._reports = reports or Reports()
        if process is not None and process.stdin is not None:
            self._reports.begin(process.stdin.fileno())

    @classmethod
    def over(cls, profile: Profile, reports: Reports, *, dev: Path = Path("/dev")) -> "Keeper":
        """Start one for the lines of a profile, which are claimed already. It is none where there are none."""
        command = command_for(profile, dev)
        return cls(None if command is None else _started(command), reports)

    @property
    def pid(self) -> int | None:
        """Its process; None where there is none."""
        return None if self._process is None else self._process.pid

    def dismiss(self) -> None:
        """Tell it that the lines are off. Idempotent."""
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        self._reports.end()
        with suppress(OSError):
            process.stdin.write(b".")
        process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_ENDS_WITHIN_S)


def command_for(profile: Profile, dev: Path) -> list[str] | None:
    """Return the keeper's command line; None where there is no line of a board to keep."""
    chip = header_of(gpio_chips(dev))
    if profile.pin_factory != "lgpio" or not profile.gpio_lines or chip is None:
        return None
    lines = (f"{facts.line}={0 if facts.active_high else 1}" for facts in profile.gpio_lines.values())
    return [sys.executable, "-I", "-S", str(PROGRAM), str(os.getpid()), chip.path, *lines]


def _started(command: list[str]) -> subprocess.Popen[bytes] | None:
    try:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and file; numbers from a checked profile
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env={}, bufsize=0, process_group=0
        )
    except OSError as error:
        log.warning("no keeper: %s; after a crash the lines are off only once the service has seen to it", error)
        return None
