"""Follows who is where in the background: soon after a site's doors told something, and never faster than it can."""

import asyncio
import logging
import time
from typing import Final
from uuid import UUID

from django.db import DatabaseError

from central.presence.following import follow
from central.sync.database import Database

GATHER_S: Final = 0.15
"""What happens within this time is followed together."""
REST: Final = 2.0
"""After each go it rests so many times as long as that took: taking events in comes first."""

_log = logging.getLogger(__name__)


class Keeper:
    """Sites whose presence is behind their events. All of it belongs to the event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._due: dict[UUID, None] = {}
        self._has_work = asyncio.Event()

    def due(self, site_id: UUID) -> None:
        """A door of the site told something."""
        self._due[site_id] = None
        self._has_work.set()

    async def run(self) -> None:
        """Follow until cancelled; what fails is followed by the housekeeping."""
        while True:
            await self._has_work.wait()
            await asyncio.sleep(GATHER_S)
            self._has_work.clear()
            due, self._due = self._due, {}
            for site_id in due:
                await self._follow(site_id)

    async def _follow(self, site_id: UUID) -> None:
        began_s = time.monotonic()
        try:
            if await self._database.run(follow, site_id, time.time_ns() // 1_000_000):
                self.due(site_id)
        except DatabaseError as fault:
            _log.warning("presence of site %s put off: %s", site_id, fault)
        except Exception:
            # Supervising: without it, no door would hear of anybody for as long as the server runs.
            _log.exception("presence of site %s cannot be followed", site_id)
        await asyncio.sleep(REST * (time.monotonic() - began_s))
