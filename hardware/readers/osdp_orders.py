"""What the door tells an OSDP reader's lamp and buzzer, waiting for the bus.

Only the newest of each waits: what it would have shown before is over. The lamp is told again after each reconnection.
"""

from typing import Any, Final, Protocol

from hardware import profiles
from hardware.base import Signal, Tone

Command = dict[str, Any]

_CMD_LED, _CMD_BUZZER = 2, 3
_NONE, _RED, _GREEN, _AMBER = 0, 1, 2, 3
_COLOURS: Final = {
    Signal.OFF: _NONE, Signal.READY: _AMBER, Signal.GRANTED: _GREEN, Signal.DENIED: _RED, Signal.ATTENTION: _AMBER,
}  # fmt: skip
"""Those that every OSDP reader has (IEC 60839-11-5, 6.10)."""
_BEATS: Final = {
    Tone.TICK: (1, 0, 1), Tone.GRANTED: (2, 0, 1), Tone.GOODBYE: (1, 1, 2), Tone.DENIED: (2, 1, 2),
    Tone.ATTENTION: (1, 1, 3), Tone.ALARM: (4, 0, 1),
}  # fmt: skip
"""Tenths of a second on and off, and how often."""


class Orders:
    """The mailbox of one reader. Used on the event loop only."""

    def __init__(self) -> None:
        self._lamp: Command | None = None
        self._is_lamp_told = True
        self._sound: Command | None = None

    def show(self, signal: Signal) -> None:
        """Light the lamp so."""
        is_blinking = signal is Signal.ATTENTION
        self._lamp = {
            "command": _CMD_LED, "reader": 0, "led_number": 0, "control_code": 1, "temporary": False,
            "on_count": 5, "off_count": 5 if is_blinking else 0, "on_color": _COLOURS[signal], "off_color": _NONE,
            "timer_count": 0,
        }  # fmt: skip
        self._is_lamp_told = False

    def play(self, tone: Tone) -> None:
        """Sound the buzzer so."""
        on, off, times = _BEATS[tone]
        self._sound = {
            "command": _CMD_BUZZER, "reader": 0, "control_code": 2, "on_count": on, "off_count": off,
            "rep_count": times,
        }  # fmt: skip

    def reconnected(self) -> None:
        """The reader has forgotten its lamp, and a tone from before is over."""
        self._is_lamp_told, self._sound = self._lamp is None, None

    def take(self) -> list[Command]:
        """Return what is to be told now."""
        told = [] if self._is_lamp_told or self._lamp is None else [self._lamp]
        told += [] if self._sound is None else [self._sound]
        self._is_lamp_told, self._sound = True, None
        return told


class OsdpLight:
    """A Light on the lamp of an OSDP reader."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    def show(self, signal: Signal) -> None:
        self._orders.show(signal)

    def close(self) -> None:
        self._orders.show(Signal.OFF)


class OsdpBuzzer:
    """A Buzzer in an OSDP reader."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    def play(self, tone: Tone) -> None:
        self._orders.play(tone)

    def close(self) -> None:
        """What sounds ends by itself within a second."""


class _Bench(Protocol):
    """The part of the factory's bench that these drivers need."""

    @property
    def mailboxes(self) -> dict[str, Any]: ...


def orders_for(reader: str, bench: _Bench) -> Orders:
    """Return the mailbox of a reader, the same for all who ask at one bench."""
    orders: Orders = bench.mailboxes.setdefault(reader, Orders())
    return orders


def build_light(part: profiles.OsdpLight, bench: _Bench) -> OsdpLight:
    return OsdpLight(orders_for(part.reader, bench))


def build_buzzer(part: profiles.OsdpBuzzer, bench: _Bench) -> OsdpBuzzer:
    return OsdpBuzzer(orders_for(part.reader, bench))
