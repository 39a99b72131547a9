"""Strike, turnstile, interlock, light and buzzer on GPIO lines, by gpiozero.

Devices are gpiozero's, with the polarity and the initial state in their constructor; pins are those of ``Pins``, one
explicitly named factory. gpiozero's choice of a factory by itself is never used, nor is its ``close`` to bring a line
to rest (see ``hardware.pins.lgpio``): a line is driven to its safe state and stays driven.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from gpiozero import OutputDevice
from gpiozero.exc import GPIOZeroError

from hardware import profiles
from hardware.base import MonoClock, Signal, Tone, Way
from hardware.errors import HardwareError
from hardware.outputs.interlock import LineInterlock
from hardware.outputs.pulse import PulsedStrike
from hardware.outputs.reports import LineReport, Reports
from hardware.outputs.turnstile import PulsedTurnstile
from hardware.pins.factory import Pins
from hardware.profiles import GpioLine as LineFacts
from hardware.timers import CallLater, Cancellable, call_later

COLOURS: Final[Mapping[Signal, frozenset[str]]] = {
    Signal.OFF: frozenset(),
    Signal.READY: frozenset({"red", "green", "blue"}),
    Signal.GRANTED: frozenset({"green"}),
    Signal.DENIED: frozenset({"red"}),
    Signal.ATTENTION: frozenset({"blue"}),
}
"""White is all three. A light without one of its colours shows the rest; a single LED shows its own colour."""

BEATS_S: Final[Mapping[Tone, Sequence[float]]] = {
    Tone.TICK: (0.02,),
    Tone.GRANTED: (0.25,),
    Tone.GOODBYE: (0.1, 0.05, 0.1),
    Tone.DENIED: (0.2, 0.15, 0.2),
    Tone.ATTENTION: (0.06, 0.06, 0.06, 0.06, 0.06),
    Tone.ALARM: (0.5,),
}
"""Seconds on, off, on... An active buzzer has one pitch, so tones differ by rhythm."""


class GpioLine:
    """One output line, inactive from its first moment. On and off are logical; polarity is the line's own business."""

    def __init__(self, key: str, facts: LineFacts, pins: Pins) -> None:
        self._what = f"{key} on GPIO{facts.line}"
        self._errors = (GPIOZeroError, OSError, *pins.errors)
        try:
            self._device = OutputDevice(
                facts.line, active_high=facts.active_high, initial_value=False, pin_factory=pins.factory
            )
        except self._errors as error:
            raise HardwareError(
                f"{self._what} cannot be claimed ({error}); see which program holds it with: gpioinfo"
            ) from error

    def on(self) -> None:
        self._write(self._device.on, "on")

    def off(self) -> None:
        self._write(self._device.off, "off")

    @property
    def is_on(self) -> bool:
        return bool(self._device.value)

    def _write(self, write: Callable[[], None], state: str) -> None:
        try:
            write()
        except self._errors as error:
            raise HardwareError(
                f"{self._what} cannot be switched {state} ({error}); check with: doorstile doctor"
            ) from error


class GpioLight:
    """One to three LEDs."""

    def __init__(self, lines: Mapping[str, GpioLine]) -> None:
        self._lines = dict(lines)

    def show(self, signal: Signal) -> None:
        wanted = COLOURS[signal]
        for colour, line in self._lines.items():
            if colour not in wanted:
                line.off()
        for colour, line in self._lines.items():
            if colour in wanted:
                line.on()

    def close(self) -> None:
        self.show(Signal.OFF)


class GpioBuzzer:
    """An active buzzer, played by timers of the event loop."""

    def __init__(self, line: GpioLine, *, call_later: CallLater = call_later) -> None:
        self._line = line
        self._call_later = call_later
        self._next: Cancellable | None = None
        self._is_closed = False

    def play(self, tone: Tone) -> None:
        self._silence()
        if not self._is_closed:
            self._beat(BEATS_S[tone], is_on=True)

    def close(self) -> None:
        self._is_closed = True
        self._silence()

    def _beat(self, beats_s: Sequence[float], *, is_on: bool) -> None:
        if not (beats_s and is_on):
            self._line.off()
        else:
            self._line.on()
        if beats_s:
            self._next = self._call_later(beats_s[0], lambda: self._beat(beats_s[1:], is_on=not is_on))

    def _silence(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None
        self._line.off()


class _Bench(Protocol):
    """The part of the factory's bench that these drivers need."""

    @property
    def mono_ms(self) -> MonoClock: ...

    @property
    def pins(self) -> Any: ...

    @property
    def reports(self) -> Reports: ...


def build_strike(part: profiles.GpioStrike, bench: _Bench) -> PulsedStrike:
    line = GpioLine("strike", part.gpio, bench.pins)
    report = LineReport(bench.reports, part.line)
    return PulsedStrike("strike", line, ceiling_s=part.ceiling_s, mono_ms=bench.mono_ms, report=report)


def build_turnstile(part: profiles.GpioTurnstile, bench: _Bench) -> PulsedTurnstile:
    relays = {
        Way(way): PulsedStrike(
            f"turnstile.{way}",
            GpioLine(f"turnstile.{way}", facts, bench.pins),
            ceiling_s=part.ceiling_s,
            mono_ms=bench.mono_ms,
            report=LineReport(bench.reports, facts.line),
        )
        for way, facts in part.lines.items()
    }
    return PulsedTurnstile("turnstile", relays, ceiling_s=part.ceiling_s)


def build_interlock(part: profiles.GpioInterlock, bench: _Bench) -> LineInterlock:
    return LineInterlock(GpioLine("interlock", part.gpio, bench.pins))


def build_light(part: profiles.GpioLight, bench: _Bench) -> GpioLight:
    return GpioLight({colour: GpioLine(f"light.{colour}", facts, bench.pins) for colour, facts in part.lines.items()})


def build_buzzer(part: profiles.GpioBuzzer, bench: _Bench) -> GpioBuzzer:
    return GpioBuzzer(GpioLine("buzzer", part.gpio, bench.pins))
