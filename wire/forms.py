"""The forms in which readers spell a credential: hex, decimal, reversed, Wiegand, and truncated ones.

A form that holds the whole credential, whatever its size, is read back to canonical bytes. One that drops bits is only
written: several cards may share it, so it is no identity. A door with such a reader is told how each card of its site
looks in that form, and a card that looks like another one is refused at enrolment. Numbers keep their leading zeros;
their width tells the size.

Sources: ISO/IEC 14443-3 clause 6.5.4 (UID), the EM4100 data sheet (40 data bits), HID's "Understanding Card Data
Formats" (H10301, H10302, H10304, H10306).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from wire.credentials import (
    CASCADE_TAG,
    EM4100_BYTES,
    HID_DATA_BITS,
    PASS_BYTES,
    UID_BYTES,
    CredentialError,
    check_canonical,
    hid_canonical,
    hid_frame,
)
from wire.em4100 import em4100_data, em4100_frame
from wire.spelling import read_decimal, read_hex, spell_decimal, spell_hex
from wire.vocabulary import CredentialKind
from wire.wiegand import wiegand_data, wiegand_frame


@dataclass(frozen=True, slots=True)
class Form:
    """One way to spell credentials of a kind; `read` is None where it drops bits."""

    name: str
    says: str
    write: Callable[[bytes], str]
    read: Callable[[str], bytes] | None = None


def forms(kind: CredentialKind, canonical: bytes) -> dict[str, str]:
    """Return every form of a credential by the form's name; raise CredentialError for what is none."""
    check_canonical(kind, canonical)
    return {form.name: form.write(canonical) for form in FORMS[kind]}


def is_partial(kind: CredentialKind, name: str) -> bool:
    """True for a form that drops bits; raise CredentialError where there is no such form."""
    return form_of(kind, name).read is None


def form_of(kind: CredentialKind, name: str) -> Form:
    """Return a form by its name; raise CredentialError where there is none."""
    form = next((form for form in FORMS[kind] if form.name == name), None)
    if form is None:
        raise CredentialError(f"{kind} has no form {name!a}; it has {', '.join(form.name for form in FORMS[kind])}")
    return form


def read_form(kind: CredentialKind, name: str, text: str) -> bytes:
    """Return the canonical bytes of a credential spelled in a form.

    Raise CredentialError where the form is unknown or drops bits, or where the text is not in it.
    """
    form = form_of(kind, name)
    if form.read is None:
        raise CredentialError(f"{text[:40]!a}: the form {name} drops bits and names no single card; read the whole one")
    canonical = form.read(text)
    check_canonical(kind, canonical)
    return canonical


_UID_HEX: Final = {2 * size: size for size in UID_BYTES}
_UID_WIDTH: Final = {size: len(str(256**size - 1)) for size in UID_BYTES}
_UID_DECIMAL: Final = {width: size for size, width in _UID_WIDTH.items()}


def _uid_part(size: int, is_last: bool, is_reversed: bool, spell: Callable[[bytes], str]) -> Callable[[bytes], str]:
    def spell_part(uid: bytes) -> str:
        kept = uid[-size:] if is_last else uid[:size]
        return spell(kept[::-1] if is_reversed else kept)

    return spell_part


_UID_PARTS: Final[tuple[tuple[str, int, str, Callable[[bytes], str]], ...]] = (
    ("hex4", 4, "hex", spell_hex),
    ("decimal4", 4, "10 digits", lambda part: spell_decimal(part, 10)),
    ("wiegand26", 3, "26-bit frame", lambda part: _wiegand(26, part)),
    ("wiegand34", 4, "34-bit frame", lambda part: _wiegand(34, part)),
    ("wiegand37", 4, "37-bit frame, three zeros before", lambda part: _wiegand(37, part)),
)


def _uid_part_forms() -> list[Form]:
    """Return what readers with a short output make of a UID: its first or last bytes, in either order."""
    made: list[Form] = []
    for name, size, says, spell in _UID_PARTS:
        for is_last in (False, True):
            for is_reversed in (False, True):
                end, order = ("last" if is_last else "first"), (", reversed" if is_reversed else "")
                made.append(
                    Form(
                        f"{name}_{end}{'_reversed' if is_reversed else ''}",
                        f"{end} {size} bytes{order}; {says}",
                        _uid_part(size, is_last, is_reversed, spell),
                    )
                )
    return made


def _wiegand(bits: int, data: bytes) -> str:
    return wiegand_frame(bits, int.from_bytes(data) & (1 << HID_DATA_BITS[bits]) - 1)


def _first_cascade(uid: bytes) -> str:
    return spell_hex(uid if len(uid) == UID_BYTES[0] else bytes([CASCADE_TAG]) + uid[:3])


_HF_UID: Final = (
    Form("hex", "uid0 first", spell_hex, lambda text: read_hex(text, _UID_HEX)),
    Form("hex_reversed", "uid0 last", lambda uid: spell_hex(uid[::-1]), lambda text: read_hex(text, _UID_HEX)[::-1]),
    Form(
        "decimal",
        "uid0 highest; 10, 17 or 25 digits",
        lambda uid: spell_decimal(uid, _UID_WIDTH[len(uid)]),
        lambda text: read_decimal(text, _UID_DECIMAL),
    ),
    Form(
        "decimal_reversed",
        "uid0 lowest; 10, 17 or 25 digits",
        lambda uid: spell_decimal(uid[::-1], _UID_WIDTH[len(uid)]),
        lambda text: read_decimal(text, _UID_DECIMAL)[::-1],
    ),
    Form("cascade1", "first cascade level only: CT (88) and uid0 to uid2 of a longer UID", _first_cascade),
    *_uid_part_forms(),
)

_EM_HEX: Final = {2 * EM4100_BYTES: EM4100_BYTES}
_EM_DECIMAL: Final = {13: EM4100_BYTES}


def _mirrored(data: bytes) -> bytes:
    return bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)


def _em_pair(high: slice) -> Callable[[bytes], str]:
    def pair(data: bytes) -> str:
        width = 3 if high.stop - high.start == 1 else 5
        return f"{spell_decimal(data[high], width)}.{spell_decimal(data[3:], 5)}"

    return pair


_LF_EM4100: Final = (
    Form("hex", "version byte first", spell_hex, lambda text: read_hex(text, _EM_HEX)),
    Form(
        "hex_reversed",
        "version byte last",
        lambda data: spell_hex(data[::-1]),
        lambda text: read_hex(text, _EM_HEX)[::-1],
    ),
    Form(
        "hex_mirrored",
        "the bits of each byte reversed",
        lambda data: spell_hex(_mirrored(data)),
        lambda text: _mirrored(read_hex(text, _EM_HEX)),
    ),
    Form("decimal", "13 digits", lambda data: spell_decimal(data, 13), lambda text: read_decimal(text, _EM_DECIMAL)),
    Form(
        "decimal_reversed",
        "version byte lowest; 13 digits",
        lambda data: spell_decimal(data[::-1], 13),
        lambda text: read_decimal(text, _EM_DECIMAL)[::-1],
    ),
    Form("frame", "the 64 bits on the air, parities checked", em4100_frame, em4100_data),
    Form("decimal10", "last 4 bytes, as printed on many cards", lambda data: spell_decimal(data[1:], 10)),
    Form("decimal8", "last 3 bytes", lambda data: spell_decimal(data[2:], 8)),
    Form("pair5_5", "bytes 1 and 2, bytes 3 and 4", _em_pair(slice(1, 3))),
    Form("pair3_5a", "byte 0, bytes 3 and 4", _em_pair(slice(0, 1))),
    Form("pair3_5b", "byte 1, bytes 3 and 4", _em_pair(slice(1, 2))),
    Form("pair3_5c", "byte 2, bytes 3 and 4, as printed on many cards", _em_pair(slice(2, 3))),
    Form("wiegand26", "last 3 bytes", lambda data: _wiegand(26, data[2:])),
    Form("wiegand26_reversed", "last 3 bytes, reversed", lambda data: _wiegand(26, data[:1:-1])),
    Form("wiegand34", "last 4 bytes", lambda data: _wiegand(34, data[1:])),
    Form("wiegand34_reversed", "last 4 bytes, reversed", lambda data: _wiegand(34, data[:0:-1])),
    Form("wiegand37", "last 35 bits", lambda data: _wiegand(37, data)),
)

_HID_BYTES: Final = {bits: (data_bits + 7) // 8 for bits, data_bits in HID_DATA_BITS.items()}
_HID_BITS: Final = {size: bits for bits, size in _HID_BYTES.items()}
_HID_HEX: Final = {6: 3, 8: 4, 9: 5}
_HID_DECIMAL: Final = {8: 3, 10: 4, 11: 5}
_HID_HEX_REVERSED: Final = {6: 3, 8: 4, 10: 5}
_HID_DECIMAL_REVERSED: Final = {8: 3, 10: 4, 13: 5}
_HID_NUMBER_BITS: Final = {26: 16, 34: 16, 37: 19}
"""Bits of the card number in H10301, H10306 and H10304; what is before them is the facility code."""
_HID_PAIR: Final = {26: (3, 5), 34: (5, 5), 37: (5, 6)}
"""Digits of facility code and card number."""


def _hid_of(data: bytes) -> bytes:
    return hid_canonical(_HID_BITS[len(data)], int.from_bytes(data))


def _hid_split(canonical: bytes) -> tuple[int, int, int]:
    bits, data = hid_frame(canonical)
    shift = _HID_NUMBER_BITS[bits]
    return bits, data >> shift, data & (1 << shift) - 1


def _hid_pair(canonical: bytes) -> str:
    bits, facility, number = _hid_split(canonical)
    return f"{facility:0{_HID_PAIR[bits][0]}}-{number:0{_HID_PAIR[bits][1]}}"


def _hid_of_pair(text: str) -> bytes:
    facility, _, number = text.strip().partition("-")
    bits = {digits: bits for bits, digits in _HID_PAIR.items()}.get((len(facility), len(number)))
    if bits is None or not (facility + number).isdecimal() or not text.isascii():
        raise CredentialError(
            f"{text[:40]!a} is no facility code and number; write 118-01603, 00118-01603 or 00118-001603"
        )
    shift = _HID_NUMBER_BITS[bits]
    if int(number) >> shift:
        raise CredentialError(f"card number {number} is more than the {shift} bits of a {bits}-bit card can hold")
    return hid_canonical(bits, int(facility) << shift | int(number))


def _hid_width(widths: dict[int, int], canonical: bytes) -> int:
    return next(width for width, size in widths.items() if size == len(canonical) - 1)


_LF_HID: Final = (
    Form("wiegand", "the frame of 26, 34 or 37 bits, parities checked",
         lambda card: wiegand_frame(*hid_frame(card)), lambda text: hid_canonical(*wiegand_data(text))),
    Form("hex", "data bits; 6, 8 or 9 digits",
         lambda card: spell_hex(card[1:])[-_hid_width(_HID_HEX, card) :],
         lambda text: _hid_of(read_hex(text, _HID_HEX))),
    Form("hex_reversed", "bytes of the data bits, last first; 6, 8 or 10 digits",
         lambda card: spell_hex(card[:0:-1]), lambda text: _hid_of(read_hex(text, _HID_HEX_REVERSED)[::-1])),
    Form("decimal", "data bits; 8, 10 or 11 digits; with 37 bits the number of H10302",
         lambda card: spell_decimal(card[1:], _hid_width(_HID_DECIMAL, card)),
         lambda text: _hid_of(read_decimal(text, _HID_DECIMAL))),
    Form("decimal_reversed", "bytes of the data bits, last first; 8, 10 or 13 digits",
         lambda card: spell_decimal(card[:0:-1], _hid_width(_HID_DECIMAL_REVERSED, card)),
         lambda text: _hid_of(read_decimal(text, _HID_DECIMAL_REVERSED)[::-1])),
    Form("facility_number", "facility code and card number: H10301 (3-5 digits), H10306 (5-5), H10304 (5-6)",
         _hid_pair, _hid_of_pair),
    Form("number", "card number without its facility code, as printed on many cards",
         lambda card: str(_hid_split(card)[2])),
)  # fmt: skip


def _pass_form(size: int) -> Form:
    return Form("hex", f"{size} bytes, as staff name it", spell_hex, lambda text: read_hex(text, {2 * size: size}))


FORMS: Final[dict[CredentialKind, tuple[Form, ...]]] = {
    CredentialKind.HF_UID: _HF_UID,
    CredentialKind.LF_EM4100: _LF_EM4100,
    CredentialKind.LF_HID: _LF_HID,
    CredentialKind.QR_STATIC: (Form("text", "the text itself", bytes.decode, str.encode),),
    **{kind: (_pass_form(size),) for kind, size in PASS_BYTES.items()},
}
"""Every form by kind, the canonical one first."""
