"""Dead letters tried again: after an update of central that knows more kinds, or once what was wrong is mended."""

from django.db import transaction
from django.db.models import F

from central.checkins.admission import Refused, admit
from central.checkins.applying import apply, place_of
from central.checkins.models import DeadLetter


def retry(letter_id: int) -> bool:
    """Apply a dead letter as if it came now, at the place and time it always had; False where it still cannot be.

    The chain is not touched: it went on over the event when that was acknowledged.
    """
    with transaction.atomic(durable=True):
        letter = DeadLetter.objects.select_for_update(of=("self",)).select_related("run").get(pk=letter_id)
        if letter.state != DeadLetter.State.WAITING:
            return True
        item = admit(letter.n, bytes(letter.raw))
        DeadLetter.objects.filter(pk=letter.pk).update(retries=F("retries") + 1)
        if isinstance(item, Refused):
            DeadLetter.objects.filter(pk=letter.pk).update(code=item.code.value, detail=item.detail)
            return False
        place = place_of(letter.run.device_id, letter.run.run)
        assert place is not None, "a dead letter belongs to a run"
        apply(place, [item])
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
