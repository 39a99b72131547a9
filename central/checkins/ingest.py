"""Takes in what a device sends, effectively exactly once: events, effects and cursor are one transaction.

What central holds of a run is always a prefix: events 1 to `upto` are applied, rejected or declared lost. The text is
verified and kept byte for byte. A bad event becomes a dead letter and blocks nothing behind it.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Greatest

from central.checkins import bulk, history
from central.checkins.admission import MOST, NAME_CHARS, Admitted, Refused, admit
from central.checkins.alerts import raise_alert
from central.checkins.applying import Place, anchors_of, apply, lock_site, place_of
from central.checkins.clock import LATEST_MS
from central.checkins.models import Alert, ClockAnchor, DeadLetter, Loss
from central.devices.fencing import assert_current
from central.devices.models import Device
from central.presence.following import again
from wire import chain, messages
from wire.errors import DoorstileError, RemoteProtocolError
from wire.messages import Rejection
from wire.vocabulary import ErrorCode
from wire.window import Gap, ReceiveWindow

_LETTERS: Final = bulk.Table(
    "checkins_deadletter",
    {
        "run_id": "bigint", "n": "bigint", "digest": "text", "code": "text", "detail": "text", "raw": "bytea",
        "state": "text", "received_ms": "bigint", "retries": "integer",
    },
    unique=("run_id", "n"),
)  # fmt: skip


_ADVANCE: Final = "UPDATE checkins_run SET upto = %s, head = %s, last_event_ms = %s WHERE id = %s"


class GapError(DoorstileError):
    """Events are missing before what was sent: number `expect` comes next."""

    def __init__(self, run: str, first: int, expect: int) -> None:
        super().__init__(f"run {run}: got event {first}, number {expect} comes next; send from there")
        self.expect = expect


class UnknownRunError(DoorstileError):
    """Events of a run that no `hello` has named."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What central holds of the run now, and what became of the batch; `head` is h(upto)."""

    upto: int
    head: bytes
    rejections: list[Rejection]
    duplicates: int
    fresh: int


def ingest_events(device_id: UUID, session: int, run: str, first: int, raws: list[bytes]) -> Ingested:
    """Take in a batch: `raws` are the elements of an `events` frame, byte for byte, from number `first` on.

    Raise FencedError or RevokedError where the session may not write, UnknownRunError, or GapError; then nothing is
    kept. Once it returns, the outcome is committed.
    """
    with transaction.atomic(durable=True):
        place = _enter(device_id, session, run)
        window = ReceiveWindow(place.upto)
        placed = window.place(first, len(raws))
        if first < 1 or isinstance(placed, Gap):
            raise GapError(run, first, window.expect)
        held = history.compare(place, first, raws[: placed.skip])
        fresh = [admit(first + placed.skip + i, raw) for i, raw in enumerate(raws[placed.skip :])]
        if fresh:
            _take_in(place, fresh)
        rejections = held + [Rejection(item.n, item.code, item.detail) for item in fresh if isinstance(item, Refused)]
        return Ingested(place.upto, place.head, rejections, placed.skip, len(fresh))


def ingest_tomb(device_id: UUID, session: int, tomb: messages.Tomb) -> Ingested:
    """Take in a declared loss; raise as `ingest_events` does, or RemoteProtocolError.

    A range that is held already changes nothing. Without a head the chain goes on from where it stood, over the gap,
    and an alert says so.
    """
    if not 1 <= tomb.first <= tomb.to <= MOST:
        raise RemoteProtocolError(ErrorCode.MALFORMED, f"a loss from {tomb.first} to {tomb.to} cannot be")
    with transaction.atomic(durable=True):
        place = _enter(device_id, session, tomb.run)
        first, fresh = place.upto + 1, max(0, tomb.to - place.upto)
        if tomb.first > first:
            raise GapError(tomb.run, tomb.first, first)
        if fresh:
            _bury(place, first, tomb)
        return Ingested(place.upto, place.head, [], tomb.to - tomb.first + 1 - fresh, fresh)


def ingest_anchor(device_id: UUID, session: int, anchor: messages.Anchor) -> None:
    """Take in what the clock of a boot truly read; corrects that boot's events and the visits that follow from them.

    Raise FencedError or RevokedError where the session may not write, RemoteProtocolError where the figures cannot be.
    """
    _check_anchor(anchor)
    with transaction.atomic(durable=True):
        assert_current(device_id, session)
        device = Device.objects.select_related("door__site").get(pk=device_id)
        _, is_new = ClockAnchor.objects.get_or_create(
            device_id=device_id, boot=anchor.boot, mono_ms=anchor.mono_ms, wall_ms=anchor.wall_ms, err_ms=anchor.err_ms
        )
        if is_new:
            site = lock_site(device.door.site)
            history.correct(site, device_id, anchor.boot, anchors_of(device_id, [anchor.boot])[anchor.boot])
            again(device_id, anchor.boot)


def _check_anchor(anchor: messages.Anchor) -> None:
    figures = (anchor.mono_ms, anchor.err_ms, anchor.wall_ms)
    if not all(0 <= figure <= LATEST_MS for figure in figures) or len(anchor.boot) > NAME_CHARS:
        raise RemoteProtocolError(ErrorCode.MALFORMED, "an anchor's boot is too long or a time is no date")


def _enter(device_id: UUID, session: int, run: str) -> Place:
    assert_current(device_id, session)
    place = place_of(device_id, run)
    if place is None:
        raise UnknownRunError(f"run {run[:40]!a} of device {device_id} is not known; name it in hello first")
    return place


def _take_in(place: Place, fresh: list[Admitted | Refused]) -> None:
    admitted = [item for item in fresh if isinstance(item, Admitted)]
    apply(place, admitted)
    bulk.write(_LETTERS, [_letter_row(place, item) for item in fresh if isinstance(item, Refused)])
    head = place.head
    for item in fresh:
        head = chain.link(head, item.digest)
    _advance(place, fresh[-1].n, head)
    _count_down(place, len(fresh))


def _count_down(place: Place, came: int) -> None:
    """So many wait no longer at the device; what has happened there meanwhile it says with its next heartbeat."""
    waiting = Device.objects.filter(pk=place.device_id, backlog__gt=0)
    waiting.update(backlog=Greatest(F("backlog") - came, 0))


def _advance(place: Place, upto: int, head: bytes) -> None:
    place.upto, place.head = upto, head
    with connection.cursor() as cursor:
        cursor.execute(_ADVANCE, [upto, head.hex(), place.last_event_ms, place.run_id])


def _bury(place: Place, first: int, tomb: messages.Tomb) -> None:
    run = place.run
    Loss.objects.create(run_id=place.run_id, first=first, to=tomb.to, why=tomb.why.value, received_ms=place.received_ms)
    lost = f"run {run}: events {first} to {tomb.to} are lost ({tomb.why.value})"
    raise_alert(place.device_id, Alert.Kind.LOST_RANGE, f"{run}/{first}", lost)
    head = _head(tomb.head)
    if head is None:
        head = place.head
        detail = f"{lost}; what follows cannot be proved to follow"
        raise_alert(place.device_id, Alert.Kind.CHAIN_ANCHORED_ANEW, f"{run}/{tomb.to}", detail)
    _advance(place, tomb.to, head)
    _count_down(place, tomb.to - first + 1)


def _head(claimed: str | None) -> bytes | None:
    try:
        head = bytes.fromhex(claimed or "")
    except ValueError:
        return None
    return head if len(head) == chain.DIGEST_BYTES else None


def _letter_row(place: Place, item: Refused) -> tuple[object, ...]:
    return (
        place.run_id, item.n, item.digest.hex(), item.code.value, item.detail, item.raw, DeadLetter.State.WAITING.value,
        place.received_ms, 0,
    )  # fmt: skip
