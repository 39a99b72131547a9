"""Cards by their answer to reset, UIDs that name no card, and the ACR122U's commands."""

import pytest

from hardware.base import FaultReason, ReaderFault, Scan, Signal, Tone
from hardware.readers.acr122u import NO_BEEP_ON_CARDS, is_obeyed, lamp, sound
from hardware.readers.cards import card_name, uid_trouble
from hardware.readers.slots import read_answer

pytestmark = pytest.mark.unit

CLASSIC_1K = bytes.fromhex("3B8F8001804F0CA000000306030001000000006A")
ULTRALIGHT = bytes.fromhex("3B8F8001804F0CA0000003060300030000000068")
DESFIRE = bytes.fromhex("3B8180018080")


@pytest.mark.parametrize(
    ("atr", "name"),
    [
        (CLASSIC_1K, "MIFARE Classic 1K"),
        (ULTRALIGHT, "MIFARE Ultralight"),
        (CLASSIC_1K.replace(b"\x03\x00\x01", b"\x03\xff\x27"), "storage card FF27"),
        (DESFIRE, "ISO 14443-4 card"),
        (bytes.fromhex("3B00"), ""),
        (b"", ""),
        (CLASSIC_1K[:13], ""),
    ],
)
def test_card_is_named_from_its_answer_to_reset(atr: bytes, name: str) -> None:
    assert card_name(atr) == name


@pytest.mark.parametrize(
    ("uid", "atr", "trouble"),
    [
        ("08A1B2C3", DESFIRE, "random UID"),
        ("88A1B2C3", CLASSIC_1K, "truncated UID"),
        ("04A1B2C3", ULTRALIGHT, "truncated UID"),
        ("04A1B2C3", CLASSIC_1K, None),
        ("08A1B2C3D4E5F6", DESFIRE, None),
        ("88A1B2C3D4E5F6", ULTRALIGHT, None),
    ],
)
def test_random_and_truncated_uids_are_reported_as_such(uid: str, atr: bytes, trouble: str | None) -> None:
    event = read_answer("in", bytes.fromhex(uid) + b"\x90\x00", 3, atr)
    if trouble is None:
        assert isinstance(event, Scan)
        assert event.detail == card_name(atr)
    else:
        assert isinstance(event, ReaderFault)
        assert event.reason is FaultReason.UNSUPPORTED_CARD
        assert event.detail.startswith(trouble)
        assert uid_trouble(bytes.fromhex(uid), atr) == event.detail


def test_lamp_commands_are_those_of_the_manual() -> None:
    assert lamp(Signal.GRANTED).hex() == "ff00400e0400000000"
    assert lamp(Signal.DENIED).hex() == "ff00400d0400000000"
    assert lamp(Signal.OFF).hex() == "ff00400c0400000000"


def test_tones_leave_the_lamps_alone_and_last_less_than_a_second() -> None:
    for tone in Tone:
        command = sound(tone)
        assert (command[:3].hex(), command[3], command[4]) == ("ff0040", 0, 4)
        assert (command[5] + command[6]) * command[7] <= 9
    assert NO_BEEP_ON_CARDS.hex() == "ff00520000"


def test_answer_says_whether_a_command_was_obeyed() -> None:
    assert is_obeyed(b"\x90\x03")
    assert not is_obeyed(b"\x63\x00")
    assert not is_obeyed(b"")
