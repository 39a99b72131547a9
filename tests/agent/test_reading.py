import pytest

from agent.core.effects import Misread, ReaderChanged
from agent.reading import ReaderPlace, fault_of, is_presentation, read_of
from hardware.base import FaultReason, Medium, ReaderFault, Removed, Scan
from tests.core.builders import now
from wire.credentials import credential_key
from wire.vocabulary import CredentialKind, Direction

pytestmark = pytest.mark.unit

KEY = bytes(32)
PLACE = ReaderPlace("in", Direction.IN)


@pytest.mark.parametrize(
    ("medium", "kind"), [(Medium.CARD_UID, CredentialKind.HF_UID), (Medium.QR, CredentialKind.QR_STATIC)]
)
def test_a_scan_becomes_a_keyed_index_of_its_kind(medium: Medium, kind: CredentialKind) -> None:
    uid = bytes.fromhex("04a1b2c3d4e5f6")
    read = read_of(Scan("in.0", medium, uid, 77), PLACE, KEY)
    assert (read.reader, read.direction, read.at_mono_ms) == ("in.0", Direction.IN, 77)
    assert (read.credential.kind, read.credential.key) == (kind, credential_key(KEY, kind, uid))
    assert uid.hex() not in repr(read)


def test_leading_zeros_are_part_of_a_uid() -> None:
    one, two = (read_of(Scan("in", Medium.CARD_UID, uid, 0), PLACE, KEY) for uid in (b"\0abc", b"\0\0bc"))
    assert one.credential != two.credential


@pytest.mark.parametrize("reason", [FaultReason.TORN_READ, FaultReason.OVERSIZE, FaultReason.UNSUPPORTED_CARD])
def test_a_read_without_a_credential_is_a_misread(reason: FaultReason) -> None:
    fault = ReaderFault("in.0", reason, 5, "short")
    assert fault_of(fault, PLACE, now()) == Misread("in.0", reason, "short", now())
    assert is_presentation(fault)


@pytest.mark.parametrize(
    ("reason", "is_ready"),
    [
        (FaultReason.READER_MISSING, False),
        (FaultReason.SERVICE_DOWN, False),
        (FaultReason.READER_STALLED, False),
        (FaultReason.READER_BACK, True),
        (FaultReason.SERVICE_BACK, True),
    ],
)
def test_a_reader_that_comes_or_goes_changes_the_door(reason: FaultReason, is_ready: bool) -> None:
    fault = ReaderFault("in", reason, 5)
    assert fault_of(fault, PLACE, now()) == ReaderChanged("in", is_ready, reason, now())
    assert not is_presentation(fault)


def test_a_card_that_lay_there_is_asked_for_again_and_opens_nothing() -> None:
    fault = ReaderFault("in", FaultReason.ALREADY_PRESENT, 5)
    assert isinstance(fault_of(fault, PLACE, now()), Misread)


def test_lifting_a_card_is_nobody_presenting() -> None:
    assert not is_presentation(Removed("in", 5))
    assert is_presentation(Scan("in", Medium.QR, b"x", 1))


def test_every_fault_of_a_reader_has_been_thought_of() -> None:
    kinds = {reason: type(fault_of(ReaderFault("in", reason, 0), PLACE, now())) for reason in FaultReason}
    back = {FaultReason.READER_BACK, FaultReason.SERVICE_BACK}
    gone = {FaultReason.READER_MISSING, FaultReason.SERVICE_DOWN, FaultReason.READER_STALLED}
    assert {reason for reason, kind in kinds.items() if kind is ReaderChanged} == back | gone
