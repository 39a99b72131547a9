"""The strike's pulse: on, wait, off - with a hard ceiling that does not depend on the event loop.

Order is everything here. A guard is started first, then the line goes on, then the loop waits. The line goes off
in a ``finally``, synchronously and before any ``await``; should the loop stall, the guard switches it off at the
ceiling. A held line is the same with a guard that is put off for as long as the loop shows that it lives. A guard
that fires before the line went on (a process frozen in between) keeps it from going on at all. The keeper hears of the
line before it goes on and after it is off, for a process that is stopped with its guard; of a held line it hears anew
with each sign of life, so a hold lasts for as long as it is alive and no longer than the ceiling when it is not.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

import msgspec

from hardware.base import MonoClock, Pulse, PulseEnd, monotonic_ms
from hardware.errors import HardwareError, PulseRefusedError
from hardware.outputs.guard import GuardThread

log = logging.getLogger(__name__)

RETRY_OFF_S = 0.1
RETRY_OFF_TIMES = 50
SIGNS_OF_LIFE = 4
"""How often, within its ceiling, a held line hears that the event loop lives."""


class Line(Protocol):
    """One output line. Both raise HardwareError when the line did not obey."""

    def on(self) -> None: ...

    def off(self) -> None:
        """Idempotent."""


class Report(Protocol):
    """Where a line tells of itself, as ``hardware.outputs.reports`` does. Neither raises nor waits."""

    def on(self, until_mono_ms: int) -> None: ...

    def off(self) -> None: ...


class Unreported:
    """For a line with no keeper."""

    def on(self, until_mono_ms: int) -> None:
        """Nobody hears of it."""

    def off(self) -> None:
        """Nobody hears of it."""


class Guard(Protocol):
    """A running countdown that does not need the event loop."""

    def cancel(self) -> None: ...


Wait = Callable[[asyncio.Event, float], Awaitable[None]]
StartGuard = Callable[[float, Callable[[], None]], Guard]


async def wait_at_most(over: asyncio.Event, duration_s: float) -> None:
    """Return when ``over`` is set or the time is up."""
    with suppress(TimeoutError):
        async with asyncio.timeout(duration_s):
            await over.wait()


class _Run(msgspec.Struct):
    """One pulse under way. ``ended_by`` is written once, under the strike's lock."""

    loop: asyncio.AbstractEventLoop
    over: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    on_at_ms: int = 0
    off_at_ms: int = 0
    ended_by: PulseEnd | None = None


class PulsedStrike:
    """A Strike over any line. The line is on only inside ``pulse``, between its guard's start and its ``finally``."""

    def __init__(
        self,
        name: str,
        line: Line,
        *,
        ceiling_s: float,
        mono_ms: MonoClock = monotonic_ms,
        wait: Wait = wait_at_most,
        start_guard: StartGuard | None = None,
        report: Report | None = None,
    ) -> None:
        self._report = report or Unreported()
        self._name = name
        self._line = line
        self._ceiling_s = ceiling_s
        self._mono_ms = mono_ms
        self._wait = wait
        self._start_guard: StartGuard = start_guard if start_guard is not None else GuardThread()
        self._lock = threading.RLock()
        self._run: _Run | None = None
        self._is_on = False
        self._is_closed = False
        self._stuck = ""

    @property
    def name(self) -> str:
        return self._name

    @property
    def ceiling_s(self) -> float:
        return self._ceiling_s

    @property
    def is_on(self) -> bool:
        return self._is_on

    async def pulse(self, duration_s: float) -> Pulse:
        run = self._claim(duration_s)
        guard: Guard | None = None
        try:
            guard = self._guard(run)
            self._switch_on(run)
            await self._wait(run.over, duration_s)
        finally:
            self._end(run, PulseEnd.ELAPSED)
            # Reached only when the line is known to be off: after a failed switch-off the guard stays and tries again.
            if guard is not None:
                guard.cancel()
        assert run.ended_by is not None
        return Pulse(run.on_at_ms, run.off_at_ms - run.on_at_ms, run.ended_by)

    async def hold(self) -> Pulse:
        run = self._claim(self._ceiling_s)
        guard: Guard | None = None
        try:
            guard = self._guard(run)
            self._switch_on(run)
            while run.ended_by is None:
                await self._wait(run.over, self._ceiling_s / SIGNS_OF_LIFE)
                # The next guard runs before the last one ends: there is no moment without.
                guard, last = self._guard(run), guard
                last.cancel()
                self._prolong(run)
        finally:
            self._end(run, PulseEnd.SWITCHED_OFF)
            if guard is not None:
                guard.cancel()
        assert run.ended_by is not None
        return Pulse(run.on_at_ms, run.off_at_ms - run.on_at_ms, run.ended_by)

    def off(self) -> None:
        with self._lock:
            if self._run is not None:
                self._end(self._run, PulseEnd.SWITCHED_OFF)
            self._switch_off()

    def close(self) -> None:
        self._is_closed = True
        self.off()

    def _guard(self, run: _Run) -> Guard:
        return self._start_guard(self._ceiling_s, lambda: self._guard_fired(run, RETRY_OFF_TIMES))

    def _claim(self, duration_s: float) -> _Run:
        with self._lock:
            refusal = self._refusal(duration_s)
            if refusal:
                raise PulseRefusedError(f"strike {self._name!r}: {refusal}")
            self._run = _Run(asyncio.get_running_loop())
            return self._run

    def _refusal(self, duration_s: float) -> str:
        if not 0 < duration_s <= self._ceiling_s:
            return f"a pulse of {duration_s} s is outside 0 to {self._ceiling_s} s; change pulse_s or ceiling_s"
        if self._is_closed:
            return "it is closed; the program is ending"
        if self._stuck:
            return f"its line could not be switched off ({self._stuck}); check the relay, then restart the agent"
        if self._run is not None:
            return "a pulse is under way; wait for its end"
        return ""

    def _switch_on(self, run: _Run) -> None:
        with self._lock:
            if run.ended_by is not None:
                raise PulseRefusedError(f"strike {self._name!r}: {run.ended_by} before the line went on; present again")
            run.on_at_ms = self._mono_ms()
            self._report.on(self._ends_at_ms())
            self._is_on = True
            self._line.on()

    def _prolong(self, run: _Run) -> None:
        """Wait for the end of a hold once more, unless it has ended."""
        with self._lock:
            if run.ended_by is None:
                run.over.clear()
                self._report.on(self._ends_at_ms())

    def _ends_at_ms(self) -> int:
        return self._mono_ms() + round(self._ceiling_s * 1000)

    def _end(self, run: _Run, why: PulseEnd) -> None:
        """Switch off and note why, unless this pulse has ended: a late guard must not cut the next one."""
        with self._lock:
            if run.ended_by is not None:
                return
            self._switch_off()
            run.off_at_ms = self._mono_ms()
            run.ended_by = why
            self._run = None
        with suppress(RuntimeError):  # the loop may be closed already; nobody waits then
            run.loop.call_soon_threadsafe(run.over.set)

    def _switch_off(self) -> None:
        with self._lock:
            try:
                self._line.off()
            except HardwareError as error:
                self._stuck = str(error)
                raise
            self._is_on = False
            self._stuck = ""
            self._report.off()

    def _guard_fired(self, run: _Run, tries_left: int) -> None:
        if run.ended_by is not None:
            return
        log.error("strike %s: the event loop is late, the guard ends the pulse at %s s", self._name, self._ceiling_s)
        try:
            self._end(run, PulseEnd.CEILING)
        except HardwareError as error:
            log.critical("strike %s: line not off: %s; %d tries left", self._name, error, tries_left)
            if tries_left:
                self._start_guard(RETRY_OFF_S, lambda: self._guard_fired(run, tries_left - 1))
