"""Which connections this process holds, and how notices from anywhere find them.

One subscription per process serves all its connections, so an idle device costs no more than its own socket, and a
layer that is away (Redis restarting) cuts nobody off.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol
from uuid import UUID

from channels.exceptions import ChannelFull
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from central.sync.hints import GROUP, TYPE
from wire.presence import PresenceRef

MAX_PER_DEVICE: Final = 4
"""Connections of one device at one time: the live one, and those that are about to replace it or to end."""
RETRY_S: Final = 1.0
RENEW_S: Final = 3600.0
"""Group memberships expire after a day; one that is renewed hourly does not."""

_log = logging.getLogger(__name__)


class What(StrEnum):
    """What a notice is about."""

    DIRECTORY = "directory"
    PRESENCE = "presence"
    COMMAND = "command"
    REVOKED = "revoked"
    SUPERSEDED = "superseded"
    PARTING = "parting"


@dataclass(frozen=True, slots=True)
class Notice:
    """A hint for a connection; `session` is the newer one where it is superseded."""

    what: What
    session: int = 0


@dataclass(frozen=True, slots=True)
class SiteVersions:
    """The newest of a site: epoch and version of its directory, whose digest differs by device, and its presence."""

    directory: tuple[str, int]
    presence: PresenceRef


class Link(Protocol):
    """A connection, as the switchboard sees it."""

    @property
    def device_id(self) -> UUID:
        """Whose connection it is."""

    @property
    def site_id(self) -> UUID:
        """Where the device stands."""

    def missing(self, newest: SiteVersions) -> list[What]:
        """Return what the device does not have yet, as far as it told."""

    def notify(self, notice: Notice) -> None:
        """Take a notice, without waiting."""


class Switchboard:
    """All device connections of this process, by device."""

    def __init__(self) -> None:
        self._links: dict[UUID, list[Link]] = {}
        self._emptied = asyncio.Event()

    def __len__(self) -> int:
        return sum(map(len, self._links.values()))

    def join(self, link: Link) -> bool:
        """Add a connection; False where its device has too many already."""
        held = self._links.setdefault(link.device_id, [])
        if len(held) >= MAX_PER_DEVICE:
            return False
        held.append(link)
        return True

    def leave(self, link: Link) -> None:
        """Remove a connection that was added."""
        held = self._links[link.device_id]
        held.remove(link)
        if not held:
            del self._links[link.device_id]
        if not self._links:
            self._emptied.set()

    async def supersede(self, device_id: UUID, session: int) -> None:
        """Tell every older connection of a device, here and in other processes, that it is over."""
        self.to_device(device_id, Notice(What.SUPERSEDED, session))
        layer = get_channel_layer()
        if layer is None:
            return
        message = {"type": TYPE, "what": What.SUPERSEDED.value, "device": str(device_id), "session": session}
        try:
            await layer.group_send(GROUP, message)
        except (OSError, RedisError, ChannelFull) as fault:
            _log.warning("older sessions of device %s not told: %s; their writes are refused anyway", device_id, fault)

    async def part(self) -> None:
        """Tell every connection that this process is about to end, and wait until all have left."""
        if not self._links:
            return
        self._emptied.clear()
        for held in list(self._links.values()):
            for link in list(held):
                link.notify(Notice(What.PARTING))
        await self._emptied.wait()

    async def listen(self) -> None:
        """Pass notices on until cancelled; a layer that is away is tried again every RETRY_S."""
        while True:
            try:
                async with asyncio.timeout(RENEW_S):
                    await self._listen_once()
            except TimeoutError:
                continue
            except (OSError, RedisError) as fault:
                _log.warning("no notices: %s; devices learn of changes with their heartbeats", fault)
                await asyncio.sleep(RETRY_S)

    async def _listen_once(self) -> None:
        layer = get_channel_layer()
        assert layer is not None, "settings name a channel layer"
        channel = await layer.new_channel()
        await layer.group_add(GROUP, channel)
        try:
            while True:
                self.deliver(await layer.receive(channel))
        finally:
            await layer.group_discard(GROUP, channel)

    def deliver(self, message: dict[str, Any]) -> None:
        """Pass on one message of the layer."""
        notice = Notice(What(message["what"]), message.get("session", 0))
        if "site" in message:
            self._to_site(UUID(message["site"]), notice)
        else:
            self.to_device(UUID(message["device"]), notice)

    def to_device(self, device_id: UUID, notice: Notice) -> None:
        """Give a notice to every connection of a device that is held here."""
        for link in list(self._links.get(device_id, ())):
            link.notify(notice)

    def _to_site(self, site_id: UUID, notice: Notice) -> None:
        for held in list(self._links.values()):
            for link in held:
                if link.site_id == site_id:
                    link.notify(notice)

    def to_behind(self, moved: Mapping[UUID, SiteVersions]) -> None:
        """Tell those whose site moved to versions that they do not have; who was told and has them hears nothing."""
        for held in list(self._links.values()):
            for link in held:
                newest = moved.get(link.site_id)
                for what in () if newest is None else link.missing(newest):
                    link.notify(Notice(what))
