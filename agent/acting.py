"""From the core's effects to the door's outputs: the pulse, the hold, the light, the buzzer, the screen."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from agent.clock import Clock
from agent.core.effects import HoldEnded, Opened, Opening, PulseEnded
from agent.core.screen import Screen
from agent.core.screen import Tone as CoreTone
from agent.sounding import Sounding
from hardware.base import Buzzer, Interlock, Light, Pulse, PulseEnd, Signal, Strike, Tone, Turnstile, Way
from hardware.errors import HardwareError
from wire.vocabulary import Direction, PassageOutcome

log = logging.getLogger(__name__)

Post = Callable[[Opened | PulseEnded], None]
PostHold = Callable[[HoldEnded], None]
ScreenListener = Callable[[Screen], None]

_NO_STRIKE: Final = "this profile has no strike"


class Lock(Protocol):
    """What lets people through: a strike, or a turnstile, which has a way for each direction."""

    @property
    def name(self) -> str: ...

    @property
    def is_on(self) -> bool: ...

    async def pulse(self, duration_s: float, way: Direction | None) -> Pulse:
        """Let through for a time; as `hardware.base.Strike.pulse`."""

    async def hold(self) -> Pulse:
        """Let through until `off`; as `hardware.base.Strike.hold`."""

    def off(self) -> None:
        """Switch off now."""


class StrikeLock:
    """A strike: one way for everybody."""

    def __init__(self, strike: Strike) -> None:
        self._strike = strike

    @property
    def name(self) -> str:
        return f"strike {self._strike.name}"

    @property
    def is_on(self) -> bool:
        return self._strike.is_on

    async def pulse(self, duration_s: float, way: Direction | None) -> Pulse:
        return await self._strike.pulse(duration_s)

    async def hold(self) -> Pulse:
        return await self._strike.hold()

    def off(self) -> None:
        self._strike.off()


class TurnstileLock:
    """A turnstile. Standing open, it lets people in; out they get by its mechanics."""

    def __init__(self, turnstile: Turnstile) -> None:
        self._turnstile = turnstile

    @property
    def name(self) -> str:
        return f"turnstile {self._turnstile.name}"

    @property
    def is_on(self) -> bool:
        return self._turnstile.released is not None

    async def pulse(self, duration_s: float, way: Direction | None) -> Pulse:
        return await self._turnstile.release(Way.OUT if way is Direction.OUT else Way.IN, duration_s)

    async def hold(self) -> Pulse:
        return await self._turnstile.hold(Way.IN)

    def off(self) -> None:
        self._turnstile.off()


def lock_of(strike: Strike | None, turnstile: Turnstile | None) -> Lock | None:
    """Return what lets people through at this door; None at a kiosk."""
    if turnstile is not None:
        return TurnstileLock(turnstile)
    return StrikeLock(strike) if strike is not None else None


class Acting:
    """The door's outputs. At most one pulse or hold runs; a new grant ends the one before and starts its own, whole."""

    def __init__(
        self,
        lock: Lock | None,
        light: Light,
        buzzer: Buzzer,
        *,
        clock: Clock,
        tasks: asyncio.TaskGroup,
        interlock: Interlock | None = None,
    ) -> None:
        self._lock = lock
        self._light = light
        self._sounding = Sounding(buzzer)
        self._interlock = interlock
        self._clock = clock
        self._tasks = tasks
        self._pulse: asyncio.Task[None] | None = None
        self._is_letting_go = False
        self.listeners: list[ScreenListener] = []

    @property
    def is_left_on(self) -> bool:
        """Whether the line is on and nothing runs that would switch it off."""
        is_running = self._pulse is not None and not self._pulse.done()
        return self._lock is not None and self._lock.is_on and not is_running

    async def unlock(self, opening: Opening, for_ms: int, post: Post, way: Direction | None = None) -> None:
        """Begin a pulse and return once the line is on; `post` hears `Opened`, then `PulseEnded`.

        A pulse that cannot begin posts `PulseEnded` with `failed` alone.
        """
        begun = asyncio.Event()
        await self._begin(self._run(opening, for_ms, way, post, begun), begun, name="pulse")

    async def hold(self, post: PostHold) -> bool:
        """Let everybody through until `relock`; say whether the line is on. `post` hears of an end nobody asked for."""
        begun = asyncio.Event()
        await self._begin(self._held(post, begun), begun, name="hold")
        return self._lock is not None and self._lock.is_on

    def relock(self) -> None:
        """End the pulse or hold that runs, now."""
        self._is_letting_go = True
        if self._lock is not None:
            self._lock.off()

    def occupy(self, *, is_busy: bool) -> None:
        """Tell the other door of the pair; a line that fails is logged and keeps nobody out."""
        try:
            if self._interlock is not None:
                self._interlock.tell(is_busy=is_busy)
        except HardwareError as error:
            log.warning("interlock: %s", error)

    def show(self, screen: Screen) -> None:
        """Put a picture on light, buzzer and page; an output that fails is logged and keeps nobody out."""
        try:
            self._light.show(Signal(screen.signal.value))
        except HardwareError as error:
            log.warning("light: %s", error)
        self._sounding.play(None if screen.tone is CoreTone.NONE else Tone(screen.tone.value))
        for listener in self.listeners:
            listener(screen)

    async def _begin(self, job: Coroutine[Any, Any, None], begun: asyncio.Event, *, name: str) -> None:
        if self._lock is not None and self._pulse is not None and not self._pulse.done():
            self.relock()
            await asyncio.wait([self._pulse])
        self._is_letting_go = False
        self._pulse = self._tasks.create_task(job, name=name)
        await begun.wait()

    async def _run(
        self, opening: Opening, for_ms: int, way: Direction | None, post: Post, begun: asyncio.Event
    ) -> None:
        try:
            outcome, detail = await self._pulsed(opening, for_ms, way, post, begun)
        finally:
            begun.set()
        post(PulseEnded(opening, outcome, detail, self._clock.now()))

    async def _pulsed(
        self, opening: Opening, for_ms: int, way: Direction | None, post: Post, begun: asyncio.Event
    ) -> tuple[PassageOutcome, str]:
        if self._lock is None:
            return PassageOutcome.FAILED, _NO_STRIKE
        lock = self._lock

        def announce() -> None:
            if lock.is_on:
                post(Opened(opening, self._clock.now()))
                begun.set()

        # `pulse` switches the line on before it first waits, so this runs when the line is on, or never was.
        announced = asyncio.get_running_loop().call_soon(announce)
        try:
            pulse = await lock.pulse(for_ms / 1000, way)
        except HardwareError as error:
            announced.cancel()
            log.error("%s: %s", lock.name, error)  # noqa: TRY400 - the message says it all; no bug here
            return PassageOutcome.FAILED, str(error)
        if pulse.ended_by is PulseEnd.CEILING:
            log.warning("%s: the guard ended a pulse of %d ms; the loop was late", lock.name, pulse.length_ms)
        return PassageOutcome.PASSED, pulse.ended_by

    async def _held(self, post: PostHold, begun: asyncio.Event) -> None:
        try:
            why = await self._holding(begun)
        finally:
            begun.set()
        if not self._is_letting_go:
            post(HoldEnded(why, self._clock.now()))

    async def _holding(self, begun: asyncio.Event) -> str:
        if self._lock is None:
            return _NO_STRIKE
        asyncio.get_running_loop().call_soon(begun.set)
        try:
            pulse = await self._lock.hold()
        except HardwareError as error:
            log.error("%s: %s", self._lock.name, error)  # noqa: TRY400 - the message says it all; no bug here
            return str(error)
        return f"held for {pulse.length_ms} ms, then {pulse.ended_by}"
