"""What a device is told of the directory: its site's credentials under the device's own key, in order of that key.

The version and the rows are read without a lock. A change raises the version in its own transaction, so rows read
between two equal looks at the version are exactly that version's.
"""

from functools import lru_cache
from typing import Final
from uuid import UUID

from central.devices.models import Device
from central.directory import rows as rows_of
from central.directory import versions
from wire.directory import directory_digest
from wire.errors import DoorstileError
from wire.messages import DirectoryRef, DirectoryRow

_READ_TRIES: Final = 5
_DEVICES_IN_MEMORY: Final = 4
_DIGESTS_IN_MEMORY: Final = 4096


class DirectoryBusyError(DoorstileError):
    """The directory changed each time it was read."""


class _ChangedError(Exception):
    """The version moved on while its rows were read."""


def current(device_id: UUID) -> DirectoryRef:
    """Return which directory the device should have; costs two look-ups while nothing changed."""
    for _ in range(_READ_TRIES):
        site_id, epoch, ver = _version(device_id)
        try:
            return DirectoryRef(epoch, ver, _digest(device_id, site_id, epoch, ver))
        except _ChangedError:
            continue
    raise _busy(device_id)


def rows(device_id: UUID) -> list[DirectoryRow]:
    """Return the rows of the version in force, in order of `key`; the list is the caller's own."""
    for _ in range(_READ_TRIES):
        try:
            return list(_rows(device_id, *_version(device_id)))
        except _ChangedError:
            continue
    raise _busy(device_id)


def _busy(device_id: UUID) -> DirectoryBusyError:
    return DirectoryBusyError(f"the directory for device {device_id} changed {_READ_TRIES} times in a row; try again")


def _version(device_id: UUID) -> tuple[UUID, str, int]:
    site_id = Device.objects.values_list("door__site_id", flat=True).get(pk=device_id)
    version = versions.of_site(site_id)
    return site_id, version.epoch, version.ver


@lru_cache(maxsize=_DIGESTS_IN_MEMORY)
def _digest(device_id: UUID, site_id: UUID, epoch: str, ver: int) -> str:
    return directory_digest(_rows(device_id, site_id, epoch, ver))


@lru_cache(maxsize=_DEVICES_IN_MEMORY)
def _rows(device_id: UUID, site_id: UUID, epoch: str, ver: int) -> tuple[DirectoryRow, ...]:
    key = Device.objects.get(pk=device_id).credential_key
    found = sorted(rows_of.of_site(site_id, key), key=lambda row: row.key)
    if _version(device_id) != (site_id, epoch, ver):
        raise _ChangedError
    return tuple(found)
