"""Codes from characters: one presentation is one code, half of one is none, and two never join."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.base import FaultReason, Medium, ReaderEvent, ReaderFault, Scan
from hardware.readers.framing import FLOOD_ENDS_MS, REST_MS, SAME_MS, Characters, Framer, Framing, Identity, Terminator

pytestmark = pytest.mark.unit

GAP_MS = 100
IDENTITY = Identity("in", Medium.EM4100, "decimal")


def framer(framing: Framing | None = None, *, since_ms: int = 0) -> Framer:
    return Framer(IDENTITY, framing or Framing(gap_ms=GAP_MS), since_ms)


def typed(heard: Framer, text: str, at_ms: int, *, step_ms: int = 10, end: bool = True) -> list[ReaderEvent]:
    events: list[ReaderEvent] = []
    for character in text:
        events += heard.character(character, at_ms)
        at_ms += step_ms
    return events + (heard.terminate(at_ms) if end else [])


def reasons(events: list[ReaderEvent]) -> list[FaultReason]:
    return [event.reason for event in events if isinstance(event, ReaderFault)]


def framed_nothing(heard: Framer) -> bool:
    return heard.due_mono_ms is None


def test_code_carries_its_text_its_spelling_and_the_time_of_its_first_character() -> None:
    assert typed(framer(), "0001234567", 1000) == [Scan("in", Medium.EM4100, b"0001234567", 1000, form="decimal")]


def test_terminator_alone_is_nothing() -> None:
    heard = framer()
    assert heard.terminate(1000) == []
    assert len(typed(heard, "12345678", 1001)) == 1
    assert heard.terminate(1090) == []


@pytest.mark.parametrize("gap_ms", range(0, 501, 50))
def test_pause_up_to_the_gap_belongs_to_the_code_and_a_longer_one_tears_it(gap_ms: int) -> None:
    for allowed_ms in (gap_ms, gap_ms - 1):
        heard = framer(Framing(gap_ms=allowed_ms))
        events = typed(heard, "12345678", 1000, step_ms=gap_ms)
        events += heard.tick(9999)
        if gap_ms <= allowed_ms:
            assert [type(event) for event in events] == [Scan]
        else:
            assert set(reasons(events)) == {FaultReason.TORN_READ}
            assert not any(isinstance(event, Scan) for event in events)


def test_torn_code_is_reported_when_the_pause_is_over_and_never_joins_the_next() -> None:
    heard = framer()
    assert typed(heard, "1234", 1000, end=False) == []
    assert heard.due_mono_ms == 1030 + GAP_MS + 1
    assert heard.tick(1030 + GAP_MS) == []
    assert reasons(heard.tick(1030 + GAP_MS + 1)) == [FaultReason.TORN_READ]
    assert framed_nothing(heard)
    later_ms = 1030 + REST_MS + 1
    assert [event.data for event in typed(heard, "5678", later_ms) if isinstance(event, Scan)] == [b"5678"]


def test_torn_code_is_reported_before_the_next_even_without_a_timer() -> None:
    heard = framer()
    events = typed(heard, "1234", 1000, end=False) + typed(heard, "5678", 1030 + REST_MS + 1)
    assert [type(event) for event in events] == [ReaderFault, Scan]


@pytest.mark.parametrize("pause_ms", [GAP_MS + 1, 500, REST_MS])
def test_rest_of_a_code_that_a_pause_has_torn_is_no_code(pause_ms: int) -> None:
    heard = framer()
    events = typed(heard, "00012", 1000, end=False) + typed(heard, "34567", 1040 + pause_ms)
    assert reasons(events) == [FaultReason.TORN_READ] * 2
    assert [event for event in events if isinstance(event, Scan)] == []
    assert len(typed(heard, "0001234567", 1040 + pause_ms + 200)) == 1
    assert [type(event) for event in typed(heard, "0001234568", 1040 + pause_ms + 400)] == [Scan]


def test_a_code_after_the_terminator_of_a_torn_one_is_read_at_once() -> None:
    heard = framer()
    assert reasons(typed(heard, "0001234567", 1000, end=False)) == []
    assert reasons(heard.terminate(1090 + GAP_MS + 1)) == [FaultReason.TORN_READ]
    assert [type(event) for event in typed(heard, "0001234568", 1300)] == [Scan]


def test_tail_of_a_code_that_began_before_the_reader_was_there_is_dropped() -> None:
    heard = framer(since_ms=1000)
    events = typed(heard, "5678", 1050) + typed(heard, "87654321", 1200)
    assert reasons(events) == [FaultReason.TORN_READ]
    assert [event.data for event in events if isinstance(event, Scan)] == [b"87654321"]


def test_reader_that_leaves_in_the_middle_of_a_code_drops_and_reports_it() -> None:
    heard = framer()
    typed(heard, "1234", 1000, end=False)
    assert reasons(heard.abandon(1040)) == [FaultReason.TORN_READ]
    assert heard.abandon(1041) == []


@pytest.mark.parametrize(
    ("characters", "good", "bad"),
    [
        (Characters.DECIMAL, "0123456789", "1234a"),
        (Characters.DECIMAL, "1234", "\uff11234"),
        (Characters.HEX, "09afAF", "123g"),
        (Characters.PRINTABLE, "Grüße 42", "1234\x1d5"),
    ],
)
def test_code_with_a_character_that_does_not_belong_is_dropped_whole(
    characters: Characters, good: str, bad: str
) -> None:
    framing = Framing(gap_ms=GAP_MS, characters=characters)
    assert [event.data for event in typed(framer(framing), good, 1000) if isinstance(event, Scan)] == [good.encode()]
    assert reasons(typed(framer(framing), bad, 1000)) == [FaultReason.GARBLED]


def test_lengths_are_bounded_both_ways_and_memory_with_them() -> None:
    framing = Framing(gap_ms=GAP_MS, min_length=4, max_length=8)
    assert reasons(typed(framer(framing), "123", 1000)) == [FaultReason.GARBLED]
    heard = framer(framing)
    assert reasons(typed(heard, "9" * 10_000, 1000, step_ms=1)) == [FaultReason.OVERSIZE]
    assert len(typed(heard, "12345678", 20_000)) == 1


def test_without_a_terminator_the_exact_length_and_a_pause_make_the_code() -> None:
    framing = Framing(gap_ms=GAP_MS, terminator=Terminator.NONE, min_length=8, max_length=8)
    heard = framer(framing)
    typed(heard, "12345678", 1000, end=False)
    assert [event.data for event in heard.tick(1200) if isinstance(event, Scan)] == [b"12345678"]
    typed(heard, "1234", 2000, end=False)
    assert reasons(heard.tick(2200)) == [FaultReason.GARBLED]


def test_code_that_is_repeated_without_a_pause_is_one_presentation() -> None:
    """A card that lies on a reader that repeats it must not open again and again, nor pass for a double tap."""
    heard = framer(Framing(gap_ms=GAP_MS))
    lying = [event for at_ms in range(1_000, 31_000, 700) for event in typed(heard, "12345678", at_ms, step_ms=1)]
    assert [type(event) for event in lying] == [Scan]
    assert len(typed(heard, "12345678", 31_000 + SAME_MS, step_ms=1)) == 1, "lifted and shown again"


def test_two_codes_in_turn_are_two_presentations_each() -> None:
    heard = framer(Framing(gap_ms=GAP_MS))
    codes = ("12345678", "87654321", "12345678")
    events = [event for at, code in enumerate(codes) for event in typed(heard, code, 1_000 + 500 * at, step_ms=1)]
    assert [event.data.decode() for event in events if isinstance(event, Scan)] == list(codes)


def test_flood_is_reported_once_and_ends_with_a_second_of_silence() -> None:
    heard = framer(Framing(gap_ms=GAP_MS, per_second=5))
    events = [event for at_ms in range(1000, 5000, 50) for event in typed(heard, f"{at_ms}", at_ms, step_ms=1)]
    assert [type(event) for event in events] == [Scan] * 5 + [ReaderFault]
    assert reasons(events) == [FaultReason.FLOOD]
    assert len(typed(heard, "1234", 5000 + FLOOD_ENDS_MS, step_ms=1)) == 1


def test_garbage_counts_as_flood_too() -> None:
    heard = framer(Framing(gap_ms=GAP_MS, per_second=5, characters=Characters.DECIMAL))
    events = [event for at_ms in range(1000, 5000, 50) for event in typed(heard, "x", at_ms, step_ms=1)]
    assert reasons(events) == [FaultReason.GARBLED] * 5 + [FaultReason.FLOOD]


STEPS = st.lists(st.tuples(st.integers(0, 500), st.sampled_from("0123456789\n")), max_size=60)


@given(STEPS, st.integers(5, 500))
def test_whatever_the_pauses_a_code_is_what_was_typed_without_a_longer_one(
    steps: list[tuple[int, str]], gap_ms: int
) -> None:
    """The reference cuts at pauses first and at terminators then, from the whole recording.

    No pause of it is long enough for somebody to present anew, so what follows a torn code is its rest.
    """
    heard = framer(Framing(gap_ms=gap_ms, min_length=1, per_second=50))
    at_ms, pieces, ends_ms = 10_000, [""], list[int]()
    events: list[ReaderEvent] = []
    for pause_ms, character in steps:
        at_ms += pause_ms
        if pause_ms > gap_ms:
            pieces.append("")
        pieces[-1] += character
        ends_ms += [at_ms] * (character == "\n")
        events += heard.terminate(at_ms) if character == "\n" else heard.character(character, at_ms)
    whole: list[tuple[str, int]] = []
    is_torn = False
    for piece in pieces:
        *ended, open_ended = piece.split("\n")
        timed = [(code, ends_ms.pop(0)) for code in ended]
        whole += [(code, end_ms) for code, end_ms in (timed[1:] if is_torn else timed) if code]
        is_torn = bool(open_ended) or (is_torn and not ended)
    new = [
        code for (code, end_ms), (before, before_ms) in zip(whole, [("", 0), *whole], strict=False)
        if code != before or end_ms - before_ms >= SAME_MS
    ]  # fmt: skip
    if FaultReason.FLOOD not in reasons(events):
        assert [event.data.decode() for event in events if isinstance(event, Scan)] == new
