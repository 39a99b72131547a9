"""The second opinion: one long look at one presentation, top to bottom as `docs/rules.md` tells it.

Nothing here is fast, remembered or shared. Hours are compared as moments of the site's clock, a recurrence is asked day
by day whether it falls on that day.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from wire.book import (
    AntiPassback,
    BookItem,
    CredentialClass,
    Door,
    Group,
    Holiday,
    Plan,
    Schedule,
    Site,
    Span,
    Window,
    Zone,
)
from wire.facts import DoorFacts, PresenceFacts
from wire.rows import DirectoryRow

T = TypeVar("T")
DAY = timedelta(days=1)
WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
STRENGTH = {"low": 1, "medium": 2, "high": 3}
Verdict = tuple[str, frozenset[str]]
"""The reason, `member_valid` for a grant, and what staff are told."""


@dataclass(frozen=True, slots=True)
class Presented:
    """One presentation and everything around it; without items there is no book."""

    items: tuple[BookItem, ...]
    row: DirectoryRow | None
    has_directory: bool
    direction: str
    wall_ms: int
    is_clock_known: bool
    door: DoorFacts
    presence: PresenceFacts
    stale_s: int
    pass_fault: str = ""


def judge(seen: Presented) -> Verdict:
    """Return the verdict on a presentation."""
    if not seen.has_directory:
        return denied("no_directory")
    if seen.pass_fault and seen.pass_fault != "clock_unknown":
        return denied(seen.pass_fault)
    row = seen.row
    if row is None:
        return denied("unknown_credential")
    if row.is_revoked:
        return denied("credential_revoked")
    door = next((one for one in of(Door, seen.items) if one.name == seen.door.door), None)
    if door is not None and door.directions:
        ways = {way.value for way in door.directions}
        fits = seen.direction in ways or (seen.direction == "toggle" and ways >= {"in", "out"})
        if not fits:
            return denied("wrong_direction")
    if seen.direction == "out":
        return denied("clock_unknown") if seen.pass_fault else ("member_valid", frozenset())
    for objection in about_the_holder(seen, row):
        return denied(objection)
    return at_the_door(seen, row, door)


def denied(reason: str) -> Verdict:
    """Return a denial."""
    return reason, frozenset()


def about_the_holder(seen: Presented, row: DirectoryRow) -> Iterator[str]:
    """Yield what speaks against the holder, whichever door this is; nothing lifts it."""
    yield from about_standing(seen, row)
    yield from about_dates(seen, row)
    if any(site.needs_plan for site in of(Site, seen.items)) and not row.plan and is_visitor(row):
        yield "no_plan"


def about_standing(seen: Presented, row: DirectoryRow) -> Iterator[str]:
    if seen.door.is_revoked:
        yield "device_revoked"
    is_nowhere = seen.door.door == "" and any(isinstance(item, Door) for item in seen.items)
    if is_nowhere or not all_named_items_exist(seen, row):
        yield "misconfigured"
    if seen.door.lockdown > row.clearance:
        yield "lockdown"
    if not row.is_active:
        yield "member_inactive"
    if row.is_blocked:
        yield "member_blocked"
    kept_for_s = None
    for site in of(Site, seen.items):
        own = class_of(seen, row)
        kept_for_s = own.stale_after_s if own and own.stale_after_s is not None else site.stale_after_s
    if kept_for_s is not None and kept_for_s < seen.stale_s:
        yield "directory_stale"


def about_dates(seen: Presented, row: DirectoryRow) -> Iterator[str]:
    if seen.pass_fault:
        yield "clock_unknown"
    own = class_of(seen, row)
    if not seen.is_clock_known and depends_on_time(seen, row) and (own is None or own.clock_unknown == "deny"):
        yield "clock_unknown"
    if seen.is_clock_known and row.valid_from_ms is not None and row.valid_from_ms > seen.wall_ms:
        yield "not_yet_valid"
    if row.valid_to_ms is not None and not seen.wall_ms < row.valid_to_ms:
        yield "expired"
    if row.paid_to_ms is not None and not seen.wall_ms < row.paid_to_ms + row.grace_days * 24 * 60 * 60 * 1000:
        yield "unpaid"


def at_the_door(seen: Presented, row: DirectoryRow, door: Door | None) -> Verdict:
    """Return the verdict on somebody against whom nothing speaks but perhaps the place and the time."""
    zone = next((one for one in of(Zone, seen.items) if door is not None and one.name == door.zone), None)
    if zone is not None and STRENGTH[row.assurance.value] < STRENGTH[zone.assurance.value]:
        return denied("low_assurance")
    objections = list(about_the_place(seen, row, door, zone))
    if objections and "override" not in row.rights:
        return denied(objections[0])
    told = set(for_staff(seen, row, zone))
    return "member_valid", frozenset(told | ({"override"} if objections else set()))


def about_the_place(seen: Presented, row: DirectoryRow, door: Door | None, zone: Zone | None) -> Iterator[str]:
    """Yield what speaks against coming in here and now; a right to override lifts all of it."""
    if zone is not None and not is_open_to(seen, row, zone):
        yield "zone_not_allowed"
    mode = mode_of(seen, door)
    if mode == "locked":
        yield "door_locked"
    if mode == "maintenance" and "maintenance" not in row.rights:
        yield "maintenance"
    if mode == "first_person" and "first_person" not in row.rights:
        yield "first_person_missing"
    if seen.is_clock_known and not any(is_open(seen, name) for name in hours_of(seen, row)):
        yield "outside_hours"
    for group in groups_of(seen, row):
        if seen.is_clock_known and group.schedules and not any(is_open(seen, name) for name in group.schedules):
            yield "outside_group_hours"
            break
    yield from about_who_is_where(seen, row, zone)


def about_who_is_where(seen: Presented, row: DirectoryRow, zone: Zone | None) -> Iterator[str]:
    """Yield what the whereabouts of people say against coming in."""
    if not leaves_by_toggle(seen, zone):
        yield from about_others(seen, row, zone)
        yield from about_counts(seen, row, zone)


def about_others(seen: Presented, row: DirectoryRow, zone: Zone | None) -> Iterator[str]:
    alone = not seen.presence.is_site_wide
    [companions, packs] = [
        next((getattr(site, name).value for site in of(Site, seen.items)), "local")
        for name in ("companions_offline", "pack_offline")
    ]
    rule = zone.anti_passback if zone is not None else None
    limit = zone.limit if zone is not None and is_visitor(row) else None
    if alone and (
        (companions == "deny" and (row.guardians or row.host))
        or (packs == "deny" and row.pack is not None and not leads_further_in(seen))
        or (rule is not None and rule.offline == "deny")
        or (zone is not None and limit is not None and zone.limit_offline == "deny")
    ):
        yield "needs_link"
    if row.guardians and not seen.presence.is_guardian_inside and not (alone and companions == "allow"):
        yield "guardian_absent"
    if row.host and not seen.presence.is_host_inside and not (alone and companions == "allow"):
        yield "host_absent"


def about_counts(seen: Presented, row: DirectoryRow, zone: Zone | None) -> Iterator[str]:
    alone = not seen.presence.is_site_wide
    packs = next((site.pack_offline.value for site in of(Site, seen.items)), "local")
    if row.pack is not None and not leads_further_in(seen) and not (alone and packs == "allow"):
        counts = [row.pack.used] + ([seen.presence.used] if seen.presence.used is not None else [])
        if any(count >= row.pack.visits for count in counts):
            yield "pack_empty"
    found = passback(seen, zone)
    if found is not None and seen.presence.is_certain:
        held_ms = {"hard": None, "soft": 0, "timed": found.for_s * 1000}[found.kind.value]
        if held_ms is None or seen.presence.age_ms < held_ms:
            yield "anti_passback"
    if zone is not None and zone.limit is not None and not (alone and zone.limit_offline == "allow"):
        inside = seen.presence.inside
        if inside is not None and inside >= zone.limit and is_visitor(row):
            yield "zone_full"


def for_staff(seen: Presented, row: DirectoryRow, zone: Zone | None) -> Iterator[str]:
    """Yield what staff are told beside a grant."""
    if row.paid_to_ms is not None and seen.wall_ms >= row.paid_to_ms:
        yield "payment_grace"
    found = passback(seen, zone)
    if found is not None and found.kind == "soft":
        yield "anti_passback_soft"
    if found is not None and found.kind != "soft" and not seen.presence.is_certain:
        yield "presence_uncertain"


# --- who and where -------------------------------------------------------------------------------------------------


def of(kind: type[T], items: Iterable[BookItem]) -> list[T]:
    return [item for item in items if isinstance(item, kind)]


def is_visitor(row: DirectoryRow) -> bool:
    return row.holder in {"member", "guest"}


def class_of(seen: Presented, row: DirectoryRow) -> CredentialClass | None:
    name = row.cls or row.kind.value
    return next((one for one in of(CredentialClass, seen.items) if one.name == name), None)


def groups_of(seen: Presented, row: DirectoryRow) -> list[Group]:
    return [group for group in of(Group, seen.items) if group.name in row.groups]


def all_named_items_exist(seen: Presented, row: DirectoryRow) -> bool:
    """Say whether everything that the row and the door name stands in the book."""
    has_book = ["always", "everywhere"] if seen.items else []
    wanted: list[tuple[list[str], list[str]]] = [
        ([seen.door.door], [item.name for item in of(Door, seen.items)]),
        ([row.plan], [item.name for item in of(Plan, seen.items)]),
        ([row.cls], [item.name for item in of(CredentialClass, seen.items)]),
        (row.groups, [item.name for item in of(Group, seen.items)]),
        (row.schedules, [item.name for item in of(Schedule, seen.items)] + has_book[:1]),
        (row.zones, [item.name for item in of(Zone, seen.items)] + has_book[1:]),
    ]
    return not any(name and name not in known for names, known in wanted for name in names)


def plan_of(seen: Presented, row: DirectoryRow) -> Plan | None:
    return next((plan for plan in of(Plan, seen.items) if plan.name == row.plan), None)


def hours_of(seen: Presented, row: DirectoryRow) -> list[str]:
    plan = plan_of(seen, row)
    if plan is not None:
        return [*plan.schedules, *row.schedules]
    return row.schedules or ["always"]


def depends_on_time(seen: Presented, row: DirectoryRow) -> bool:
    if row.valid_from_ms is not None or row.valid_to_ms is not None or row.paid_to_ms is not None:
        return True
    return "always" not in hours_of(seen, row) or any(group.schedules for group in groups_of(seen, row))


def is_open_to(seen: Presented, row: DirectoryRow, zone: Zone) -> bool:
    plan, groups = plan_of(seen, row), groups_of(seen, row)
    if any(zone.name in group.denied_zones for group in groups):
        return False
    named = list(row.zones) if plan is None else plan.zones + row.zones
    if plan is None and not named:
        named = ["everywhere"]
    for group in groups:
        named = named + group.zones
    return zone.name in named or ("everywhere" in named and not zone.is_listed_only)


def leads_further_in(seen: Presented) -> bool:
    """Say whether one comes to the door from another zone: then the visit is paid for."""
    return any(door.name == seen.door.door and door.leaves != "" for door in of(Door, seen.items))


def leaves_by_toggle(seen: Presented, zone: Zone | None) -> bool:
    where = seen.presence.zone
    return seen.direction == "toggle" and zone is not None and where == zone.name and seen.presence.is_certain


def passback(seen: Presented, zone: Zone | None) -> AntiPassback | None:
    """Return the rule that holds as the record has the holder inside, None where nothing does."""
    if zone is None or zone.anti_passback is None or leaves_by_toggle(seen, zone):
        return None
    rule, presence = zone.anti_passback, seen.presence
    if presence.zone != zone.name or presence.is_forgiven:
        return None
    if not presence.is_site_wide and rule.offline == "allow":
        return None
    if rule.amnesty_min is not None:
        if not seen.is_clock_known:
            return None if presence.age_ms >= 25 * 60 * 60 * 1000 else rule
        if was_shown_since(seen, rule.amnesty_min):
            return None
    return rule


# --- time ----------------------------------------------------------------------------------------------------------


def zone_info(seen: Presented) -> ZoneInfo:
    return ZoneInfo(of(Site, seen.items)[0].tz)


def shown(seen: Presented) -> datetime:
    """Return what the site's clock shows, without a zone."""
    return datetime.fromtimestamp(seen.wall_ms / 1000, zone_info(seen)).replace(tzinfo=None)


def was_shown_since(seen: Presented, minute: int) -> bool:
    """Say whether the clock showed the minute of amnesty after the holder came in."""
    came_ms, tz = seen.wall_ms - seen.presence.age_ms, zone_info(seen)
    day = shown(seen).date() + DAY
    for _ in range(4):
        moment = datetime(day.year, day.month, day.day, minute // 60 % 24, minute % 60, tzinfo=tz)
        if came_ms < int(moment.timestamp() * 1000) <= seen.wall_ms:
            return True
        day -= DAY
    return seen.presence.age_ms > 30 * 60 * 60 * 1000


def mode_of(seen: Presented, door: Door | None) -> str:
    """Return the mode that the door is in."""
    mode = "card"
    if seen.door.mode is not None:
        mode = seen.door.mode.value
    elif door is not None:
        mode = door.mode.value
        if door.modes and not seen.is_clock_known:
            mode = door.unsure_mode.value
        elif door.modes:
            fitting = [slot.mode.value for slot in door.modes if is_open(seen, slot.schedule)]
            mode = fitting[0] if fitting else mode
    if mode == "first_person" and seen.door.is_first_person_in:
        return door.after_first_person.value if door is not None else "card"
    return mode


def is_open(seen: Presented, name: str) -> bool:
    """Say whether a schedule is open."""
    if name == "always":
        return True
    clock = shown(seen)
    holidays = {item.date for item in of(Holiday, seen.items)}
    for schedule in of(Schedule, seen.items):
        if schedule.name != name:
            continue
        for day in (clock.date() - DAY, clock.date()):
            midnight = datetime.combine(day, time())
            for window in windows_on(schedule, day, holidays):
                begins = midnight + timedelta(minutes=window.start_min)
                ends = midnight + timedelta(minutes=window.end_min) + (DAY if window.is_overnight else timedelta())
                if begins <= clock < ends:
                    return True
    return False


def windows_on(schedule: Schedule, day: date, holidays: set[str]) -> list[Window] | list[Span]:
    if schedule.holidays is not None and day.isoformat() in holidays:
        return schedule.holidays
    return [window for window in schedule.windows if falls_on(window, day)]


def falls_on(window: Window, day: date) -> bool:
    """Say whether a window begins on a day; of recurrences it knows those that `cases` makes."""
    if window.from_date is None:
        return WEEKDAYS[day.weekday()] in [weekday.value for weekday in window.days]
    first = date.fromisoformat(window.from_date)
    parts = dict(part.split("=") for part in window.rrule.split(";"))
    if day < first or ("UNTIL" in parts and day.strftime("%Y%m%d") > parts["UNTIL"]):
        return False
    every = int(parts.get("INTERVAL", 1))
    match parts["FREQ"]:
        case "DAILY":
            return (day - first).days % every == 0
        case "WEEKLY":
            weeks = ((day - timedelta(day.weekday())) - (first - timedelta(first.weekday()))).days // 7
            return weeks % every == 0 and WEEKDAYS[day.weekday()] in parts["BYDAY"].split(",")
        case "MONTHLY" if "BYMONTHDAY" in parts:
            last = ((day.replace(day=28) + 4 * DAY).replace(day=1) - DAY).day
            wanted = int(parts["BYMONTHDAY"])
            return day.day == (wanted if wanted > 0 else last + 1 + wanted)
        case "MONTHLY":
            number, weekday = int(parts["BYDAY"][:-2]), parts["BYDAY"][-2:]
            if WEEKDAYS[day.weekday()] != weekday:
                return False
            return (day.day - 1) // 7 + 1 == number if number > 0 else (day + 7 * DAY).month != day.month
        case _:
            return (day.month, day.day) == (int(parts["BYMONTH"]), int(parts["BYMONTHDAY"]))
