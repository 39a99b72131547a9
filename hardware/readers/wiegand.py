"""Readers on two Wiegand wires, D0 and D1, on GPIO lines by gpiozero.

Edges come from the pin factory's own thread, each with the moment that the kernel noted, and enter the event loop by
``call_soon_threadsafe``: a loop that is late delays a read and alters none. Two readers are two pairs of wires.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol

from gpiozero import InputDevice
from gpiozero.exc import GPIOZeroError

from hardware import profiles
from hardware.base import Emit, MonoClock, ReaderEvent, ReaderState
from hardware.errors import HardwareError
from hardware.pins.factory import Pins
from hardware.profiles import InputPull
from hardware.readers.wiegand_frames import STRAGGLERS_MS, Edge, WiegandFrames

_PULLS: Final = {InputPull.UP: True, InputPull.DOWN: False, InputPull.NONE: None}
_MAX_STAMP_AGE_US: Final = 10_000_000

OnEdge = Callable[[Edge], None]


class Wires:
    """Both lines of a reader, claimed as inputs."""

    def __init__(self, key: str, part: profiles.WiegandReader, pins: Pins, mono_ms: MonoClock) -> None:
        self._mono_ms = mono_ms
        self._errors = (GPIOZeroError, OSError, *pins.errors)
        self._on_edge: OnEdge | None = None
        self._listeners = [partial(self._changed, 0), partial(self._changed, 1)]
        self._devices: list[Any] = []
        pull_up = _PULLS[part.pull]
        try:
            for line in (part.d0, part.d1):
                self._devices.append(
                    InputDevice(
                        line,
                        pull_up=pull_up,
                        active_state=False if pull_up is None else None,
                        pin_factory=pins.factory,
                    )
                )
        except self._errors as error:
            self.close()
            raise HardwareError(
                f"{key}: GPIO{part.d0} and GPIO{part.d1} cannot be claimed ({error}); see who holds them with: gpioinfo"
            ) from error

    def listen(self, on_edge: OnEdge) -> None:
        """Call it for every edge from now on, from the pin factory's thread."""
        self._on_edge = on_edge
        try:
            for device, listener in zip(self._devices, self._listeners, strict=True):
                device.pin.edges = "both"
                device.pin.when_changed = listener  # gpiozero keeps it weakly, so this object keeps it too
        except self._errors as error:
            raise HardwareError(f"Wiegand wires cannot be watched ({error}); see: gpioinfo") from error

    def ignore(self) -> None:
        """Call nothing any more."""
        self._on_edge = None
        for device in self._devices:
            with suppress(*self._errors):
                device.pin.when_changed = None

    def close(self) -> None:
        """Give the lines back. Idempotent."""
        self._on_edge = None
        for device in self._devices:
            with suppress(*self._errors):
                device.close()

    def _changed(self, wire: int, ticks: float, state: Any) -> None:
        """From the pin factory's thread; must not raise, or that thread ends for every line."""
        on_edge = self._on_edge
        if on_edge is not None:
            on_edge(Edge(wire, not state, _moment_us(ticks, self._mono_ms() * 1000)))


def _moment_us(ticks: float, now_us: int) -> int:
    """The kernel's moment of an edge: monotonic seconds, but by another clock before Linux 5.7; then it is now."""
    at_us = round(ticks * 1_000_000)
    return at_us if -1000 <= now_us - at_us <= _MAX_STAMP_AGE_US else now_us


class WiegandReader:
    """One reader of the profile. A wire has no way to say that the reader behind it is gone."""

    def __init__(self, part: profiles.WiegandReader, wires: Wires, mono_ms: MonoClock) -> None:
        self._part = part
        self._wires = wires
        self._mono_ms = mono_ms
        self._run: _Run | None = None

    @property
    def name(self) -> str:
        return self._part.name

    @property
    def state(self) -> ReaderState:
        return ReaderState.STOPPED if self._run is None else ReaderState.READY

    async def run(self, emit: Emit) -> None:
        if self._run is not None:
            raise HardwareError(f"reader {self.name!r} is already running; run it once")
        frames = WiegandFrames(self._part.identity, self._part.pulses, self._mono_ms())
        self._run = run = _Run(frames, emit, self._mono_ms)
        try:
            self._wires.listen(run.enter)
            await run.failed
        finally:
            self._wires.ignore()
            run.end()
            self._run = None

    def close(self) -> None:
        """Give the wires back."""
        self._wires.close()


class _Run:
    """Edges into frames, and a timer that ends them."""

    def __init__(self, frames: WiegandFrames, emit: Emit, mono_ms: MonoClock) -> None:
        self._frames = frames
        self._emit = emit
        self._mono_ms = mono_ms
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due_ms = 0
        self._is_over = False
        self.failed: asyncio.Future[None] = self._loop.create_future()

    def enter(self, edge: Edge) -> None:
        """Take an edge from any thread."""
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._guarded, partial(self._frames.take, edge))

    def end(self) -> None:
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()

    def _guarded(self, work: Callable[[], list[ReaderEvent]]) -> None:
        """An exception in a callback would only be logged; this ends the run with it."""
        if self._is_over:
            return
        try:
            for event in work():
                self._emit(event)
            self._set_timer()
        except Exception as bug:  # handed to ``run``, which raises it
            self.end()
            self.failed.set_exception(bug)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due_ms = self._frames.due_mono_ms
        if due_ms is not None:
            self._due_ms = max(due_ms, self._mono_ms() + STRAGGLERS_MS)
            self._timer = self._loop.call_later((self._due_ms - self._mono_ms()) / 1000, self._guarded, self._tick)

    def _tick(self) -> list[ReaderEvent]:
        """Where the loop was late, so may be the thread that brings the edges: give it its time once more."""
        now_ms = self._mono_ms()
        return self._frames.tick(now_ms) if now_ms - self._due_ms <= STRAGGLERS_MS else []


class _Bench(Protocol):
    """The part of the factory's bench that this driver needs."""

    @property
    def mono_ms(self) -> MonoClock: ...

    @property
    def pins(self) -> Any: ...


def build_reader(part: profiles.WiegandReader, bench: _Bench) -> WiegandReader:
    return WiegandReader(part, Wires(f"reader {part.name}", part, bench.pins, bench.mono_ms), bench.mono_ms)
