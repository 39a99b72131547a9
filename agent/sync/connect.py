"""One WebSocket connection to central, and the loop that always tries again.

The loop never ends by itself: whatever a server does becomes a `Parting`, and a `Parting` becomes a pause. websockets
would follow redirects and take the token along to the same origin, and it would raise out of its own reconnecting
iterator on 401, 403 and 429; neither is used here.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from tenacity import AsyncRetrying, RetryCallState, retry_base, stop_never
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from agent.sync.backoff import ReconnectWait
from agent.sync.parting import Fate, Parting, of_fault, of_status
from agent.sync.tls import check_central, check_pin, socket_url, tls_context, verify_pin
from wire.limits import MAX_FRAME_BYTES
from wire.vocabulary import SUBPROTOCOL

log = logging.getLogger(__name__)

PING_INTERVAL_S: Final = 10.0
PING_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 2.0
_ABORT_AFTER_S: Final = 3.0
_MAX_QUEUED_FRAMES: Final = 16


class LinkError(Exception):
    """An attempt that led to no connection."""

    def __init__(self, parting: Parting) -> None:
        super().__init__(parting.words)
        self.parting = parting


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where central is and how it is known: see `agent.sync.tls`. No proxy is used unless one stands here."""

    central: str
    ca_pem: str | None = None
    pin: str | None = None
    proxy: str | None = None
    open_timeout_s: float = 10.0
    ping_interval_s: float = PING_INTERVAL_S
    ping_timeout_s: float = PING_TIMEOUT_S

    def __post_init__(self) -> None:
        """Raise ConfigError for an address, a pin or certificates that could never work."""
        check_central(self.central)
        if self.pin is not None:
            object.__setattr__(self, "pin", check_pin(self.pin))
        if self.ca_pem is not None:
            tls_context(ca_pem=self.ca_pem)


class LinkGate:
    """A switch in the line, for simulations: cut, the connection is gone at once and no new one comes up."""

    def __init__(self) -> None:
        self._is_cut = False
        self._open: set[ClientConnection] = set()

    @property
    def is_cut(self) -> bool:
        """True between `cut` and `heal`."""
        return self._is_cut

    def cut(self) -> None:
        """Drop the connection and let no new one through."""
        self._is_cut = True
        for connection in self._open:
            connection.transport.abort()

    def heal(self) -> None:
        """Let connections through again."""
        self._is_cut = False

    def opened(self, connection: ClientConnection) -> None:
        """Watch a connection."""
        self._open.add(connection)

    def closed(self, connection: ClientConnection) -> None:
        """Forget a connection."""
        self._open.discard(connection)


class _OneOrigin(connect):
    """A connection to the address that it was given, and to no other; the pin is checked before the token leaves."""

    pin: str | None = None

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow nothing."""
        return exc

    async def open_tcp_connection(self) -> ClientConnection:
        """Open TCP and TLS, and compare the certificate with the pin."""
        connection = await super().open_tcp_connection()
        if self.pin is not None:
            tls: Any = connection.transport.get_extra_info("ssl_object")
            try:
                verify_pin(tls.getpeercert(binary_form=True), self.pin)
            except BaseException:
                connection.transport.abort()
                raise
        return connection


async def dial(endpoint: Endpoint, token: str, *, trusts_clock: bool, gate: LinkGate) -> ClientConnection:
    """Open a connection with a token; raise LinkError for whatever keeps it from standing.

    Raise ConfigError for an address that a token must not be sent to, before anything is sent.
    """
    if gate.is_cut:
        raise LinkError(Parting(Fate.TRANSIENT, "the link is cut (simulated)"))
    attempt = _attempt(endpoint, token, trusts_clock=trusts_clock)
    try:
        connection = await attempt
    except InvalidStatus as refusal:
        headers = {name.lower(): value for name, value in refusal.response.headers.raw_items()}
        raise LinkError(of_status(refusal.response.status_code, headers)) from refusal
    except (OSError, WebSocketException, EOFError, UnicodeError) as fault:
        raise LinkError(of_fault(fault)) from fault
    if connection.subprotocol != SUBPROTOCOL or gate.is_cut:
        connection.transport.abort()
        words = f"the server at {endpoint.central} does not speak {SUBPROTOCOL}"
        raise LinkError(Parting(Fate.TRANSIENT, words))
    return connection


def _attempt(endpoint: Endpoint, token: str, *, trusts_clock: bool) -> connect:
    url = socket_url(endpoint.central)
    options: dict[str, Any] = {}
    if url.startswith("wss:"):
        if not trusts_clock and endpoint.pin is None:
            words = "E4: the clock is unknown and central's key is not pinned, so its certificate cannot be judged"
            raise LinkError(Parting(Fate.HELD, words))
        options["ssl"] = tls_context(ca_pem=endpoint.ca_pem, checks_dates=trusts_clock)
    attempt = _OneOrigin(
        url,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        compression=None,
        additional_headers={"Authorization": f"Bearer {token}"},
        proxy=endpoint.proxy,
        open_timeout=endpoint.open_timeout_s,
        ping_interval=endpoint.ping_interval_s,
        ping_timeout=endpoint.ping_timeout_s,
        close_timeout=CLOSE_TIMEOUT_S,
        max_size=MAX_FRAME_BYTES,
        max_queue=_MAX_QUEUED_FRAMES,
        **options,
    )
    if url.startswith("wss:"):
        attempt.pin = endpoint.pin
    return attempt


async def hang_up(connection: ClientConnection, code: int, why: str) -> None:
    """Close a connection; where the other side does not play along, cut it off."""
    try:
        async with asyncio.timeout(_ABORT_AFTER_S):
            await connection.close(code, why[:100])
    except (TimeoutError, ConnectionClosed, OSError):
        log.debug("closing took too long; the connection is cut off")
    finally:
        connection.transport.abort()


class _AlwaysAgain(retry_base):
    """Every attempt that ended in a `Parting` is followed by another; a bug ends the loop."""

    def __call__(self, retry_state: RetryCallState) -> bool:
        return retry_state.outcome is not None and not retry_state.outcome.failed


async def reconnecting(
    attempt: Callable[[], Awaitable[Parting]], wait: ReconnectWait, *, sleep: Callable[[float], Awaitable[None]]
) -> None:
    """Run attempt after attempt, with the pauses of `wait`; only cancellation or a bug ends it."""
    retrying = AsyncRetrying(sleep=sleep, stop=stop_never, wait=wait, retry=_AlwaysAgain())
    await retrying(attempt)
