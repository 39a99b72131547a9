"""What central holds already: compared with what is sent again, and corrected by later knowledge of time."""

from collections.abc import Sequence
from itertools import islice
from uuid import UUID

from django.db.models import F, Value
from django.db.models.functions import Greatest, Least

from central.checkins import movements
from central.checkins.admission import claimed_digest
from central.checkins.alerts import raise_alert
from central.checkins.applying import Place
from central.checkins.clock import LATEST_MS, Anchor
from central.checkins.models import Alert, DeadLetter, Event
from central.checkins.movements import Fact
from central.checkins.visits import EventKey
from central.devices.models import Site
from wire.events import read_body, read_event
from wire.messages import Rejection
from wire.vocabulary import ClockQuality, EventKind, RejectCode

_CORRECTED_AT_ONCE = 500


def compare(place: Place, first: int, raws: Sequence[bytes]) -> list[Rejection]:
    """Compare events that central holds with what the device sent again; equal ones are ignored.

    Return the rejections among them: those of the first time, and `digest_conflict` where the device sent something
    else under the same number, which also raises an alert. What is held stays, and so does its place in the chain.
    """
    if not raws:
        return []
    last = first + len(raws) - 1
    events = Event.objects.filter(run_id=place.run_id, n__range=(first, last)).values_list("n", "digest")
    digests = dict(events)
    letters = {letter.n: letter for letter in DeadLetter.objects.filter(run_id=place.run_id, n__range=(first, last))}
    rejections = []
    for n, raw in enumerate(raws, first):
        sent = claimed_digest(raw).hex()
        letter = letters.get(n)
        held = digests.get(n) or (letter.digest if letter else None)
        if held is not None and held != sent:
            rejections.append(_conflict(place, n, held, sent))
        elif letter is not None and letter.state == DeadLetter.State.WAITING:
            rejections.append(Rejection(n, RejectCode(letter.code), letter.detail))
    return rejections


def correct(site: Site, device_id: UUID, boot: str, anchor: Anchor) -> None:
    """Give the events of a boot the time that its best anchor says, and derive what follows from them anew."""
    events = Event.objects.filter(run__device_id=device_id, boot=boot).exclude(quality=ClockQuality.SYNCED.value)
    shift_ms = anchor.wall_ms - anchor.mono_ms
    events.update(corrected_ms=Greatest(Value(0), Least(Value(LATEST_MS), F("mono_ms") + Value(shift_ms))))
    rows = events.filter(kind__in=(EventKind.DECISION.value, EventKind.PASSAGE.value)).order_by("pk")
    told = rows.values_list("run__run", "n", "corrected_ms", "member", "text").iterator(chunk_size=_CORRECTED_AT_ONCE)
    while part := list(islice(told, _CORRECTED_AT_ONCE)):
        facts = (
            _fact(EventKey(device_id.hex, run, n), corrected_ms, member, text)
            for run, n, corrected_ms, member, text in part
        )
        movements.apply(site, [fact for fact in facts if fact is not None])


def _conflict(place: Place, n: int, held: str, sent: str) -> Rejection:
    detail = f"run {place.run}: event {n} is held with digest {held[:16]}…, sent again with {sent[:16]}…"
    raise_alert(place.device_id, Alert.Kind.DIGEST_CONFLICT, f"{place.run}/{n}/{sent[:16]}", detail)
    return Rejection(n, RejectCode.DIGEST_CONFLICT, "another event is held under this number")


def _fact(key: EventKey, at_ms: int, member: UUID | None, text: str) -> Fact | None:
    return movements.fact_of(key, at_ms, read_body(read_event(text.encode())), member.hex if member else None)
