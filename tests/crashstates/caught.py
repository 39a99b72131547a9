"""The planted bugs of the storage layer, for the table of all planted bugs: each is caught by crash states."""

import random
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from tests.crashstates.explore import Job, Tally, explore
from tests.crashstates.planted import BUGS, Bug
from tests.crashstates.recording import record
from tests.crashstates.trace import Sync, Trace
from tests.planted.registry import PlantedBug

_SPAN: Final = 25
_MAX_STATES: Final = 300
_planted: list[str] = []


def states_of(bug: Bug, name: str, seed: int) -> Tally:
    """Check crash states of a bug's workload, with the bug where it is named, up to the first violation."""
    total = Tally()
    with tempfile.TemporaryDirectory(prefix="doorstile-bug-") as scratch:
        path = Path(scratch, bug.workload)
        try:
            trace = record(bug.workload, path, bug=name, fail_sync=bug.fail_sync)
        except subprocess.CalledProcessError:
            return Tally(violations=1, wrong=[f"the workload {bug.workload} itself fails"])
        for first in _spans(trace, seed):
            if total.violations or total.states >= _MAX_STATES:
                break
            total.add(explore(Job(bug.workload, path, first, min(first + _SPAN, len(trace.ops)), 2, seed)))
    return total


def _spans(trace: Trace, seed: int) -> Iterator[int]:
    """Yield where to begin: right after a failed sync where there is one, then anywhere."""
    yield from (number for number, op in enumerate(trace.ops) if isinstance(op, Sync) and not op.is_done)
    spans = list(range(0, len(trace.ops), _SPAN))
    random.Random(seed).shuffle(spans)
    yield from spans


def _plant(name: str) -> AbstractContextManager[object]:
    @contextmanager
    def planted() -> Iterator[None]:
        _planted.append(name)
        try:
            yield
        finally:
            _planted.remove(name)

    return planted()


def _catch(name: str) -> str | None:
    """The bug is planted in the process of the workload, not in this one."""
    tally = states_of(BUGS[name], name if name in _planted else "", 1)
    return tally.wrong[0] if tally.wrong else None


def _planted_bug(name: str, bug: Bug) -> PlantedBug:
    plant: Callable[[], AbstractContextManager[object]] = partial(_plant, name)
    return PlantedBug(name, bug.breaks, bug.promise, "tests.crashstates", plant, partial(_catch, name))


PLANTED: Final[tuple[PlantedBug, ...]] = tuple(_planted_bug(name, bug) for name, bug in BUGS.items())
