"""Days that recur, as RFC 5545, section 3.3.10 writes them. The work is dateutil's.

dateutil looks for the next day until the year 9999, so a rule that never happens costs seconds. `check` lets through
those parts, and those of their combinations, that do happen: no 30 February, no first Monday that is a fifteenth.
"""

import re
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Final

_PARTS: Final = frozenset({"FREQ", "INTERVAL", "BYDAY", "BYMONTHDAY", "BYMONTH", "UNTIL", "COUNT", "WKST"})
_FREQUENCIES: Final = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
_BESIDE_INTERVAL: Final = {
    "DAILY": frozenset[str](),
    "WEEKLY": frozenset({"BYDAY"}),
    "MONTHLY": frozenset({"BYDAY", "BYMONTHDAY"}),
    "YEARLY": frozenset[str](),
}
_PLAIN: Final = re.compile(r"[A-Z0-9=;,+-]{1,200}")
_DAY: Final = re.compile(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_DAYS: Final = {str(number): days for number, days in enumerate((31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), 1)}
YEARS: Final = range(2000, 2200)
"""In which a recurrence may begin."""


class CalendarError(ValueError):
    """A time zone, a date or a recurrence that makes no sense; the text says which and why."""


def day_of(text: str) -> int:
    """Return the day of an ISO date, counted as `date.toordinal`; raise CalendarError where there is none such."""
    try:
        return date.fromisoformat(text).toordinal()
    except ValueError as fault:
        raise CalendarError(f"{text[:20]!a} is not a day of the calendar") from fault


def first_days(rrule: str, from_date: str, count: int) -> list[int]:
    """Return the first days of a recurrence; raise CalendarError for one that is none, or that never happens."""
    _check(rrule)
    begins = date.fromordinal(day_of(from_date))
    if begins.year not in YEARS:
        raise CalendarError(f"recurrence begins on {from_date}; begin between {YEARS[0]} and {YEARS[-1]}")
    try:
        found = [at.toordinal() for at, _ in zip(_parse(rrule, begins), range(count), strict=False)]
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError) as fault:
        raise CalendarError(f"recurrence {rrule!a} cannot be read: {fault}") from fault
    if not found:
        raise CalendarError(f"recurrence {rrule!a} from {from_date} never happens")
    return found


def recurs_on(rrule: str, from_date: str, day: int) -> bool:
    """Say whether a recurrence that was checked falls on a day."""
    month = date.fromordinal(day).replace(day=1).toordinal()
    return day in _in_month(rrule, from_date, month)


@lru_cache(maxsize=256)
def _in_month(rrule: str, from_date: str, month: int) -> frozenset[int]:
    """Return the days of a recurrence in the month that begins on a day."""
    begins = datetime.combine(date.fromordinal(month), time())
    found = _parse(rrule, date.fromisoformat(from_date)).between(begins, begins + timedelta(days=31), inc=True)
    return frozenset(at.toordinal() for at in found)


def _parse(rrule: str, begins: date) -> Any:
    from dateutil.rrule import rrulestr  # imported late: most sites have weekdays only

    return rrulestr(rrule, dtstart=datetime.combine(begins, time()))


def _check(rrule: str) -> None:
    if not _PLAIN.fullmatch(rrule):
        raise CalendarError(f"recurrence {rrule[:80]!a} is not written as RFC 5545 writes one, without spaces")
    pairs = [part.partition("=")[::2] for part in rrule.split(";")]
    parts = dict(pairs)
    if len(parts) != len(pairs) or not parts.keys() <= _PARTS:
        raise CalendarError(f"recurrence {rrule!a} has parts other than {', '.join(sorted(_PARTS))}, or one twice")
    if parts.get("FREQ") not in _FREQUENCIES:
        raise CalendarError(f"recurrence {rrule!a} needs FREQ=DAILY, WEEKLY, MONTHLY or YEARLY")
    if parts["FREQ"] in {"DAILY", "WEEKLY"} and "BYMONTHDAY" in parts:
        raise CalendarError(f"recurrence {rrule!a} names days of a month; use FREQ=MONTHLY")
    by = {name for name in parts if name.startswith("BY")}
    if parts.get("INTERVAL", "1") != "1" and not by <= _BESIDE_INTERVAL[parts["FREQ"]]:
        raise CalendarError(
            f"recurrence {rrule!a}: with this INTERVAL the other BY parts may never meet; leave them out"
        )
    _check_days(rrule, parts)


def _check_days(rrule: str, parts: dict[str, str]) -> None:
    """Refuse days that no month has."""
    months = parts.get("BYMONTH", "1").split(",")
    longest = max(_DAYS.get(month.lstrip("0"), 0) for month in months)
    for named in parts.get("BYMONTHDAY", "1").split(","):
        if not named.lstrip("+-").isdigit() or not 1 <= abs(int(named)) <= longest:
            raise CalendarError(f"recurrence {rrule!a}: no such month has a day {named!a}")
    most = 53 if parts["FREQ"] == "YEARLY" and "BYMONTH" not in parts else 5
    for named in parts.get("BYDAY", "MO").split(","):
        found = _DAY.fullmatch(named)
        if found is None or (found[1] and not 1 <= abs(int(found[1])) <= most):
            raise CalendarError(f"recurrence {rrule!a}: there is no weekday {named!a}")
        if found[1] and ("BYMONTHDAY" in parts or parts["FREQ"] in {"DAILY", "WEEKLY"}):
            raise CalendarError(f"recurrence {rrule!a}: {named} counts weekdays of a month or year, alone")
