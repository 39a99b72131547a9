"""What a fleet costs central: memory for an idle device, CPU for telling dashboards what happens.

One central of its own with SQLite and the in-memory layer. The devices are bare WebSocket clients that join, greet,
take the directory and then keep still; memory is what central's private pages (proc(5), smaps_rollup) grow by. For the
fan-out one device sends batches of events, with ten dashboards open and with none, in turn; CPU is that of the whole
process, so what ten dashboards add is the difference.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from agent.identity import Identity
from agent.sync.tokens import mint, warm
from bench.measure import (
    Options,
    Target,
    conclude,
    in_turn_async,
    median,
    print_table,
    read_options,
    work_folder,
)
from demo.processes import manage, output_of
from demo.world import Setup, World, world
from provisioning.enroll import Central, enrol
from provisioning.keys import private_pem
from tests.fakes.journal_script import JournalScript, decision, hello
from wire.codec import encode, encode_events, for_agent
from wire.directory import read_row
from wire.limits import HEARTBEAT_S
from wire.message import Message
from wire.messages import Ack, Heartbeat, HeartbeatAck, Welcome
from wire.transfer import DirBegin, DirChunk, DirectoryRef, DirEnd, DirGot, DirState
from wire.vocabulary import DEVICE_PATH, SUBPROTOCOL, ClockQuality, EventKind, Outcome

DEVICES: Final = 50
"""Devices that connect in each round."""
DASHBOARDS: Final = 10
BATCH: Final = 200
BATCHES: Final = 20
LIMIT_KIB: Final = 40.0
LIMIT_CPU_US: Final = 60.0
WITHOUT, WITH = "no dashboard", f"{DASHBOARDS} dashboards"
_SETTLE_S: Final = 1.0
_WITHIN_S: Final = 20.0
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_MAX_FRAME: Final = 1 << 20
_MAX_UNREAD: Final = 256
"""Frames that an idle device leaves unread: answers to its heartbeats."""
_CODES: Final = """
from django.utils import timezone
from central.devices.codes import issue_code
from central.devices.models import Door
from central.directory.demo import make_site
site = make_site().site
for number in range({count}):
    print(issue_code(Door.objects.create(site=site, name=f"Door {{number}}"), now=timezone.now())[0])
"""
_decode = for_agent().decode


@dataclass(frozen=True, slots=True)
class Idle:
    """What idle devices cost: KiB for each, round by round, and CPU of central for a heartbeat in microseconds."""

    growth_kib: list[float]
    beat_us: float


@dataclass(frozen=True, slots=True)
class Telling:
    """What a round of batches took: CPU of central for each event, messages to each dashboard for each batch."""

    cpu_us: float
    messages: float


class Device:
    """A bare client on the device path."""

    def __init__(self, socket: ClientConnection, identity: Identity) -> None:
        self._socket = socket
        self.journal = JournalScript(UUID(identity.device))
        self.members: list[UUID] = []
        self._directory = DirectoryRef("", 0, "")

    async def settle(self) -> None:
        """Greet and take the directory; after this central owes the device nothing."""
        await self._say(hello(self.journal.device, [self.journal.state()]))
        async with asyncio.timeout(_WITHIN_S):
            while True:
                match _decode(await self._socket.recv(decode=False)):
                    case Welcome():
                        continue
                    case DirBegin(epoch=epoch, ver=ver, digest=digest):
                        self._directory = DirectoryRef(epoch, ver, digest)
                    case DirChunk(snap=snap, i=i, rows=rows):
                        self.members += [UUID(read_row(bytes(row)).member) for row in rows]
                        await self._say(DirGot(snap=snap, i=i))
                    case DirEnd():
                        ref = self._directory
                        await self._say(DirState(epoch=ref.epoch, ver=ref.ver, digest=ref.digest))
                        await self.beat()
                    case HeartbeatAck():
                        return

    async def deliver(self, batches: int) -> None:
        """Turn members away, batch by batch, each acknowledged before the next: told to pages, but no visit's work."""
        script = self.journal
        for _ in range(batches):
            first = script.last + 1
            for number in range(BATCH):
                member = self.members[number % len(self.members)]
                script.record(EventKind.DECISION, decision(member, outcome=Outcome.DENY), first + number)
            frame = encode_events(script.run, first, script.raws(first, script.last))
            await self._socket.send(frame, text=True)
            async with asyncio.timeout(_WITHIN_S):
                while True:
                    match _decode(await self._socket.recv(decode=False)):
                        case Ack(upto=upto) if upto == script.last:
                            break

    async def beat(self) -> None:
        """Say that the device lives, and which directory it has: with another, central would send it anew."""
        await self._say(
            Heartbeat(
                mono_ms=time.monotonic_ns() // 1_000_000,
                wall_ms=time.time_ns() // 1_000_000,
                q=ClockQuality.SYNCED,
                backlog=0,
                dir_ver=self._directory.ver,
            )
        )

    async def _say(self, message: Message) -> None:
        await self._socket.send(encode(message), text=True)


class Fleet:
    """Central and what is connected to it, for as long as the stack is open."""

    def __init__(self, built: World, stack: AsyncExitStack, identities: list[Identity]) -> None:
        self._world = built
        self._stack = stack
        self._identities = identities
        self._devices: list[Device] = []
        self._heard = 0

    @property
    def central_pid(self) -> int:
        """The process that is looked at."""
        assert self._world.central is not None
        return self._world.central.pid

    async def connect(self) -> Device:
        """Connect one more device, and settle it."""
        identity = self._identities.pop()
        token = mint(identity, wall_ms=time.time_ns() // 1_000_000, run="00000000000000aa", n=0, head="ab" * 32)
        url = self._world.central_url.replace("http", "ws", 1) + DEVICE_PATH
        socket = await self._stack.enter_async_context(
            connect(
                url,
                additional_headers={"Authorization": f"Bearer {token}"},
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                compression=None,
                proxy=None,
                max_size=_MAX_FRAME,
                max_queue=_MAX_UNREAD,
                ping_interval=None,
            )
        )
        device = Device(socket, identity)
        await device.settle()
        self._devices.append(device)
        return device

    async def keep_beating(self) -> None:
        """Let all devices send heartbeats, as idle devices do, until cancelled."""
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            await self._beat()

    async def beat_cost(self) -> float:
        """Let all devices send a heartbeat; return the CPU of central for each, in microseconds."""
        before = cpu_s(self.central_pid)
        await self._beat()
        await asyncio.sleep(3 * _SETTLE_S)
        return (cpu_s(self.central_pid) - before) / len(self._devices) * 1e6

    async def _beat(self) -> None:
        for device in list(self._devices):
            await device.beat()

    async def growth(self, devices: int) -> float:
        """Connect some devices; return by how many KiB central grew for each."""
        before = private_kib(self.central_pid)
        for _ in range(devices):
            await self.connect()
        await asyncio.sleep(_SETTLE_S)
        return (private_kib(self.central_pid) - before) / devices

    async def telling(self, device: Device, batches: int, dashboards: int) -> Telling:
        """Send batches with so many dashboards open; return what they cost."""
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            pages = [await stack.enter_async_context(self._dashboard()) for _ in range(dashboards)]
            listening = [tasks.create_task(self._listen(page)) for page in pages]
            self._heard = 0
            before = cpu_s(self.central_pid)
            await device.deliver(batches)
            await asyncio.sleep(_SETTLE_S)
            spent = cpu_s(self.central_pid) - before
            for task in listening:
                task.cancel()
        return Telling(spent / (batches * BATCH) * 1e6, self._heard / max(1, dashboards) / batches)

    async def _listen(self, page: ClientConnection) -> None:
        async for _ in page:
            self._heard += 1

    @asynccontextmanager
    async def _dashboard(self) -> AsyncIterator[ClientConnection]:
        headers = {"Cookie": self._world.staff.cookie, "Origin": self._world.central_url}
        url = self._world.central_url.replace("http", "ws", 1) + "/ws/live/"
        async with connect(url, additional_headers=headers, compression=None, proxy=None, max_size=_MAX_FRAME) as page:
            yield page


def private_kib(pid: int) -> float:
    """Return what a process holds for itself alone (proc(5), smaps_rollup)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return float(sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty"))))


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process has used so far (proc(5), stat: utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


async def enrolled(built: World, count: int) -> list[Identity]:
    """Let so many devices join, each at a door of its own."""
    printed = await output_of(manage("shell", "-v0", "-c", _CODES.format(count=count)), env=built.central_env)
    return [await asyncio.to_thread(_joined, built.central_url, code) for code in printed.decode().split()]


def _joined(url: str, code: str) -> Identity:
    key = Ed25519PrivateKey.generate()
    answer = enrol(Central(url), key, code, now_s=0, agent="bench")
    return Identity(
        device=answer.device,
        central=url,
        audience=answer.audience,
        kid=answer.kid,
        private_key=private_pem(key),
        credential_key=answer.credential_key,
        name=answer.name,
        site=answer.site,
        time_zone=answer.time_zone,
    )


async def measure(folder: Path, options: Options) -> tuple[Idle, dict[str, list[Telling]]]:
    """Return what idle devices cost, and what telling dashboards took once they are gone."""
    devices, batches = (5, 2) if options.is_quick else (DEVICES, BATCHES)
    warm()
    async with world(folder, Setup()) as built:
        identities = await enrolled(built, devices * (options.rounds + 1) + 1)
        async with AsyncExitStack() as stack:
            idle = await _idle(Fleet(built, stack, identities), devices, options.rounds)
        async with AsyncExitStack() as stack:
            return idle, await _tellings(Fleet(built, stack, identities), batches, options.rounds)


async def _idle(fleet: Fleet, devices: int, rounds: int) -> Idle:
    async with asyncio.TaskGroup() as tasks:
        beating = tasks.create_task(fleet.keep_beating())
        await fleet.growth(devices)  # what the first devices make central load is no device's own
        growth = [await fleet.growth(devices) for _ in range(rounds)]
        beating.cancel()
    return Idle(growth, await fleet.beat_cost())


async def _tellings(fleet: Fleet, batches: int, rounds: int) -> dict[str, list[Telling]]:
    speaker = await fleet.connect()
    await fleet.telling(speaker, batches, 0)
    contenders = {
        WITHOUT: partial(fleet.telling, speaker, batches, 0),
        WITH: partial(fleet.telling, speaker, batches, DASHBOARDS),
    }
    return await in_turn_async(rounds, contenders)


def judge(idle: Idle, told: dict[str, list[Telling]]) -> list[Target]:
    """Return the targets."""
    added = [two.cpu_us - one.cpu_us for one, two in zip(told[WITHOUT], told[WITH], strict=True)]
    return [
        # The mean: memory is taken in lumps, so that single rounds say little.
        Target("fleet_idle_device_kib", fmean(idle.growth_kib), LIMIT_KIB),
        Target("fleet_fan_out_cpu_us", median(added), LIMIT_CPU_US),
        Target("fleet_messages_per_batch", median([one.messages for one in told[WITH]]), 1.0),
    ]


def show(idle: Idle, told: dict[str, list[Telling]]) -> None:
    """Print what a device and an event cost."""
    growth = idle.growth_kib
    print_table(
        ("idle device", "KiB", "least", "most", "CPU us/heartbeat"),
        [("mean of all rounds", fmean(growth), min(growth), max(growth), idle.beat_us)],
    )
    print_table(
        (f"batches of {BATCH} events", "CPU us/event", "messages/batch"),
        [
            (name, median([one.cpu_us for one in ones]), median([one.messages for one in ones]))
            for name, ones in told.items()
        ],
    )


def main() -> int:
    """Measure, print, judge."""
    options = read_options(__doc__ or "")
    with work_folder(options) as folder:
        idle, told = asyncio.run(measure(folder, options))
    show(idle, told)
    return conclude(judge(idle, told), options)


if __name__ == "__main__":
    sys.exit(main())
