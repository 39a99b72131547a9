"""Where a member is by the last movements, in whatever order central hears of them."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.presence.history import KEPT, Move, Past, entries, stay_of, told
from rules.whereabouts import OUTSIDE, Stay, Ways
from wire.vocabulary import Direction, PassageOutcome

pytestmark = pytest.mark.unit

FRONT = Ways("gym", OUTSIDE)
HOUR = 3_600_000


def closing(since_ms: int) -> int:
    return since_ms + 6 * HOUR


def move(n: int, at_ms: int, way: Direction = Direction.IN, end: PassageOutcome | None = PassageOutcome.PASSED) -> Move:
    return Move("d1", "aa", n, at_ms, way, "North door", FRONT, end)


def past_of(*moves: Move) -> Past:
    past = Past()
    for each in moves:
        past = told(past, each, closing)
    return past


def test_nobody_knows_of_somebody_who_never_came() -> None:
    assert stay_of(Past(), closing) is None


def test_a_stay_that_nobody_ended_makes_the_next_tap_an_entry() -> None:
    taps = past_of(move(1, 0, Direction.TOGGLE), move(2, 7 * HOUR, Direction.TOGGLE))
    assert stay_of(taps, closing) == Stay("gym", 7 * HOUR)


def test_what_is_told_twice_is_one_movement_and_the_last_word_holds() -> None:
    past = past_of(move(1, 0, end=None), move(1, 0, end=PassageOutcome.FAILED))
    assert (stay_of(past, closing), len(past.moves)) == (None, 1)


def test_memory_is_bounded_and_what_is_older_than_all_of_it_says_nothing() -> None:
    past = past_of(*(move(n, n * HOUR) for n in range(1, 30)))
    assert len(past.moves) == KEPT
    assert told(past, move(99, 0, Direction.OUT), closing) is past


def test_two_entries_without_leaving_are_told_apart_from_one_that_was_over() -> None:
    first, second, late = move(1, 0), move(2, HOUR), move(3, 20 * HOUR)
    assert entries(past_of(first, second, late), closing) == [(first, second)]
    assert entries(past_of(first, move(2, HOUR, Direction.OUT), move(3, 2 * HOUR)), closing) == []


WAYS = st.sampled_from([Direction.IN, Direction.OUT, Direction.TOGGLE])
ENDS = st.sampled_from([*PassageOutcome, None])


@given(st.lists(st.tuples(st.integers(0, 100), WAYS, ENDS), max_size=KEPT), st.integers())
def test_the_order_of_arrival_makes_no_difference(
    happened: list[tuple[int, Direction, PassageOutcome | None]], seed: int
) -> None:
    moves = [move(n, quarters * HOUR // 4, way, end) for n, (quarters, way, end) in enumerate(happened, 1)]
    shuffled = [*moves, *moves]
    Random(seed).shuffle(shuffled)
    assert past_of(*shuffled) == past_of(*moves)
