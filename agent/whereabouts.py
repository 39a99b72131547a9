"""Keeps this door's knowledge of who is where: from the journal at the start, from each durable event, from the link.

What the device saw itself is kept nowhere but in the journal, so the two cannot disagree, whatever a crash cut off.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from agent.clock import Clock
from agent.core.floor import CLOCKS_DIFFER_MS
from agent.core.presence import Presence
from agent.core.sightings import At
from agent.core.types import EventId
from rules.book import Book
from rules.whereabouts import ways_of
from wire.directory import Issue
from wire.events import Body, Event, Stamp, read_body
from wire.facts import PresenceFacts
from wire.presence import PresDelta
from wire.rows import DirectoryRow
from wire.vocabulary import ClockQuality

log = logging.getLogger(__name__)

EVENTS_READ: Final = 10_000
"""How far back the journal is read at the start: some 3,000 visits, three busy days of a door."""


class Whereabouts:
    """Who is where, for decisions at this door. All of it belongs to the event loop."""

    def __init__(self, clock: Clock, book: Callable[[], Book | None], sent: dict[str, int] | None = None) -> None:
        self._clock = clock
        self._book = book
        self._known = Presence(sent)

    def remember(self, events: Iterable[tuple[EventId, Event]]) -> None:
        """Take in what the journal holds of earlier runs, oldest first."""
        timed = _timed(list(events), self._clock.boot, self._clock.now().mono_ms)
        ways = ways_of(self._book())
        for id_, body, at_ms, wall_ms in timed:
            self._known.saw(id_, body, At(ways, at_ms, wall_ms))

    def note(self, event: EventId, at: Stamp, body: Body) -> None:
        """Take in an event that has just become durable."""
        self._known.saw(event, body, At(ways_of(self._book()), at.mono_ms))

    def lapse(self) -> None:
        """Forget whoever was seen too long ago."""
        self._known.lapse(self._clock.now())

    def take(self, delta: PresDelta) -> None:
        """Take in what central says of the site."""
        self._known.take(delta, self._clock.now().mono_ms)

    def told(self, asked_ms: int, *, is_current: bool) -> None:
        """Central said which version is the newest."""
        self._known.told(asked_ms, is_current=is_current)

    def cut(self) -> None:
        """The link is down."""
        self._known.cut()

    def facts(self, row: DirectoryRow | None) -> PresenceFacts:
        """Return what a decision about this credential is to know."""
        book = self._book()
        door = None if book is None else book.doors.get(book.here)
        zone = None if book is None or door is None else book.zones[door.zone]
        return self._known.facts(row, zone, self._clock.now())


def counted(sent: dict[str, int], events: Iterable[tuple[EventId, Event]], issue: Issue | None) -> dict[str, int]:
    """Return up to which event of each run the directory on this device may count visits; `sent` is acknowledged.

    Central adds a visit to a pack a little after it has acknowledged it. What happened after it signed the directory
    that is here is in none of its counts: a power cut that takes the link along must not make that forgotten.
    """
    upto = dict(sent)
    if issue is None:
        return upto
    for id_, event in events:
        is_later = event.q is not ClockQuality.NONE and event.wall_ms > issue.issued_ms + CLOCKS_DIFFER_MS
        if is_later and id_.n <= upto.get(id_.run, 0):
            upto[id_.run] = id_.n - 1
    return upto


def _timed(
    events: list[tuple[EventId, Event]], boot: str, now_ms: int
) -> Iterator[tuple[EventId, Body, int, int | None]]:
    """Yield the events' bodies with their moments on this boot's clock, counting what is known to have passed since.

    How long the power was off between boots is not known: it counts as nothing, so a passage is never taken for older
    than it is; where both clocks can be trusted the wall clock says more.
    """
    ends: dict[str, int] = {}
    for _, event in events:
        ends[event.boot] = max(event.mono_ms, ends.get(event.boot, 0))
    begins: dict[str, int] = {boot: 0}
    begin_ms = 0
    for earlier in reversed([name for name in ends if name != boot]):
        begin_ms -= ends[earlier]
        begins[earlier] = begin_ms
    for id_, event in events:
        try:
            body = read_body(event)
        except msgspec.DecodeError as fault:
            log.warning("event %d of run %s says nothing of who is where: %s", id_.n, id_.run, fault)
            continue
        is_of_before = event.boot != boot and event.q is not ClockQuality.NONE
        if body is not None:
            at_ms = min(now_ms, begins[event.boot] + event.mono_ms)
            yield id_, body, at_ms, event.wall_ms if is_of_before else None
