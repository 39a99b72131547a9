"""Taking a device's right to connect, and giving it back."""

from functools import partial

from django.db import transaction

from central.devices.models import Device
from central.sync import hints


def set_state(device: Device, state: Device.State) -> None:
    """Set whether a device may connect; one that may not loses its connection, and writes nothing more at once."""
    with transaction.atomic():
        Device.objects.filter(pk=device.pk).update(state=state)
        if state == Device.State.REVOKED:
            transaction.on_commit(partial(hints.revoked, device.pk))
