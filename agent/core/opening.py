"""From a durable grant to the end of its pulse: the way is freed, shown to be free, and closed again."""

from typing import assert_never

from msgspec.structs import replace

from agent.core import door as leaf
from agent.core import results, screen, turnstile
from agent.core.doorway import end_grant, forget_presence, voice
from agent.core.effects import Effect, Grant, HoldEnded, Opening, PulseEnded, Record, Relock, RemoteUnlock, Unlock
from agent.core.passing import Ended, Said
from agent.core.standing import let_go
from agent.core.state import Holding, Station, Step, rest, show, support
from agent.core.types import Now
from wire.events import AlarmBody
from wire.vocabulary import AlarmCode, CommandState, Direction, EventKind, PassageOutcome, PassageSense, Reason


def obstacle(state: Station, direction: Direction) -> Reason | None:
    """Return why nobody can be let through whoever they are: the door's own reasons, beside those of the rules.

    In a fire nothing is commanded, not even outwards: that way is free in hardware.
    """
    if state.around.is_fire:
        return Reason.FIRE
    if state.around.is_other_open and direction is not Direction.OUT:
        return Reason.OTHER_DOOR_OPEN
    return None


def is_too_busy(state: Station, way: Direction) -> bool:
    """Say whether a turnstile can neither free a way now nor let one more person wait for it."""
    return state.arms is not None and not turnstile.can_take(state.arms, way)


def let_in(state: Station, grant: Grant, now: Now) -> Step:
    """Free the way for a durable grant, in its turn; one that meets an obstacle meanwhile ends unused."""
    reason = obstacle(state, grant.read.direction)
    if reason is not None:
        return refuse(state, grant, reason, now)
    if _is_free_for(state, grant):
        return _welcome(state, grant, PassageSense.FREE, now)
    if state.door.pulse_ms is None:
        return _check_in(state, grant, now)
    if state.arms is None:
        return state, [Unlock(grant, state.door.pulse_ms)]
    closes: list[Effect] = [Relock()] if state.holding is Holding.ON else []
    holding = Holding.PAUSED if closes else state.holding
    arms, said = turnstile.took(state.arms, grant, now.mono_ms)
    state, effects = voice(replace(state, arms=arms, holding=holding), said, now)
    if said:
        return state, [*closes, *effects]
    state, shown = show(state, screen.one_at_a_time(support=support(grant.event)), now)
    return state, [*closes, *shown]


def _is_free_for(state: Station, grant: Grant) -> bool:
    """Say whether nothing has to be released: arms that are held open are so inwards."""
    if state.arms is None:
        return state.holding is Holding.ON
    way = turnstile.way_of(grant)
    return way not in state.arms.setup.ways or (state.holding is Holding.ON and way is Direction.IN)


def refuse(state: Station, grant: Grant, reason: Reason, now: Now) -> Step:
    """End a grant that can no longer be used, and say so."""
    shown, effects = show(forget_presence(state, grant), screen.denied(reason, support=support(grant.event)), now)
    return shown, [*effects, end_grant(grant, PassageOutcome.UNUSED, None, now)]


def opened(state: Station, opening: Opening, now: Now) -> Step:
    """The line is on: now, and not before, it may be shown."""
    state = replace(state, lock_failed=False)
    open_ms = state.door.pulse_ms
    if state.arms is None:
        state = replace(state, leaf=leaf.unlocked(state.leaf, opening))
    else:
        arms = turnstile.unlocked(state.arms, opening)
        state, open_ms = replace(state, arms=arms), arms.setup.passage_ms
    match opening:
        case Grant(read=read, event=event):
            return show(state, screen.granted(read.direction, open_ms=open_ms, support=support(event)), now)
        case RemoteUnlock():
            granted = screen.State.GRANTED_IN, screen.Signal.GRANTED, screen.Tone.GRANTED
            return show(state, screen.Screen(*granted, for_ms=open_ms), now)
        case _:
            assert_never(opening)


def pulse_ended(state: Station, event: PulseEnded) -> Step:
    """The line is off again, or never went on."""
    opening, now = event.opening, event.now
    failed = event.outcome is PassageOutcome.FAILED
    state, said = _machine_locked(state, event)
    state, effects = voice(state, said, now)
    if isinstance(opening, RemoteUnlock):
        effects = [*effects, _result(opening, event.outcome, now)]
    return _lock_failed(state, effects, event.detail, now) if failed else (state, effects)


def held(state: Station, now: Now) -> Step:
    """The way stands open."""
    if state.holding is not Holding.ASKED:
        return state, []
    order = state.hold_order
    state = replace(state, holding=Holding.ON, hold_order=None, lock_failed=False)
    through: list[Effect] = []
    if state.arms is not None:
        arms, said = turnstile.opened_to_all(state.arms)
        state, through = voice(replace(state, arms=arms), said, now)
    shown, effects = rest(state, now)
    return shown, [*through, *effects, *([] if order is None else [results.done(order, "held", now)])]


def hold_ended(state: Station, event: HoldEnded) -> Step:
    """The way closed by itself: whoever comes is let in one by one, and staff are told."""
    if state.holding is Holding.NOT:
        return state, []
    state, effects = let_go(state, "lock", event.now)
    return _lock_failed(state, effects, event.detail, event.now)


def _result(opening: RemoteUnlock, outcome: PassageOutcome, now: Now) -> Record:
    if outcome is PassageOutcome.UNUSED:
        return results.ended(opening, CommandState.EXPIRED, "too_late", now)
    failed = outcome is PassageOutcome.FAILED
    return results.failed(opening, "lock", now) if failed else results.done(opening, "pulsed", now)


def _machine_locked(state: Station, event: PulseEnded) -> tuple[Station, tuple[Said, ...]]:
    opening, outcome, at_ms = event.opening, event.outcome, event.now.mono_ms
    if state.arms is not None:
        arms, said = turnstile.locked(state.arms, opening, outcome, at_ms)
        return replace(state, arms=arms), said
    door, said = leaf.locked(state.leaf, opening, outcome, at_ms)
    return replace(state, leaf=door), said


def _lock_failed(state: Station, effects: list[Effect], detail: str, now: Now) -> Step:
    alarm = Record(EventKind.ALARM, now, AlarmBody(code=AlarmCode.LOCK_FAILED, detail=detail))
    shown, more = rest(replace(state, lock_failed=True), now)
    return shown, [*effects, alarm, *more]


def _check_in(state: Station, grant: Grant, now: Now) -> Step:
    """At a kiosk without a lock the check-in is all there is."""
    picture = screen.granted(grant.read.direction, open_ms=None, support=support(grant.event))
    return _passed(state, grant, picture, None, now)


def _welcome(state: Station, grant: Grant, sense: PassageSense, now: Now) -> Step:
    """The way is free already: who says hello is counted, and needs no pulse."""
    picture = screen.granted(grant.read.direction, open_ms=screen.CHECKED_IN_MS, support=support(grant.event))
    return _passed(state, grant, picture, sense, now)


def _passed(state: Station, grant: Grant, picture: screen.Screen, sense: PassageSense | None, now: Now) -> Step:
    shown, effects = show(state, picture, now)
    told, more = voice(shown, (Ended(grant, PassageOutcome.PASSED, sense),), now)
    return told, [*effects, *more]
