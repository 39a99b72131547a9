"""Where a passage leads: in, out, by one reader for both ways, through inner doors; and which of them is a visit."""

import pytest

from rules.whereabouts import HOLD_OFF_MS, OUTSIDE, UNZONED, Stay, Ways, is_repeated, is_visit, led, ways_of
from tests.rules.builders import book
from wire.book import Here
from wire.vocabulary import Direction

pytestmark = pytest.mark.unit

FRONT = Ways("gym", OUTSIDE)
SAUNA = Ways("sauna", "gym")
LATER = 10 * HOLD_OFF_MS
IN_GYM = Stay("gym", 0)
OUT = Stay(OUTSIDE, 0)


def test_a_door_leads_where_the_book_says() -> None:
    assert ways_of(book(Here(door="pool"))) == Ways("pool", "gym")


def test_a_site_without_zones_has_an_inside_all_the_same() -> None:
    assert ways_of(None) == ways_of(book()) == Ways(UNZONED, OUTSIDE)


@pytest.mark.parametrize(
    ("before", "ways", "direction", "zone"),
    [
        (None, FRONT, Direction.IN, "gym"),
        (OUT, FRONT, Direction.IN, "gym"),
        (IN_GYM, FRONT, Direction.OUT, OUTSIDE),
        (IN_GYM, SAUNA, Direction.IN, "sauna"),
        (Stay("sauna", 0), SAUNA, Direction.OUT, "gym"),
        (None, FRONT, Direction.TOGGLE, "gym"),
        (OUT, FRONT, Direction.TOGGLE, "gym"),
        (IN_GYM, FRONT, Direction.TOGGLE, OUTSIDE),
        (Stay("gym", 0, is_certain=False), FRONT, Direction.TOGGLE, "gym"),
        (Stay("sauna", 0), FRONT, Direction.TOGGLE, "gym"),
    ],
)
def test_a_passage_leads_through_the_door(before: Stay | None, ways: Ways, direction: Direction, zone: str) -> None:
    assert led(before, ways, direction, LATER) == Stay(zone, LATER)


def test_a_second_tap_at_once_at_a_reader_for_both_ways_is_none() -> None:
    before = Stay("gym", LATER)
    assert led(before, FRONT, Direction.TOGGLE, LATER + HOLD_OFF_MS - 1) == before
    assert led(before, FRONT, Direction.TOGGLE, LATER + HOLD_OFF_MS).zone == OUTSIDE


def test_whoever_came_from_elsewhere_a_moment_ago_goes_in_by_a_reader_for_both_ways() -> None:
    assert not is_repeated(Stay("pool", LATER), FRONT, LATER + 1)
    assert led(Stay("pool", LATER), FRONT, Direction.TOGGLE, LATER + 1).zone == "gym"


def test_a_passage_that_a_crash_hid_is_uncertain() -> None:
    assert led(None, FRONT, Direction.IN, 5, is_certain=False) == Stay("gym", 5, is_certain=False)


@pytest.mark.parametrize(
    ("before", "ways", "after", "is_one"),
    [
        (None, FRONT, Stay("gym", LATER), True),
        (OUT, FRONT, Stay("gym", LATER), True),
        (IN_GYM, FRONT, Stay("gym", LATER), True),
        (IN_GYM, FRONT, Stay("gym", HOLD_OFF_MS - 1), False),
        (IN_GYM, FRONT, Stay(OUTSIDE, LATER), False),
        (OUT, FRONT, Stay("gym", LATER, is_certain=False), False),
        (IN_GYM, SAUNA, Stay("sauna", LATER), False),
        (Stay("sauna", 0), SAUNA, Stay("gym", LATER), False),
    ],
)
def test_a_visit_begins_at_an_outer_door(before: Stay | None, ways: Ways, after: Stay, is_one: bool) -> None:
    assert is_visit(before, ways, after) is is_one
