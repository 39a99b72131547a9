"""Look for a planted bug of the storage layer in the crash states of its workload, where it most likely shows."""

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.crashstates.explore import Job, Tally, explore
from tests.crashstates.planted import Bug
from tests.crashstates.recording import record
from tests.crashstates.trace import Sync, Trace

_SPAN: Final = 25
_MAX_STATES: Final = 300


def states_of(bug: Bug, name: str, seed: int) -> Tally:
    """Check crash states of a bug's workload, with the bug where it is named, up to the first violation."""
    total = Tally()
    with tempfile.TemporaryDirectory(prefix="doorstile-bug-") as scratch:
        path = Path(scratch, bug.workload)
        trace = record(bug.workload, path, bug=name, fail_sync=bug.fail_sync)
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
