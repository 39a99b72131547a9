"""From the core's effects to the door's outputs: the pulse, the light, the buzzer, the screen."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from agent.clock import Clock
from agent.core.effects import Opened, Opening, PulseEnded
from agent.core.screen import Screen
from agent.core.screen import Tone as CoreTone
from hardware.base import Buzzer, Light, PulseEnd, Signal, Strike, Tone
from hardware.errors import HardwareError
from wire.vocabulary import PassageOutcome

log = logging.getLogger(__name__)

Post = Callable[[Opened | PulseEnded], None]
ScreenListener = Callable[[Screen], None]

_NO_STRIKE: Final = "this profile has no strike"


class Acting:
    """The door's outputs. At most one pulse runs; a new grant ends the one before and starts its own, whole."""

    def __init__(
        self, strike: Strike | None, light: Light, buzzer: Buzzer, *, clock: Clock, tasks: asyncio.TaskGroup
    ) -> None:
        self._strike = strike
        self._light = light
        self._buzzer = buzzer
        self._clock = clock
        self._tasks = tasks
        self._pulse: asyncio.Task[None] | None = None
        self.listeners: list[ScreenListener] = []

    async def unlock(self, opening: Opening, for_ms: int, post: Post) -> None:
        """Begin a pulse and return once the line is on; `post` hears `Opened`, then `PulseEnded`.

        A pulse that cannot begin posts `PulseEnded` with `failed` alone.
        """
        await self._end_current()
        begun = asyncio.Event()
        self._pulse = self._tasks.create_task(self._run(opening, for_ms, post, begun), name="pulse")
        await begun.wait()

    def show(self, screen: Screen) -> None:
        """Put a picture on light, buzzer and page; an output that fails is logged and keeps nobody out."""
        try:
            self._light.show(Signal(screen.signal.value))
            if screen.tone is not CoreTone.NONE:
                self._buzzer.play(Tone(screen.tone.value))
        except HardwareError as error:
            log.warning("light or buzzer: %s", error)
        for listener in self.listeners:
            listener(screen)

    async def _end_current(self) -> None:
        if self._strike is not None and self._pulse is not None and not self._pulse.done():
            self._strike.off()
            await asyncio.wait([self._pulse])

    async def _run(self, opening: Opening, for_ms: int, post: Post, begun: asyncio.Event) -> None:
        try:
            outcome, detail = await self._pulsed(opening, for_ms, post, begun)
        finally:
            begun.set()
        post(PulseEnded(opening, outcome, detail, self._clock.now()))

    async def _pulsed(
        self, opening: Opening, for_ms: int, post: Post, begun: asyncio.Event
    ) -> tuple[PassageOutcome, str]:
        if self._strike is None:
            return PassageOutcome.FAILED, _NO_STRIKE
        strike = self._strike

        def announce() -> None:
            if strike.is_on:
                post(Opened(opening, self._clock.now()))
                begun.set()

        # `pulse` switches the line on before it first waits, so this runs when the line is on, or never was.
        announced = asyncio.get_running_loop().call_soon(announce)
        try:
            pulse = await strike.pulse(for_ms / 1000)
        except HardwareError as error:
            announced.cancel()
            log.error("strike %s: %s", strike.name, error)  # noqa: TRY400 - the message says it all; no bug here
            return PassageOutcome.FAILED, str(error)
        if pulse.ended_by is PulseEnd.CEILING:
            log.warning("strike %s: the guard ended a pulse of %d ms; the loop was late", strike.name, pulse.length_ms)
        return PassageOutcome.PASSED, pulse.ended_by
