"""A turnstile: two ways, one person for each grant, and at most one way free at a time. Pure.

A grant frees its way for a bounded time; whoever comes before that waits, one for each way. With a passage sensor the
grant is `passed` when its person went through and `unused` when nobody did, so that no visit is charged for arms that
did not turn. Without a sensor the completed release stands for the passage, and no grant is ever unused.

Passing outwards without a grant raises nothing: the arms let people out in hardware, and that is not ours to judge.
"""

from collections.abc import Collection
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from agent.core.effects import Grant, Opening
from agent.core.passing import Ended, Frees, Moved, Noticed, Relocks, Said
from wire.vocabulary import AlarmCode, Direction, DoorChange, PassageOutcome, PassageSense

PAIR_MS: Final = 1_500
"""A second passage this soon after one that was granted is somebody who slipped through behind it."""
LATE_MS: Final = 2_000
"""A passage this soon after its time ran out still belongs to the grant: the arms were turning already."""
LATE_ALARM_MS: Final = 10_000
"""After that, and this long, a passage is laid at the door of the grant that was just given up."""
WAITS_MS: Final = 10_000
"""Whoever has not had their turn within this time after their tap is gone."""
STUCK_MS: Final = 10_000
"""Arms that are busy for longer than this are stuck."""


class ArmsSetup(Struct, frozen=True):
    """What the turnstile has: which ways have a passage sensor, and how long the arms wait for their person.

    `ways` are those that are released from here; the way out may be free by its mechanics.
    """

    senses: frozenset[Direction] = frozenset()
    passage_ms: int = 8_000
    ways: frozenset[Direction] = frozenset({Direction.IN, Direction.OUT})


class Turn(Struct, frozen=True):
    """Somebody who may pass. `until_ms` is the end of their time, or of their patience while they wait."""

    opening: Opening
    way: Direction
    until_ms: int


class Arms(Struct, frozen=True):
    """The turnstile. `turn` is whose way is free; `running` the openings whose relay was not said to be off again."""

    setup: ArmsSetup = ArmsSetup()
    turn: Turn | None = None
    waiting: tuple[Turn, ...] = ()
    running: tuple[Opening, ...] = ()
    busy_since_ms: int | None = None
    is_stuck: bool = False
    passed: tuple[tuple[Direction, int], ...] = ()
    given_up: tuple[tuple[Direction, int], ...] = ()


Step = tuple[Arms, tuple[Said, ...]]


def way_of(opening: Opening) -> Direction:
    """Return the way that an opening frees: a reader for both, and staff from afar, let people in."""
    if isinstance(opening, Grant) and opening.read.direction is Direction.OUT:
        return Direction.OUT
    return Direction.IN


def latest_ms(opening: Opening) -> int:
    """Return the last moment at which a way may be freed for an opening."""
    if isinstance(opening, Grant):
        return opening.read.at_mono_ms + WAITS_MS
    return opening.begin_before_mono_ms - 1


def can_take(arms: Arms, way: Direction) -> bool:
    """Say whether one more grant for a way can be used or may wait."""
    return not arms.is_stuck and all(turn.way is not way for turn in arms.waiting)


def is_at_rest(arms: Arms) -> bool:
    """Say whether a way can be freed at once: an opening from afar does not wait."""
    return arms.turn is None and not arms.running and not arms.waiting and arms.busy_since_ms is None


def took(arms: Arms, opening: Opening, now_ms: int) -> Step:
    """Somebody may pass: at once where the arms are at rest, else in turn."""
    turn = Turn(opening, way_of(opening), latest_ms(opening))
    return _next(replace(arms, waiting=(*arms.waiting, turn)), now_ms)


def unlocked(arms: Arms, opening: Opening) -> Arms:
    """A way's relay went on."""
    return replace(arms, running=(*arms.running, opening))


def locked(arms: Arms, opening: Opening, outcome: PassageOutcome, now_ms: int) -> Step:
    """A way's relay is off again, or never went on; the arms may still wait for their person."""
    arms = replace(arms, running=tuple(other for other in arms.running if other != opening))
    turn = arms.turn
    if turn is None or turn.opening != opening:
        return _next(arms, now_ms)
    if outcome is not PassageOutcome.PASSED:
        return _over(arms, turn, outcome, None, now_ms)
    if turn.way not in arms.setup.senses:
        return _over(arms, turn, PassageOutcome.PASSED, PassageSense.PULSE, now_ms)
    return arms, ()


def passed(arms: Arms, way: Direction, now_ms: int, *, is_free: bool) -> Step:
    """Somebody was seen to pass in a direction; `is_free` where nobody needs a grant for it."""
    arms, said = woke(arms, now_ms)
    change = Moved(DoorChange.PASSED_OUT if way is Direction.OUT else DoorChange.PASSED_IN)
    turn = arms.turn
    if turn is not None and turn.way is way:
        arms = replace(arms, passed=_noted(arms.passed, way, now_ms))
        arms, ended = _over(arms, turn, PassageOutcome.PASSED, PassageSense.SENSOR, now_ms)
        return arms, (*said, change, Relocks(), *ended)
    if turn is not None:
        return arms, (*said, change, Noticed(AlarmCode.WRONG_WAY, way.value))
    code = None if is_free else _unasked(arms, way, now_ms)
    return arms, (*said, change) if code is None else (*said, change, Noticed(code, way.value))


def busy(arms: Arms, is_active: bool, now_ms: int) -> Step:
    """The arms turn, or came to rest."""
    if is_active:
        return replace(arms, busy_since_ms=now_ms if arms.busy_since_ms is None else arms.busy_since_ms), ()
    over = (Noticed(AlarmCode.TURNSTILE_FREE),) if arms.is_stuck else ()
    arms, said = _next(replace(arms, busy_since_ms=None, is_stuck=False), now_ms)
    return arms, (*over, *said)


def emptied(arms: Arms, ways: Collection[Direction] = (Direction.IN, Direction.OUT)) -> Step:
    """Nobody is let in any more: those who wait are turned away, whoever goes through now is let through."""
    gone = tuple(turn for turn in arms.waiting if turn.way in ways)
    stay = tuple(turn for turn in arms.waiting if turn.way not in ways)
    return replace(arms, waiting=stay), tuple(_unused(turn) for turn in gone if isinstance(turn.opening, Grant))


def opened_to_all(arms: Arms) -> Step:
    """The way stands open: whoever waited may go through now, and needs no pulse, which would close it behind them."""
    ended = tuple(
        Ended(turn.opening, PassageOutcome.PASSED, PassageSense.FREE)
        for turn in arms.waiting
        if isinstance(turn.opening, Grant)
    )
    return replace(arms, waiting=()), ended


def woke(arms: Arms, now_ms: int) -> Step:
    """Time went by."""
    arms, gone = _without_gone(arms, now_ms)
    said: list[Said] = [*gone]
    if arms.busy_since_ms is not None and not arms.is_stuck and now_ms >= arms.busy_since_ms + STUCK_MS:
        arms = replace(arms, is_stuck=True)
        said.append(Noticed(AlarmCode.TURNSTILE_STUCK))
    turn = arms.turn
    if turn is not None and _may_run_out(arms, turn) and now_ms >= turn.until_ms + LATE_MS:
        arms = replace(arms, given_up=_noted(arms.given_up, turn.way, now_ms))
        arms, ended = _over(arms, turn, PassageOutcome.UNUSED, PassageSense.SENSOR, now_ms)
        said += ended
    return arms, tuple(said)


def due_ms(arms: Arms) -> int | None:
    """Return when `woke` has something to say at the latest, None for never."""
    moments = [turn.until_ms + 1 for turn in arms.waiting]
    if arms.turn is not None and _may_run_out(arms, arms.turn):
        moments.append(arms.turn.until_ms + LATE_MS)
    if arms.busy_since_ms is not None and not arms.is_stuck:
        moments.append(arms.busy_since_ms + STUCK_MS)
    return min(moments, default=None)


def _may_run_out(arms: Arms, turn: Turn) -> bool:
    """Without a sensor only the relay's own end says that a turn is over."""
    return turn.way in arms.setup.senses and turn.opening not in arms.running


def _without_gone(arms: Arms, now_ms: int) -> Step:
    gone = tuple(turn for turn in arms.waiting if now_ms > turn.until_ms)
    if not gone:
        return arms, ()
    arms = replace(arms, waiting=tuple(turn for turn in arms.waiting if turn not in gone))
    return arms, tuple(_unused(turn) for turn in gone if isinstance(turn.opening, Grant))


def _next(arms: Arms, now_ms: int) -> Step:
    """Give the way to who has waited longest; not while the arms or a relay of theirs are not at rest."""
    arms, ended = _without_gone(arms, now_ms)
    arms, freed = _freed(arms, now_ms)
    return arms, (*ended, *freed)


def _freed(arms: Arms, now_ms: int) -> Step:
    if arms.turn is not None or arms.running or arms.busy_since_ms is not None or not arms.waiting:
        return arms, ()
    first = arms.waiting[0]
    turn = replace(first, until_ms=now_ms + arms.setup.passage_ms)
    return replace(arms, turn=turn, waiting=arms.waiting[1:]), (Frees(first.opening),)


def _over(arms: Arms, turn: Turn, outcome: PassageOutcome, sense: PassageSense | None, now_ms: int) -> Step:
    ended = (Ended(turn.opening, outcome, sense),) if isinstance(turn.opening, Grant) else ()
    arms, said = _next(replace(arms, turn=None), now_ms)
    return arms, (*ended, *said)


def _unused(turn: Turn) -> Ended:
    assert isinstance(turn.opening, Grant)
    return Ended(turn.opening, PassageOutcome.UNUSED)


def _unasked(arms: Arms, way: Direction, now_ms: int) -> AlarmCode | None:
    """Return what a passage is that no grant stands for."""
    if _is_within(arms.passed, way, now_ms, PAIR_MS):
        return AlarmCode.TWO_PEOPLE
    if _is_within(arms.given_up, way, now_ms, LATE_ALARM_MS):
        return AlarmCode.LATE_PASSAGE
    return None if way is Direction.OUT else AlarmCode.FORCED


def _noted(
    moments: tuple[tuple[Direction, int], ...], way: Direction, now_ms: int
) -> tuple[tuple[Direction, int], ...]:
    return (*(moment for moment in moments if moment[0] is not way), (way, now_ms))


def _is_within(moments: tuple[tuple[Direction, int], ...], way: Direction, now_ms: int, most_ms: int) -> bool:
    return any(of is way and now_ms - at_ms <= most_ms for of, at_ms in moments)
