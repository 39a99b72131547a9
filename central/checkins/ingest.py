"""Takes in what a device sends, effectively exactly once: events, effects and cursor are one transaction.

What central holds of a run is always a prefix: events 1 to `upto` are applied, rejected or declared lost. The text is
verified and kept byte for byte. A bad event becomes a dead letter and blocks nothing behind it.
"""

import time
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import UUID

from django.db import connection, transaction

from central.checkins import bulk, feed, history, movements
from central.checkins.admission import MOST, NAME_CHARS, Admitted, Refused, admit
from central.checkins.alerts import raise_alert
from central.checkins.clock import LATEST_MS, Anchor, best, corrected_ms
from central.checkins.models import SHED_KIND, Alert, ClockAnchor, Loss, Run
from central.checkins.visits import EventKey
from central.devices.fencing import assert_current
from central.devices.models import Device, Site
from wire import chain, messages
from wire.errors import DoorstileError, RemoteProtocolError
from wire.messages import Rejection
from wire.vocabulary import ClockQuality, ErrorCode
from wire.window import Gap, ReceiveWindow

EVENTS: Final = bulk.Table(
    "checkins_event",
    {
        "run_id": "bigint", "n": "bigint", "kind": "text", "boot": "text", "mono_ms": "bigint", "wall_ms": "bigint",
        "quality": "text", "err_ms": "bigint", "corrected_ms": "bigint", "received_ms": "bigint", "digest": "text",
        "member": "uuid", "text": "text",
    },
    unique=("run_id", "n"),
)  # fmt: skip
_LETTERS: Final = bulk.Table(
    "checkins_deadletter",
    {
        "run_id": "bigint", "n": "bigint", "digest": "text", "code": "text", "detail": "text", "raw": "bytea",
        "state": "text", "received_ms": "bigint", "retries": "integer",
    },
    unique=("run_id", "n"),
)  # fmt: skip


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


@dataclass(frozen=True, slots=True)
class Context:
    """Where events belong: the run, its device, door and site, and when they arrived."""

    run: Run
    device: Device
    received_ms: int

    @property
    def site(self) -> Site:
        """The site of the device's door."""
        return self.device.door.site

    def key(self, n: int) -> EventKey:
        """Return the key of event `n`."""
        return EventKey(self.device.pk.hex, self.run.run, n)


def ingest_events(device_id: UUID, session: int, run: str, first: int, raws: list[bytes]) -> Ingested:
    """Take in a batch: `raws` are the elements of an `events` frame, byte for byte, from number `first` on.

    Raise FencedError or RevokedError where the session may not write, UnknownRunError, or GapError; then nothing is
    kept. Once it returns, the outcome is committed.
    """
    with transaction.atomic(durable=True):
        context = _enter(device_id, session, run)
        window = ReceiveWindow(context.run.upto)
        place = window.place(first, len(raws))
        if first < 1 or isinstance(place, Gap):
            raise GapError(run, first, window.expect)
        held = history.compare(context, first, raws[: place.skip])
        fresh = [admit(first + place.skip + i, raw) for i, raw in enumerate(raws[place.skip :])]
        if fresh:
            _take_in(context, fresh)
        rejections = held + [Rejection(item.n, item.code, item.detail) for item in fresh if isinstance(item, Refused)]
        head = bytes.fromhex(context.run.head)
        return Ingested(context.run.upto, head, rejections, place.skip, len(fresh))


def ingest_tomb(device_id: UUID, session: int, tomb: messages.Tomb) -> Ingested:
    """Take in a declared loss; raise as `ingest_events` does, or RemoteProtocolError.

    A range that is held already changes nothing. Without a head the chain goes on from where it stood, over the gap,
    and an alert says so.
    """
    if not 1 <= tomb.first <= tomb.to <= MOST:
        raise RemoteProtocolError(ErrorCode.MALFORMED, f"a loss from {tomb.first} to {tomb.to} cannot be")
    with transaction.atomic(durable=True):
        context = _enter(device_id, session, tomb.run)
        run = context.run
        if tomb.first > run.upto + 1:
            raise GapError(tomb.run, tomb.first, run.upto + 1)
        first, fresh = run.upto + 1, max(0, tomb.to - run.upto)
        if fresh:
            _bury(context, first, tomb)
        return Ingested(run.upto, bytes.fromhex(run.head), [], tomb.to - tomb.first + 1 - fresh, fresh)


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


def apply(context: Context, admitted: list[Admitted]) -> None:
    """Store events and let what follows from them follow; part of the caller's transaction."""
    # An event whose own clock was synchronised needs no anchor, and hardly any other ever comes.
    unsure = {item.event.boot for item in admitted if item.event and item.event.q is not ClockQuality.SYNCED}
    anchors = anchors_of(context.device.pk, list(unsure)) if unsure else {}
    timed = [(item, _time_ms(context, item, anchors)) for item in admitted]
    bulk.write(EVENTS, [_event_row(context, item, at_ms) for item, at_ms in timed])
    facts = [movements.fact_of(context.key(item.n), at_ms, item.body, item.member) for item, at_ms in timed]
    told = [fact for fact in facts if fact is not None]
    if told:
        movements.apply(lock_site(context.site), told)
    _announce(context, timed)


def lock_site(site: Site) -> Site:
    """Return a site, locked to the end of the transaction: two devices may tell of the same member at once.

    Where a database knows no row locks it has one writer at a time.
    """
    if not connection.features.has_select_for_update:
        return site
    return Site.objects.select_for_update(no_key=True).get(pk=site.pk)


def anchors_of(device_id: UUID, boots: list[str]) -> dict[str, Anchor]:
    """Return the anchor to go by for each boot that has one."""
    found: dict[str, list[Anchor]] = {}
    rows = ClockAnchor.objects.filter(device_id=device_id, boot__in=boots)
    for boot, err_ms, mono_ms, wall_ms in rows.values_list("boot", "err_ms", "mono_ms", "wall_ms"):
        found.setdefault(boot, []).append(Anchor(err_ms, mono_ms, wall_ms))
    return {boot: anchor for boot, of_boot in found.items() if (anchor := best(of_boot)) is not None}


def _check_anchor(anchor: messages.Anchor) -> None:
    figures = (anchor.mono_ms, anchor.err_ms, anchor.wall_ms)
    if not all(0 <= figure <= LATEST_MS for figure in figures) or len(anchor.boot) > NAME_CHARS:
        raise RemoteProtocolError(ErrorCode.MALFORMED, "an anchor's boot is too long or a time is no date")


def _enter(device_id: UUID, session: int, run: str) -> Context:
    assert_current(device_id, session)
    runs = Run.objects.select_for_update(of=("self",)).select_related("device__door__site")
    held = runs.filter(device_id=device_id, run=run).order_by().first()
    if held is None:
        raise UnknownRunError(f"run {run[:40]!a} of device {device_id} is not known; name it in hello first")
    return Context(held, held.device, time.time_ns() // 1_000_000)


def _take_in(context: Context, fresh: list[Admitted | Refused]) -> None:
    admitted = [item for item in fresh if isinstance(item, Admitted)]
    apply(context, admitted)
    bulk.write(_LETTERS, [_letter_row(context, item) for item in fresh if isinstance(item, Refused)])
    head = bytes.fromhex(context.run.head)
    for item in fresh:
        head = chain.link(head, item.digest)
    _advance(context, fresh[-1].n, head)


def _advance(context: Context, upto: int, head: bytes) -> None:
    run = context.run
    run.upto, run.head = upto, head.hex()
    Run.objects.filter(pk=run.pk).update(upto=upto, head=run.head, last_event_ms=run.last_event_ms)


def _bury(context: Context, first: int, tomb: messages.Tomb) -> None:
    run = context.run
    Loss.objects.create(run=run, first=first, to=tomb.to, why=tomb.why.value, received_ms=context.received_ms)
    lost = f"run {run.run}: events {first} to {tomb.to} are lost ({tomb.why.value})"
    raise_alert(context.device.pk, Alert.Kind.LOST_RANGE, f"{run.run}/{first}", lost)
    head = _head(tomb.head)
    if head is None:
        head = bytes.fromhex(run.head)
        detail = f"{lost}; what follows cannot be proved to follow"
        raise_alert(context.device.pk, Alert.Kind.CHAIN_ANCHORED_ANEW, f"{run.run}/{tomb.to}", detail)
    _advance(context, tomb.to, head)


def _head(claimed: str | None) -> bytes | None:
    try:
        head = bytes.fromhex(claimed or "")
    except ValueError:
        return None
    return head if len(head) == chain.DIGEST_BYTES else None


def _time_ms(context: Context, item: Admitted, anchors: dict[str, Anchor]) -> int:
    event = item.event
    if event is None:
        return context.run.last_event_ms or context.received_ms
    at_ms = corrected_ms(event.q, event.mono_ms, event.wall_ms, anchors.get(event.boot))
    context.run.last_event_ms = at_ms
    return at_ms


def _event_row(context: Context, item: Admitted, at_ms: int) -> tuple[object, ...]:
    event, run_id = item.event, context.run.pk
    if event is None:
        figures: tuple[object, ...] = (SHED_KIND, "", 0, 0, "", None)
    else:
        figures = (event.kind, event.boot, event.mono_ms, event.wall_ms, event.q.value, event.err_ms)
    return (run_id, item.n, *figures, at_ms, context.received_ms, item.digest.hex(), item.member, item.text)


def _letter_row(context: Context, item: Refused) -> tuple[object, ...]:
    return (
        context.run.pk, item.n, item.digest.hex(), item.code.value, item.detail, item.raw, "waiting",
        context.received_ms, 0,
    )  # fmt: skip


def _announce(context: Context, timed: list[tuple[Admitted, int]]) -> None:
    shown = [(item, item.body, at_ms) for item, at_ms in timed if item.body and feed.is_shown(item.body)]
    last = [
        feed.Happening(
            f"{context.device.pk}/{context.run.run}/{item.n}", context.device.door.name, at_ms, context.received_ms,
            body, UUID(item.member) if item.member else None,
        )
        for item, body, at_ms in shown[-feed.ENTRIES :]
    ]  # fmt: skip
    if last:
        transaction.on_commit(partial(feed.publish, context.site.pk, last))
