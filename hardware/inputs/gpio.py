"""Inputs on GPIO lines, by gpiozero.

Edges come from the pin factory's own thread and enter the event loop by ``call_soon_threadsafe``, each with the moment
that the kernel noted; a loop that was late still weighs them rightly. The level is looked at every ``POLL_MS`` as well,
so that an edge which the kernel's queue lost (16 events a line) delays a change and never hides it.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

from gpiozero import InputDevice
from gpiozero.exc import GPIOZeroError

from hardware import profiles
from hardware.base import EmitChange, InputRole, MonoClock
from hardware.errors import HardwareError
from hardware.inputs.debounce import Believed, Debounce
from hardware.inputs.told import ToldInput
from hardware.pins.factory import Pins
from hardware.profiles import InputPull
from hardware.timers import CallLater, Cancellable, call_later

POLL_MS: Final = 250
"""Below 400 less the longest window of ``hardware.inputs.debounce``."""

_MAX_STAMP_AGE_MS: Final = 10_000
_PULLS: Final = {InputPull.UP: True, InputPull.DOWN: False, InputPull.NONE: None}

OnEdge = Callable[[bool, int], None]
"""Called from any thread with the level in the line's own sense (active or not) and its monotonic milliseconds."""


class GpioInputLine:
    """One line that is only ever read."""

    def __init__(self, key: str, part: profiles.GpioInput, pins: Pins, mono_ms: MonoClock) -> None:
        self._what = f"{key} on GPIO{part.line}"
        self._active_high = part.active_high
        self._mono_ms = mono_ms
        self._errors = (GPIOZeroError, OSError, *pins.errors)
        self._on_edge: OnEdge | None = None
        try:
            self._device = _device(part, pins)
        except self._errors as error:
            raise HardwareError(
                f"{self._what} cannot be claimed ({error}); see which program holds it with: gpioinfo"
            ) from error

    @property
    def is_active(self) -> bool:
        try:
            return bool(self._device.pin.state) == self._active_high
        except self._errors as error:
            raise HardwareError(
                f"{self._what} cannot be read ({error}); check with: doorstile hardware list"
            ) from error

    def listen(self, on_edge: OnEdge) -> None:
        """Call it for every edge from now on."""
        self._on_edge = on_edge
        try:
            self._device.pin.edges = "both"
            self._device.pin.when_changed = self._changed  # gpiozero keeps the method weakly, so this object must live
        except self._errors as error:
            raise HardwareError(
                f"{self._what} cannot be watched ({error}); see which program holds it with: gpioinfo"
            ) from error

    def ignore(self) -> None:
        """Call nothing any more."""
        self._on_edge = None
        if not self._device.closed:
            with suppress(*self._errors):
                self._device.pin.when_changed = None

    def close(self) -> None:
        self.ignore()
        with suppress(*self._errors):
            self._device.close()

    def _changed(self, ticks: float, state: Any) -> None:
        """From the pin factory's thread; must not raise, or that thread ends for every line."""
        on_edge = self._on_edge
        if on_edge is not None:
            on_edge(bool(state) == self._active_high, _moment_ms(ticks, self._mono_ms()))


def _device(part: profiles.GpioInput, pins: Pins) -> Any:
    pull_up = _PULLS[part.pull]
    active_state = part.active_high if pull_up is None else None
    return InputDevice(part.line, pull_up=pull_up, active_state=active_state, pin_factory=pins.factory)


def _moment_ms(ticks: float, now_ms: int) -> int:
    """The kernel's moment of an edge: monotonic seconds, but by another clock before Linux 5.7; then it is now."""
    at_ms = int(ticks * 1000)
    return at_ms if 0 <= now_ms - at_ms <= _MAX_STAMP_AGE_MS else now_ms


class GpioInput(ToldInput):
    """An Input over one line, debounced."""

    def __init__(
        self,
        name: str,
        role: InputRole,
        line: GpioInputLine,
        *,
        window_ms: int,
        mono_ms: MonoClock,
        call_later: CallLater = call_later,
    ) -> None:
        super().__init__(name, role, is_active=line.is_active)
        self._line = line
        self._window_ms = window_ms
        self._mono_ms = mono_ms
        self._call_later = call_later

    async def run(self, emit: EmitChange) -> None:
        with self.telling(emit):
            watch = _Watch(self._line, self._window_ms, self._mono_ms, self._call_later, self._believe)
            try:
                watch.begin(asyncio.get_running_loop())
                await watch.broken
            finally:
                watch.end()

    def close(self) -> None:
        self._line.close()

    def _believe(self, change: Believed) -> None:
        self.tell(change.is_active, change.since_mono_ms)


class _Watch:
    """One run of an input: edges and looks into a ``Debounce``, and what it believes out of it."""

    def __init__(
        self,
        line: GpioInputLine,
        window_ms: int,
        mono_ms: MonoClock,
        call_later: CallLater,
        tell: Callable[[Believed], None],
    ) -> None:
        self._line = line
        self._mono_ms = mono_ms
        self._call_later = call_later
        self._tell = tell
        self._timer: Cancellable | None = None
        self._is_over = False
        now_ms = mono_ms()
        self._debounce = Debounce(window_ms=window_ms, is_active=line.is_active, at_mono_ms=now_ms)

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Report the state found, then listen."""
        self.broken: asyncio.Future[None] = loop.create_future()
        self._tell(Believed(self._debounce.is_active, self._mono_ms()))

        def enter(level: bool, at_mono_ms: int) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(self._edge, level, at_mono_ms)

        self._line.listen(enter)
        self._rest()

    def end(self) -> None:
        self._is_over = True
        self._line.ignore()
        if self._timer is not None:
            self._timer.cancel()

    def _edge(self, level: bool, at_mono_ms: int) -> None:
        if not self._is_over:
            self._take(self._debounce.edge(level, at_mono_ms))

    def _look(self) -> None:
        try:
            level = self._line.is_active
        except HardwareError as error:
            if not self.broken.done():
                self.broken.set_exception(error)
            return
        self._take(self._debounce.found(level, self._mono_ms()))

    def _take(self, change: Believed | None) -> None:
        if change is not None:
            self._tell(change)
        self._rest()

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due_ms = self._debounce.due_mono_ms
        rest_ms = POLL_MS if due_ms is None else min(POLL_MS, max(0, due_ms - self._mono_ms()))
        self._timer = self._call_later(rest_ms / 1000, self._look)


class _Bench(Protocol):
    """The part of the factory's bench that this driver needs."""

    @property
    def mono_ms(self) -> MonoClock: ...

    @property
    def pins(self) -> Any: ...


def build_input(part: profiles.GpioInput, bench: _Bench) -> GpioInput:
    line = GpioInputLine(f"inputs.{part.name}", part, bench.pins, bench.mono_ms)
    return GpioInput(part.name, part.role, line, window_ms=part.debounce_ms, mono_ms=bench.mono_ms)
