"""Applies events at their place: stores them, lets movements and visits follow, and tells the pages after the commit.

Part of the caller's transaction; whoever calls looks after order, chain and cursor.
"""

from dataclasses import dataclass
from datetime import time
from functools import partial
from time import time_ns
from typing import Final
from uuid import UUID

from django.db import connection, transaction

from central.checkins import bulk, feed, movements
from central.checkins.admission import Admitted
from central.checkins.clock import Anchor, best, corrected_ms
from central.checkins.models import SHED_KIND, ClockAnchor
from central.checkins.visits import EventKey
from central.devices.models import Site
from central.passes import using
from wire.vocabulary import ClockQuality

EVENTS: Final = bulk.Table(
    "checkins_event",
    {
        "run_id": "bigint", "n": "bigint", "kind": "text", "boot": "text", "mono_ms": "bigint", "wall_ms": "bigint",
        "quality": "text", "err_ms": "bigint", "corrected_ms": "bigint", "received_ms": "bigint", "digest": "text",
        "member": "uuid", "text": "text",
    },
    unique=("run_id", "n"),
)  # fmt: skip


# Written out: each batch of each device asks this once, and building the query costs more than answering it.
_PLACE: Final = """
    SELECT r.id, r.upto, r.head, r.last_event_ms, o.name, s.id, s.time_zone, s.closing_time, s.longest_stay_h
    FROM checkins_run r JOIN devices_device d ON d.id = r.device_id JOIN devices_door o ON o.id = d.door_id
    JOIN devices_site s ON s.id = o.site_id WHERE r.device_id = %s AND r.run = %s
"""


@dataclass(slots=True)
class Place:
    """Where events belong: a run as far as it is held, its device, door and site, and when they arrived."""

    run_id: int
    run: str
    upto: int
    head: bytes
    last_event_ms: int | None
    device_id: UUID
    door: str
    site: Site
    received_ms: int

    def key(self, n: int) -> EventKey:
        """Return the key of event `n`."""
        return EventKey(self.device_id.hex, self.run, n)


def place_of(device_id: UUID, run: str) -> Place | None:
    """Return a run's place, its row locked to the end of the transaction; None for a run that no `hello` has named."""
    lock = " FOR NO KEY UPDATE OF r" if connection.features.has_select_for_update else ""
    with connection.cursor() as cursor:
        cursor.execute(_PLACE + lock, [device_id.hex, run])
        found = cursor.fetchone()
    if found is None:
        return None
    run_id, upto, head, last_event_ms, door, site_id, time_zone, closing, longest_stay_h = found
    site = Site(
        pk=UUID(bulk.hex_of(site_id)),
        time_zone=time_zone,
        # SQLite keeps a time as text.
        closing_time=time.fromisoformat(closing) if isinstance(closing, str) else closing,
        longest_stay_h=longest_stay_h,
    )
    received_ms = time_ns() // 1_000_000
    return Place(run_id, run, upto, bytes.fromhex(head), last_event_ms, device_id, door, site, received_ms)


def apply(place: Place, admitted: list[Admitted]) -> None:
    """Store events and let what follows from them follow; part of the caller's transaction."""
    # An event whose own clock was synchronised needs no anchor, and hardly any other ever comes.
    unsure = {item.event.boot for item in admitted if item.event and item.event.q is not ClockQuality.SYNCED}
    anchors = anchors_of(place.device_id, list(unsure)) if unsure else {}
    timed = [(item, _time_ms(place, item, anchors)) for item in admitted]
    bulk.write(EVENTS, [_event_row(place, item, at_ms) for item, at_ms in timed])
    facts = [movements.fact_of(place.key(item.n), at_ms, item.body, item.member) for item, at_ms in timed]
    told = [fact for fact in facts if fact is not None]
    if told:
        movements.apply(lock_site(place.site), told)
    keys = (f"{place.device_id}/{place.run}/{item.n}" for item in admitted)
    using.note(place.device_id, place.door, zip(keys, (item.body for item in admitted), strict=True))
    transaction.on_commit(partial(_announce, place, timed))


def lock_site(site: Site) -> Site:
    """Return a site, locked to the end of the transaction: two devices may tell of the same member at once.

    Where a database knows no row locks it has one writer at a time.
    """
    if connection.features.has_select_for_update:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM devices_site WHERE id = %s FOR NO KEY UPDATE", [site.pk])
    return site


def anchors_of(device_id: UUID, boots: list[str]) -> dict[str, Anchor]:
    """Return the anchor to go by for each boot that has one."""
    found: dict[str, list[Anchor]] = {}
    rows = ClockAnchor.objects.filter(device_id=device_id, boot__in=boots)
    for boot, err_ms, mono_ms, wall_ms in rows.values_list("boot", "err_ms", "mono_ms", "wall_ms"):
        found.setdefault(boot, []).append(Anchor(err_ms, mono_ms, wall_ms))
    return {boot: anchor for boot, of_boot in found.items() if (anchor := best(of_boot)) is not None}


def _time_ms(place: Place, item: Admitted, anchors: dict[str, Anchor]) -> int:
    event = item.event
    if event is None:
        return place.last_event_ms or place.received_ms
    at_ms = corrected_ms(event.q, event.mono_ms, event.wall_ms, anchors.get(event.boot))
    place.last_event_ms = at_ms
    return at_ms


def _event_row(place: Place, item: Admitted, at_ms: int) -> tuple[object, ...]:
    event, run_id = item.event, place.run_id
    if event is None:
        figures: tuple[object, ...] = (SHED_KIND, "", 0, 0, "", None)
    else:
        figures = (event.kind, event.boot, event.mono_ms, event.wall_ms, event.q.value, event.err_ms)
    return (run_id, item.n, *figures, at_ms, place.received_ms, item.digest.hex(), item.member, item.text)


def _announce(place: Place, timed: list[tuple[Admitted, int]]) -> None:
    if not feed.may_be_seen(place.site.pk):
        return
    shown = [(item, item.body, at_ms) for item, at_ms in timed if item.body and feed.is_shown(item.body)]
    run = f"{place.device_id}/{place.run}"
    happened = [
        feed.Happening(
            f"{run}/{item.n}", place.door, at_ms, place.received_ms, body, UUID(item.member) if item.member else None
        )
        for item, body, at_ms in shown[-feed.ENTRIES :]
    ]
    feed.publish(place.site.pk, happened)
