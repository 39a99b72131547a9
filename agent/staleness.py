"""How old the directory has become: counts since the last contact with central, durably every ten minutes."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

import msgspec

from agent.clock import Clock
from agent.core import staleness as core
from agent.errors import StoreError

log = logging.getLogger(__name__)

KEEP_EVERY_S: Final = 600.0
_NAME: Final = "contact"
_decode = msgspec.json.Decoder(core.Mark).decode


class Keeper(Protocol):
    """Where small values survive a restart."""

    def get(self, name: str) -> str | None:
        """Return a value, or None."""

    async def put(self, name: str, value: str) -> None:
        """Keep a value durably; raise StoreError where it cannot be written."""


class Staleness:
    """The time since central was last heard of; where that is lost, since it signed the directory (`issued_ms`)."""

    def __init__(self, keeper: Keeper, clock: Clock, issued_ms: int | None = None) -> None:
        self._keeper = keeper
        self._clock = clock
        self._count = core.begin(_kept(keeper.get), clock.boot, clock.now(), issued_ms)
        self._has_heard = False
        self._due = asyncio.Event()

    def age_s(self) -> int:
        """Return the age in whole seconds."""
        now = self._clock.now()
        self._count = core.settled(self._count, now)
        return core.age_ms(self._count, now) // 1000

    def heard(self) -> None:
        """Central confirmed: what the device has is what central wants it to have."""
        self._count = core.heard(self._count, self._clock.now())
        if not self._has_heard:
            self._has_heard = True
            self._due.set()

    async def due(self) -> None:
        """Wait until the age is to be kept: at the first contact since the start, else every KEEP_EVERY_S."""
        with suppress(TimeoutError):
            async with asyncio.timeout(KEEP_EVERY_S):
                await self._due.wait()
        self._due.clear()

    async def keep(self) -> None:
        """Make the age durable; a disk that cannot take it is tried again the next time."""
        self.age_s()
        mark = core.mark(self._count, self._clock.now())
        try:
            await self._keeper.put(_NAME, msgspec.json.encode(mark).decode())
        except StoreError as fault:
            log.warning("how old the directory is cannot be kept: %s", fault)


def kept_age_s(get: Callable[[str], str | None]) -> int:
    """Return the age as it was last made durable, 0 where none was; for looking in from outside."""
    mark = _kept(get)
    return 0 if mark is None else mark.age_ms // 1000


def _kept(get: Callable[[str], str | None]) -> core.Mark | None:
    text = get(_NAME)
    try:
        return None if text is None else _decode(text)
    except msgspec.DecodeError as fault:
        log.warning("how old the directory is was kept as no such thing (%s)", fault)
        return None
