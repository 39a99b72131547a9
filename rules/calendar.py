"""Days and hours at a site: what its clock shows, and which schedules are open then.

Alone among the pure modules this one and `rules.recurrence` know dates; they read no clock. Time zones are IANA's.
Hours compare with what the site's clock shows: on the day that summer begins an hour is missing from them, on the day
that it ends one comes twice. What was worked out for a day is remembered.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final

from msgspec import Struct

from rules.recurrence import YEARS, CalendarError, recurs_on
from wire.book import ALWAYS, Schedule, Span, Window
from wire.vocabulary import Weekday

DAY_MIN: Final = 1440
_WEEKDAYS: Final = tuple(Weekday)
_DAYS_REMEMBERED: Final = 256
_FIRST_MS: Final = 0
_LAST_MS: Final = int(datetime(YEARS.stop, 1, 1, tzinfo=UTC).timestamp()) * 1000
"""Wall times outside these are no times of a site: they count as the nearer end.

No recurrence may begin later, and one is followed from where it began: in the year 9997 that takes seconds a day.
"""

Spans = tuple[tuple[int, int], ...]
"""From and to, in minutes of one day; the end is outside."""


class Local(Struct, frozen=True):
    """What the site's clock shows: the day, counted as `date.toordinal`, and the minute of it."""

    day: int
    minute: int


class Calendar:
    """The schedules of one site. Windows were checked by `rules.book`; `holidays` are days as in `Local`."""

    def __init__(self, tz: tzinfo, holidays: frozenset[int], schedules: dict[str, Schedule]) -> None:
        self._tz = tz
        self._holidays = holidays
        self._schedules = schedules
        self._days: dict[tuple[str, int], Spans] = {}

    def local(self, wall_ms: int) -> Local:
        """Return what the site's clock shows at a wall time."""
        shown = self._shown(wall_ms)
        return Local(shown.toordinal(), shown.hour * 60 + shown.minute)

    def ms_since(self, minute: int, wall_ms: int) -> int:
        """Return how long ago the site's clock last showed this minute of a day."""
        moment, today = _clamped(wall_ms), self._shown(wall_ms).date()
        at = time(minute % DAY_MIN // 60, minute % 60)
        since = [moment - _wall_ms(datetime.combine(today - timedelta(back), at, self._tz)) for back in range(3)]
        return min(passed for passed in since if passed >= 0)

    def is_open(self, schedules: Iterable[str], at: Local) -> bool:
        """Say whether any of the schedules is open; one that the book does not hold never is."""
        return any(
            name == ALWAYS or any(start <= at.minute < end for start, end in self.spans(name, at.day))
            for name in schedules
        )

    def prepare(self, wall_ms: int) -> None:
        """Work out the day of a moment and the next, so that no decision has to; recurrences take milliseconds."""
        day = self.local(wall_ms).day
        for name in self._schedules:
            self.spans(name, day)
            self.spans(name, day + 1)

    def spans(self, schedule: str, day: int) -> Spans:
        """Return when a schedule is open on a day, what began the evening before included."""
        known = self._days.get((schedule, day))
        if known is None:
            if len(self._days) >= _DAYS_REMEMBERED:
                self._days.clear()
            known = self._days[schedule, day] = self._work_out(self._schedules.get(schedule), day)
        return known

    def _work_out(self, schedule: Schedule | None, day: int) -> Spans:
        if schedule is None:
            return ()
        own = ((span.start_min, DAY_MIN if span.is_overnight else span.end_min) for span in self._of(schedule, day))
        late = ((0, span.end_min) for span in self._of(schedule, day - 1) if span.is_overnight)
        return tuple(sorted(span for span in (*own, *late) if span[0] < span[1]))

    def _of(self, schedule: Schedule, day: int) -> list[Window] | list[Span]:
        if schedule.holidays is not None and day in self._holidays:
            return schedule.holidays
        return [window for window in schedule.windows if falls_on(window, day)]

    def _shown(self, wall_ms: int) -> datetime:
        return datetime.fromtimestamp(_clamped(wall_ms) / 1000, self._tz)


def falls_on(window: Window, day: int) -> bool:
    """Say whether a window begins on a day."""
    if not window.rrule:
        return _WEEKDAYS[(day - 1) % 7] in window.days
    assert window.from_date is not None
    return recurs_on(window.rrule, window.from_date, day)


def time_zone(name: str) -> tzinfo:
    """Return an IANA time zone; raise CalendarError for an unknown one."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # imported late: an agent without a book needs neither

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as fault:
        raise CalendarError(f"time zone {name[:40]!a} is not known; use a name such as Europe/Madrid") from fault


def _clamped(wall_ms: int) -> int:
    return min(max(wall_ms, _FIRST_MS), _LAST_MS)


def _wall_ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
