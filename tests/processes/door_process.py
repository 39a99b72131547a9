"""`doorstile`, with a relay line that outlives its owner, and with places at which the process dies.

A Pi's own GPIO keeps its level when the program that set it is killed. `DOORSTILE_TEST_LINE` names a file that stands
for such a line: every edge is appended to it, and a new owner finds the level that the last one left.
`DOORSTILE_TEST_DIE_AT` names a place of `tests.processes.places`; the process kills itself there by SIGKILL.
`DOORSTILE_TEST_PLANT` names a bug of `tests.processes.planted`, `DOORSTILE_TEST_BOOT` is the id of another boot.
"""

import os
from pathlib import Path

import msgspec

from agent import cli
from hardware import sim
from hardware.base import MonoClock, monotonic_ms

LINE_VARIABLE = "DOORSTILE_TEST_LINE"


class Edge(msgspec.Struct, frozen=True):
    """The line changed its level, at a monotonic time of this machine; `pid` is who did it."""

    is_on: bool
    at_ms: int
    pid: int


_encode = msgspec.json.Encoder().encode


class KeptLine(sim.SimLine):
    """A line whose level is kept in a file. One write(2) is one edge, so a kill leaves it whole or out."""

    def __init__(self, mono_ms: MonoClock = monotonic_ms) -> None:
        super().__init__(mono_ms)
        path = Path(os.environ[LINE_VARIABLE])
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.is_on = is_on(path)

    def _become(self, is_on: bool) -> None:
        if is_on != self.is_on:
            os.write(self._file, _encode(Edge(is_on, self._mono_ms(), os.getpid())) + b"\n")
        super()._become(is_on)


def edges(path: Path) -> list[Edge]:
    """Return every edge of a line, oldest first."""
    if not path.exists():
        return []
    return [msgspec.json.decode(line, type=Edge) for line in path.read_bytes().splitlines()]


def is_on(path: Path) -> bool:
    """Say what level the line has now."""
    known = edges(path)
    return known[-1].is_on if known else False


if __name__ == "__main__":
    if LINE_VARIABLE in os.environ:
        sim.SimLine = KeptLine  # type: ignore[misc]
    if "DOORSTILE_TEST_DIE_AT" in os.environ:
        from tests.processes import places

        places.prepare(os.environ["DOORSTILE_TEST_DIE_AT"])
    if "DOORSTILE_TEST_PLANT" in os.environ:
        from tests.processes import planted

        planted.switch_on(os.environ["DOORSTILE_TEST_PLANT"])
    if "DOORSTILE_TEST_BOOT" in os.environ:
        from agent import app

        vars(app)["boot_id"] = lambda: os.environ["DOORSTILE_TEST_BOOT"]
    cli.main()
