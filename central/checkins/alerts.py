"""Findings about a device's record, for staff. The same finding is kept once."""

from uuid import UUID

from central.checkins.models import Alert

_DETAIL_CHARS = 500


def raise_alert(device_id: UUID, kind: Alert.Kind, key: str, detail: str) -> None:
    """Keep a finding; `key` tells it from others of its kind, so that a repetition adds nothing."""
    Alert.objects.get_or_create(
        device_id=device_id, kind=kind, key=key[:120], defaults={"detail": detail[:_DETAIL_CHARS]}
    )
