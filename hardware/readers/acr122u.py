"""The LED, the buzzer and the habits of an ACR122U, as pseudo-APDUs. Pure.

Source: ACS, "ACR122U Application Programming Interface", version 2.04, sections 6.2 (LED and buzzer control) and 6.7
(buzzer output during card detection). The reader answers ``90 xx``. A lamp command that also sounds or blinks is
answered when it is over, and nothing is read meanwhile, so tones are short.
"""

from typing import Final

from hardware.base import Signal, Tone

NO_BEEP_ON_CARDS: Final = bytes.fromhex("FF00520000")
"""Without it the reader beeps at every card by itself, before anybody has decided anything."""

_RED, _GREEN, _BOTH_MASKS = 0x01, 0x02, 0x0C
_LAMPS: Final = {
    Signal.OFF: 0,
    Signal.READY: _RED | _GREEN,
    Signal.GRANTED: _GREEN,
    Signal.DENIED: _RED,
    Signal.ATTENTION: _RED | _GREEN,
}
_BEATS: Final = {Tone.TICK: (1, 0, 1), Tone.GRANTED: (2, 0, 1), Tone.GOODBYE: (1, 1, 2), Tone.DENIED: (2, 1, 2),
                 Tone.ATTENTION: (1, 1, 3), Tone.ALARM: (3, 0, 1)}  # fmt: skip
"""Tenths of a second on and off, and how often."""
_SOUND_WHILE_ON: Final = 0x01


def lamp(signal: Signal) -> bytes:
    """Return the command that shows a signal; amber is red and green together."""
    return bytes([0xFF, 0x00, 0x40, _BOTH_MASKS | _LAMPS[signal], 0x04, 0, 0, 0, 0])


def sound(tone: Tone) -> bytes:
    """Return the command that sounds a tone and leaves the lamps alone."""
    on, off, times = _BEATS[tone]
    return bytes([0xFF, 0x00, 0x40, 0, 0x04, on, off, times, _SOUND_WHILE_ON])


def is_obeyed(answer: bytes) -> bool:
    """Say whether an answer means that the command was carried out."""
    return len(answer) == 2 and answer[0] == 0x90
