"""The book of a site (`wire.book`), made from what staff entered, and checked by the loader that the doors use.

A site for which nobody entered a rule, and no key for passes was made, has no book: its doors ask the rules about the
credential alone.
"""

from collections.abc import Iterable
from datetime import time
from typing import Final
from uuid import UUID

import msgspec

from central.devices.models import Door, Site
from central.directory.models_rules import (
    CredentialClass,
    DoorRules,
    Group,
    Holiday,
    Plan,
    Schedule,
    ScheduleWindow,
    SiteRules,
    Zone,
)
from central.passes import issuing
from rules.book import BookError, load
from wire import book
from wire.vocabulary import AntiPassbackKind, Assurance, Direction, DoorMode, Weekday, WhenOffline, WhenUnsure

_HOUR_S: Final = 3600
_MINUTE_S: Final = 60
_DAY_MIN: Final = 1440


def items_of(site: Site) -> list[book.BookItem]:
    """Return the items of a site's book, in order of their keys; none where nobody entered a rule."""
    rules = SiteRules.objects.filter(site=site).first()
    items = [*_calendar(site), *_plans(site), *_places(site), *_classes(site), *issuing.items_of(site)]
    if not items and rules is None:
        return []
    return sorted([_site(site, rules), *items], key=book.key_of)


def check(site_ids: Iterable[UUID]) -> None:
    """Raise BookError where the book of one of these sites makes no sense, as its doors would find."""
    for site in Site.objects.filter(pk__in=set(site_ids)).order_by("name"):
        try:
            load([_as_read(item) for item in items_of(site)])
        except BookError as refused:
            raise BookError(_for_staff(problem, site) for problem in refused.problems) from refused


def _for_staff(problem: str, site: Site) -> str:
    """Return a problem with doors under the names that staff know."""
    for door in Door.objects.filter(site=site):
        problem = problem.replace(f"door/{door_name(door.pk)}", f"door {door.name}")
    return problem


def door_name(door_id: UUID) -> str:
    """Return the name of a door in the book: its id, as staff may rename it."""
    return str(door_id)


def _as_read(item: book.BookItem) -> book.BookItem:
    """Return the item as a door reads it, types and ranges checked; raise BookError."""
    try:
        return book.read_item(book.item_text(item))
    except msgspec.DecodeError as fault:
        raise BookError([f"{book.key_of(item)}: {fault}"]) from fault


def _site(site: Site, rules: SiteRules | None) -> book.Site:
    if rules is None:
        return book.Site(id=str(site.pk), tz=site.time_zone)
    return book.Site(
        id=str(site.pk),
        tz=site.time_zone,
        needs_plan=rules.needs_plan,
        stale_after_s=_seconds(rules.stale_after_h),
        companions_offline=WhenOffline(rules.companions_offline),
        pack_offline=WhenOffline(rules.pack_offline),
    )


def _calendar(site: Site) -> list[book.BookItem]:
    holidays = Holiday.objects.filter(site=site)
    schedules = Schedule.objects.filter(site=site).prefetch_related("windows")
    return [
        *(book.Holiday(date=holiday.date.isoformat(), name=holiday.name) for holiday in holidays),
        *(_schedule(schedule) for schedule in schedules),
    ]


def _schedule(schedule: Schedule) -> book.Schedule:
    windows = list(schedule.windows.all())
    own = [_span(window) for window in windows if window.is_for_holidays]
    holidays = {Schedule.OnHolidays.SAME.value: None, Schedule.OnHolidays.CLOSED.value: []}.get(
        schedule.on_holidays, own
    )
    return book.Schedule(
        name=schedule.name,
        windows=[_window(window) for window in windows if not window.is_for_holidays],
        holidays=holidays,
    )


def _window(window: ScheduleWindow) -> book.Window:
    return book.Window(
        start_min=_minute(window.starts),
        end_min=_end_minute(window),
        days=[Weekday(day) for day in window.days],
        rrule=window.rrule,
        from_date=None if window.from_date is None else window.from_date.isoformat(),
        is_overnight=window.is_overnight,
    )


def _span(window: ScheduleWindow) -> book.Span:
    return book.Span(start_min=_minute(window.starts), end_min=_end_minute(window), is_overnight=window.is_overnight)


def _plans(site: Site) -> list[book.BookItem]:
    plans = Plan.objects.filter(site=site).prefetch_related("schedules", "zones")
    groups = Group.objects.filter(site=site).prefetch_related("schedules", "zones", "denied_zones")
    return [
        *(
            book.Plan(
                name=plan.name,
                schedules=[book.ALWAYS] if plan.is_always else names(plan.schedules.all()),
                zones=[book.EVERYWHERE] * plan.is_everywhere + names(plan.zones.all()),
            )
            for plan in plans
        ),
        *(
            book.Group(
                name=group.name,
                schedules=names(group.schedules.all()),
                zones=names(group.zones.all()),
                denied_zones=names(group.denied_zones.all()),
            )
            for group in groups
        ),
    ]


def _places(site: Site) -> list[book.BookItem]:
    doors = DoorRules.objects.filter(door__site=site).select_related("zone", "leaves")
    return [
        *(_zone(zone) for zone in Zone.objects.filter(site=site)),
        *(_door(rules) for rules in doors.prefetch_related("hours__schedule")),
    ]


def _zone(zone: Zone) -> book.Zone:
    anti_passback = None
    if zone.anti_passback:
        anti_passback = book.AntiPassback(
            kind=AntiPassbackKind(zone.anti_passback),
            for_s=zone.anti_passback_min * _MINUTE_S,
            amnesty_min=None if zone.amnesty_at is None else _minute(zone.amnesty_at),
            offline=WhenOffline(zone.anti_passback_offline),
        )
    return book.Zone(
        name=zone.name,
        limit=zone.limit,
        limit_offline=WhenOffline(zone.limit_offline),
        anti_passback=anti_passback,
        assurance=Assurance(zone.assurance),
        is_listed_only=zone.is_listed_only,
    )


def _door(rules: DoorRules) -> book.Door:
    return book.Door(
        name=door_name(rules.door_id),
        zone=rules.zone.name,
        leaves="" if rules.leaves is None else rules.leaves.name,
        directions=[Direction(way) for way in rules.directions],
        mode=DoorMode(rules.mode),
        modes=[book.ModeHours(schedule=hours.schedule.name, mode=DoorMode(hours.mode)) for hours in rules.hours.all()],
        unsure_mode=DoorMode(rules.unsure_mode),
        after_first_person=DoorMode(rules.after_first_person),
    )


def _classes(site: Site) -> list[book.BookItem]:
    return [
        book.CredentialClass(
            name=found.name,
            clock_unknown=WhenUnsure(found.clock_unknown),
            stale_after_s=_seconds(found.stale_after_h),
        )
        for found in CredentialClass.objects.filter(site=site)
    ]


def names(things: Iterable[Schedule | Zone | Group]) -> list[str]:
    """Return the names of things, sorted."""
    return sorted(thing.name for thing in things)


def _seconds(hours: int | None) -> int | None:
    return None if hours is None else hours * _HOUR_S


def _minute(at: time) -> int:
    return at.hour * 60 + at.minute


def _end_minute(window: ScheduleWindow) -> int:
    """Return the end; midnight is the end of the day on which the window began, unless it goes on overnight."""
    minute = _minute(window.ends)
    return _DAY_MIN if minute == 0 and not window.is_overnight else minute
