"""The station: one door's state machine, from a presentation to a passage.

`step(state, input) -> (state, effects)`. A grant runs through four steps, each the answer to the one before:

    Presented -> Record(decision) -> Recorded -> Unlock -> Opened -> Show(granted) ... PulseEnded -> Record(passage)

so nothing opens and nothing turns green before the decision is durable, and every grant gets exactly one passage. A
grant that a crash cut off is ended as `unknown` by the next start (`Recovered`), never opened.

The parts: `opening` is the way from a durable grant to its end, `doorway` what the inputs say, `standing` what changes
the door's mode, `orders` what central asks for, `gestures` what a second tap asks for, `settling` what follows from
every step.
"""

from typing import assert_never

from msgspec.structs import replace

from agent.core import capturing, doorway, gestures, modes, opening, orders, results, screen, standing
from agent.core.effects import (
    Answer,
    Answered,
    Captured,
    Commanded,
    CommandEnd,
    Denial,
    Effect,
    FireEnded,
    Grant,
    Held,
    HoldEnded,
    Input,
    Misread,
    Misreading,
    ModeChanged,
    Opened,
    Order,
    Presented,
    PulseEnded,
    ReaderChanged,
    Record,
    Recorded,
    RecordFailed,
    RecordFault,
    Recovered,
    Rekeyed,
    RemoteUnlock,
    Sensed,
    Stood,
    Stop,
    Then,
    Unasked,
    Woke,
)
from agent.core.modes import Lockdown, Scheduled
from agent.core.opening import obstacle
from agent.core.settling import settled
from agent.core.state import Door, Presence, Station, Step, rest, show, start, support
from agent.core.surroundings import FIRE_PROMISE
from agent.core.types import Decision, EventId, Facts, Now, OpenPromise, Read, Use
from rules.policy import decide
from wire.events import AlarmBody, DecisionBody, ModeBody, PassageBody, ReadFaultBody
from wire.vocabulary import (
    AlarmCode,
    CommandName,
    CommandState,
    Direction,
    DoorMode,
    EventKind,
    HolderKind,
    ModeCause,
    Outcome,
    PassageOutcome,
    Reason,
    Right,
)

__all__ = ["FRESH_MS", "Door", "Presence", "Station", "Step", "start", "step"]

FRESH_MS = 10_000
"""A presentation older than this opens nothing: whoever made it is gone."""


def step(state: Station, event: Input) -> Step:
    """Return the next state and what has to be done, in order."""
    now = event.facts.now if isinstance(event, Presented) else event.now
    state, effects = _react(state, event)
    return settled(state, effects, now)


def _react(state: Station, event: Input) -> Step:
    match event:
        case Presented(facts, captured):
            return _present(state, facts, captured)
        case Misread():
            return _misread(state, event)
        case ReaderChanged():
            return _change_reader(state, event)
        case Commanded(command, now):
            return orders.command(state, command, now)
        case Sensed():
            return doorway.sensed(state, event)
        case ModeChanged(mode, now, after_first, is_revoked):
            is_news = is_revoked is not state.standing.is_revoked
            cause = ModeCause.REVOCATION if is_news else ModeCause.SCHEDULE
            return standing.change(state, Scheduled(mode, after_first, cause, is_revoked=is_revoked), now)
        case Recovered(promises, now):
            return _recovered(state, promises, now)
        case Woke(now):
            return _woke(state, now)
        case _:
            return _answered(state, event)


def _answered(state: Station, event: Answered) -> Step:
    match event:
        case Recorded(then, event_id, now):
            return _recorded(replace(state, storage_failed=False), then, event_id, now)
        case RecordFailed(then, fault, now):
            return _record_failed(state, then, fault, now)
        case Opened(for_whom, now):
            return opening.opened(state, for_whom, now)
        case PulseEnded():
            return opening.pulse_ended(state, event)
        case Held(now):
            return opening.held(state, now)
        case HoldEnded():
            return opening.hold_ended(state, event)
        case Rekeyed(order, code, now):
            return state, [results.failed(order, code, now) if code else results.done(order, "kept", now)]
        case _:
            assert_never(event)


# --- presentations -----------------------------------------------------------------------------------------------


def _present(state: Station, facts: Facts, captured: Captured | None) -> Step:
    read, now = facts.read, facts.now
    if now.mono_ms - read.at_mono_ms > FRESH_MS:
        stale = ReadFaultBody(reader=read.reader, fault="stale", detail="answered too late; present again")
        return state, [Record(EventKind.READ_FAULT, now, stale, Misreading())]
    taken = capturing.presented(state, facts, captured)
    if taken is not None:
        return taken
    facts = _with_door(state, facts)
    subject = facts.row.member if facts.row is not None else read.credential.key
    if _is_held_off(state, subject, read.direction, read.at_mono_ms):
        return gestures.second_tap(replace(state, repeats=state.repeats + 1), facts, subject)
    decision = _decided(state, facts)
    body = _decision_body(state, read, decision)
    state = _hold_off(state, subject, facts)
    if not decision.is_grant:
        return _tick(state, Record(EventKind.DECISION, now, body, Denial(decision)), now)
    state = replace(state, grants=state.grants + 1)
    promise = f"grant:{state.door.run}:{state.grants}"
    grant = _grant(facts, decision, promise)
    return _tick(state, Record(EventKind.DECISION, now, body, grant, opens=promise, uses=_use_of(facts)), now)


def _grant(facts: Facts, decision: Decision, promise: str) -> Grant:
    row = facts.row
    assert row is not None, "nobody who is unknown is let in"
    is_staff = row.holder is HolderKind.STAFF
    return Grant(facts.read, decision, promise, comes_first=doorway.comes_first(facts, row), is_staff=is_staff)


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
        holder=decision.holder,
        notices=list(decision.notices),
    )


def _use_of(facts: Facts) -> Use | None:
    if facts.passed is None or not facts.passed.step:
        return None
    credential = facts.read.credential
    return Use(f"{credential.kind}:{credential.key}", facts.passed.step)


def _with_door(state: Station, facts: Facts) -> Facts:
    """Let the rules see what the door does now."""
    now_set = state.standing.override
    door = replace(
        facts.door,
        mode=facts.door.mode if now_set is None else now_set.mode,
        lockdown=state.standing.level,
        is_first_person_in=state.standing.is_first_person_in,
    )
    return replace(facts, door=door)


def _decided(state: Station, facts: Facts) -> Decision:
    """Ask the rules, and of those whom they let in refuse whom the door itself cannot or must not take."""
    decision = decide(facts)
    reason = _own_refusal(state, facts) if decision.is_grant else None
    return decision if reason is None else replace(decision, outcome=Outcome.DENY, reason=reason)


def _own_refusal(state: Station, facts: Facts) -> Reason | None:
    """Return why the door takes nobody, or not this one. Whoever leaves is asked for what the machine needs alone."""
    row, direction = facts.row, facts.read.direction
    assert row is not None, "nobody who is unknown is let in"
    if direction is not Direction.OUT:
        reason = _closed_to(state, set(row.rights))
        if reason is not None:
            return reason
    if opening.is_too_busy(state, _way(direction)):
        return Reason.DOOR_BUSY
    return obstacle(state, direction)


def _closed_to(state: Station, rights: set[str]) -> Reason | None:
    mode = state.standing.mode
    if mode is DoorMode.LOCKED and Right.OVERRIDE not in rights:
        return Reason.DOOR_LOCKED
    if mode is DoorMode.MAINTENANCE and not {Right.OVERRIDE, Right.MAINTENANCE} & rights:
        return Reason.MAINTENANCE
    if mode is DoorMode.FIRST_PERSON and not {Right.OVERRIDE, Right.FIRST_PERSON} & rights:
        return Reason.FIRST_PERSON_MISSING
    return None


def _way(direction: Direction) -> Direction:
    return Direction.OUT if direction is Direction.OUT else Direction.IN


def _tick(state: Station, record: Record, now: Now) -> Step:
    shown, effects = show(state, screen.READING, now)
    return shown, [*effects, record]


def _is_held_off(state: Station, subject: str, direction: str, at_mono_ms: int) -> bool:
    return any(p.subject == subject and p.direction == direction and at_mono_ms < p.until_mono_ms for p in state.recent)


def _hold_off(state: Station, subject: str, facts: Facts) -> Station:
    read = facts.read
    kept = tuple(p for p in state.recent if p.until_mono_ms > read.at_mono_ms)
    until_ms = read.at_mono_ms + state.door.hold_off_ms
    return replace(state, recent=(*kept, Presence(subject, read.direction, until_ms, read.credential.key)))


def _misread(state: Station, event: Misread) -> Step:
    body = ReadFaultBody(reader=event.reader, fault=event.fault, detail=event.detail)
    record = Record(EventKind.READ_FAULT, event.now, body, Misreading())
    state, effects = capturing.misread(state, event)
    return state, [record, *effects]


def _change_reader(state: Station, event: ReaderChanged) -> Step:
    was = state.missing
    missing = was - {event.reader} if event.is_ready else was | {event.reader}
    state = replace(state, missing=missing)
    shown, effects = rest(state, event.now)
    if (event.reader in was) != event.is_ready:
        return shown, effects
    code = AlarmCode.READER_BACK if event.is_ready else AlarmCode.READER_MISSING
    alarm = AlarmBody(code=code, detail=f"{event.reader}: {event.detail}" if event.detail else event.reader)
    return shown, [Record(EventKind.ALARM, event.now, alarm), *effects]


# --- answers to records --------------------------------------------------------------------------------------------


def _recorded(state: Station, then: Then, event: EventId, now: Now) -> Step:
    match then:
        case Grant():
            return _let_in(state, replace(then, event=event), now)
        case Denial(decision):
            return show(state, screen.denied(decision.reason, support=support(event)), now)
        case RemoteUnlock() | Order():
            return orders.begun(state, then, now)
        case CommandEnd(id, outcome, code, name, out):
            shown, effects = capturing.ended(state, then, now)
            return shown, [Answer(id, name, outcome, code, out), *effects]
        case Misreading():
            return show(state, screen.denied(Reason.UNREADABLE, support=support(event)), now)
        case Unasked():
            return show(state, screen.CARD_UNASKED, now)
        case Stood():
            return standing.stood(state, then, now)
        case FireEnded():
            return standing.fire_ended(state, then, now)
        case None:
            return state, []
        case _:
            assert_never(then)


def _let_in(state: Station, grant: Grant, now: Now) -> Step:
    if now.mono_ms - grant.read.at_mono_ms > FRESH_MS:
        return opening.refuse(state, grant, Reason.UNREADABLE, now)
    if grant.is_staff:
        state, effects = orders.answer_assist(state, now)
        shown, more = opening.let_in(state, grant, now)
        return shown, [*effects, *more]
    return opening.let_in(state, grant, now)


def _record_failed(state: Station, then: Then, fault: RecordFault, now: Now) -> Step:
    match then:
        case Grant() if fault is RecordFault.REPEATED:
            return _used_meanwhile(state, then, now)
        case Grant():
            state = doorway.forget_presence(state, then)
        case RemoteUnlock() | Order() if fault is RecordFault.REPEATED:
            return state, [Answer(then.id, then.name, CommandState.UNKNOWN, "begun_before")]
        case Stood() if fault is RecordFault.REPEATED:
            return standing.stood(state, then, now)
        case CommandEnd():
            return _storage_fault(state, fault, [results.unrecorded(then)], now)
        case RemoteUnlock() | Order():
            return _storage_fault(state, fault, [Answer(then.id, then.name, CommandState.FAILED, "storage")], now)
        case Stood(order=order) | FireEnded(order=order) if order is not None:
            return _storage_fault(state, fault, [Answer(order.id, order.name, CommandState.FAILED, "storage")], now)
        case _:
            pass
    return _storage_fault(state, fault, [], now)


def _used_meanwhile(state: Station, grant: Grant, now: Now) -> Step:
    """Deny a pass whose code was used, here or at another door, between the look at it and the record."""
    denied = replace(grant.decision, outcome=Outcome.DENY, reason=Reason.PASS_REPLAYED)
    return state, [Record(EventKind.DECISION, now, _decision_body(state, grant.read, denied), Denial(denied))]


def _storage_fault(state: Station, fault: RecordFault, effects: list[Effect], now: Now) -> Step:
    state, shown = show(replace(state, storage_failed=True), screen.out_of_service(screen.PublicCode.STORAGE), now)
    effects = [*effects, *shown]
    if fault is RecordFault.FULL:
        return state, effects
    return state, [*effects, Stop("the journal's last commit has an unknown outcome; starting again with a new file")]


# --- starts and time -----------------------------------------------------------------------------------------------


def _recovered(state: Station, promises: tuple[OpenPromise, ...], now: Now) -> Step:
    effects: list[Effect] = []
    for promise in promises:
        kind, _, rest_of_key = promise.key.partition(":")
        if kind == "grant":
            body = PassageBody(of_run=promise.event.run, of_n=promise.event.n, outcome=PassageOutcome.UNKNOWN)
            effects.append(Record(EventKind.PASSAGE, now, body, settles=promise.key))
        elif kind in {modes.LOCKDOWN_PROMISE, modes.MODE_PROMISE, FIRE_PROMISE}:
            state, more = _still_stands(state, promise, now)
            effects += more
        else:
            lost = Order(rest_of_key, _command_name(kind), "", begin_before_mono_ms=0, promise=promise.key)
            effects.append(results.ended(lost, CommandState.UNKNOWN, "crashed", now))
    shown, more = rest(state, now)
    return shown, [*effects, *more]


def _still_stands(state: Station, promise: OpenPromise, now: Now) -> Step:
    """What kept people out before a restart keeps them out after it."""
    if promise.key == FIRE_PROMISE:
        return replace(state, around=replace(state.around, is_fire=True)), []
    restored = modes.restored(promise.key, now)
    if restored is None:
        alarm = AlarmBody(code=AlarmCode.JOURNAL_DAMAGED, detail="what was set before the restart cannot be read")
        return state, [Record(EventKind.ALARM, now, alarm, settles=promise.key)]
    older = state.standing.lockdown if isinstance(restored, Lockdown) else state.standing.override
    if isinstance(restored, Lockdown):
        after = replace(state.standing, lockdown=restored)
    else:
        after = replace(state.standing, override=restored)
    body = ModeBody(
        door=state.door.name, mode=after.mode, cause=ModeCause.RESTART, actor=restored.actor, lockdown=after.level
    )
    settles = None if older is None else older.promise
    return replace(state, standing=after), [Record(EventKind.MODE, now, body, settles=settles)]


def _command_name(text: str) -> CommandName:
    return CommandName(text) if text in set(CommandName) else CommandName.UNLOCK


def _woke(state: Station, now: Now) -> Step:
    if state.asked_ms is not None and now.mono_ms >= state.asked_ms:
        state = replace(state, asked_ms=None)
    state, effects = doorway.time_went_by(state, now)
    state, more = standing.time_went_by(state, now)
    state, over = capturing.time_went_by(state, now)
    effects = [*effects, *more, *over]
    if state.picture_until_ms is not None and now.mono_ms >= state.picture_until_ms:
        state, more = rest(state, now)
        effects = [*effects, *more]
    return state, effects
