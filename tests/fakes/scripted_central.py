"""A real WebSocket server that behaves as a test wants it to: well, badly, or not at all."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.fakes.model_central import ModelCentral
from wire.codec import encode, for_central
from wire.message import Message
from wire.messages import Hello
from wire.vocabulary import SUBPROTOCOL

Talk = Callable[[ServerConnection], Awaitable[None]]
Gatekeeper = Callable[[Request], Response | None]


@dataclass(slots=True)
class ScriptedCentral:
    """Talks as `model` does unless `talk` says otherwise; `gatekeeper` may answer the handshake by HTTP."""

    model: ModelCentral = field(default_factory=ModelCentral)
    talk: Talk | None = None
    gatekeeper: Gatekeeper | None = None
    url: str = ""
    tokens: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    close_codes: list[int | None] = field(default_factory=list)
    connections: list[ServerConnection] = field(default_factory=list)
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    moved: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, holds: Callable[[], bool], *, within_s: float = 10.0) -> None:
        """Wait until something holds, looking after every message and handshake."""
        async with asyncio.timeout(within_s), self.moved:
            await self.moved.wait_for(holds)

    async def say(self, message: Message | bytes) -> None:
        """Send a message on the newest connection."""
        frame = message if isinstance(message, bytes) else encode(message)
        await self.connections[-1].send(frame, text=True)

    async def changed(self) -> None:
        async with self.moved:
            self.moved.notify_all()

    async def _admit(self, _connection: ServerConnection, request: Request) -> Response | None:
        self.paths.append(request.path)
        self.tokens.append(request.headers.get("Authorization", "").removeprefix("Bearer "))
        await self.changed()
        return None if self.gatekeeper is None else self.gatekeeper(request)

    async def _serve(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        self.connected.set()
        try:
            await (self.talk or self.converse)(connection)
        except ConnectionClosed:
            pass
        finally:
            await connection.wait_closed()
            self.close_codes.append(connection.close_code)
            await self.changed()

    async def converse(self, connection: ServerConnection) -> None:
        """Talk as the model does."""
        decoder = for_central()
        while True:
            message = decoder.decode(await connection.recv(decode=False))
            for answer in self.model.handle(message):
                await connection.send(encode(answer), text=True)
            await self.changed()

    async def greet(self, connection: ServerConnection) -> Hello:
        """Take the hello and welcome the device, for talks that go wrong later."""
        hello = for_central().decode(await connection.recv(decode=False))
        assert isinstance(hello, Hello)
        for answer in self.model.handle(hello):
            await connection.send(encode(answer), text=True)
        await self.changed()
        return hello


@contextlib.asynccontextmanager
async def scripted_central(
    *, model: ModelCentral | None = None, context: ssl.SSLContext | None = None, port: int = 0, subprotocol: bool = True
) -> AsyncIterator[ScriptedCentral]:
    """Serve on a free loopback port; `url` is the origin, as a device is told."""
    central = ScriptedCentral(model or ModelCentral())
    spoken = {"subprotocols": [SUBPROTOCOL]} if subprotocol else {}
    server: Server = await serve(
        central._serve,
        "127.0.0.1",
        port,
        process_request=central._admit,
        compression=None,
        ping_interval=None,
        close_timeout=0.2,
        max_size=1 << 20,
        ssl=context,
        **spoken,  # type: ignore[arg-type]
    )
    async with server:
        scheme = "http" if context is None else "https"
        bound = next(iter(server.sockets)).getsockname()[1]
        central.url = f"{scheme}://{'127.0.0.1' if context is None else 'localhost'}:{bound}"
        yield central
        for connection in central.connections:
            connection.transport.abort()


def answer(status: int, reason: str = "", body: bytes = b"", **headers: str) -> Response:
    """Return an HTTP answer; underscores in header names stand for hyphens."""
    fields = Headers([(name.replace("_", "-"), value) for name, value in headers.items()])
    fields["Content-Length"] = str(len(body))
    return Response(status, reason or "Scripted", fields, body)
