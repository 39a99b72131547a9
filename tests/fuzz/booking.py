"""The items of a site's book, as central sends them: types at first, then what they say of each other."""

from collections.abc import Iterator

import msgspec

from rules.book import Book, BookError, load
from rules.explaining import explain
from rules.facts import Now
from rules.modes import mode_at
from tests.fuzz.target import Target, holds
from tests.rules.builders import ITEMS, NOON, at, facts, row
from wire.book import BookItem, item_text, key_of, read_item
from wire.facts import DoorFacts
from wire.vocabulary import ClockQuality

_MAX_PROBLEM_CHARS = 400
_MOMENTS = (NOON, at("2027-03-28T03:00"), at("2027-10-31T02:30"), 0, 2**53, -1)


def _book(data: bytes) -> None:
    items: list[BookItem] = []
    for line in data.splitlines():
        try:
            items.append(read_item(line))
        except msgspec.DecodeError:
            continue
    for item in items:
        holds(read_item(item_text(item)) == item, "an item survives the link")
    try:
        book = load(items)
    except BookError as refusal:
        holds(bool(refusal.problems), "a refusal says what is wrong")
        holds(all(len(problem) <= _MAX_PROBLEM_CHARS for problem in refusal.problems), "a refusal is short")
        return
    if book is not None:
        holds(len({key_of(item) for item in items}) == len(items), "nothing stands twice in a book")
        _ask(book)


def _ask(book: Book) -> None:
    """Nothing that loads makes a rule fail, whatever the clock says."""
    for wall_ms in _MOMENTS:
        book.calendar.prepare(wall_ms)
        for door in ["", *book.doors]:
            for quality in (ClockQuality.SYNCED, ClockQuality.NONE):
                mode_at(book, door, Now(0, wall_ms, quality))
                known = row(plan=next(iter(book.plans), ""), groups=list(book.groups))
                explain(facts(known, site=book, wall_ms=wall_ms, q=quality, door=DoorFacts(door)))


def _seeds() -> Iterator[bytes]:
    yield b""
    yield b"\n".join(map(item_text, ITEMS))
    for item in ITEMS[1:]:
        yield b"\n".join(map(item_text, (ITEMS[0], item)))
    yield (
        b'{"item":"site","id":"s","tz":"America/New_York"}\n'
        b'{"item":"schedule","name":"x","windows":[{"start_min":600,"end_min":660,'
        b'"rrule":"FREQ=MONTHLY;BYDAY=-1FR","from_date":"2026-01-01"}]}'
    )


TARGETS = (Target("book", "the book of a site", _book, _seeds),)
