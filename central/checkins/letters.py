"""Dead letters tried again: after an update of central that knows more kinds, or once what was wrong is mended."""

import time

from django.db import transaction
from django.db.models import F

from central.checkins import ingest
from central.checkins.admission import Refused, admit
from central.checkins.models import DeadLetter, Run
from central.devices.models import Device


def retry(letter_id: int) -> bool:
    """Apply a dead letter as if it came now, at the place and time it always had; False where it still cannot be.

    The chain is not touched: it went on over the event when that was acknowledged.
    """
    with transaction.atomic(durable=True):
        letter = DeadLetter.objects.select_for_update().get(pk=letter_id)
        if letter.state != DeadLetter.State.WAITING:
            return True
        run = Run.objects.select_for_update().get(pk=letter.run_id)
        item = admit(letter.n, bytes(letter.raw))
        DeadLetter.objects.filter(pk=letter.pk).update(retries=F("retries") + 1)
        if isinstance(item, Refused):
            DeadLetter.objects.filter(pk=letter.pk).update(code=item.code.value, detail=item.detail)
            return False
        device = Device.objects.select_related("door__site").get(pk=run.device_id)
        ingest.apply(ingest.Context(run, device, time.time_ns() // 1_000_000), [item])
        DeadLetter.objects.filter(pk=letter.pk).update(state=DeadLetter.State.APPLIED)
        return True


def retry_all() -> tuple[int, int]:
    """Try all that wait, oldest first; return how many were applied and how many still wait."""
    applied = waiting = 0
    for letter_id in (
        DeadLetter.objects.filter(state=DeadLetter.State.WAITING).order_by("pk").values_list("pk", flat=True)
    ):
        if retry(letter_id):
            applied += 1
        else:
            waiting += 1
    return applied, waiting
