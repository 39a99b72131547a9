"""Looks for what other processes wrote and gives the notices that they cannot: a layer in memory ends at its process.

A notice saves the wait for the next heartbeat and decides nothing: what it leads to is read, judged and fenced as if a
heartbeat had led to it. With Redis, which carries notices, this only covers for those that were lost.
"""

import asyncio
import logging
import time
from typing import Final
from uuid import UUID

from django.db import DatabaseError

from central.sync.database import Database
from central.sync.standing import Reader, Standing
from central.sync.switchboard import Notice, SiteVersions, Switchboard, What

LOOK_S: Final = 1.0
"""An unlock lives ten seconds."""
LOOK_WITH_REDIS_S: Final = 5.0

_log = logging.getLogger(__name__)


class Lookout:
    """Asks the database while this process holds connections, `every_s` after the answer before. Of the event loop."""

    def __init__(self, database: Database, switchboard: Switchboard, every_s: float = LOOK_S) -> None:
        self._database = database
        self._switchboard = switchboard
        self._every_s = every_s
        self._reader = Reader()
        self._known: dict[UUID, SiteVersions] = {}
        self._failed_since_s: float | None = None

    async def run(self) -> None:
        """Look until cancelled; a database that is away is asked again at the usual pace."""
        while True:
            if len(self._switchboard):
                await self._try_look()
            await asyncio.sleep(self._every_s)

    async def look(self) -> None:
        """Look once. Raises DatabaseError."""
        standing = await self._database.run(self._reader.read)
        if standing is not None:
            self._tell(standing)

    def _tell(self, standing: Standing) -> None:
        for device_id in standing.due:
            self._switchboard.to_device(device_id, Notice(What.COMMAND))
        for device_id in standing.revoked:
            self._switchboard.to_device(device_id, Notice(What.REVOKED))
        moved = {site: versions for site, versions in standing.sites.items() if self._known.get(site) != versions}
        self._known = standing.sites
        self._switchboard.to_behind(moved)

    async def _try_look(self) -> None:
        try:
            await self.look()
        except DatabaseError as fault:
            level = logging.DEBUG if self._failed_since_s is not None else logging.WARNING
            _log.log(level, "no look for changes: %s; devices learn of them with their heartbeats", fault)
            if self._failed_since_s is None:
                self._failed_since_s = time.monotonic()
        except Exception:
            # Supervising: without it, commands given in other processes would come too late as long as the server runs.
            _log.exception("the look for changes failed")
        else:
            if self._failed_since_s is not None:
                _log.info("changes are looked for again, after %.0f s", time.monotonic() - self._failed_since_s)
            self._failed_since_s = None
