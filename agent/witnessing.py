"""A durable record around what a technician does to the lock while the agent is stopped.

What opens without the agent is written into the agent's own journal, as a command that began and its result, and
reaches central with the next start. The journal's lock keeps an agent from starting meanwhile, and the other way round.
"""

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from msgspec import Struct

from agent import __version__
from agent.clock import Clock, SystemTime, boot_id, has_rtc
from agent.identity import load_identity
from agent.store.journal import Journal
from agent.store.types import Draft, JournalLimits
from hardware.errors import HardwareError
from wire.events import CommandBegunBody, CommandResultBody, Stamp, StartedBody
from wire.vocabulary import CommandName, CommandState, EventKind

Done = TypeVar("Done")


async def witnessed(folder: Path, limits: JournalLimits, actor: str, work: Callable[[], Awaitable[Done]]) -> Done:
    """Do something that opens the door, once it is on the disk that somebody asked for it; record how it ended.

    Raise StoreError or IdentityError where it cannot be recorded: then nothing was done. A crash in between is ended as
    `unknown` by the agent's next start.
    """
    journal = Journal.open(folder, device=load_identity(folder).device, limits=limits)
    try:
        clock = Clock(SystemTime(), boot=boot_id(), has_rtc=has_rtc())
        trial = _Trial(str(uuid4()), actor)
        await journal.append_many(trial.beginning(clock.stamp(clock.now())))
        try:
            done = await work()
        except HardwareError:
            await journal.append(trial.end(CommandState.FAILED, "lock", clock.stamp(clock.now())))
            raise
        await journal.append(trial.end(CommandState.DONE, "pulsed", clock.stamp(clock.now())))
        return done
    finally:
        await journal.close()


class _Trial(Struct, frozen=True):
    """One opening, and what is written of it."""

    id: str
    actor: str

    @property
    def promise(self) -> str:
        return f"{CommandName.UNLOCK}:{self.id}"

    def beginning(self, at: Stamp) -> list[Draft]:
        started = StartedBody(agent=__version__, reason="relay_test")
        begun = CommandBegunBody(id=self.id, name=CommandName.UNLOCK, actor=self.actor)
        return [Draft(EventKind.STARTED, at, started), Draft(EventKind.COMMAND_BEGUN, at, begun, opens=self.promise)]

    def end(self, state: CommandState, code: str, at: Stamp) -> Draft:
        body = CommandResultBody(id=self.id, name=CommandName.UNLOCK, state=state, code=code, out=self.actor)
        return Draft(EventKind.COMMAND_RESULT, at, body, settles=self.promise)


@contextmanager
def as_owner_of(folder: Path) -> Iterator[None]:
    """Work as whoever owns the folder where this is root: what root made there the agent could not write."""
    try:
        owner = folder.stat()
    except OSError:
        yield
        return
    if os.geteuid() != 0 or owner.st_uid == 0:
        yield
        return
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
