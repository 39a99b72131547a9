"""Which mode a door is in: by schedule, and once its first person came."""

from rules.book import Book
from rules.facts import Now
from wire.book import Door
from wire.facts import DoorFacts
from wire.vocabulary import ClockQuality, DoorMode


def mode_at(book: Book | None, door: str, now: Now) -> DoorMode:
    """Return the mode that the book gives a door at a moment; `card` for a door that it does not hold.

    `first_person` is returned as it stands: see `mode_in_force`.
    """
    item = None if book is None else book.doors.get(door)
    if book is None or item is None:
        return DoorMode.CARD
    if not item.modes:
        return item.mode
    if now.q is ClockQuality.NONE:
        return item.unsure_mode
    shown = book.calendar.local(now.wall_ms)
    return next((hours.mode for hours in item.modes if book.calendar.is_open([hours.schedule], shown)), item.mode)


def mode_in_force(item: Door | None, mode: DoorMode, facts: DoorFacts) -> DoorMode:
    """Return what the door does now: waiting for a first person ends with that person."""
    if mode is DoorMode.FIRST_PERSON and facts.is_first_person_in:
        return DoorMode.CARD if item is None else item.after_first_person
    return mode
