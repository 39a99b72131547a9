import asyncio
import json
import socket
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest import mock
from urllib.error import HTTPError

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agent import health
from agent.core.screen import CLOSED, IDLE, PublicCode, Screen, State, out_of_service
from agent.kiosk.crowd import MAX_PAGES, MAX_WAITING, Crowd
from agent.kiosk.server import Kiosk
from agent.kiosk.words import words_of

pytestmark = pytest.mark.unit


@asynccontextmanager
async def serving(panel: list[bytes] | None = None) -> AsyncIterator[Kiosk]:
    async def press(text: bytes) -> str:
        assert panel is not None
        panel.append(text)
        return "nothing there"

    kiosk = Kiosk(door="North", port=0, panel=press if panel is not None else None)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(kiosk.run())
        while not kiosk.port:
            await asyncio.sleep(0)
        yield kiosk
        running.cancel()


async def heard(page: ClientConnection) -> dict[str, object]:
    async with asyncio.timeout(5):
        view: dict[str, object] = json.loads(await page.recv())
        return view


async def heard_to_the_end(page: ClientConnection) -> None:
    while True:
        await heard(page)


def stranger(latency: float = 0.0) -> ServerConnection:
    return mock.create_autospec(ServerConnection, instance=True, latency=latency, transport=mock.Mock())  # type: ignore[no-any-return]


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def get(url: str) -> tuple[int, str, bytes]:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.status, answer.headers["Content-Type"], answer.read()


async def test_the_page_and_its_parts_are_served_from_here_alone() -> None:
    async with serving() as kiosk:
        for path, kind in (
            ("/", "text/html"),
            ("/kiosk.js", "text/javascript"),
            ("/kiosk.css", "text/css"),
            ("/icon.svg", "image/svg+xml"),
        ):
            status, content_type, body = await asyncio.to_thread(get, f"http://127.0.0.1:{kiosk.port}{path}")
            assert (status, content_type.split(";")[0]) == (200, kind)
            assert b"//" not in body.replace(b"ws://", b"").replace(b"http://www.w3.org/2000/svg", b"").replace(
                b"// ", b""
            ), "nothing is fetched from elsewhere"
        with pytest.raises(HTTPError, match="404"):
            await asyncio.to_thread(get, f"http://127.0.0.1:{kiosk.port}/../server.py")


async def test_a_page_hears_the_picture_at_once_and_every_change() -> None:
    async with serving() as kiosk, connect(f"ws://127.0.0.1:{kiosk.port}/ws") as page:
        assert (await heard(page))["state"] == "starting"
        kiosk.show(Screen(State.GRANTED_IN, for_ms=3_000, support="aa-5"))
        view = await heard(page)
        assert (view["state"], view["left_ms"], view["support"]) == ("granted_in", 3_000, "aa-5")
        kiosk.show(IDLE)
        assert (await heard(page))["state"] == "idle"


async def test_a_lost_link_is_shown_beside_the_picture() -> None:
    async with serving() as kiosk, connect(f"ws://127.0.0.1:{kiosk.port}/ws") as page:
        await heard(page)
        kiosk.set_link(offline=True, waiting=5)
        view = await heard(page)
        assert (view["offline"], view["waiting"]) == (True, 5)


async def test_another_sites_page_may_not_open_the_socket() -> None:
    async with serving([]) as kiosk:
        with pytest.raises(InvalidStatus, match="403"):
            async with connect(f"ws://127.0.0.1:{kiosk.port}/ws", origin="http://evil.example"):  # type: ignore[arg-type]
                pass


async def test_presses_reach_the_panel_of_simulated_hardware() -> None:
    presses: list[bytes] = []
    async with serving(presses) as kiosk, connect(f"ws://127.0.0.1:{kiosk.port}/ws") as page:
        assert (await heard(page))["simulated"] is True
        await page.send('{"do":"tap"}')
        await page.send(b'{"do":"qr"}')
        while len(presses) < 2:
            await asyncio.sleep(0.001)
        assert presses == [b'{"do":"tap"}', b'{"do":"qr"}']


async def test_a_press_that_was_wrong_is_told_to_its_page() -> None:
    async with serving([]) as kiosk, connect(f"ws://127.0.0.1:{kiosk.port}/ws") as page:
        await heard(page)
        await page.send('{"do":"tap"}')
        assert await heard(page) == {"pressed": "nothing there"}


async def test_a_page_is_told_the_sites_time_zone_and_known_to_watch() -> None:
    kiosk = Kiosk(door="North", port=0, panel=None, time_zone=lambda: "Europe/Madrid")
    assert (kiosk.view.tz, kiosk.is_watched) == ("Europe/Madrid", False)
    async with serving() as watched, connect(f"ws://127.0.0.1:{watched.port}/ws") as page:
        await heard(page)
        assert watched.is_watched


async def test_a_real_door_has_no_panel() -> None:
    async with serving() as kiosk, connect(f"ws://127.0.0.1:{kiosk.port}/ws") as page:
        await heard(page)
        await page.send('{"do":"tap"}')
        with pytest.raises(ConnectionClosed, match="1008"):
            await heard(page)


async def test_the_ninth_page_takes_the_place_of_the_oldest() -> None:
    async with serving() as kiosk:
        url = f"ws://127.0.0.1:{kiosk.port}/ws"
        pages = [await connect(url) for _ in range(MAX_PAGES + 1)]
        assert (await heard(pages[-1]))["state"] == "starting"
        with pytest.raises(ConnectionClosed):
            await heard_to_the_end(pages[0])
        assert (await heard(pages[1]))["state"] == "starting"
        for page in pages:
            await page.close()


async def test_page_that_answers_outlasts_one_that_is_mute() -> None:
    crowd, pages = Crowd(), [stranger(latency=latency) for latency in (0.01, 0.0, *[0.01] * (MAX_PAGES - 2), 0.0)]
    for page in pages:
        crowd.arrive(page)
        crowd.admit(page)
    assert crowd.pages == (pages[0], *pages[2:])
    pages[1].transport.abort.assert_called_once_with()  # type: ignore[attr-defined]


async def test_strangers_that_say_nothing_are_bounded_and_keep_no_page_out() -> None:
    """Each is a descriptor of the process: enough of them, and the journal could not be opened any more."""
    async with serving() as kiosk:
        before = open_descriptors()
        strangers = [socket.create_connection(("127.0.0.1", kiosk.port)) for _ in range(2)]
        try:
            for _ in range(2 * MAX_WAITING):
                strangers.append(await asyncio.to_thread(socket.create_connection, ("127.0.0.1", kiosk.port)))
            await asyncio.sleep(0.05)
            assert open_descriptors() - before - len(strangers) <= MAX_WAITING
            async with connect(f"ws://127.0.0.1:{kiosk.port}/ws") as page:
                assert (await heard(page))["state"] == "starting"
        finally:
            for each in strangers:
                each.close()


def test_dropped_connections_are_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = [0]
    crowd = Crowd(lambda: now[0])
    for _ in range(MAX_WAITING + 500):
        crowd.arrive(stranger())
    assert len(caplog.messages) == 1
    now[0] = 60_000
    crowd.arrive(stranger())
    assert caplog.messages[1:] == [caplog.messages[0].replace(" 1 conn", " 500 conn")]


async def test_page_that_reads_nothing_is_let_go_and_holds_up_nobody() -> None:
    async with serving() as kiosk:
        url = f"ws://127.0.0.1:{kiosk.port}/ws"
        async with connect(url) as page, connect(url, max_queue=1) as deaf:
            deaf.transport.pause_reading()
            for _ in range(60):
                kiosk.show(Screen(State.DENIED, support="x" * 200_000))
                assert len(str((await heard(page))["headline"])) > 0
            deaf.transport.resume_reading()
            with pytest.raises(ConnectionClosed):
                await heard_to_the_end(deaf)


def test_figure_that_cannot_be_read_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(health, "_STATM", tmp_path / "gone")
    assert (health.rss_bytes(), health.disk_free_bytes(tmp_path / "gone")) == (0, 0)
    assert health.disk_free_bytes(tmp_path) > 0


async def test_a_taken_port_costs_the_page_not_the_door(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        await Kiosk(door="North", port=taken.getsockname()[1], panel=None).run()
    assert "set kiosk.port to a free one" in caplog.text


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("code", [None, *PublicCode])
def test_every_picture_has_words_that_fit(state: State, code: PublicCode | None) -> None:
    headline, line = words_of(Screen(state, code=code), "Ring the bell")
    assert 0 < len(headline) <= 14
    assert 0 < len(line) <= 17


def test_a_door_that_cannot_help_says_what_else_to_do() -> None:
    kiosk = Kiosk(door="North", port=0, panel=None, own_text="Call 55 12 34")
    kiosk.show(CLOSED)
    assert (kiosk.view.line, kiosk.view.text) == ("Call 55 12 34", "Call 55 12 34")


def test_the_picture_names_nobody() -> None:
    view = Kiosk(door="North", port=0, panel=None)
    view.show(out_of_service(PublicCode.STORAGE))
    assert (view.view.state, view.view.code) == (State.OUT_OF_SERVICE, PublicCode.STORAGE)
