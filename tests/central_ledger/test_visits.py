"""Visits follow from the set of movements alone: rules one by one, then every order and every point to resume from."""

from collections.abc import Iterable
from datetime import UTC, datetime, time
from itertools import pairwise
from random import Random
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.checkins.visits import (
    HOLD_OFF_MS,
    ClosingRule,
    EndedBy,
    EventKey,
    Grant,
    Movement,
    Passage,
    Resumption,
    Visit,
    derive,
    settle,
)
from wire.vocabulary import Direction, PassageOutcome

pytestmark = pytest.mark.unit

DEVICE = UUID(int=1).hex
HOUR_MS = 3_600_000
MINUTE_MS = 60_000
NOON_MS = int(datetime(2026, 5, 4, 12, tzinfo=UTC).timestamp() * 1000)
RULE = ClosingRule(ZoneInfo("UTC"), after_hours=12)


def key(n: int, run: str = "00000000000000aa") -> EventKey:
    return EventKey(DEVICE, run, n)


def moved(n: int, minutes: float, direction: Direction, *, is_certain: bool = True) -> Movement:
    return Movement(key(n), NOON_MS + round(minutes * MINUTE_MS), direction, is_certain)


def entered(n: int, minutes: float) -> Movement:
    return moved(n, minutes, Direction.IN)


def left(n: int, minutes: float) -> Movement:
    return moved(n, minutes, Direction.OUT)


def toggled(n: int, minutes: float) -> Movement:
    return moved(n, minutes, Direction.TOGGLE)


def test_entry_and_exit_make_one_visit() -> None:
    (visit,) = derive([entered(1, 0), left(2, 45)], RULE)
    assert (visit.opened_by, visit.closed_by, visit.ended_by) == (key(1), key(2), EndedBy.OUT)
    assert visit.closed_ms - visit.opened_ms == 45 * MINUTE_MS


def test_visit_that_nobody_ended_is_assumed_over_after_the_hours() -> None:
    (visit,) = derive([entered(1, 0)], RULE)
    assert (visit.ended_by, visit.closed_ms) == (EndedBy.ASSUMED, NOON_MS + 12 * HOUR_MS)


def test_visit_that_nobody_ended_is_assumed_over_at_closing_time() -> None:
    rule = ClosingRule(ZoneInfo("Europe/Berlin"), closing_time=time(22, 30))
    (visit,) = derive([entered(1, 0)], rule)
    assert visit.closed_ms == int(datetime(2026, 5, 4, 20, 30, tzinfo=UTC).timestamp() * 1000)


def test_entry_after_closing_time_is_over_at_the_next_one_or_after_the_hours() -> None:
    rule = ClosingRule(ZoneInfo("UTC"), after_hours=24, closing_time=time(6))
    assert rule.deadline_ms(NOON_MS) == NOON_MS + 18 * HOUR_MS
    assert ClosingRule(ZoneInfo("UTC"), 5, time(6)).deadline_ms(NOON_MS) == NOON_MS + 5 * HOUR_MS


def test_closing_time_in_the_hour_that_daylight_saving_skips_still_ends_the_visit() -> None:
    rule = ClosingRule(ZoneInfo("Europe/Berlin"), after_hours=24, closing_time=time(2, 30))
    opened_ms = int(datetime(2026, 3, 28, 23, tzinfo=UTC).timestamp() * 1000)
    assert opened_ms < rule.deadline_ms(opened_ms) <= opened_ms + 3 * HOUR_MS


@given(opened_ms=st.integers(0, 4_000_000_000_000), minute=st.integers(0, 1439), hours=st.integers(1, 24))
def test_deadline_is_after_the_opening_and_within_the_hours(opened_ms: int, minute: int, hours: int) -> None:
    rule = ClosingRule(ZoneInfo("America/New_York"), hours, time(minute // 60, minute % 60))
    assert opened_ms < rule.deadline_ms(opened_ms) <= opened_ms + hours * HOUR_MS


def test_second_entry_within_the_hold_off_is_the_same_visit() -> None:
    (visit,) = derive([entered(1, 0), entered(2, 1.9)], RULE)
    assert visit.opened_by == key(1)


def test_later_second_entry_ends_the_first_visit_as_assumed() -> None:
    first, second = derive([entered(1, 0), entered(2, 30)], RULE)
    assert (first.ended_by, first.closed_ms, first.closed_by) == (EndedBy.ASSUMED, second.opened_ms, None)


def test_exit_without_a_visit_is_no_visit() -> None:
    assert derive([left(1, 0)], RULE) == []


def test_exit_after_the_assumed_end_does_not_reopen_the_visit() -> None:
    (visit,) = derive([entered(1, 0), left(2, 13 * 60)], RULE)
    assert visit.ended_by is EndedBy.ASSUMED


def test_toggle_alternates() -> None:
    first, second = derive([toggled(1, 0), toggled(2, 30), toggled(3, 60)], RULE)
    assert (first.opened_by, first.closed_by, second.opened_by) == (key(1), key(2), key(3))


def test_toggle_ignores_a_second_tap_within_two_minutes() -> None:
    (visit,) = derive([toggled(1, 0), toggled(2, 1.5), toggled(3, 40)], RULE)
    assert visit.closed_by == key(3)


def test_toggle_ignores_a_second_tap_within_two_minutes_of_leaving() -> None:
    assert len(derive([toggled(1, 0), toggled(2, 30), toggled(3, 31)], RULE)) == 1


def test_toggle_begins_a_new_visit_after_an_assumed_end() -> None:
    first, second = derive([toggled(1, 0), toggled(2, 13 * 60)], RULE)
    assert (first.ended_by, second.opened_by) == (EndedBy.ASSUMED, key(2))


def test_member_may_return_through_an_entry_right_after_leaving() -> None:
    assert len(derive([entered(1, 0), left(2, 30), entered(3, 30.5)], RULE)) == 2


def test_id_follows_from_the_opening_event() -> None:
    (short,) = derive([entered(1, 0)], RULE)
    (long,) = derive([entered(1, 0), left(2, 10)], RULE)
    assert short.uid == long.uid
    assert short.uid != derive([entered(2, 0)], RULE)[0].uid


GRANT = Grant(key(1), NOON_MS, Direction.IN)


def ended(outcome: PassageOutcome, *, after_ms: int = 3000, direction: Direction | None = None) -> Passage:
    return Passage(key(2), NOON_MS + after_ms, outcome, direction)


def test_grant_without_an_end_counts_at_the_grant() -> None:
    assert settle(key(1), GRANT, []) == Movement(key(1), NOON_MS, Direction.IN)


def test_visit_begins_at_the_passage() -> None:
    assert settle(key(1), GRANT, [ended(PassageOutcome.PASSED)]) == Movement(key(1), NOON_MS + 3000, Direction.IN)


@pytest.mark.parametrize("outcome", [PassageOutcome.UNUSED, PassageOutcome.FAILED])
def test_grant_that_nobody_used_is_no_movement(outcome: PassageOutcome) -> None:
    assert settle(key(1), GRANT, [ended(outcome)]) is None


def test_grant_that_a_crash_swallowed_counts_and_is_flagged() -> None:
    movement = settle(key(1), GRANT, [ended(PassageOutcome.UNKNOWN, after_ms=9 * HOUR_MS)])
    assert movement == Movement(key(1), NOON_MS, Direction.IN, is_certain=False)
    assert not derive([movement], RULE)[0].is_entry_certain


def test_door_that_senses_the_direction_knows_better_than_the_reader() -> None:
    toggle = Grant(key(1), NOON_MS, Direction.TOGGLE)
    movement = settle(key(1), toggle, [ended(PassageOutcome.PASSED, direction=Direction.OUT)])
    assert movement is not None
    assert movement.direction is Direction.OUT


def test_passage_stands_in_for_a_grant_that_never_arrived() -> None:
    end = ended(PassageOutcome.PASSED, direction=Direction.IN)
    assert settle(key(1), None, [end]) == Movement(key(1), end.at_ms, Direction.IN)
    assert settle(key(1), None, [ended(PassageOutcome.UNKNOWN)]) is None
    assert settle(key(1), None, []) is None


@given(st.permutations([ended(outcome) for outcome in PassageOutcome]))
def test_of_contradicting_ends_the_strongest_holds(ends: list[Passage]) -> None:
    assert settle(key(1), GRANT, ends) == Movement(key(1), NOON_MS + 3000, Direction.IN)


@given(st.permutations([2, 3, 4]))
def test_of_equal_ends_the_first_event_holds(numbers: list[int]) -> None:
    ends = [Passage(key(n), NOON_MS + n, PassageOutcome.PASSED) for n in numbers]
    assert settle(key(1), GRANT, ends) == Movement(key(1), NOON_MS + 2, Direction.IN)


@st.composite
def histories(draw: st.DrawFn) -> list[Movement]:
    gaps = draw(st.lists(st.sampled_from([0, 1, HOLD_OFF_MS - 1, HOLD_OFF_MS, HOUR_MS, 13 * HOUR_MS]), max_size=12))
    at_ms, movements = NOON_MS, []
    for n, gap_ms in enumerate(gaps, 1):
        at_ms += gap_ms
        movements.append(Movement(key(n), at_ms, draw(st.sampled_from(list(Direction))), draw(st.booleans())))
    return movements


@given(histories(), st.randoms())
def test_every_order_of_arrival_gives_the_same_visits(history: list[Movement], order: Random) -> None:
    shuffled = list(history)
    order.shuffle(shuffled)
    assert derive(shuffled, RULE) == derive(history, RULE)


def resumed(visits: Iterable[Visit], history: list[Movement], since_ms: int) -> list[Visit]:
    """Derive what may differ from a moment on from the stored visits, as ingest does."""
    earlier = [visit for visit in visits if visit.opened_ms < since_ms]
    later = [movement for movement in history if movement.at_ms >= since_ms]
    resumption = Resumption(earlier[-1], since_ms) if earlier else None
    derived = {visit.uid: visit for visit in derive(later, RULE, resumption)}
    kept = {visit.uid: visit for visit in earlier}
    return sorted((kept | derived).values(), key=lambda visit: (visit.opened_ms, visit.opened_by))


@given(histories(), st.data())
def test_resuming_from_any_moment_gives_the_same_visits(history: list[Movement], data: st.DataObject) -> None:
    since_ms = data.draw(st.sampled_from([NOON_MS, *(moved.at_ms + late for moved in history for late in (0, 1))]))
    whole = derive(history, RULE)
    assert resumed(whole, history, since_ms) == whole


@given(histories(), st.data())
def test_movement_that_is_taken_back_leaves_the_visits_of_the_others(
    history: list[Movement], data: st.DataObject
) -> None:
    if not history:
        return
    gone = data.draw(st.sampled_from(history))
    rest = [movement for movement in history if movement is not gone]
    assert resumed(derive(history, RULE), rest, gone.at_ms) == derive(rest, RULE)


@given(histories())
def test_visits_of_a_member_never_overlap(history: list[Movement]) -> None:
    visits = derive(history, RULE)
    assert all(one.closed_ms <= other.opened_ms for one, other in pairwise(visits))
