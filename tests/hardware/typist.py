"""Types text on a keyboard whose layout comes from X11's tables (xkeyboard-config 2.35, ``symbols/``), not from ours.

Each line of ``layouts/*.txt`` is a key code, a level and what it types there.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hardware.readers.keys import KeyMoved
from hardware.readers.layouts import LayoutName

SHIFT, CAPS_LOCK, ALT_GR, SPACE, ENTER = 42, 58, 100, 57, 28
LEVELS: Final = ("plain", "shift", "altgr")
WINDOWS_DIFFERS: Final = {
    (LayoutName.FR, 3, "altgr"),
    (LayoutName.FR, 8, "altgr"),
    (LayoutName.UK, 18, "altgr"),
    (LayoutName.UK, 41, "altgr"),
}
"""Where Windows, which scanners imitate, has a dead key or another character than X11."""


def table(layout: LayoutName) -> Iterator[tuple[int, str, str]]:
    """Yield key code, level and character, ``dead ^`` for a dead key."""
    text = (Path(__file__).parent / "layouts" / f"{layout}.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        code, level, typed = line.split(" ", 2)
        if (layout, int(code), level) not in WINDOWS_DIFFERS:
            yield int(code), level, typed


def strokes(layout: LayoutName) -> dict[str, tuple[int, str, bool]]:
    """Character to key code, level and whether the key is dead, the least level first."""
    found: dict[str, tuple[int, str, bool]] = {" ": (SPACE, "plain", False)}
    for code, level, typed in sorted(table(layout), key=lambda row: (row[2].startswith("dead"), LEVELS.index(row[1]))):
        found.setdefault(typed.removeprefix("dead "), (code, level, typed.startswith("dead ")))
    return found


class Typist:
    """Makes key events of text; every stroke takes ``stroke_ms``, released after half of it."""

    def __init__(self, layout: LayoutName, *, stroke_ms: int = 4, at_ms: int = 10_000) -> None:
        self._strokes = strokes(layout)
        self.stroke_ms = stroke_ms
        self.at_ms = at_ms

    def stroke(self, code: int, *held: int) -> Iterator[KeyMoved]:
        """Press and release one key while others are held."""
        self.at_ms += self.stroke_ms
        yield from (KeyMoved(each, 1, self.at_ms) for each in (*held, code))
        yield from (KeyMoved(each, 0, self.at_ms + self.stroke_ms // 2) for each in (code, *held))

    def text(self, text: str, *, caps: bool = False) -> Iterator[KeyMoved]:
        """Type a text; ``caps`` says that the keyboard's CapsLock is on, so letters take Shift the other way round."""
        for character in text:
            code, level, is_dead = self._strokes[character]
            is_shifted = (level == "shift") != (caps and character.isascii() and character.isalpha())
            yield from self.stroke(code, *([SHIFT] if is_shifted else []), *([ALT_GR] if level == "altgr" else []))
            if is_dead:
                yield from self.stroke(SPACE)

    def line(self, text: str, *, caps: bool = False) -> Iterator[KeyMoved]:
        """Type a text and Enter."""
        yield from self.text(text, caps=caps)
        yield from self.stroke(ENTER)
