"""Events that waited, replayed into a real central that commits them with their visits: ours, central alone, a peer.

Central runs in a process of its own with SQLite. "Central alone" is a client that does nothing but send frames made
beforehand, as many under way as the window allows. Ours reads a journal on disk. The peer keeps its events in
persist-queue's acknowledging SQLite queue and sends a message for each, into the same central.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.client import ClientConnection

from agent.clock import Clock, SystemTime, boot_id
from agent.identity import Identity
from agent.store.directory import Directory
from agent.store.journal import Draft, Journal
from agent.sync.connect import Endpoint, LinkGate, dial, hang_up
from agent.sync.runner import Link
from agent.sync.tokens import mint
from bench.measure import (
    Options,
    Target,
    conclude,
    in_turn_async,
    median,
    print_table,
    read_options,
    say_calibration,
    work_folder,
)
from provisioning.enroll import Central, enrol
from provisioning.keys import private_pem
from tests.fakes.journal_script import START_MS, JournalScript, decision, hello
from tests.fakes.link_parts import RecordingCommands
from tests.services.central import RunningCentral, running_central
from wire.codec import encode, encode_events, for_agent
from wire.events import Stamp
from wire.limits import Limits
from wire.message import Message
from wire.messages import Ack, Welcome
from wire.vocabulary import ClockQuality, Direction, EventKind

EVENTS: Final = 6_000
EVENTS_OF_PEER: Final = 100
BATCH: Final = Limits().batch_events
UNDER_WAY: Final = Limits().window // BATCH
MEMBERS: Final = 300
"""Who goes in and out; each contender has members of its own, or one would write another's visits anew."""
STEP_MS: Final = 2_000
LIMIT_RATIO: Final = 0.8
LIMIT_PEER: Final = 10.0
ALONE, OURS, PEER = "central alone", "ours, from the journal", "persist-queue, a message each"
_WITHIN_S: Final = 60.0
_decode = for_agent().decode


@dataclass(slots=True)
class BareDevice:
    """A client that knows the protocol and keeps no journal; each round is a run of its own."""

    identity: Identity
    script: JournalScript

    def next_round(self, events: int) -> list[bytes]:
        """Begin a run of so many grants; return them as they stand in frames."""
        offset = self.script.ord * events
        self.script = self.script.next_run(f"{self.script.ord + 1:016x}")
        for number in range(offset, offset + events):
            self.script.grant(_member(self.identity, number), number * STEP_MS, _direction(number))
        return self.script.raws()

    async def connect(self) -> ClientConnection:
        """Connect and be welcomed."""
        token = mint(self.identity, wall_ms=time.time_ns() // 1_000_000, run=self.script.run, n=0, head="")
        socket = await dial(Endpoint(self.identity.central), token, trusts_clock=True, gate=LinkGate())
        await socket.send(encode(hello(self.script.device, [self.script.state()])), text=True)
        await _until(socket, lambda message: isinstance(message, Welcome))
        return socket

    async def deliver(self, raws: Sequence[bytes], batch: int, under_way: int) -> None:
        """Send batches, so many under way, until all are acknowledged."""
        socket = await self.connect()
        for at in range(0, len(raws), batch):
            await socket.send(encode_events(self.script.run, at + 1, list(raws[at : at + batch])), text=True)
            due = at + batch - (under_way - 1) * batch
            if due > 0:
                await _until(socket, _acked(due))
        await _until(socket, _acked(len(raws)))
        await hang_up(socket, 1000, "")


async def _until(socket: ClientConnection, is_it: Callable[[Message], bool]) -> None:
    async with asyncio.timeout(_WITHIN_S):
        while not is_it(_decode(await socket.recv(decode=False))):
            pass


def _acked(upto: int) -> Callable[[Message], bool]:
    return lambda message: isinstance(message, Ack) and message.upto >= upto


def _direction(number: int) -> Direction:
    return Direction.IN if number // MEMBERS % 2 == 0 else Direction.OUT


def _member(identity: Identity, number: int) -> UUID:
    return UUID(int=UUID(identity.device).int // MEMBERS * MEMBERS + number % MEMBERS)


async def _rate(events: int, work: Awaitable[None]) -> float:
    began = time.perf_counter()
    await work
    return events / (time.perf_counter() - began)


def _alone(device: BareDevice, events: int) -> Callable[[], Awaitable[float]]:
    async def round_() -> float:
        raws = device.next_round(events)
        return await _rate(events, device.deliver(raws, BATCH, UNDER_WAY))

    return round_


def _peer(device: BareDevice, folder: Path, events: int) -> Callable[[], Awaitable[float]]:
    import persistqueue

    turn = count()

    async def send(queue: Any) -> None:
        socket = await device.connect()
        for n in range(1, events + 1):
            item = queue.get(block=False)
            await socket.send(encode_events(device.script.run, n, [item["raw"].encode()]), text=True)
            await _until(socket, _acked(n))
            queue.ack(item)
        await hang_up(socket, 1000, "")

    async def round_() -> float:
        queue = persistqueue.SQLiteAckQueue(str(folder / f"peer-{next(turn)}"), auto_commit=True)
        for raw in device.next_round(events):
            queue.put({"raw": raw.decode()})
        try:
            return await _rate(events, send(queue))
        finally:
            queue.close()

    return round_


def _ours(identity: Identity, journal: Journal, directory: Directory, events: int) -> Callable[[], Awaitable[float]]:
    started = count()

    async def record() -> None:
        offset = next(started) * events
        for first in range(0, events, 500):
            numbers = range(offset + first, offset + min(first + 500, events))
            await journal.append_many([_draft(identity, number) for number in numbers])

    async def drain() -> None:
        link = Link(
            Endpoint(identity.central),
            identity,
            outbox=journal,
            directory=directory,
            commands=RecordingCommands(),
            clock=Clock(SystemTime(), boot=boot_id()),
            random=Random(1),
            agent="bench",
        )
        async with asyncio.timeout(_WITHIN_S), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(link.run(tasks))
            while journal.backlog().events:  # noqa: ASYNC110 - the journal has no event for an empty backlog
                await asyncio.sleep(0.002)
            running.cancel()

    async def round_() -> float:
        await record()
        return await _rate(events, drain())

    return round_


def _draft(identity: Identity, number: int) -> Draft:
    at = Stamp(boot_id(), number, START_MS + number * STEP_MS, ClockQuality.SYNCED)
    return Draft(EventKind.DECISION, at, decision(_member(identity, number), _direction(number)))


def _joined(central: RunningCentral, door: str) -> Identity:
    key, origin = Ed25519PrivateKey.generate(), Central(central.url)
    answer = enrol(origin, key, central.enrolment_code(door), now_s=time.time_ns() // 10**9, agent="bench")
    return Identity(
        device=answer.device,
        central=central.url,
        audience=answer.audience,
        kid=answer.kid,
        private_key=private_pem(key),
        credential_key=answer.credential_key,
        name=answer.name,
        site=answer.site,
        time_zone=answer.time_zone,
    )


async def measure(options: Options, folder: Path) -> list[Target]:
    """Measure in turn and return the targets."""
    events, few = (1_000, 50) if options.is_quick else (EVENTS, EVENTS_OF_PEER)
    with running_central(folder / "central") as central:
        identities = [_joined(central, door) for door in (ALONE, OURS, PEER)]
        bare = [BareDevice(identity, JournalScript(UUID(identity.device))) for identity in identities]
        state = folder / "agent"
        state.mkdir()
        journal, directory = Journal.open(state, device=identities[1].device), Directory.open(state)
        try:
            contenders = {
                ALONE: _alone(bare[0], events),
                OURS: _ours(identities[1], journal, directory, events),
                PEER: _peer(bare[2], folder, few),
            }
            rounds = await in_turn_async(options.rounds, contenders)
        finally:
            await directory.close()
            await journal.close()
        _check(central, identities[1], events * options.rounds)
    rates = {name: median(made) for name, made in rounds.items()}
    print_table(
        ("replay into central", "events/s", "/ alone"),
        [(name, f"{rate:.0f}", f"{rate / rates[ALONE]:.3f}") for name, rate in rates.items()],
    )
    alone = median([ours / bare for ours, bare in zip(rounds[OURS], rounds[ALONE], strict=True)])
    return [
        Target("replay_central_ratio", alone, LIMIT_RATIO, is_floor=True),
        Target("replay_central_per_peer_ratio", rates[OURS] / rates[PEER], LIMIT_PEER, is_floor=True),
    ]


def _check(central: RunningCentral, identity: Identity, events: int) -> None:
    """What was not committed was not replayed."""
    held = json.loads(central.manage("ledger", "--device", identity.device, "--json"))["events"]
    assert len(held) == events, f"central holds {len(held)} of {events} events"


def main() -> int:
    """Run the bench."""
    options = read_options(__doc__ or "")
    with work_folder(options) as folder:
        say_calibration(folder)
        return conclude(asyncio.run(measure(options, folder)), options)


if __name__ == "__main__":
    sys.exit(main())
