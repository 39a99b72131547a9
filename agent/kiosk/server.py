"""Serves the page and its socket on the loopback interface.

The page is three small files and a WebSocket. Only pages from this server may open the socket: another site in the same
browser must not press the panel's buttons (RFC 6455 section 10.2). How many may connect is the crowd's business.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Final

from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from agent.core.screen import STARTING, Screen
from agent.kiosk.crowd import Crowd, counted_by
from agent.kiosk.view import Pressed, View, encode_pressed, encode_view, view_of

log = logging.getLogger(__name__)

Panel = Callable[[bytes], Awaitable[str]]
"""Takes a press on the panel as JSON; returns what was wrong with it, or nothing."""

_PAGE: Final = Path(__file__).parent / "page"
_FILES: Final = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/kiosk.js": ("kiosk.js", "text/javascript; charset=utf-8"),
    "/kiosk.css": ("kiosk.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_FREE_PORT: Final = "set kiosk.port to a free one, or run with --kiosk-port"
_SOCKET: Final = "/ws"
_HANDSHAKE_WITHIN_S: Final = 2.0
_PING_S: Final = 5.0
_BACKLOG: Final = 8
"""asyncio accepts so many in one turn of its loop, before any of them can be counted."""
_MAX_UNREAD_BYTES: Final = 65_536
_SECURITY: Final = {
    "Content-Security-Policy": "default-src 'self'; connect-src 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Kiosk:
    """The page's server. `show` and `set_link` change the picture; every open page hears of it."""

    def __init__(
        self,
        *,
        door: str,
        port: int,
        panel: Panel | None,
        own_text: str = "Ring the bell",
        parts: Sequence[str] = (),
        time_zone: Callable[[], str] = lambda: "",
    ) -> None:
        self._door = door
        self._own_text = own_text
        self._wanted_port = port
        self._panel = panel
        self._parts = tuple(parts)
        self._time_zone = time_zone
        self._screen = STARTING
        self._offline = False
        self._waiting = 0
        self._crowd = Crowd()
        self._changed = asyncio.Event()
        self._server: Server | None = None

    @property
    def port(self) -> int:
        """The port that the page is served on; 0 before it is."""
        if self._server is None:
            return 0
        return int(next(iter(self._server.sockets)).getsockname()[1])

    @property
    def is_watched(self) -> bool:
        """Whether a page is open."""
        return bool(self._crowd.pages)

    @property
    def view(self) -> View:
        """What a page that opens now is told."""
        return view_of(
            self._screen,
            offline=self._offline,
            waiting=self._waiting,
            door=self._door,
            text=self._own_text,
            simulated=self._panel is not None,
            parts=self._parts,
            tz=self._time_zone(),
        )

    def show(self, screen: Screen) -> None:
        """Change the picture."""
        self._screen = screen
        self._changed.set()

    def set_link(self, *, offline: bool, waiting: int) -> None:
        """Say whether central is out of reach and how many events wait for it."""
        if (offline, waiting) != (self._offline, self._waiting):
            self._offline, self._waiting = offline, waiting
            self._changed.set()

    async def run(self) -> None:
        """Serve until cancelled; a port that is taken is logged and the door works on without its page."""
        try:
            server = await serve(
                self._talk,
                "127.0.0.1",
                self._wanted_port,
                process_request=self._answer,
                max_size=4096,
                compression=None,
                create_connection=counted_by(self._crowd),
                open_timeout=_HANDSHAKE_WITHIN_S,
                close_timeout=_HANDSHAKE_WITHIN_S,
                ping_interval=_PING_S,
                ping_timeout=_PING_S,
                backlog=_BACKLOG,
                logger=_quiet(),
            )
        except OSError as error:
            log.error("kiosk page: port %d: %s; %s", self._wanted_port, error, _FREE_PORT)  # noqa: TRY400
            return
        async with server:
            self._server = server
            log.info("kiosk page on http://127.0.0.1:%d", self.port)
            while True:
                await self._changed.wait()
                self._changed.clear()
                self._tell_all(encode_view(self.view))

    def _tell_all(self, text: str) -> None:
        """Tell every page, and wait for none: one that does not read what it is told is let go."""
        for page in self._crowd.pages:
            if page.transport.get_write_buffer_size() > _MAX_UNREAD_BYTES:
                self._crowd.leave(page)
                page.transport.abort()
        broadcast(self._crowd.pages, text)

    async def _talk(self, page: ServerConnection) -> None:
        self._crowd.admit(page)
        try:
            await page.send(encode_view(self.view))
            async for text in page:
                await self._press(page, text)
        except ConnectionClosed:
            return
        finally:
            self._crowd.leave(page)

    async def _press(self, page: ServerConnection, text: str | bytes) -> None:
        if self._panel is None:
            await page.close(1008, "no simulated hardware here")
            return
        error = await self._panel(text.encode() if isinstance(text, str) else text)
        if error:
            log.warning("panel: %s", error)
        await page.send(encode_pressed(Pressed(error)))

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        path = request.path.partition("?")[0]
        if path == _SOCKET:
            return self._admit(connection, request)
        if path not in _FILES:
            return connection.respond(HTTPStatus.NOT_FOUND, "not here\n")
        name, kind = _FILES[path]
        headers = Headers({"Content-Type": kind, **_SECURITY})
        body = (_PAGE / name).read_bytes()
        headers["Content-Length"] = str(len(body))
        return Response(HTTPStatus.OK, "OK", headers, body)

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
        if host.rpartition(":")[0] not in {"127.0.0.1", "localhost"} or origin not in {None, f"http://{host}"}:
            return connection.respond(HTTPStatus.FORBIDDEN, "this page only\n")
        return None


def _quiet() -> logging.Logger:
    """Return a logger for what strangers do to their own connections, which must not fill the disk's log."""
    logger = logging.getLogger(f"{__name__}.connections")
    logger.setLevel(logging.CRITICAL)
    return logger
