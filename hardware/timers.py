"""Timers of the event loop, so that tests can hand in their own."""

import asyncio
from collections.abc import Callable
from typing import Protocol


class Cancellable(Protocol):
    def cancel(self) -> None: ...


CallLater = Callable[[float, Callable[[], None]], Cancellable]


def call_later(delay_s: float, function: Callable[[], None]) -> Cancellable:
    """Call it on the running event loop in ``delay_s``."""
    return asyncio.get_running_loop().call_later(delay_s, function)
