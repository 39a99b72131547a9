"""Dialling servers that answer everything but a proper handshake, and lines that answer nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from agent.sync.connect import Endpoint, LinkError, LinkGate, dial, hang_up
from agent.sync.parting import Fate, Parting
from tests.fakes.scripted_central import answer, scripted_central

pytestmark = pytest.mark.service

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def raw_server(talk: Talk) -> AsyncIterator[str]:
    """A TCP server that says what the test wants; yields its origin."""
    finished = asyncio.Event()
    serving: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        with contextlib.suppress(OSError):
            await talk(reader, writer)
            await finished.wait()
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finished.set()
        await asyncio.gather(*(task for task in serving if task is not None))


async def failing(url: str, *, gate: LinkGate | None = None, open_timeout_s: float = 5.0) -> Parting:
    endpoint = Endpoint(url, open_timeout_s=open_timeout_s)
    with pytest.raises(LinkError) as failure:
        await dial(endpoint, "secret-token", trusts_clock=True, gate=gate or LinkGate())
    return failure.value.parting


@pytest.mark.parametrize(
    "status", [200, 204, 301, 302, 307, 308, 400, 401, 403, 404, 418, 426, 429, 500, 502, 503, 599]
)
async def test_every_status_becomes_a_parting(status: int) -> None:
    async with scripted_central() as central:
        central.gatekeeper = lambda _request: answer(status)
        parting = await failing(central.url)
    assert parting.fate is {401: Fate.TOKEN, 403: Fate.REFUSED, 426: Fate.REFUSED}.get(status, Fate.TRANSIENT)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
async def test_token_is_not_sent_to_a_redirect(status: int) -> None:
    async with scripted_central() as elsewhere, scripted_central() as central:
        targets = iter([f"{elsewhere.url}/ws/devices/", "/same/origin/", "ws://["])
        for target in targets:
            central.gatekeeper = lambda _request, to=target: answer(status, Location=to)
            assert (await failing(central.url)).fate is Fate.TRANSIENT
        assert elsewhere.tokens == []
        assert set(central.paths) == {"/ws/devices/"}


async def test_token_stands_in_the_header_alone() -> None:
    async with scripted_central() as central:
        connection = await dial(Endpoint(central.url), "secret-token", trusts_clock=True, gate=LinkGate())
        await hang_up(connection, 1000, "")
    assert (central.tokens, central.paths) == (["secret-token"], ["/ws/devices/"])


async def test_retry_after_and_nonce_are_read_from_the_answer() -> None:
    async with scripted_central() as central:
        central.gatekeeper = lambda _request: answer(503, Retry_After="17")
        assert (await failing(central.url)).retry_after_s == 17.0
        challenge = 'Doorstile error="clock", nonce="abcdef0123456789"'
        central.gatekeeper = lambda _request: answer(401, WWW_Authenticate=challenge)
        assert (await failing(central.url)).nonce == "abcdef0123456789"


async def test_captive_portal_is_named() -> None:
    async with scripted_central() as central:
        central.gatekeeper = lambda _request: answer(200, body=b"<html>Please log in</html>")
        assert "captive portal" in (await failing(central.url)).words


async def test_server_without_the_subprotocol_is_left_again() -> None:
    async with scripted_central(subprotocol=False) as central:
        assert "doorstile.v1" in (await failing(central.url)).words


async def test_server_that_never_answers_is_given_up() -> None:
    async def silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        return

    async with raw_server(silent) as url:
        assert "in time" in (await failing(url, open_timeout_s=0.1)).words


async def test_server_that_drips_its_answer_is_given_up() -> None:
    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 101 Switching Protocols\r\n" * 100:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.01)

    async with raw_server(drip) as url:
        assert "in time" in (await failing(url, open_timeout_s=0.2)).words


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x00\xff" * 100,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: wrong\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: minus\r\n\r\n",
    ],
)
async def test_garbage_instead_of_an_answer_is_transient(said: bytes) -> None:
    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()
        writer.close()

    async with raw_server(garbage) as url:
        assert (await failing(url, open_timeout_s=2.0)).fate is Fate.TRANSIENT


async def test_closed_port_is_transient() -> None:
    async with scripted_central() as central:
        url = central.url
    assert "nothing listens" in (await failing(url)).words


async def test_name_that_does_not_exist_is_transient() -> None:
    assert (await failing("https://central.invalid", open_timeout_s=5.0)).fate is Fate.TRANSIENT


async def test_plain_server_behind_an_https_address_is_transient() -> None:
    async with scripted_central() as central:
        parting = await failing(central.url.replace("http:", "https:"))
    assert parting.fate is Fate.TRANSIENT
    assert central.tokens == []


async def test_cut_gate_lets_nothing_through_until_it_heals() -> None:
    gate = LinkGate()
    async with scripted_central() as central:
        gate.cut()
        assert "cut" in (await failing(central.url, gate=gate)).words
        assert central.tokens == []
        gate.heal()
        connection = await dial(Endpoint(central.url), "token", trusts_clock=True, gate=gate)
        gate.opened(connection)
        gate.cut()
        await connection.wait_closed()
        gate.closed(connection)


async def test_hanging_up_does_not_wait_for_a_server_that_does_not_play_along() -> None:
    async with scripted_central() as central:
        stuck = asyncio.Event()

        async def deaf(connection: object) -> None:
            connection.transport.pause_reading()  # type: ignore[attr-defined]
            await stuck.wait()

        central.talk = deaf
        connection = await dial(Endpoint(central.url), "token", trusts_clock=True, gate=LinkGate())
        async with asyncio.timeout(5.0):
            await hang_up(connection, 1000, "enough")
        stuck.set()
