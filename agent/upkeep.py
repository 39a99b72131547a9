"""The small loops beside the door's work: showing the link, telling the time, looking for damage."""

import asyncio
import logging
from contextlib import suppress
from typing import Final

import msgspec

from agent.clock import Clock
from agent.errors import StoreError
from agent.kiosk.server import Kiosk
from agent.presenting import Presenter
from agent.staleness import Staleness
from agent.store.directory import Directory
from agent.store.journal import Journal
from agent.store.notes import ANCHORS
from agent.store.types import Draft
from agent.supervise import Notifier
from agent.sync.runner import Link
from agent.sync.session import MAX_ANCHORS
from agent.whereabouts import EVENTS_READ, Whereabouts, counted
from wire.events import AlarmBody, Stamp
from wire.messages import Anchor
from wire.passes import STEPS_AROUND, step_at
from wire.vocabulary import AlarmCode, ClockQuality, EventKind

log = logging.getLogger(__name__)

OFFLINE_AFTER_S: Final = 10.0
_FIGURES_EVERY_S: Final = 0.5
_SCRUB_EVERY_S: Final = 6 * 3600
_FIRST_SCRUB_S: Final = 60
_DETAIL_CHARS: Final = 200
_TIMED: Final = 1_000
"""Of so many of the last events the times are looked at: hours of a busy door, and some milliseconds of the start."""
_decode_anchors = msgspec.json.Decoder(list[Anchor]).decode


async def show_link(link: Link, journal: Journal, clock: Clock, kiosk: Kiosk, notifier: Notifier) -> None:
    """Keep page and service status true about the link and about what waits for it."""
    shown = None
    while True:
        status, waiting, now = link.status, journal.backlog().events, clock.now()
        down_s = 0.0 if status.is_up else (now.mono_ms - status.since_ms) / 1000
        kiosk.set_link(offline=down_s > OFFLINE_AFTER_S, waiting=waiting)
        if (status.is_up, waiting) != shown:
            shown = (status.is_up, waiting)
            notifier.status(f"{'connected' if status.is_up else status.words}; {waiting} events wait")
        await asyncio.sleep(_FIGURES_EVERY_S)


async def anchor_time(link: Link, journal: Journal, clock: Clock) -> None:
    """Tell central what time it was when the clock was wrong, once it is known how far the clock can be trusted.

    A battery-backed clock alone says nothing about its error, and an anchor without one would count as exact. What was
    known in earlier boots is told again: the power may have gone before central could be told.
    """
    known = _kept_anchors(journal)
    for anchor in known:
        link.anchor(anchor)
    sure = await _sure_time(clock)
    link.anchor(sure)
    kept = [*(anchor for anchor in known if anchor.boot != sure.boot), sure][-MAX_ANCHORS:]
    journal.note(ANCHORS, msgspec.json.encode(kept).decode())


def _kept_anchors(journal: Journal) -> list[Anchor]:
    text = journal.noted(ANCHORS)
    try:
        return [] if text is None else _decode_anchors(text)
    except msgspec.DecodeError as error:
        log.warning("what the time was in earlier boots is kept as no such thing (%s)", error)
        return []


async def settle_doubt(journal: Journal, clock: Clock) -> None:
    """Make it durable up to which step nobody knows what was used; by a clock that can be trusted, as it stays so."""
    if not journal.is_doubtful:
        return
    at = await _sure_time(clock)
    try:
        await journal.settle_doubt(step_at(at.wall_ms) + STEPS_AROUND)
    except StoreError as error:
        log.warning("which codes count as used is not kept (%s); the next start doubts again", error)


async def _sure_time(clock: Clock) -> Anchor:
    """Return the time as soon as it is known how far the clock can be trusted."""
    while True:
        stamp = clock.stamp(clock.now())
        if stamp.q is not ClockQuality.NONE and stamp.err_ms is not None:
            return Anchor(boot=stamp.boot, mono_ms=stamp.mono_ms, wall_ms=stamp.wall_ms, err_ms=stamp.err_ms)
        await asyncio.sleep(_FIGURES_EVERY_S)


def learn_floor(clock: Clock, directory: Directory) -> None:
    """The moment when central signed the directory has passed."""
    if directory.issue is not None:
        clock.learn_issue(directory.issue.issued_ms)


def whereabouts_of(journal: Journal, directory: Directory, clock: Clock) -> Whereabouts:
    """Return who is where by the journal, and follow it from now on; what time it was by the journal has passed."""
    events = list(journal.newest(EVENTS_READ))
    clock.learn_events(event for _, event in events[-_TIMED:])
    sent = counted({line.run: line.acked for line in journal.held()}, events, directory.issue)
    known = Whereabouts(clock, lambda: directory.book, sent)
    known.remember(events)
    journal.on_durable.append(lambda event, draft: known.note(event, draft.at, draft.body))
    return known


async def keep_ready(presenter: Presenter, staleness: Staleness) -> None:
    """Keep how old the directory is, and work out the hours of these days before somebody waits for them."""
    while True:
        presenter.prepare()
        await staleness.keep()
        await staleness.due()


async def scrub_journal(journal: Journal, clock: Clock) -> None:
    """Read the whole journal now and then: damage is found while central can still say what it holds."""
    while True:
        await asyncio.sleep(_SCRUB_EVERY_S)
        for found in await journal.verify():
            log.error("journal: %s; the next start salvages what can be read", found)
            await journal.append(alarm(AlarmCode.JOURNAL_DAMAGED, found, clock.stamp(clock.now())))


async def scrub_directory(directory: Directory, journal: Journal, link: Link, clock: Clock) -> None:
    """Read the whole directory soon after the start, now and then, and at once where a row could not be read."""
    pause_s: float = _FIRST_SCRUB_S
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await directory.suspicion.wait()
        pause_s = _SCRUB_EVERY_S
        try:
            found = await directory.scrub()
            if found is not None:
                log.error("directory: %s; nobody is known until it was fetched again", found)
                link.directory_lost(found)
                await journal.append(alarm(AlarmCode.DIRECTORY_DAMAGED, found, clock.stamp(clock.now())))
        except StoreError as error:
            log.error("directory: %s", error)  # noqa: TRY400 - expected, the message says it all
            pause_s = _FIRST_SCRUB_S


def alarm(code: AlarmCode, detail: str, at: Stamp) -> Draft:
    """Return the event that tells central of damage; a longer detail is cut."""
    return Draft(EventKind.ALARM, at, AlarmBody(code=code, detail=detail[:_DETAIL_CHARS]))
