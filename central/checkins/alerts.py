"""Findings about a device's record, for staff. The same finding is kept once."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from central.checkins.models import Alert
from central.devices.models import Site

_DETAIL_CHARS = 500
_SHOWN = 3


def raise_alert(device_id: UUID, kind: Alert.Kind, key: str, detail: str) -> None:
    """Keep a finding; `key` tells it from others of its kind, so that a repetition adds nothing."""
    Alert.objects.get_or_create(
        device_id=device_id, kind=kind, key=key[:120], defaults={"detail": detail[:_DETAIL_CHARS]}
    )


def waiting(sites: Iterable[Site]) -> dict[str, Any]:
    """Return how many findings at these sites nobody acknowledged yet, and the newest of them in words."""
    found = Alert.objects.filter(device__door__site__in=sites, acknowledged_at=None)
    newest = found.select_related("device__door").order_by("-created_at", "-pk")[:_SHOWN]
    return {
        "count": found.count(),
        "newest": [
            {"id": alert.pk, "door": alert.device.door.name, "what": alert.get_kind_display(), "detail": alert.detail}
            for alert in newest
        ],
    }
