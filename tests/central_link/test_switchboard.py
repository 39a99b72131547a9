"""Notices between processes and connections, and one connection's loop against a server that misbehaves."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from channels.layers import InMemoryChannelLayer
from django.db import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError

from central.devices.claims import Refused
from central.devices.fencing import FencedError, RevokedError
from central.devices.ids import uuid7
from central.devices.tokens import Admitted, Refusal
from central.sync import connection as connection_module
from central.sync import consumer as consumer_module
from central.sync import hints, switchboard
from central.sync.connection import Connection
from central.sync.consumer import DeviceConsumer
from central.sync.database import Database
from central.sync.exchange import Effect, Ended, Input, OpenSession, Terms, Unreadable
from central.sync.performing import Performer
from central.sync.switchboard import MAX_PER_DEVICE, Notice, SiteVersions, Switchboard, What
from wire.errors import DoorstileError, RemoteProtocolError
from wire.messages import Hello
from wire.token import TokenClaims
from wire.vocabulary import CloseCode, ErrorCode

pytestmark = pytest.mark.unit

CLAIMS = TokenClaims(iss="d", sub="d", aud="a", iat=0, nbf=0, exp=60, jti="0" * 32, run="", n=0, head="")
DEVICE, SITE = uuid7(), uuid7()


class RecordedLink:
    """A connection that keeps its notices."""

    def __init__(self, device_id: UUID = DEVICE, site_id: UUID = SITE) -> None:
        self.device_id = device_id
        self.site_id = site_id
        self.notices: list[Notice] = []

    def missing(self, newest: SiteVersions) -> list[What]:
        return []

    def notify(self, notice: Notice) -> None:
        self.notices.append(notice)


class LostLayer(InMemoryChannelLayer):  # type: ignore[misc]
    """A channel layer whose Redis is gone."""

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        raise RedisConnectionError

    async def new_channel(self, prefix: str = "") -> str:
        raise RedisConnectionError


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> InMemoryChannelLayer:
    found = InMemoryChannelLayer()
    for module in (hints, switchboard):
        monkeypatch.setattr(module, "get_channel_layer", lambda: found)
    return found


def lose(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (hints, switchboard):
        monkeypatch.setattr(module, "get_channel_layer", LostLayer)


async def until(link: RecordedLink, count: int) -> list[Notice]:
    async with asyncio.timeout(5):
        while len(link.notices) < count:
            await asyncio.sleep(0)
    return link.notices


async def test_hints_find_the_connections_that_they_concern(layer: InMemoryChannelLayer) -> None:
    board, here, elsewhere = Switchboard(), RecordedLink(), RecordedLink(uuid7(), uuid7())
    board.join(here)
    board.join(elsewhere)
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(board.listen())
        while hints.GROUP not in layer.groups:
            await asyncio.sleep(0)
        await asyncio.to_thread(hints.directory_changed, SITE)
        await asyncio.to_thread(hints.command_due, DEVICE)
        await asyncio.to_thread(hints.revoked, DEVICE)
        found = await until(here, 3)
        listening.cancel()
    assert [notice.what for notice in found] == [What.DIRECTORY, What.COMMAND, What.REVOKED]
    assert elsewhere.notices == []


async def test_older_sessions_are_told_even_without_a_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    lose(monkeypatch)
    board, link = Switchboard(), RecordedLink()
    board.join(link)
    await board.supersede(DEVICE, 7)
    assert link.notices == [Notice(What.SUPERSEDED, 7)]


def test_hint_without_a_layer_is_logged_and_lost(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lose(monkeypatch)
    hints.command_due(DEVICE)
    assert "learn of it with their next heartbeat" in caplog.text
    monkeypatch.setattr(hints, "get_channel_layer", lambda: None)
    hints.command_due(DEVICE)


async def test_listening_goes_on_when_the_layer_comes_back(
    layer: InMemoryChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switchboard, "RETRY_S", 0.0)
    layers = iter([LostLayer(), LostLayer()])
    monkeypatch.setattr(switchboard, "get_channel_layer", lambda: next(layers, layer))
    board, link = Switchboard(), RecordedLink()
    board.join(link)
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(board.listen())
        while hints.GROUP not in layer.groups:
            await asyncio.sleep(0)
        await asyncio.to_thread(hints.command_due, DEVICE)
        await until(link, 1)
        listening.cancel()


async def test_listening_renews_its_place_in_the_group(
    layer: InMemoryChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switchboard, "RENEW_S", 0.001)
    seen: set[str] = set()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(Switchboard().listen())
        while len(seen) < 3:
            seen |= set(layer.groups.get(hints.GROUP, ()))
            await asyncio.sleep(0)
        listening.cancel()


def test_connections_of_a_device_are_bounded() -> None:
    board = Switchboard()
    links = [RecordedLink() for _ in range(MAX_PER_DEVICE)]
    assert all(board.join(link) for link in links)
    assert not board.join(RecordedLink())
    board.leave(links[0])
    assert board.join(RecordedLink())
    assert len(board) == MAX_PER_DEVICE


async def test_parting_waits_until_all_have_left() -> None:
    board, link = Switchboard(), RecordedLink()
    await board.part()
    board.join(link)
    async with asyncio.TaskGroup() as tasks:
        parting = tasks.create_task(board.part())
        await asyncio.sleep(0)
        assert link.notices == [Notice(What.PARTING)]
        assert not parting.done()
        board.leave(link)


# One connection


class StubPerformer(Performer):
    """Answers from a list instead of the database."""

    def __init__(self, answers: list[Input | Exception] | None = None) -> None:
        super().__init__(DEVICE, Database(1), Switchboard())
        self.answers = answers or []
        self.is_closed = False

    async def perform(self, effect: Effect) -> Input | None:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self) -> None:
        self.is_closed = True


class StubServer:
    """The ASGI server's side of one socket."""

    def __init__(self, *frames: dict[str, Any]) -> None:
        self.frames: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for frame in frames:
            self.frames.put_nowait(frame)
        self.sent: list[dict[str, Any]] = []
        self.fault: Exception | None = None
        self.is_stuck = False

    async def receive(self) -> dict[str, Any]:
        return await self.frames.get()

    async def send(self, event: dict[str, Any]) -> None:
        if self.fault is not None:
            raise self.fault
        if self.is_stuck:
            await asyncio.Event().wait()
        self.sent.append(event)

    @property
    def close_code(self) -> int | None:
        return next((event["code"] for event in self.sent if event["type"] == "websocket.close"), None)


def connection(server: StubServer, performer: Performer) -> Connection:
    admitted = Admitted(DEVICE, SITE, "k", CLAIMS)
    return Connection(admitted, performer, Terms(), server.receive, server.send)


GARBAGE = {"type": "websocket.receive", "text": '{"type":"teapot"}'}
GONE = {"type": "websocket.disconnect", "code": 1006}


async def test_device_that_leaves_ends_its_connection() -> None:
    server, performer = StubServer(GONE), StubPerformer()
    await connection(server, performer).serve()
    assert performer.is_closed


async def test_device_that_does_not_read_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "SEND_WITHIN_S", 0.01)
    server, performer = StubServer(GARBAGE), StubPerformer()
    server.is_stuck = True
    await connection(server, performer).serve()
    assert performer.is_closed


async def test_device_that_is_gone_when_we_answer_ends_its_connection() -> None:
    server, performer = StubServer(GARBAGE), StubPerformer()
    server.fault = ConnectionResetError()
    await connection(server, performer).serve()
    assert performer.is_closed


@pytest.mark.parametrize(("what", "code"), [(What.REVOKED, CloseCode.REVOKED), (What.PARTING, CloseCode.UNAVAILABLE)])
async def test_notice_ends_the_connection(what: What, code: CloseCode) -> None:
    server = StubServer()
    served = connection(server, StubPerformer())
    served.notify(Notice(what))
    await served.serve()
    assert server.close_code == code


async def test_hints_before_the_session_change_nothing() -> None:
    server = StubServer()
    served = connection(server, StubPerformer())
    for what in (What.DIRECTORY, What.COMMAND, What.SUPERSEDED):
        served.notify(Notice(what, 99))
    server.frames.put_nowait(GONE)
    await served.serve()
    assert server.sent == []


# The handshake's bounds


def consumer(verdict: Admitted | Refusal | Exception, monkeypatch: pytest.MonkeyPatch) -> DeviceConsumer:
    def admit(_token: str, **_: object) -> Admitted | Refusal:
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    monkeypatch.setattr(consumer_module, "admit", admit)
    return DeviceConsumer(Switchboard(), Database(1), audience="a", terms=Terms())


SCOPE = {"headers": [(b"authorization", b"Bearer x")], "query_string": b"", "subprotocols": ["doorstile.v1"]}
CONNECT = {"type": "websocket.connect"}


def answered(server: StubServer) -> tuple[int, dict[bytes, bytes]]:
    start = server.sent[0]
    return start["status"], dict(start["headers"])


async def test_lost_database_asks_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    server = StubServer(CONNECT)
    await consumer(OperationalError("gone"), monkeypatch)(SCOPE, server.receive, server.send)
    status, headers = answered(server)
    assert (status, headers[b"retry-after"]) == (503, b"2")


async def test_too_many_handshakes_are_asked_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_module, "MAX_HANDSHAKES", 0)
    server = StubServer(CONNECT)
    refusing = consumer(Refusal(401, Refused.CLOCK, ""), monkeypatch)
    await refusing(SCOPE, server.receive, server.send)
    assert answered(server)[0] == 503


async def test_client_that_does_not_wait_for_the_refusal_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    server = StubServer(CONNECT, CONNECT)
    server.fault = ConnectionResetError()
    await consumer(Refusal(401, Refused.CLOCK, ""), monkeypatch)(SCOPE, server.receive, server.send)
    await consumer(Admitted(DEVICE, SITE, "k", CLAIMS), monkeypatch)(SCOPE, server.receive, server.send)
    assert server.sent == []


async def test_bug_in_one_connection_stays_there_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(connection_module, "step", explode)
    server = StubServer(CONNECT)
    await consumer(Admitted(DEVICE, SITE, "k", CLAIMS), monkeypatch)(SCOPE, server.receive, server.send)
    assert server.close_code == 1011
    assert "ZeroDivisionError" in caplog.text


# What goes wrong while an effect is done


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (FencedError(DEVICE, 1, 2), CloseCode.SUPERSEDED),
        (RevokedError("gone"), CloseCode.REVOKED),
        (OperationalError("gone"), CloseCode.UNAVAILABLE),
        (DoorstileError("cannot"), CloseCode.UNAVAILABLE),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_fault_of_the_database_or_a_fence_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, fault: Exception, expected: CloseCode
) -> None:
    event = await performed(monkeypatch, fault)
    assert isinstance(event, Ended)
    assert event.close is expected


async def test_fault_of_the_device_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    event = await performed(monkeypatch, RemoteProtocolError(ErrorCode.MALFORMED, "run"))
    assert isinstance(event, Unreadable)
    assert event.code is ErrorCode.MALFORMED


async def performed(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> Input | None:
    database = Database(1)

    async def run(*_: object) -> None:
        raise fault

    monkeypatch.setattr(database, "run", run)
    hello: Hello = None  # type: ignore[assignment]
    return await Performer(DEVICE, database, Switchboard()).perform(OpenSession(hello))
