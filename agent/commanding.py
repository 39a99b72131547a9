"""What central may ask of this door, as the link hands it over."""

from typing import Final, Protocol

from agent.capturing import Captures
from agent.core.effects import AnyCommand, Order, RemoteUnlock
from agent.keyring import Keyring
from agent.station import Station
from agent.store.types import Promise
from wire.messages import Command, CommandResult
from wire.vocabulary import CommandName, CommandState

_MAX_ACTOR: Final = 80
_MAX_WORD: Final = 20
_MAX_DIGITS: Final = 9


class PromiseKeeper(Protocol):
    """Where commands that were begun are remembered until central confirmed their end."""

    async def forget(self, key: str) -> None:
        """Central confirmed it."""


class Commanding:
    """Carries out commands through the station: each is recorded before it begins and after it ended."""

    def __init__(
        self, station: Station, journal: PromiseKeeper, captures: Captures | None = None, keyring: Keyring | None = None
    ) -> None:
        self._station = station
        self._journal = journal
        self._captures = captures
        self._keyring = keyring

    async def execute(self, command: Command, begin_before_ms: int) -> CommandResult:
        """Run a command and return how it ended; one that this device does not know fails and does nothing."""
        if command.name not in set(CommandName):
            return CommandResult(id=command.id, state=CommandState.FAILED, code="unknown_command")
        wanted = _wanted(command, CommandName(command.name), begin_before_ms)
        if wanted is None:
            return CommandResult(id=command.id, state=CommandState.FAILED, code="bad_argument")
        code = self._prepared(command)
        if code:
            return CommandResult(id=command.id, state=CommandState.FAILED, code=code)
        answer = await self._station.execute(wanted)
        return CommandResult(id=command.id, state=answer.state, code=answer.code, out=answer.out)

    def _prepared(self, command: Command) -> str:
        """Take the key that comes with a command; return why it cannot be used, empty where it can or there is none."""
        match command.name:
            case CommandName.CAPTURE:
                return "no_reader" if self._captures is None else self._captures.begin(command)
            case CommandName.ROTATE_KEY:
                return "no_keys" if self._keyring is None else self._keyring.begin(command)
            case _:
                return ""

    async def forget(self, id_: str) -> None:
        """Central recorded the result."""
        for name in CommandName:
            await self._journal.forget(_promise_of(name, id_))


def remembered_results(promises: tuple[Promise, ...]) -> tuple[CommandResult, ...]:
    """Return the results that central has not confirmed, from the promises that were kept for it."""
    return tuple(
        CommandResult(id=promise.key.partition(":")[2], state=CommandState(promise.outcome))
        for promise in promises
        if promise.outcome is not None
    )


def _wanted(command: Command, name: CommandName, begin_before_ms: int) -> AnyCommand | None:
    """Return the command with its arguments read; None where one of them makes no sense: it is never guessed."""
    actor = command.args.get("actor", "")[:_MAX_ACTOR]
    promise = _promise_of(name, command.id)
    if name is CommandName.UNLOCK:
        return RemoteUnlock(command.id, actor, begin_before_ms, promise)
    level, for_s = _number(command.args.get("level", "1")), _number(command.args.get("for_s", "0"))
    what = command.args.get("what", "")
    if not level or for_s is None or len(what) > _MAX_WORD:
        return None
    for_ms = for_s * 1000 if for_s else None
    return Order(command.id, name, actor, begin_before_ms, promise, what=what, level=level, for_ms=for_ms)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS else None


def _promise_of(name: CommandName, command_id: str) -> str:
    return f"{name}:{command_id}"
