"""Simulated hardware: a reader that a program taps, and outputs that remember what they were told.

Part of the product: the demo, a laptop without a board and the tests use it. Histories are bounded.
"""

import asyncio
from collections import deque
from typing import Protocol

from msgspec import Struct

from hardware import profiles
from hardware.base import (
    MAX_QR_BYTES,
    UID_LENGTHS,
    Emit,
    FaultReason,
    Medium,
    MonoClock,
    ReaderEvent,
    ReaderFault,
    ReaderState,
    Removed,
    Scan,
    Signal,
    Tone,
    monotonic_ms,
)
from hardware.errors import HardwareError
from hardware.outputs.pulse import PulsedStrike, StartGuard, Wait, wait_at_most

HISTORY_LENGTH = 1000


class SimReader:
    """A reader whose people are method calls. Call them on the event loop while ``run`` is running."""

    def __init__(self, name: str, *, mono_ms: MonoClock = monotonic_ms) -> None:
        self._name = name
        self._mono_ms = mono_ms
        self._emit: Emit | None = None
        self._is_plugged = True
        self._is_covered = False

    @property
    def name(self) -> str:
        return self._name

    @property
    def state(self) -> ReaderState:
        if self._emit is None:
            return ReaderState.STOPPED
        return ReaderState.READY if self._is_plugged else ReaderState.MISSING

    async def run(self, emit: Emit) -> None:
        if self._emit is not None:
            raise HardwareError(f"reader {self._name!r} is already running; run it once")
        self._emit = emit
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._emit = None
            self._is_covered = False

    def tap(self, uid: bytes) -> None:
        """Present a card briefly."""
        self.present(uid)
        self.lift()

    def present(self, uid: bytes) -> None:
        """Lay a card on the reader and leave it there; what lay there before is taken away first."""
        self.lift()
        if len(uid) in UID_LENGTHS:
            self._send(Scan(self._name, Medium.CARD_UID, uid, self._mono_ms()))
        else:
            reason = FaultReason.OVERSIZE if len(uid) > max(UID_LENGTHS) else FaultReason.UNSUPPORTED_CARD
            self._fault(reason, f"UID of {len(uid)} bytes")
        self._is_covered = self._is_plugged

    def lift(self) -> None:
        """Take away what lies on the reader, if anything does."""
        if self._is_covered:
            self._is_covered = False
            self._send(Removed(self._name, self._mono_ms()))

    def qr(self, data: bytes) -> None:
        """Show a QR code briefly."""
        if len(data) > MAX_QR_BYTES:
            self._fault(FaultReason.OVERSIZE, f"QR payload of {len(data)} bytes")
        else:
            self._send(Scan(self._name, Medium.QR, data, self._mono_ms()))

    def torn(self) -> None:
        """Present a card and pull it away too early."""
        self._fault(FaultReason.TORN_READ, "simulated")

    def unplug(self) -> None:
        if self._is_plugged:
            self.lift()
            self._fault(FaultReason.READER_MISSING, "simulated")
            self._is_plugged = False

    def replug(self) -> None:
        if not self._is_plugged:
            self._is_plugged = True
            self._fault(FaultReason.READER_BACK, "simulated")

    def _fault(self, reason: FaultReason, detail: str) -> None:
        self._send(ReaderFault(self._name, reason, self._mono_ms(), detail))

    def _send(self, event: ReaderEvent) -> None:
        """An unplugged reader reads nothing, silently, like a real one."""
        if self._emit is None:
            raise HardwareError(f"simulated reader {self._name!r} is not running; start the agent first")
        if self._is_plugged:
            self._emit(event)


class LineChange(Struct, frozen=True):
    """A simulated line changed its level."""

    is_on: bool
    at_mono_ms: int


class SimLine:
    """A relay line that records its edges."""

    def __init__(self, mono_ms: MonoClock = monotonic_ms) -> None:
        self._mono_ms = mono_ms
        self.is_on = False
        self.history: deque[LineChange] = deque(maxlen=HISTORY_LENGTH)

    def on(self) -> None:
        self._become(True)

    def off(self) -> None:
        self._become(False)

    def _become(self, is_on: bool) -> None:
        if is_on != self.is_on:
            self.is_on = is_on
            self.history.append(LineChange(is_on, self._mono_ms()))


class SimStrike(PulsedStrike):
    """The real pulse over a recorded line: ``history`` holds its edges."""

    def __init__(
        self,
        name: str = "strike",
        *,
        ceiling_s: float,
        mono_ms: MonoClock = monotonic_ms,
        wait: Wait = wait_at_most,
        start_guard: StartGuard | None = None,
    ) -> None:
        line = SimLine(mono_ms)
        super().__init__(name, line, ceiling_s=ceiling_s, mono_ms=mono_ms, wait=wait, start_guard=start_guard)
        self.history = line.history


class Shown(Struct, frozen=True):
    signal: Signal
    at_mono_ms: int


class SimLight:
    """``signal`` is what it shows now, ``history`` what it showed."""

    def __init__(self, *, mono_ms: MonoClock = monotonic_ms) -> None:
        self._mono_ms = mono_ms
        self.signal = Signal.OFF
        self.history: deque[Shown] = deque(maxlen=HISTORY_LENGTH)

    def show(self, signal: Signal) -> None:
        self.signal = signal
        self.history.append(Shown(signal, self._mono_ms()))

    def close(self) -> None:
        self.show(Signal.OFF)


class Played(Struct, frozen=True):
    tone: Tone
    at_mono_ms: int


class SimBuzzer:
    """``history`` holds the tones it was asked for."""

    def __init__(self, *, mono_ms: MonoClock = monotonic_ms) -> None:
        self._mono_ms = mono_ms
        self.history: deque[Played] = deque(maxlen=HISTORY_LENGTH)

    def play(self, tone: Tone) -> None:
        self.history.append(Played(tone, self._mono_ms()))

    def close(self) -> None:
        """Nothing sounds."""


class _Clocked(Protocol):
    """The part of the factory's bench that a simulated driver needs."""

    @property
    def mono_ms(self) -> MonoClock: ...


def build_reader(part: profiles.SimulatedReader, bench: _Clocked) -> SimReader:
    return SimReader(part.name, mono_ms=bench.mono_ms)


def build_strike(part: profiles.SimulatedStrike, bench: _Clocked) -> SimStrike:
    return SimStrike(ceiling_s=part.ceiling_s, mono_ms=bench.mono_ms)


def build_light(part: profiles.SimulatedLight, bench: _Clocked) -> SimLight:
    return SimLight(mono_ms=bench.mono_ms)


def build_buzzer(part: profiles.SimulatedBuzzer, bench: _Clocked) -> SimBuzzer:
    return SimBuzzer(mono_ms=bench.mono_ms)
