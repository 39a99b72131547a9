"""Cards for enrolment: who is waited for, who is not, and that none of it decides anything."""

import pytest
from msgspec.structs import replace

from agent.core import screen
from agent.core.effects import (
    Answer,
    Captured,
    Commanded,
    Effect,
    Input,
    Misread,
    Presented,
    Record,
    Recorded,
    Show,
    Unlock,
    WakeAt,
    Woke,
)
from agent.core.state import Station
from agent.core.station import FRESH_MS, step
from agent.core.types import EventId
from tests.core.builders import facts, now, read, row, station
from tests.core.orders import order
from wire.vocabulary import CommandName, CommandState, EventKind, Outcome

pytestmark = pytest.mark.unit

UNTIL_MS = 31_000
SEALED = Captured(sealed="c2VhbGVk")


def desk() -> Station:
    at = station(pulse_ms=None)
    return replace(at, door=replace(at.door, is_desk=True))


def feed(state: Station, event: Input) -> tuple[Station, list[Effect]]:
    """Let every record succeed at once; return all effects in order."""
    done: list[Effect] = []
    waiting = [event]
    while waiting:
        state, effects = step(state, waiting.pop(0))
        done += effects
        for effect in effects:
            if isinstance(effect, Record):
                waiting.append(Recorded(effect.then, EventId("aa", len(done)), effect.at))
    return state, done


def waiting(state: Station, *, id: str = "c1") -> Station:
    wanted = order(CommandName.CAPTURE, id=id, begin_before_mono_ms=UNTIL_MS)
    state, _ = feed(state, Commanded(wanted, now(1_000)))
    return state


def answers(effects: list[Effect]) -> list[tuple[str, CommandState, str, str]]:
    return [(each.id, each.state, each.code, each.out) for each in effects if isinstance(each, Answer)]


def bodies(effects: list[Effect]) -> list[tuple[EventKind, object]]:
    return [(each.kind, each.body) for each in effects if isinstance(each, Record)]


def test_a_desk_says_that_it_opens_no_door() -> None:
    state, effects = feed(desk(), Woke(now()))
    assert state.door.is_desk
    rested, effects = step(replace(state, picture_until_ms=500), Woke(now()))
    assert rested.picture == screen.DESK
    assert Show(screen.DESK) in effects


@pytest.mark.parametrize("known", [None, row()])
def test_a_card_at_a_desk_decides_nothing(known: object) -> None:
    state, effects = feed(desk(), Presented(facts(known=row() if known else None)))
    assert [kind for kind, _ in bodies(effects)] == [EventKind.READ_FAULT]
    assert not any(isinstance(effect, Unlock) for effect in effects)
    assert state.picture == screen.CARD_UNASKED


@pytest.mark.parametrize("known", [None, row()])
def test_a_desk_hands_over_the_next_card_whoever_holds_it(known: object) -> None:
    state = waiting(desk())
    assert state.picture == screen.CAPTURE
    state, effects = feed(state, Presented(facts(read(5_000), known=row() if known else None), SEALED))
    assert answers(effects) == [("c1", CommandState.DONE, "read", "c2VhbGVk")]
    assert state.capture is None
    assert state.picture == screen.CARD_READ


def test_the_record_says_that_a_card_was_read_and_not_which() -> None:
    _, effects = feed(waiting(desk()), Presented(facts(read(5_000)), SEALED))
    ((kind, body),) = bodies(effects)
    assert kind is EventKind.COMMAND_RESULT
    assert "c2VhbGVk" not in str(body)
    assert read().credential.key not in str(body)


def test_nobody_hears_of_the_card_before_it_is_on_the_record_that_it_was_read() -> None:
    _, effects = step(waiting(desk()), Presented(facts(read(5_000)), SEALED))
    assert not answers(effects)
    assert not any(isinstance(effect, Show) for effect in effects)


def test_one_card_is_taken_and_no_second() -> None:
    state, _ = feed(waiting(desk()), Presented(facts(read(5_000)), SEALED))
    state, effects = feed(state, Presented(facts(read(6_000, key="1" * 32)), SEALED))
    assert not answers(effects)
    assert state.picture == screen.CARD_UNASKED


def test_a_door_hands_over_a_card_that_it_does_not_know() -> None:
    state, effects = feed(waiting(station()), Presented(facts(read(5_000)), SEALED))
    assert answers(effects) == [("c1", CommandState.DONE, "read", "c2VhbGVk")]
    assert not any(isinstance(effect, Unlock) for effect in effects)
    assert state.picture == screen.CARD_READ


def test_a_member_passes_a_door_that_waits_for_a_card() -> None:
    state, effects = feed(waiting(station()), Presented(facts(read(5_000), known=row()), SEALED))
    assert any(isinstance(effect, Unlock) for effect in effects)
    assert state.capture is not None
    assert not answers(effects)


def test_a_capture_ends_with_its_half_minute() -> None:
    state = waiting(desk())
    assert state.asked_ms == UNTIL_MS
    state, effects = feed(state, Woke(now(UNTIL_MS)))
    assert answers(effects) == [("c1", CommandState.EXPIRED, "nobody_came", "")]
    assert state.capture is None


@pytest.mark.parametrize("at", [desk, station])
def test_a_card_at_its_end_is_too_late(at: object) -> None:
    state = waiting(desk() if at is desk else station())
    state, effects = feed(state, Presented(facts(read(UNTIL_MS)), SEALED))
    assert all(out == "" for *_, out in answers(effects))


def test_a_card_at_the_last_moment_is_in_time() -> None:
    _, effects = feed(waiting(desk()), Presented(facts(read(UNTIL_MS - 1)), SEALED))
    assert answers(effects) == [("c1", CommandState.DONE, "read", "c2VhbGVk")]


def test_a_card_that_was_read_long_ago_is_not_taken() -> None:
    late = facts(read(5_000), at_now=now(5_001 + FRESH_MS))
    state, effects = feed(waiting(desk()), Presented(late, SEALED))
    assert not answers(effects)
    assert state.capture is not None


def test_a_second_capture_is_refused_while_the_first_waits() -> None:
    second = order(CommandName.CAPTURE, id="c2", begin_before_mono_ms=UNTIL_MS)
    state, effects = feed(waiting(desk()), Commanded(second, now(2_000)))
    assert answers(effects) == [("c2", CommandState.FAILED, "busy", "")]
    assert state.capture is not None
    assert state.capture.id == "c1"


def test_what_cannot_be_sealed_ends_the_capture_and_says_why() -> None:
    state, effects = feed(waiting(desk()), Presented(facts(read(5_000)), Captured(code="a_pass")))
    assert answers(effects) == [("c1", CommandState.FAILED, "a_pass", "")]
    assert state.picture == screen.CARD_UNFIT


def test_a_card_with_a_random_number_ends_the_capture_and_says_so() -> None:
    odd = Misread("in", "unsupported_card", "random UID, another each time", now(5_000))
    state, effects = feed(waiting(desk()), odd)
    assert answers(effects) == [("c1", CommandState.FAILED, "unsupported_card", "random UID, another each time")]
    assert state.capture is None


@pytest.mark.parametrize(("at", "fault"), [("desk", "torn_read"), ("door", "unsupported_card")])
def test_other_bad_reads_may_be_tried_again(at: str, fault: str) -> None:
    state = waiting(desk() if at == "desk" else station())
    state, effects = feed(state, Misread("in", fault, "", now(5_000)))
    assert state.capture is not None
    assert not answers(effects)


def test_a_capture_outlives_no_restart_and_is_not_begun_again() -> None:
    state = waiting(desk())
    wakes = [effect for effect in step(state, Woke(now(2_000)))[1] if isinstance(effect, WakeAt)]
    assert state.asked_ms == UNTIL_MS
    assert not wakes


def test_a_desk_opens_for_nobody() -> None:
    _, effects = feed(desk(), Presented(facts(known=row())))
    assert not any(getattr(body, "outcome", None) is Outcome.GRANT for _, body in bodies(effects))
