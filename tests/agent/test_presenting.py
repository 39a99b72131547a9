"""What the shell adds to a scan: the door of the book, the age of the directory, and the mode of the hour."""

import pytest

from agent.clock import Clock, KernelTime
from agent.presenting import OneKey, Presenter
from agent.reading import ReaderPlace
from hardware.base import Medium, Scan
from rules.book import Book
from rules.policy import decide
from tests.fakes.memory_directory import MemoryDirectory
from tests.fakes.memory_journal import MemoryJournal
from tests.rules.builders import NOON, at, book, row
from wire.book import Door, Here
from wire.credentials import credential_key
from wire.transfer import DirectoryRef
from wire.vocabulary import CredentialKind, Direction, DoorMode, Reason

pytestmark = pytest.mark.unit

KEY = bytes(32)
UID = bytes.fromhex("04A1B2C3D4E5E6")
PLACE = ReaderPlace("in", Direction.IN)


class SetTime:
    wall_ms = NOON

    def read(self) -> KernelTime:
        return KernelTime(1_000, self.wall_ms, True, 1)


def presenter(site: Book | None, time: SetTime, *, age_s: int = 0) -> Presenter:
    known = row(key=credential_key(KEY, CredentialKind.HF_UID, UID), plan="day" if site else "")
    directory = MemoryDirectory(known, ref=DirectoryRef("e1", 1, "d"))
    clock = Clock(time, boot="b", floor_ms=0)
    return Presenter(directory, MemoryJournal(), clock, OneKey(KEY), book=lambda: site, age_s=lambda: age_s)


def reason(asked: Presenter) -> Reason:
    return decide(asked.facts(Scan("in", Medium.CARD_UID, UID, 1_000), PLACE)).reason


def test_the_door_and_the_age_of_the_directory_are_among_the_facts() -> None:
    site = book(Here(door="office"))
    asked = presenter(site, SetTime(), age_s=7).facts(Scan("in", Medium.CARD_UID, UID, 1_000), PLACE)
    assert (asked.book, asked.door.door, asked.stale_s) == (site, "office", 7)
    assert reason(presenter(site, SetTime(), age_s=99 * 86_400)) is Reason.DIRECTORY_STALE


def test_decisions_follow_the_hours_of_the_book() -> None:
    time = SetTime()
    asked = presenter(book(Here(door="north")), time)
    asked.prepare()
    assert reason(asked) is Reason.MEMBER_VALID
    time.wall_ms = at("2027-01-13T23:00")
    assert reason(asked) is Reason.OUTSIDE_HOURS


def test_the_mode_is_that_of_the_hour() -> None:
    time = SetTime()
    first = Door(name="north", zone="gym", mode=DoorMode.FIRST_PERSON, after_first_person=DoorMode.UNLOCKED)
    assert presenter(book(Here(door="north"), first), time).mode() == (DoorMode.FIRST_PERSON, DoorMode.UNLOCKED)
    office = presenter(book(Here(door="office")), time)
    assert office.mode() == (DoorMode.CARD, DoorMode.CARD)
    time.wall_ms = at("2027-01-13T23:00")
    assert office.mode() == (DoorMode.LOCKED, DoorMode.CARD)


def test_without_a_book_the_door_asks_for_cards() -> None:
    asked = presenter(None, SetTime())
    asked.prepare()
    assert asked.mode() == (DoorMode.CARD, DoorMode.CARD)
    assert reason(asked) is Reason.MEMBER_VALID
