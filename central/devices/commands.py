"""Commands to devices: durable rows with an expiry, never queued for a device that is away.

Every command ends: done, failed, expired, refused, or unknown where its result never came.
"""

from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from central.devices.boots import boot_id, mono_ms
from central.devices.ids import uuid7
from central.devices.models import Command, Device
from central.sync import hints
from central.sync.orders import AHEAD_MS
from wire.vocabulary import CommandMode, CommandName, CommandState

TTL_MS: Final = {
    CommandName.UNLOCK: 10_000,
    CommandName.HOLD: 10_000,
    CommandName.LOCK: 60_000,
    CommandName.LOCKDOWN: 60_000,
    CommandName.RELEASE: 30_000,
    CommandName.IDENTIFY: 10_000,
    CommandName.CAPTURE: 30_000,
    CommandName.ROTATE_KEY: 60_000,
}
"""How long a command may take to begin: what lets people in has little time, what keeps them out has more."""
MODE: Final = {
    CommandName.UNLOCK: CommandMode.ONCE,
    CommandName.HOLD: CommandMode.ONCE,
    CommandName.LOCK: CommandMode.IDEMPOTENT,
    CommandName.LOCKDOWN: CommandMode.IDEMPOTENT,
    CommandName.RELEASE: CommandMode.ONCE,
    CommandName.IDENTIFY: CommandMode.IDEMPOTENT,
    CommandName.CAPTURE: CommandMode.ONCE,
    CommandName.ROTATE_KEY: CommandMode.IDEMPOTENT,
}
RESULT_WITHIN: Final = timedelta(seconds=60)
"""How long after its expiry a command may wait for word from the device before it counts as unknown."""
MAX_DUE: Final = 16
_MAX_OUT: Final = 500
_MAX_CODE: Final = 64


def args_of(*, level: int = 0, for_s: int = 0, what: str = "") -> dict[str, str]:
    """Return the arguments as a device reads them; what is not said is left to the device."""
    said = {"level": str(level or ""), "for_s": str(for_s or ""), "what": what}
    return {name: value for name, value in said.items() if value}


def issue(
    device: Device, name: CommandName, *, actor: str, reason: str, now: datetime,
    args: dict[str, str] | None = None, id: UUID | None = None,
) -> Command:  # fmt: skip
    """Create a command for a device; one that is not connected refuses it at once, as it must not act later.

    The device is told who asked, so that its own record says so too. `id` is for arguments that are bound to it.
    """
    reachable = device.state == Device.State.ACTIVE and device.is_connected(now)
    with transaction.atomic():
        command = Command.objects.create(
            id=id or uuid7(),
            device=device,
            name=name.value,
            args={"actor": actor, **(args or {})},
            mode=MODE[name].value,
            ttl_ms=TTL_MS[name],
            actor=actor,
            reason=reason,
            created_at=now,
            boot=boot_id(),
            mono_ms=mono_ms(),
            expires_at=now + timedelta(milliseconds=TTL_MS[name]),
            state=Command.State.PENDING if reachable else Command.State.REFUSED,
            ended_at=None if reachable else now,
            code="" if reachable else "device_offline",
        )
        if reachable:
            transaction.on_commit(partial(hints.command_due, device.id))
    return command


def due(device_id: UUID) -> list[Command]:
    """Return what is to be sent, oldest first; whether it is still in time is decided when it is sent."""
    pending = Command.objects.filter(device_id=device_id, state=Command.State.PENDING)
    return list(pending.order_by("created_at")[:MAX_DUE])


def mark_sent(device_id: UUID, command_id: UUID, now: datetime) -> bool:
    """Note that a command goes out now; False where it ended meanwhile and must not."""
    mine = Command.objects.filter(pk=command_id, device_id=device_id, state=Command.State.PENDING)
    return mine.update(state=Command.State.SENT, sent_at=now) == 1


def mark_expired(device_id: UUID, command_id: UUID, now: datetime) -> None:
    """End a command that was not sent; it may have been marked for it already."""
    unsent = (Command.State.PENDING, Command.State.SENT)
    mine = Command.objects.filter(pk=command_id, device_id=device_id, state__in=unsent)
    mine.update(state=Command.State.EXPIRED, ended_at=now, code="not_sent_in_time")


def record_reply(
    device_id: UUID, command_id: UUID, state: CommandState, now: datetime, *, code: str = "", out: str = ""
) -> bool:
    """Keep what the device said of a command; False where it has no such command.

    An ending that the device reported stays; one that central assumed gives way, because the device knows better.
    """
    mine = Command.objects.filter(pk=command_id, device_id=device_id)
    changeable = mine.filter(state__in=(*Command.OPEN, Command.State.UNKNOWN, Command.State.EXPIRED))
    match state:
        case CommandState.QUEUED:
            mine.filter(state__in=(Command.State.PENDING, Command.State.SENT)).update(
                state=Command.State.QUEUED, received_at=now
            )
        case CommandState.DUPLICATE:
            pass
        case _:
            ended = Command.State(state.value)
            changeable.update(state=ended, ended_at=now, code=_bare(code, _MAX_CODE), out=_bare(out, _MAX_OUT))
    return mine.exists()


def _bare(text: str, most: int) -> str:
    return text.replace("\0", "")[:most]


def void(now: datetime) -> int:
    """End every command that is open in a backup: what came of it is not known here; return how many that were."""
    is_open = Command.objects.filter(state__in=Command.OPEN)
    return is_open.update(state=Command.State.UNKNOWN, ended_at=now, code="restored")


def outlived(now: datetime) -> int:
    """At a server's start, end what acts once and was made in another boot; return how many commands that were.

    How long ago that was is known by the wall clock alone, which a power cut may have set back. Another host may have
    made one a moment ago: whoever asked is told, and asks again. What keeps people out may come late and stays.
    """
    acts_once = Command.objects.filter(mode=CommandMode.ONCE.value).exclude(boot=boot_id())
    unsent, sent = acts_once.filter(state=Command.State.PENDING), acts_once.filter(state=Command.State.SENT)
    ended = unsent.update(state=Command.State.EXPIRED, ended_at=now, code="not_sent_in_time")
    return ended + sent.update(state=Command.State.UNKNOWN, ended_at=now, code="no_result")


def sweep(now: datetime) -> int:
    """End what can no longer end by itself; return how many commands that were.

    Those from after now are among them: the clock was set back, and would let them live that much longer.
    """
    is_over = Q(expires_at__lt=now) | Q(created_at__gt=now + timedelta(milliseconds=AHEAD_MS))
    expired = Command.objects.filter(is_over, state=Command.State.PENDING)
    waiting = (Command.State.SENT, Command.State.QUEUED)
    silent = Command.objects.filter(state__in=waiting, expires_at__lt=now - RESULT_WITHIN)
    ended = expired.update(state=Command.State.EXPIRED, ended_at=now, code="not_sent_in_time")
    return ended + silent.update(state=Command.State.UNKNOWN, ended_at=now, code="no_result")
