import pytest

from agent.core import door as leaf
from agent.core.door import EXIT_SETTLES_MS, DoorSetup, Doorway
from agent.core.passing import Moved, Relocks
from tests.core.passages import UNLOCK, alarms, ends, grant
from wire.vocabulary import AlarmCode, DoorChange, PassageOutcome, PassageSense

pytestmark = pytest.mark.unit

PASSED, UNUSED, FAILED = PassageOutcome.PASSED, PassageOutcome.UNUSED, PassageOutcome.FAILED
SETUP = DoorSetup(has_contact=True)
GRACE, HELD, EXIT = SETUP.grace_ms, SETUP.held_ms, SETUP.exit_ms
CLOSED = Doorway(SETUP, is_open=False)


def moved(door: Doorway, is_open: bool, at_ms: int, *, is_free: bool = False) -> leaf.Step:
    return leaf.moved(door, is_open, at_ms, is_free=is_free)


def woke(door: Doorway, at_ms: int, *, is_free: bool = False) -> leaf.Step:
    return leaf.woke(door, at_ms, is_free=is_free)


def test_a_grant_whose_door_is_opened_is_passed_once() -> None:
    door = leaf.unlocked(CLOSED, grant(1))
    door, said = moved(door, True, 1_500)
    assert ends(said) == [(1, PASSED, PassageSense.CONTACT)]
    door, said = leaf.locked(door, grant(1), PASSED, 4_000)
    assert said == ()


def test_a_grant_that_nobody_used_is_unused_after_its_grace() -> None:
    door = leaf.unlocked(CLOSED, grant(1))
    door, said = leaf.locked(door, grant(1), PASSED, 4_000)
    assert (said, leaf.due_ms(door, is_free=False)) == ((), 4_000 + GRACE)
    assert woke(door, 4_000 + GRACE - 1)[1] == ()
    door, said = woke(door, 4_000 + GRACE)
    assert ends(said) == [(1, UNUSED, PassageSense.CONTACT)]


def test_a_door_opened_within_the_grace_is_a_passage() -> None:
    door, _ = leaf.locked(leaf.unlocked(CLOSED, grant(1)), grant(1), PASSED, 4_000)
    door, said = moved(door, True, 4_000 + GRACE - 1)
    assert (ends(said), alarms(said)) == ([(1, PASSED, PassageSense.CONTACT)], [])
    assert alarms(woke(door, 4_000 + GRACE + EXIT_SETTLES_MS)[1]) == []


def test_a_door_opened_after_the_grace_is_unused_and_forced() -> None:
    door, _ = leaf.locked(leaf.unlocked(CLOSED, grant(1)), grant(1), PASSED, 4_000)
    door, said = moved(door, True, 4_000 + GRACE)
    assert ends(said) == [(1, UNUSED, PassageSense.CONTACT)]
    assert alarms(woke(door, 4_000 + GRACE + EXIT_SETTLES_MS)[1]) == [AlarmCode.FORCED]


def test_two_grants_before_the_door_opens_both_pass() -> None:
    door = leaf.unlocked(leaf.unlocked(CLOSED, grant(1)), grant(2))
    door, said = leaf.locked(door, grant(1), PASSED, 2_000)
    assert said == (), "the second pulse runs on, and the first may still be used in it"
    door, said = moved(door, True, 2_500)
    assert ends(said) == [(1, PASSED, PassageSense.CONTACT), (2, PASSED, PassageSense.CONTACT)]
    assert leaf.locked(door, grant(2), PASSED, 5_000)[1] == ()


def test_the_end_of_a_pulse_that_is_told_late_ends_nothing_twice() -> None:
    door = leaf.unlocked(leaf.unlocked(CLOSED, grant(1)), grant(2))
    door, said = moved(door, True, 1_500)
    assert len(ends(said)) == 2
    door, said = leaf.locked(door, grant(1), PASSED, 1_600)
    door, more = leaf.locked(door, grant(2), PASSED, 4_600)
    assert (said, more, door.settled, door.running) == ((), (), (), ())


def test_without_a_contact_the_pulse_stands_for_the_passage() -> None:
    door = leaf.unlocked(Doorway(), grant(1))
    door, said = leaf.locked(door, grant(1), PASSED, 4_000)
    assert (ends(said), leaf.due_ms(door, is_free=False)) == ([(1, PASSED, PassageSense.PULSE)], None)


def test_a_contact_that_never_spoke_senses_nothing() -> None:
    door = leaf.unlocked(Doorway(SETUP), grant(1))
    assert ends(leaf.locked(door, grant(1), PASSED, 4_000)[1]) == [(1, PASSED, PassageSense.PULSE)]


def test_a_door_that_stands_open_cannot_show_who_goes_through() -> None:
    door, _ = moved(CLOSED, True, 500, is_free=True)
    door = leaf.unlocked(door, grant(1))
    assert ends(leaf.locked(door, grant(1), PASSED, 4_000)[1]) == [(1, PASSED, PassageSense.PULSE)]


@pytest.mark.parametrize("door", [CLOSED, Doorway()])
def test_a_pulse_that_failed_is_a_failed_grant(door: Doorway) -> None:
    assert ends(leaf.locked(leaf.unlocked(door, grant(1)), grant(1), FAILED, 1_100)[1]) == [(1, FAILED, None)]
    assert ends(leaf.locked(door, grant(1), FAILED, 1_100)[1]) == [(1, FAILED, None)], "it may never have begun"


def test_staff_who_let_somebody_in_from_afar_make_no_passage() -> None:
    door = leaf.unlocked(CLOSED, UNLOCK)
    door, said = moved(door, True, 1_500)
    assert (ends(said), alarms(woke(door, 9_000)[1])) == ([], [])
    assert leaf.locked(door, UNLOCK, PASSED, 4_000)[1] == ()


def test_the_lock_closes_as_soon_as_the_door_was_opened_where_the_profile_says_so() -> None:
    door = leaf.unlocked(CLOSED, grant(1))
    assert Relocks() in moved(door, True, 1_500)[1]
    keeps = Doorway(DoorSetup(has_contact=True, relocks_on_open=False), is_open=False)
    assert Relocks() not in moved(leaf.unlocked(keeps, grant(1)), True, 1_500)[1]


# --- force


def test_a_door_that_is_opened_without_a_grant_is_forced() -> None:
    door, said = moved(CLOSED, True, 1_000)
    assert (said, door.is_forced) == ((Moved(DoorChange.OPENED),), False)
    door, said = woke(door, 1_000 + EXIT_SETTLES_MS)
    assert (alarms(said), door.is_alarmed) == ([AlarmCode.FORCED], True)
    door, said = moved(door, False, 9_000)
    assert (alarms(said), door.is_alarmed) == ([AlarmCode.SECURE], False)


def test_a_request_to_exit_before_the_door_opens_is_no_force_and_is_recorded() -> None:
    door, said = leaf.exit_asked(CLOSED, True, 1_000)
    assert said == (Moved(DoorChange.EXIT_REQUEST),)
    door, _ = leaf.exit_asked(door, False, 1_100)
    door, _ = moved(door, True, 1_100 + EXIT - 1)
    assert alarms(woke(door, 1_100 + EXIT + 5_000)[1]) == []


def test_a_request_to_exit_does_not_count_for_ever() -> None:
    door, _ = leaf.exit_asked(CLOSED, True, 1_000)
    door, _ = leaf.exit_asked(door, False, 1_100)
    door, _ = moved(door, True, 1_100 + EXIT)
    assert alarms(woke(door, 1_100 + EXIT + EXIT_SETTLES_MS)[1]) == [AlarmCode.FORCED]


def test_a_request_to_exit_that_is_held_counts_as_long_as_it_is_held() -> None:
    door, _ = leaf.exit_asked(CLOSED, True, 1_000)
    door, _ = moved(door, True, 100_000)
    assert alarms(woke(door, 100_000 + EXIT_SETTLES_MS)[1]) == []


def test_a_request_to_exit_that_is_believed_just_after_the_contact_is_no_force() -> None:
    door, _ = moved(CLOSED, True, 1_000)
    door, _ = leaf.exit_asked(door, True, 1_000 + EXIT_SETTLES_MS - 1)
    assert alarms(woke(door, 9_000)[1]) == []


def test_a_request_to_exit_that_is_repeated_while_held_is_one() -> None:
    door, _ = leaf.exit_asked(CLOSED, True, 1_000)
    assert leaf.exit_asked(door, True, 1_200)[1] == ()


def test_a_free_door_is_never_forced_nor_held() -> None:
    door, _ = moved(CLOSED, True, 1_000, is_free=True)
    assert leaf.due_ms(door, is_free=True) is None
    assert woke(door, 10_000_000, is_free=True)[1] == ()


def test_what_the_contact_says_at_the_start_is_no_force() -> None:
    door, said = moved(Doorway(SETUP), True, 1_000)
    assert (said, alarms(woke(door, 5_000)[1])) == ((Moved(DoorChange.OPENED),), [])
    assert moved(Doorway(SETUP), False, 1_000)[1] == ()


def test_a_contact_that_says_the_same_again_says_nothing() -> None:
    assert moved(CLOSED, False, 1_000) == (CLOSED, ())


# --- held open


def test_a_door_that_stands_open_too_long_is_an_alarm_once() -> None:
    door, _ = moved(leaf.unlocked(CLOSED, grant(1)), True, 1_000)
    door, _ = leaf.locked(door, grant(1), PASSED, 1_001)
    assert woke(door, 1_000 + HELD - 1)[1] == ()
    door, said = woke(door, 1_000 + HELD)
    assert alarms(said) == [AlarmCode.HELD_OPEN]
    assert woke(door, 1_000 + 9 * HELD)[1] == ()
    assert alarms(moved(door, False, 1_000 + 9 * HELD)[1]) == [AlarmCode.SECURE]


def test_a_door_closed_in_time_alarms_nobody() -> None:
    door, _ = moved(leaf.unlocked(CLOSED, grant(1)), True, 1_000)
    door, said = moved(door, False, 1_000 + HELD - 1)
    assert said == (Moved(DoorChange.CLOSED),)
    assert woke(door, 9 * HELD)[1] == ()


def test_a_door_that_was_free_has_its_whole_time_to_be_closed() -> None:
    door, _ = moved(CLOSED, True, 1_000, is_free=True)
    door = leaf.freed(door, 500_000)
    assert leaf.due_ms(door, is_free=False) == 500_000 + HELD
    assert leaf.freed(CLOSED, 500_000) == CLOSED
