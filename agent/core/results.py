"""How commands end: each has one recorded result, and central hears of it once that is durable."""

from msgspec.structs import replace

from agent.core.effects import Answer, AnyCommand, CommandEnd, Record
from agent.core.types import Now
from wire.events import CommandResultBody
from wire.vocabulary import CommandState, EventKind


def never_begun(command: AnyCommand, state: CommandState, code: str, now: Now, *, out: str = "") -> Record:
    """Return the record of a command that did not begin; `out` is for central alone and is not recorded."""
    body = CommandResultBody(id=command.id, name=command.name, state=state, code=code)
    return Record(EventKind.COMMAND_RESULT, now, body, CommandEnd(command.id, state, code, command.name, out))


def ended(command: AnyCommand, state: CommandState, code: str, now: Now, *, out: str = "") -> Record:
    """Return the record of the end of a command that had begun; `out` is for central alone and is not recorded."""
    record, end = never_begun(command, state, code, now), CommandEnd(command.id, state, code, command.name, out)
    return replace(record, then=end, settles=command.promise, outcome=state)


def done(command: AnyCommand, code: str, now: Now) -> Record:
    """Return the record of a command that did what it should."""
    return ended(command, CommandState.DONE, code, now)


def failed(command: AnyCommand, code: str, now: Now) -> Record:
    """Return the record of a command that began and could not do what it should."""
    return ended(command, CommandState.FAILED, code, now)


def unrecorded(end: CommandEnd) -> Answer:
    """Return what central hears of an end that could not be recorded.

    What was done did not fail, or staff would ask for it again; without a durable record it is not called done either.
    """
    if end.state is CommandState.DONE:
        return Answer(end.id, end.name, CommandState.UNKNOWN, "storage")
    return Answer(end.id, end.name, end.state, end.code, end.out)
