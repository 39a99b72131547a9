"""Who is where, as this device knows it: what it saw itself, and what central told of the whole site. Pure.

Of two statements about a member the newer holds, except that central's holds over a passage at this door that central
has taken into it: by then central knows better. With the link down that stays so: what central told last ages, what is
seen here does not. Moments are monotonic ms of this boot.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from agent.core.sightings import At, Seen, Sightings
from agent.core.types import EventId
from rules.facts import Now
from rules.whereabouts import OUTSIDE, Stay
from wire.book import Zone
from wire.events import Body, DecisionBody, PassageBody
from wire.facts import PresenceFacts
from wire.presence import PresDelta, Present
from wire.rows import DirectoryRow

SITE_KEPT: Final = 16_384
"""Members of whom central's word is kept; with more the site's presence counts as not known."""
STAY_MS: Final = 72 * 3_600_000
"""Whoever passed longer ago than this is taken to have left: no visit goes on longer (central's bound)."""
CONFIRMED_MS: Final = 35_000
"""Without word from central for so long (two heartbeats and some), the site's presence is not current."""
BEHIND_MS: Final = 5_000
"""Where central named a newer version and it has not come for so long, what is here is not current."""

DELAY_MS: Final = 30_000
"""Central's word may have been under way for so long, and seem that much newer than it is."""


class Told(Struct, frozen=True, gc=False):
    """What central said of a member."""

    stay: Stay
    used: int | None = None
    is_forgiven: bool = False
    is_visitor: bool = True


_ABSENT: Final = Told(Stay(OUTSIDE, 0))


class _Where(Struct, frozen=True):
    stay: Stay
    is_visitor: bool
    seen: Seen | None = None
    is_forgiven: bool = False


class Presence:
    """Everything that this device knows of who is where; it never tells anybody who somebody is.

    `sent` says up to which event of each run central had acknowledged at the start: visits before are in its counts.
    """

    def __init__(self, sent: Mapping[str, int] | None = None) -> None:
        self._seen = Sightings()
        self._fresh: set[str] = set()
        self._site: dict[str, Told] = {}
        self._heard = dict(sent or {})
        self._inside: dict[str, tuple[str, bool]] = {}
        self._counts: dict[str, int] = {}
        self._has_site = False
        self._is_whole = False
        self._confirmed_ms: int | None = None
        self._behind_ms: int | None = None

    # What this device saw

    def saw(self, event: EventId, body: Body, at: At) -> None:
        """Take in a durable event; events come in the order of the journal."""
        member = self._seen.member_of(body)
        if member is None:
            return
        if isinstance(body, DecisionBody):
            where = self._where(member)
            self._seen.let_in(event, body, None if where is None else where.stay, at)
        elif isinstance(body, PassageBody):
            self._seen.ended(event, body, at)
        self._fresh.add(member)
        self._count(member)
        gone = self._seen.dropped()
        if gone is not None:
            self._fresh.discard(gone)
            self._count(gone)

    def lapse(self, now: Now) -> None:
        """Forget whoever passed too long ago to be inside still; visits that central does not know of stay counted."""
        for member in list(self._seen):
            newest = self._seen.of(member).newest
            if newest is None or newest.age_ms(now) >= STAY_MS:
                self._seen.forget_where(member)
                self._count(member)
        for member, told in list(self._site.items()):
            if told.stay.zone != OUTSIDE and now.mono_ms - told.stay.since_ms >= STAY_MS:
                self._left(member, told)

    def _left(self, member: str, told: Told) -> None:
        """With the link down nobody says that a visit is over: it is when no visit goes on for so long."""
        if told.used is None:
            del self._site[member]
        else:
            self._site[member] = replace(told, stay=_ABSENT.stay, is_forgiven=False)
        self._count(member)

    # What central told

    def take(self, delta: PresDelta, now_ms: int) -> None:
        """Take in what central says of the site, at this moment."""
        if delta.first == 0:
            self._site.clear()
            self._has_site, self._is_whole, self._confirmed_ms = False, True, None
        for heard in delta.heard:
            self._heard[heard.run] = max(heard.upto, self._heard.get(heard.run, 0))
        for put in delta.put:
            self._put(put, now_ms - max(0, delta.server_ms - put.since_ms))
        was_known, self._has_site = self._has_site, self._has_site or delta.is_last
        if delta.first == 0 or self._has_site is not was_known:
            self._count_all()
        else:
            self._settle(put.member for put in delta.put)
        if delta.is_last:
            self._confirmed_ms, self._behind_ms = now_ms, None

    def _put(self, put: Present, since_ms: int) -> None:
        self._site.pop(put.member, None)
        if put.zone == OUTSIDE and put.used is None:
            return
        self._site[put.member] = Told(
            Stay(put.zone, since_ms, put.is_certain), put.used, put.is_forgiven, put.is_visitor
        )
        if len(self._site) > SITE_KEPT:
            self._is_whole = False
            del self._site[next(iter(self._site))]

    def _settle(self, changed: Iterable[str]) -> None:
        """Count those anew of whom central said something, and those whose passages it has taken in."""
        for member in self._fresh.union(changed):
            own = self._seen.of(member)
            if any(self._is_heard(event) for event in own.charges):
                left = tuple(event for event in own.charges if not self._is_heard(event))
                self._seen.settle(member, charges=left)
            if own.newest is None or (own.going is None and self._is_heard(own.newest.event)):
                self._fresh.discard(member)
            self._count(member)

    def _count_all(self) -> None:
        self._inside.clear()
        self._counts.clear()
        self._settle([*self._site, *self._seen])

    def told(self, asked_ms: int, *, is_current: bool) -> None:
        """Central named the version that it had at `asked_ms` or later, and it is the one that is here, or is not."""
        if is_current:
            self._confirmed_ms, self._behind_ms = asked_ms, None
        elif self._behind_ms is None:
            self._behind_ms = asked_ms

    def cut(self) -> None:
        """The link is down: nothing is current until central says so again."""
        self._confirmed_ms = self._behind_ms = None

    def is_site_wide(self, now_ms: int) -> bool:
        """Say whether what is here is the whole site's, now."""
        if not self._has_site or not self._is_whole or self._confirmed_ms is None:
            return False
        is_behind = self._behind_ms is not None and now_ms - self._behind_ms >= BEHIND_MS
        return not is_behind and now_ms - self._confirmed_ms < CONFIRMED_MS

    # What a decision asks

    def facts(self, row: DirectoryRow | None, zone: Zone | None, now: Now) -> PresenceFacts:
        """Return what is known of whoever presents a credential, and of the zone behind the door."""
        is_site_wide = self.is_site_wide(now.mono_ms)
        has_limit = zone is not None and zone.limit is not None
        inside = self._counts.get(zone.name, 0) if zone is not None and has_limit else None
        if row is None:
            return PresenceFacts(is_site_wide=is_site_wide, inside=inside)
        where = self._where(row.member)
        return PresenceFacts(
            is_site_wide=is_site_wide,
            zone=None if where is None else where.stay.zone,
            age_ms=_age_ms(where, now),
            is_certain=where is None or where.stay.is_certain,
            is_forgiven=where is not None and where.is_forgiven,
            used=self._used(row),
            inside=inside,
            is_guardian_inside=any(self.is_inside(member) for member in row.guardians),
            is_host_inside=bool(row.host) and self.is_inside(row.host),
        )

    def is_inside(self, member: str) -> bool:
        """Say whether a member is in any zone of the site."""
        return member in self._inside

    def _used(self, row: DirectoryRow) -> int | None:
        """Return the visits used of a pack, None where the directory knows as much: central's count and what is new."""
        if row.pack is None:
            return None
        told, own = self._site.get(row.member), self._seen.of(row.member)
        new = len([event for event in own.charges if not self._is_heard(event)]) + own.is_going_in
        known = row.pack.used if told is None or told.used is None else max(row.pack.used, told.used)
        return known + new if known + new > row.pack.used else None

    def _where(self, member: str) -> _Where | None:
        """Return where a member is, None where nobody knows."""
        seen, told = self._seen.of(member).newest, self._told(member)
        if seen is not None and not (told is not None and self._is_overruled(seen, told)):
            return _Where(seen.stay, seen.is_visitor, seen)
        if told is None:
            return None
        return _Where(told.stay, told.is_visitor, is_forgiven=told.is_forgiven)

    def _told(self, member: str) -> Told | None:
        """Return central's word of a member: outside where it names them nowhere, None where it said nothing yet."""
        if not self._has_site:
            return None
        return self._site.get(member, _ABSENT if self._is_whole else None)

    def _is_overruled(self, seen: Seen, told: Told) -> bool:
        if self._is_heard(seen.event):
            return True
        return told is not _ABSENT and told.stay.since_ms > seen.stay.since_ms + DELAY_MS

    def _is_heard(self, event: EventId) -> bool:
        return event.n <= self._heard.get(event.run, 0)

    def _count(self, member: str) -> None:
        """Count a member in the zone where they are now, and nowhere else."""
        was = self._inside.pop(member, None)
        if was is not None and was[1]:
            self._add(was[0], -1)
        where = self._where(member)
        if where is None or where.stay.zone == OUTSIDE:
            return
        self._inside[member] = (where.stay.zone, where.is_visitor)
        if where.is_visitor:
            self._add(where.stay.zone, 1)

    def _add(self, zone: str, by: int) -> None:
        self._counts[zone] = self._counts.get(zone, 0) + by
        if not self._counts[zone]:
            del self._counts[zone]


def _age_ms(where: _Where | None, now: Now) -> int:
    if where is None or where.stay.zone == OUTSIDE:
        return 0
    if where.seen is not None:
        return where.seen.age_ms(now)
    return max(0, now.mono_ms - where.stay.since_ms)
