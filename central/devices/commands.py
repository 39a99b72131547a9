"""Commands to devices: durable rows with an expiry, never queued for a device that is away.

Every command ends: done, failed, expired, refused, or unknown where its result never came.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import DurationField, ExpressionWrapper, F, Q, QuerySet, Value

from central.devices.models import Command, Device
from central.sync import hints
from wire.vocabulary import CommandMode, CommandName, CommandState

TTL_MS: Final = {CommandName.UNLOCK: 10_000}
MODE: Final = {CommandName.UNLOCK: CommandMode.ONCE}
RESULT_WITHIN: Final = timedelta(seconds=60)
"""How long after its expiry a command may wait for word from the device before it counts as unknown."""
MAX_DUE: Final = 16
_MAX_OUT: Final = 500
_MAX_CODE: Final = 64


def issue(
    device: Device, name: CommandName, *, actor: str, reason: str, now: datetime, args: dict[str, str] | None = None
) -> Command:
    """Create a command for a device; one that is not connected refuses it at once, as it must not act later."""
    reachable = device.state == Device.State.ACTIVE and device.is_connected(now)
    with transaction.atomic():
        command = Command.objects.create(
            device=device,
            name=name.value,
            args=args or {},
            mode=MODE[name].value,
            ttl_ms=TTL_MS[name],
            actor=actor,
            reason=reason,
            created_at=now,
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
    """End a command that was never sent."""
    mine = Command.objects.filter(pk=command_id, device_id=device_id, state=Command.State.PENDING)
    mine.update(state=Command.State.EXPIRED, ended_at=now, code="not_sent_in_time")


def record_reply(
    device_id: UUID, command_id: UUID, state: CommandState, now: datetime, *, code: str = "", out: str = ""
) -> bool:
    """Keep what the device said of a command; False where it has no such command. A known ending stays as it is.

    Of the endings only `unknown` may change: the device speaks late, but it knows better.
    """
    mine = Command.objects.filter(pk=command_id, device_id=device_id)
    changeable = mine.filter(Q(state__in=Command.OPEN) | Q(state=Command.State.UNKNOWN))
    match state:
        case CommandState.QUEUED:
            mine.filter(state__in=(Command.State.PENDING, Command.State.SENT)).update(
                state=Command.State.QUEUED, received_at=now
            )
        case CommandState.DUPLICATE:
            pass
        case _:
            changeable.update(state=Command.State(state.value), ended_at=now, code=_bare(code, _MAX_CODE),
                              out=_bare(out, _MAX_OUT))  # fmt: skip
    return mine.exists()


def _bare(text: str, most: int) -> str:
    return text.replace("\0", "")[:most]


def sweep(now: datetime) -> int:
    """End what can no longer end by itself; return how many commands that were."""
    expired = _older(now, timedelta()).filter(state=Command.State.PENDING)
    silent = _older(now, RESULT_WITHIN).filter(state__in=(Command.State.SENT, Command.State.QUEUED))
    ended = expired.update(state=Command.State.EXPIRED, ended_at=now, code="not_sent_in_time")
    return ended + silent.update(state=Command.State.UNKNOWN, ended_at=now, code="no_result")


def _older(now: datetime, grace: timedelta) -> QuerySet[Command]:
    life: ExpressionWrapper[timedelta] = ExpressionWrapper(
        F("ttl_ms") * Value(timedelta(milliseconds=1), output_field=DurationField()), output_field=DurationField()
    )
    return Command.objects.filter(created_at__lt=now - grace - life)


def open_commands(device_ids: Iterable[UUID]) -> QuerySet[Command]:
    """Return the commands of these devices that have not ended."""
    return Command.objects.filter(device_id__in=list(device_ids), state__in=Command.OPEN)
