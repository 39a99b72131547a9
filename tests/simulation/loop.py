"""An event loop in virtual time: nothing sleeps, nothing runs beside it, and the same calls give the same order.

It is what asyncio's tasks, timeouts and queues need of a loop and no more, so the product's own coroutines run on it
unchanged.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from itertools import count
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualLoop(asyncio.AbstractEventLoop):
    """Time stands still while anything is ready, then jumps to the next timer."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._order = count()

    def time(self) -> float:
        """Return virtual seconds since the start."""
        return self._now_s

    @property
    def now_ms(self) -> int:
        """Virtual milliseconds since the start."""
        return int(self._now_s * 1000 + 1e-4)

    def run_until(self, end_s: float) -> None:
        """Run everything that is due up to a moment, which is the present one afterwards."""
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            while self._run_ready() and self._timers and self._timers[0][0] <= end_s:
                when, _, timer = heapq.heappop(self._timers)
                if not timer.cancelled():
                    self._now_s = max(self._now_s, when)
                    self._ready.append(timer)
            self._now_s = max(self._now_s, end_s)
        finally:
            asyncio._set_running_loop(outer)

    def _run_ready(self) -> bool:
        ready = self._ready
        while ready:
            handle = ready.popleft()
            if not handle.cancelled():
                handle._run()
        return True

    # What asyncio asks of a loop

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Run a callback after those that are ready."""
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run a callback in `delay` seconds."""
        return self.call_at(self._now_s + max(0.0, delay), callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run a callback at a moment; of two at one moment the one asked for first comes first."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    def create_future(self) -> "asyncio.Future[Any]":
        """Return a future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None, **_: Any
    ) -> "asyncio.Task[T]":
        """Start a coroutine."""
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> "asyncio.Future[T]":
        """Do the work at once: there are no threads here."""
        future: asyncio.Future[T] = asyncio.Future(loop=self)
        future.set_result(func(*args))
        return future

    def get_debug(self) -> bool:
        """Say no."""
        return False

    def is_running(self) -> bool:
        """Say yes: whoever asks is running on it."""
        return True

    def is_closed(self) -> bool:
        """Say no."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Raise what a callback raised; tasks report to who started them."""
        fault = context.get("exception")
        if fault is not None and "handle" in context:
            raise fault

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer stays in the heap until its moment."""
