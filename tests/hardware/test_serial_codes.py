"""Bytes to codes: whatever a line carries, a code is whole text or nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.base import FaultReason, Medium, ReaderEvent, ReaderFault, Scan
from hardware.readers.framing import Framing, Identity, Terminator
from hardware.readers.serial_codes import Received, SerialCodes

pytestmark = pytest.mark.unit


def line(framing: Framing | None = None) -> SerialCodes:
    return SerialCodes(Identity("in", Medium.QR), framing or Framing(per_second=50), 0)


def codes(events: list[ReaderEvent]) -> list[bytes]:
    return [event.data for event in events if isinstance(event, Scan)]


def reasons(events: list[ReaderEvent]) -> list[FaultReason]:
    return [event.reason for event in events if isinstance(event, ReaderFault)]


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_either_end_of_a_line_ends_a_code(end: bytes) -> None:
    events = line().take(Received(b"12345678" + end + "Grüße 42".encode() + end, 1000))
    assert codes(events) == [b"12345678", "Grüße 42".encode()]
    assert reasons(events) == []


@pytest.mark.parametrize("noise", [b"\0", b"\x11", b"\x13", b"\x1b[A", b"\xff", b"\t"])
def test_noise_in_a_code_spoils_it_and_not_the_next(noise: bytes) -> None:
    by = line()
    assert reasons(by.take(Received(b"1234" + noise + b"5678\r", 1000))) == [FaultReason.GARBLED]
    assert codes(by.take(Received(b"12345678\r", 1001))) == [b"12345678"]


def test_tab_ends_a_code_where_the_scanner_is_set_to_it() -> None:
    events = line(Framing(terminator=Terminator.TAB)).take(Received(b"1234\t12\r4\t", 1000))
    assert codes(events) == [b"1234"]
    assert reasons(events) == [FaultReason.GARBLED]


def test_character_that_arrives_in_two_parts_is_one_and_a_pause_between_them_is_an_end() -> None:
    by = line()
    first, second = "Grüße".encode()[:3], "Grüße".encode()[3:]
    assert codes(by.take(Received(first, 1000)) + by.take(Received(second + b"\r", 1050))) == ["Grüße".encode()]
    events = by.take(Received(first, 2000)) + by.take(Received(b"1234\r", 5000))
    assert codes(events) == [b"1234"]
    assert reasons(events) == [FaultReason.TORN_READ]


def test_half_a_code_is_dropped_at_a_pause_and_when_the_scanner_leaves() -> None:
    by = line()
    by.take(Received(b"1234", 1000))
    assert by.due_mono_ms == 1101
    assert reasons(by.tick(1101)) == [FaultReason.TORN_READ]
    by.take(Received(b"5678", 2000))
    assert reasons(by.abandon(2001)) == [FaultReason.TORN_READ]


def test_flood_takes_no_more_memory_than_a_code() -> None:
    by = line(Framing(max_length=64))
    events = [event for at in range(200) for event in by.take(Received(b"\0" * 4096, 1000 + at))]
    assert events == []
    assert reasons(by.take(Received(b"\r", 1201))) == [FaultReason.GARBLED]
    assert codes(by.take(Received(b"12345678\r", 1202))) == [b"12345678"]


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12), unique=True
    ),
    st.data(),
)
def test_codes_come_out_however_the_bytes_are_cut(texts: list[str], data: st.DataObject) -> None:
    by = line(Framing(min_length=1, per_second=10_000))
    sent = "".join(f"{text}\r" for text in texts).encode()
    heard: list[ReaderEvent] = []
    at_ms = 1000
    while sent:
        cut = data.draw(st.integers(1, len(sent)))
        heard += by.take(Received(sent[:cut], at_ms))
        sent, at_ms = sent[cut:], at_ms + data.draw(st.integers(0, 100))
    assert codes(heard) == [text.encode() for text in texts if "\N{REPLACEMENT CHARACTER}" not in text]
