"""A link that runs against a scripted central, with everything else in memory."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from random import Random

import msgspec

from agent.clock import Clock, SystemTime
from agent.sync.connect import Endpoint
from agent.sync.errands import RECONNECT_KEY
from agent.sync.ports import ClockPort
from agent.sync.runner import Link
from agent.sync.status import LinkStatus
from tests.fakes.link_parts import MemoryDirectoryStore, RecordingCommands, identity_for
from tests.fakes.memory_outbox import MemoryOutbox
from wire.limits import Reconnect
from wire.messages import CommandResult

QUICK = Reconnect(min_ms=100, spread_ms=0, cap_ms=200)


@dataclass(slots=True)
class Rig:
    """What a test looks at."""

    link: Link
    outbox: MemoryOutbox
    directory: MemoryDirectoryStore
    commands: RecordingCommands
    statuses: list[LinkStatus] = field(default_factory=list)

    async def until(self, holds: Callable[[], bool], *, within_s: float = 30.0) -> None:
        """Look every few milliseconds until something holds."""
        async with asyncio.timeout(within_s):
            while not holds():
                await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def running_link(
    url: str,
    *,
    events: int = 0,
    outbox: MemoryOutbox | None = None,
    clock: ClockPort | None = None,
    remembered: tuple[CommandResult, ...] = (),
    reconnect: Reconnect = QUICK,
) -> AsyncIterator[Rig]:
    """Run a link to `url`; leaving cancels it, which must not take long."""
    journal = outbox or MemoryOutbox()
    journal.append(events)
    directory = MemoryDirectoryStore(kept={RECONNECT_KEY: msgspec.json.encode(reconnect).decode()})
    commands = RecordingCommands()
    link = Link(
        Endpoint(url, open_timeout_s=5.0),
        identity_for(url),
        outbox=journal,
        directory=directory,
        commands=commands,
        clock=clock or Clock(SystemTime(), boot="b" * 32),
        random=Random(1),
        agent="test",
        remembered=remembered,
    )
    rig = Rig(link, journal, directory, commands)
    link.on_status.append(rig.statuses.append)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(link.run(tasks))
        try:
            yield rig
        finally:
            running.cancel()
            async with asyncio.timeout(8.0):
                await asyncio.wait([running])
