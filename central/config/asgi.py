"""The application that the server runs: `uvicorn central.config.asgi:application`."""

import os
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "central.config.settings")
_django = get_asgi_application()

# Models can be imported only now.
from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402

from central.dashboard.consumers import FeedConsumer  # noqa: E402
from central.slow_clients import bounded  # noqa: E402
from central.sync.consumer import refuse_path  # noqa: E402
from central.sync.service import LinkService  # noqa: E402
from wire.vocabulary import DEVICE_PATH  # noqa: E402

FEED_PATH = "/ws/live/"

service = LinkService()
_pages = bounded(_django)
_sockets = {
    DEVICE_PATH: service.consumer,
    FEED_PATH: AllowedHostsOriginValidator(AuthMiddlewareStack(FeedConsumer.as_asgi())),
}


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Pass a connection to the pages, the devices' link or the dashboard's feed (ASGI)."""
    match scope["type"]:
        case "http":
            await _pages(scope, receive, send)
        case "websocket":
            await _sockets.get(scope["path"], refuse_path)(scope, receive, send)
        case "lifespan":
            await service.lifespan(receive, send)
