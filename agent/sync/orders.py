"""Commands of central on the device: what runs, what has run, what central has not confirmed. Pure.

A command id is run at most once. Its result is told again on every connection until central confirms it.
"""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct, field
from msgspec.structs import replace

from agent.sync.exchange import FINAL_STATES, Effects, ForgetCommand, Report, RunCommand, Send, Trouble
from agent.sync.pulse import Pulse
from wire.messages import Command, CommandAck, CommandRef, CommandResult
from wire.vocabulary import CommandName, CommandState

MAX_UNCONFIRMED = 256
MAX_CONFIRMED = 256
_NAMES = frozenset(CommandName)


class Orders(Struct, frozen=True):
    """`known` maps the ids of commands that central has not confirmed to their result, None while one runs."""

    known: Mapping[str, CommandResult | None] = field(default_factory=lambda: MappingProxyType({}))
    confirmed: tuple[str, ...] = ()

    @staticmethod
    def remembered(results: tuple[CommandResult, ...]) -> "Orders":
        """Begin with the results that the journal holds."""
        return Orders(known=MappingProxyType({result.id: result for result in results}))

    @property
    def refs(self) -> list[CommandRef]:
        """What `hello` says of them."""
        return [
            CommandRef(id, CommandState.QUEUED if result is None else result.state) for id, result in self.known.items()
        ][:MAX_UNCONFIRMED]

    def repeated(self) -> Effects:
        """Tell every unconfirmed result again."""
        return tuple(Send(result) for result in self.known.values() if result is not None)

    def ordered(self, command: Command, pulse: Pulse, now_ms: int) -> tuple["Orders", Effects]:
        """Central wants something done."""
        if command.id in self.known or command.id in self.confirmed:
            result = self.known.get(command.id)
            again: Effects = () if result is None else (Send(result),)
            return self, (_ack(command, CommandState.DUPLICATE), *again)
        if command.name not in _NAMES or len(self.known) >= MAX_UNCONFIRMED:
            why = "too many at once" if command.name in _NAMES else f"no such command: {command.name[:40]!a}"
            return self, (_ack(command, CommandState.REFUSED), Report(Trouble.COMMAND_REFUSED, why))
        begin_before_ms = pulse.begin_before_ms(command, now_ms)
        if begin_before_ms is None:
            detail = f"{command.name} {command.id} came too late or cannot be dated; it was not run"
            return self, (_ack(command, CommandState.EXPIRED), Report(Trouble.COMMAND_EXPIRED, detail))
        orders = replace(self, known=MappingProxyType({**self.known, command.id: None}))
        return orders, (_ack(command, CommandState.QUEUED), RunCommand(command, begin_before_ms))

    def finished(self, result: CommandResult) -> "Orders":
        """A command ended."""
        assert result.state in FINAL_STATES, result
        return replace(self, known=MappingProxyType({**self.known, result.id: result}))

    def done(self, id_: str) -> tuple["Orders", Effects]:
        """Central recorded the result of a command."""
        if self.known.get(id_) is None:
            return self, ()
        known = {other: result for other, result in self.known.items() if other != id_}
        confirmed = (*self.confirmed, id_)[-MAX_CONFIRMED:]
        return Orders(known=MappingProxyType(known), confirmed=confirmed), (ForgetCommand(id_),)


def _ack(command: Command, state: CommandState) -> Send:
    return Send(CommandAck(id=command.id, state=state))
