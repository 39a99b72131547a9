"""Whether central lets this device work: a revoked one lets nobody in, also after a restart without a link.

Only central itself says so, over a connection whose certificate was checked: by its close code, or by its own words in
a refused handshake. A bare HTTP 403 may be anybody's, and changes nothing. A welcome ends it.

It is kept twice, beside the directory and in the journal, and holds where either says so: one damaged file makes no
revoked device work again.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from agent.errors import StoreError
from agent.staleness import Keeper
from agent.store.notes import REVOKED

log = logging.getLogger(__name__)

_YES, _NO = "yes", "no"
_AGAIN_S: Final = 60.0


def is_kept_revoked(get: Callable[[str], str | None]) -> bool:
    """Say whether the device is revoked by what was kept last."""
    return get(REVOKED) == _YES


class Notes(Protocol):
    """Where small values stand beside the events."""

    def noted(self, name: str) -> str | None:
        """Return a value, or None."""

    def note(self, name: str, value: str) -> None:
        """Keep a value; raise StoreError where nothing can be written any more."""


class Revocation:
    """What central said last; it holds at once, and is kept for the next start."""

    def __init__(self, keeper: Keeper, notes: Notes) -> None:
        self._keeper = keeper
        self._notes = notes
        self.is_revoked = is_kept_revoked(keeper.get) or is_kept_revoked(notes.noted)
        self._told = asyncio.Event()

    def told(self, *, is_revoked: bool) -> None:
        """Take what central said."""
        if is_revoked is self.is_revoked:
            return
        self.is_revoked = is_revoked
        if is_revoked:
            log.critical("central has revoked this device: nobody is let in until the operator makes it active again")
        else:
            log.warning("central lets this device work again")
        self._told.set()

    async def keep(self) -> None:
        """Make it durable whenever it changed, until cancelled; a disk that cannot take it is tried again."""
        pause_s: float | None = None
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._told.wait()
            self._told.clear()
            pause_s = None
            try:
                await self._write(_YES if self.is_revoked else _NO)
            except StoreError as fault:
                log.warning("whether this device is revoked cannot be kept: %s", fault)
                pause_s = _AGAIN_S

    async def _write(self, said: str) -> None:
        """Write it at both places, at one also where the other takes nothing; raise StoreError then."""
        try:
            self._notes.note(REVOKED, said)
        finally:
            await self._keeper.put(REVOKED, said)
