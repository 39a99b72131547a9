"""What a device is told of the directory: its site's credentials under the device's own key, in order of that key.

The version and the rows are read without a lock. A change raises the version in its own transaction, so rows read
between two equal looks at the version are exactly that version's.
"""

from datetime import datetime
from functools import lru_cache
from typing import Final
from uuid import UUID

from central.devices.models import Device
from central.devices.sealing import unseal
from central.directory import versions
from central.directory.models import SEALED_AS, Credential
from wire.credentials import credential_key
from wire.directory import directory_digest
from wire.errors import DoorstileError
from wire.messages import DirectoryRef, DirectoryRow
from wire.vocabulary import CredentialKind

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
    held = Credential.objects.filter(member__memberships__site_id=site_id).values_list(
        "kind", "sealed", "is_revoked", "member_id", "member__is_active", "member__valid_from", "member__valid_to"
    )
    found = sorted((_row(key, *values) for values in held.iterator(chunk_size=2000)), key=lambda row: row.key)
    if _version(device_id) != (site_id, epoch, ver):
        raise _ChangedError
    return tuple(found)


def _row(
    key: bytes,
    kind: str,
    sealed: bytes | memoryview,
    is_revoked: bool,
    member: UUID,
    is_active: bool,
    *valid: datetime | None,
) -> DirectoryRow:
    canonical = unseal(bytes(sealed), SEALED_AS)
    return DirectoryRow(
        key=credential_key(key, CredentialKind(kind), canonical),
        kind=CredentialKind(kind),
        member=str(member),
        is_active=is_active,
        is_revoked=is_revoked,
        valid_from_ms=_ms(valid[0]),
        valid_to_ms=_ms(valid[1]),
    )


def _ms(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1000)
