"""Clients that connect and dawdle, or send without end, hold up nobody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import pytest
import uvicorn
import websockets

from central import slow_clients
from central.slow_clients import BODY_BYTES, ImpatientProtocol, bounded

WITHIN_S = 30.0
PATIENCE_S = 1.0


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer a page once the whole body is there, or let a WebSocket wait."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


class Server(uvicorn.Server):
    """Leaves the signals to the tests."""

    capture_signals = staticmethod(nullcontext)  # type: ignore[assignment]


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    config = uvicorn.Config(app, port=0, lifespan="off", log_config=None, http=ImpatientProtocol)
    server = Server(config)
    async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
        server.should_exit = True


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_clients, "HEAD_WITHIN_S", PATIENCE_S)


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Return all that came until the other side closed."""
    async with asyncio.timeout(WITHIN_S):
        return await reader.read()


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
async def test_a_request_that_does_not_come_is_not_waited_for(sent: bytes) -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        assert await ended(reader) == b""
        writer.close()


async def test_the_next_request_of_a_connection_is_not_waited_for_either() -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in await reader.readuntil(b"ok")
        writer.write(b"GET /ag")
        assert await ended(reader) == b""
        writer.close()


async def test_a_request_that_takes_its_time_to_be_sent_is_served() -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\n")
        await asyncio.sleep(1.5 * PATIENCE_S)
        writer.write(b"hi")
        assert (await ended(reader)).endswith(b"ok")
        writer.close()


async def test_a_websocket_may_be_silent() -> None:
    async with serving() as port, websockets.connect(f"ws://127.0.0.1:{port}/") as link:
        await asyncio.sleep(1.5 * PATIENCE_S)
        await link.send("still here")


class Client:
    """Sends a body in parts of a mebibyte for as long as it is asked to, and keeps the answer."""

    def __init__(self, mebibytes: int) -> None:
        self.left = mebibytes
        self.answer: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        self.left -= 1
        return {"type": "http.request", "body": bytes(1 << 20), "more_body": self.left > 0}

    async def send(self, message: dict[str, Any]) -> None:
        self.answer.append(message)


async def test_a_body_without_end_is_refused_and_read_no_further() -> None:
    client = Client(10_000)
    await bounded(app)({"type": "http"}, client.receive, client.send)
    assert client.answer[0]["status"] == 413
    assert (10_000 - client.left) << 20 <= BODY_BYTES + (1 << 20)


async def test_a_file_as_large_as_may_be_is_taken() -> None:
    client = Client(BODY_BYTES >> 20)
    await bounded(app)({"type": "http"}, client.receive, client.send)
    assert client.answer[0]["status"] == 200


async def test_an_answer_that_has_begun_is_not_begun_again() -> None:
    async def hasty(_scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await receive()

    client = Client(10_000)
    await bounded(hasty)({"type": "http"}, client.receive, client.send)
    assert [each.get("status") for each in client.answer] == [200]
