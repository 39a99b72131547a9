"""Commands on their way to a device. Pure. None goes out later than its life allows."""

from central.sync.exchange import Due, Effects, ExpireCommand, MarkSent, Now, Send
from wire.messages import Command


def ordered(commands: tuple[Due, ...], now: Now) -> Effects:
    """Return what to do about commands that wait: mark those in time as sent, end the others."""
    return tuple(
        MarkSent(command) if _age_ms(command, now) < command.ttl_ms else ExpireCommand(command.id)
        for command in commands
    )


def sent(command: Due, now: Now) -> Effects:
    """Return the message, with the command's age at this moment; none where marking it took too long."""
    age_ms = _age_ms(command, now)
    if age_ms >= command.ttl_ms:
        return (ExpireCommand(command.id),)
    message = Command(
        id=command.id,
        name=command.name,
        mode=command.mode,
        ttl_ms=command.ttl_ms,
        age_ms=age_ms,
        server_ms=now.wall_ms,
        args=command.args,
    )
    return (Send(message),)


def _age_ms(command: Due, now: Now) -> int:
    return max(0, now.wall_ms - command.created_ms)
