"""Event loop timers that a test fires by hand."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class ManualTimer:
    due_ms: int
    function: Callable[[], None]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


@dataclass(slots=True)
class ManualTimers:
    """A monotonic clock and the timers that hang on it."""

    now_ms: int = 0
    _timers: list[ManualTimer] = field(default_factory=list)

    def mono_ms(self) -> int:
        return self.now_ms

    def call_later(self, delay_s: float, function: Callable[[], None]) -> ManualTimer:
        timer = ManualTimer(self.now_ms + round(delay_s * 1000), function)
        self._timers.append(timer)
        return timer

    def advance(self, for_ms: int) -> None:
        """Let time pass and fire each timer at its moment."""
        until_ms = self.now_ms + for_ms
        while due := self._due_by(until_ms):
            self._timers.remove(due)
            self.now_ms = max(self.now_ms, due.due_ms)
            due.function()
        self.now_ms = until_ms

    def stall(self, for_ms: int) -> None:
        """Let time pass while the event loop stands: timers that are over fire with the next ``advance``."""
        self.now_ms += for_ms

    def _due_by(self, until_ms: int) -> ManualTimer | None:
        self._timers = [timer for timer in self._timers if not timer.is_cancelled]
        return min(
            (timer for timer in self._timers if timer.due_ms <= until_ms), key=lambda one: one.due_ms, default=None
        )
