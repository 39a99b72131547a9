"""The bugs of the storage layer: each workload is recorded with its bug, and its crash states are rebuilt.

A recording is a process of its own, so the bug is planted there, by name.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from tests.crashstates import recording
from tests.crashstates.explore import Tally, explore, split
from tests.crashstates.planted import BUGS
from tests.planted.registry import PlantedBug

_PARTS: Final = 32
_STATES_PER_POINT: Final = 3
_PROMISES: Final = {
    "journal": "what somebody saw granted is on the disk",
    "failing": "nothing is committed to a log whose sync failed",
    "directory": "the directory is the old or the new, never a mix",
    "identity": "the identity is the old or the new, never none",
}
_planted: list[str] = []


@contextmanager
def _plant(name: str) -> Iterator[None]:
    _planted.append(name)
    try:
        yield
    finally:
        _planted.remove(name)


def _catch(name: str) -> str | None:
    """Rebuild states, more of them with the bug: without it the suite's own thousands are the control."""
    bug = BUGS[name]
    is_planted = name in _planted
    with tempfile.TemporaryDirectory(prefix="doorstile-planted-") as folder:
        path = Path(folder, f"{bug.workload}.1")
        trace = recording.record(bug.workload, path, bug=name if is_planted else "")
        jobs = split(bug.workload, path, len(trace.ops), _STATES_PER_POINT if is_planted else 1, 1, _PARTS)
        total = Tally()
        for job in jobs if is_planted else jobs[:: _PARTS - 1]:
            total.add(explore(job))
            if total.violations:
                return f"{total.violations} of {total.states} crash states: {total.wrong[0]}"
    return None


def _bugs() -> Iterator[PlantedBug]:
    for name, bug in BUGS.items():
        yield PlantedBug(
            name, bug.breaks, _PROMISES.get(bug.workload, "nothing durable is lost"), "tests.crashstates",
            partial(_plant, name), partial(_catch, name), is_slow=True,
        )  # fmt: skip


PLANTED: Final = tuple(_bugs())
"""The layer of storage under power cuts."""
