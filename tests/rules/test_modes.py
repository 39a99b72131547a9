"""A door's mode: by schedule, without a clock, and once its first person came."""

import pytest

from rules.facts import Now
from rules.modes import mode_at, mode_in_force
from tests.rules.builders import BOOK, at, book
from wire.book import Door, ModeHours
from wire.facts import DoorFacts
from wire.vocabulary import ClockQuality, DoorMode

pytestmark = pytest.mark.unit

HALL = Door(
    name="hall",
    zone="gym",
    mode=DoorMode.LOCKED,
    modes=[
        ModeHours(schedule="early", mode=DoorMode.FIRST_PERSON),
        ModeHours(schedule="day", mode=DoorMode.UNLOCKED),
        ModeHours(schedule="always", mode=DoorMode.OFFICE),
    ],
    after_first_person=DoorMode.UNLOCKED,
)


def now(text: str, q: ClockQuality = ClockQuality.SYNCED) -> Now:
    return Now(1, at(text), q)


def test_the_first_schedule_that_is_open_decides() -> None:
    site = book(HALL)
    assert mode_at(site, "hall", now("2027-01-13T07:00")) is DoorMode.FIRST_PERSON
    assert mode_at(site, "hall", now("2027-01-13T08:00")) is DoorMode.UNLOCKED
    assert mode_at(site, "hall", now("2027-01-13T23:00")) is DoorMode.OFFICE


def test_without_an_open_schedule_the_doors_own_mode_holds() -> None:
    assert mode_at(BOOK, "office", now("2027-01-13T23:00")) is DoorMode.LOCKED
    assert mode_at(BOOK, "north", now("2027-01-13T23:00")) is DoorMode.CARD


def test_an_unknown_clock_unlocks_nothing() -> None:
    assert mode_at(book(HALL), "hall", now("2027-01-13T12:00", ClockQuality.NONE)) is DoorMode.CARD
    always_open = Door(name="north", zone="gym", mode=DoorMode.UNLOCKED)
    assert mode_at(book(always_open), "north", now("2027-01-13T12:00", ClockQuality.NONE)) is DoorMode.UNLOCKED


def test_a_door_that_no_book_holds_asks_for_cards() -> None:
    assert mode_at(None, "north", now("2027-01-13T12:00")) is DoorMode.CARD
    assert mode_at(BOOK, "south", now("2027-01-13T12:00")) is DoorMode.CARD


def test_the_first_person_ends_the_waiting() -> None:
    waiting = DoorMode.FIRST_PERSON
    came = DoorFacts("hall", is_first_person_in=True)
    assert mode_in_force(HALL, waiting, DoorFacts("hall")) is waiting
    assert mode_in_force(HALL, waiting, came) is DoorMode.UNLOCKED
    assert mode_in_force(None, waiting, came) is DoorMode.CARD
    assert mode_in_force(HALL, DoorMode.LOCKED, came) is DoorMode.LOCKED
