"""F41 to F48: what befalls a process: memory, time, descriptors, signals, bad configuration."""

import asyncio
import contextlib
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Final

from tests.processes.door_process import is_on
from tests.processes.doors import CONFIG, tapping
from tests.processes.evidence import Record
from tests.processes.lab import GREEN, Lab, NotRunError, Place, Table, need

TABLE: Final = Table()
_CGROUP: Final = Path("/sys/fs/cgroup/memory")
_WATCHDOG_S: Final = 6


def _pid(place: Place) -> int:
    assert place.door.agent is not None
    return place.door.agent.pid


@TABLE.row(
    "F41",
    "restart within 3 s, nothing lost",
    "another program takes the memory of its cgroup: the kernel kills the agent",
)
async def out_of_memory(lab: Lab) -> str | None:
    with _memory_group(48 << 20) as group:
        async with lab.place() as place:
            await place.opens()
            _offer(_pid(place), group)
            taking = 'echo $$ > "$0/cgroup.procs"; exec "$1" -c "kept = bytearray(1 << 28)"'
            greedy = await asyncio.create_subprocess_exec("sh", "-c", taking, str(group), sys.executable)
            code = await place.door.ended(within_s=20)
            async with asyncio.timeout(20):
                await greedy.wait()
            need(code == -signal.SIGKILL, f"ended with {code}, not by the kernel's hand")
            took_s = await _back(place)
            await place.opens()
            await place.equal()
    return f"killed by the kernel, reads cards again after {took_s:.1f} s"


def _offer(pid: int, group: Path) -> None:
    """Put a process into a memory group, as the first that the kernel is to kill."""
    Path(f"/proc/{pid}/oom_score_adj").write_text("1000")
    (group / "cgroup.procs").write_text(str(pid))


@contextlib.contextmanager
def _memory_group(limit_bytes: int) -> Iterator[Path]:
    group = _CGROUP / f"doorstile-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as fault:
        raise NotRunError(f"needs a writable memory cgroup (v1) at {_CGROUP}: {fault.strerror}") from fault
    try:
        (group / "memory.limit_in_bytes").write_text(str(limit_bytes))
        yield group
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()


async def _back(place: Place) -> float:
    """Restart after a death; return how long it took until cards were read."""
    began = monotonic()
    await place.door.clean_up()
    await place.restarted()
    return monotonic() - began


@TABLE.row(
    "F42",
    "goes on deciding; no pulse beyond its ceiling",
    "the process runs a tenth of the time for 10 s (SIGSTOP, SIGCONT)",
)
async def throttled(lab: Lab) -> str | None:
    async with lab.place() as place:
        async with asyncio.TaskGroup() as tasks:
            slowing = tasks.create_task(_slowed(_pid(place)))
            waits = [await place.opens(within_s=10.0) for _ in range(5)]
            slowing.cancel()
        await place.equal()
    return f"5 grants, the slowest after {max(waits):.1f} s"


async def _slowed(pid: int) -> None:
    try:
        while True:
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(0.09)
            os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(0.01)
    finally:
        os.kill(pid, signal.SIGCONT)


@TABLE.row(
    "F43",
    "a stall ends within 20 s",
    "SIGSTOP; the watchdog's socket falls silent, the service manager's part is played",
)
async def stalled(lab: Lab) -> str | None:
    async with lab.place(is_started=False) as place:
        address = place.door.folder / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(str(address))
            notify.setblocking(False)
            await place.restarted(NOTIFY_SOCKET=str(address), WATCHDOG_USEC=str(_WATCHDOG_S * 1_000_000))
            await place.linked()
            gaps = [await _silence(notify, 4.0) for _ in range(3)]
            need(max(gaps) < _WATCHDOG_S, f"a healthy agent was silent for {max(gaps):.1f} s")
            os.kill(_pid(place), signal.SIGSTOP)
            began = monotonic()
            while await _silence(notify, _WATCHDOG_S) < _WATCHDOG_S:
                pass
            await place.door.kill_agent()
            found_s = monotonic() - began
            await _back(place)
        await place.opens()
        await place.equal()
    need(found_s <= 20, f"found after {found_s:.1f} s")
    return f"silent for {_WATCHDOG_S} s means dead: killed {found_s:.1f} s after the stall"


async def _silence(notify: socket.socket, most_s: float) -> float:
    """Return how long the watchdog's next word took, at most so many seconds."""
    began = monotonic()
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(most_s):
            while b"WATCHDOG=1" not in await loop.sock_recv(notify, 4096):
                pass
    except TimeoutError:
        return most_s
    return monotonic() - began


@TABLE.row("F44", "goes on deciding, nothing lost", "RLIMIT_NOFILE set to what is open, link cut; then raised again")
async def no_descriptors(lab: Lab) -> str | None:
    async with lab.place() as place:
        async with tapping(place.door) as hands:
            pid = _pid(place)
            open_now = _descriptors(pid)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (max(open_now) + 1, 20_000))
            place.proxy.reset()
            after = len(place.page.seen)
            for _ in range(20):
                with contextlib.suppress(OSError):
                    await hands.do("tap", uid=place.card())
                await asyncio.sleep(0.15)
            greens = len({view["support"] for view in place.page.seen[after:] if view["state"] in GREEN})
            need(greens >= 5, f"{greens} greens in 20 taps without a spare descriptor")
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (20_000, 20_000))
        need(place.door.agent is not None and place.door.agent.returncode is None, "the agent ended")
        await place.door.until("link", "up", within_s=40)
        await place.equal()
    return f"{len(open_now)} descriptors, none to spare: {greens} greens"


def _descriptors(pid: int) -> list[int]:
    return [int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()]


@TABLE.row("F45", "bounded logs", "1,000 torn reads and 200 unknown codes of 2 KB")
async def log_flood(lab: Lab) -> str | None:
    async with lab.place() as place:
        before = len(place.door.log)
        async with tapping(place.door) as hands:
            for number in range(1200):
                await hands.do("torn") if number % 6 else await hands.do(
                    "qr", text=f"{number}" + "\n" * 1000 + "x" * 1000
                )
                await asyncio.sleep(0.004)
        await asyncio.sleep(1.0)
        grown = len(place.door.log) - before
        need(grown < 200_000, f"the log grew by {grown} bytes")
        need("xxxxxxxx" not in place.door.log[before:], "what a reader saw stands in the log")
        await place.opens()
        faults = len(list((await place.equal()).of_kind("read_fault")))
        need(faults >= 900, f"only {faults} of 1,000 torn reads were recorded")
    return f"{faults} rejects recorded, the log grew by {grown} bytes"


@TABLE.row(
    "F46", "refused with key, value and remedy; the good one still starts", "four bad configurations", is_quick=True
)
async def bad_configuration(lab: Lab) -> str | None:
    async with lab.place() as place:
        await place.door.kill_agent()
        await place.door.clean_up()
        path = place.door.folder / "agent.toml"
        for text, named in (
            ("[door]\nhold_of_s = 3\n", "hold_of_s"),
            ("[kiosk]\nport = 'eighty'\n", "kiosk.port"),
            ("[door\n", "TOML"),
            ("[journal]\nmax_mib = 0\n", "journal.max_mib"),
        ):
            path.write_text(text)
            said = len(place.door.log)
            await place.door.launch()
            code = await place.door.ended()
            need(code == 1, f"exit {code} for {text!r}")
            need(named in place.door.log[said:], f"{named} is not named: {place.door.log[said:]}")
        path.write_text(CONFIG)
        await place.restarted()
        await place.opens()
        await place.equal()
    return None


TABLE.not_run("F47", "one runnable version always", "updates of the agent do not exist yet")


@TABLE.row(
    "F48",
    "strike off, exit 0 within 3 s, nothing lost",
    "SIGTERM 0 to 40 ms after a tap, ten times",
)
async def terminated(lab: Lab) -> str | None:
    slowest = 0.0
    async with lab.place() as place:
        for number in range(10):
            await place.tap()
            await asyncio.sleep(number * 0.004)
            began = monotonic()
            os.kill(_pid(place), signal.SIGTERM)
            code = await place.door.ended(within_s=15)
            slowest = max(slowest, monotonic() - began)
            need(code == 0, f"exit {code}: {place.door.log[-200:]}")
            need(not is_on(place.door.line), "the line is on after a clean end")
            await place.restarted()
        await place.equal()
        record = Record.of(place.door.state)
    need(slowest <= 3.0, f"the slowest end took {slowest:.1f} s")
    return f"{len(record.grants())} grants, the slowest end took {slowest:.1f} s"
