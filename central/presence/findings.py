"""What an outage cost: people let in twice, zones overfull and packs overspent. Once for each finding.

Doors that cannot ask each other decide by what each saw itself; that may let in more than the rules of the site would.
"""

from collections.abc import Iterable
from uuid import UUID

import msgspec
from django.db.models import Count, QuerySet

from central.checkins.alerts import raise_alert
from central.checkins.models import Alert, Movement, moment
from central.directory.models import Member, VisitPack
from central.directory.models_rules import Zone
from central.presence.history import Move, Past, entries
from central.presence.models import Whereabouts
from central.presence.place import Place
from wire.vocabulary import AntiPassbackKind

_DOORS_NAMED = 4


def raise_twice(place: Place, pasts: Iterable[tuple[UUID, Past]]) -> None:
    """Raise an alert for each who came in a second time without leaving, by a door that decided alone."""
    hard = {zone.name for zone in Zone.objects.filter(site=place.site, anti_passback=AntiPassbackKind.HARD.value)}
    if not hard:
        return
    for member, past in pasts:
        for first, second in entries(past, place.closing):
            if second.ways.zone in hard and second.is_alone:
                _raise_twice(place, member, first, second)


def _raise_twice(place: Place, member: UUID, first: Move, second: Move) -> None:
    zone = Zone.objects.get(site=place.site, name=second.ways.zone)
    row = Whereabouts.objects.filter(site=place.site, member_id=member).first()
    is_forgiven = row is not None and row.forgiven_ms is not None and first.at_ms <= row.forgiven_ms <= second.at_ms
    if is_forgiven or (zone.amnesty_at is not None and second.at_ms - first.at_ms >= 86_400_000):
        return
    name = Member.objects.filter(pk=member).values_list("full_name", flat=True).first()
    detail = (
        f"{name} came into {zone.name} twice without leaving: by {first.door} at {moment(first.at_ms):%Y-%m-%d %H:%M} "
        f"and by {second.door} at {moment(second.at_ms):%H:%M} UTC, which could not ask the site"
    )
    raise_alert(UUID(second.device), Alert.Kind.ENTERED_TWICE, f"{second.device}/{second.run}/{second.n}", detail)


def raise_overfull(place: Place, changed: Iterable[Whereabouts]) -> None:
    """Raise an alert where somebody who was let in by a door that decided alone makes a zone fuller than it may be."""
    limits = {zone.name: zone.limit for zone in Zone.objects.filter(site=place.site, limit__isnull=False)}
    came = [(row, _entry(row)) for row in changed if row.zone in limits and row.is_visitor]
    alone = [(row, move) for row, move in came if move is not None and move.is_alone]
    if not alone:
        return
    present = Whereabouts.objects.filter(site=place.site, is_visitor=True, zone__in=limits)
    counts = dict(present.values_list("zone").annotate(count=Count("pk")))
    for row, move in alone:
        limit, inside = limits[row.zone], counts.get(row.zone, 0)
        if limit is not None and inside > limit:
            detail = (
                f"{row.zone} holds {inside} people, {limit} may be there; {row.member.full_name} was let in by "
                f"{move.door}, which could not ask the site"
            )
            key = f"{move.device}/{move.run}/{move.n}"
            raise_alert(UUID(move.device), Alert.Kind.ZONE_OVERFULL, key, detail)


def _entry(row: Whereabouts) -> Move | None:
    past = msgspec.convert(row.past, Past)
    return past.moves[-1] if past.moves and past.moves[-1].at_ms == row.since_ms else None


def raise_overspent(pack: VisitPack, used: int, visits: QuerySet[Movement]) -> None:
    """Raise an alert for a pack of which more visits were made than it has."""
    found = visits.select_related("device__door__site").order_by("-at_ms")
    last = list(found[: min(_DOORS_NAMED, max(1, used - pack.visits))])
    if not last:
        return
    doors = "; ".join(f"{each.device.door} at {moment(each.at_ms):%Y-%m-%d %H:%M}" for each in last)
    detail = f"{pack.member.full_name} made {used} visits with a pack of {pack.visits}; last: {doors} UTC"
    raise_alert(last[0].device_id, Alert.Kind.PACK_OVERSPENT, f"{pack.pk}/{used}", detail)
