"""The socket by which a page learns at once what was taken in: members of staff only, read only."""

from typing import Any, Final
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from central.checkins import feed
from central.devices.models import Site

NOT_STAFF: Final = 4403
UNEXPECTED: Final = 4400


class FeedConsumer(AsyncWebsocketConsumer):  # type: ignore[misc] # channels ships no types
    """Passes on the feed of `?site=`, or of every site, as the text it came in. The route checks the origin."""

    groups: list[str]

    async def connect(self) -> None:
        """Accept a member of staff; refuse everybody else before anything is accepted."""
        user = self.scope.get("user")
        if user is None or not (user.is_active and user.is_staff):
            await self.close(NOT_STAFF)
            return
        chosen = parse_qs(self.scope["query_string"].decode("latin-1")).get("site", [""])[0]
        for group in await _groups(chosen):
            self.groups.append(group)
            await self.channel_layer.group_add(group, self.channel_name)
        await self.accept()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Close: pages have nothing to say here."""
        await self.close(UNEXPECTED)

    async def feed_entries(self, message: dict[str, Any]) -> None:
        """Pass entries on."""
        await self.send(text_data=message["text"])


@database_sync_to_async  # type: ignore[untyped-decorator]
def _groups(chosen: str) -> list[str]:
    ids = Site.objects.values_list("pk", flat=True)
    return [feed.group(pk) for pk in ids if chosen in ("", str(pk))]
