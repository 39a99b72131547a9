"""Visits as a pure function of the set of movements, whatever order they arrived in.

A movement is a grant that somebody used, or may have used. One member at one site: a visit begins with an entry and
ends with an exit, with the next entry, or by itself where nobody ends it (`ClosingRule`); only an exit says when the
member really left. A visit's id follows from the event that opened it, so deriving anew keeps it.

`derive` can start in the middle: the last visit that opened before says everything about what came before, because
an entry that counts opens a visit and an exit that counts closes one.

The values are named tuples: central makes a dozen of them for every event, and they cost a third of dataclasses.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from wire.vocabulary import Direction, PassageOutcome

MAX_STAY_HOURS: Final = 72
"""No visit goes on longer than this, so that whoever is in now came within it."""
HOLD_OFF_MS: Final = 120_000
"""A second tap at a toggle reader, or a second entry, within this time is the same movement."""
PASSAGE_MS: Final = 600_000
"""A passage later than this after its grant does not say when the member walked through."""
_NAMESPACE: Final = UUID("7b0c2f6e-5d0a-5c6b-9c7e-0d9f2a4e61b3")
_PRECEDENCE: Final = (PassageOutcome.PASSED, PassageOutcome.UNKNOWN, PassageOutcome.FAILED, PassageOutcome.UNUSED)


class EndedBy(StrEnum):
    """What ended a visit. One that is `assumed` to end in the future is still going on."""

    OUT = "out"
    ASSUMED = "assumed"


class EventKey(NamedTuple):
    """What names an event for ever; `device` is its id as 32 hex digits."""

    device: str
    run: str
    n: int


class Grant(NamedTuple):
    """A decision that let a member through; `at_ms` is corrected wall time."""

    key: EventKey
    at_ms: int
    direction: Direction


class Passage(NamedTuple):
    """How a grant ended, as event `key` says; `direction` is what the door sensed, where it can."""

    key: EventKey
    at_ms: int
    outcome: PassageOutcome
    direction: Direction | None = None


class Movement(NamedTuple):
    """Somebody went through at `at_ms`; not `is_certain` where a crash swallowed how the grant ended."""

    key: EventKey
    at_ms: int
    direction: Direction
    is_certain: bool = True


class Visit(NamedTuple):
    """One stay. `closed_ms` is when it ended, or for an `assumed` end in the future when it will.

    An entry or exit is not certain where a crash swallowed whether anybody walked through.
    """

    opened_by: EventKey
    opened_ms: int
    closed_ms: int
    ended_by: EndedBy = EndedBy.ASSUMED
    closed_by: EventKey | None = None
    is_entry_certain: bool = True
    is_exit_certain: bool = True

    @property
    def uid(self) -> UUID:
        """The visit's id: the same for the same opening event, whenever it is derived."""
        return uid_of(self.opened_by)


@dataclass(frozen=True, slots=True)
class ClosingRule:
    """When a visit that nobody ended is over: at the site's next closing time, at the latest after `after_hours`."""

    time_zone: ZoneInfo
    after_hours: int = 12
    closing_time: time | None = None

    def __post_init__(self) -> None:
        assert 0 < self.after_hours <= MAX_STAY_HOURS, self.after_hours

    def deadline_ms(self, opened_ms: int) -> int:
        """Return the moment, always after `opened_ms`, at which a visit opened then is assumed to be over."""
        latest_ms = opened_ms + self.after_hours * 3_600_000
        if self.closing_time is None:
            return latest_ms
        local = datetime.fromtimestamp(opened_ms / 1000, self.time_zone)
        for day in (local.date(), local.date() + timedelta(days=1)):
            closing = datetime.combine(day, self.closing_time, self.time_zone).astimezone(UTC)
            closing_ms = int(closing.timestamp() * 1000)
            if closing_ms > opened_ms:
                return min(closing_ms, latest_ms)
        return latest_ms


def uid_of(opened_by: EventKey) -> UUID:
    """Return the id of the visit that an event opened."""
    return uuid5(_NAMESPACE, "/".join(map(str, opened_by)))


def settle(key: EventKey, grant: Grant | None, passages: Iterable[Passage]) -> Movement | None:
    """Return the movement that a grant and what is known of its end amount to; None where nobody moved.

    A grant without an end counts: its passage follows within seconds, or after the restart as unknown. A passage
    whose grant never arrived stands in for it where it says the direction. Of contradicting ends the strongest holds.
    """
    end = min(passages, key=rank, default=None)
    if end is not None and end.outcome in (PassageOutcome.UNUSED, PassageOutcome.FAILED):
        return None
    direction = _direction(grant, end)
    if direction is None:
        return None
    is_certain = end is None or end.outcome is PassageOutcome.PASSED
    return Movement(key, _moment_ms(grant, end), direction, is_certain)


def rank(end: Passage) -> tuple[int, EventKey]:
    """Return the place of an end among contradicting ones, the strongest first."""
    return _PRECEDENCE.index(end.outcome), end.key


@dataclass(frozen=True, slots=True)
class Resumption:
    """Where to go on: movements from `since_ms` on are given, and `before` is the last visit that opened earlier."""

    before: Visit
    since_ms: int

    def __post_init__(self) -> None:
        assert self.before.opened_ms < self.since_ms, self


def derive(movements: Iterable[Movement], rule: ClosingRule, resumption: Resumption | None = None) -> list[Visit]:
    """Return the visits of one member at one site, oldest first.

    With a resumption, only what may differ from its moment on is returned: its visit where that was not over yet, and
    everything later.
    """
    ordered = sorted(movements, key=lambda movement: (movement.at_ms, movement.key))
    visits: list[Visit] = []
    current, tapped_ms = _resume(resumption, rule)
    for movement in ordered:
        current, counted = _step(visits, current, tapped_ms, movement, rule)
        tapped_ms = movement.at_ms if counted else tapped_ms
    if current is not None:
        visits.append(current)
    return visits


def _direction(grant: Grant | None, end: Passage | None) -> Direction | None:
    if end is not None and end.direction in (Direction.IN, Direction.OUT):
        return end.direction
    if grant is not None:
        return grant.direction
    return end.direction if end is not None else None


def _moment_ms(grant: Grant | None, end: Passage | None) -> int:
    if grant is None:
        assert end is not None, "a movement needs a grant or its end"
        return end.at_ms
    if end is not None and end.outcome is PassageOutcome.PASSED and 0 <= end.at_ms - grant.at_ms <= PASSAGE_MS:
        return end.at_ms
    return grant.at_ms


def _resume(resumption: Resumption | None, rule: ClosingRule) -> tuple[Visit | None, int | None]:
    """Return (the visit that is open, when the last counted movement was) just before the resumption's moment."""
    if resumption is None:
        return None, None
    before = resumption.before
    if before.ended_by is EndedBy.OUT and before.closed_ms < resumption.since_ms:
        return None, before.closed_ms
    reopened = _opened(before.opened_by, before.opened_ms, rule, is_certain=before.is_entry_certain)
    return reopened, before.opened_ms


def _opened(key: EventKey, at_ms: int, rule: ClosingRule, *, is_certain: bool) -> Visit:
    return Visit(opened_by=key, opened_ms=at_ms, closed_ms=rule.deadline_ms(at_ms), is_entry_certain=is_certain)


def _step(
    visits: list[Visit], current: Visit | None, tapped_ms: int | None, movement: Movement, rule: ClosingRule
) -> tuple[Visit | None, bool]:
    """Apply one movement; return (the open visit, whether the movement counted) and append what is over."""
    if current is not None and current.closed_ms <= movement.at_ms:
        visits.append(current)
        current = None
        tapped_ms = None
    is_soon = tapped_ms is not None and movement.at_ms - tapped_ms < HOLD_OFF_MS
    direction = movement.direction
    if direction is Direction.TOGGLE:
        if is_soon:
            return current, False
        direction = Direction.IN if current is None else Direction.OUT
    if direction is Direction.IN:
        return _enter(visits, current, movement, rule, is_soon=is_soon)
    return _leave(visits, current, movement)


def _enter(
    visits: list[Visit], current: Visit | None, movement: Movement, rule: ClosingRule, *, is_soon: bool
) -> tuple[Visit | None, bool]:
    if current is not None:
        if is_soon:
            return current, False
        visits.append(current._replace(closed_ms=movement.at_ms))
    return _opened(movement.key, movement.at_ms, rule, is_certain=movement.is_certain), True


def _leave(visits: list[Visit], current: Visit | None, movement: Movement) -> tuple[Visit | None, bool]:
    if current is None:
        return None, False
    ended = current._replace(
        closed_ms=movement.at_ms,
        ended_by=EndedBy.OUT,
        closed_by=movement.key,
        is_exit_certain=movement.is_certain,
    )
    visits.append(ended)
    return None, True
