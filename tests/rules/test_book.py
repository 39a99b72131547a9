"""A book that makes no sense is refused as a whole, and says everything that is wrong with it."""

import pytest

from rules.book import BookError, load
from tests.rules.builders import BOOK, ITEMS, WORKDAYS
from wire.book import (
    AntiPassback,
    BookItem,
    Door,
    Group,
    Here,
    Holiday,
    ModeHours,
    PassKey,
    Plan,
    Schedule,
    Site,
    Span,
    Window,
    Zone,
)
from wire.vocabulary import AntiPassbackKind, DoorMode, Weekday

pytestmark = pytest.mark.unit


def hours(start_min: int, end_min: int, *days: Weekday, **said: object) -> Window:
    return Window(start_min=start_min, end_min=end_min, days=list(days or WORKDAYS), **said)  # type: ignore[arg-type]


def recurring(rrule: str, from_date: str | None = "2027-01-01", start_min: int = 60) -> Window:
    return Window(start_min=start_min, end_min=start_min + 60, rrule=rrule, from_date=from_date)


def schedule(*windows: Window, holidays: list[Span] | None = None) -> Schedule:
    return Schedule(name="s", windows=list(windows), holidays=holidays)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (ITEMS[2], "schedule/day stands twice"),
        (Here(door="south"), "there is no door 'south'"),
        (Holiday(date="2027-02-29"), "'2027-02-29' is not a day"),
        (Plan(name="p", schedules=[], zones=["gym"]), "names no schedules"),
        (Plan(name="p", schedules=["always"], zones=[]), "names no zones"),
        (Plan(name="p", schedules=["x"], zones=["gym"]), "there is no schedule 'x'"),
        (Plan(name="p", schedules=["always"], zones=["x"]), "there is no zone 'x'"),
        (Group(name="g", schedules=["x"]), "there is no schedule 'x'"),
        (Group(name="g", zones=["x"]), "there is no zone 'x'"),
        (Group(name="g", denied_zones=["everywhere"]), "there is no zone 'everywhere'"),
        (Zone(name="everywhere"), "every book has"),
        (Zone(name="z", anti_passback=AntiPassback(kind=AntiPassbackKind.TIMED)), "needs for_s"),
        (Zone(name="z", anti_passback=AntiPassback(kind=AntiPassbackKind.HARD, for_s=1)), "belongs to timed"),
        (Door(name="d", zone="x"), "there is no zone 'x'"),
        (Door(name="d", zone="gym", leaves="x"), "there is no zone 'x'"),
        (Door(name="d", zone="gym", leaves="gym"), "into itself"),
        (Door(name="d", zone="gym", modes=[ModeHours(schedule="x", mode=DoorMode.CARD)]), "there is no schedule 'x'"),
        (Door(name="d", zone="gym", after_first_person=DoorMode.LOCKED), "card or unlocked, not locked"),
        (PassKey(kid="k", public="00" * 32, valid_from_ms=2, valid_to_ms=2), "until before"),
        (Schedule(name="always", windows=[]), "every book has"),
        (schedule(hours(600, 540)), "10:00-09:00 ends before it begins"),
        (schedule(hours(600, 600)), "ends before it begins"),
        (schedule(hours(1440, 1440)), "begins where its day ends"),
        (schedule(hours(540, 600, is_overnight=True)), "longer than a day"),
        (schedule(hours(480, 720), hours(700, 800)), "windows 08:00-12:00 and 11:40-13:20 overlap"),
        (schedule(hours(1320, 360, is_overnight=True), hours(300, 480)), "overlap"),
        (schedule(hours(1320, 360, Weekday.SU, is_overnight=True), hours(300, 480, Weekday.MO)), "overlap"),
        (schedule(hours(480, 720, Weekday.MO, Weekday.MO)), "names a day twice"),
        (schedule(Window(start_min=1, end_min=2)), "either days or a recurrence"),
        (schedule(hours(1, 2, rrule="FREQ=DAILY", from_date="2027-01-01")), "either days or a recurrence"),
        (schedule(recurring("FREQ=DAILY", None)), "go together"),
        (schedule(hours(1, 2, from_date="2027-01-01")), "go together"),
        (schedule(recurring("FREQ=DAILY", "2027-13-01")), "is not a day"),
        (schedule(recurring("FREQ=DAILY", "1999-12-31")), "between 2000 and 2199"),
        (schedule(recurring("FREQ=HOURLY")), "needs FREQ"),
        (schedule(recurring("BYDAY=MO")), "needs FREQ"),
        (schedule(recurring("FREQ=DAILY;BYHOUR=3")), "parts other than"),
        (schedule(recurring("FREQ=DAILY;FREQ=DAILY")), "or one twice"),
        (schedule(recurring("FREQ=DAILY;BYMONTHDAY=3")), "use FREQ=MONTHLY"),
        (schedule(recurring("FREQ=WEEKLY;BYDAY=XX")), "no weekday 'XX'"),
        (schedule(recurring("FREQ=MONTHLY;BYDAY=6MO")), "no weekday '6MO'"),
        (schedule(recurring("FREQ=WEEKLY;BYDAY=1MO")), "counts weekdays"),
        (schedule(recurring("FREQ=MONTHLY;BYDAY=1MO;BYMONTHDAY=15")), "counts weekdays"),
        (schedule(recurring("FREQ=DAILY;INTERVAL=7;BYDAY=TU")), "may never meet"),
        (schedule(recurring("FREQ=YEARLY;BYMONTH=13;BYMONTHDAY=1")), "has a day '1'"),
        (schedule(recurring("FREQ=MONTHLY;BYMONTHDAY=0")), "has a day '0'"),
        (schedule(recurring("FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=31", "2027-02-01")), "never happens"),
        (schedule(recurring("FREQ=DAILY;INTERVAL=X")), "cannot be read"),
        (schedule(recurring("FREQ=DAILY;UNTIL=20260101")), "never happens"),
        (schedule(recurring("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30")), "has a day '30'"),
        (schedule(recurring("FREQ=DAILY;COUNT=3\nEXDATE:20270101")), "is not written"),
        (schedule(recurring("FREQ=MONTHLY;BYDAY=1WE", start_min=500), hours(480, 720)), "overlap"),
        (schedule(hours(1, 2), holidays=[Span(start_min=9, end_min=9)]), "on holidays, window"),
        (
            schedule(hours(1, 2), holidays=[Span(start_min=9, end_min=19), Span(start_min=10, end_min=12)]),
            "on holidays, windows",
        ),
        (
            schedule(
                hours(1, 2),
                holidays=[Span(start_min=9, end_min=8, is_overnight=True), Span(start_min=1, end_min=5)],
            ),
            "on holidays, windows",
        ),
    ],
)  # fmt: skip
def test_a_book_that_makes_no_sense_is_refused(wrong: BookItem, said: str) -> None:
    with pytest.raises(BookError) as caught:
        load([*ITEMS, wrong])
    assert len(caught.value.problems) == 1
    assert said in caught.value.problems[0]


@pytest.mark.parametrize("tz", ["Mars/Olympus", "", "../etc/passwd", "/etc/localtime", "Europe"])
def test_an_unknown_time_zone_is_refused(tz: str) -> None:
    with pytest.raises(BookError, match="time zone"):
        load([Site(id="s", tz=tz)])


def test_a_book_needs_its_site_once() -> None:
    with pytest.raises(BookError, match="the site item is missing"):
        load([Zone(name="gym")])
    with pytest.raises(BookError, match="site stands twice"):
        load([ITEMS[0], ITEMS[0]])


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(BookError) as caught:
        load([*ITEMS, Holiday(date="2027-02-30"), Plan(name="p", schedules=[], zones=[]), Zone(name="everywhere")])
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "holiday/2027-02-30", "plan/p", "plan/p", "zone/everywhere"
    ]  # fmt: skip


def test_no_items_are_no_book() -> None:
    assert load([]) is None


def test_a_book_says_which_door_the_device_works() -> None:
    assert BOOK.here == ""
    there = load([*ITEMS, Here(door="pool")])
    assert there is not None
    assert there.here == "pool"


@pytest.mark.parametrize(
    "fine",
    [
        schedule(hours(0, 1440)),
        schedule(hours(480, 720), hours(720, 900)),
        schedule(hours(1320, 360, is_overnight=True), hours(360, 480)),
        schedule(hours(600, 600, is_overnight=True)),
        schedule(hours(480, 720, Weekday.MO), hours(500, 700, Weekday.TU)),
        schedule(recurring("FREQ=MONTHLY;BYDAY=1WE"), recurring("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", start_min=200)),
        schedule(),
    ],
)
def test_hours_that_touch_are_fine(fine: Schedule) -> None:
    assert load([*ITEMS, fine]) is not None
