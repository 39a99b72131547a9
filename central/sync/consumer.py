"""The ASGI application at `/ws/devices/`: the handshake, and a supervised connection behind it.

A handshake that fails is answered with an HTTP response before anything is accepted (the ASGI extension
`websocket.http.response`), so that the device learns the status and the reason.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from django.db import DatabaseError

from central.devices.claims import Refused
from central.devices.tokens import Admitted, Refusal, admit, bearer
from central.sync.connection import Connection
from central.sync.database import Database
from central.sync.exchange import Terms
from central.sync.keeping import Keeper
from central.sync.performing import Performer, now
from central.sync.records import moment
from central.sync.switchboard import Switchboard
from wire.vocabulary import SUBPROTOCOL

MAX_HANDSHAKES: Final = 256
"""Handshakes that are being checked at one time; more are asked to come back."""
INTERNAL_ERROR: Final = 1011  # RFC 6455 section 7.4.1
_RETRY_AFTER_S: Final = 2

_log = logging.getLogger(__name__)
_Send = Callable[[dict[str, Any]], Awaitable[None]]
_Receive = Callable[[], Awaitable[dict[str, Any]]]


class DeviceConsumer:
    """Admits devices and runs their connections; whatever one of them does stays in its own."""

    def __init__(
        self,
        switchboard: Switchboard,
        database: Database,
        *,
        audience: str,
        terms: Terms,
        keeper: Keeper | None = None,
    ) -> None:
        self._switchboard = switchboard
        self._database = database
        self._audience = audience
        self._terms = terms
        self._keeper = keeper or Keeper(database)
        self._handshakes = 0

    async def __call__(self, scope: dict[str, Any], receive: _Receive, send: _Send) -> None:
        """Serve one connection (ASGI)."""
        await receive()
        verdict = await self._verdict(scope)
        if isinstance(verdict, Refusal):
            client = (scope.get("client") or ("?",))[0]
            _log.warning("handshake from %s refused: %s: %s", client, verdict.reason, verdict.detail)
            await _refuse(send, verdict)
            return
        performer = Performer(
            verdict.device_id, self._database, self._switchboard, lambda: self._keeper.due(verdict.site_id)
        )
        connection = Connection(verdict, performer, self._terms, receive, send)
        if not self._switchboard.join(connection):
            await _refuse(send, Refusal(429, Refused.BUSY, "too many connections of this device"))
            return
        try:
            await self._serve(connection, send)
        finally:
            self._switchboard.leave(connection)

    async def _serve(self, connection: Connection, send: _Send) -> None:
        try:
            await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
            await connection.serve()
        except OSError as fault:
            _log.info("device %s left during the handshake: %s", connection.device_id, fault)
        except Exception:
            # Supervising: a bug that one device's input finds must not reach the others.
            _log.exception("connection of device %s failed", connection.device_id)
            with suppress(OSError):
                await send({"type": "websocket.close", "code": INTERNAL_ERROR})

    async def _verdict(self, scope: dict[str, Any]) -> Admitted | Refusal:
        token = bearer(scope["headers"], scope["query_string"])
        if isinstance(token, Refusal):
            return token
        if SUBPROTOCOL not in scope["subprotocols"]:
            return Refusal(400, Refused.SUBPROTOCOL, f"the handshake does not offer {SUBPROTOCOL}")
        if self._handshakes >= MAX_HANDSHAKES:
            return Refusal(503, Refused.BUSY, "too many handshakes at once")
        self._handshakes += 1
        try:
            return await self._database.run(self._admit, token)
        except DatabaseError as fault:
            return Refusal(503, Refused.UNAVAILABLE, f"the database failed: {fault}")
        finally:
            self._handshakes -= 1

    def _admit(self, token: str) -> Admitted | Refusal:
        return admit(token, audience=self._audience, now=moment(now().wall_ms))


async def refuse_path(_scope: dict[str, Any], receive: _Receive, send: _Send) -> None:
    """Answer a WebSocket handshake at an unknown address with 404."""
    await receive()
    await _respond(send, 404, [])


async def _refuse(send: _Send, refusal: Refusal) -> None:
    headers = [(b"www-authenticate", refusal.challenge.encode("ascii"))]
    if refusal.status in (429, 503):
        headers.append((b"retry-after", str(_RETRY_AFTER_S).encode()))
    await _respond(send, refusal.status, headers)


async def _respond(send: _Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    # The server raises an OSError where the client did not wait for the answer.
    with suppress(OSError):
        await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b""})
