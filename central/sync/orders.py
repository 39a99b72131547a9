"""Commands on their way to a device. Pure. None goes out later than its life allows.

A command is as old as the older of two clocks says: the wall clock, and the monotonic one where it was made in this
boot. One that was made after now cannot be dated: a clock was set back since, and nobody knows how old it is.
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
        age_ms=max(0, *_ages_ms(command, now)),
        server_ms=now.wall_ms,
        args=command.args,
    )
    return (Send(message),)


def _is_timely(command: Due, now: Now) -> bool:
    return all(-AHEAD_MS <= age_ms < command.ttl_ms for age_ms in _ages_ms(command, now))


def _ages_ms(command: Due, now: Now) -> tuple[int, ...]:
    by_wall_ms = now.wall_ms - command.created_ms
    return (by_wall_ms,) if command.made_mono_ms is None else (by_wall_ms, now.mono_ms - command.made_mono_ms)
