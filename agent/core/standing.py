"""Carrying out what changes a door's mode: by schedule, by people, by time.

What keeps people out holds at once and is then recorded; what lets people in holds once it is durable. So a full disk
never ends a lockdown, and the way stands open for nobody without an event that says so.
"""

from msgspec.structs import replace

from agent.core import door as leaf
from agent.core import modes, results
from agent.core.effects import Effect, FireEnded, Hold, Order, Record, Relock, Stood
from agent.core.modes import Change, LocksDown, Overrides, Scheduled, Standing
from agent.core.state import Holding, Station, Step, rest
from agent.core.surroundings import FIRE_PROMISE
from agent.core.types import Now
from wire.events import AlarmBody, ModeBody
from wire.vocabulary import AlarmCode, CommandName, EventKind, ModeCause

_DONE = {
    CommandName.HOLD: "held",
    CommandName.LOCK: "locked",
    CommandName.LOCKDOWN: "locked_down",
    CommandName.RELEASE: "released",
}


def change(state: Station, wanted: Change, now: Now, order: Order | None = None) -> Step:
    """Record a change of what the door does; a restriction holds from here on, anything else from its record on."""
    before, after = state.standing, modes.changed(state.standing, wanted)
    if isinstance(wanted, Scheduled) and (after.mode, after.level) == (before.mode, before.level):
        return replace(state, standing=after), []
    record = _record(state, before, after, wanted, now)
    if not modes.lets_more_in(before, after):
        state = now_stands(state, modes.unrecorded(before, after), now)
    return state, [replace(record, then=Stood(wanted, order))]


def confirm(state: Station, cause: ModeCause, now: Now) -> Step:
    """Record anew what the door does, so that it can stand open again after something that closed it."""
    body = ModeBody(door=state.door.name, mode=state.standing.mode, cause=cause, lockdown=state.standing.level)
    return state, [Record(EventKind.MODE, now, body, Stood(Overrides(state.standing.override, cause)))]


def stood(state: Station, then: Stood, now: Now) -> Step:
    """A change is durable: it holds, and the way opens where it is to stand open."""
    state = now_stands(state, modes.changed(state.standing, then.change), now)
    waits = then.order if then.order is not None and then.order.name is CommandName.HOLD else None
    state, effects = stand_open(state, waits)
    if then.order is not None and then.order != state.hold_order:
        effects.append(results.done(then.order, _DONE[then.order.name], now))
    shown, show = rest(state, now) if state.picture_until_ms is None else (state, [])
    return shown, [*effects, *show]


def stand_open(state: Station, order: Order | None = None) -> Step:
    """Let the way stand open where it is to; while the other door of the pair is open, not before that is shut.

    A way that stands open already stays so: two doors that gave way to each other would do so for ever.
    """
    if not state.may_stand_open or state.holding is not Holding.NOT or state.around.is_other_open:
        return state, []
    return replace(state, holding=Holding.ASKED, hold_order=order), [Hold()]


def fire_ended(state: Station, then: FireEnded, now: Now) -> Step:
    """The reset of a fire is durable. A door that should stand open is recorded as open again first."""
    if state.around.is_fire_sensed:
        alarm = AlarmBody(code=AlarmCode.FIRE, detail="still sensed")
        again: list[Effect] = [Record(EventKind.ALARM, now, alarm, opens=FIRE_PROMISE)]
        return state, again + ([results.failed(then.order, "fire_input_active", now)] if then.order else [])
    state = replace(state, around=replace(state.around, is_fire=False))
    state, effects = rest(replace(state, leaf=leaf.freed(state.leaf, now.mono_ms)), now)
    if then.order is not None:
        effects = [*effects, results.done(then.order, _DONE[then.order.name], now)]
    if state.may_stand_open:
        state, more = confirm(state, ModeCause.FIRE, now)
        effects = [*effects, *more]
    return state, effects


def relocked(state: Station, now: Now) -> Step:
    """Close a way that stands open and should not any more."""
    if state.holding is Holding.NOT or state.may_stand_open:
        return state, []
    closes: list[Effect] = [] if state.holding is Holding.PAUSED else [Relock()]  # that would shut in who leaves now
    state, effects = let_go(state, "closed_again", now)
    return state, [*closes, *effects]


def let_go(state: Station, code: str, now: Now) -> Step:
    """The way does not stand open any more; a command that waited for it has failed."""
    order = state.hold_order
    state = replace(state, holding=Holding.NOT, hold_order=None)
    return state, [] if order is None else [results.failed(order, code, now)]


def now_stands(state: Station, after: Standing, now: Now) -> Station:
    """Let it stand from here on; a door that alarmed nobody while it was open has its whole time to be closed."""
    was_watched = state.standing.is_watched
    state = replace(state, standing=after)
    if after.is_watched and not was_watched:
        return replace(state, leaf=leaf.freed(state.leaf, now.mono_ms))
    return state


def time_went_by(state: Station, now: Now) -> Step:
    """End what has come to its end."""
    wanted = modes.over(state.standing, now)
    return (state, []) if wanted is None else change(state, wanted, now)


def _record(state: Station, before: Standing, after: Standing, wanted: Change, now: Now) -> Record:
    term = None
    if isinstance(wanted, Overrides) and after.override is not None:
        term = after.override.term
    elif isinstance(wanted, LocksDown) and after.lockdown is not None:
        term = after.lockdown.term
    body = ModeBody(
        door=state.door.name,
        mode=after.mode,
        cause=wanted.cause,
        actor=wanted.actor,
        lockdown=after.level,
        for_ms=None if term is None else max(0, term.mono_ms - now.mono_ms),
    )
    old, new = _promises(before), _promises(after)
    return Record(EventKind.MODE, now, body, opens=next(iter(new - old), None), settles=next(iter(old - new), None))


def _promises(standing: Standing) -> set[str]:
    parts = (standing.lockdown, standing.override)
    return {part.promise for part in parts if part is not None and part.promise}
