"""What the door's inputs say, and what the machines of door and turnstile make of it, as records and effects."""

from typing import assert_never

from msgspec.structs import replace

from agent.core import door as leaf
from agent.core import surroundings, turnstile
from agent.core.effects import Effect, Grant, Record, Relock, Sensed, Unlock
from agent.core.modes import CameFirst
from agent.core.passing import Ended, Frees, Moved, Noticed, Relocks, Said
from agent.core.screen import State
from agent.core.standing import change, let_go, stand_open
from agent.core.state import Holding, Station, Step, rest
from agent.core.surroundings import FIRE_PROMISE
from agent.core.types import Facts, Now, Role
from rules.case import case_of
from wire.events import AlarmBody, DoorBody, PassageBody
from wire.rows import DirectoryRow
from wire.vocabulary import AlarmCode, Direction, DoorMode, EventKind, PassageOutcome, PassageSense, Right

_GREEN = frozenset({State.GRANTED_IN, State.GRANTED_OUT})
_WAYS = {Role.PASSAGE_IN: Direction.IN, Role.PASSAGE_OUT: Direction.OUT}


def sensed(state: Station, event: Sensed) -> Step:
    """An input says something. Of several with one role it is enough that one is active."""
    now, role = event.now, event.role
    own = (role, event.name)
    others = any(one[0] is role for one in state.active - {own})
    state = replace(state, active=state.active | {own} if event.is_active else state.active - {own})
    if others:
        return state, []
    match role:
        case Role.CONTACT | Role.REX:
            return _leaf_sensed(state, event)
        case Role.PASSAGE_IN | Role.PASSAGE_OUT | Role.BUSY:
            return _arms_sensed(state, event)
        case Role.FIRE:
            return _fire_sensed(state, event)
        case _:
            around, said = surroundings.changed(state.around, role, event.is_active, now.mono_ms)
            state, effects = _told(replace(state, around=around), said, now, event.name)
            state, opens = stand_open(state) if role is Role.INTERLOCK and not state.lock_failed else (state, [])
            return state, [*effects, *opens]


def time_went_by(state: Station, now: Now) -> Step:
    """Let every machine of the door see the time."""
    door, said = leaf.woke(state.leaf, now.mono_ms, is_free=state.is_unwatched)
    around, more = surroundings.woke(state.around, now.mono_ms)
    state = replace(state, leaf=door, around=around)
    if state.arms is not None:
        arms, turned = turnstile.woke(state.arms, now.mono_ms)
        state, said = replace(state, arms=arms), (*said, *turned)
    return _told(state, (*said, *more), now) if said or more else (state, [])


def voice(state: Station, said: tuple[Said, ...], now: Now, name: str = "") -> Step:
    """Turn what a machine said into records and effects, in its order; `name` is the input that it came from."""
    effects: list[Effect] = []
    for one in said:
        match one:
            case Moved(what):
                effects.append(Record(EventKind.DOOR, now, DoorBody(door=state.door.name, what=what, input=name)))
            case Noticed(code, detail):
                body = AlarmBody(code=code, detail=detail or name)
                effects.append(Record(EventKind.ALARM, now, body))
            case Ended():
                state, more = _ended(state, one, now)
                effects += more
            case Relocks():
                effects += [] if state.holding is Holding.ON else [Relock()]
            case Frees(opening):
                assert state.door.pulse_ms is not None
                latest_ms = turnstile.latest_ms(opening)
                effects.append(Unlock(opening, state.door.pulse_ms, turnstile.way_of(opening), latest_ms))
            case _:
                assert_never(one)
    return state, effects


def end_grant(grant: Grant, outcome: PassageOutcome, sense: PassageSense | None, now: Now) -> Record:
    """Return the record of the one end that a grant has."""
    body = PassageBody(
        of_run=grant.event.run,
        of_n=grant.event.n,
        outcome=outcome,
        member=grant.decision.member,
        direction=grant.read.direction,
        sense=sense,
    )
    return Record(EventKind.PASSAGE, now, body, settles=grant.promise)


def forget_presence(state: Station, grant: Grant) -> Station:
    """Somebody whose grant came to nothing may present again at once."""
    who = (grant.decision.member, grant.read.direction)
    return replace(state, recent=tuple(p for p in state.recent if (p.subject, p.direction) != who))


def comes_first(facts: Facts, row: DirectoryRow) -> bool:
    """Say whether somebody who comes in may be a door's first person. Whoever leaves is not: the house may be empty."""
    if Right.FIRST_PERSON not in row.rights or facts.read.direction is Direction.OUT:
        return False
    return not case_of(facts, row).is_leaving_by_toggle


def _leaf_sensed(state: Station, event: Sensed) -> Step:
    at_ms = event.now.mono_ms
    if event.role is Role.REX:
        door, said = leaf.exit_asked(state.leaf, event.is_active, at_ms)
    else:
        door, said = leaf.moved(state.leaf, event.is_active, at_ms, is_free=state.is_unwatched)
    return _told(replace(state, leaf=door), said, event.now, event.name)


def _arms_sensed(state: Station, event: Sensed) -> Step:
    if state.arms is None:
        return state, []
    at_ms = event.now.mono_ms
    if event.role is Role.BUSY:
        arms, said = turnstile.busy(state.arms, event.is_active, at_ms)
    elif event.is_active:
        arms, said = turnstile.passed(state.arms, _WAYS[event.role], at_ms, is_free=state.is_unwatched)
    else:
        return state, []
    return _told(replace(state, arms=arms), said, event.now, event.name)


def _fire_sensed(state: Station, event: Sensed) -> Step:
    """Stop inviting and stop commanding first; the record follows."""
    now, was_fire = event.now, state.around.is_fire
    around, said = surroundings.changed(state.around, Role.FIRE, event.is_active, now.mono_ms)
    state = replace(state, around=around)
    effects: list[Effect] = []
    if around.is_fire and not was_fire:
        state, failed = let_go(state, "fire", now)
        state, effects = rest(state, now)
        effects = [*([Relock()] if state.has_lock else []), *effects, *failed]
        if state.arms is not None:
            arms, emptied = turnstile.emptied(state.arms)
            state, more = voice(replace(state, arms=arms), emptied, now)
            effects = [*effects, *more]
    for one in said:
        opens = FIRE_PROMISE if one.code is AlarmCode.FIRE and not was_fire else None
        effects.append(Record(EventKind.ALARM, now, AlarmBody(code=one.code, detail=event.name), opens=opens))
    return state, effects


def _told(state: Station, said: tuple[Said, ...], now: Now, name: str = "") -> Step:
    """Voice it, and let the picture follow what it changed unless somebody is being answered."""
    was = state.picture
    state, effects = voice(state, said, now, name)
    if state.picture_until_ms is not None or was.state is State.READING:
        return state, effects
    shown, more = rest(state, now)
    return shown, [*effects, *more]


def _ended(state: Station, end: Ended, now: Now) -> Step:
    grant, outcome = end.grant, end.outcome
    effects: list[Effect] = [end_grant(grant, outcome, end.sense, now)]
    if outcome is not PassageOutcome.PASSED:
        state = forget_presence(state, grant)
    elif _is_first(state, grant):
        state, more = change(state, CameFirst(grant.decision.member or ""), now)
        effects += more
    if end.sense in {PassageSense.CONTACT, PassageSense.SENSOR} and state.picture.state in _GREEN:
        state, more = rest(replace(state, picture_until_ms=None), now)
        effects += more
    return state, effects


def _is_first(state: Station, grant: Grant) -> bool:
    standing = state.standing
    is_waiting = standing.scheduled is DoorMode.FIRST_PERSON and not standing.is_first_person_in
    return is_waiting and grant.comes_first
