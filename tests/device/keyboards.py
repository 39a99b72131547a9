"""What a scanner presses for a code, on keyboards of five countries: written down apart from the driver's tables.

Key codes are those of linux/input-event-codes.h, which name keys by their place on a US keyboard. The places are those
of Microsoft's layouts (kbdus, kbduk, kbdfr, kbdbe, kbdgr), for the characters that codes are made of.
"""

import random
import string
from collections.abc import Mapping
from typing import Final

ENTER: Final = 28
CAPS_LOCK: Final = 58
_SHIFT: Final = 42
_DIGITS: Final = {digit: 11 if digit == "0" else int(digit) + 1 for digit in string.digits}
_QWERTY: Final = {
    **dict(zip("qwertyuiop", range(16, 26), strict=True)),
    **dict(zip("asdfghjkl", range(30, 39), strict=True)),
    **dict(zip("zxcvbnm", range(44, 51), strict=True)),
}
_QWERTZ: Final = {**_QWERTY, "y": _QWERTY["z"], "z": _QWERTY["y"]}
_AZERTY: Final = {**_QWERTY, "a": 16, "z": 17, "q": 30, "w": 44, "m": 39}

Stroke = tuple[int, ...]
"""The keys of one character: the last is pressed while all before it are down."""


def _keyboard(
    letters: Mapping[str, int], plain: Mapping[str, int], shifted: Mapping[str, int], *, digits_need_shift: bool = False
) -> dict[str, Stroke]:
    keys: dict[str, Stroke] = {letter: (code,) for letter, code in letters.items()}
    keys |= {letter.upper(): (_SHIFT, code) for letter, code in letters.items()}
    keys |= {digit: (_SHIFT, code) if digits_need_shift else (code,) for digit, code in _DIGITS.items()}
    keys |= {sign: (code,) for sign, code in plain.items()}
    keys |= {sign: (_SHIFT, code) for sign, code in shifted.items()}
    return keys


_ANGLO_PLAIN: Final = {"-": 12, "=": 13, ";": 39, ",": 51, ".": 52, "/": 53}
_ANGLO_SHIFTED: Final = {"_": 12, "+": 13, ":": 39, "?": 53, "!": 2}
_FRENCH_PLAIN: Final = {",": 50, ";": 51, ":": 52}
_FRENCH_SHIFTED: Final = {"?": 50, ".": 51, "/": 52}

KEYBOARDS: Final[Mapping[str, Mapping[str, Stroke]]] = {
    "us": _keyboard(_QWERTY, _ANGLO_PLAIN, _ANGLO_SHIFTED),
    "uk": _keyboard(_QWERTY, _ANGLO_PLAIN, _ANGLO_SHIFTED),
    "fr": _keyboard(
        _AZERTY,
        {**_FRENCH_PLAIN, "-": 7, "_": 9, "=": 13, "!": 53},
        {**_FRENCH_SHIFTED, "+": 13},
        digits_need_shift=True,
    ),
    "be": _keyboard(
        _AZERTY,
        {**_FRENCH_PLAIN, "!": 9, "-": 13, "=": 53},
        {**_FRENCH_SHIFTED, "_": 13, "+": 53},
        digits_need_shift=True,
    ),
    "de": _keyboard(
        _QWERTZ,
        {"+": 27, ",": 51, ".": 52, "-": 53},
        {"!": 2, "/": 8, "=": 11, "?": 12, ";": 51, ":": 52, "_": 53},
    ),
}
"""By the name that a profile gives the layout: a stroke for each character."""

ALPHABET: Final = "".join(sorted(KEYBOARDS["us"]))


def strokes(layout: str, code: str) -> list[Stroke]:
    """Return what a scanner presses for a code, Enter included."""
    return [*(KEYBOARDS[layout][character] for character in code), (ENTER,)]


def random_code(chance: random.Random) -> str:
    """Return a code of 6 to 24 characters."""
    return "".join(chance.choices(ALPHABET, k=chance.randint(6, 24)))
