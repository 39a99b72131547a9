"""Where a passage leads, and so who is where. The doors and central go by the same words, so that they agree.

Times are milliseconds of one clock, whichever the caller has.
"""

from typing import Final

from msgspec import Struct

from rules.book import Book
from wire.vocabulary import Direction

OUTSIDE: Final = ""
UNZONED: Final = "*"
"""Stands for the inside of a site that has no zones; no zone can have this name (`wire.book.Name`)."""
HOLD_OFF_MS: Final = 120_000
"""A second tap at a toggle reader, or a second entry, within this time is the same movement."""


class Ways(Struct, frozen=True):
    """Where a door leads: into `zone`, and back to where one comes from."""

    zone: str = UNZONED
    leaves: str = OUTSIDE


class Stay(Struct, frozen=True):
    """Somebody is in `zone` since then, as far as it is known; not `is_certain` where a crash hid whether they went."""

    zone: str
    since_ms: int
    is_certain: bool = True


def ways_of(book: Book | None) -> Ways:
    """Return where the door leads that works by this book."""
    door = None if book is None else book.doors.get(book.here)
    return Ways() if door is None else Ways(door.zone, door.leaves)


def led(before: Stay | None, ways: Ways, direction: Direction, at_ms: int, *, is_certain: bool = True) -> Stay:
    """Return where somebody is after a passage; `before` is where they were, None where nobody knows.

    At a reader for both ways whoever is surely inside leaves, as the rules see it, and a second tap at once is none.
    """
    is_inside = before is not None and before.zone == ways.zone
    if direction is Direction.TOGGLE and before is not None and is_repeated(before, ways, at_ms):
        return before
    is_leaving = direction is Direction.OUT
    if direction is Direction.TOGGLE:
        is_leaving = is_inside and before is not None and before.is_certain
    return Stay(ways.leaves if is_leaving else ways.zone, at_ms, is_certain)


def is_repeated(before: Stay | None, ways: Ways, at_ms: int) -> bool:
    """Say whether somebody who comes through a door has just come through it: that is one movement."""
    return before is not None and before.zone in (ways.zone, ways.leaves) and 0 <= at_ms - before.since_ms < HOLD_OFF_MS


def is_visit(before: Stay | None, ways: Ways, after: Stay) -> bool:
    """Say whether a passage began a visit: it came from outside, and not a moment after another entry."""
    if ways.leaves != OUTSIDE or after.zone != ways.zone or not after.is_certain:
        return False
    if before is None or before.zone == OUTSIDE:
        return True
    return after.since_ms - before.since_ms >= HOLD_OFF_MS
