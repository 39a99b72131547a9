"""Who may be connected to the kiosk's port at once: any program of the machine knocks there, and none costs the door.

Each connection is a descriptor, of which the journal needs some too. So connections are counted before they say a word,
and whoever comes when it is full takes the place of another: of those that have not become a page yet the one that came
first, of pages one that never answered a ping (RFC 6455 section 5.5.2), else the oldest. To turn the newcomer away
instead would let eight mute connections keep the door's own page out for as long as they like.
"""

import logging
from collections.abc import Callable
from typing import Final

from websockets.asyncio.server import ServerConnection

from hardware.base import monotonic_ms

log = logging.getLogger(__name__)

MAX_WAITING: Final = 48
"""Connections that are no page: a browser opens six at most."""
MAX_PAGES: Final = 8
_SAY_AGAIN_MS: Final = 60_000


class Crowd:
    """Everybody who is connected. Its methods never wait."""

    def __init__(self, mono_ms: Callable[[], int] = monotonic_ms) -> None:
        self._mono_ms = mono_ms
        self._waiting: dict[ServerConnection, None] = {}
        self._pages: dict[ServerConnection, None] = {}
        self._dropped = 0
        self._said_at_mono_ms: int | None = None

    @property
    def pages(self) -> tuple[ServerConnection, ...]:
        """The open pages, the oldest first."""
        return tuple(self._pages)

    def arrive(self, connection: ServerConnection) -> None:
        """Count a connection that has said nothing yet."""
        if len(self._waiting) >= MAX_WAITING:
            self._drop(next(iter(self._waiting)))
        self._waiting[connection] = None

    def admit(self, connection: ServerConnection) -> None:
        """Let a connection become a page."""
        if len(self._pages) >= MAX_PAGES:
            self._drop(min(self._pages, key=lambda page: page.latency > 0))
        self._waiting.pop(connection, None)
        self._pages[connection] = None

    def leave(self, connection: ServerConnection) -> None:
        """Forget a connection; harmless when repeated."""
        self._waiting.pop(connection, None)
        self._pages.pop(connection, None)

    def _drop(self, connection: ServerConnection) -> None:
        self.leave(connection)
        connection.transport.abort()
        self._dropped += 1
        now = self._mono_ms()
        if self._said_at_mono_ms is None or now - self._said_at_mono_ms >= _SAY_AGAIN_MS:
            log.warning(
                "kiosk page: %d connections dropped, as more than %d came or %d pages were open; see who it is with: "
                "ss -tnp",
                self._dropped,
                MAX_WAITING,
                MAX_PAGES,
            )
            self._said_at_mono_ms, self._dropped = now, 0


def counted_by(crowd: Crowd) -> type[ServerConnection]:
    """Return the kind of connection that a crowd counts from its first moment to its last."""

    class Counted(ServerConnection):
        """A connection that is known to its crowd before its handshake."""

        def connection_made(self, transport: object) -> None:
            super().connection_made(transport)  # type: ignore[arg-type]  # as asyncio calls it
            crowd.arrive(self)

        def connection_lost(self, exc: Exception | None) -> None:
            crowd.leave(self)
            super().connection_lost(exc)

    return Counted
