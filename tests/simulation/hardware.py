"""The lasting parts of a simulated Pi: its clocks and its relay."""

import asyncio
from dataclasses import dataclass

from agent.clock import KernelTime
from hardware.base import Pulse, PulseEnd, Signal, Tone
from hardware.errors import HardwareError
from tests.simulation.truth import Truth


@dataclass
class Kernel:
    """The clocks of a Pi without a battery: monotonic since boot, wall time wrong until NTP has come."""

    loop: asyncio.AbstractEventLoop
    truth: Truth
    boot: str = ""
    booted_s: float = 0.0
    off_ms: int = 0
    err_ms: int = 20
    is_synced: bool = False

    def read(self) -> KernelTime:
        """Return both clocks and NTP's state."""
        mono_ms = int((self.loop.time() - self.booted_s) * 1000 + 1e-4)
        wall_ms = max(0, self.truth.site.true_at(self.boot, mono_ms) + self.off_ms)
        return KernelTime(mono_ms, wall_ms, self.is_synced, self.err_ms if self.is_synced else None)

    def begin_boot(self, boot: str) -> None:
        """The power came back."""
        self.boot, self.booted_s = boot, self.loop.time()
        self.truth.site.booted[boot] = self.truth.true_ms()
        self.is_synced = False

    def sync(self) -> None:
        """NTP has come: right to within its stated error."""
        self.off_ms, self.is_synced = self.err_ms // 2, True


class Relay:
    """The strike: on for as long as a pulse lasts, off when its process dies."""

    name = "strike"
    ceiling_s = 10.0

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._stop: asyncio.Future[None] | None = None
        self.is_stuck = False
        self.is_on = False
        self.is_held = False
        self.on_ms = 0

    async def pulse(self, duration_s: float) -> Pulse:
        """Let through."""
        if self.is_stuck or self.is_on:
            raise HardwareError("the line is held by something else")
        started = self._loop.time()
        self._stop = self._loop.create_future()
        self.is_on = True
        try:
            async with asyncio.timeout(duration_s):
                await self._stop
            ended = PulseEnd.SWITCHED_OFF
        except TimeoutError:
            ended = PulseEnd.ELAPSED
        finally:
            self.is_on = False
            self.on_ms = int((self._loop.time() - started) * 1000)
        return Pulse(int(started * 1000), self.on_ms, ended)

    async def hold(self) -> Pulse:
        """Let everybody through until `off`."""
        if self.is_stuck or self.is_on:
            raise HardwareError("the line is held by something else")
        started = self._loop.time()
        self._stop = self._loop.create_future()
        self.is_on = self.is_held = True
        try:
            await self._stop
        finally:
            self.is_on = self.is_held = False
        return Pulse(int(started * 1000), int((self._loop.time() - started) * 1000), PulseEnd.SWITCHED_OFF)

    def off(self) -> None:
        """Switch off now."""
        self.is_on = False
        if self._stop is not None and not self._stop.done():
            self._stop.set_result(None)

    def close(self) -> None:
        """Switch off."""
        self.off()


class Dark:
    """Light and buzzer that nobody looks at."""

    def show(self, signal: Signal) -> None: ...

    def play(self, tone: Tone) -> None: ...

    def close(self) -> None: ...
