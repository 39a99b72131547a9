"""Edges to frames: a frame is whole and has its parity, or it is dropped."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.base import FaultReason, Medium, ReaderEvent, ReaderFault, Scan
from hardware.readers.framing import Identity
from hardware.readers.wiegand_frames import FRAME_BITS, STRAGGLERS_MS, Edge, Pulses, WiegandFrames
from tests.hardware.wires import edges
from wire.credentials import HID_DATA_BITS
from wire.wiegand import wiegand_frame

pytestmark = pytest.mark.unit

AT_US = 5_000_000
FRAME = wiegand_frame(26, 0x760643)


def frames(pulses: Pulses | None = None, *, since_ms: int = 0) -> WiegandFrames:
    return WiegandFrames(Identity("in", Medium.HID, "wiegand"), pulses or Pulses(), since_ms)


def heard(by: WiegandFrames, pulses: "list[Edge]") -> list[ReaderEvent]:
    events = [event for edge in pulses for event in by.take(edge)]
    return events + by.tick(by.due_mono_ms or 0)


def codes(events: list[ReaderEvent]) -> list[str]:
    return [event.data.decode() for event in events if isinstance(event, Scan)]


def reasons(events: list[ReaderEvent]) -> list[FaultReason]:
    return [event.reason for event in events if isinstance(event, ReaderFault)]


@given(st.sampled_from(FRAME_BITS), st.data())
def test_every_frame_with_its_parity_is_read_and_with_one_bit_wrong_is_not(bits: int, data: st.DataObject) -> None:
    frame = wiegand_frame(bits, data.draw(st.integers(0, (1 << HID_DATA_BITS[bits]) - 1)))
    (scan,) = heard(frames(), list(edges(frame, AT_US)))
    assert scan == Scan("in", Medium.HID, frame.encode(), AT_US // 1000, form="wiegand")
    at = data.draw(st.integers(0, bits - 1))
    flipped = frame[:at] + str(1 - int(frame[at])) + frame[at + 1 :]
    assert reasons(heard(frames(), list(edges(flipped, AT_US)))) == [FaultReason.GARBLED]


@pytest.mark.parametrize("lost", range(0, 52, 3))
def test_frame_that_lost_an_edge_or_a_bit_is_dropped(lost: int) -> None:
    pulses = list(edges(FRAME, AT_US))
    assert reasons(heard(frames(), pulses[:lost] + pulses[lost + 1 :])) == [FaultReason.TORN_READ]
    bit = lost // 2 * 2
    assert reasons(heard(frames(), pulses[:bit] + pulses[bit + 2 :])) == [FaultReason.GARBLED]


def test_card_that_lies_on_a_reader_that_repeats_it_is_read_once() -> None:
    by = frames()
    events = [event for at in range(10) for event in heard(by, list(edges(FRAME, AT_US + at * 500_000)))]
    assert codes(events) == [FRAME]


def test_edges_of_the_two_wires_may_come_one_wire_after_the_other() -> None:
    pulses = sorted(edges(FRAME, AT_US), key=lambda edge: edge.wire)
    assert codes(heard(frames(), pulses)) == [FRAME]


def test_two_frames_are_two_reads_even_when_the_second_begins_before_the_first_is_judged() -> None:
    second_us = AT_US + 26_000 + 30_000
    events = heard(frames(), [*edges(FRAME, AT_US), *edges(wiegand_frame(26, 7), second_us)])
    assert codes(events) == [FRAME, wiegand_frame(26, 7)]


def test_half_a_frame_never_joins_the_next() -> None:
    events = heard(frames(), [*edges(FRAME[:13], AT_US), *edges(FRAME, AT_US + 1_000_000)])
    assert codes(events) == [FRAME]
    assert reasons(events) == [FaultReason.GARBLED]


@pytest.mark.parametrize(("width_us", "is_read"), [(9, False), (10, True), (100, True), (400, True), (1001, False)])
def test_pulses_have_their_width(width_us: int, is_read: bool) -> None:
    events = heard(frames(), list(edges(FRAME, AT_US, every_us=2000, width_us=width_us)))
    assert bool(codes(events)) is is_read
    assert is_read or reasons(events) == [FaultReason.TORN_READ]


def test_pulses_that_overlap_are_no_frame() -> None:
    pulses = [*edges(FRAME, AT_US), Edge(0, is_low=True, at_us=AT_US + 20), Edge(0, is_low=False, at_us=AT_US + 25)]
    assert reasons(heard(frames(), pulses)) == [FaultReason.TORN_READ]


def test_frame_of_a_length_that_the_profile_does_not_name_is_refused() -> None:
    assert reasons(heard(frames(Pulses(bits=(34,))), list(edges(FRAME, AT_US)))) == [FaultReason.GARBLED]
    assert reasons(heard(frames(), list(edges("1010", AT_US)))) == [FaultReason.GARBLED]


def test_what_began_before_anybody_listened_is_dropped() -> None:
    by = frames(since_ms=AT_US // 1000 - 10)
    assert reasons(heard(by, list(edges(FRAME, AT_US)))) == [FaultReason.TORN_READ]
    assert codes(heard(by, list(edges(FRAME, AT_US + 1_000_000)))) == [FRAME]


def test_noise_for_ever_takes_no_memory_and_ends_with_a_pause() -> None:
    by = frames()
    noise = [Edge(at % 2, is_low=at % 4 < 2, at_us=AT_US + at * 200) for at in range(20_000)]
    events = heard(by, noise)
    assert len(by._edges) == 0
    assert reasons(events) == [FaultReason.TORN_READ]
    assert codes(heard(by, list(edges(FRAME, AT_US + 20_000 * 200 + 2_000_000)))) == [FRAME]


def test_half_a_frame_is_reported_when_nobody_listens_any_more() -> None:
    by = frames()
    for edge in edges(FRAME[:13], AT_US):
        by.take(edge)
    assert reasons(by.abandon(AT_US // 1000 + 20)) == [FaultReason.TORN_READ]
    assert by.abandon(AT_US // 1000 + 21) == []


def test_stragglers_are_waited_for() -> None:
    by = frames()
    for edge in edges(FRAME, AT_US):
        by.take(edge)
    last_ms = (AT_US + 25_050) // 1000
    assert by.due_mono_ms == last_ms + 25 + STRAGGLERS_MS + 1
    assert by.tick(last_ms + 25 + STRAGGLERS_MS) == []


def test_a_thousand_frames_cut_and_disturbed_at_random_invent_and_merge_nothing() -> None:
    random_ = random.Random(26)
    by, at_us, meant, events, bits = frames(Pulses(per_second=50, bits=(37,))), AT_US, [], [], 37
    for _ in range(1000):
        frame = wiegand_frame(bits, random_.getrandbits(HID_DATA_BITS[bits]))
        pulses = list(edges(frame, at_us, every_us=random_.randint(300, 2000)))
        match random_.randrange(3):
            case 0:
                meant.append(frame)
            case 1:
                del pulses[random_.randrange(len(pulses)) :]
                pulses += [Edge(0, is_low=False, at_us=at_us + 90_000)] if not pulses else []
            case _:
                spike_us = random_.randrange(at_us, pulses[-1].at_us)
                pulses += [Edge(0, is_low=True, at_us=spike_us), Edge(0, is_low=False, at_us=spike_us + 3)]
        events += heard(by, pulses)
        at_us += 500_000
    read = codes(events)
    assert [frame for frame in read if frame not in meant] == []
    assert read == meant
