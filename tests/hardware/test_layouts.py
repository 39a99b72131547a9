"""Five layouts against X11's tables: every key, and whole codes typed on them."""

import random

import pytest

from hardware.base import Medium, Scan
from hardware.readers.framing import Framing, Identity
from hardware.readers.layouts import LAYOUTS, LayoutName, composed, is_dead
from hardware.readers.wedge import Wedge
from tests.hardware.typist import CAPS_LOCK, Typist, strokes, table

pytestmark = pytest.mark.unit

CODES = 500
_DEAD = {"\u0300": "`", "\u0301": "´", "\u0302": "^", "\u0303": "~", "\u0308": "¨"}


@pytest.mark.parametrize("layout", LayoutName)
def test_every_key_that_both_tables_know_types_the_same(layout: LayoutName) -> None:
    compared = 0
    for code, level, typed in table(layout):
        ours = LAYOUTS[layout].character(code, shift=level == "shift", caps=False, alt_gr=level == "altgr")
        if ours is None and level == "altgr":  # X11 fills every key; Windows and scanners do not
            continue
        if (code, level) == (41, "shift") and layout is LayoutName.FR:  # a tilde in X11, nothing in Windows
            continue
        shown = None if ours is None else f"dead {_DEAD[ours]}" if is_dead(ours) else ours
        assert shown == typed, (code, level)
        compared += 1
    assert compared >= 96


@pytest.mark.parametrize("layout", LayoutName)
def test_every_printable_ascii_character_can_be_typed(layout: LayoutName) -> None:
    ours = LAYOUTS[layout]
    typed = {*ours.plain.values(), *ours.shifted.values(), *ours.alt_gr.values(), " "}
    typed |= {spacing for dead in typed if is_dead(dead) and (spacing := composed(dead, " "))}
    assert {chr(code) for code in range(0x20, 0x7F)} <= typed


@pytest.mark.parametrize("caps", ["off", "of the host", "typed", "compensated"])
@pytest.mark.parametrize("layout", LayoutName)
def test_codes_come_out_as_they_were_meant(layout: LayoutName, caps: str) -> None:
    """CapsLock off; on at the host, which a grabbed device never hears; pressed by the scanner; reckoned with."""
    random_ = random.Random(f"{layout} {caps}")
    characters = [typed for typed in sorted(strokes(layout)) if typed.isascii() and _can_type(layout, typed)]
    typist = Typist(layout)
    wedge = Wedge(Identity("in", Medium.QR), Framing(min_length=1), layout, 0, caps_lock=caps == "compensated")
    meant = ["".join(random_.choices(characters, k=random_.randint(1, 32))) for _ in range(CODES)]
    heard: list[bytes] = []
    for code in meant:
        typist.at_ms += 1000
        keys = list(typist.stroke(CAPS_LOCK)) if caps == "typed" else []
        keys += typist.line(code, caps=caps in {"typed", "compensated"})
        events = [event for key in keys for event in wedge.key(key.code, key.value, key.at_mono_ms)]
        assert all(isinstance(event, Scan) for event in events), events
        heard += [event.data for event in events if isinstance(event, Scan)]
    assert heard == [code.encode() for code in meant]


def _can_type(layout: LayoutName, character: str) -> bool:
    """Leave out what only X11 types, in ways that Windows and scanners do not."""
    if character == " ":
        return True
    code, level, _ = strokes(layout)[character]
    return LAYOUTS[layout].character(code, shift=level == "shift", caps=False, alt_gr=level == "altgr") is not None


def test_dead_key_and_letter_make_one_character_and_nonsense_makes_none() -> None:
    assert composed("\u0302", "e") == "ê"
    assert composed("\u0302", "7") is None
