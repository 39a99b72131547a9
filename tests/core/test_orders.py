"""What central may ask of a door, and what stands after it: modes, holds, lockdowns."""

from operator import itemgetter

import pytest
from msgspec.structs import replace

from agent.core import doorway, modes
from agent.core.effects import (
    AnyCommand,
    Held,
    Hold,
    HoldEnded,
    Order,
    PulseEnded,
    Record,
    Recorded,
    RecordFault,
    Recovered,
    RemoteUnlock,
    Unlock,
)
from agent.core.modes import LOCKDOWN_PROMISE, MODE_PROMISE, Standing
from agent.core.screen import PublicCode, State
from agent.core.state import Door
from agent.core.station import step
from agent.core.types import EventId, OpenPromise, Role
from rules.book import load
from tests.core.builders import facts, now, read, row
from tests.core.orders import order
from tests.core.playing import DOOR, KIOSK, PLAIN, TURNSTILE, Play
from wire.book import Door as BookDoor
from wire.book import Here, Site, Zone
from wire.events import CommandResultBody, DecisionBody, ModeBody, PassageBody
from wire.facts import DoorFacts, PresenceFacts
from wire.vocabulary import (
    AlarmCode,
    CommandName,
    CommandState,
    Direction,
    DoorMode,
    EventKind,
    ModeCause,
    PassageOutcome,
    PassageSense,
    Reason,
    Right,
)

pytestmark = pytest.mark.unit

HOUR = 3_600_000
HOLD = order(CommandName.HOLD)
LOCK = order(CommandName.LOCK)
LOCKDOWN = order(CommandName.LOCKDOWN, for_ms=HOUR)
UNLOCK = RemoteUnlock("u1", actor="Ann", begin_before_mono_ms=1_000_000_000, promise="unlock:u1")


def release(what: str = "", id: str = "r1") -> Order:
    return order(CommandName.RELEASE, what=what, id=id)


def restarted(play: Play) -> Play:
    """Return the door after a crash: what its promises say, and nothing else."""
    again = Play(play.state.door, at_ms=5)
    again.promises = dict(play.promises)
    promises = tuple(OpenPromise(key, EventId("aa", n)) for key, n in sorted(play.promises.items(), key=itemgetter(1)))
    again.put(Recovered(promises, again.now))
    return again


def reasons(play: Play) -> list[Reason]:
    return [body.reason for body in play.bodies(DecisionBody) if isinstance(body, DecisionBody)]


# --- hold


@pytest.mark.parametrize("door", [DOOR, PLAIN, TURNSTILE])
def test_a_door_that_is_held_stands_open_and_ends_done(door: Door) -> None:
    play = Play(door)
    answer = play.command(HOLD)
    assert answer is not None
    assert (answer.state, answer.code, answer.name) == (CommandState.DONE, "held", CommandName.HOLD)
    assert (play.is_held, play.shows, play.modes) == (True, State.HELD_OPEN, [(DoorMode.UNLOCKED, 0)])


def test_a_hold_begins_only_once_its_mode_is_durable() -> None:
    play = Play()
    play.disk = RecordFault.FULL
    play.command(HOLD)
    assert (play.is_held, play.holds) == (False, 0)
    assert play.answers[-1].state is CommandState.FAILED


def test_who_checks_in_at_a_door_that_stands_open_is_counted_without_a_pulse() -> None:
    play = Play()
    play.command(HOLD)
    play.tap()
    (passage,) = play.bodies(PassageBody)
    assert isinstance(passage, PassageBody)
    assert (passage.outcome, passage.sense) == (PassageOutcome.PASSED, PassageSense.FREE)
    assert (play.pulses, play.is_held, play.shows) == ([], True, State.GRANTED_IN)
    play.advance(5_000)
    assert play.shows is State.HELD_OPEN


def test_a_door_that_stands_open_alarms_nobody_until_it_is_closed_again() -> None:
    play = Play()
    play.command(HOLD)
    play.sense(Role.CONTACT)
    play.advance(HOUR)
    assert play.alarms == []
    play.command(release())
    assert (play.is_held, play.results) == (False, ["held", "released"])
    play.advance(29_999)
    assert play.alarms == []
    play.advance(1)
    assert play.alarms == [AlarmCode.HELD_OPEN]


def test_whoever_waits_at_a_turnstile_that_is_held_open_does_not_close_it_by_their_turn() -> None:
    play = Play(TURNSTILE)
    play.tap()
    play.tap(row(member="m2"), out=True)
    play.command(HOLD)
    play.advance(20_000)
    assert (play.is_held, len(play.pulses), play.shows) == (True, 1, State.HELD_OPEN)
    senses = [body.sense for body in play.bodies(PassageBody) if isinstance(body, PassageBody)]
    assert PassageSense.FREE in senses


def test_a_hold_ends_by_itself_with_a_record() -> None:
    play = Play()
    play.command(order(CommandName.HOLD, for_ms=HOUR))
    play.advance(HOUR)
    assert (play.is_held, play.modes[-1]) == (False, (DoorMode.CARD, 0))


def test_a_hold_does_not_survive_a_restart() -> None:
    play = Play()
    play.command(HOLD)
    again = restarted(play)
    assert (again.is_held, again.shows) == (False, State.IDLE)


def test_a_kiosk_without_a_lock_cannot_be_held_open() -> None:
    play = Play(KIOSK)
    play.command(HOLD)
    assert play.results == ["no_lock"]


def test_a_hold_that_the_lock_refuses_is_a_fault_and_ends_the_command_as_failed() -> None:
    play = Play()
    play.line_fails = True
    play.command(HOLD)
    assert (play.results, play.shows, play.screen.code) == (["lock"], State.OUT_OF_SERVICE, PublicCode.LOCK)
    assert play.alarms == [AlarmCode.LOCK_FAILED]


def test_a_hold_that_ended_by_itself_is_an_alarm_and_members_still_come_in_one_by_one() -> None:
    play = Play()
    play.command(HOLD)
    play.is_held = False
    play.put(HoldEnded("the loop was late", play.now))
    assert (play.alarms, play.shows) == ([AlarmCode.LOCK_FAILED], State.OUT_OF_SERVICE)
    play.tap()
    assert (len(play.pulses), play.shows) == (1, State.GRANTED_IN)


def test_an_unlock_of_a_door_that_stands_open_needs_no_pulse() -> None:
    play = Play()
    play.command(HOLD)
    play.command(UNLOCK)
    assert (play.results, play.pulses) == (["held", "held_open"], [])


# --- lock and maintenance


def test_a_locked_door_lets_nobody_in_but_those_who_may_override() -> None:
    play = Play()
    play.command(LOCK)
    play.tap()
    assert (play.pulses, play.shows) == ([], State.DENIED)
    play.advance(5_000)
    assert play.shows is State.CLOSED
    play.tap(replace(row("s1"), rights=[Right.OVERRIDE]))
    assert len(play.pulses) == 1


def test_locking_ends_a_hold_at_once_even_where_it_cannot_be_recorded() -> None:
    play = Play()
    play.command(HOLD)
    play.disk = RecordFault.FULL
    play.command(order(CommandName.LOCK, id="c2"))
    assert (play.is_held, play.state.standing.mode) == (False, DoorMode.LOCKED)
    assert play.answers[-1].state is CommandState.FAILED


def test_a_door_that_was_held_and_is_locked_while_open_has_its_whole_time_to_be_closed() -> None:
    play = Play()
    play.command(HOLD)
    play.sense(Role.CONTACT)
    play.advance(60_000)
    play.command(order(CommandName.LOCK, id="c2"))
    play.advance(29_999)
    assert play.alarms == []


def test_a_lock_survives_a_restart_and_a_release() -> None:
    play = Play()
    play.command(LOCK)
    again = restarted(play)
    again.tap()
    assert (again.pulses, again.modes) == ([], [(DoorMode.LOCKED, 0)])
    again.command(release())
    assert again.promises == {}
    again.advance(5_000)
    again.tap()
    assert len(again.pulses) == 1


def test_maintenance_is_out_of_service_with_an_end_and_an_actor() -> None:
    play = Play()
    play.command(order(CommandName.LOCK, what="maintenance", for_ms=HOUR))
    (body,) = play.bodies(ModeBody)
    assert isinstance(body, ModeBody)
    assert (body.mode, body.actor, body.for_ms) == (DoorMode.MAINTENANCE, "Ann", HOUR)
    assert play.shows is State.OUT_OF_SERVICE
    play.sense(Role.CONTACT)
    play.advance(HOUR - 1)
    assert play.alarms == []
    play.tap(replace(row("s1"), rights=[Right.MAINTENANCE]))
    assert len(play.pulses) == 1
    play.advance(1)
    assert play.modes[-1] == (DoorMode.CARD, 0)


def test_maintenance_keeps_members_out() -> None:
    play = Play()
    play.command(order(CommandName.LOCK, what="maintenance"))
    play.tap()
    assert (play.pulses, reasons(play)) == ([], [Reason.MAINTENANCE])


def test_a_mode_that_nobody_knows_is_refused() -> None:
    play = Play()
    play.command(order(CommandName.LOCK, what="ajar"))
    play.command(order(CommandName.RELEASE, what="everything", id="c2"))
    assert play.results == ["unknown_mode", "unknown_release"]


@pytest.mark.parametrize("mode", [DoorMode.CARD, DoorMode.MAINTENANCE])
def test_a_mode_that_lets_more_people_in_waits_for_its_record(mode: DoorMode) -> None:
    play = Play()
    play.schedule(DoorMode.LOCKED)
    play.disk = RecordFault.FULL
    play.schedule(mode)
    assert play.state.standing.mode is DoorMode.LOCKED
    play.disk = None
    play.schedule(mode)
    assert play.state.standing.mode is mode


@pytest.mark.parametrize("mode", [DoorMode.LOCKED, DoorMode.MAINTENANCE, DoorMode.FIRST_PERSON])
def test_a_mode_that_keeps_people_out_holds_before_its_record(mode: DoorMode) -> None:
    play = Play()
    play.schedule(DoorMode.UNLOCKED)
    play.disk, play.written = RecordFault.FULL, frozenset({EventKind.DECISION})
    play.schedule(mode)
    assert (play.is_held, play.state.standing.mode) == (False, mode)
    play.tap()
    assert play.pulses == []


def test_a_door_that_waits_for_its_first_person_does_so_until_its_next_mode_is_recorded() -> None:
    play = Play()
    play.schedule(DoorMode.FIRST_PERSON)
    play.disk, play.written = RecordFault.FULL, frozenset(EventKind) - {EventKind.MODE}
    play.schedule(DoorMode.CARD)
    play.tap()
    assert (play.pulses, reasons(play)) == ([], [Reason.FIRST_PERSON_MISSING])


def test_a_lock_whose_end_cannot_be_recorded_stands_in_a_lockdown_too() -> None:
    play = Play()
    play.command(LOCK)
    play.command(order(CommandName.LOCKDOWN, id="c2"))
    play.disk, play.written = RecordFault.FULL, frozenset(EventKind) - {EventKind.MODE}
    play.command(release("mode"))
    assert play.state.standing.mode is DoorMode.LOCKED
    cleared = replace(row(), clearance=9)
    play.tap(cleared)
    assert (play.pulses, reasons(play)) == ([], [Reason.DOOR_LOCKED])


# --- lockdown


@pytest.mark.parametrize("door", [DOOR, PLAIN, TURNSTILE, KIOSK])
def test_a_lockdown_lets_in_nobody_below_its_clearance(door: Door) -> None:
    play = Play(door)
    play.command(order(CommandName.LOCKDOWN, level=2))
    play.tap(replace(row(), clearance=1))
    assert (play.pulses, play.ends, reasons(play)) == ([], [], [Reason.LOCKDOWN])
    play.advance(5_000)
    assert play.shows is State.CLOSED
    play.tap(replace(row("m2"), clearance=2))
    assert reasons(play)[-1] is Reason.MEMBER_VALID


@pytest.mark.parametrize("command", [LOCK, LOCKDOWN, order(CommandName.LOCK, what="maintenance")])
def test_whoever_leaves_is_held_back_by_no_mode(command: Order) -> None:
    play = Play()
    play.command(command)
    play.tap(out=True)
    assert (len(play.pulses), play.shows) == (1, State.GRANTED_OUT)


def test_whoever_waits_at_a_turnstile_is_turned_away_by_a_lockdown() -> None:
    play = Play(TURNSTILE)
    play.tap()
    play.tap(key="f" * 32, known=row("m2", key="f" * 32))
    play.command(LOCKDOWN)
    play.touch(Role.PASSAGE_IN)
    play.advance(20_000)
    assert (len(play.pulses), play.ends) == (1, [PassageOutcome.UNUSED, PassageOutcome.PASSED])


def test_a_lockdown_holds_from_the_moment_it_is_heard_even_on_a_full_disk() -> None:
    play = Play()
    play.disk = RecordFault.FULL
    play.command(LOCKDOWN)
    play.disk = None
    play.tap()
    assert (play.answers[0].state, play.pulses) == (CommandState.FAILED, [])


def test_a_lockdown_closes_what_stands_open_and_refuses_to_open_anything() -> None:
    play = Play()
    play.command(HOLD)
    play.command(order(CommandName.LOCKDOWN, id="c2"))
    assert (play.is_held, play.shows) == (False, State.CLOSED)
    play.command(order(CommandName.HOLD, id="c3"))
    play.command(UNLOCK)
    assert play.results == ["held", "locked_down", "lockdown", "lockdown"]
    assert (play.is_held, play.pulses) == (False, [])


def test_a_lockdown_survives_restarts_and_is_released_by_central() -> None:
    play = Play()
    play.command(LOCKDOWN)
    again = restarted(restarted(play))
    again.tap()
    assert (again.pulses, again.modes) == ([], [(DoorMode.CARD, 1)])
    again.command(release("lockdown"))
    assert again.promises == {}
    again.advance(5_000)
    again.tap()
    assert len(again.pulses) == 1


def test_a_lockdown_that_a_restart_kept_says_why() -> None:
    play = Play()
    play.command(LOCKDOWN)
    (body,) = restarted(play).bodies(ModeBody)
    assert isinstance(body, ModeBody)
    assert (body.cause, body.lockdown, body.actor) == (ModeCause.RESTART, 1, "Ann")


def test_a_lockdown_ends_at_its_mandatory_end_with_a_record() -> None:
    play = Play()
    play.command(LOCKDOWN)
    play.advance(HOUR - 1)
    assert play.state.standing.level == 1
    play.advance(1)
    assert (play.state.standing.level, play.modes[-1], play.promises) == (0, (DoorMode.CARD, 0), {})


def test_a_lockdown_whose_end_cannot_be_recorded_stands_and_is_tried_again() -> None:
    play = Play()
    play.command(LOCKDOWN)
    play.disk = RecordFault.FULL
    play.advance(HOUR + 3_000)
    assert play.state.standing.level == 1
    play.disk = None
    play.advance(2_000)
    assert play.state.standing.level == 0


def test_what_stood_open_before_a_lockdown_stands_open_after_it() -> None:
    play = Play()
    play.command(HOLD)
    play.command(order(CommandName.LOCKDOWN, id="c2"))
    play.command(release("lockdown"))
    assert (play.is_held, play.holds, play.shows) == (True, 2, State.HELD_OPEN)
    assert play.modes == [(DoorMode.UNLOCKED, 0), (DoorMode.UNLOCKED, 1), (DoorMode.UNLOCKED, 0)]


def test_another_level_takes_the_place_of_the_first() -> None:
    play = Play()
    play.command(LOCKDOWN)
    play.command(order(CommandName.LOCKDOWN, id="c2", level=3))
    assert [key.split(":")[1] for key in play.promises if key.startswith(LOCKDOWN_PROMISE)] == ["3"]
    play.command(order(CommandName.LOCKDOWN, id="c3", level=2))
    assert play.state.standing.level == 2


@pytest.mark.parametrize("name", [CommandName.LOCKDOWN, CommandName.LOCK])
def test_what_took_the_place_of_another_unrecorded_leaves_nothing_behind_its_release(name: CommandName) -> None:
    play = Play()
    play.command(order(name))
    play.disk, play.written = RecordFault.FULL, frozenset(EventKind) - {EventKind.MODE}
    play.command(order(name, id="c2", level=3))
    play.disk = None
    play.command(release("lockdown" if name is CommandName.LOCKDOWN else "mode"))
    assert not [key for key in play.promises if key.startswith((LOCKDOWN_PROMISE, MODE_PROMISE))]
    assert restarted(play).state.standing == Standing()


def test_a_lockdown_that_stands_in_the_journal_already_is_recorded() -> None:
    play = Play()
    play.promises = {modes.lockdown(1, ModeCause.COMMAND, "Ann", HOUR, play.now).promise: 1}
    play.command(LOCKDOWN)
    assert (play.is_stopped, play.shows, play.results) == (False, State.CLOSED, ["locked_down"])
    play.command(release("lockdown"))
    assert play.promises == {}


def test_of_two_lockdowns_that_a_restart_finds_the_newer_one_stands() -> None:
    play = Play()
    keys = [modes.lockdown(level, ModeCause.COMMAND, "Ann", HOUR, play.now).promise for level in (3, 2)]
    play.promises = {key: n for n, key in enumerate(keys, 1)}
    again = restarted(play)
    assert (again.state.standing.level, list(again.promises)) == (2, keys[1:])
    again.command(release("lockdown"))
    assert again.promises == {}


def test_a_promise_that_cannot_be_read_is_an_alarm_and_not_a_crash() -> None:
    play = Play()
    play.put(Recovered((OpenPromise(f"{MODE_PROMISE}:garbage", EventId("aa", 1)),), play.now))
    assert (play.alarms, play.shows) == ([AlarmCode.JOURNAL_DAMAGED], State.IDLE)


# --- fire and holds


def test_fire_lets_go_of_a_hold_and_only_a_new_event_opens_it_again() -> None:
    play = Play()
    play.command(HOLD)
    play.sense(Role.FIRE)
    assert (play.is_held, play.shows) == (False, State.FIRE)
    play.command(order(CommandName.HOLD, id="c2"))
    assert play.results[-1] == "fire"
    play.sense(Role.FIRE, is_active=False)
    before = len(play.modes)
    play.command(release("fire"))
    assert (play.is_held, len(play.modes)) == (True, before + 1)


def test_an_unlock_in_a_fire_is_refused() -> None:
    play = Play()
    play.sense(Role.FIRE)
    play.command(UNLOCK)
    assert (play.results, play.pulses) == (["fire"], [])


# --- time, repetition and the rest


@pytest.mark.parametrize("name", list(CommandName))
def test_a_command_after_its_time_does_nothing(name: CommandName) -> None:
    play = Play()
    late: RemoteUnlock = replace(UNLOCK, begin_before_mono_ms=1_000)
    answer = play.command(late if name is CommandName.UNLOCK else order(name, begin_before_mono_ms=1_000))
    assert answer is not None
    assert (answer.state, answer.code, play.modes, play.is_held) == (CommandState.EXPIRED, "too_late", [], False)


@pytest.mark.parametrize("name", list(CommandName))
def test_a_command_that_was_begun_before_is_not_begun_again(name: CommandName) -> None:
    play = Play()
    command = UNLOCK if name is CommandName.UNLOCK else order(name)
    play.promises[command.promise] = 1
    if name is CommandName.RELEASE:
        play.command(order(CommandName.LOCK, id="other"))
    answer = play.command(command)
    assert answer is not None
    assert (answer.state, play.pulses, play.is_held) == (CommandState.UNKNOWN, [], False)


@pytest.mark.parametrize("what", ["", "mode", "lockdown", "fire", "assist"])
def test_nothing_is_released_where_nothing_stands(what: str) -> None:
    play = Play()
    answer = play.command(release(what))
    assert (play.results, play.modes) == (["nothing_to_release"], [])
    assert answer is not None
    assert answer.out == ""


def test_a_release_of_what_does_not_stand_tells_what_does() -> None:
    play = Play()
    play.command(order(CommandName.LOCKDOWN, level=2))
    play.command(order(CommandName.LOCK, id="c2"))
    play.command(release("lockdown", id="c3"))
    play.command(order(CommandName.LOCKDOWN, level=3, id="c4"))
    answer = play.command(release("fire", id="c5"))
    assert answer is not None
    assert (answer.code, answer.out) == ("nothing_to_release", "lockdown 3, mode locked")


def test_a_door_that_is_looked_for_shows_it() -> None:
    play = Play()
    play.command(order(CommandName.IDENTIFY))
    assert (play.shows, play.results) == (State.IDENTIFY, ["shown"])
    play.advance(10_000)
    assert play.shows is State.IDLE


def test_a_command_that_a_crash_cut_off_ends_unknown_under_its_own_name() -> None:
    play = Play()
    play.put(Recovered((OpenPromise("hold:c9", EventId("aa", 1)), OpenPromise("what:c8", EventId("aa", 2))), play.now))
    bodies = [body for body in play.bodies(CommandResultBody) if isinstance(body, CommandResultBody)]
    assert [(body.name, body.id, body.state) for body in bodies] == [
        (CommandName.HOLD, "c9", CommandState.UNKNOWN),
        (CommandName.UNLOCK, "c8", CommandState.UNKNOWN),
    ]
    assert play.is_held is False


def test_a_turnstile_that_is_busy_lets_nobody_in_from_afar() -> None:
    play = Play(TURNSTILE)
    play.tap()
    play.command(UNLOCK)
    assert (play.results, len(play.pulses)) == (["busy"], 1)


def test_an_unlock_waits_for_no_other_door() -> None:
    play = Play()
    play.sense(Role.INTERLOCK)
    play.command(UNLOCK)
    assert (play.results, play.pulses) == (["other_door_open"], [])


def test_a_door_stands_open_only_once_the_other_of_the_pair_is_shut() -> None:
    play = Play(replace(DOOR, has_interlock=True))
    play.sense(Role.INTERLOCK)
    play.command(HOLD)
    assert (play.results, play.state.standing.mode) == (["other_door_open"], DoorMode.CARD)
    play.schedule(DoorMode.UNLOCKED)
    assert (play.is_held, play.is_busy, play.modes[-1]) == (False, False, (DoorMode.UNLOCKED, 0))
    play.sense(Role.INTERLOCK, is_active=False)
    assert (play.is_held, play.is_busy) == (True, True)
    play.sense(Role.INTERLOCK)
    assert play.is_held, "two that gave way to each other would do so for ever"


@pytest.mark.parametrize("mode", [DoorMode.CARD, DoorMode.LOCKED])
def test_the_other_door_that_is_shut_opens_nothing_that_is_not_to_stand_open(mode: DoorMode) -> None:
    play = Play()
    play.schedule(mode)
    play.touch(Role.INTERLOCK)
    assert (play.is_held, play.holds) == (False, 0)


def test_a_lock_that_failed_is_not_tried_again_by_the_other_door() -> None:
    play = Play()
    play.command(HOLD)
    play.put(HoldEnded("stuck", play.now))
    play.touch(Role.INTERLOCK)
    assert play.holds == 1


def test_an_unlock_that_came_too_late_for_the_relay_ends_expired() -> None:
    play = Play(TURNSTILE)
    _, effects = step(play.state, PulseEnded(UNLOCK, PassageOutcome.UNUSED, "too late", play.now))
    (ended,) = [effect for effect in effects if isinstance(effect, Record)]
    assert isinstance(ended.body, CommandResultBody)
    assert (ended.body.state, ended.settles) == (CommandState.EXPIRED, "unlock:u1")


def test_an_unlock_from_afar_turns_the_arms_inwards() -> None:
    play = Play(TURNSTILE)
    play.command(UNLOCK)
    play.advance(500)
    play.touch(Role.PASSAGE_IN)
    assert (play.pulses, play.results, play.ends) == ([UNLOCK], ["pulsed"], [])


@pytest.mark.parametrize("command", [HOLD, UNLOCK])
def test_what_happened_while_a_command_was_being_recorded_counts(command: AnyCommand) -> None:
    play = Play()
    fire = replace(play.state, around=replace(play.state.around, is_fire=True))
    for state, at, code in ((fire, play.now, "fire"), (play.state, now(1_000_000_000), "too_late")):
        _, effects = step(state, Recorded(command, EventId("aa", 1), at))
        (ended,) = [effect for effect in effects if isinstance(effect, Record)]
        assert isinstance(ended.body, CommandResultBody)
        assert (ended.body.code, ended.settles) == (code, command.promise)
        assert not any(isinstance(effect, Unlock | Hold) for effect in effects)


@pytest.mark.parametrize("command", [HOLD, LOCKDOWN])
def test_a_mode_that_cannot_be_recorded_fails_its_command(command: Order) -> None:
    play = Play()
    play.disk, play.written = RecordFault.FULL, frozenset({EventKind.COMMAND_BEGUN})
    answer = play.command(command)
    assert answer is not None
    assert (answer.state, answer.code, play.is_held) == (CommandState.FAILED, "storage", False)
    assert play.state.standing.level == (command is LOCKDOWN), "what keeps people out holds all the same"


def test_a_line_that_says_what_nobody_waits_for_changes_nothing() -> None:
    play = Play()
    for event in (Held(play.now), HoldEnded("late", play.now)):
        assert step(play.state, event) == (play.state, [])


# --- schedules


def test_a_door_that_its_schedule_opens_stands_open_once_that_is_durable() -> None:
    play = Play()
    play.disk = RecordFault.FULL
    play.schedule(DoorMode.UNLOCKED)
    assert (play.is_held, play.state.standing.scheduled) == (False, DoorMode.CARD)
    play.disk = None
    play.schedule(DoorMode.UNLOCKED)
    assert (play.is_held, play.modes) == (True, [(DoorMode.UNLOCKED, 0)])
    play.schedule(DoorMode.CARD)
    assert (play.is_held, play.modes[-1]) == (False, (DoorMode.CARD, 0))


def test_a_schedule_that_changes_nothing_is_no_event() -> None:
    play = Play()
    play.schedule(DoorMode.CARD)
    play.command(LOCK)
    before = len(play.modes)
    play.schedule(DoorMode.UNLOCKED)
    assert (len(play.modes), play.is_held) == (before, False)
    play.command(release())
    assert play.is_held, "the schedule holds again once the lock is released"
    assert play.results == ["locked", "released"]


def test_a_second_hold_leaves_the_line_alone() -> None:
    play = Play()
    play.command(HOLD)
    play.command(order(CommandName.HOLD, id="c2"))
    assert (play.holds, play.is_held, play.results) == (1, True, ["held", "held"])


@pytest.mark.parametrize(
    "asked", [LOCKDOWN, order(CommandName.LOCK, for_ms=HOUR), order(CommandName.HOLD, for_ms=HOUR)]
)
def test_the_event_of_what_somebody_set_says_for_how_long(asked: Order) -> None:
    play = Play()
    play.command(asked)
    body = play.bodies(ModeBody)[-1]
    assert isinstance(body, ModeBody)
    assert body.for_ms == HOUR


def test_the_first_person_opens_the_door_for_all_where_they_have_the_right() -> None:
    play = Play()
    play.schedule(DoorMode.FIRST_PERSON, DoorMode.UNLOCKED)
    play.tap()
    play.sense(Role.CONTACT)
    play.sense(Role.CONTACT, is_active=False)
    assert not play.is_held
    play.advance(5_000)
    play.tap(replace(row("s1"), rights=[Right.FIRST_PERSON]))
    assert not play.is_held, "not before they came in"
    play.sense(Role.CONTACT)
    assert (play.is_held, play.modes[-1]) == (True, (DoorMode.UNLOCKED, 0))


def test_whoever_leaves_is_no_first_person() -> None:
    play = Play(PLAIN)
    play.schedule(DoorMode.FIRST_PERSON, DoorMode.UNLOCKED)
    play.tap(replace(row("s1"), rights=[Right.FIRST_PERSON]), out=True)
    play.advance(5_000)
    assert (play.ends, play.is_held) == ([PassageOutcome.PASSED], False)


@pytest.mark.parametrize(("zone", "is_first"), [("gym", False), ("", True), (None, True)])
def test_at_a_reader_for_both_ways_whoever_is_inside_is_no_first_person(zone: str | None, is_first: bool) -> None:
    book = load([Site(id="s", tz="UTC"), Here(door="north"), Zone(name="gym"), BookDoor(name="north", zone="gym")])
    at = replace(facts(read(direction=Direction.TOGGLE)), book=book, door=DoorFacts("north"))
    known = replace(row("s1"), rights=[Right.FIRST_PERSON])
    assert doorway.comes_first(replace(at, presence=PresenceFacts(zone=zone)), known) is is_first
