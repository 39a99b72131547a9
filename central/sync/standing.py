"""What devices may have to hear of, as the database has it: asked about once a second, so each question is cheap.

On SQLite one pragma says whether anybody else wrote anything (sqlite.org/pragma.html#pragma_data_version); what was
written by the very connection that asks was announced in this process.
"""

import threading
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from central.devices.models import Command, Device
from central.directory.models import DirectoryVersion
from central.sync.switchboard import SiteVersions
from wire.presence import PresenceRef


@dataclass(frozen=True, slots=True)
class Standing:
    """Devices for which a command waits, devices that were revoked while connected, and the versions of each site."""

    due: frozenset[UUID]
    revoked: frozenset[UUID]
    sites: dict[UUID, SiteVersions]


class Reader:
    """Reads the standing where something may have changed. Any thread may ask; each has its own connection."""

    def __init__(self) -> None:
        self._seen = threading.local()

    def read(self) -> Standing | None:
        """Return the standing, or None where nobody wrote since this thread asked. Raises DatabaseError."""
        mark = _mark()
        if mark is not None and mark == getattr(self._seen, "mark", None):
            return None
        standing = _standing()
        # Only now: what could not be read is asked for again.
        self._seen.mark = mark
        return standing


def _mark() -> tuple[object, int] | None:
    """Return what stays the same until somebody else writes; None where there is no such thing."""
    if connection.vendor != "sqlite":
        return None
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA data_version")
        version = cursor.fetchone()[0]
    # Counted for each connection apart: the number of one that was replaced means nothing.
    return connection.connection, version


def _standing() -> Standing:
    due = Command.objects.filter(state=Command.State.PENDING).values_list("device_id", flat=True)
    # One that left is of no concern, so this stays short however many were revoked over the years.
    revoked = Device.objects.filter(state=Device.State.REVOKED, disconnected_at=None, connected_at__isnull=False)
    return Standing(frozenset(due), frozenset(revoked.values_list("pk", flat=True)), _versions())


def _versions() -> dict[UUID, SiteVersions]:
    rows = DirectoryVersion.objects.values_list("site_id", "epoch", "ver", "site__presence__ver")
    # A site without a row has presence of version 1.
    return {site: SiteVersions((epoch, ver), PresenceRef(epoch, known or 1)) for site, epoch, ver, known in rows}
