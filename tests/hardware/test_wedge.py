"""Keys to codes: what counts as a press, and what spoils a code."""

import pytest

from hardware.base import FaultReason, Medium, ReaderEvent, ReaderFault, Scan
from hardware.readers.framing import Framing, Identity, Terminator
from hardware.readers.keys import KeyMoved
from hardware.readers.layouts import LayoutName
from hardware.readers.wedge import Wedge
from tests.hardware.typist import ALT_GR, SHIFT, Typist

pytestmark = pytest.mark.unit

F1, TAB, CTRL, LEFT_ALT, META, NUM_LOCK, KEYPAD_1, DEAD_CIRCUMFLEX = 59, 15, 29, 56, 125, 69, 79, 26


def wedge(layout: LayoutName = LayoutName.US, framing: Framing | None = None) -> Wedge:
    return Wedge(Identity("in", Medium.QR), framing or Framing(), layout, 0)


def heard(by: Wedge, keys: "list[KeyMoved]") -> list[ReaderEvent]:
    return [event for key in keys for event in by.key(key.code, key.value, key.at_mono_ms)]


def only_fault(events: list[ReaderEvent]) -> FaultReason:
    (event,) = events
    assert isinstance(event, ReaderFault)
    return event.reason


def test_key_that_is_held_types_once() -> None:
    typist = Typist(LayoutName.US)
    keys = list(typist.line("12345"))
    repeated = [KeyMoved(keys[0].code, 2, keys[0].at_mono_ms + at) for at in range(5)]
    (scan,) = heard(wedge(), keys[:1] + repeated + keys[1:])
    assert isinstance(scan, Scan)
    assert scan.data == b"12345"


def test_key_that_goes_down_twice_has_lost_an_event_and_spoils_the_code() -> None:
    typist = Typist(LayoutName.US)
    keys = list(typist.line("11234"))
    assert only_fault(heard(wedge(), [key for at, key in enumerate(keys) if at != 1])) is FaultReason.TORN_READ


def test_keys_may_overlap() -> None:
    down = [KeyMoved(code, 1, 1000 + code) for code in (2, 3, 4, 5)]
    up = [KeyMoved(code, 0, 1010 + code) for code in (2, 3, 4, 5)]
    (scan,) = heard(wedge(), [*down, *up, KeyMoved(28, 1, 1030)])
    assert isinstance(scan, Scan)
    assert scan.data == b"1234"


@pytest.mark.parametrize("held", [[CTRL], [LEFT_ALT], [META]])
def test_commands_are_no_characters(held: list[int]) -> None:
    typist = Typist(LayoutName.US)
    keys = [*typist.text("1234"), *typist.stroke(46, *held), *typist.line("5678")]
    assert only_fault(heard(wedge(), keys)) is FaultReason.GARBLED


def test_function_keys_spoil_the_code_they_stand_in() -> None:
    typist = Typist(LayoutName.US)
    assert only_fault(heard(wedge(), [*typist.text("1234"), *typist.stroke(F1), *typist.line("5678")])) is (
        FaultReason.GARBLED
    )


def test_ctrl_and_alt_together_are_alt_gr() -> None:
    typist = Typist(LayoutName.DE)
    by_alt_gr = [*typist.text("abc"), *typist.stroke(16, ALT_GR), *typist.line("de")]
    by_both = [*typist.text("abc"), *typist.stroke(16, CTRL, LEFT_ALT), *typist.line("de")]
    for keys in (by_alt_gr, by_both):
        (scan,) = heard(wedge(LayoutName.DE), keys)
        assert isinstance(scan, Scan)
        assert scan.data == b"abc@de"


def test_keypad_types_digits_whatever_num_lock_says() -> None:
    typist = Typist(LayoutName.FR)
    keys = [*typist.stroke(NUM_LOCK), *(key for _ in range(4) for key in typist.stroke(KEYPAD_1)), *typist.stroke(96)]
    (scan,) = heard(wedge(LayoutName.FR), keys)
    assert isinstance(scan, Scan)
    assert scan.data == b"1111"


def test_dead_keys_compose_and_a_code_that_ends_in_one_is_dropped() -> None:
    typist = Typist(LayoutName.FR)
    keys = [*typist.text("abc"), *typist.stroke(DEAD_CIRCUMFLEX), *typist.line("e")]
    (scan,) = heard(wedge(LayoutName.FR), keys)
    assert isinstance(scan, Scan)
    assert scan.data.decode() == "abcê"
    typist.at_ms += 1000
    keys = [*typist.text("abcd"), *typist.stroke(DEAD_CIRCUMFLEX), *typist.stroke(28)]
    assert only_fault(heard(wedge(LayoutName.FR), keys)) is FaultReason.GARBLED


def test_dead_key_pressed_twice_makes_no_character() -> None:
    typist = Typist(LayoutName.FR)
    keys = [*typist.text("abcd"), *typist.stroke(DEAD_CIRCUMFLEX), *typist.stroke(DEAD_CIRCUMFLEX), *typist.line("e")]
    assert only_fault(heard(wedge(LayoutName.FR), keys)) is FaultReason.GARBLED


def test_tab_ends_a_code_where_the_scanner_is_set_to_it() -> None:
    typist = Typist(LayoutName.US)
    (scan,) = heard(wedge(framing=Framing(terminator=Terminator.TAB)), [*typist.text("1234"), *typist.stroke(TAB)])
    assert isinstance(scan, Scan)


def test_capital_letters_typed_with_caps_lock_do_not_outlive_the_code() -> None:
    typist = Typist(LayoutName.US)
    by = wedge()
    caps_lock_left_on = [*typist.stroke(58), *typist.line("abcd", caps=True)]
    typist.at_ms += 1000
    events = heard(by, [*caps_lock_left_on, *typist.line("efgh")])
    assert [event.data for event in events if isinstance(event, Scan)] == [b"abcd", b"efgh"]


def test_keys_that_the_kernel_dropped_spoil_the_code_and_no_other() -> None:
    typist = Typist(LayoutName.US)
    by = wedge()
    events = heard(by, [*typist.text("1234"), KeyMoved(SHIFT, 1, typist.at_ms)])
    events += by.overrun(typist.at_ms)
    events += heard(by, [*typist.line("78"), *typist.line("12345678")])
    assert only_fault(events[:1]) is FaultReason.TORN_READ
    assert [event.data for event in events if isinstance(event, Scan)] == [b"12345678"]


def test_nothing_that_was_typed_stands_in_an_event_s_text() -> None:
    typist = Typist(LayoutName.US)
    events = heard(wedge(framing=Framing(max_length=6)), [*typist.line("987654321"), *typist.line("4711")])
    assert "4711" not in repr(events)
    assert "98765" not in repr(events)
