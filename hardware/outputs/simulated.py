"""Simulated outputs beyond those of ``hardware.sim``: turnstile, interlock and display; they remember."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Protocol

from hardware import profiles
from hardware.base import MonoClock, Way, monotonic_ms
from hardware.outputs.display import fitted
from hardware.outputs.interlock import LineInterlock
from hardware.outputs.pulse import StartGuard, Wait, wait_at_most
from hardware.outputs.turnstile import PulsedTurnstile
from hardware.sim import HISTORY_LENGTH, LineChange, SimLine, SimStrike


class SimTurnstile(PulsedTurnstile):
    """The real releases over recorded lines: ``history`` holds the edges of each way's line."""

    def __init__(
        self,
        name: str = "turnstile",
        *,
        ceiling_s: float,
        ways: Iterable[Way] = Way,
        mono_ms: MonoClock = monotonic_ms,
        wait: Wait = wait_at_most,
        start_guard: StartGuard | None = None,
    ) -> None:
        relays = {
            way: SimStrike(f"{name}.{way}", ceiling_s=ceiling_s, mono_ms=mono_ms, wait=wait, start_guard=start_guard)
            for way in ways
        }
        super().__init__(name, relays, ceiling_s=ceiling_s)
        self.history: Mapping[Way, deque[LineChange]] = {way: relay.history for way, relay in relays.items()}


class SimInterlock(LineInterlock):
    """``is_busy`` is what the other door is told now, ``history`` the edges of the line."""

    def __init__(self, *, mono_ms: MonoClock = monotonic_ms) -> None:
        self._sim_line = SimLine(mono_ms)
        super().__init__(self._sim_line)
        self.history = self._sim_line.history

    @property
    def is_busy(self) -> bool:
        return self._sim_line.is_on


class SimDisplay:
    """``rows`` is what it shows now, ``history`` what it showed."""

    def __init__(self, *, columns: int = 16) -> None:
        self._columns = columns
        self.rows = ("", "")
        self.history: deque[tuple[str, str]] = deque(maxlen=HISTORY_LENGTH)

    def show(self, headline: str, line: str) -> None:
        self.rows = (fitted(headline, self._columns).rstrip(), fitted(line, self._columns).rstrip())
        self.history.append(self.rows)

    def close(self) -> None:
        self.rows = ("", "")


class _Clocked(Protocol):
    """The part of the factory's bench that this driver needs."""

    @property
    def mono_ms(self) -> MonoClock: ...


def build_turnstile(part: profiles.SimulatedTurnstile, bench: _Clocked) -> SimTurnstile:
    return SimTurnstile(ceiling_s=part.ceiling_s, mono_ms=bench.mono_ms)


def build_interlock(part: profiles.SimulatedInterlock, bench: _Clocked) -> SimInterlock:
    return SimInterlock(mono_ms=bench.mono_ms)


def build_display(part: profiles.SimulatedDisplay, bench: object) -> SimDisplay:
    return SimDisplay(columns=part.columns)
