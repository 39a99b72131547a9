"""The station with what its inputs say: a door, a turnstile, fire, and whoever asks for help."""

import pytest
from msgspec.structs import replace

from agent.core.effects import FireEnded, Recorded, RecordFault, Recovered
from agent.core.screen import PublicCode, State
from agent.core.state import Door
from agent.core.surroundings import ASSIST_MS, FIRE_PROMISE
from agent.core.turnstile import ArmsSetup, way_of
from agent.core.types import EventId, OpenPromise, Role
from tests.core.builders import KEY, row
from tests.core.orders import order
from tests.core.playing import DOOR, KIOSK, PLAIN, TURNSTILE, Play
from wire.events import AlarmBody, DecisionBody, PassageBody
from wire.vocabulary import (
    AlarmCode,
    CommandName,
    Direction,
    DoorMode,
    HolderKind,
    Outcome,
    PassageOutcome,
    PassageSense,
    Reason,
)

pytestmark = pytest.mark.unit

PASSED, UNUSED = PassageOutcome.PASSED, PassageOutcome.UNUSED
OTHER = "f" * 32


def reasons(play: Play) -> list[Reason]:
    return [body.reason for body in play.bodies(DecisionBody) if isinstance(body, DecisionBody)]


def senses(play: Play) -> list[PassageSense | None]:
    return [body.sense for body in play.bodies(PassageBody) if isinstance(body, PassageBody)]


# --- a door with a contact


def test_who_opens_the_door_has_passed_and_the_picture_gives_way_at_once() -> None:
    play = Play()
    play.tap()
    assert (play.shows, play.ends) == (State.GRANTED_IN, [])
    play.sense(Role.CONTACT)
    assert (play.ends, senses(play), play.shows) == ([PASSED], [PassageSense.CONTACT], State.IDLE)
    assert play.line is None, "the lock closes behind them"
    play.sense(Role.CONTACT, is_active=False)
    play.advance(60_000)
    assert (play.ends, play.alarms, play.moves) == ([PASSED], [], ["opened", "closed"])


def test_who_does_not_go_in_is_not_charged_and_may_present_again_at_once() -> None:
    play = Play()
    play.tap()
    play.advance(4_600)
    assert (play.ends, play.shows) == ([UNUSED], State.IDLE)
    play.tap()
    assert len(play.pulses) == 2


def test_without_a_contact_a_pulse_is_a_passage() -> None:
    play = Play(PLAIN)
    play.tap()
    play.advance(4_000)
    assert (play.ends, senses(play)) == ([PASSED], [PassageSense.PULSE])


def test_a_forced_door_asks_to_be_closed_until_it_is() -> None:
    play = Play()
    play.sense(Role.CONTACT)
    play.advance(600)
    assert (play.alarms, play.shows) == ([AlarmCode.FORCED], State.DOOR_ALARM)
    play.sense(Role.CONTACT, is_active=False)
    assert (play.alarms, play.shows) == ([AlarmCode.FORCED, AlarmCode.SECURE], State.IDLE)


def test_a_door_left_open_asks_to_be_closed_and_still_decides() -> None:
    play = Play()
    play.tap()
    play.sense(Role.CONTACT)
    play.advance(30_000)
    assert (play.alarms, play.shows) == ([AlarmCode.HELD_OPEN], State.DOOR_ALARM)
    play.tap(key=OTHER, known=row("m2", key=OTHER))
    assert play.shows is State.GRANTED_IN
    play.advance(4_000)
    assert (play.ends, play.shows) == ([PASSED, PASSED], State.DOOR_ALARM)


def test_who_asks_to_leave_is_recorded_and_neither_gated_nor_an_alarm() -> None:
    play = Play()
    play.touch(Role.REX)
    play.sense(Role.CONTACT)
    play.advance(5_000)
    assert (play.alarms, play.moves, play.pulses) == ([], ["exit_request", "opened"], [])


# --- a turnstile


def test_arms_that_turn_make_the_visit_and_arms_that_do_not_make_none() -> None:
    play = Play(TURNSTILE)
    play.tap()
    play.advance(1_000)
    play.touch(Role.PASSAGE_IN)
    assert (play.ends, senses(play), play.shows) == ([PASSED], [PassageSense.SENSOR], State.IDLE)
    play.advance(5_000)
    play.tap()
    play.advance(10_500)
    assert (play.ends, len(play.pulses)) == ([PASSED, UNUSED], 2)


def test_an_early_tap_waits_and_then_has_its_turn() -> None:
    play = Play(TURNSTILE)
    play.tap()
    play.advance(600)
    play.tap(key=OTHER, known=row("m2", key=OTHER))
    assert (play.shows, len(play.pulses)) == (State.ONE_AT_A_TIME, 1)
    play.touch(Role.PASSAGE_IN)
    assert (play.shows, len(play.pulses)) == (State.GRANTED_IN, 2)


def test_who_leaves_by_a_way_that_nothing_of_ours_releases_is_counted_without_a_pulse() -> None:
    play = Play(replace(TURNSTILE, arms=ArmsSetup(ways=frozenset({Direction.IN}))))
    play.tap(out=True)
    assert (play.pulses, play.ends, senses(play)) == ([], [PASSED], [PassageSense.FREE])
    assert (play.shows, play.alarms) == (State.GRANTED_OUT, [])
    play.tap(row("m2", key=OTHER), key=OTHER)
    assert len(play.pulses) == 1


def test_green_at_a_turnstile_lasts_as_long_as_its_arms_wait_and_nobody_else_is_freed_meanwhile() -> None:
    play = Play(TURNSTILE)
    play.tap()
    assert play.screen.for_ms == 8_000
    assert play.state.arms is not None
    assert play.state.arms.running == tuple(play.pulses), "its relay is on"
    play.advance(500)
    assert (play.state.arms.running, play.shows) == ((), State.GRANTED_IN)


def held_open() -> Play:
    play = Play(TURNSTILE)
    play.schedule(DoorMode.UNLOCKED)
    return play


def test_who_leaves_by_arms_that_are_held_open_inwards_has_their_way_freed_and_then_they_stand_open_again() -> None:
    play = held_open()
    play.tap(out=True)
    assert (play.is_held, play.shows) == (False, State.GRANTED_OUT)
    assert [way_of(opening) for opening in play.pulses] == [Direction.OUT]
    play.advance(500)
    assert not play.is_held, "not before they are through"
    play.touch(Role.PASSAGE_OUT)
    assert (play.is_held, play.ends, senses(play)) == (True, [PASSED], [PassageSense.SENSOR])


def test_who_comes_in_by_arms_that_are_held_open_is_counted_and_needs_no_pulse() -> None:
    play = held_open()
    play.tap()
    assert (play.is_held, play.pulses, play.ends, senses(play)) == (True, [], [PASSED], [PassageSense.FREE])


def test_arms_stand_open_again_when_whoever_wanted_to_leave_did_not() -> None:
    play = held_open()
    play.tap(out=True)
    play.advance(10_000)
    assert (play.is_held, play.ends) == (True, [UNUSED])


def test_who_comes_in_while_somebody_leaves_by_open_arms_waits_and_then_goes_through_open_ones() -> None:
    play = held_open()
    play.tap(out=True)
    play.tap(row("m2", key=OTHER), key=OTHER)
    assert (play.is_held, play.shows) == (False, State.ONE_AT_A_TIME)
    play.advance(500)
    play.touch(Role.PASSAGE_OUT)
    assert len(play.pulses) == 2
    play.advance(500)
    play.touch(Role.PASSAGE_IN)
    assert (play.is_held, play.ends) == (True, [PASSED, PASSED])


@pytest.mark.parametrize("name", [CommandName.LOCKDOWN, CommandName.LOCK])
def test_arms_do_not_stand_open_again_that_were_locked_meanwhile_and_who_leaves_is_not_shut_in(
    name: CommandName,
) -> None:
    play = held_open()
    play.tap(out=True)
    play.command(order(name))
    assert play.line is not None
    play.advance(500)
    play.touch(Role.PASSAGE_OUT)
    play.advance(20_000)
    assert (play.is_held, play.ends) == (False, [PASSED])


def test_arms_do_not_stand_open_again_in_a_fire_that_began_while_somebody_left() -> None:
    play = held_open()
    play.tap(out=True)
    play.sense(Role.FIRE)
    assert (play.line, play.is_held) == (None, False)
    play.advance(20_000)
    assert (play.is_held, play.shows) == (False, State.FIRE)


def test_arms_whose_lock_failed_while_somebody_left_do_not_stand_open_again() -> None:
    play = held_open()
    play.line_fails = True
    play.tap(out=True)
    assert (play.is_held, play.holds, play.alarms) == (False, 1, [AlarmCode.LOCK_FAILED])


def test_a_third_who_taps_early_is_asked_to_step_back_and_gets_no_grant() -> None:
    play = Play(TURNSTILE)
    for n in range(3):
        play.tap(key=f"{n:032x}", known=row(f"m{n}", key=f"{n:032x}"))
        play.advance(100)
    assert reasons(play)[-1] is Reason.DOOR_BUSY
    assert play.shows is State.ONE_AT_A_TIME


def test_a_turnstile_that_is_stuck_is_out_of_service_and_takes_nobody() -> None:
    play = Play(TURNSTILE)
    play.sense(Role.BUSY)
    play.advance(10_000)
    assert (play.alarms, play.shows, play.screen.code) == (
        [AlarmCode.TURNSTILE_STUCK],
        State.OUT_OF_SERVICE,
        PublicCode.LOCK,
    )
    play.tap()
    assert (reasons(play), play.pulses) == ([Reason.DOOR_BUSY], [])
    play.advance(5_000)
    play.sense(Role.BUSY, is_active=False)
    assert play.shows is State.IDLE


def test_passage_sensors_of_a_door_without_arms_say_nothing() -> None:
    play = Play()
    play.touch(Role.PASSAGE_IN)
    play.touch(Role.BUSY)
    assert play.records == []


# --- fire


@pytest.mark.parametrize("door", [DOOR, PLAIN, TURNSTILE, KIOSK])
def test_in_a_fire_nobody_is_invited_in_whatever_their_right(door: Door) -> None:
    play = Play(door)
    play.sense(Role.FIRE)
    play.tap(row())
    assert (play.shows, play.pulses, reasons(play)) == (State.FIRE, [], [Reason.FIRE])
    play.advance(60_000)
    assert play.shows is State.FIRE


def test_fire_takes_back_green_and_lets_go_of_the_lock_before_anything_is_recorded() -> None:
    play = Play()
    play.tap()
    play.disk = RecordFault.FULL
    play.sense(Role.FIRE)
    assert (play.shows, play.line, play.state.around.is_fire) == (State.FIRE, None, True)


def test_a_grant_that_became_durable_after_the_fire_began_opens_nothing() -> None:
    play = Play()
    play.put()
    before = play.state
    play.tap()
    grant = play.pulses[0]
    play.state = replace(before, around=replace(before.around, is_fire=True))
    play.put(Recorded(grant, EventId("aa", 1), play.now))
    assert (len(play.pulses), play.ends) == (1, [UNUSED])


def test_fire_ends_when_its_input_is_at_rest_and_staff_reset_it() -> None:
    play = Play()
    play.sense(Role.FIRE)
    answer = play.command(order(CommandName.RELEASE, what="fire"))
    assert answer is not None
    assert answer.code == "fire_input_active"
    play.sense(Role.FIRE, is_active=False)
    assert play.shows is State.FIRE, "an input at rest is not the all-clear"
    play.command(order(CommandName.RELEASE, what="fire", id="c2"))
    assert (play.shows, play.results) == (State.IDLE, ["fire_input_active", "released"])
    assert play.alarms == [AlarmCode.FIRE, AlarmCode.FIRE_INPUT_OVER, AlarmCode.FIRE_OVER]
    assert FIRE_PROMISE not in play.promises


def test_a_fire_is_not_forgotten_by_a_restart() -> None:
    play = Play()
    play.sense(Role.FIRE)
    assert FIRE_PROMISE in play.promises
    again = Play()
    again.put(Recovered((OpenPromise(FIRE_PROMISE, EventId("aa", 3)),), again.now))
    again.tap()
    assert (again.shows, again.pulses) == (State.FIRE, [])


def test_a_reset_that_cannot_be_recorded_ends_no_fire() -> None:
    play = Play()
    play.touch(Role.FIRE)
    play.disk = RecordFault.FULL
    play.command(order(CommandName.RELEASE, what="fire"))
    play.disk = None
    play.tap()
    assert (play.shows, play.pulses) == (State.FIRE, [])


def test_a_fire_that_is_sensed_again_while_its_reset_is_recorded_goes_on_and_is_kept() -> None:
    play = Play()
    play.sense(Role.FIRE)
    play.promises.clear()
    play.put(Recorded(FireEnded(order(CommandName.RELEASE, what="fire")), EventId("aa", 1), play.now))
    assert (play.shows, play.results, FIRE_PROMISE in play.promises) == (State.FIRE, ["fire_input_active"], True)


def test_a_second_fire_during_the_first_is_one() -> None:
    play = Play()
    play.touch(Role.FIRE)
    play.touch(Role.FIRE)
    assert play.alarms.count(AlarmCode.FIRE) == 2
    assert play.state.around.is_fire


def test_those_who_wait_at_a_turnstile_are_turned_away_by_fire() -> None:
    play = Play(TURNSTILE)
    play.tap()
    play.tap(key=OTHER, known=row("m2", key=OTHER))
    play.sense(Role.FIRE)
    assert play.ends == [UNUSED]
    play.touch(Role.PASSAGE_IN)
    assert play.ends == [UNUSED, PASSED], "whoever was going through has gone through"


def test_a_door_that_a_fire_opened_is_not_forced_and_has_to_be_closed_afterwards() -> None:
    play = Play()
    play.sense(Role.FIRE)
    play.sense(Role.CONTACT)
    play.advance(100_000)
    assert AlarmCode.FORCED not in play.alarms
    play.sense(Role.FIRE, is_active=False)
    play.command(order(CommandName.RELEASE, what="fire"))
    play.advance(30_000)
    assert play.alarms[-1] is AlarmCode.HELD_OPEN


# --- around the door


def test_whoever_asks_for_help_is_told_to_wait_and_later_what_else_to_do() -> None:
    play = Play()
    play.touch(Role.ASSIST)
    play.touch(Role.ASSIST)
    assert (play.shows, play.alarms) == (State.STAFF_CALLED, [AlarmCode.ASSIST])
    play.advance(ASSIST_MS)
    assert (play.shows, play.alarms[-1]) == (State.STAFF_AWAY, AlarmCode.ASSIST_UNANSWERED)
    play.command(order(CommandName.RELEASE, what="assist"))
    assert (play.shows, play.alarms[-1]) == (State.IDLE, AlarmCode.ASSIST_OVER)


def test_staff_who_come_in_have_answered() -> None:
    play = Play()
    play.touch(Role.ASSIST)
    play.tap(replace(row("s1"), holder=HolderKind.STAFF))
    play.advance(5_000)
    assert (play.shows, play.alarms) == (State.IDLE, [AlarmCode.ASSIST, AlarmCode.ASSIST_OVER])


def test_staff_whom_nobody_asked_for_just_come_in() -> None:
    play = Play()
    play.tap(replace(row("s1"), holder=HolderKind.STAFF))
    assert (play.shows, play.alarms) == (State.GRANTED_IN, [])


def test_tampering_and_mains_are_alarms_with_an_end() -> None:
    play = Play()
    for role in (Role.TAMPER, Role.MAINS_FAIL):
        play.touch(role)
        play.sense(role, is_active=False)
    assert play.alarms == [
        AlarmCode.TAMPER, AlarmCode.TAMPER_OVER, AlarmCode.MAINS_FAILED, AlarmCode.MAINS_BACK,
    ]  # fmt: skip
    (tamper, *_) = play.bodies(AlarmBody)
    assert isinstance(tamper, AlarmBody)
    assert tamper.detail == "tamper", "which input it was"


def test_nobody_is_let_in_while_the_other_door_of_the_pair_is_open() -> None:
    play = Play()
    play.sense(Role.INTERLOCK)
    play.tap()
    assert (reasons(play), play.shows, play.pulses) == ([Reason.OTHER_DOOR_OPEN], State.ONE_AT_A_TIME, [])
    play.sense(Role.INTERLOCK, is_active=False)
    play.advance(5_000)
    play.tap()
    assert len(play.pulses) == 1


@pytest.mark.parametrize("door", [DOOR, TURNSTILE])
def test_the_other_door_of_the_pair_is_told_before_this_one_is_freed_and_when_it_is_shut(door: Door) -> None:
    play = Play(replace(door, has_interlock=True))
    told: list[bool] = []
    play.on_unlock = lambda: told.append(play.is_busy)
    play.tap()
    assert (told, play.is_busy) == ([True], True)
    play.touch(Role.PASSAGE_IN)
    play.sense(Role.CONTACT)
    play.advance(5_000)
    play.sense(Role.CONTACT, is_active=False)
    assert not play.is_busy


def test_a_fire_goes_on_while_one_of_two_inputs_senses_it() -> None:
    play = Play()
    play.sense(Role.FIRE, name="hall")
    play.sense(Role.FIRE, is_active=False, name="cellar")
    answer = play.command(order(CommandName.RELEASE, what="fire"))
    assert answer is not None
    assert answer.code == "fire_input_active"
    play.sense(Role.FIRE, name="cellar")
    play.sense(Role.FIRE, is_active=False, name="hall")
    assert play.alarms == [AlarmCode.FIRE]
    play.sense(Role.FIRE, is_active=False, name="cellar")
    assert play.alarms == [AlarmCode.FIRE, AlarmCode.FIRE_INPUT_OVER]


def test_a_door_of_two_leaves_is_open_while_one_of_them_is() -> None:
    play = Play(replace(DOOR, has_interlock=True))
    play.tap()
    play.sense(Role.CONTACT, name="left")
    play.sense(Role.CONTACT, name="right")
    play.sense(Role.CONTACT, is_active=False, name="left")
    play.advance(5_000)
    assert (play.moves, play.is_busy) == (["opened"], True)
    play.sense(Role.CONTACT, is_active=False, name="right")
    assert (play.moves, play.is_busy, play.alarms) == (["opened", "closed"], False, [])


def test_somebody_whom_two_sensors_see_passes_once() -> None:
    play = Play(TURNSTILE)
    play.tap()
    play.sense(Role.PASSAGE_IN, name="first")
    play.sense(Role.PASSAGE_IN, name="second")
    play.sense(Role.PASSAGE_IN, is_active=False, name="first")
    play.sense(Role.PASSAGE_IN, is_active=False, name="second")
    assert (play.ends, play.moves, play.alarms) == ([PASSED], ["passed_in"], [])


def test_who_waits_to_come_in_is_turned_away_when_the_other_door_is_opened() -> None:
    play = Play(TURNSTILE)
    play.tap()
    play.tap(row("m2", key=OTHER), key=OTHER)
    play.tap(row("m3", key="3" * 32), key="3" * 32, out=True)
    play.sense(Role.INTERLOCK)
    assert play.ends == [UNUSED]
    play.advance(500)
    play.touch(Role.PASSAGE_IN)
    assert (len(play.pulses), play.ends) == (2, [UNUSED, PASSED]), "whoever leaves has their turn"


def test_whoever_leaves_is_not_held_back_by_the_other_door() -> None:
    play = Play()
    play.sense(Role.INTERLOCK)
    play.tap(out=True)
    assert len(play.pulses) == 1


def test_a_stranger_reads_the_same_whatever_the_door_is_at() -> None:
    for role in (Role.INTERLOCK, Role.FIRE):
        play = Play()
        play.sense(role)
        play.tap(replace(row(), is_revoked=True))
        (decision,) = play.bodies(DecisionBody)
        assert isinstance(decision, DecisionBody)
        assert (decision.outcome, decision.reason) == (Outcome.DENY, Reason.CREDENTIAL_REVOKED)


def test_key_of_the_builders_is_the_tap_of_a_member() -> None:
    play = Play()
    play.tap(key=KEY)
    assert reasons(play) == [Reason.MEMBER_VALID]
