"""Bugs in who is where: a door that forgets, believes too much, or charges what nobody saw."""

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from agent.core import presence
from agent.core.presence import Presence
from agent.core.sightings import At, Sightings
from agent.core.types import EventId
from rules.facts import Now
from rules.whereabouts import Ways
from tests.planted.door import patched
from tests.planted.registry import PlantedBug
from tests.rules.builders import row
from tests.sync.presence_pair import granted, violation
from wire.events import PassageBody
from wire.presence import PresDelta
from wire.rows import Pack
from wire.vocabulary import ClockQuality, Direction, PassageOutcome

_SEEDS: Final = range(40)


def _pair() -> str | None:
    return next((found for seed in _SEEDS if (found := violation(seed)) is not None), None)


def _crash_charges() -> str | None:
    """Let a crash swallow how a grant ended, and look at what the next start makes of it."""
    known = Presence()
    at = At(Ways("gym", ""), 1_000)
    known.saw(EventId("aa", 1), granted("m1", Direction.IN), at)
    known.saw(EventId("bb", 1), PassageBody(of_run="aa", of_n=1, outcome=PassageOutcome.UNKNOWN), at)
    facts = known.facts(row(pack=Pack("p", 10, 3)), None, Now(2_000, 0, ClockQuality.SYNCED))
    if facts.used is not None:
        return f"a visit that nobody saw is charged: {facts.used} used"
    return "nobody is told that it is not certain" if facts.is_certain else None


def _alone_for_days() -> str | None:
    """Use a visit of a pack at a door without a link, and come again after three days."""
    known = Presence()
    at = At(Ways("gym", ""), 1_000)
    known.saw(EventId("aa", 1), granted("m1", Direction.IN), at)
    known.saw(EventId("aa", 2), PassageBody(of_run="aa", of_n=1, outcome=PassageOutcome.PASSED), at)
    later = Now(1_000 + presence.STAY_MS, 0, ClockQuality.NONE)
    known.lapse(later)
    used = known.facts(row(pack=Pack("p", 4, 3)), None, later).used
    return None if used == 4 else f"of a pack of 4 visits {used or 3} count as used after the last"


_ended = Sightings.ended


def _believing(self: Sightings, event: EventId, body: PassageBody, at: At) -> None:
    if body.outcome is PassageOutcome.UNKNOWN:
        body = replace(body, outcome=PassageOutcome.PASSED)
    _ended(self, event, body, at)


_take = Presence.take


def _hasty(self: Presence, delta: PresDelta, now_ms: int) -> None:
    _take(self, replace(delta, is_last=True), now_ms)


def _hanging_link() -> str | None:
    known = Presence()
    known.take(PresDelta(epoch="e", first=0, to=1, server_ms=0), 1_000)
    return "an hour without word is current" if known.is_site_wide(3_601_000) else None


def _bug(
    name: str, breaks: str, promise: str, plant: Callable[[], Any], catch: Callable[[], str | None] = _pair
) -> PlantedBug:
    layer = "tests.sync.presence_pair" if catch is _pair else "tests.planted.presence"
    return PlantedBug(name, breaks, promise, layer, plant, catch)


PLANTED: Final = (
    _bug(
        "own-passage-forgotten",
        "a door takes central's word over what it has just seen itself",
        "a card is not handed back through the door that it came in by",
        patched(Presence, "_is_overruled", lambda self, seen, told: True),
    ),
    _bug(
        "presence-part-is-whole",
        "the first part of the site's presence is taken for all of it",
        "nobody counts as outside because word of them is still on its way",
        patched(Presence, "take", _hasty),
    ),
    _bug(
        "presence-never-stale",
        "what central told once counts as the whole site's for ever",
        "a door whose link hangs does not decide by who was inside an hour ago",
        patched(presence, "CONFIRMED_MS", 10**12),
        catch=_hanging_link,
    ),
    _bug(
        "crash-charges-pack",
        "a passage that a crash swallowed counts like one that was seen",
        "nobody pays for a visit that may not have been",
        patched(Sightings, "ended", _believing),
        catch=_crash_charges,
    ),
    _bug(
        "visits-forgotten-alone",
        "a door forgets uncounted visits with the whereabouts of whoever made them",
        "a pack lasts as long as its visits, also at a door without a link",
        patched(Sightings, "forget_where", lambda self, member: self._own.pop(member, None)),
        catch=_alone_for_days,
    ),
)
