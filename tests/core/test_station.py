import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.core.effects import (
    Answer,
    Commanded,
    CommandEnd,
    Effect,
    Grant,
    Input,
    Misread,
    Opened,
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
    Unlock,
    WakeAt,
    Woke,
)
from agent.core.screen import PublicCode, State
from agent.core.station import FRESH_MS, Station, step
from agent.core.types import Credential, EventId, OpenPromise, Read, Use
from tests.core.builders import facts, now, read, row, station
from tests.core.playing import Play
from wire.events import AlarmBody, CommandResultBody, DecisionBody, PassageBody, ReadFaultBody
from wire.facts import PassFacts
from wire.vocabulary import (
    CommandName,
    CommandState,
    CredentialKind,
    Direction,
    DoorMode,
    EventKind,
    Outcome,
    PassageOutcome,
    PassageSense,
    Reason,
)

pytestmark = pytest.mark.unit

EVENT = EventId("00000000000000aa", 5)
UNLOCK = RemoteUnlock("c1", actor="Ann", begin_before_mono_ms=5_000, promise="unlock:c1")


def records(effects: list[Effect]) -> list[Record]:
    return [effect for effect in effects if isinstance(effect, Record)]


def shown(effects: list[Effect]) -> list[State]:
    return [effect.screen.state for effect in effects if isinstance(effect, Show)]


def granted(state: Station | None = None, at_mono_ms: int = 1_000) -> tuple[Station, Record]:
    state, effects = step(state or station(), Presented(facts(read(at_mono_ms), known=row())))
    (record,) = records(effects)
    return state, record


def opened(state: Station | None = None) -> tuple[Station, Grant]:
    state, record = granted(state)
    state, (unlock,) = step(state, Recorded(record.then, EVENT, now()))
    assert isinstance(unlock, Unlock)
    assert isinstance(unlock.opening, Grant)
    state, _ = step(state, Opened(unlock.opening, now()))
    return state, unlock.opening


def test_a_presentation_shows_checking_and_asks_for_the_record_only() -> None:
    _, effects = step(station(), Presented(facts(known=row())))
    assert [type(effect) for effect in effects] == [Show, Record]
    assert shown(effects) == [State.READING]


def test_a_grant_unlocks_only_after_its_record_is_durable() -> None:
    state, record = granted()
    assert isinstance(record.body, DecisionBody)
    assert record.body.outcome is Outcome.GRANT
    assert record.opens == "grant:00000000000000aa:1"
    _, effects = step(state, Recorded(record.then, EVENT, now()))
    assert [type(effect) for effect in effects] == [Unlock]


def test_green_is_shown_only_once_the_line_is_on() -> None:
    state, record = granted()
    state, (unlock,) = step(state, Recorded(record.then, EVENT, now()))
    assert isinstance(unlock, Unlock)
    assert unlock.for_ms == 3_000
    _, effects = step(state, Opened(unlock.opening, now()))
    assert shown(effects) == [State.GRANTED_IN]


def test_an_exit_says_goodbye() -> None:
    state, effects = step(station(), Presented(facts(read(direction=Direction.OUT), known=row())))
    state, (unlock,) = step(state, Recorded(records(effects)[0].then, EVENT, now()))
    assert isinstance(unlock, Unlock)
    _, effects = step(state, Opened(unlock.opening, now()))
    assert shown(effects) == [State.GRANTED_OUT]


def test_a_completed_pulse_is_recorded_as_a_passage_of_its_grant() -> None:
    state, grant = opened()
    _, effects = step(state, PulseEnded(grant, PassageOutcome.PASSED, "", now(4_000)))
    (record,) = records(effects)
    assert record.body == PassageBody(
        of_run=EVENT.run,
        of_n=EVENT.n,
        outcome=PassageOutcome.PASSED,
        member="m1",
        direction=Direction.IN,
        sense=PassageSense.PULSE,
    )
    assert record.settles == grant.promise


def test_a_denial_is_recorded_before_it_is_shown_and_unlocks_nothing() -> None:
    state, effects = step(station(), Presented(facts(known=None)))
    (record,) = records(effects)
    assert record.opens is None
    _, effects = step(state, Recorded(record.then, EVENT, now()))
    assert shown(effects) == [State.DENIED]
    assert [effect.screen.code for effect in effects if isinstance(effect, Show)] == [PublicCode.NOT_VALID_HERE]
    assert not any(isinstance(effect, Unlock) for effect in effects)


def test_a_kiosk_without_a_lock_checks_in_and_records_the_passage() -> None:
    state, record = granted(station(pulse_ms=None))
    _, effects = step(state, Recorded(record.then, EVENT, now()))
    assert shown(effects) == [State.CHECKED_IN]
    assert [record.kind for record in records(effects)] == [EventKind.PASSAGE]
    assert not any(isinstance(effect, Unlock) for effect in effects)


def test_second_read_within_hold_off_is_ignored() -> None:
    state, _ = granted()
    state, effects = step(state, Presented(facts(read(3_999), known=row())))
    assert (effects, state.repeats) == ([], 1)


def test_two_credentials_of_one_member_within_hold_off_are_one_presentation() -> None:
    state, _ = granted()
    _, effects = step(state, Presented(facts(read(2_000, key="f" * 32), known=row(key="f" * 32))))
    assert effects == []


def test_the_other_direction_is_another_presentation() -> None:
    state, _ = granted()
    _, effects = step(state, Presented(facts(read(2_000, direction=Direction.OUT), known=row())))
    assert len(records(effects)) == 1


def test_another_member_is_not_held_off() -> None:
    state, _ = granted()
    _, effects = step(state, Presented(facts(read(1_001, key="f" * 32), known=row("m2", key="f" * 32))))
    assert len(records(effects)) == 1


def test_hold_off_ends() -> None:
    state, _ = granted()
    state, effects = step(state, Presented(facts(read(4_000), known=row())))
    assert len(records(effects)) == 1
    assert len(state.recent) == 1


def test_a_read_answered_too_late_opens_nothing() -> None:
    late = facts(read(1_000), known=row(), at_now=now(1_000 + FRESH_MS + 1))
    _, effects = step(station(), Presented(late))
    (record,) = records(effects)
    assert isinstance(record.body, ReadFaultBody)
    assert record.body.fault == "stale"


def test_a_commit_that_took_too_long_opens_nothing_and_ends_the_grant_unused() -> None:
    state, record = granted()
    state, effects = step(state, Recorded(record.then, EVENT, now(1_000 + FRESH_MS + 1)))
    assert not any(isinstance(effect, Unlock) for effect in effects)
    (passage,) = records(effects)
    assert isinstance(passage.body, PassageBody)
    assert passage.body.outcome is PassageOutcome.UNUSED
    assert state.recent == ()


def test_without_room_for_the_record_nobody_is_let_in() -> None:
    state, record = granted()
    state, effects = step(state, RecordFailed(record.then, RecordFault.FULL, now()))
    assert shown(effects) == [State.OUT_OF_SERVICE]
    assert [type(effect) for effect in effects] == [Show]
    _, effects = step(state, Presented(facts(read(1_100), known=row())))
    assert len(records(effects)) == 1, "the next presentation is tried at once"


def test_room_again_ends_the_storage_fault() -> None:
    state, record = granted()
    state, _ = step(state, RecordFailed(record.then, RecordFault.FULL, now()))
    state, record = granted(state, 1_100)
    state, effects = step(state, Recorded(record.then, EVENT, now()))
    assert not state.storage_failed
    assert any(isinstance(effect, Unlock) for effect in effects)


def test_a_commit_with_unknown_outcome_stops_the_agent() -> None:
    state, record = granted()
    _, effects = step(state, RecordFailed(record.then, RecordFault.UNKNOWN, now()))
    assert isinstance(effects[-1], Stop)
    assert shown(effects) == [State.OUT_OF_SERVICE]


def test_an_event_behind_which_nobody_waits_may_fail_too() -> None:
    _, effects = step(station(), RecordFailed(None, RecordFault.FULL, now()))
    assert shown(effects) == [State.OUT_OF_SERVICE]


def test_a_strike_that_failed_is_recorded_alarmed_and_shown() -> None:
    state, record = granted()
    state, (unlock,) = step(state, Recorded(record.then, EVENT, now()))
    assert isinstance(unlock, Unlock)
    state, effects = step(state, PulseEnded(unlock.opening, PassageOutcome.FAILED, "line 17 stuck", now()))
    passage, alarm = records(effects)
    assert isinstance(passage.body, PassageBody)
    assert passage.body.outcome is PassageOutcome.FAILED
    assert alarm.body == AlarmBody(code="lock_failed", detail="line 17 stuck")
    assert shown(effects) == [State.OUT_OF_SERVICE]
    assert state.recent == (), "who met a broken lock may present again at once"


def test_a_pulse_that_works_ends_the_lock_fault() -> None:
    state, record = granted()
    state, (unlock,) = step(state, Recorded(record.then, EVENT, now()))
    assert isinstance(unlock, Unlock)
    state, _ = step(state, PulseEnded(unlock.opening, PassageOutcome.FAILED, "", now()))
    state, _ = step(state, Opened(unlock.opening, now(2_000)))
    assert not state.lock_failed


def test_a_misread_asks_for_another_try() -> None:
    state, (record,) = step(station(), Misread("in", "torn_read", "", now()))
    assert isinstance(record, Record)
    assert record.kind is EventKind.READ_FAULT
    _, effects = step(state, Recorded(record.then, EVENT, now()))
    assert [effect.screen.code for effect in effects if isinstance(effect, Show)] == [PublicCode.TRY_AGAIN]


# --- commands


def test_a_remote_unlock_is_recorded_pulsed_recorded_and_answered_in_that_order() -> None:
    state, (begun,) = step(station(), Commanded(UNLOCK, now()))
    assert isinstance(begun, Record)
    assert (begun.kind, begun.opens) == (EventKind.COMMAND_BEGUN, "unlock:c1")
    state, (unlock,) = step(state, Recorded(begun.then, EVENT, now()))
    assert unlock == Unlock(UNLOCK, 3_000)
    state, effects = step(state, Opened(UNLOCK, now()))
    assert shown(effects) == [State.GRANTED_IN]
    state, (ended,) = step(state, PulseEnded(UNLOCK, PassageOutcome.PASSED, "", now()))
    assert isinstance(ended, Record)
    assert (ended.settles, ended.outcome) == ("unlock:c1", "done")
    _, (answer,) = step(state, Recorded(ended.then, EVENT, now()))
    assert isinstance(answer, Answer)
    assert (answer.id, answer.state, answer.code) == ("c1", CommandState.DONE, "pulsed")


def test_an_unlock_after_its_time_is_never_begun() -> None:
    _, (ended,) = step(station(), Commanded(UNLOCK, now(5_000)))
    assert isinstance(ended, Record)
    assert (ended.then, ended.settles) == (CommandEnd("c1", CommandState.EXPIRED, "too_late"), None)


def test_an_unlock_whose_record_took_too_long_ends_expired() -> None:
    state, (begun,) = step(station(), Commanded(UNLOCK, now()))
    assert isinstance(begun, Record)
    _, (ended,) = step(state, Recorded(begun.then, EVENT, now(5_000)))
    assert isinstance(ended, Record)
    assert isinstance(ended.body, CommandResultBody)
    assert ended.body.state is CommandState.EXPIRED


def test_a_kiosk_without_a_lock_cannot_unlock() -> None:
    _, (ended,) = step(station(pulse_ms=None), Commanded(UNLOCK, now()))
    assert isinstance(ended, Record)
    assert ended.then == CommandEnd("c1", CommandState.FAILED, "no_lock")


@pytest.mark.parametrize(
    ("fault", "state"),
    [(RecordFault.REPEATED, CommandState.UNKNOWN), (RecordFault.FULL, CommandState.FAILED)],
)
def test_an_unlock_that_cannot_be_recorded_does_not_open(fault: RecordFault, state: CommandState) -> None:
    _, effects = step(station(), RecordFailed(UNLOCK, fault, now()))
    (answer,) = [effect for effect in effects if isinstance(effect, Answer)]
    assert answer.state is state
    assert not any(isinstance(effect, Unlock) for effect in effects)


def test_command_that_was_done_and_cannot_be_recorded_is_neither_done_nor_failed() -> None:
    _, effects = step(station(), RecordFailed(CommandEnd("c1", CommandState.DONE, "pulsed"), RecordFault.FULL, now()))
    assert effects[0] == Answer("c1", CommandName.UNLOCK, CommandState.UNKNOWN, "storage")


def test_command_that_failed_is_answered_so_also_where_that_cannot_be_recorded() -> None:
    _, effects = step(station(), RecordFailed(CommandEnd("c1", CommandState.FAILED, "lock"), RecordFault.FULL, now()))
    assert effects[0] == Answer("c1", CommandName.UNLOCK, CommandState.FAILED, "lock")


def test_a_failed_pulse_is_a_failed_unlock() -> None:
    _, effects = step(station(), PulseEnded(UNLOCK, PassageOutcome.FAILED, "stuck", now()))
    result = records(effects)[0].body
    assert isinstance(result, CommandResultBody)
    assert (result.state, result.code) == (CommandState.FAILED, "lock")


# --- start, readers, picture


def test_what_a_crash_cut_off_ends_unknown_and_opens_nothing() -> None:
    promises = (OpenPromise("grant:aa:1", EventId("aa", 3)), OpenPromise("unlock:c1", EventId("aa", 4)))
    state, effects = step(station(), Recovered(promises, now()))
    passage, result = records(effects)
    assert passage.body == PassageBody(of_run="aa", of_n=3, outcome=PassageOutcome.UNKNOWN)
    assert isinstance(result.body, CommandResultBody)
    assert (result.body.id, result.body.state) == ("c1", CommandState.UNKNOWN)
    assert (passage.settles, result.settles) == ("grant:aa:1", "unlock:c1")
    assert not any(isinstance(effect, Unlock) for effect in effects)
    assert state.picture.state is State.IDLE


def test_a_door_without_readers_is_out_of_service_until_one_is_back() -> None:
    state, effects = step(station(), ReaderChanged("in", is_ready=False, detail="reader_missing", now=now()))
    assert [record.kind for record in records(effects)] == [EventKind.ALARM]
    assert state.picture.state is State.IDLE
    state, effects = step(state, ReaderChanged("out", is_ready=False, detail="", now=now()))
    assert shown(effects) == [State.OUT_OF_SERVICE]
    state, effects = step(state, ReaderChanged("out", is_ready=False, detail="", now=now()))
    assert effects == [], "the same again says nothing new"
    state, effects = step(state, ReaderChanged("in", is_ready=True, detail="", now=now()))
    assert shown(effects) == [State.IDLE]


def test_the_picture_gives_way_when_its_time_is_up() -> None:
    state, grant = opened()
    assert state.picture_until_ms == 4_000
    same, effects = step(state, Woke(now(3_999)))
    assert (same, effects) == (state, [])
    rested, effects = step(state, Woke(now(4_000)))
    assert shown(effects) == [State.IDLE]
    assert rested.picture_until_ms is None
    again, effects = step(rested, Woke(now(9_000)))
    assert (again, effects) == (rested, [])
    assert grant.event == EVENT


def test_a_picture_with_an_end_asks_to_be_woken() -> None:
    state, record = granted()
    state, (unlock,) = step(state, Recorded(record.then, EVENT, now()))
    assert isinstance(unlock, Unlock)
    _, effects = step(state, Opened(unlock.opening, now()))
    assert effects[-1] == WakeAt(4_000)


def test_the_support_code_finds_the_event() -> None:
    state, record = granted()
    state, (unlock,) = step(state, Recorded(record.then, EVENT, now()))
    assert isinstance(unlock, Unlock)
    state, _ = step(state, Opened(unlock.opening, now()))
    assert state.picture.support == "aa-5"


INPUTS: st.SearchStrategy[Input] = st.one_of(
    st.builds(
        lambda at, member, known: Presented(facts(read(at), known=row(member) if known else None)),
        st.integers(1_000, 60_000),
        st.sampled_from(["m1", "m2"]),
        st.booleans(),
    ),
    st.builds(lambda at: Commanded(UNLOCK, now(at)), st.integers(0, 10_000)),
    st.builds(lambda r, up: ReaderChanged(r, up, "", now()), st.sampled_from(["in", "out"]), st.booleans()),
    st.builds(lambda at: Woke(now(at)), st.integers(0, 100_000)),
    st.just(Misread("in", "torn_read", "", now())),
)


@given(st.lists(INPUTS, max_size=12), st.lists(st.sampled_from(["durable", "full", "unknown"]), min_size=60))
def test_every_unlock_and_every_green_has_a_durable_record_before_it(inputs: list[Input], disk: list[str]) -> None:
    state, durable = station(), 0
    fates = iter(disk)
    for event in inputs:
        queue: list[Input] = [event]
        while queue:
            state, effects = step(state, queue.pop(0))
            for effect in effects:
                match effect:
                    case Record(then=then):
                        fate = next(fates, "durable")
                        if fate == "durable":
                            durable += isinstance(then, Grant | RemoteUnlock)
                            queue.append(Recorded(then, EventId("aa", 1), now()))
                        else:
                            queue.append(RecordFailed(then, RecordFault(fate), now()))
                    case Unlock(opening):
                        durable -= 1
                        assert durable >= 0
                        queue += [Opened(opening, now()), PulseEnded(opening, PassageOutcome.PASSED, "", now())]
                    case Show(screen) if screen.state in {State.GRANTED_IN, State.GRANTED_OUT}:
                        assert isinstance(event, Presented | Commanded)
                    case _:
                        pass


def test_reasons_of_denials_are_recorded_in_full() -> None:
    _, effects = step(station(), Presented(facts(known=row(is_revoked=True))))
    body = records(effects)[0].body
    assert isinstance(body, DecisionBody)
    assert (body.reason, body.member) == (Reason.CREDENTIAL_REVOKED, "m1")


def test_a_grant_by_a_rotating_pass_uses_up_its_step() -> None:
    at = Read("in", Direction.IN, Credential(CredentialKind.PASS_ROTATING, "f" * 32), 1_000)
    shown = replace(facts(at, known=row(key="f" * 32)), passed=PassFacts(step=7))
    state, effects = step(station(), Presented(shown))
    (record,) = records(effects)
    assert record.uses == Use("pass_rotating:" + "f" * 32, 7)
    _, effects = step(state, RecordFailed(record.then, RecordFault.REPEATED, now()))
    (record,) = records(effects)
    assert isinstance(record.body, DecisionBody)
    assert (record.body.outcome, record.body.reason, record.opens) == (Outcome.DENY, Reason.PASS_REPLAYED, None)


@pytest.mark.parametrize(
    ("mode", "reason"), [(DoorMode.LOCKED, Reason.DOOR_LOCKED), (DoorMode.MAINTENANCE, Reason.MAINTENANCE)]
)
def test_a_door_keeps_to_its_recorded_mode_while_the_rules_know_of_another(mode: DoorMode, reason: Reason) -> None:
    play = Play()
    play.schedule(mode)
    play.tap()
    (body,) = play.bodies(DecisionBody)
    assert isinstance(body, DecisionBody)
    assert (body.reason, play.pulses) == (reason, [])
