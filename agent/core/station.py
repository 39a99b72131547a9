"""The station: one door's state machine, from a presentation to a passage.

`step(state, input) -> (state, effects)`. A grant runs through four steps, each the answer to the one before:

    Presented -> Record(decision) -> Recorded -> Unlock -> Opened -> Show(granted) ... PulseEnded -> Record(passage)

so nothing opens and nothing turns green before the decision is durable, and every grant gets exactly one passage. A
grant that a crash cut off is ended as `unknown` by the next start (`Recovered`), never opened.
"""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from agent.core import screen
from agent.core.effects import (
    Answer,
    Commanded,
    CommandEnd,
    Denial,
    Effect,
    Grant,
    Input,
    Misread,
    Misreading,
    Opened,
    Opening,
    Presented,
    PulseEnded,
    ReaderChanged,
    Record,
    Recorded,
    RecordFailed,
    RecordFault,
    Recovered,
    RemoteUnlock,
    Show,
    Stop,
    Then,
    Unlock,
    WakeAt,
    Woke,
)
from agent.core.types import Decision, EventId, Facts, Now, OpenPromise, Read, Use
from rules.policy import decide
from wire.events import AlarmBody, CommandBegunBody, CommandResultBody, DecisionBody, PassageBody, ReadFaultBody
from wire.vocabulary import CommandName, CommandState, EventKind, Outcome, PassageOutcome, Reason

FRESH_MS = 10_000
"""A presentation older than this opens nothing: whoever made it is gone."""


class Door(Struct, frozen=True):
    """What never changes while the agent runs. `pulse_ms` is None at a kiosk without a lock."""

    name: str
    run: str
    pulse_ms: int | None
    hold_off_ms: int = 3_000


class Presence(Struct, frozen=True):
    """Somebody who was just answered: within the hold-off they are not asked again."""

    subject: str
    direction: str
    until_mono_ms: int


class Station(Struct, frozen=True):
    """The door's state. `missing` readers are gone; `storage_failed` and `lock_failed` last until a success."""

    door: Door
    readers: frozenset[str]
    missing: frozenset[str] = frozenset()
    recent: tuple[Presence, ...] = ()
    grants: int = 0
    repeats: int = 0
    picture: screen.Screen = screen.STARTING
    picture_until_ms: int | None = None
    storage_failed: bool = False
    lock_failed: bool = False


Step = tuple[Station, list[Effect]]


def start(door: Door, readers: frozenset[str]) -> Station:
    """Return the state of a door that has just come up: quiet, and showing that it starts."""
    return Station(door, readers)


def step(state: Station, event: Input) -> Step:
    """Return the next state and what has to be done, in order."""
    match event:
        case Presented(facts):
            return _present(state, facts)
        case Misread():
            return _misread(state, event)
        case ReaderChanged():
            return _change_reader(state, event)
        case Commanded(command, now):
            return _command(state, command, now)
        case Recovered(promises, now):
            return _recovered(state, promises, now)
        case Woke(now):
            return _woke(state, now)
        case _:
            return _answered(state, event)


def _answered(state: Station, event: Recorded | RecordFailed | Opened | PulseEnded) -> Step:
    match event:
        case Recorded(then, event_id, now):
            return _recorded(replace(state, storage_failed=False), then, event_id, now)
        case RecordFailed(then, fault, now):
            return _record_failed(state, then, fault, now)
        case Opened(opening, now):
            return _opened(state, opening, now)
        case PulseEnded():
            return _pulse_ended(state, event)
        case _:
            assert_never(event)


# --- presentations -----------------------------------------------------------------------------------------------


def _present(state: Station, facts: Facts) -> Step:
    read, now = facts.read, facts.now
    if now.mono_ms - read.at_mono_ms > FRESH_MS:
        stale = ReadFaultBody(reader=read.reader, fault="stale", detail="answered too late; present again")
        return state, [Record(EventKind.READ_FAULT, now, stale, Misreading())]
    subject = facts.row.member if facts.row is not None else read.credential.key
    if _is_held_off(state, subject, read.direction, read.at_mono_ms):
        return replace(state, repeats=state.repeats + 1), []
    decision = decide(facts)
    body = _decision_body(state, read, decision)
    state = _hold_off(state, subject, read.direction, read.at_mono_ms)
    if not decision.is_grant:
        return _tick(state, Record(EventKind.DECISION, now, body, Denial(decision)))
    state = replace(state, grants=state.grants + 1)
    promise = f"grant:{state.door.run}:{state.grants}"
    grant = Grant(read, decision, promise)
    return _tick(state, Record(EventKind.DECISION, now, body, grant, opens=promise, uses=_use_of(facts)))


def _decision_body(state: Station, read: Read, decision: Decision) -> DecisionBody:
    return DecisionBody(
        door=state.door.name,
        reader=read.reader,
        direction=read.direction,
        kind=read.credential.kind,
        credential=read.credential.key,
        outcome=decision.outcome,
        reason=decision.reason,
        receipt=decision.receipt,
        member=decision.member,
    )


def _use_of(facts: Facts) -> Use | None:
    if facts.passed is None or not facts.passed.step:
        return None
    credential = facts.read.credential
    return Use(f"{credential.kind}:{credential.key}", facts.passed.step)


def _tick(state: Station, record: Record) -> Step:
    return replace(state, picture=screen.READING, picture_until_ms=None), [Show(screen.READING), record]


def _is_held_off(state: Station, subject: str, direction: str, at_mono_ms: int) -> bool:
    return any(p.subject == subject and p.direction == direction and at_mono_ms < p.until_mono_ms for p in state.recent)


def _hold_off(state: Station, subject: str, direction: str, at_mono_ms: int) -> Station:
    kept = tuple(p for p in state.recent if p.until_mono_ms > at_mono_ms)
    return replace(state, recent=(*kept, Presence(subject, direction, at_mono_ms + state.door.hold_off_ms)))


def _forget_presence(state: Station, grant: Grant) -> Station:
    """Somebody whose grant came to nothing may present again at once."""
    who = (grant.decision.member, grant.read.direction)
    return replace(state, recent=tuple(p for p in state.recent if (p.subject, p.direction) != who))


def _misread(state: Station, event: Misread) -> Step:
    body = ReadFaultBody(reader=event.reader, fault=event.fault, detail=event.detail)
    return state, [Record(EventKind.READ_FAULT, event.now, body, Misreading())]


def _change_reader(state: Station, event: ReaderChanged) -> Step:
    was = state.missing
    missing = was - {event.reader} if event.is_ready else was | {event.reader}
    state = replace(state, missing=missing)
    shown, effects = _rest(state, event.now)
    if (event.reader in was) != event.is_ready:
        return shown, effects
    code = "reader_back" if event.is_ready else "reader_missing"
    alarm = AlarmBody(code=code, detail=f"{event.reader}: {event.detail}" if event.detail else event.reader)
    return shown, [Record(EventKind.ALARM, event.now, alarm), *effects]


# --- commands ----------------------------------------------------------------------------------------------------


def _command(state: Station, command: RemoteUnlock, now: Now) -> Step:
    if state.door.pulse_ms is None:
        return state, [_never_begun(command, CommandState.FAILED, "no_lock", now)]
    if now.mono_ms >= command.begin_before_mono_ms:
        return state, [_never_begun(command, CommandState.EXPIRED, "too_late", now)]
    body = CommandBegunBody(id=command.id, name=CommandName.UNLOCK, actor=command.actor)
    return state, [Record(EventKind.COMMAND_BEGUN, now, body, command, opens=command.promise)]


def _never_begun(command: RemoteUnlock, state: CommandState, code: str, now: Now) -> Record:
    body = CommandResultBody(id=command.id, name=CommandName.UNLOCK, state=state, code=code)
    return Record(EventKind.COMMAND_RESULT, now, body, CommandEnd(command.id, state, code))


def _end_command(command: RemoteUnlock, state: CommandState, code: str, now: Now) -> Record:
    return replace(_never_begun(command, state, code, now), settles=command.promise, outcome=state)


# --- answers to records --------------------------------------------------------------------------------------------


def _recorded(state: Station, then: Then, event: EventId, now: Now) -> Step:
    match then:
        case Grant():
            return _let_in(state, replace(then, event=event), now)
        case Denial(decision):
            return _show(state, screen.denied(decision.reason, support=_support(event)), now)
        case RemoteUnlock():
            if now.mono_ms >= then.begin_before_mono_ms:
                return state, [_end_command(then, CommandState.EXPIRED, "too_late", now)]
            assert state.door.pulse_ms is not None
            return state, [Unlock(then, state.door.pulse_ms)]
        case CommandEnd(id, outcome, code):
            return state, [Answer(id, CommandName.UNLOCK, outcome, code)]
        case Misreading():
            return _show(state, screen.denied(Reason.UNREADABLE, support=_support(event)), now)
        case None:
            return state, []
        case _:
            assert_never(then)


def _let_in(state: Station, grant: Grant, now: Now) -> Step:
    if now.mono_ms - grant.read.at_mono_ms > FRESH_MS:
        state = _forget_presence(state, grant)
        shown, effects = _show(state, screen.denied(Reason.UNREADABLE, support=_support(grant.event)), now)
        return shown, [*effects, _end_grant(grant, PassageOutcome.UNUSED, now)]
    if state.door.pulse_ms is not None:
        return state, [Unlock(grant, state.door.pulse_ms)]
    checked_in = screen.granted(grant.read.direction, open_ms=None, support=_support(grant.event))
    shown, effects = _show(state, checked_in, now)
    return shown, [*effects, _end_grant(grant, PassageOutcome.PASSED, now)]


def _record_failed(state: Station, then: Then, fault: RecordFault, now: Now) -> Step:
    match then:
        case Grant() if fault is RecordFault.REPEATED:
            return _used_meanwhile(state, then, now)
        case Grant():
            state = _forget_presence(state, then)
        case RemoteUnlock() if fault is RecordFault.REPEATED:
            return state, [Answer(then.id, CommandName.UNLOCK, CommandState.UNKNOWN, "begun_before")]
        case RemoteUnlock() | CommandEnd():
            return _storage_fault(state, fault, [Answer(then.id, CommandName.UNLOCK, CommandState.FAILED, "storage")])
        case _:
            pass
    return _storage_fault(state, fault, [])


def _used_meanwhile(state: Station, grant: Grant, now: Now) -> Step:
    """Deny a pass whose code was used, here or at another door, between the look at it and the record."""
    denied = replace(grant.decision, outcome=Outcome.DENY, reason=Reason.PASS_REPLAYED)
    return state, [Record(EventKind.DECISION, now, _decision_body(state, grant.read, denied), Denial(denied))]


def _storage_fault(state: Station, fault: RecordFault, effects: list[Effect]) -> Step:
    picture = screen.out_of_service(screen.PublicCode.STORAGE)
    state = replace(state, storage_failed=True, picture=picture, picture_until_ms=None)
    effects = [*effects, Show(picture)]
    if fault is RecordFault.FULL:
        return state, effects
    return state, [*effects, Stop("the journal's last commit has an unknown outcome; starting again with a new file")]


# --- pulses --------------------------------------------------------------------------------------------------------


def _opened(state: Station, opening: Opening, now: Now) -> Step:
    state = replace(state, lock_failed=False)
    pulse_ms = state.door.pulse_ms
    match opening:
        case Grant(read=read, event=event):
            return _show(state, screen.granted(read.direction, open_ms=pulse_ms, support=_support(event)), now)
        case RemoteUnlock():
            picture = screen.Screen(
                screen.State.GRANTED_IN, screen.Signal.GRANTED, screen.Tone.GRANTED, for_ms=pulse_ms
            )
            return _show(state, picture, now)
        case _:
            assert_never(opening)


def _pulse_ended(state: Station, event: PulseEnded) -> Step:
    opening, outcome, now = event.opening, event.outcome, event.now
    failed = outcome is PassageOutcome.FAILED
    effects: list[Effect] = []
    match opening:
        case Grant():
            effects.append(_end_grant(opening, outcome, now))
            state = _forget_presence(state, opening) if failed else state
        case RemoteUnlock():
            ended = (CommandState.FAILED, "lock") if failed else (CommandState.DONE, "pulsed")
            effects.append(_end_command(opening, *ended, now))
        case _:
            assert_never(opening)
    if not failed:
        return state, effects
    state = replace(state, lock_failed=True)
    effects.append(Record(EventKind.ALARM, now, AlarmBody(code="lock_failed", detail=event.detail)))
    shown, rest = _rest(state, now)
    return shown, [*effects, *rest]


def _end_grant(grant: Grant, outcome: PassageOutcome, now: Now) -> Record:
    body = PassageBody(
        of_run=grant.event.run,
        of_n=grant.event.n,
        outcome=outcome,
        member=grant.decision.member,
        direction=grant.read.direction,
    )
    return Record(EventKind.PASSAGE, now, body, settles=grant.promise)


def _recovered(state: Station, promises: tuple[OpenPromise, ...], now: Now) -> Step:
    effects: list[Effect] = []
    for promise in promises:
        kind, _, rest = promise.key.partition(":")
        if kind == "grant":
            body = PassageBody(of_run=promise.event.run, of_n=promise.event.n, outcome=PassageOutcome.UNKNOWN)
            effects.append(Record(EventKind.PASSAGE, now, body, settles=promise.key))
        else:
            lost = RemoteUnlock(rest, actor="", begin_before_mono_ms=0, promise=promise.key)
            effects.append(_end_command(lost, CommandState.UNKNOWN, "crashed", now))
    shown, show = _rest(state, now)
    return shown, [*effects, *show]


# --- the picture ---------------------------------------------------------------------------------------------------


def _show(state: Station, picture: screen.Screen, now: Now) -> Step:
    if picture.for_ms is None:
        return replace(state, picture=picture, picture_until_ms=None), [Show(picture)]
    until = now.mono_ms + picture.for_ms
    return replace(state, picture=picture, picture_until_ms=until), [Show(picture), WakeAt(until)]


def _woke(state: Station, now: Now) -> Step:
    if state.picture_until_ms is None or now.mono_ms < state.picture_until_ms:
        return state, []
    return _rest(state, now)


def _rest(state: Station, now: Now) -> Step:
    """Show what the door shows when nobody is there."""
    picture = _resting_screen(state)
    if picture == state.picture:
        return state, []
    return _show(state, picture, now)


def _resting_screen(state: Station) -> screen.Screen:
    if state.storage_failed:
        return screen.out_of_service(screen.PublicCode.STORAGE)
    if state.lock_failed:
        return screen.out_of_service(screen.PublicCode.LOCK)
    if state.readers and state.missing >= state.readers:
        return screen.out_of_service(screen.PublicCode.READER)
    return screen.IDLE


def _support(event: EventId) -> str:
    """Return the short code by which staff find the event: the end of the run's id and the number in it."""
    return f"{event.run[-2:]}-{event.n}"
