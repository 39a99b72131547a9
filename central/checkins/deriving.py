"""Visits as rows: what is stored of some members is read once, and what they amount to now is told."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from central.checkins import bulk, visits
from central.checkins.visits import (
    HOLD_OFF_MS,
    MAX_STAY_HOURS,
    ClosingRule,
    EndedBy,
    EventKey,
    Movement,
    Resumption,
    Visit,
)
from central.devices.models import Site
from central.devices.zones import zone_of
from wire.vocabulary import Direction

COLUMNS: Final = {
    "opens": "boolean", "closed_ms": "bigint", "ended_by": "text", "closed_device": "uuid", "closed_run": "text",
    "closed_n": "bigint", "is_exit_certain": "boolean",
}  # fmt: skip
"""Where a movement's row says which visit it opens, with their PostgreSQL types."""
NO_VISIT: Final = (False, None, "", None, "", None, True)
_VISIT: Final = ", ".join(f"m.{name}" for name in COLUMNS)
_REACH_MS: Final = MAX_STAY_HOURS * 3_600_000 + HOLD_OFF_MS
"""What opened longer ago than this is over, and its exit holds no tap off any more."""
# For each member the last movement before its moment that opened a visit, found by index, and all that came since.
# Materialised, so that the look-up is made once a member; `IS TRUE` keeps planners from the index by site, which holds
# everybody, while they know nothing of the table yet.
_HELD: Final = f"""
    WITH wanted AS MATERIALIZED (
        SELECT given.member, given.site AS site, COALESCE((
            SELECT b.at_ms FROM checkins_movement b
            WHERE b.member_id = given.member AND b.counts AND b.opens AND (b.site_id = given.site) IS TRUE
            AND b.at_ms < given.since_ms AND b.at_ms >= given.since_ms - {_REACH_MS}
            ORDER BY b.at_ms DESC LIMIT 1
        ), given.since_ms) AS from_ms
        FROM {{given}}
    )
    SELECT m.member_id, m.id, m.device_id, m.run, m.n, m.at_ms, m.direction, m.is_certain, {_VISIT}
    FROM wanted JOIN checkins_movement m
    ON m.member_id = wanted.member AND m.counts AND m.at_ms >= wanted.from_ms AND m.site_id = wanted.site
"""  # noqa: S608 - the names of columns
_WANTED: Final = {"member": "uuid", "since_ms": "bigint", "site": "uuid"}


class Held(NamedTuple):
    """A movement that is stored, with the visit that it opens, if it does."""

    pk: int
    moved: Movement
    visit: Visit | None


def derive(
    site: Site, touched: Mapping[str, int], changed: Mapping[EventKey, tuple[str | None, Movement | None]]
) -> dict[EventKey, Visit]:
    """Derive the visits of each member (32 hex digits) at a site anew from the given moment (ms) on.

    `changed` are movements about to be stored, with their members; the visits that they open are returned for that,
    by the opening event. Stored movements that open another visit than before are updated here.
    """
    coming: dict[str, list[Movement]] = defaultdict(list)
    for member, moved in changed.values():
        if member is not None and moved is not None:
            coming[member].append(moved)
    rule = rule_of(site)
    opened: dict[EventKey, Visit] = {}
    updates: list[tuple[Any, ...]] = []
    stored = _stored(site.pk.hex, touched)
    for member, since_ms in touched.items():
        held = [row for row in stored[member] if row.moved.key not in changed]
        derived = _derive(held, coming[member], since_ms, rule)
        opened |= derived
        updates += _updates(held, derived, since_ms)
    bulk.update("checkins_movement", COLUMNS, updates)
    return opened


def columns_of(visit: Visit | None) -> tuple[Any, ...]:
    """Return what a movement's row says of the visit that it opens."""
    if visit is None:
        return NO_VISIT
    closed_by = visit.closed_by or (None, "", None)
    return (True, visit.closed_ms, visit.ended_by.value, *closed_by, visit.is_exit_certain)


def rule_of(site: Site) -> ClosingRule:
    """Return how visits that nobody ended are closed at a site."""
    hours = min(max(1, site.longest_stay_h), MAX_STAY_HOURS)
    return ClosingRule(zone_of(site.time_zone), hours, site.closing_time)


def _derive(held: list[Held], coming: list[Movement], since_ms: int, rule: ClosingRule) -> dict[EventKey, Visit]:
    earlier = [row.visit for row in held if row.visit is not None and row.moved.at_ms < since_ms]
    # Of visits that opened in the same millisecond the one that lasts longer is the later one.
    before = max(earlier, key=lambda visit: (visit.opened_ms, visit.closed_ms), default=None)
    resumption = None if before is None else Resumption(before, since_ms)
    moved = [row.moved for row in held if row.moved.at_ms >= since_ms]
    return {visit.opened_by: visit for visit in visits.derive(moved + coming, rule, resumption)}


def _updates(held: list[Held], derived: dict[EventKey, Visit], since_ms: int) -> Iterator[tuple[Any, ...]]:
    for pk, moved, visit in held:
        # What opened earlier and is not among the derived was over, and stays as it is.
        now = derived.get(moved.key, visit if moved.at_ms < since_ms else None)
        if now != visit:
            yield pk, *columns_of(now)


def _stored(site_id: str, touched: Mapping[str, int]) -> dict[str, list[Held]]:
    found: dict[str, list[Held]] = defaultdict(list)
    wanted = [(member, since_ms, site_id) for member, since_ms in touched.items()]
    for member, pk, *stored in bulk.read(_HELD, _WANTED, wanted):
        found[bulk.hex_of(member)].append(_held(pk, *stored))
    return found


def _held(pk: int, device: Any, run: str, n: int, at_ms: int, direction: str, is_certain: Any, *visit: Any) -> Held:
    key = EventKey(bulk.hex_of(device), run, n)
    moved = Movement(key, at_ms, Direction(direction), bool(is_certain))
    opens, closed_ms, ended_by, closed_device, closed_run, closed_n, is_exit_certain = visit
    if not opens:
        return Held(pk, moved, None)
    closed_by = None if closed_n is None else EventKey(bulk.hex_of(closed_device), closed_run, closed_n)
    is_sure = bool(is_exit_certain)
    return Held(pk, moved, Visit(key, at_ms, closed_ms, EndedBy(ended_by), closed_by, moved.is_certain, is_sure))
