"""Countdowns that do not need the event loop: when one is over, a thread acts.

One thread serves a strike for as long as the process lives. A thread for each pulse took longer to start than
everything else between the durable record and the relay.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from queue import Empty, SimpleQueue

from hardware.errors import PulseRefusedError

log = logging.getLogger(__name__)


@dataclass(slots=True, order=True)
class Countdown:
    """What happens at ``due_mono_s``, unless it is cancelled before."""

    due_mono_s: float
    fire: Callable[[], None] = field(compare=False)
    is_cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        """Let it end unnoticed. One that is firing already goes on."""
        self.is_cancelled = True


class GuardThread:
    """Starts countdowns; its thread comes up with the first. Call it from any thread, also from what it fires."""

    def __init__(self) -> None:
        self._started: SimpleQueue[Countdown] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def __call__(self, delay_s: float, fire: Callable[[], None]) -> Countdown:
        """Call ``fire`` after ``delay_s`` from the guard's thread. PulseRefusedError if no thread can be had."""
        self._ensure_thread()
        countdown = Countdown(time.monotonic() + delay_s, fire)
        self._started.put(countdown)
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
        waiting: list[Countdown] = []
        while True:
            _fire_due(waiting)
            timeout_s = max(0.0, waiting[0].due_mono_s - time.monotonic()) if waiting else None
            try:
                heappush(waiting, self._started.get(timeout=timeout_s))
            except Empty:
                continue


def _fire_due(waiting: list[Countdown]) -> None:
    """Fire what is due and drop what was cancelled. A fault is logged: the thread has other pulses to guard."""
    while waiting and (waiting[0].is_cancelled or waiting[0].due_mono_s <= time.monotonic()):
        countdown = heappop(waiting)
        if countdown.is_cancelled:
            continue
        try:
            countdown.fire()
        except Exception:
            log.exception("a pulse's guard failed")
