"""Countdowns that do not need the event loop: when one is over, a thread acts.

One thread serves a strike for as long as the process lives, and is woken only for a countdown that ends before all
others: to start a thread for each pulse, or to wake one, takes longer than the rest of the way from record to relay.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from heapq import heappop, heappush
from itertools import count
from queue import Empty, SimpleQueue

from hardware.errors import PulseRefusedError

log = logging.getLogger(__name__)

_NEVER = float("inf")


class Countdown:
    """Something that happens in a while, unless it is cancelled before."""

    __slots__ = ("fire", "is_cancelled")

    def __init__(self, fire: Callable[[], None]) -> None:
        self.fire = fire
        self.is_cancelled = False

    def cancel(self) -> None:
        """Let it end unnoticed. One that is firing already goes on."""
        self.is_cancelled = True


class GuardThread:
    """Starts countdowns; its thread comes up with the first. Call it from any thread, also from what it fires."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[float, int, Countdown]] = []
        self._order = count()
        self._wakes_at_mono_s = _NEVER
        self._sooner: SimpleQueue[None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def __call__(self, delay_s: float, fire: Callable[[], None]) -> Countdown:
        """Call ``fire`` after ``delay_s`` from the guard's thread. PulseRefusedError if no thread can be had."""
        countdown = Countdown(fire)
        due_mono_s = time.monotonic() + delay_s
        with self._lock:
            self._ensure_thread()
            heappush(self._waiting, (due_mono_s, next(self._order), countdown))
            is_sooner = due_mono_s < self._wakes_at_mono_s
        if is_sooner:
            self._sooner.put(None)
        return countdown

    def _ensure_thread(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        thread = threading.Thread(target=self._main, name="pulse-guard", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise PulseRefusedError(f"no thread to guard the pulse ({error}); the line stayed off") from error
        self._thread = thread

    def _main(self) -> None:
        while True:
            while (countdown := self._next_due()) is not None:
                _fire(countdown)
            with suppress(Empty):
                self._sooner.get(timeout=self._rest_s())

    def _next_due(self) -> Countdown | None:
        """Return the next countdown that is over, and drop those before it that were cancelled."""
        with self._lock:
            while self._waiting and (self._waiting[0][2].is_cancelled or self._waiting[0][0] <= time.monotonic()):
                countdown = heappop(self._waiting)[2]
                if not countdown.is_cancelled:
                    return countdown
        return None

    def _rest_s(self) -> float | None:
        with self._lock:
            self._wakes_at_mono_s = self._waiting[0][0] if self._waiting else _NEVER
        return None if self._wakes_at_mono_s == _NEVER else max(0.0, self._wakes_at_mono_s - time.monotonic())


def _fire(countdown: Countdown) -> None:
    """Act. A fault is logged: the thread has other pulses to guard."""
    try:
        countdown.fire()
    except Exception:
        log.exception("a pulse's guard failed")
