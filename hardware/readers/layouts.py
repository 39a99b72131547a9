"""What a key types in the layout that a scanner is set to, by Linux key code. Pure; the console's layout plays no part.

Key codes are those of ``linux/input-event-codes.h``: they name positions. The layouts are those that scanners' manuals
offer and Windows ships (us, uk, fr, be, de), dead keys included: there ``^`` is a dead key and a space. A dead key
stands here as its combining character. CapsLock turns letters only: keys whose two characters are one letter's cases.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

TAB: Final = 15
ENTERS: Final = frozenset({28, 96})
"""The main one and the keypad's."""
SPACE: Final = 57
CAPS_LOCK: Final = 58
SHIFTS: Final = frozenset({42, 54})
CTRLS: Final = frozenset({29, 97})
LEFT_ALT: Final = 56
ALT_GR: Final = 100
METAS: Final = frozenset({125, 126})
MODIFIERS: Final = SHIFTS | CTRLS | METAS | {LEFT_ALT, ALT_GR}
LOCKS: Final = frozenset({69, 70})
"""NumLock and ScrollLock: they change nothing here, the keypad always types digits."""
AUTOREPEAT: Final = 2
"""The value of an event by which the kernel repeats a key that is held; a person or a scanner pressed nothing."""

_POSITIONS: Final = (41, *range(2, 14), *range(16, 28), *range(30, 41), 43, 86, *range(44, 54))
"""Left of 1; 1 to =; Q to ]; A to '; backslash; the key between left shift and Z; Z to /."""
_KEYPAD: Final = {
    71: "7", 72: "8", 73: "9", 75: "4", 76: "5", 77: "6", 79: "1", 80: "2", 81: "3", 82: "0",
    83: ".", 74: "-", 78: "+", 55: "*", 98: "/",
}  # fmt: skip
_SPACING: Final = {"\u0300": "`", "\u0301": "´", "\u0302": "^", "\u0303": "~", "\u0308": "¨", "\u0327": "¸"}
"""What a dead key types before a space."""


class LayoutName(StrEnum):
    """The keyboard that a scanner is set to imitate."""

    US = "us"
    UK = "uk"
    FR = "fr"
    BE = "be"
    DE = "de"


@dataclass(frozen=True, slots=True)
class Layout:
    """Key code to character: alone, with Shift, with AltGr."""

    plain: Mapping[int, str]
    shifted: Mapping[int, str]
    alt_gr: Mapping[int, str]

    def character(self, code: int, *, shift: bool, caps: bool, alt_gr: bool) -> str | None:
        """Return what a key types, a combining character for a dead key, None where it types nothing."""
        if code == SPACE:
            return " "
        if code in _KEYPAD:
            return _KEYPAD[code]
        if alt_gr:
            return None if shift else self.alt_gr.get(code)
        plain, shifted = self.plain.get(code), self.shifted.get(code)
        is_letter = plain is not None and plain.isalpha() and plain.upper() == shifted
        return shifted if shift != (caps and is_letter) else plain


def composed(dead: str, character: str) -> str | None:
    """Return what a dead key and the next character make; None where they make no single character."""
    if character == " ":
        return _SPACING[dead]
    whole = unicodedata.normalize("NFC", character + dead)
    return whole if len(whole) == 1 else None


def is_dead(character: str) -> bool:
    """Say whether a character of a layout is a dead key's."""
    return character in _SPACING


def _layout(plain: str, shifted: str, alt_gr: Mapping[str, str]) -> Layout:
    """A NUL is a key that types nothing; ``alt_gr`` goes by what its key types alone."""
    keys = dict(zip(plain, _POSITIONS, strict=True))
    return Layout(
        dict(zip(_POSITIONS, plain, strict=True)),
        {at: typed for at, typed in zip(_POSITIONS, shifted, strict=True) if typed != "\0"},
        {keys[key]: typed for key, typed in alt_gr.items()},
    )


LAYOUTS: Final[Mapping[LayoutName, Layout]] = {
    LayoutName.US: _layout(
        "`1234567890-=" "qwertyuiop[]" "asdfghjkl;'" "\\\\" "zxcvbnm,./",
        "~!@#$%^&*()_+" "QWERTYUIOP{}" 'ASDFGHJKL:"' "||" "ZXCVBNM<>?",
        {},
    ),
    LayoutName.UK: _layout(
        "`1234567890-=" "qwertyuiop[]" "asdfghjkl;'" "#\\" "zxcvbnm,./",
        '¬!"£$%^&*()_+' "QWERTYUIOP{}" "ASDFGHJKL:@" "~|" "ZXCVBNM<>?",
        {"`": "¦", "4": "€", "a": "á", "e": "é", "i": "í", "o": "ó", "u": "ú"},
    ),
    LayoutName.FR: _layout(
        "²&é\"'(-è_çà)=" "azertyuiop\u0302$" "qsdfghjklmù" "*<" "wxcvbn,;:!",
        "\0" "1234567890°+" "AZERTYUIOP\u0308£" "QSDFGHJKLM%" "µ>" "WXCVBN?./§",
        {
            "é": "\u0303", '"': "#", "'": "{", "(": "[", "-": "|", "è": "\u0300", "_": "\\", "ç": "^", "à": "@",
            ")": "]", "=": "}", "e": "€", "$": "¤",
        },
    ),
    LayoutName.BE: _layout(
        "²&é\"'(§è!çà)-" "azertyuiop\u0302$" "qsdfghjklmù" "µ<" "wxcvbn,;:=",
        "³1234567890°_" "AZERTYUIOP\u0308*" "QSDFGHJKLM%" "£>" "WXCVBN?./+",
        {
            "&": "|", "é": "@", '"': "#", "§": "^", "ç": "{", "à": "}", "e": "€", "\u0302": "[", "$": "]",
            "ù": "\u0301", "µ": "\u0300", "<": "\\", "=": "\u0303",
        },
    ),
    LayoutName.DE: _layout(
        "\u03021234567890ß\u0301" "qwertzuiopü+" "asdfghjklöä" "#<" "yxcvbnm,.-",
        '°!"§$%&/()=?\u0300' "QWERTZUIOPÜ*" "ASDFGHJKLÖÄ" "'>" "YXCVBNM;:_",
        {
            "2": "²", "3": "³", "7": "{", "8": "[", "9": "]", "0": "}", "ß": "\\", "q": "@", "e": "€", "+": "~",
            "<": "|", "m": "µ",
        },
    ),
}  # fmt: skip
