"""Letting somebody in once more although they are inside by the record: staff saw that they are not."""

from uuid import UUID

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction

from central.presence.models import Whereabouts
from central.presence.versions import locked, write


def forgive(site_id: UUID, member_id: UUID, *, by: User, now_ms: int) -> bool:
    """Let a member in once more, whatever anti-passback says; False where they are inside no zone. Written down."""
    with transaction.atomic():
        presence = locked(site_id)
        row = Whereabouts.objects.filter(site_id=site_id, member_id=member_id).exclude(zone="").first()
        if row is None:
            return False
        row.forgiven_ms = max(now_ms, row.since_ms)
        write(presence, [row])
        LogEntry.objects.create(
            user_id=by.pk,
            content_type_id=ContentType.objects.get_for_model(Whereabouts).pk,
            object_id=str(Whereabouts.objects.get(site_id=site_id, member_id=member_id).pk),
            object_repr=str(row)[:200],
            action_flag=CHANGE,
            change_message=f"Let in once more: {row.member} was in {row.zone} by the record",
        )
        return True
