"""Lets only the newest session of a device write."""

from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import F

from central.devices.models import Device
from wire.errors import DoorstileError

FLOOR_STEP: Final = 1 << 20
"""More sessions than a device can have had between a backup and its use."""


class FencedError(DoorstileError):
    """A session that is no longer the device's own tried to write; nothing of it was kept."""

    def __init__(self, device_id: UUID, session: int, current: int) -> None:
        super().__init__(f"session {session} of device {device_id} was superseded by {current}")
        self.current = current


class RevokedError(DoorstileError):
    """The device lost its right to write: its door locks itself once it is told."""


class MissingDeviceError(DoorstileError):
    """This database does not know the device, perhaps as it was restored: no reason to lock its door."""


def raise_floor() -> None:
    """Let every device's next session be newer than any that a database that was lost since a backup may have given."""
    Device.objects.update(session=F("session") + FLOOR_STEP)


def assert_current(device_id: UUID, session: int) -> None:
    """Hold the device's row to the end of the transaction; raise where it may not write.

    FencedError, RevokedError or MissingDeviceError says why.

    Call it first inside the transaction that writes: the row lock keeps a newer session waiting until the commit.
    SQLite has one writer at a time, which is the same.
    """
    assert transaction.get_connection().in_atomic_block, "fencing outside a transaction guards nothing"
    held = Device.objects.select_for_update().values_list("session", "state").filter(pk=device_id).first()
    if held is None:
        raise MissingDeviceError(f"device {device_id} does not exist; let it join again")
    current, state = held
    if state != Device.State.ACTIVE:
        raise RevokedError(f"device {device_id} is {state}; let it join again, or make it active")
    if current != session:
        raise FencedError(device_id, session, current)
