"""Commands on their way to a device. Pure. None goes out later than its life allows.

One that was made after now cannot be dated: our clock was set back since, and nobody knows how old it is.
"""

from typing import Final

from central.sync.exchange import Due, Effects, ExpireCommand, MarkSent, Now, Send
from wire.messages import Command

AHEAD_MS: Final = 5_000
"""How far the clock of the host that made a command may be ahead of ours."""


def ordered(commands: tuple[Due, ...], now: Now) -> Effects:
    """Return what to do about commands that wait: mark those in time as sent, end the others."""
    return tuple(MarkSent(command) if _is_timely(command, now) else ExpireCommand(command.id) for command in commands)


def sent(command: Due, now: Now) -> Effects:
    """Return the message, with the command's age at this moment; none where marking it took too long."""
    if not _is_timely(command, now):
        return (ExpireCommand(command.id),)
    message = Command(
        id=command.id,
        name=command.name,
        mode=command.mode,
        ttl_ms=command.ttl_ms,
        age_ms=max(0, now.wall_ms - command.created_ms),
        server_ms=now.wall_ms,
        args=command.args,
    )
    return (Send(message),)


def _is_timely(command: Due, now: Now) -> bool:
    return -AHEAD_MS <= now.wall_ms - command.created_ms < command.ttl_ms
