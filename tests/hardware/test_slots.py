"""Which PC/SC readers are ours, and what an answer to GET DATA means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.base import FaultReason, Medium, ReaderFault, Scan
from hardware.readers.slots import Selector, read_answer

pytestmark = pytest.mark.unit

A = "ACS ACR122U PICC Interface 00 00"
B = "ACS ACR122U PICC Interface 01 00"


@pytest.mark.parametrize("length", [4, 7, 10])
def test_uid_keeps_its_length_and_leading_zeros(length: int) -> None:
    uid = bytes(length - 1) + b"\x01"
    assert read_answer("in", uid + b"\x90\x00", 3) == Scan("in", Medium.CARD_UID, uid, 3)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", FaultReason.TORN_READ),
        (b"\x90", FaultReason.TORN_READ),
        (b"\x63\x00", FaultReason.TORN_READ),
        (b"\x01\x02\x03\x04\x63\x00", FaultReason.TORN_READ),
        (b"\x01\x02\x03\x04\x91\x00", FaultReason.TORN_READ),
        (b"\x01\x02\x03\x04\x90", FaultReason.TORN_READ),
        (b"\x6a\x81", FaultReason.UNSUPPORTED_CARD),
        (b"\x90\x00", FaultReason.UNSUPPORTED_CARD),
        (bytes(8) + b"\x90\x00", FaultReason.UNSUPPORTED_CARD),
        (bytes(11) + b"\x90\x00", FaultReason.OVERSIZE),
        (bytes(10_000) + b"\x90\x00", FaultReason.OVERSIZE),
    ],
)
def test_other_answers_are_faults(answer: bytes, reason: FaultReason) -> None:
    event = read_answer("in", answer, 3)
    assert isinstance(event, ReaderFault)
    assert event.reason is reason


@given(st.binary(max_size=300))
def test_any_answer_is_a_whole_uid_or_a_fault_without_its_bytes(answer: bytes) -> None:
    event = read_answer("in", answer, 3)
    if isinstance(event, Scan):
        assert event.data + b"\x90\x00" == answer
        assert len(event.data) in (4, 7, 10)
    else:
        assert isinstance(event, ReaderFault)
        assert len(event.detail) < 40


def test_one_reader_is_bound_by_a_part_of_its_name() -> None:
    assert Selector("in", "ACR122", 0).choose([B, "Other 00 00", A]) == {A: "in"}
    assert Selector("in", "ACR122", 1).choose([B, "Other 00 00", A]) == {B: "in"}
    assert Selector("in", "ACR122", 2).choose([B, A]) == {}


def test_unplugging_one_of_two_does_not_bind_the_other() -> None:
    selector = Selector("in", "ACR122", 0)
    selector.choose([A, B])
    assert selector.choose([B]) == {}
    assert selector.choose([A, B]) == {A: "in"}


def test_two_that_are_told_apart_by_their_index_are_bound_once_both_are_there() -> None:
    """The one that comes up first would be taken for the first of the two, and stay so."""
    selectors = [Selector(name, "ACR122", at, 2) for at, name in enumerate(("in", "out"))]
    assert [selector.choose([B]) for selector in selectors] == [{}, {}]
    assert [selector.choose([B, A]) for selector in selectors] == [{A: "in"}, {B: "out"}]


def test_lone_reader_is_bound_again_under_a_new_name() -> None:
    selector = Selector("in", "ACR122", 0)
    selector.choose([A])
    assert selector.choose([]) == {}
    assert selector.choose([B]) == {B: "in"}


def test_all_slots_keep_their_numbers() -> None:
    selector = Selector("gate", "ACR122", None)
    assert selector.choose([B, A]) == {A: "gate.0", B: "gate.1"}
    assert selector.choose([B]) == {B: "gate.1"}
    assert selector.choose([B, A, "ACR122 new"]) == {A: "gate.0", B: "gate.1", "ACR122 new": "gate.2"}
