"""What central may ask of this door, as the link hands it over."""

from typing import Final, Protocol

from agent.core.effects import RemoteUnlock
from agent.station import Station
from agent.store.types import Promise
from wire.messages import Command, CommandResult
from wire.vocabulary import CommandName, CommandState

_MAX_ACTOR: Final = 80


class PromiseKeeper(Protocol):
    """Where commands that were begun are remembered until central confirmed their end."""

    async def forget(self, key: str) -> None:
        """Central confirmed it."""


class Commanding:
    """Carries out commands through the station: each is recorded before it begins and after it ended."""

    def __init__(self, station: Station, journal: PromiseKeeper) -> None:
        self._station = station
        self._journal = journal

    async def execute(self, command: Command, begin_before_ms: int) -> CommandResult:
        """Run a command and return how it ended; one that this device does not know fails and does nothing."""
        if command.name != CommandName.UNLOCK:
            return CommandResult(id=command.id, state=CommandState.FAILED, code="unknown_command")
        actor = command.args.get("actor", "")[:_MAX_ACTOR]
        unlock = RemoteUnlock(command.id, actor, begin_before_ms, _promise_of(command.id))
        answer = await self._station.execute(unlock)
        return CommandResult(id=command.id, state=answer.state, code=answer.code)

    async def forget(self, id_: str) -> None:
        """Central recorded the result."""
        await self._journal.forget(_promise_of(id_))


def remembered_results(promises: tuple[Promise, ...]) -> tuple[CommandResult, ...]:
    """Return the results that central has not confirmed, from the promises that were kept for it."""
    return tuple(
        CommandResult(id=promise.key.partition(":")[2], state=CommandState(promise.outcome))
        for promise in promises
        if promise.outcome is not None
    )


def _promise_of(command_id: str) -> str:
    return f"{CommandName.UNLOCK}:{command_id}"
