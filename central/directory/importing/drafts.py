"""Files that wait between the check and the word to apply them: an hour at most, for the one who uploaded them."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from central.devices.sealing import seal, unseal
from central.directory.models import ImportDraft

LIFE: Final = timedelta(hours=1)
_SEALED_AS: Final = "import"
_NAME_CHARS: Final = 200


def keep(owner_id: int, name: str, data: bytes, now: datetime) -> ImportDraft:
    """Keep a file; whatever else this person left lying, and what is too old, goes."""
    ImportDraft.objects.filter(created_at__lt=now - LIFE).delete()
    ImportDraft.objects.filter(owner_id=owner_id).delete()
    return ImportDraft.objects.create(owner_id=owner_id, name=name[:_NAME_CHARS], sealed=seal(data, _SEALED_AS))


def take(owner_id: int, draft_id: UUID, now: datetime) -> tuple[str, bytes] | None:
    """Return name and bytes of a file and forget it; None where it is too old, taken, or somebody else's."""
    draft = ImportDraft.objects.filter(pk=draft_id, owner_id=owner_id, created_at__gte=now - LIFE).first()
    if draft is None:
        return None
    data = unseal(bytes(draft.sealed), _SEALED_AS)
    is_ours, _ = ImportDraft.objects.filter(pk=draft_id).delete()
    return (draft.name, data) if is_ours else None
