"""What can be wrong with a book beyond the types of its items: names that lead nowhere, hours that make no sense.

Each problem is one short sentence that names the item by its key.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from rules.calendar import DAY_MIN, falls_on, time_zone
from rules.recurrence import CalendarError, day_of, first_days
from wire.book import (
    ALWAYS,
    EVERYWHERE,
    AntiPassback,
    BookItem,
    Door,
    Group,
    Here,
    Holiday,
    PassKey,
    Plan,
    Schedule,
    Site,
    Span,
    Window,
    Zone,
    key_of,
)
from wire.vocabulary import AntiPassbackKind, DoorMode

_RECURRENCES_TRIED = 60
_DAYS_TRIED = 800
_A_MONDAY = 735_603  # 2015-01-05
_WEEK = range(_A_MONDAY, _A_MONDAY + 8)


def problems_of(items: tuple[BookItem, ...]) -> tuple[str, ...]:
    """Return everything that is wrong with a book; empty where nothing is."""
    keys = [key_of(item) for item in items]
    names = _Names(set(keys))
    found = [f"{key} stands twice" for key in sorted({key for key in keys if keys.count(key) > 1})]
    if "site" not in keys:
        found.append("the site item is missing")
    for item in items:
        found += [f"{key_of(item)}: {problem}" for problem in _problems(item, names)]
    return tuple(found)


class _Names:
    """What the book holds, and how to say what it does not."""

    def __init__(self, keys: set[str]) -> None:
        self._keys = keys

    def missing(self, kind: str, names: Iterable[str], *, also: str = "") -> Iterator[str]:
        """Say each name for which there is no item of a kind."""
        for name in names:
            if name != also and f"{kind}/{name}" not in self._keys:
                yield f"there is no {kind} {name!r}"

    def missing_schedules(self, names: Iterable[str]) -> Iterator[str]:
        return self.missing("schedule", names, also=ALWAYS)

    def missing_zones(self, names: Iterable[str]) -> Iterator[str]:
        return self.missing("zone", names, also=EVERYWHERE)


def _problems(item: BookItem, names: _Names) -> Iterator[str]:
    match item:
        case Schedule():
            yield from _of_schedule(item)
        case Plan():
            yield from _of_plan(item, names)
        case Group():
            yield from _of_group(item, names)
        case Zone():
            yield from _of_zone(item)
        case Door():
            yield from _of_door(item, names)
        case Here(door=door):
            yield from names.missing("door", [door])
        case _:
            yield from _of_dates(item)


def _of_dates(item: BookItem) -> Iterator[str]:
    match item:
        case Site(tz=tz):
            yield from _tried(lambda: time_zone(tz))
        case Holiday(date=date):
            yield from _tried(lambda: day_of(date))
        case PassKey(valid_from_ms=int(begins), valid_to_ms=int(ends)) if begins >= ends:
            yield "is valid until before it is valid"
        case _:
            pass


def _tried(look_up: Callable[[], object]) -> Iterator[str]:
    try:
        look_up()
    except CalendarError as fault:
        yield str(fault)


# --- schedules -----------------------------------------------------------------------------------------------------


def _of_schedule(schedule: Schedule) -> Iterator[str]:
    if schedule.name == ALWAYS:
        yield f"{ALWAYS!r} is a name that every book has"
    found = [problem for window in schedule.windows for problem in _of_window(window)]
    found += [f"on holidays, {problem}" for span in schedule.holidays or [] for problem in _of_span(span)]
    yield from found
    if not found:
        yield from _overlaps(schedule)


def _of_window(window: Window) -> Iterator[str]:
    yield from _of_span(Span(start_min=window.start_min, end_min=window.end_min, is_overnight=window.is_overnight))
    if bool(window.days) == bool(window.rrule):
        yield f"window {_hours(window)} needs either days or a recurrence"
    if len(set(window.days)) != len(window.days):
        yield f"window {_hours(window)} names a day twice"
    if bool(window.rrule) != (window.from_date is not None):
        yield f"window {_hours(window)}: a recurrence and the date from which it runs go together"
    elif window.from_date is not None:
        begins = window.from_date
        yield from _tried(lambda: first_days(window.rrule, begins, 1))


def _of_span(span: Span) -> Iterator[str]:
    if span.start_min == DAY_MIN:
        yield f"window {_hours(span)} begins where its day ends"
    elif span.is_overnight and span.end_min > span.start_min:
        yield f"window {_hours(span)} is overnight and longer than a day"
    elif not span.is_overnight and span.end_min <= span.start_min:
        yield f"window {_hours(span)} ends before it begins; one across midnight is overnight"


def _overlaps(schedule: Schedule) -> Iterator[str]:
    """Look at a week, at the first days of each recurrence, and at the days after them."""
    days = set(_WEEK)
    for window in schedule.windows:
        if window.from_date is not None:
            first, *later = first_days(window.rrule, window.from_date, _RECURRENCES_TRIED)
            days.update(day for day in (first, *later) if day - first <= _DAYS_TRIED)
    for day in sorted(days | {day + 1 for day in days}):
        today = [window for window in schedule.windows if falls_on(window, day)]
        before = [window for window in schedule.windows if window.is_overnight and falls_on(window, day - 1)]
        spans = [(w.start_min, DAY_MIN if w.is_overnight else w.end_min, _hours(w)) for w in today]
        clash = _first_overlap([*spans, *((0, w.end_min, _hours(w)) for w in before)])
        if clash:
            yield clash
            break
    holiday = [(s.start_min, DAY_MIN if s.is_overnight else s.end_min, _hours(s)) for s in schedule.holidays or []]
    late = [(0, span.end_min, _hours(span)) for span in schedule.holidays or [] if span.is_overnight]
    clash = _first_overlap([*holiday, *late])
    if clash:
        yield f"on holidays, {clash}"


def _first_overlap(spans: list[tuple[int, int, str]]) -> str | None:
    for (_, end, one), (start, _, other) in pairwise(sorted(spans)):
        if start < end:
            return f"windows {one} and {other} overlap"
    return None


def _hours(span: Window | Span) -> str:
    begins, ends = (f"{minute // 60:02}:{minute % 60:02}" for minute in (span.start_min, span.end_min))
    return f"{begins}-{ends}"


# --- the others ----------------------------------------------------------------------------------------------------


def _of_plan(plan: Plan, names: _Names) -> Iterator[str]:
    if not plan.schedules:
        yield f"names no schedules; {ALWAYS!r} is any time"
    if not plan.zones:
        yield f"names no zones; {EVERYWHERE!r} is any of them"
    yield from names.missing_schedules(plan.schedules)
    yield from names.missing_zones(plan.zones)


def _of_group(group: Group, names: _Names) -> Iterator[str]:
    yield from names.missing_schedules(group.schedules)
    yield from names.missing_zones(group.zones)
    yield from names.missing("zone", group.denied_zones)


def _of_zone(zone: Zone) -> Iterator[str]:
    if zone.name == EVERYWHERE:
        yield f"{EVERYWHERE!r} is a name that every book has"
    match zone.anti_passback:
        case AntiPassback(kind=AntiPassbackKind.TIMED, for_s=0):
            yield "timed anti-passback needs for_s"
        case AntiPassback(kind=AntiPassbackKind.HARD | AntiPassbackKind.SOFT, for_s=for_s) if for_s:
            yield "for_s belongs to timed anti-passback"
        case _:
            pass


def _of_door(door: Door, names: _Names) -> Iterator[str]:
    yield from names.missing("zone", [door.zone])
    if door.leaves:
        yield from names.missing("zone", [door.leaves])
    if door.leaves == door.zone:
        yield f"leads from {door.zone} into itself"
    yield from names.missing_schedules(hours.schedule for hours in door.modes)
    if door.after_first_person not in {DoorMode.CARD, DoorMode.UNLOCKED}:
        yield f"after the first person a door is card or unlocked, not {door.after_first_person}"
