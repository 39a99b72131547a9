"""The link over a real server and a real WebSocket: handshakes, events, fencing, bad frames, an orderly end."""

import asyncio
import re
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.central_link.minting import GONE, DeviceIdentity
from tests.fakes.journal_script import JournalScript
from tests.fakes.scripted_device import ScriptedDevice, connected, join, journal_of
from tests.services.central import RunningCentral, running_central
from wire.codec import encode, encode_events
from wire.limits import MAX_FRAME_BYTES
from wire.messages import Ack, AuthOk, AuthRefresh, Bye, Error, Heartbeat, HeartbeatAck, Nack
from wire.transfer import DirBegin, DirEnd, DirState
from wire.vocabulary import ClockQuality, CloseCode, ErrorCode

pytestmark = pytest.mark.service


def now() -> datetime:
    return datetime.now(UTC)


def with_events(identity: DeviceIdentity, count: int, **changes: Any) -> JournalScript:
    journal = journal_of(identity, **changes)
    for n in range(count):
        journal.grant(member=None, at_ms=n)  # type: ignore[arg-type]
    return journal


async def handshake(central: RunningCentral, token: str | None, *, query: str = "", protocol: str | None = "") -> Any:
    """Return the HTTP response that refuses a handshake."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    subprotocols: Any = ["doorstile.v1"] if protocol == "" else ([protocol] if protocol else None)
    with pytest.raises(InvalidStatus) as refused:
        async with connect(central.link_url + query, additional_headers=headers, subprotocols=subprotocols, proxy=None):
            pass
    return refused.value.response


# Handshake


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "another"}, "audience"),
        ({"iss": "another"}, "subject"),
        ({"exp": GONE}, "claims"),
        ({"headers": {"typ": "JWT"}}, "type"),
        ({"headers": {"kid": "another"}}, "unknown_key"),
    ],
    ids=str,
)
async def test_wrong_token_is_refused_before_the_upgrade(
    sqlite_central: RunningCentral, changes: dict[str, Any], reason: str
) -> None:
    identity = join(sqlite_central)
    response = await handshake(sqlite_central, identity.token(now(), **changes))
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, f'Doorstile error="{reason}"')


async def test_handshake_without_token_is_refused(sqlite_central: RunningCentral) -> None:
    response = await handshake(sqlite_central, None)
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, 'Doorstile error="no_token"')


async def test_token_in_the_address_is_refused_and_not_logged(sqlite_central: RunningCentral) -> None:
    token = join(sqlite_central).token(now())
    response = await handshake(sqlite_central, None, query=f"?token={token}")
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (400, 'Doorstile error="token_in_url"')
    assert token.split(".")[2] not in sqlite_central.log


@pytest.mark.parametrize("protocol", [None, "mqtt"])
async def test_other_subprotocols_are_refused(sqlite_central: RunningCentral, protocol: str | None) -> None:
    response = await handshake(sqlite_central, join(sqlite_central).token(now()), protocol=protocol)
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (400, 'Doorstile error="subprotocol"')


async def test_unknown_address_answers_404(sqlite_central: RunningCentral) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(sqlite_central.link_url.replace("devices", "elsewhere"), proxy=None):
            pass
    assert refused.value.response.status_code == 404


async def test_wrong_clock_connects_with_the_nonce(central: RunningCentral) -> None:
    identity = join(central)
    clock = now() - timedelta(days=20_000)
    response = await handshake(central, identity.token(clock))
    found = re.fullmatch(r'Doorstile error="clock", nonce="([0-9a-f]{32})"', response.headers["WWW-Authenticate"])
    assert response.status_code == 401
    assert found
    async with connected(central.link_url, identity.token(clock, nonce=found[1])) as device:
        assert device.socket.subprotocol == "doorstile.v1"


async def test_token_is_accepted_once(central: RunningCentral) -> None:
    token = join(central).token(now())
    async with connected(central.link_url, token):
        pass
    response = await handshake(central, token)
    assert response.headers["WWW-Authenticate"] == 'Doorstile error="replayed"'


# Events


async def test_events_are_acknowledged_with_the_chain(central: RunningCentral) -> None:
    identity = join(central)
    journal = with_events(identity, 250)
    async with connected(central.link_url, identity.token(now())) as device:
        welcome = await device.greet(journal)
        assert [(held.run, held.upto) for held in welcome.runs] == [(journal.run, 0)]
        assert (await device.deliver(journal, 1, 200)).head == journal.heads[200].hex()
        ack = await device.deliver(journal, 201, 250)
        assert (ack.upto, ack.head, ack.rej) == (250, journal.heads[250].hex(), [])


async def test_resuming_device_learns_what_is_held(central: RunningCentral) -> None:
    identity = join(central)
    journal = with_events(identity, 5)
    async with connected(central.link_url, identity.token(now())) as device:
        await device.greet(journal)
        await device.deliver(journal, 1, 3)
    async with connected(central.link_url, identity.token(now())) as device:
        welcome = await device.greet(journal)
        assert (welcome.runs[0].upto, welcome.runs[0].head) == (3, journal.heads[3].hex())
        assert welcome.session == 2
        assert (await device.deliver(journal, 2, 5)).upto == 5


async def test_gap_is_asked_for(central: RunningCentral) -> None:
    identity = join(central)
    journal = with_events(identity, 9)
    async with connected(central.link_url, identity.token(now())) as device:
        await device.greet(journal)
        await device.send(journal, 4, 9)
        assert await device.hear(Nack) == Nack(run=journal.run, expect=1)
        assert (await device.deliver(journal, 1, 9)).upto == 9


async def test_altered_event_is_rejected_and_those_behind_it_are_kept(central: RunningCentral) -> None:
    identity = join(central)
    journal = with_events(identity, 3)
    altered = encode_altered(journal)
    async with connected(central.link_url, identity.token(now())) as device:
        await device.greet(journal)
        await device.say_raw(altered)
        ack = await device.hear(Ack)
        assert ack.upto == 3
        assert [(rejection.n, rejection.code) for rejection in ack.rej] == [(2, "digest_mismatch")]


def encode_altered(journal: JournalScript) -> str:
    raws = journal.raws(1, 3)
    raws[1] = raws[1].replace(b'"reader-1"', b'"reader-2"')
    return encode_events(journal.run, 1, raws).decode()


# Heartbeats, directory, lease


async def test_heartbeat_is_echoed(central: RunningCentral) -> None:
    identity = join(central)
    async with connected(central.link_url, identity.token(now())) as device:
        await device.greet(with_events(identity, 0))
        await device.say(Heartbeat(mono_ms=4711, wall_ms=(1 << 53) - 1, q=ClockQuality.NONE, backlog=5, door="\0" * 99))
        ack = await device.hear(HeartbeatAck)
        assert ack.echo_mono_ms == 4711
        assert abs(ack.server_ms - now().timestamp() * 1000) < 5_000


async def test_new_device_gets_its_directory(central: RunningCentral) -> None:
    identity = join(central)
    async with connected(central.link_url, identity.token(now())) as device:
        welcome = await device.greet(with_events(identity, 0))
        begin = await device.hear(DirBegin)
        assert (begin.epoch, begin.ver) == (welcome.dir.epoch, welcome.dir.ver)
        assert welcome.dir.digest == "", "nobody worked it out yet"
        await device.hear(DirEnd)
        await device.say(DirState(epoch=begin.epoch, ver=begin.ver, digest=begin.digest))
    async with connected(central.link_url, identity.token(now())) as device:
        welcome = await device.greet(with_events(identity, 0))
        assert (welcome.dir.epoch, welcome.dir.ver, welcome.dir.digest) == (begin.epoch, begin.ver, begin.digest)


async def test_lease_is_renewed_by_a_new_token(central: RunningCentral) -> None:
    identity = join(central)
    async with connected(central.link_url, identity.token(now())) as device:
        await device.greet(with_events(identity, 0))
        await device.say(AuthRefresh(token=identity.token(now())))
        assert (await device.hear(AuthOk)).lease_s > 3600


async def test_refused_renewal_closes(central: RunningCentral) -> None:
    identity, other = join(central), join(central, "South door")
    async with connected(central.link_url, identity.token(now())) as device:
        await device.greet(with_events(identity, 0))
        await device.say(AuthRefresh(token=other.token(now())))
        assert await device.closed() == CloseCode.TOKEN


# Fencing


async def test_newer_connection_ends_the_older_one(central: RunningCentral) -> None:
    identity = join(central)
    journal = with_events(identity, 2)
    async with connected(central.link_url, identity.token(now())) as older:
        await older.greet(journal)
        async with connected(central.link_url, identity.token(now())) as newer:
            await newer.greet(journal)
            assert await older.closed() == CloseCode.SUPERSEDED
            assert (await newer.deliver(journal, 1, 2)).upto == 2


async def test_connections_of_one_device_are_bounded(sqlite_central: RunningCentral) -> None:
    identity = join(sqlite_central)
    async with asyncio.timeout(20):
        async with (
            connected(sqlite_central.link_url, identity.token(now())),
            connected(sqlite_central.link_url, identity.token(now())),
            connected(sqlite_central.link_url, identity.token(now())),
            connected(sqlite_central.link_url, identity.token(now())),
        ):
            response = await handshake(sqlite_central, identity.token(now()))
            assert response.status_code == 429
            assert response.headers["Retry-After"]


# Bad frames


async def greeted(device: ScriptedDevice, identity: DeviceIdentity) -> None:
    await device.greet(with_events(identity, 0))
    await device.hear(DirEnd)


async def test_unknown_type_is_answered_and_the_connection_stays(sqlite_central: RunningCentral) -> None:
    identity = join(sqlite_central)
    async with connected(sqlite_central.link_url, identity.token(now())) as device:
        await greeted(device, identity)
        await device.say_raw('{"type":"teapot","payload":{}}')
        assert (await device.hear(Error)).code is ErrorCode.UNKNOWN_TYPE
        await device.say(Heartbeat(mono_ms=1, wall_ms=1, q=ClockQuality.NONE, backlog=0))
        await device.hear(HeartbeatAck)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("x", CloseCode.PROTOCOL),
        ("[]", CloseCode.PROTOCOL),
        ('{"type":"events"', CloseCode.PROTOCOL),
        (b"\x00\x01", CloseCode.PROTOCOL),
        ('{"type":"events","payload":' + "[" * 50_000 + "]" * 50_000 + "}", CloseCode.PROTOCOL),
        ('{"type":"events","payload":{"x":"' + "y" * MAX_FRAME_BYTES + '"}}', CloseCode.TOO_LARGE),
    ],
    ids=["text", "array", "torn", "binary", "deep", "oversize"],
)
async def test_frame_that_is_none_closes_with_its_code(
    sqlite_central: RunningCentral, frame: str | bytes, code: CloseCode
) -> None:
    identity = join(sqlite_central)
    async with connected(sqlite_central.link_url, identity.token(now())) as device:
        await greeted(device, identity)
        await device.say_raw(frame)
        assert await device.closed() == code


async def test_frame_beyond_all_bounds_is_cut_off(sqlite_central: RunningCentral) -> None:
    identity = join(sqlite_central)
    async with connected(sqlite_central.link_url, identity.token(now())) as device:
        await greeted(device, identity)
        await device.say_raw("x" * (3 * MAX_FRAME_BYTES))
        assert await device.closed() == 1009


async def test_events_before_hello_close(sqlite_central: RunningCentral) -> None:
    identity = join(sqlite_central)
    async with connected(sqlite_central.link_url, identity.token(now())) as device:
        await device.send(with_events(identity, 1), 1, 1)
        assert await device.closed() == CloseCode.PROTOCOL


async def test_hello_of_another_device_closes(sqlite_central: RunningCentral) -> None:
    identity, other = join(sqlite_central), join(sqlite_central, "South door")
    async with connected(sqlite_central.link_url, identity.token(now())) as device:
        hello = with_events(other, 0)
        with pytest.raises(AssertionError, match="4400"):
            await expect_welcome(device, hello)


async def expect_welcome(device: ScriptedDevice, journal: JournalScript) -> None:
    from tests.fakes.journal_script import hello

    await device.say_raw(encode(hello(journal.device, [journal.state()])).decode())
    raise AssertionError(str(await device.closed()))


# The server as a whole


def test_health_page_answers(central: RunningCentral) -> None:
    with urllib.request.urlopen(central.url + "/health", timeout=5) as answer:
        assert (answer.status, answer.read()) == (200, b'{"status": "ok", "database": "ok"}')
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_foreign_host_is_refused(sqlite_central: RunningCentral) -> None:
    request = urllib.request.Request(sqlite_central.url + "/admin/", headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="400"), urllib.request.urlopen(request, timeout=5):
        pass


async def test_stopping_sends_devices_away_with_word_when_to_return(data: Any) -> None:
    with running_central(data) as central:
        identity = await asyncio.to_thread(join, central)
        async with connected(central.link_url, identity.token(now())) as device:
            await device.greet(with_events(identity, 0))
            stopping = asyncio.to_thread(central.stop)
            code, exit_code = await asyncio.gather(device.closed(), stopping)
        assert (code, exit_code) == (CloseCode.UNAVAILABLE, 0)
        assert any(isinstance(message, Bye) and message.retry_after_ms for message in device.aside)
        assert "Traceback" not in central.log


async def test_events_survive_a_restart_of_central(data: Any) -> None:
    with running_central(data) as central:
        identity = await asyncio.to_thread(join, central)
        journal = with_events(identity, 4)
        async with connected(central.link_url, identity.token(now())) as device:
            await device.greet(journal)
            await device.deliver(journal, 1, 4)
        central.process.kill()
        central.process.wait()
    with running_central(data) as central:
        async with connected(central.link_url, identity.token(now())) as device:
            welcome = await device.greet(journal)
            assert (welcome.runs[0].upto, welcome.runs[0].head) == (4, journal.heads[4].hex())
