"""The socket by which a page learns at once what was taken in: members of staff only, read only."""

import time
from importlib import import_module
from typing import Any, Final
from urllib.parse import parse_qs

from channels.auth import get_user
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from central.checkins import feed
from central.devices.models import Site

CHECKED_S: Final = 10.0
"""For so long somebody who was dismissed, or logged out, may still be told what happens."""
NOT_STAFF: Final = 4403
UNEXPECTED: Final = 4400


class FeedConsumer(AsyncWebsocketConsumer):  # type: ignore[misc] # channels ships no types
    """Passes on the feed of `?site=`, or of every site, as the text it came in. The route checks the origin."""

    groups: list[str]

    async def connect(self) -> None:
        """Accept a member of staff; refuse everybody else before anything is accepted."""
        if not _is_staff(self.scope.get("user")):
            await self.close(NOT_STAFF)
            return
        self._checked_s = time.monotonic()
        chosen = parse_qs(self.scope["query_string"].decode("latin-1")).get("site", [""])[0]
        for group in await _groups(chosen):
            self.groups.append(group)
            await self.channel_layer.group_add(group, self.channel_name)
        await self.accept()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Close: pages have nothing to say here."""
        await self.close(UNEXPECTED)

    async def feed_entries(self, message: dict[str, Any]) -> None:
        """Pass entries on, to whoever may still see them."""
        if time.monotonic() - self._checked_s >= CHECKED_S:
            if not _is_staff(await _user_now(self.scope)):
                await self.close(NOT_STAFF)
                return
            self._checked_s = time.monotonic()
        await self.send(text_data=message["text"])


def _is_staff(user: Any) -> bool:
    return user is not None and user.is_active and user.is_staff


async def _user_now(scope: dict[str, Any]) -> Any:
    """Return whose session it is by now: nobody's once it ended, expired, or its user changed the password."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    return await get_user({"session": store(scope["session"].session_key)})


@database_sync_to_async  # type: ignore[untyped-decorator]
def _groups(chosen: str) -> list[str]:
    ids = Site.objects.values_list("pk", flat=True)
    return [feed.group(pk) for pk in ids if chosen in ("", str(pk))]
