"""Commands, changes and revocation over the real link, from other processes: heard at once, with Redis and without."""

import asyncio

import pytest

from tests.central_link.test_link import handshake, now, with_events
from tests.fakes.scripted_device import ScriptedDevice, connected, join
from tests.services.central import RunningCentral, running_central
from wire.messages import Command, CommandAck, CommandDone, CommandResult, Heartbeat, HeartbeatAck
from wire.transfer import DirBegin, DirEnd, DirState
from wire.vocabulary import ClockQuality, CloseCode, CommandMode, CommandState

pytestmark = pytest.mark.service
NEW_ZONE = """
from central.directory.models import Zone
from central.devices.models import Site
from uuid import uuid4
Zone.objects.create(site=Site.objects.get(name="Harbour gym"), name=uuid4().hex)
"""
OLD_COMMAND = """
from datetime import timedelta
from django.utils import timezone
from central.devices import commands
from central.devices.doors import device_at
then = timezone.now() - timedelta(seconds=11)
device = device_at("Door of an old command")
print(commands.issue(device, commands.CommandName.UNLOCK, actor="too old", reason="test", now=then).pk)
"""
BEAT = Heartbeat(mono_ms=1, wall_ms=1, q=ClockQuality.NONE, backlog=0)


async def manage(central: RunningCentral, *arguments: str) -> str:
    return await asyncio.to_thread(central.manage, *arguments)


async def settled(device: ScriptedDevice) -> int:
    """Take the directory; return its version."""
    begin = await device.hear(DirBegin)
    await device.hear(DirEnd)
    await device.say(DirState(epoch=begin.epoch, ver=begin.ver, digest=begin.digest))
    return begin.ver


async def state_of(central: RunningCentral, command_id: str) -> str:
    look_up = f"Command.objects.get(pk='{command_id}')"
    script = f"from central.devices.models import Command; found = {look_up}; print(found.state, found.code)"
    return (await manage(central, "shell", "--no-imports", "-c", script)).strip()


async def test_unlock_reaches_the_device_and_its_physical_result_is_kept(central: RunningCentral) -> None:
    identity = join(central, "Door to unlock")
    async with connected(central.link_url, identity.token(now())) as device:
        await device.greet(with_events(identity, 0))
        await settled(device)
        said = await manage(central, "unlock", "--door", "Door to unlock", "--reason", "forgot the card", "--no-wait")
        command_id, state = said.split()
        assert state == "asked"
        command = await device.hear(Command)
        assert (command.id, command.name, command.mode) == (command_id, "unlock", CommandMode.ONCE)
        assert 0 <= command.age_ms < command.ttl_ms == 10_000
        await device.say(CommandAck(id=command.id, state=CommandState.QUEUED))
        await device.say(CommandResult(id=command.id, state=CommandState.DONE, code="pulsed", out="strike 3 s"))
        assert await device.hear(CommandDone) == CommandDone(id=command.id)
    assert await state_of(central, command_id) == "done pulsed"


async def test_hint_from_another_process_brings_the_command_at_once(postgres_central: RunningCentral) -> None:
    identity = join(postgres_central, "Door with a hint")
    async with connected(postgres_central.link_url, identity.token(now())) as device:
        await device.greet(with_events(identity, 0))
        await settled(device)
        await manage(postgres_central, "unlock", "--door", "Door with a hint", "--reason", "delivery", "--no-wait")
        assert (await device.hear(Command)).name == "unlock"


async def test_change_by_another_process_brings_the_directory_without_a_heartbeat(central: RunningCentral) -> None:
    identity = join(central, "Door that hears of changes")
    async with connected(central.link_url, identity.token(now())) as device:
        await device.greet(with_events(identity, 0))
        had = await settled(device)
        await manage(central, "shell", "--no-imports", "-c", NEW_ZONE)
        assert (await device.hear(DirBegin)).ver > had


async def test_command_that_expired_unheard_is_never_sent(sqlite_central: RunningCentral) -> None:
    identity = join(sqlite_central, "Door of an old command")
    async with connected(sqlite_central.link_url, identity.token(now())) as device:
        await device.greet(with_events(identity, 0))
        await settled(device)
        made = (await manage(sqlite_central, "shell", "--no-imports", "-c", OLD_COMMAND)).strip()
        await manage(sqlite_central, "unlock", "--door", "Door of an old command", "--reason", "next", "--no-wait")
        # The old one stands before it in the queue.
        assert (await device.hear(Command)).args["actor"] != "too old"
        assert [message for message in device.aside if isinstance(message, Command)] == []
    assert await state_of(sqlite_central, made) == "expired not_sent_in_time"


async def test_door_that_is_away_refuses_at_once(sqlite_central: RunningCentral) -> None:
    join(sqlite_central, "Door that is away")
    with pytest.raises(AssertionError, match="refused: the door is not connected"):
        await manage(sqlite_central, "unlock", "--door", "Door that is away", "--reason", "test")


async def test_command_lost_with_the_connection_is_sent_again_while_it_lives(sqlite_central: RunningCentral) -> None:
    identity = join(sqlite_central, "Door with a bad link")
    journal = with_events(identity, 0)
    async with connected(sqlite_central.link_url, identity.token(now())) as device:
        await device.greet(journal)
        await settled(device)
        said = await manage(sqlite_central, "unlock", "--door", "Door with a bad link", "--reason", "test", "--no-wait")
        await device.hear(Command)
    async with connected(sqlite_central.link_url, identity.token(now())) as device:
        await device.greet(journal)
        again = await device.hear(Command)
        assert again.id == said.split()[0]


async def test_result_of_a_command_that_never_was_is_confirmed(sqlite_central: RunningCentral) -> None:
    identity = join(sqlite_central, "Door with a dream")
    async with connected(sqlite_central.link_url, identity.token(now())) as device:
        await device.greet(with_events(identity, 0))
        for unknown in ("no id at all", "01890000-0000-7000-8000-000000000099"):
            await device.say(CommandResult(id=unknown, state=CommandState.UNKNOWN))
            assert await device.hear(CommandDone) == CommandDone(id=unknown)


async def test_revoked_device_is_cut_off_and_refused(central: RunningCentral) -> None:
    identity = join(central, "Door to revoke")
    async with connected(central.link_url, identity.token(now())) as device:
        await device.greet(with_events(identity, 0))
        await manage(central, "revoke_device", identity.device)
        assert await device.closed() == CloseCode.REVOKED
    response = await handshake(central, identity.token(now()))
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (403, 'Doorstile error="revoked"')
    await manage(central, "revoke_device", identity.device, "--undo")
    async with connected(central.link_url, identity.token(now())) as device:
        await device.greet(with_events(identity, 0))


async def test_two_processes_fence_each_other(
    services: dict[str, str], postgres_central: RunningCentral, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = (postgres_central.data / "secret_key").read_text().strip()
    shared = {**services, "DOORSTILE_SECRET_KEY": secret}
    identity = join(postgres_central, "Door of two centrals")
    journal = with_events(identity, 2)
    with running_central(tmp_path_factory.mktemp("second"), shared) as second:
        async with connected(postgres_central.link_url, identity.token(now())) as older:
            await older.greet(journal)
            async with connected(second.link_url, identity.token(now())) as newer:
                await newer.greet(journal)
                assert await older.closed() == CloseCode.SUPERSEDED
                assert (await newer.deliver(journal, 1, 2)).upto == 2


async def test_device_goes_on_where_redis_is_gone(tmp_path_factory: pytest.TempPathFactory) -> None:
    nowhere = {"DOORSTILE_REDIS_URL": "redis://127.0.0.1:1/0"}
    with running_central(tmp_path_factory.mktemp("no-redis"), nowhere) as central:
        identity = await asyncio.to_thread(join, central)
        journal = with_events(identity, 2)
        async with connected(central.link_url, identity.token(now())) as device:
            await device.greet(journal)
            assert (await device.deliver(journal, 1, 2)).upto == 2
            await device.say(BEAT)
            assert (await device.hear(HeartbeatAck)).echo_mono_ms == 1
        assert "Traceback" not in central.log
