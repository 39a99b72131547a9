"""The feed reaches the pages that are open, and nobody else."""

from typing import Any
from uuid import UUID

import msgspec
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from asgiref.testing import ApplicationCommunicator
from channels.layers import InMemoryChannelLayer
from django.contrib.auth.models import AnonymousUser, User
from django.test import Client
from django.utils import timezone
from redis.exceptions import ConnectionError as RedisDown

from central.checkins import feed, ingest, runs
from central.dashboard import consumers
from central.dashboard.consumers import FeedConsumer
from central.devices import commands
from central.devices.models import Device, Site
from central.directory.models import Member
from tests.fakes.journal_script import JournalScript, hello
from wire.events import AlarmBody, Body, CommandResultBody
from wire.vocabulary import AlarmCode, CommandName, CommandState

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

STAFF = User(username="desk", is_staff=True)


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> InMemoryChannelLayer:
    """Return a channel layer of this test's own event loop."""
    fresh = InMemoryChannelLayer()
    monkeypatch.setattr(feed, "get_channel_layer", lambda: fresh)
    monkeypatch.setattr("channels.consumer.get_channel_layer", lambda _alias: fresh)
    monkeypatch.setattr("central.dashboard.consumers._groups", groups)
    return fresh


SITE = UUID(int=1)
OTHER = UUID(int=2)


async def groups(chosen: str) -> list[str]:
    return [feed.group(pk) for pk in (SITE, OTHER) if chosen in ("", str(pk))]


def page(user: User | AnonymousUser | None, query: str = "") -> Any:
    """Return a page's socket, as ASGI has it after session and origin were looked at."""
    scope: dict[str, Any] = {
        "type": "websocket",
        "path": "/ws/live/",
        "query_string": query.encode(),
        "headers": [],
        "user": user,
    }
    communicator: Any = ApplicationCommunicator  # asgiref ships it without types
    return communicator(FeedConsumer.as_asgi(), scope)


async def opened(socket: Any) -> dict[str, Any]:
    await socket.send_input({"type": "websocket.connect"})
    answer: dict[str, Any] = await socket.receive_output()
    return answer


async def told(socket: Any) -> str:
    text: str = (await socket.receive_output())["text"]
    return text


async def closed(socket: Any) -> None:
    await socket.send_input({"type": "websocket.disconnect", "code": 1001})
    await socket.wait()


@pytest.mark.parametrize(
    "user", [None, AnonymousUser(), User(username="member"), User(username="gone", is_staff=True, is_active=False)]
)
async def test_socket_is_for_staff_only(layer: InMemoryChannelLayer, user: User | AnonymousUser | None) -> None:
    socket = page(user)
    assert await opened(socket) == {"type": "websocket.close", "code": 4403}
    assert layer.groups == {}
    await closed(socket)


async def test_page_is_told_of_its_site_alone(layer: InMemoryChannelLayer) -> None:
    socket = page(STAFF, f"site={SITE}")
    assert (await opened(socket))["type"] == "websocket.accept"
    await layer.group_send(feed.group(OTHER), {"type": feed.TYPE, "text": "other"})
    await layer.group_send(feed.group(SITE), {"type": feed.TYPE, "text": "mine"})
    assert await told(socket) == "mine"
    assert await socket.receive_nothing(timeout=0.01)
    await closed(socket)
    assert not any(layer.groups.values())


async def test_page_of_all_sites_is_told_of_all(layer: InMemoryChannelLayer) -> None:
    socket = page(STAFF)
    await opened(socket)
    for site in (SITE, OTHER):
        await layer.group_send(feed.group(site), {"type": feed.TYPE, "text": str(site)})
        assert await told(socket) == str(site)
    await closed(socket)


@pytest.mark.parametrize(("now", "code"), [(STAFF, None), (AnonymousUser(), 4403), (User(username="member"), 4403)])
async def test_page_of_somebody_who_was_dismissed_is_told_nothing_more(
    layer: InMemoryChannelLayer, monkeypatch: pytest.MonkeyPatch, now: User | AnonymousUser, code: int | None
) -> None:
    async def user_now(_scope: dict[str, Any]) -> User | AnonymousUser:
        return now

    monkeypatch.setattr("central.dashboard.consumers._user_now", user_now)
    socket = page(STAFF)
    await opened(socket)
    monkeypatch.setattr("central.dashboard.consumers.CHECKED_S", 0.0)
    await layer.group_send(feed.group(SITE), {"type": feed.TYPE, "text": "somebody came"})
    answer = await socket.receive_output()
    assert (answer.get("code"), answer.get("text")) == (code, None if code else "somebody came")
    await closed(socket)


def test_a_session_that_ended_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channels.db.close_old_connections", lambda: None)  # it is the test's own
    user = User.objects.create_user("desk", password="a long password", is_staff=True)
    browser = Client()
    browser.force_login(user)
    scope = {"session": browser.session}
    now = async_to_sync(consumers._user_now)
    assert now(scope) == user
    user.set_password("another long password")
    user.save()
    assert now(scope) == AnonymousUser()
    browser.force_login(user)
    scope = {"session": browser.session}
    assert now(scope) == user
    browser.session.delete()
    assert now(scope) == AnonymousUser()


async def test_page_that_speaks_is_closed(layer: InMemoryChannelLayer) -> None:
    socket = page(STAFF)
    await opened(socket)
    await socket.send_input({"type": "websocket.receive", "text": "hello"})
    assert (await socket.receive_output())["code"] == 4400
    await closed(socket)


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return what would go to the pages, one item a message."""
    messages: list[dict[str, Any]] = []

    class Layer:
        async def group_send(self, group: str, message: dict[str, Any]) -> None:
            messages.append({"group": group, **message})

    monkeypatch.setattr(feed, "get_channel_layer", Layer)
    return messages


def test_batch_is_one_message_after_the_commit(
    site: Site, journal: JournalScript, member: Member, announced: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    for n in range(80):
        journal.visit(member.pk, n * 1000)
    runs.register(journal.device, 1, hello(journal.device, [journal.state()]))
    with django_capture_on_commit_callbacks(execute=True):
        ingest.ingest_events(journal.device, 1, journal.run, 1, journal.raws())
        assert announced == []
    (message,) = announced
    assert (message["group"], message["type"]) == (feed.group(site.pk), feed.TYPE)
    content = msgspec.json.decode(message["text"])
    assert (content["type"], content["site"], len(content["entries"])) == ("entries", str(site.pk), feed.ENTRIES)
    assert content["entries"][-1]["who"] == "Ann Example"


def test_batch_that_shows_nothing_tells_nothing(
    journal: JournalScript, member: Member, announced: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    journal.passage(1, 0)
    runs.register(journal.device, 1, hello(journal.device, [journal.state()]))
    with django_capture_on_commit_callbacks(execute=True):
        ingest.ingest_events(journal.device, 1, journal.run, 1, journal.raws())
    assert announced == []


def happening(device: Device, body: Body) -> feed.Happening:
    return feed.Happening(f"{device.pk}/aa/1", "North", 0, 0, body, None)


def test_an_unlock_says_who_let_one_person_in_and_why(device: Device) -> None:
    row = commands.issue(device, CommandName.UNLOCK, actor="ann", reason="forgot card", now=timezone.now())
    done, failed, strange = (
        CommandResultBody(id=id_, name=CommandName.UNLOCK, state=state, code="pulsed")
        for id_, state in (
            (str(row.pk), CommandState.DONE), (str(row.pk), CommandState.FAILED), ("no id", CommandState.DONE),
        )
    )  # fmt: skip
    said = [entry.detail for entry in feed.entries([happening(device, body) for body in (done, strange)])]
    assert said == ["one person let in, by ann: forgot card", "one person let in"]
    (entry,) = feed.entries([happening(device, failed)])
    assert entry.detail == "let one person in: failed, pulsed, asked by ann: forgot card"


def test_a_reader_that_is_back_is_good_news(device: Device) -> None:
    body = AlarmBody(code=AlarmCode.READER_BACK, detail="in: reader_back")
    (entry,) = feed.entries([happening(device, body)])
    assert (entry.what, entry.detail) == ("good_news", "reader in is back")


def test_repeated_batch_tells_nothing(
    journal: JournalScript, member: Member, announced: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    journal.visit(member.pk)
    runs.register(journal.device, 1, hello(journal.device, [journal.state()]))
    ingest.ingest_events(journal.device, 1, journal.run, 1, journal.raws())
    with django_capture_on_commit_callbacks(execute=True):
        ingest.ingest_events(journal.device, 1, journal.run, 1, journal.raws())
    assert announced == []


def test_layer_that_is_away_costs_nothing(
    device: Device, journal: JournalScript, member: Member, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, django_capture_on_commit_callbacks: Any,
) -> None:  # fmt: skip
    class Layer:
        async def group_send(self, *_: Any) -> None:
            raise RedisDown("connection refused")

    monkeypatch.setattr(feed, "get_channel_layer", Layer)
    journal.visit(member.pk)
    runs.register(journal.device, 1, hello(journal.device, [journal.state()]))
    with django_capture_on_commit_callbacks(execute=True):
        assert ingest.ingest_events(journal.device, 1, journal.run, 1, journal.raws()).upto == 2
    assert "pages catch up when they ask again" in caplog.text


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        ("in: reader_missing: no such slot", "reader in is missing (no such slot); check its plug and its power;"),
        ("in: reader_missing", "reader in is missing; check its plug and its power;"),
        ("out: reader_stalled: no answer", "reader out does not answer (no answer); unplug it and plug it in again"),
        ("in: service_down", "reader in cannot be asked as its service is down; restart that on the device:"),
        ("", "reader of this door is missing; check"),
    ],
)
def test_missing_reader_is_named_with_what_to_do(detail: str, said: str) -> None:
    words = feed._told(AlarmBody(code=AlarmCode.READER_MISSING, detail=detail))
    assert words is not None
    assert words[2].startswith(said)


@pytest.mark.django_db(transaction=True)
async def test_page_listens_to_every_site_there_is() -> None:
    from central.dashboard.consumers import _groups

    sites = [await sync_to_async(Site.objects.create)(name=name) for name in ("a", "b")]
    assert set(await _groups("")) == {feed.group(site.pk) for site in sites}
    assert await _groups(str(sites[0].pk)) == [feed.group(sites[0].pk)]
    assert await _groups("nonsense") == []
