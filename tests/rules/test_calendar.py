"""What the site's clock shows, and what is open then."""

from datetime import date

import pytest

from rules.book import load
from rules.calendar import Calendar, Local
from rules.recurrence import YEARS
from tests.rules.builders import BOOK, ITEMS, MADRID, WORKDAYS, at
from wire.book import Holiday, Schedule, Span, Window
from wire.vocabulary import Weekday

pytestmark = pytest.mark.unit


def calendar(*windows: Window, holidays: list[Span] | None = None, on: tuple[str, ...] = ()) -> Calendar:
    book = load([*ITEMS, Schedule(name="s", windows=list(windows), holidays=holidays), *(Holiday(date=d) for d in on)])
    assert book is not None
    return book.calendar


def opens(tried: Calendar, *moments: int) -> list[bool]:
    return [tried.is_open(["s"], tried.local(moment)) for moment in moments]


NIGHT = Window(start_min=1320, end_min=360, days=[Weekday.FR], is_overnight=True)


def test_a_window_across_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    moments = [at(f"2027-01-{t}") for t in ("15T21:59", "15T22:00", "16T05:59", "16T06:00", "15T05:00", "16T22:00")]
    assert opens(calendar(NIGHT), *moments) == [False, True, True, False, False, False]


def test_a_window_that_ends_at_midnight_leaves_nothing_for_the_next_day() -> None:
    tried = calendar(Window(start_min=1320, end_min=0, days=[Weekday.FR], is_overnight=True))
    assert opens(tried, at("2027-01-15T23:59:59"), at("2027-01-16T00:00")) == [True, False]


def test_a_holiday_has_its_own_hours_and_last_night_goes_on_into_it() -> None:
    tried = calendar(NIGHT, holidays=[Span(start_min=600, end_min=660)], on=("2027-01-16", "2027-01-22"))
    assert opens(tried, at("2027-01-16T03:00"), at("2027-01-16T10:30"), at("2027-01-16T11:00")) == [True, True, False]
    assert opens(tried, at("2027-01-22T22:30"), at("2027-01-22T10:30"), at("2027-01-23T03:00")) == [False, True, False]


def test_a_holiday_changes_nothing_where_the_schedule_says_nothing_of_it() -> None:
    assert opens(calendar(NIGHT, on=("2027-01-15",)), at("2027-01-15T23:00")) == [True]


def test_recurrence_is_that_of_the_calendar() -> None:
    first_monday = Window(start_min=600, end_min=660, rrule="FREQ=MONTHLY;BYDAY=1MO", from_date="2026-01-01")
    tried = calendar(first_monday)
    assert opens(tried, at("2027-02-01T10:30"), at("2027-02-08T10:30"), at("2025-12-01T10:30")) == [True, False, False]
    fortnight = Window(
        start_min=600, end_min=660, rrule="FREQ=WEEKLY;INTERVAL=2;UNTIL=20270201", from_date="2027-01-04"
    )
    tried = calendar(fortnight)
    moments = [at(f"2027-{day}T10:30") for day in ("01-04", "01-11", "01-18", "02-01", "02-15")]
    assert opens(tried, *moments) == [True, False, True, True, False]


def test_hours_are_those_of_the_clock_when_summer_begins_and_ends() -> None:
    tried = calendar(Window(start_min=120, end_min=180, days=[Weekday.SU]))
    assert opens(tried, at("2027-03-28T01:59:59"), at("2027-03-28T03:00")) == [False, False]
    twice = [at("2027-10-31T02:30"), at("2027-10-31T02:30", fold=1), at("2027-10-31T03:00")]
    assert twice[1] - twice[0] == 3_600_000
    assert opens(tried, *twice) == [True, True, False]


def test_last_midnight_is_a_longer_time_ago_after_summer_ended() -> None:
    assert BOOK.calendar.ms_since(0, at("2027-10-31T12:00")) == 13 * 3_600_000
    assert BOOK.calendar.ms_since(1440, at("2027-03-28T12:00")) == 11 * 3_600_000
    assert BOOK.calendar.ms_since(721, at("2027-01-13T12:00")) == 24 * 3_600_000 - 60_000
    assert BOOK.calendar.ms_since(720, at("2027-01-13T12:00")) == 0


@pytest.mark.parametrize("wall_ms", [-(2**53), -1, 0, 2**53, at("2037-06-01T12:00"), at("2017-06-01T12:00")])
def test_no_clock_is_too_wrong_to_be_asked(wall_ms: int) -> None:
    shown = BOOK.calendar.local(wall_ms)
    assert 0 <= shown.minute < 1440
    assert BOOK.calendar.ms_since(240, wall_ms) < 25 * 3_600_000
    assert isinstance(opens(calendar(NIGHT), wall_ms)[0], bool)


def test_clock_that_is_far_ahead_costs_no_more_than_the_last_year_of_recurrences() -> None:
    shown = BOOK.calendar.local(2**53)
    assert shown.day == date(YEARS.stop, 1, 1).toordinal()
    assert BOOK.calendar.local(at("2199-12-31T12:00")).day == shown.day - 1


def test_what_was_worked_out_is_remembered_and_bounded() -> None:
    tried = calendar(Window(start_min=600, end_min=660, days=WORKDAYS))
    first = tried.spans("s", 740_000)
    assert tried.spans("s", 740_000) is first
    for day in range(2_000):
        tried.spans("s", 730_000 + day)
    assert len(tried._days) <= 256


def test_a_day_can_be_worked_out_before_anybody_comes() -> None:
    tried = calendar(Window(start_min=600, end_min=660, days=WORKDAYS))
    tried.prepare(at("2027-01-13T12:00"))
    today = tried.local(at("2027-01-13T12:00")).day
    assert {("s", today), ("s", today + 1)} <= tried._days.keys()


def test_a_schedule_that_nobody_knows_is_never_open() -> None:
    assert not Calendar(MADRID, frozenset(), {}).is_open(["x"], Local(740_000, 600))
    assert Calendar(MADRID, frozenset(), {}).is_open(["x", "always"], Local(740_000, 600))
