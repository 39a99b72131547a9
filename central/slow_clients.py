"""Whoever connects and does not say what they want within some seconds, or sends more than anything here takes.

uvicorn waits for the head of a request for as long as the client likes, and Django writes a body of any size to a
temporary file before a view sees it: a thousand idle connections or one long body stop a server.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

HEAD_WITHIN_S: Final = 10.0
"""For the head of a request, from the connection or from its first byte on."""
BODY_BYTES: Final = 34 * 1024 * 1024
"""The largest body that something here takes, a file of members, and its envelope."""

Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI application: scope, receive, send."""


class ImpatientProtocol(H11Protocol):
    """HTTP for clients that mean it: a connection whose request does not begin in time is closed."""

    _head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Take what came, and wait on where it was only a part of a head."""
        super().data_received(data)
        if self._is_idle and not self.transport.is_closing():
            self._expect()
        else:
            self._stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop()
        super().connection_lost(exc)

    @property
    def _is_idle(self) -> bool:
        is_ours = self.transport.get_protocol() is self  # else it has become a WebSocket
        request: RequestResponseCycle | None = self.cycle
        return is_ours and (request is None or request.response_complete)

    def _expect(self) -> None:
        if self._head_due is None:
            self._head_due = self.loop.call_later(HEAD_WITHIN_S, self.transport.close)

    def _stop(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None


class _TooLargeError(Exception):
    """The body is longer than anything here takes."""


def bounded(app: App) -> App:
    """Return the HTTP application that answers 413 where a body is longer than BODY_BYTES, and reads no more of it."""

    async def application(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Send) -> None:
        taken, has_begun = 0, False

        async def counted() -> Any:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > BODY_BYTES:
                raise _TooLargeError
            return message

        async def noted(message: dict[str, Any]) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await app(scope, counted, noted)
        except _TooLargeError:
            if not has_begun:
                await _refuse(send)

    return application


async def _refuse(send: Send) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    text = f"The body is larger than {BODY_BYTES} bytes.\n".encode()
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": text})
