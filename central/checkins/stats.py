"""The three statistics of a site: who is in now, how many came today, and how long they stay."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.db.models import Q

from central.checkins.models import Visit as VisitRow
from central.checkins.visits import MAX_STAY_HOURS, EndedBy
from central.devices.models import Site
from central.devices.zones import zone_of

AHEAD_MS: Final = 300_000
"""A door's clock may be this much ahead; a visit that begins later than that from now does not count as in."""
_MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Stay:
    """What the statistics need of a visit."""

    opened_ms: int
    closed_ms: int
    ended_by: EndedBy


@dataclass(frozen=True, slots=True)
class Figures:
    """`stays` visits that began today ended with an exit; together they took `stayed_ms`."""

    currently_in: int = 0
    today_total: int = 0
    stays: int = 0
    stayed_ms: int = 0

    @property
    def average_stay_minutes(self) -> int:
        """The average of the stays whose end is known, to the nearest minute; 0 without any."""
        return round(self.stayed_ms / self.stays / _MINUTE_MS) if self.stays else 0

    def __add__(self, other: "Figures") -> "Figures":
        """Return the figures of two sites together."""
        return Figures(
            self.currently_in + other.currently_in,
            self.today_total + other.today_total,
            self.stays + other.stays,
            self.stayed_ms + other.stayed_ms,
        )


def day_of(now_ms: int, zone: ZoneInfo) -> tuple[int, int]:
    """Return when the local day of `now_ms` begins and when the next one does: 23, 24 or 25 hours later."""
    today = datetime.fromtimestamp(now_ms / 1000, zone).date()
    begins = datetime.combine(today, time(), zone).astimezone(UTC)
    ends = datetime.combine(today + timedelta(days=1), time(), zone).astimezone(UTC)
    return int(begins.timestamp() * 1000), int(ends.timestamp() * 1000)


def figures(stays: Iterable[Stay], now_ms: int, zone: ZoneInfo) -> Figures:
    """Return the figures at a moment; a visit whose end is only assumed has no part in the average."""
    begins_ms, ends_ms = day_of(now_ms, zone)
    total = Figures()
    for stay in stays:
        is_in = stay.ended_by is EndedBy.ASSUMED and stay.opened_ms <= now_ms + AHEAD_MS and stay.closed_ms > now_ms
        is_today = begins_ms <= stay.opened_ms < ends_ms
        is_known = is_today and stay.ended_by is EndedBy.OUT
        total += Figures(is_in, is_today, is_known, stay.closed_ms - stay.opened_ms if is_known else 0)
    return total


def of_site(site: Site, now_ms: int) -> Figures:
    """Return the figures of a site now."""
    zone = zone_of(site.time_zone)
    begins_ms, ends_ms = day_of(now_ms, zone)
    earliest_ms = min(begins_ms, now_ms - MAX_STAY_HOURS * 3_600_000)
    rows = VisitRow.objects.filter(
        Q(at_ms__gte=begins_ms, at_ms__lt=ends_ms) | Q(closed_ms__gt=now_ms), site=site, at_ms__gte=earliest_ms
    ).values_list("at_ms", "closed_ms", "ended_by")
    stays = (Stay(opened, closed, EndedBy(end)) for opened, closed, end in rows.iterator() if closed is not None)
    return figures(stays, now_ms, zone)
