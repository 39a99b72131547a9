"""Leaves each change by the API in the audit trail, under the name of the key's owner and with the key's name."""

from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model

from central.api.models import ApiKey

_FLAGS = {"added": ADDITION, "changed": CHANGE, "replaced": CHANGE, "deleted": DELETION}


def note(key: ApiKey, thing: Model, what: str) -> None:
    """Note that the key's holder added, changed, replaced or deleted a thing; call it in the same transaction."""
    LogEntry.objects.create(
        user_id=key.owner_id,
        content_type=ContentType.objects.get_for_model(thing),
        object_id=str(thing.pk),
        object_repr=str(thing)[:200],
        action_flag=_FLAGS[what],
        change_message=f"{what} with the API key {key}",
    )
