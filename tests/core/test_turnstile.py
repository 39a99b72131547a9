import pytest

from agent.core import turnstile as arms_
from agent.core.passing import Ended, Frees, Moved, Relocks, Said
from agent.core.turnstile import LATE_ALARM_MS, LATE_MS, PAIR_MS, STUCK_MS, WAITS_MS, Arms, ArmsSetup
from tests.core.passages import UNLOCK, alarms, ends, grant
from wire.vocabulary import AlarmCode, Direction, DoorChange, PassageOutcome, PassageSense

pytestmark = pytest.mark.unit

IN, OUT = Direction.IN, Direction.OUT
PASSED, UNUSED, FAILED = PassageOutcome.PASSED, PassageOutcome.UNUSED, PassageOutcome.FAILED
SETUP = ArmsSetup(frozenset({IN, OUT}), passage_ms=8_000)
REST = Arms(SETUP)
LEAVES = grant(2, direction=OUT)


def passed(arms: Arms, way: Direction, at_ms: int, *, is_free: bool = False) -> arms_.Step:
    return arms_.passed(arms, way, at_ms, is_free=is_free)


def freed(said: tuple[Said, ...]) -> list[object]:
    return [one.opening for one in said if isinstance(one, Frees)]


def released(opening: object = None, at_ms: int = 1_000) -> Arms:
    """Return arms that were freed for the first grant, the relay off again."""
    arms, said = arms_.took(REST, grant(1), at_ms)
    assert freed(said) == [grant(1)]
    arms, said = arms_.locked(arms_.unlocked(arms, grant(1)), grant(1), PASSED, at_ms + 500)
    assert said == ()
    return arms


def test_whoever_turns_the_arms_has_passed() -> None:
    arms, said = passed(released(), IN, 3_000)
    assert ends(said) == [(1, PASSED, PassageSense.SENSOR)]
    assert said[:2] == (Moved(DoorChange.PASSED_IN), Relocks())
    assert arms.turn is None


def test_arms_that_did_not_turn_charge_nobody() -> None:
    arms = released()
    due = arms_.due_ms(arms)
    assert due == 1_000 + 8_000 + LATE_MS
    assert arms_.woke(arms, due - 1)[1] == ()
    arms, said = arms_.woke(arms, due)
    assert ends(said) == [(1, UNUSED, PassageSense.SENSOR)]
    assert arms_.due_ms(arms) is None


def test_a_relay_that_failed_is_a_failed_grant_and_the_next_has_its_turn() -> None:
    arms, _ = arms_.took(REST, grant(1), 1_000)
    arms, _ = arms_.took(arms, LEAVES, 1_100)
    arms, said = arms_.locked(arms, grant(1), FAILED, 1_200)
    assert (ends(said), freed(said)) == ([(1, FAILED, None)], [LEAVES])


def test_arms_that_turn_while_the_time_runs_out_still_count() -> None:
    _, said = passed(released(), IN, 1_000 + 8_000 + LATE_MS - 1)
    assert (ends(said), alarms(said)) == ([(1, PASSED, PassageSense.SENSOR)], [])


def test_a_passage_after_the_grant_was_given_up_is_an_alarm_and_no_visit() -> None:
    late_ms = 1_000 + 8_000 + LATE_MS
    arms, said = passed(released(), IN, late_ms)
    assert (ends(said), alarms(said)) == ([(1, UNUSED, PassageSense.SENSOR)], [AlarmCode.LATE_PASSAGE])
    assert alarms(passed(arms, IN, late_ms + LATE_ALARM_MS + 1)[1]) == [AlarmCode.FORCED]


def test_somebody_in_the_other_direction_uses_nobodys_grant() -> None:
    arms, said = passed(released(), OUT, 2_000)
    assert (ends(said), alarms(said)) == ([], [AlarmCode.WRONG_WAY])
    assert ends(passed(arms, IN, 3_000)[1]) == [(1, PASSED, PassageSense.SENSOR)]


def test_two_people_on_one_grant_are_an_alarm() -> None:
    arms, _ = passed(released(), IN, 2_000)
    arms, said = passed(arms, IN, 2_000 + PAIR_MS)
    assert (ends(said), alarms(said)) == ([], [AlarmCode.TWO_PEOPLE])
    assert alarms(passed(arms, IN, 2_000 + PAIR_MS + 1)[1]) == [AlarmCode.FORCED]


def test_nobody_is_asked_why_they_leave() -> None:
    assert alarms(passed(REST, OUT, 2_000)[1]) == []
    assert alarms(passed(REST, IN, 2_000)[1]) == [AlarmCode.FORCED]
    assert alarms(passed(REST, IN, 2_000, is_free=True)[1]) == []


def test_early_taps_wait_one_for_each_way() -> None:
    arms = released()
    arms, said = arms_.took(arms, grant(3), 1_500)
    assert (said, arms_.can_take(arms, IN), arms_.can_take(arms, OUT)) == ((), False, True)
    arms, said = arms_.took(arms, LEAVES, 1_600)
    assert (said, arms_.can_take(arms, OUT)) == ((), False)
    arms, said = passed(arms, IN, 2_000)
    assert freed(said) == [grant(3)], "the one who waited longest goes first"
    arms, said = passed(arms, IN, 3_000)
    assert freed(said) == [LEAVES]


def test_whoever_has_waited_too_long_is_gone() -> None:
    arms, _ = arms_.took(released(at_ms=9_000), grant(3, at_mono_ms=8_000), 9_500)
    assert arms_.woke(arms, 8_000 + WAITS_MS)[1] == ()
    arms, said = arms_.woke(arms, 8_000 + WAITS_MS + 1)
    assert (ends(said), freed(said)) == ([(3, UNUSED, None)], [])


def test_who_came_too_late_for_the_relay_ends_unused_and_the_next_has_their_turn() -> None:
    arms, _ = arms_.took(REST, grant(1), 1_000)
    arms, _ = arms_.took(arms, LEAVES, 1_100)
    arms, said = arms_.locked(arms, grant(1), UNUSED, 1_200)
    assert (ends(said), freed(said)) == ([(1, UNUSED, None)], [LEAVES])
    assert arms_.latest_ms(UNLOCK) == 49_999


def test_whoever_is_gone_is_not_let_in_when_the_arms_come_to_rest() -> None:
    arms, _ = arms_.took(released(at_ms=9_000), grant(3, at_mono_ms=8_000), 9_500)
    arms, said = passed(arms, IN, 8_000 + WAITS_MS + 1)
    assert (ends(said), freed(said)) == ([(3, UNUSED, None), (1, PASSED, PassageSense.SENSOR)], [])
    arms, said = arms_.took(Arms(SETUP), grant(4, at_mono_ms=0), WAITS_MS + 1)
    assert (ends(said), freed(said)) == ([(4, UNUSED, None)], [])


def test_a_way_is_freed_only_once_the_other_relay_is_off() -> None:
    arms, _ = arms_.took(REST, grant(1), 1_000)
    arms = arms_.unlocked(arms, grant(1))
    arms, _ = arms_.took(arms, LEAVES, 1_050)
    arms, said = passed(arms, IN, 1_100)
    assert (ends(said), freed(said)) == ([(1, PASSED, PassageSense.SENSOR)], [])
    arms, said = arms_.locked(arms, grant(1), PASSED, 1_101)
    assert freed(said) == [LEAVES]


def test_nothing_is_freed_while_the_arms_are_busy() -> None:
    arms, _ = arms_.busy(REST, True, 1_000)
    arms, said = arms_.took(arms, grant(1), 1_100)
    assert (said, arms_.is_at_rest(arms)) == ((), False)
    arms, said = arms_.busy(arms, False, 1_500)
    assert freed(said) == [grant(1)]


def test_arms_that_stay_busy_are_stuck_until_they_move() -> None:
    arms, _ = arms_.busy(REST, True, 1_000)
    arms, said = arms_.busy(arms, True, 1_200)
    assert arms_.due_ms(arms) == 1_000 + STUCK_MS
    arms, said = arms_.woke(arms, 1_000 + STUCK_MS)
    assert (alarms(said), arms_.can_take(arms, IN)) == ([AlarmCode.TURNSTILE_STUCK], False)
    assert arms_.due_ms(arms) is None
    arms, said = arms_.busy(arms, False, 60_000)
    assert (alarms(said), arms_.can_take(arms, IN)) == ([AlarmCode.TURNSTILE_FREE], True)


def test_without_a_sensor_the_release_stands_for_the_passage() -> None:
    arms, _ = arms_.took(Arms(ArmsSetup()), grant(1), 1_000)
    arms = arms_.unlocked(arms, grant(1))
    assert arms_.due_ms(arms) is None
    arms, said = arms_.locked(arms, grant(1), PASSED, 1_500)
    assert ends(said) == [(1, PASSED, PassageSense.PULSE)]


def test_who_is_let_in_from_afar_turns_the_arms_without_a_visit() -> None:
    arms, said = arms_.took(REST, UNLOCK, 1_000)
    assert freed(said) == [UNLOCK]
    arms, said = arms_.locked(arms_.unlocked(arms, UNLOCK), UNLOCK, PASSED, 1_500)
    assert not arms_.is_at_rest(arms)
    arms, said = passed(arms, IN, 2_000)
    assert (ends(said), alarms(said), arms_.is_at_rest(arms)) == ([], [], True)


def test_fire_turns_away_who_waits_and_lets_through_who_goes() -> None:
    arms, _ = arms_.took(released(), grant(3), 1_500)
    arms, said = arms_.emptied(arms)
    assert ends(said) == [(3, UNUSED, None)]
    assert not any(isinstance(one, Ended) and one.grant == grant(1) for one in said)
    assert ends(passed(arms, IN, 2_000)[1]) == [(1, PASSED, PassageSense.SENSOR)]


def test_whoever_waits_while_the_way_is_opened_for_all_goes_through_without_a_pulse() -> None:
    arms, said = arms_.took(REST, grant(1), 1_000)
    assert freed(said) == [grant(1)]
    arms, _ = arms_.took(arms_.unlocked(arms, grant(1)), LEAVES, 1_100)
    arms, said = arms_.opened_to_all(arms)
    assert ends(said) == [(2, PASSED, PassageSense.FREE)]
    arms, said = arms_.locked(arms, grant(1), PASSED, 1_500)
    arms, said = passed(arms, IN, 2_000)
    assert (ends(said), freed(said)) == ([(1, PASSED, PassageSense.SENSOR)], [])
