"""F49 to F58: servers and networks that answer everything but what they should."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic
from typing import Final

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from agent.clock import SystemTime
from agent.identity import load_identity
from agent.sync.tokens import mint
from tests.fakes.scripted_central import ScriptedCentral, answer, scripted_central
from tests.processes.doors import CONFIG, point_at
from tests.processes.lab import Lab, Place, Table, need
from tests.processes.proxy import FINE, Weather
from tests.processes.rows_door import component
from tests.sync.certificates import Authority
from wire.codec import encode, for_central
from wire.messages import Ack, Events
from wire.vocabulary import DEVICE_PATH, SUBPROTOCOL

TABLE: Final = Table()


@contextlib.asynccontextmanager
async def _facing(lab: Lab, central: ScriptedCentral, *, config: str = CONFIG) -> AsyncIterator[Place]:
    """A door that knows its members and then finds another server at central's address; in the end its own again."""
    async with lab.place(config=config) as place:
        await place.opens()
        await place.equal()
        await place.door.kill_agent()
        await place.door.clean_up()
        point_at(place.door, central.url)
        await place.restarted()
        yield place
        await place.opens()
        need(place.door.agent is not None and place.door.agent.returncode is None, "the agent ended")
        await place.door.kill_agent()
        await place.door.clean_up()
        point_at(place.door, place.proxy.url)
        await place.restarted()
        await place.linked()
        await place.equal()


class _Statuses:
    """A gatekeeper that answers with one status after the other, and notes when it was asked."""

    def __init__(self, *statuses: int) -> None:
        self.left = list(statuses)
        self.asked: list[float] = []

    def __call__(self, _request: Request) -> Response:
        self.asked.append(monotonic())
        status = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        return answer(status, Location="http://127.0.0.1:1/", Retry_After="3" if status == 503 else "")


async def _until(holds: object, within_s: float, words: str) -> None:
    assert callable(holds)
    try:
        async with asyncio.timeout(within_s):
            while not holds():
                await asyncio.sleep(0.05)
    except TimeoutError:
        need(False, words)


@TABLE.row(
    "F49",
    "jittered backoff, Retry-After kept, slow lane after a refusal; goes on deciding",
    "14 statuses one after the other",
)
async def every_status(lab: Lab) -> str | None:
    async with scripted_central() as central:
        statuses = _Statuses(500, 503, 502, 504, 404, 418, 200, 204, 301, 302, 307, 429, 599, 403)
        central.gatekeeper = statuses
        async with _facing(lab, central) as place:
            await _until(lambda: len(statuses.asked) >= 14, 90, f"only {len(statuses.asked)} attempts")
            await place.opens()
            await asyncio.sleep(8.0)
            gaps = [after - before for before, after in zip(statuses.asked, statuses.asked[1:], strict=False)]
            need(len(statuses.asked) == 14, f"{len(statuses.asked) - 14} attempts within 8 s after a 403")
            need(gaps[1] >= 3.0, f"{gaps[1]:.2f} s after Retry-After: 3")
            need(min(gaps) >= 0.2, f"a gap of {min(gaps):.2f} s")
    return f"gaps {min(gaps):.1f} to {max(gaps):.1f} s"


@TABLE.row("F49", "not hammered, goes on deciding", "a server that accepts and closes, for 10 s")
async def accepts_and_closes(lab: Lab) -> str | None:
    async with scripted_central() as central:

        async def leave(connection: ServerConnection) -> None:
            await connection.close(1000)

        central.talk = leave
        async with _facing(lab, central) as place:
            await asyncio.sleep(10.0)
            attempts = len(central.tokens)
            need(2 <= attempts <= 20, f"{attempts} attempts in 10 s")
            need(len(set(central.tokens)) == attempts, "a token was used twice")
            await place.opens()
    return f"{attempts} attempts in 10 s, each with a token of its own"


@TABLE.row(
    "F49-F50",
    "backoff or slow lane, never an end",
    "close codes in mid-connection: 1011-1013, 4401, 4403, 4408, 4409, 4429, 4503",
)
async def every_close_code(lab: Lab) -> str | None:
    codes = [1011, 1012, 1013, 4408, 4409, 4413, 4429, 4503, 4401, 4401, 4403]
    closed: list[float] = []
    async with scripted_central() as central:

        async def close(connection: ServerConnection) -> None:
            await central.greet(connection)
            closed.append(monotonic())
            await connection.close(codes[min(len(closed), len(codes)) - 1])

        central.talk = close
        async with _facing(lab, central) as place:
            await _until(lambda: len(closed) >= len(codes), 90, f"only {len(closed)} connections")
            await place.opens()
            await asyncio.sleep(6.0)
            need(len(closed) == len(codes), "it came back at once after 4403")
    return f"{len(codes)} connections in {closed[-1] - closed[0]:.0f} s, then the slow lane"


@TABLE.row("F51", "found within 30 s, decisions unaffected", "the line swallows everything (half-open)")
async def half_open(lab: Lab) -> str | None:
    async with lab.place() as place:
        place.proxy.weather = Weather(swallows=True)
        began = monotonic()
        slowest = max([await place.opens() for _ in range(3)])
        await place.door.until("link", "down", within_s=35)
        found_s = monotonic() - began
        place.proxy.weather = FINE
        await place.linked()
        back_s = monotonic() - began - found_s
        await place.equal()
    need(found_s <= 30, f"found after {found_s:.0f} s")
    return f"found after {found_s:.0f} s, back {back_s:.1f} s after healing, slowest green {slowest:.2f} s"


@TABLE.row("F52", "decisions unaffected, plain words", "a name that does not resolve")
async def no_name(lab: Lab) -> str | None:
    async with lab.place() as place:
        await place.door.kill_agent()
        point_at(place.door, "https://central.invalid")
        await place.restarted()
        took_s = await place.opens()
        await place.door.sim("clock", synced="yes")  # without a trusted clock it would not even try
        said = await _said(place, "https://central.invalid: central cannot be reached")
        await place.door.kill_agent()
        await place.door.clean_up()
        point_at(place.door, place.proxy.url)
        await place.restarted()
        await place.linked()
        await place.equal()
    return f"{said.partition('invalid: ')[2]}; green after {took_s:.2f} s"


async def _said(place: Place, words: str, *, within_s: float = 20.0) -> str:
    """Wait for words in the agent's log; return the line."""
    await _until(lambda: words in place.door.log, within_s, f"the log does not say {words!r}")
    return next(line for line in place.door.log.splitlines() if words in line)


@TABLE.row(
    "F53", "no token leaves for another place; plain words", "a captive portal: 302 to elsewhere, then 200 with a page"
)
async def captive_portal(lab: Lab) -> str | None:
    async with scripted_central() as elsewhere, scripted_central() as central:

        def portal(_request: Request) -> Response:
            if len(central.tokens) % 2:
                return answer(302, Location=f"{elsewhere.url}{DEVICE_PATH}")
            return answer(200, body=b"<html>Please log in</html>")

        central.gatekeeper = portal
        async with _facing(lab, central) as place:
            await _until(lambda: len(central.tokens) >= 4, 30, "it stopped trying")
            await place.opens()
            need(elsewhere.paths == [], "it followed the redirect")
            need("captive portal" in place.door.log, "the log does not name it")
    return None


@TABLE.row(
    "F54",
    "no connection and no token for a wrong one",
    "agent against an unknown CA, then the right one; the matrix of certificates",
)
async def tls(lab: Lab) -> str | None:
    authority = Authority()
    folder = lab.folder / "tls"
    folder.mkdir()
    ca = folder / "ca.pem"
    ca.write_text(authority.pem)
    context = authority.leaf().context(folder)
    async with scripted_central(context=context) as central, _facing(lab, central) as place:
        await _said(place, "not connected to https://")
        await place.door.sim("clock", synced="yes")  # without a trusted clock it would not even try
        await _said(place, "certificate is not accepted")
        need(central.tokens == [], "a token left for a server that is not trusted")
        (place.door.folder / "agent.toml").write_text(f'{CONFIG}\n[link]\nca_file = "{ca}"\n')
        await place.door.kill_agent()
        await place.door.clean_up()
        await place.restarted()
        await place.door.sim("clock", synced="yes")
        await place.door.until("link", "up")
        (place.door.folder / "agent.toml").write_text(CONFIG)
    return await component("tests/sync/test_tls.py")


@TABLE.row(
    "F55-F56",
    "given up in time, others undisturbed",
    "upgrade stripped, answers dripped; 40 dripping clients at central",
)
async def slow_loris(lab: Lab) -> str | None:
    port = int(lab.central.central_url.rpartition(":")[2])
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(40):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
            writer.write(b"GET /ws/devices/ HTTP/1.1\r\nHost: x\r\nX: ")
        place = await stack.enter_async_context(lab.place())
        await place.opens()
        await place.equal()
    return await component("tests/sync/test_connect.py")


_BAD_FRAMES: Final = {
    "oversize": b'{"type":"x","payload":"' + b"A" * 300_000 + b'"}',
    "deep": b'{"type":"x","payload":' + b"[" * 60_000 + b"]" * 60_000 + b"}",
    "bad UTF-8": b'{"type":"\xff\xfe","payload":{}}',
    "no JSON": b"\x00" * 1000,
}


@TABLE.row(
    "F57",
    "bounded, refused by name; the door goes on",
    "oversize, deep, bad UTF-8, binary, compressed frames from central",
)
async def bad_frames_to_agent(lab: Lab) -> str | None:
    sent: list[str] = []
    async with scripted_central() as central:

        async def talk(connection: ServerConnection) -> None:
            await central.greet(connection)
            name = [*_BAD_FRAMES, "compressed"][len(sent) % 5]
            sent.append(name)
            if name == "compressed":
                _write_compressed(connection)
            else:
                await connection.send(_BAD_FRAMES[name], text=name != "no JSON")
            await asyncio.sleep(0.5)

        central.talk = talk
        async with _facing(lab, central) as place:
            await _until(lambda: len(sent) >= 5, 60, f"only {sent}")
            await place.opens()
            need("Traceback" not in place.door.log, "a traceback in the log")
    return None


def _write_compressed(connection: ServerConnection) -> None:
    """A frame that claims a compression which nobody agreed on (RFC 7692: RSV1)."""
    connection.transport.write(b"\xc1\x7e" + (5000).to_bytes(2, "big") + b"\x00" * 5000)


@TABLE.row(
    "F57", "bounded, refused by name; other devices undisturbed", "the same frames from a device to the real central"
)
async def bad_frames_to_central(lab: Lab) -> str | None:
    said = []
    async with lab.place() as other, lab.place() as place:
        await place.door.kill_agent()
        await place.door.clean_up()
        for name, frame in _BAD_FRAMES.items():
            said.append(f"{name} {await _rejected(place.door.state, lab.central.central_url, frame)}")
        need((await other.door.door())["link"] == "up", "another device lost its link")
        await other.opens()
        await other.equal()
        await place.restarted()
        await place.opens()
        await place.equal()
    return "; ".join(said)


async def _rejected(state: Path, url: str, frame: bytes) -> str:
    """Send a frame as a device that is enrolled; return what central answered or with which code it closed."""
    identity = load_identity(state)
    wall_ms = SystemTime().read().wall_ms
    token = mint(identity, wall_ms=wall_ms, run="a" * 16, n=0, head="00" * 32)
    address = url.replace("http", "ws", 1) + DEVICE_PATH
    headers = {"Authorization": f"Bearer {token}"}
    async with connect(
        address, subprotocols=[Subprotocol(SUBPROTOCOL)], additional_headers=headers, compression=None
    ) as link:
        try:
            await link.send(frame, text=True)
            async with asyncio.timeout(10):
                return str(await link.recv())[:60]
        except ConnectionClosed as closed:
            return f"closed with {closed.rcvd.code if closed.rcvd else None}"


@TABLE.row(
    "F58",
    "accepted only if sent and the head matches; no unacknowledged row deleted",
    "acknowledgements ahead, behind, with a wrong head",
)
async def wrong_acks(lab: Lab) -> str | None:
    async with scripted_central() as central:

        async def talk(connection: ServerConnection) -> None:
            hello = await central.greet(connection)
            run = hello.runs[-1].run
            decoder = for_central()
            while True:
                message = decoder.decode(await connection.recv(decode=False))
                if isinstance(message, Events):
                    for upto, head in ((10**6, "ef" * 32), (1, "ab" * 32), (0, "cd" * 32)):
                        await connection.send(encode(Ack(run=run, upto=upto, head=head, window=1024)), text=True)

        central.talk = talk
        async with _facing(lab, central) as place:
            await place.opens()
            await asyncio.sleep(2.0)
            shown = await place.door.door()
            need(int(shown["waiting"]) >= 3, f"{shown['waiting']} events wait: wrong acknowledgements were believed")
            need("ack_ahead" in place.door.log and "wrong_head" in place.door.log, "not reported")
    return f"{shown['waiting']} events kept, both reported"
