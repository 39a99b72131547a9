"""How soon a started agent reads cards, and what it holds in memory then.

Times of a start hold for a machine on which an interpreter has imported asyncio, json, sqlite3 and ssl after 70 ms. A
machine that takes longer for that, slower or busy, is given longer in proportion; a faster one is not asked for more.

The agent runs as the service runs it, a process of its own with simulated hardware; systemd's notification tells when
it is ready, and a tap over the control socket when its first card was decided. Memory is the resident set (VmRSS) once
it has decided a card and tried to reach a central that is down, so what the link needs is loaded too.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.simulation import SimRequest, ask
from bench.doors import fill_directory, fill_journal, give_identity, uid
from bench.measure import (
    Options,
    Target,
    conclude,
    median,
    print_table,
    read_options,
    say_calibration,
    work_folder,
)
from bench.notification import Notification

FLOOR_IMPORTS: Final = "import asyncio, json, sqlite3, ssl"
IMPORTS: Final = "import agent.app"
MEMBERS: Final = 10_000
MANY: Final = 1_000_000
FLOOR_MS: Final = 70.0
IMPORTS_LIMIT_MS: Final = 220
READY_LIMIT_S: Final = 0.6
RSS_LIMIT_MIB: Final = 48
RSS_LIMIT_MANY_MIB: Final = 60
_ANSWERED: Final = frozenset({"granted_in", "denied"})
_SETTINGS: Final = """profile = "simulated"
[journal]
max_mib = 4096
[kiosk]
port = 0
"""
_SETTLE_S: Final = 3.0
_WITHIN_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Start:
    """One start of an agent: seconds from exec to ready and to the first decision, and memory in MiB."""

    ready_s: float
    decided_s: float
    rss_mib: float
    peak_mib: float


def installed(work: Path) -> dict[str, str]:
    """Return an environment in which byte code is kept, as that of an installed package is."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(work / "byte-code")}


def import_time(code: str, environment: dict[str, str]) -> float:
    """Return how long a new interpreter takes to have run some imports, in milliseconds."""
    command = [sys.executable, "-c", f"{code}\nprint(flush=True)"]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        took_ms = (time.perf_counter() - began) * 1000
    if process.returncode != 0:
        raise RuntimeError(f"{code!r} failed with {process.returncode}")
    return took_ms


@asynccontextmanager
async def running_agent(folder: Path, notification: Notification) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the agent on a state folder as the service does, until the block ends."""
    config = folder / "agent.toml"
    config.write_text(
        f'state = "{folder}"\nprofile = "simulated"\n[journal]\nmax_mib = 4096\n[kiosk]\nport = 0\n', encoding="utf-8"
    )
    with (folder / "agent.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "agent", "run", "--config", str(config)),
            env={**installed(folder.parent), "NOTIFY_SOCKET": str(notification.path)},
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def first_decision(folder: Path, number: int) -> None:
    """Tap a member's card and return when the door has answered."""
    async with asyncio.timeout(_WITHIN_S):
        while True:
            try:
                answer = await ask(folder, SimRequest(do="tap", args={"uid": uid(number).hex()}))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                await asyncio.sleep(0.002)
        while answer.error or answer.door["screen"] not in _ANSWERED:
            answer = await ask(folder, SimRequest(do="status"))


def memory_mib(pid: int, name: str) -> float:
    """Return a figure of a process's memory (proc(5): VmRSS now, VmHWM at most so far)."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has no {name}")


async def start(folder: Path, *, settle_s: float) -> Start:
    """Start an agent on a prepared state folder, let one member in, and look at it."""
    with Notification(folder / "notify.sock") as notification:
        began = time.perf_counter()
        async with running_agent(folder, notification) as process:
            await notification.ready(_WITHIN_S)
            ready_s = time.perf_counter() - began
            await first_decision(folder, 1)
            decided_s = time.perf_counter() - began
            await asyncio.sleep(settle_s)
            return Start(ready_s, decided_s, memory_mib(process.pid, "VmRSS"), memory_mib(process.pid, "VmHWM"))


async def prepare(folder: Path, *, members: int, events: int = 0) -> Path:
    """Make the state folder of a door with so many members and so many events that wait."""
    give_identity(folder)
    await fill_directory(folder, members)
    if events:
        await fill_journal(folder, events, max_bytes=4 << 30)
    return folder


async def measure(work: Path, options: Options) -> tuple[dict[str, list[float]], dict[str, list[Start]]]:
    """Import in turn, and start three doors in turn."""
    many = MANY // 50 if options.is_quick else MANY
    doors = {
        f"{MEMBERS} members": await prepare(work / "usual", members=MEMBERS),
        f"{many} members": await prepare(work / "members", members=many),
        f"{many} events wait": await prepare(work / "events", members=MEMBERS, events=many),
    }
    settle_s = 0.5 if options.is_quick else _SETTLE_S
    environment = installed(work)
    import_time(IMPORTS, environment)  # writes the byte code, as the next line does
    await start(work / "usual", settle_s=0)
    imports: dict[str, list[float]] = {FLOOR_IMPORTS: [], IMPORTS: []}
    starts: dict[str, list[Start]] = {name: [] for name in doors}
    for _ in range(options.rounds):
        for code, took in imports.items():
            took.append(import_time(code, environment))
        for name, folder in doors.items():
            starts[name].append(await start(folder, settle_s=settle_s))
    return imports, starts


def judge(imports: dict[str, list[float]], starts: dict[str, list[Start]]) -> list[Target]:
    """Return the targets, each from the median over the rounds."""
    usual, members, events = starts.values()
    slowness = max(1.0, median(imports[FLOOR_IMPORTS]) / FLOOR_MS)
    return [
        Target("startup_imports_ms", median(imports[IMPORTS]), IMPORTS_LIMIT_MS * slowness),
        Target("startup_first_decision_s", median([one.decided_s for one in usual]), READY_LIMIT_S * slowness),
        Target("startup_rss_mib", median([one.rss_mib for one in usual]), RSS_LIMIT_MIB),
        Target("startup_rss_many_members_mib", median([one.rss_mib for one in members]), RSS_LIMIT_MANY_MIB),
        Target("startup_rss_many_events_mib", median([one.rss_mib for one in events]), RSS_LIMIT_MANY_MIB),
    ]


def show(imports: dict[str, list[float]], starts: dict[str, list[Start]]) -> None:
    """Print medians, and the slowest and largest of all rounds."""
    print_table(
        ("interpreter until imports are done", "p50 ms", "max ms"),
        [(code, median(took), max(took)) for code, took in imports.items()],
    )
    print_table(
        ("door", "ready s", "first decision s", "RSS MiB", "largest MiB"),
        [
            (
                name,
                median([one.ready_s for one in ones]),
                median([one.decided_s for one in ones]),
                median([one.rss_mib for one in ones]),
                max(one.peak_mib for one in ones),
            )
            for name, ones in starts.items()
        ],
    )


def main() -> int:
    """Measure, print, judge."""
    options = read_options(__doc__ or "")
    with work_folder(options) as work:
        say_calibration(work)
        imports, starts = asyncio.run(measure(work, options))
    show(imports, starts)
    return conclude(judge(imports, starts), options)


if __name__ == "__main__":
    sys.exit(main())
