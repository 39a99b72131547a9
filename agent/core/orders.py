"""What central may ask of the door. Each command is recorded before it acts, and its end when it is physical.

A command that lets people in never begins after its time, whatever happened on the way; one that keeps them out holds
from the moment it is heard, even where it cannot be recorded.
"""

from msgspec.structs import replace

from agent.core import capturing, modes, results, screen, surroundings, turnstile
from agent.core.effects import AnyCommand, Effect, FireEnded, Order, Record, Rekey, RemoteUnlock, Unlock
from agent.core.modes import LocksDown, Overrides
from agent.core.opening import obstacle
from agent.core.standing import change, now_stands
from agent.core.state import Holding, Station, Step, rest, show
from agent.core.surroundings import FIRE_PROMISE
from agent.core.types import Now
from wire.events import AlarmBody, CommandBegunBody
from wire.vocabulary import AlarmCode, CommandName, CommandState, Direction, DoorMode, EventKind, ModeCause

_RESTRICTS = frozenset({CommandName.LOCK, CommandName.LOCKDOWN})
_NOTHING = "nothing_to_release"
_LOCKS = {"": DoorMode.LOCKED, "maintenance": DoorMode.MAINTENANCE}


def command(state: Station, wanted: AnyCommand, now: Now) -> Step:
    """Central asks for something: refuse what cannot be, record what begins."""
    if now.mono_ms >= wanted.begin_before_mono_ms:
        return state, [results.never_begun(wanted, CommandState.EXPIRED, "too_late", now)]
    code = _refusal(state, wanted)
    if code:
        out = _in_force(state) if code == _NOTHING else ""
        return state, [results.never_begun(wanted, CommandState.FAILED, code, now, out=out)]
    effects: list[Effect] = []
    if isinstance(wanted, Order) and wanted.name in _RESTRICTS:
        state, effects = _restricted(state, wanted, now)
    body = CommandBegunBody(id=wanted.id, name=wanted.name, actor=wanted.actor)
    return state, [*effects, Record(EventKind.COMMAND_BEGUN, now, body, wanted, opens=wanted.promise)]


def begun(state: Station, wanted: AnyCommand, now: Now) -> Step:
    """A command's beginning is durable: do it, unless its time is over or the door has changed meanwhile."""
    if now.mono_ms >= wanted.begin_before_mono_ms and wanted.name not in _RESTRICTS:
        return state, [results.ended(wanted, CommandState.EXPIRED, "too_late", now)]
    code = _refusal(state, wanted)
    if code:
        return state, [results.failed(wanted, code, now)]
    if isinstance(wanted, RemoteUnlock):
        return _unlock(state, wanted, now)
    match wanted.name:
        case CommandName.HOLD:
            hold = modes.override(DoorMode.UNLOCKED, ModeCause.COMMAND, wanted.actor, wanted.for_ms, now)
            return change(state, Overrides(hold, ModeCause.COMMAND, wanted.actor), now, wanted)
        case CommandName.LOCK:
            lock = modes.override(_LOCKS[wanted.what], ModeCause.COMMAND, wanted.actor, wanted.for_ms, now)
            return change(state, Overrides(lock, ModeCause.COMMAND, wanted.actor), now, wanted)
        case CommandName.LOCKDOWN:
            lockdown = modes.lockdown(wanted.level, ModeCause.COMMAND, wanted.actor, wanted.for_ms, now)
            return change(state, LocksDown(lockdown, ModeCause.COMMAND, wanted.actor), now, wanted)
        case CommandName.RELEASE:
            return _release(state, wanted, now)
        case CommandName.CAPTURE:
            return capturing.begun(state, wanted, now)
        case CommandName.ROTATE_KEY:
            return state, [Rekey(wanted)]
        case _:
            assert wanted.name is CommandName.IDENTIFY, wanted
            shown, effects = show(state, screen.IDENTIFY, now)
            return shown, [*effects, results.done(wanted, "shown", now)]


def reset_fire(actor: str, now: Now, order: Order | None = None) -> Record:
    """Return the record that staff ended a fire; it ends once that is durable."""
    alarm = AlarmBody(code=AlarmCode.FIRE_OVER, detail=actor)
    return Record(EventKind.ALARM, now, alarm, FireEnded(order), settles=FIRE_PROMISE)


def answer_assist(state: Station, now: Now) -> Step:
    """Staff are there: whoever asked for help has it."""
    around, said = surroundings.answered(state.around)
    if not said:
        return state, []
    records: list[Effect] = [Record(EventKind.ALARM, now, AlarmBody(code=one.code)) for one in said]
    shown, more = rest(replace(state, around=around), now)
    return shown, [*records, *more]


def _refusal(state: Station, wanted: AnyCommand) -> str:
    """Return why a command cannot be carried out as things stand, empty where it can."""
    if isinstance(wanted, RemoteUnlock):
        return _unlock_refusal(state)
    match wanted.name:
        case CommandName.HOLD:
            if not state.has_lock:
                return "no_lock"
            return _closed_code(state)
        case CommandName.LOCK:
            return "" if wanted.what in _LOCKS else "unknown_mode"
        case CommandName.RELEASE:
            return _release_refusal(state, wanted.what)
        case CommandName.CAPTURE:
            return "busy" if state.capture is not None else ""
        case _:
            return ""


def _unlock_refusal(state: Station) -> str:
    if not state.has_lock:
        return "no_lock"
    reason = obstacle(state, Direction.IN)
    if reason is not None or state.standing.level:
        return reason.value if reason is not None else "lockdown"
    return "busy" if state.arms is not None and not turnstile.is_at_rest(state.arms) else ""


def _closed_code(state: Station) -> str:
    if state.standing.level and not state.around.is_fire:
        return "lockdown"
    reason = obstacle(state, Direction.IN)
    return "" if reason is None else reason.value


def _release_refusal(state: Station, what: str) -> str:
    around, standing = state.around, state.standing
    match what:
        case "fire" if around.is_fire:
            return "" if surroundings.may_reset(around) else "fire_input_active"
        case "lockdown" if standing.lockdown is not None:
            return ""
        case "" | "mode" if standing.override is not None:
            return ""
        case "assist" if around.assist_ms is not None:
            return ""
        case "fire" | "lockdown" | "" | "mode" | "assist":
            return _NOTHING
        case _:
            return "unknown_release"


def _in_force(state: Station) -> str:
    """Say what could be released, each by its name for `release` and what it is."""
    around, now_set = state.around, state.standing
    standing = (
        ("fire", around.is_fire),
        (f"lockdown {now_set.level}", now_set.lockdown is not None),
        (f"mode {'' if now_set.override is None else now_set.override.mode}", now_set.override is not None),
        ("assist", around.assist_ms is not None),
    )
    return ", ".join(words for words, is_so in standing if is_so)


def _restricted(state: Station, order: Order, now: Now) -> Step:
    """Keep people out from here on; that it stands is durable, and has its end on the record, in a moment."""
    if order.name is CommandName.LOCKDOWN:
        lockdown = modes.lockdown(order.level, ModeCause.COMMAND, order.actor, order.for_ms, now)
        after = replace(state.standing, lockdown=lockdown)
    else:
        override = modes.override(_LOCKS[order.what], ModeCause.COMMAND, order.actor, order.for_ms, now)
        after = replace(state.standing, override=override)
    if modes.lets_more_in(state.standing, after):
        return state, []
    state = now_stands(state, modes.unrecorded(state.standing, after), now)
    return rest(state, now) if state.picture_until_ms is None else (state, [])


def _unlock(state: Station, wanted: RemoteUnlock, now: Now) -> Step:
    assert state.door.pulse_ms is not None
    if state.holding is Holding.ON:
        return state, [results.done(wanted, "held_open", now)]
    if state.arms is None:
        return state, [Unlock(wanted, state.door.pulse_ms)]
    arms, _ = turnstile.took(state.arms, wanted, now.mono_ms)
    return replace(state, arms=arms), [Unlock(wanted, state.door.pulse_ms, turnstile.way_of(wanted))]


def _release(state: Station, order: Order, now: Now) -> Step:
    match order.what:
        case "fire":
            return state, [reset_fire(order.actor, now, order)]
        case "lockdown":
            return change(state, LocksDown(None, ModeCause.COMMAND, order.actor), now, order)
        case "assist":
            state, effects = answer_assist(state, now)
            return state, [*effects, results.done(order, "released", now)]
        case _:
            return change(state, Overrides(None, ModeCause.COMMAND, order.actor), now, order)
