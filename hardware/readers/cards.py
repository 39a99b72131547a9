"""What kind of card it is, from its answer to reset, and what is known of its UID. Pure.

A PC/SC reader makes up an ATR for a contactless card (PC/SC part 3, section 3.1.3.2.3): for a storage card ``4F 0C``,
the workgroup's RID ``A0 00 00 03 06``, a byte for the standard and two for the name, from the workgroup's supplement to
part 3; for a processor card the historical bytes of its ATS. What a UID begins with: ISO/IEC 14443-3, clause 6.5.4.
"""

from typing import Final

_STORAGE: Final = bytes.fromhex("4F0CA000000306")
_NAMES: Final = {
    0x0001: "MIFARE Classic 1K", 0x0002: "MIFARE Classic 4K", 0x0003: "MIFARE Ultralight", 0x0026: "MIFARE Mini",
    0x003A: "MIFARE Ultralight C", 0x0036: "MIFARE Plus 2K SL1", 0x0037: "MIFARE Plus 4K SL1",
    0x0038: "MIFARE Plus 2K SL2", 0x0039: "MIFARE Plus 4K SL2", 0x003D: "MIFARE Ultralight EV1",
    0x0014: "ICODE SLI", 0x001D: "LRI64", 0x0024: "SRF55", 0x0007: "SRIX4K", 0x002F: "Jewel", 0x0030: "Topaz",
    0x003B: "FeliCa", 0xF004: "Topaz or Jewel", 0xF011: "FeliCa 212K", 0xF012: "FeliCa 424K", 0xFF28: "JCOP 30",
    0xFF40: "unnamed FeliCa or ISO 14443-4 card",
}  # fmt: skip
_SEVEN_BYTES: Final = frozenset({0x0003, 0x003A, 0x003D})
"""Ultralights have a UID of double size, all of them."""
_RANDOM_UID: Final = 0x08
_CASCADE_TAG: Final = 0x88


def card_name(atr: bytes) -> str:
    """Return what staff call such a card, empty where its ATR does not say."""
    number = _number(atr)
    if number is not None:
        return _NAMES.get(number, f"storage card {number:04X}")
    is_processor = (
        len(atr) >= 4 and _STORAGE not in atr and atr[0] == 0x3B and atr[1] & 0xF0 == 0x80 and atr[2:4] == b"\x80\x01"
    )
    return "ISO 14443-4 card" if is_processor else ""


def uid_trouble(uid: bytes, atr: bytes) -> str | None:
    """Say why a UID of a proper length names no card; None where it does."""
    if len(uid) != 4:
        return None
    if uid[0] == _RANDOM_UID:
        return "random UID, another each time"
    if uid[0] == _CASCADE_TAG or _number(atr) in _SEVEN_BYTES:
        return "truncated UID, 4 bytes of 7"
    return None


def _number(atr: bytes) -> int | None:
    at = atr.find(_STORAGE)
    name = atr[at + len(_STORAGE) + 1 : at + len(_STORAGE) + 3]
    return int.from_bytes(name) if at >= 0 and len(name) == 2 else None
