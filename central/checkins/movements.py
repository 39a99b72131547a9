"""Keeps movements and visits in step with the events: what a batch or an anchor tells, and no more, is derived anew."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import Q

from central.checkins import bulk, visits
from central.checkins.models import Movement as MovementRow
from central.checkins.models import Visit as VisitRow
from central.checkins.visits import ClosingRule, EndedBy, EventKey, Grant, Movement, Passage, Resumption, Visit
from central.devices.models import Site
from wire.events import Body, DecisionBody, PassageBody
from wire.vocabulary import Direction, Outcome, PassageOutcome

_MOVEMENTS: Final = bulk.Table(
    "checkins_movement",
    {
        "device_id": "uuid", "run": "text", "n": "bigint", "site_id": "uuid", "member": "uuid", "grant_ms": "bigint",
        "grant_direction": "text", "end_run": "text", "end_n": "bigint", "end_ms": "bigint", "end_outcome": "text",
        "end_direction": "text", "at_ms": "bigint", "direction": "text", "is_certain": "boolean", "counts": "boolean",
    },
    unique=("device_id", "run", "n"),
    updates=(
        "member", "grant_ms", "grant_direction", "end_run", "end_n", "end_ms", "end_outcome", "end_direction", "at_ms",
        "direction", "is_certain", "counts",
    ),
)  # fmt: skip
_VISITS: Final = bulk.Table(
    "checkins_visit",
    {
        "id": "uuid", "site_id": "uuid", "member_id": "uuid", "device_id": "uuid", "run": "text", "n": "bigint",
        "opened_ms": "bigint", "closed_ms": "bigint", "ended_by": "text", "closed_device": "uuid",
        "closed_run": "text", "closed_n": "bigint", "is_entry_certain": "boolean", "is_exit_certain": "boolean",
    },
    unique=("id",),
    updates=(
        "member_id", "opened_ms", "closed_ms", "ended_by", "closed_device", "closed_run", "closed_n",
        "is_entry_certain", "is_exit_certain",
    ),
)  # fmt: skip

_LOOKUPS_AT_ONCE: Final = 400


@dataclass(frozen=True, slots=True)
class Fact:
    """What one event says of the grant `of`: that it was given, or how it ended."""

    of: EventKey
    member: UUID | None
    said: Grant | Passage


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of one grant, and the movement that it amounts to."""

    key: EventKey
    member: UUID | None = None
    grant: Grant | None = None
    end: Passage | None = None

    @property
    def movement(self) -> Movement | None:
        """The movement, where somebody is known to have moved."""
        return visits.settle(self.key, self.grant, [] if self.end is None else [self.end])

    def told(self, fact: Fact) -> "_Known":
        """Return what is known once `fact` is known too; telling it again, with a corrected time, replaces it."""
        if isinstance(fact.said, Grant):
            return replace(self, grant=fact.said, member=fact.member or self.member)
        stronger = self.end is None or visits.rank(fact.said) <= visits.rank(self.end)
        end = fact.said if stronger else self.end
        return replace(self, end=end, member=self.member or fact.member)


def fact_of(key: EventKey, at_ms: int, body: Body | None, member: UUID | None) -> Fact | None:
    """Return what event `key`, which happened at `at_ms`, says of a grant; None where it says nothing."""
    match body:
        case DecisionBody(outcome=Outcome.GRANT) if member is not None:
            return Fact(key, member, Grant(key, at_ms, body.direction))
        case PassageBody():
            of = EventKey(key.device, body.of_run, body.of_n)
            return Fact(of, member, Passage(key, at_ms, body.outcome, body.direction))
        case _:
            return None


def apply(site: Site, device_id: UUID, facts: Iterable[Fact]) -> None:
    """Take in what events of one device say, and derive the visits of the members concerned from there on.

    Call it inside the transaction that stored the events, with the site's row locked: two devices of a site may tell
    of the same member at once.
    """
    told: dict[EventKey, list[Fact]] = defaultdict(list)
    for fact in facts:
        told[fact.of].append(fact)
    if not told:
        return
    known = _load(device_id, told)
    touched: dict[UUID, int] = {}
    rows = []
    for key, of_key in told.items():
        before = after = known.get(key, _Known(key))
        for fact in of_key:
            after = after.told(fact)
        if after != before:
            rows.append(_row(after, site.pk))
            _touch(touched, before, after)
    bulk.write(_MOVEMENTS, rows)
    derive_from(site, touched)


def derive_from(site: Site, touched: dict[UUID, int]) -> None:
    """Derive the visits of each member at a site anew from the given moment (ms) on."""
    if not touched:
        return
    movements = _movements(site.pk, touched)
    befores = _visits_before(site.pk, touched)
    stale = _visits_from(site.pk, touched)
    rule = rule_of(site)
    rows, kept = [], set()
    for member, since_ms in touched.items():
        before = befores.get(member)
        resumption = None if before is None else Resumption(before, since_ms)
        for visit in visits.derive(movements[member], rule, resumption):
            kept.add(visit.id)
            if visit != before:
                rows.append(_visit_row(visit, site.pk, member))
    VisitRow.objects.filter(pk__in=stale - kept).delete()
    bulk.write(_VISITS, rows)


def rule_of(site: Site) -> ClosingRule:
    """Return how visits that nobody ended are closed at a site."""
    return ClosingRule(ZoneInfo(site.time_zone), max(1, site.longest_stay_h), site.closing_time)


def _touch(touched: dict[UUID, int], before: _Known, after: _Known) -> None:
    for known in (before, after):
        movement = known.movement
        if movement is not None and known.member is not None:
            earliest_ms = touched.get(known.member, movement.at_ms)
            touched[known.member] = min(earliest_ms, movement.at_ms)


def _load(device_id: UUID, keys: Iterable[EventKey]) -> dict[EventKey, _Known]:
    numbers: dict[str, list[int]] = defaultdict(list)
    for key in keys:
        numbers[key.run].append(key.n)
    wanted = Q()
    for run, of_run in numbers.items():
        wanted |= Q(run=run, n__in=of_run)
    rows = MovementRow.objects.filter(wanted, device_id=device_id).values_list(
        "run",
        "n",
        "member",
        "grant_ms",
        "grant_direction",
        "end_run",
        "end_n",
        "end_ms",
        "end_outcome",
        "end_direction",
    )
    return {known.key: known for known in (_known(device_id, *row) for row in rows.iterator())}


def _known(
    device_id: UUID, run: str, n: int, member: UUID | None, grant_ms: int | None, grant_direction: str, *ended: Any
) -> _Known:
    end_run, end_n, end_ms, end_outcome, end_direction = ended
    key = EventKey(device_id, run, n)
    grant = None if grant_ms is None else Grant(key, grant_ms, Direction(grant_direction))
    end = None
    if end_n is not None:
        sensed = Direction(end_direction) if end_direction else None
        end = Passage(EventKey(device_id, end_run, end_n), end_ms, PassageOutcome(end_outcome), sensed)
    return _Known(key, member, grant, end)


def _row(known: _Known, site_id: UUID) -> tuple[Any, ...]:
    grant, end, movement = known.grant, known.end, known.movement
    said = grant or end
    assert said is not None, "a movement row needs an event"
    return (
        known.key.device.hex,
        known.key.run,
        known.key.n,
        site_id.hex,
        known.member.hex if known.member else None,
        grant.at_ms if grant else None,
        grant.direction.value if grant else "",
        end.key.run if end else "",
        end.key.n if end else None,
        end.at_ms if end else None,
        end.outcome.value if end else "",
        end.direction.value if end and end.direction else "",
        movement.at_ms if movement else said.at_ms,
        movement.direction.value if movement else "",
        movement is None or movement.is_certain,
        movement is not None and known.member is not None,
    )


def _movements(site_id: UUID, touched: dict[UUID, int]) -> dict[UUID, list[Movement]]:
    rows = MovementRow.objects.filter(
        site_id=site_id, member__in=touched, counts=True, at_ms__gte=min(touched.values())
    ).values_list("member", "device_id", "run", "n", "at_ms", "direction", "is_certain")
    found: dict[UUID, list[Movement]] = defaultdict(list)
    for member, device_id, run, n, at_ms, direction, is_certain in rows.iterator():
        if member is not None and at_ms >= touched[member]:
            found[member].append(Movement(EventKey(device_id, run, n), at_ms, Direction(direction), is_certain))
    return found


def _visits_from(site_id: UUID, touched: dict[UUID, int]) -> set[UUID]:
    rows = VisitRow.objects.filter(
        site_id=site_id, member__in=touched, opened_ms__gte=min(touched.values())
    ).values_list("pk", "member_id", "opened_ms")
    return {pk for pk, member_id, opened_ms in rows.iterator() if opened_ms >= touched[member_id]}


def _visits_before(site_id: UUID, touched: dict[UUID, int]) -> dict[UUID, Visit]:
    """Return each member's last visit that opened before the given moment, found by index, one look-up a member."""
    found: dict[UUID, Visit] = {}
    members = list(touched.items())
    for start in range(0, len(members), _LOOKUPS_AT_ONCE):
        part = members[start : start + _LOOKUPS_AT_ONCE]
        for row in _lookup(site_id, part):
            found[_uuid(row[0])] = _visit(*row[1:])
    return found


def _lookup(site_id: UUID, members: list[tuple[UUID, int]]) -> Iterator[tuple[Any, ...]]:
    place = "(%s::uuid, %s::bigint)" if connection.vendor == "postgresql" else "(%s, %s)"
    places = ", ".join([place] * len(members))
    query = f"""
        SELECT v.member_id, v.device_id, v.run, v.n, v.opened_ms, v.closed_ms, v.ended_by, v.closed_device,
               v.closed_run, v.closed_n, v.is_entry_certain, v.is_exit_certain
        FROM (VALUES {places}) AS wanted JOIN checkins_visit v ON v.id = (
            SELECT b.id FROM checkins_visit b
            WHERE b.site_id = %s AND b.member_id = wanted.column1 AND b.opened_ms < wanted.column2
            ORDER BY b.opened_ms DESC, b.closed_ms DESC LIMIT 1)
    """  # noqa: S608 - only placeholders are put together
    with connection.cursor() as cursor:
        cursor.execute(query, [value for member, from_ms in members for value in (member.hex, from_ms)] + [site_id.hex])
        yield from cursor.fetchall()


def _uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)


def _visit(
    device: Any, run: str, n: int, opened_ms: int, closed_ms: int, ended_by: str, closed_device: Any, *rest: Any
) -> Visit:
    closed_run, closed_n, is_entry_certain, is_exit_certain = rest
    closed_by = None if closed_n is None else EventKey(_uuid(closed_device), closed_run, closed_n)
    return Visit(
        opened_by=EventKey(_uuid(device), run, n),
        opened_ms=opened_ms,
        closed_ms=closed_ms,
        ended_by=EndedBy(ended_by),
        closed_by=closed_by,
        is_entry_certain=bool(is_entry_certain),
        is_exit_certain=bool(is_exit_certain),
    )


def _visit_row(visit: Visit, site_id: UUID, member: UUID) -> tuple[Any, ...]:
    opened_by, closed_by = visit.opened_by, visit.closed_by
    return (
        visit.id.hex,
        site_id.hex,
        member.hex,
        opened_by.device.hex,
        opened_by.run,
        opened_by.n,
        visit.opened_ms,
        visit.closed_ms,
        visit.ended_by.value,
        closed_by.device.hex if closed_by else None,
        closed_by.run if closed_by else "",
        closed_by.n if closed_by else None,
        visit.is_entry_certain,
        visit.is_exit_certain,
    )
