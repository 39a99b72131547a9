"""Bugs planted into the real agent: the harness sets a variable, `door_process` patches the process that it starts."""

import asyncio
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from unittest import mock

from agent.core.effects import Grant, Record
from agent.station import Station
from agent.store.db import Fault
from agent.store.writer import Writer
from hardware import factory
from tests.planted.registry import PlantedBug

VARIABLE: Final = "DOORSTILE_TEST_PLANT"
_PULSE_MS: Final = 300


def _pulse_before_record() -> None:
    real = Station._record

    async def record(self: Station, effect: Record) -> Any:
        if isinstance(effect.then, Grant):
            await self._acting.unlock(effect.then, _PULSE_MS, lambda _: None)
        return await real(self, effect)

    mock.patch.object(Station, "_record", record).start()


def _sync_error_retried() -> None:
    mock.patch.object(Writer, "_condemn", return_value=None).start()
    real = Writer._failed

    def failed(self: Writer, fault: Any) -> Fault:
        kind = real(self, fault)
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        return Fault.FULL if kind is Fault.BROKEN else kind

    mock.patch.object(Writer, "_failed", failed).start()


def _line_left_on() -> None:
    mock.patch.object(factory, "drive_safe", return_value=None).start()


def _command_forgotten() -> None:
    mock.patch("agent.app.remembered_results", return_value=()).start()


_BUGS: Final[dict[str, Callable[[], None]]] = {
    "process-pulse-before-record": _pulse_before_record,
    "process-failed-sync-retried": _sync_error_retried,
    "process-line-left-on": _line_left_on,
    "process-crashed-command-forgotten": _command_forgotten,
}


def switch_on(name: str) -> None:
    """Patch this process; called in the agent under test alone."""
    _BUGS[name]()


@contextmanager
def _planting(name: str) -> Iterator[None]:
    with mock.patch.dict(os.environ, {VARIABLE: name}):
        yield


def _caught_by(did: str) -> str | None:
    """Run the row of the fault table that does this; return what it missed, None where it was content."""
    from tests.processes.faults import lab_in, rows, run_row
    from tests.processes.verdicts import OK

    async def attempt(folder: Path) -> str | None:
        row = next(row for row in rows() if row.did == did)
        async with lab_in(folder) as lab:
            ending = (await run_row(row, lab)).ending
        return None if ending.verdict == OK else f"{row.id} {ending.verdict}: {ending.words}"

    with tempfile.TemporaryDirectory(prefix="doorstile-planted-", ignore_cleanup_errors=True) as folder:
        return asyncio.run(attempt(Path(folder)))


def _bug(name: str, breaks: str, promise: str, did: str) -> PlantedBug:
    return PlantedBug(name, breaks, promise, __name__, lambda: _planting(name), lambda: _caught_by(did), is_slow=True)


PLANTED: Final = (
    _bug(
        "process-pulse-before-record",
        "the relay moves while the decision is still being written",
        "nobody walks in without a record",
        "SIGKILL before the grant's commit",
    ),
    _bug(
        "process-failed-sync-retried",
        "an EIO of the log's sync counts as a full disk, and the next event goes into the same log",
        "what was shown green is on the disk",
        "EIO from the log's next fdatasync",
    ),
    _bug(
        "process-line-left-on",
        "nothing switches the outputs off after a death",
        "the door does not stay open",
        "SIGKILL with the relay on, then the unit's --outputs-off",
    ),
    _bug(
        "process-crashed-command-forgotten",
        "central never hears how a command ended that a crash cut off",
        "the front desk knows whether the door opened",
        "SIGKILL in the pulse of a remote open",
    ),
)
