"""Simulated outputs beyond those of ``hardware.sim``: a turnstile that records which way it was released."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Protocol

from hardware import profiles
from hardware.base import MonoClock, Way, monotonic_ms
from hardware.outputs.pulse import StartGuard, Wait, wait_at_most
from hardware.outputs.turnstile import PulsedTurnstile
from hardware.sim import LineChange, SimStrike


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


class _Clocked(Protocol):
    """The part of the factory's bench that this driver needs."""

    @property
    def mono_ms(self) -> MonoClock: ...


def build_turnstile(part: profiles.SimulatedTurnstile, bench: _Clocked) -> SimTurnstile:
    return SimTurnstile(ceiling_s=part.ceiling_s, mono_ms=bench.mono_ms)
