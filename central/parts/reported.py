"""Forms that drop bits as devices report them; what staff entered for a door outweighs it."""

from uuid import UUID

from django.db import transaction

from central.devices.models import Device
from central.parts.models import DoorForm, spellings


def settle(door_id: UUID) -> None:
    """Let a door have the forms that its active devices report, or, where staff entered some, those alone."""
    with transaction.atomic():
        entered = DoorForm.objects.filter(door_id=door_id)
        known = {name for name, _ in spellings()}
        wanted: set[str] = set()
        if not entered.filter(is_reported=False).exists():
            reports = Device.objects.filter(door_id=door_id, state=Device.State.ACTIVE).values_list("forms", flat=True)
            wanted = {form for forms in reports for form in forms} & known
        for gone in entered.filter(is_reported=True).exclude(spelling__in=wanted):
            gone.delete()
        for spelling in sorted(wanted - set(entered.values_list("spelling", flat=True))):
            DoorForm.objects.create(door_id=door_id, spelling=spelling, is_reported=True)
