"""The rules that look at who is where: companions, packs, anti-passback and how many are inside.

While the link is up they look at the whole site; while it is down each does what the book says: it is not asked, it
denies, or it goes by what this device has seen itself.
"""

from collections.abc import Iterator
from typing import Final, assert_never

from rules.case import DAY_MS, Case
from wire.book import AntiPassback
from wire.vocabulary import VISITORS, AntiPassbackKind, WhenOffline

_SURELY_A_DAY_MS: Final = DAY_MS + 3_600_000
"""Every minute of the day was shown within this time, also when summer began."""


def needs_link(case: Case) -> bool:
    """Say whether one of the rules here may only be answered for the whole site, and the link is down."""
    return any(case.refuses(when_offline) for when_offline in _looked_at(case))


def is_without_guardian(case: Case) -> bool:
    """Say whether a minor comes alone."""
    return bool(case.row.guardians) and _asks_for_companions(case) and not case.facts.presence.is_guardian_inside


def is_without_host(case: Case) -> bool:
    """Say whether a guest comes before the host."""
    return bool(case.row.host) and _asks_for_companions(case) and not case.facts.presence.is_host_inside


def has_no_visits_left(case: Case) -> bool:
    """Say whether the pack is used up, by the directory's count or by the site's, whichever is higher.

    Inner doors charge no visit and ask for none: whoever is there has paid for being inside.
    """
    pack, book = case.row.pack, case.facts.book
    if pack is None or case.is_leaving_by_toggle or _is_inner(case):
        return False
    if book is not None and not case.asks(book.site.pack_offline):
        return False
    return max(pack.used, case.facts.presence.used or 0) >= pack.visits


def is_inside(case: Case) -> bool:
    """Say whether anti-passback holds against the holder."""
    rule = _anti_passback(case)
    if rule is None or not case.facts.presence.is_certain:
        return False
    match rule.kind:
        case AntiPassbackKind.HARD:
            return True
        case AntiPassbackKind.TIMED:
            return case.facts.presence.age_ms < rule.for_s * 1000
        case AntiPassbackKind.SOFT:
            return False
        case _:
            assert_never(rule.kind)


def is_softly_inside(case: Case) -> bool:
    """Say whether staff are to be told that the holder comes in twice."""
    rule = _anti_passback(case)
    return rule is not None and rule.kind is AntiPassbackKind.SOFT


def is_perhaps_inside(case: Case) -> bool:
    """Say whether staff are to be told that a crash hid whether the holder is inside."""
    rule = _anti_passback(case)
    return rule is not None and rule.kind is not AntiPassbackKind.SOFT and not case.facts.presence.is_certain


def is_full(case: Case) -> bool:
    """Say whether the zone holds as many people as it may. Staff, cleaners and contractors come in all the same."""
    zone, inside = case.zone, case.facts.presence.inside
    if zone is None or zone.limit is None or inside is None or case.is_leaving_by_toggle:
        return False
    return case.row.holder in VISITORS and case.asks(zone.limit_offline) and inside >= zone.limit


def _anti_passback(case: Case) -> AntiPassback | None:
    """Return the zone's anti-passback where the holder is inside by the record and nothing has settled that."""
    zone, presence = case.zone, case.facts.presence
    rule = zone.anti_passback if zone is not None else None
    if zone is None or rule is None or presence.zone != zone.name or presence.is_forgiven:
        return None
    if case.is_leaving_by_toggle or not case.asks(rule.offline) or _is_amnestied(case, rule):
        return None
    return rule


def _is_amnestied(case: Case, rule: AntiPassback) -> bool:
    """Say whether the site's clock showed the minute of amnesty since the holder came in."""
    if rule.amnesty_min is None:
        return False
    age_ms, book = case.facts.presence.age_ms, case.facts.book
    if case.local is None or book is None:
        return age_ms >= _SURELY_A_DAY_MS
    return age_ms > book.calendar.ms_since(rule.amnesty_min, case.wall_ms)


def _is_inner(case: Case) -> bool:
    """Say whether the door leads on from another zone of the site."""
    return case.door is not None and bool(case.door.leaves)


def _asks_for_companions(case: Case) -> bool:
    book = case.facts.book
    return not case.is_leaving_by_toggle and (book is None or case.asks(book.site.companions_offline))


def _looked_at(case: Case) -> Iterator[WhenOffline]:
    """Yield what each rule that concerns this holder at this door does while the link is down."""
    row, zone, book = case.row, case.zone, case.facts.book
    if book is None or case.is_leaving_by_toggle:
        return
    if row.guardians or row.host:
        yield book.site.companions_offline
    if row.pack is not None and not _is_inner(case):
        yield book.site.pack_offline
    if zone is not None and zone.anti_passback is not None:
        yield zone.anti_passback.offline
    if zone is not None and zone.limit is not None and row.holder in VISITORS:
        yield zone.limit_offline
