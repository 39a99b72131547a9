"""Time for pulses that passes only when a test says so."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class ManualGuard:
    due_ms: int
    fire: Callable[[], None]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


@dataclass(slots=True)
class ManualTime:
    """Stands in for the clock, the wait and the guard thread of a pulse."""

    now_ms: int = 0
    guards: list[ManualGuard] = field(default_factory=list)
    _waits: list[tuple[int, asyncio.Event]] = field(default_factory=list)

    def mono_ms(self) -> int:
        return self.now_ms

    async def wait(self, over: asyncio.Event, duration_s: float) -> None:
        """Until ``over`` or until ``advance`` has passed the duration; ``over`` is set in both cases."""
        self._waits.append((self.now_ms + round(duration_s * 1000), over))
        await over.wait()

    def start_guard(self, delay_s: float, fire: Callable[[], None]) -> ManualGuard:
        guard = ManualGuard(self.now_ms + round(delay_s * 1000), fire)
        self.guards.append(guard)
        return guard

    def advance(self, duration_s: float, *, loop_is_stalled: bool = False) -> None:
        """Let time pass: due guards fire, and due waits end unless the loop is stalled."""
        self.now_ms += round(duration_s * 1000)
        for guard in [guard for guard in self.guards if guard.due_ms <= self.now_ms]:
            self.guards.remove(guard)
            if not guard.is_cancelled:
                guard.fire()
        if not loop_is_stalled:
            for due_ms, over in self._waits:
                if due_ms <= self.now_ms:
                    over.set()

    @property
    def running_guards(self) -> list[ManualGuard]:
        return [guard for guard in self.guards if not guard.is_cancelled]


async def settle() -> None:
    """Let everything that is ready on the event loop run."""
    for _ in range(5):
        await asyncio.sleep(0)
