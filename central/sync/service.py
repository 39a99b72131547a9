"""The link as one part of the server: made at its start, ended with it (ASGI lifespan)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from channels.layers import InMemoryChannelLayer, get_channel_layer
from django.conf import settings
from django.db import DatabaseError

from central.desk.capturing import forget_late
from central.devices.signing import directory_key
from central.devices.tokens import forget_expired
from central.presence.tending import keep_books, tend
from central.review.reviewing import review_some
from central.rotation import rotating
from central.sync import records
from central.sync.consumer import DeviceConsumer
from central.sync.database import Database
from central.sync.exchange import Terms
from central.sync.keeping import Keeper
from central.sync.lookout import LOOK_S, LOOK_WITH_REDIS_S, Lookout
from central.sync.performing import now
from central.sync.switchboard import Switchboard
from wire.limits import Reconnect

SWEEP_S: Final = 2.0
FORGET_EVERY: Final = 30
"""Sweeps between two clearings of expired tokens."""
PART_WITHIN_S: Final = 2.0

_log = logging.getLogger(__name__)


def terms() -> Terms:
    """Return what the settings ask of devices: a whole fleet comes back at the rate that central can take."""
    spread_ms = 0 if settings.FLEET == 1 else int(1200 * settings.FLEET / settings.ACCEPT_RATE)
    reconnect = Reconnect(spread_ms=spread_ms, cap_ms=max(4_000, spread_ms))
    return Terms(reconnect=reconnect, directory_key=directory_key())


class LinkService:
    """Switchboard, database threads and consumer of one process."""

    def __init__(self) -> None:
        self.switchboard = Switchboard()
        self._database = Database(settings.DATABASE_THREADS)
        self._keeper = Keeper(self._database)
        is_alone = isinstance(get_channel_layer(), InMemoryChannelLayer)
        self._lookout = Lookout(self._database, self.switchboard, LOOK_S if is_alone else LOOK_WITH_REDIS_S)
        self.consumer = DeviceConsumer(
            self.switchboard, self._database, audience=settings.AUDIENCE, terms=terms(), keeper=self._keeper
        )

    async def lifespan(self, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        """Run the background work between the server's start and its end."""
        await receive()
        await self._end_outlived()
        async with asyncio.TaskGroup() as tasks:
            parts = (self.switchboard.listen(), self._housekeep(), self._keeper.run(), self._lookout.run())
            background = [tasks.create_task(part) for part in parts]
            await send({"type": "lifespan.startup.complete"})
            await receive()
            for task in background:
                task.cancel()
        await asyncio.to_thread(self._database.close)
        await send({"type": "lifespan.shutdown.complete"})

    async def _end_outlived(self) -> None:
        """Before a device can fetch one: what was asked for before the host went down opens nothing now."""
        try:
            ended = await self._database.run(records.end_outlived, now().wall_ms)
        except DatabaseError as fault:
            _log.warning("commands of before the start are dated by the wall clock alone: %s", fault)
            return
        if ended:
            _log.warning("commands of before the start: %d ended; whoever asked has to ask again", ended)

    async def part(self) -> None:
        """Send every device away, with word when to come back; return when they left, or after PART_WITHIN_S."""
        try:
            async with asyncio.timeout(PART_WITHIN_S):
                await self.switchboard.part()
        except TimeoutError:
            _log.warning("%d connections did not end within %s s", len(self.switchboard), PART_WITHIN_S)

    async def _housekeep(self) -> None:
        sweeps = 0
        while True:
            await asyncio.sleep(SWEEP_S)
            sweeps += 1
            try:
                await self._database.run(records.sweep, now().wall_ms)
                await self._database.run(rotating.drive, records.moment(now().wall_ms))
                await self._database.run(forget_late, records.moment(now().wall_ms))
                if sweeps % FORGET_EVERY == 0:
                    await self._database.run(forget_expired, records.moment(now().wall_ms))
                    await self._database.run(keep_books, now().wall_ms)
                await self._database.run(tend, now().wall_ms)
                await self._database.run(review_some)
            except DatabaseError as fault:
                _log.warning("housekeeping put off: %s", fault)
            except Exception:
                # Supervising: without it, commands would stay open for as long as the server runs.
                _log.exception("housekeeping failed")
