"""Record a workload's trace in a process of its own."""

import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from tests.crashstates.planted import BUGS
from tests.crashstates.recorder import Request
from tests.crashstates.trace import Trace
from tests.crashstates.workloads import WORKLOADS

FAILING_SYNC = 3
"""Which sync fails in the workload of that name, see `Request.fail_sync`."""


def working_folder() -> str | None:
    """Return where small files are cheap; None for the default."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def record(name: str, out: Path, *, bug: str = "", fail_sync: int | None = None) -> Trace:
    """Record a workload, all its phases on one folder, and keep the trace in `out`."""
    if fail_sync is None:
        fail_sync = BUGS[bug].fail_sync if bug else FAILING_SYNC if name == "failing" else 0
    with tempfile.TemporaryDirectory(prefix="doorstile-trace-", dir=working_folder()) as scratch:
        folder, said = Path(scratch, "state"), Path(scratch, "said")
        folder.mkdir()
        phases = range(WORKLOADS[name][1])
        extra = [bug] if bug else []
        commands = [
            [sys.executable, "-m", "tests.crashstates.workloads", name, str(phase), str(folder), str(said), *extra]
            for phase in phases
        ]
        request = Path(scratch, "request.json")
        wanted = Request(name, str(folder), str(said), str(out), commands, fail_sync, bool(bug))
        request.write_bytes(msgspec.json.encode(wanted))
        subprocess.run([sys.executable, "-m", "tests.crashstates.recorder", str(request)], check=True, timeout=120)
    return Trace.load(out)


def why_not() -> str | None:
    """Return why nothing can be recorded here, None where it can."""
    code = "from tests.crashstates import ptrace; print(ptrace.is_available() or '')"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20).stdout
    return said.strip() or None
