"""Which key a device's directory was under, and which keys its events may be under."""

from uuid import UUID

from central.devices.models import Device
from central.rotation.models import KeyRotation


def keys_of(device_id: UUID) -> tuple[bytes, ...]:
    """Return every key that the device ever had, newest first: its events may come late, or be old."""
    current = Device.objects.get(pk=device_id).credential_key
    found = [current]
    for rotation in KeyRotation.objects.filter(device_id=device_id):
        found += [key for key in (rotation.new_key, rotation.old_key) if key not in found]
    return tuple(found)


def key_at(device_id: UUID, epoch: str, ver: int) -> bytes:
    """Return the key that the device's directory was under at a version."""
    changed = KeyRotation.objects.filter(device_id=device_id, epoch=epoch, ver__gt=ver).order_by("ver").first()
    return Device.objects.get(pk=device_id).credential_key if changed is None else changed.old_key
