"""What the link keeps of a device: sessions that fence each other, clones, and commands on their way."""

from datetime import timedelta
from uuid import UUID

import pytest
from msgspec.structs import replace

from central.devices import commands
from central.devices.fencing import FencedError, MissingDeviceError, RevokedError
from central.devices.models import Command, Device
from central.sync import records
from tests.central_link.minting import NOW, make_identity
from tests.fakes.journal_script import hello
from wire.messages import CommandRef, Heartbeat, Hello
from wire.vocabulary import ClockQuality, CloseCode, CommandName, CommandState

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

S = timedelta(seconds=1)


@pytest.fixture
def device() -> Device:
    return Device.objects.get(pk=make_identity().device)


def opened(device: Device, at_s: float = 0, **changes: object) -> records.Opening:
    said: Hello = replace(hello(device.pk, []), **changes)
    return records.open_session(device.pk, said, ms(at_s))


def ms(at_s: float) -> int:
    return int((NOW + at_s * S).timestamp() * 1000)


def beat(session: records.Session, at_s: float) -> None:
    heartbeat = Heartbeat(mono_ms=1, wall_ms=ms(at_s), q=ClockQuality.SYNCED, backlog=0, oldest_age_s=0)
    records.keep_heartbeat(session, heartbeat, 0, ms(at_s))


def test_each_session_is_newer_and_the_older_ones_write_nothing_more(device: Device) -> None:
    first, second = opened(device).session, opened(device).session
    assert second.number == first.number + 1
    beat(second, 1)
    with pytest.raises(FencedError):
        beat(first, 2)
    device.refresh_from_db()
    assert device.last_seen_at == NOW + S


def test_end_of_an_older_session_does_not_disconnect_the_newer(device: Device) -> None:
    first, second = opened(device).session, opened(device).session
    records.close_session(first, ms(1))
    device.refresh_from_db()
    assert device.is_connected(NOW + S)
    records.close_session(second, ms(1))
    device.refresh_from_db()
    assert not device.is_connected(NOW + S)


def test_revoked_device_and_one_that_is_gone_get_no_session(device: Device) -> None:
    session = opened(device).session
    Device.objects.update(state=Device.State.REVOKED)
    with pytest.raises(RevokedError):
        opened(device)
    with pytest.raises(RevokedError):
        beat(session, 1)
    Device.objects.all().delete()
    with pytest.raises(MissingDeviceError):
        opened(device)
    with pytest.raises(MissingDeviceError):
        beat(session, 1)


@pytest.mark.parametrize("changes", [{"store": "other"}, {"boot": "other"}], ids=str)
def test_another_journal_or_boot_beside_a_connected_one_is_suspected_and_both_are_named(
    device: Device, changes: dict[str, str]
) -> None:
    opened(device)
    device.refresh_from_db()
    assert opened(device, 1, **changes).clone_of == f"store {device.store}, boot {device.boot}"


def test_device_that_comes_back_is_no_clone(device: Device) -> None:
    opened(device)
    same = opened(device, 1)
    assert same.clone_of == ""
    assert opened(device, 47, boot="after a power cut").clone_of == ""
    records.close_session(records.Session(device.pk, same.session.number + 1), ms(48))
    assert opened(device, 49, boot="after another").clone_of == ""


def test_command_that_was_lost_on_its_way_goes_out_again_and_one_that_arrived_does_not(device: Device) -> None:
    session = opened(device).session
    device.refresh_from_db()
    made = [
        commands.issue(device, CommandName.UNLOCK, actor="ann", reason="card forgotten", now=NOW + n * S)
        for n in range(3)
    ]
    for command in made:
        assert records.mark_sent(session, str(command.pk), ms(3))
        assert not records.mark_sent(session, str(command.pk), ms(3))
    records.keep_reply(session, str(made[2].pk), CommandState.DONE, "pulsed", "", ms(3))
    known = [CommandRef(str(made[1].pk), CommandState.QUEUED), CommandRef("no id", CommandState.QUEUED)]
    assert [due.id for due in opened(device, 4, cmds=known).commands] == [str(made[0].pk)]
    states = [Command.objects.get(pk=command.pk).state for command in made]
    assert states == [Command.State.PENDING, Command.State.SENT, Command.State.DONE]


def test_older_session_marks_ends_and_answers_no_command(device: Device) -> None:
    older = opened(device).session
    device.refresh_from_db()
    command = commands.issue(device, CommandName.UNLOCK, actor="ann", reason="card forgotten", now=NOW)
    opened(device, 1)
    for write in (
        lambda: records.mark_sent(older, str(command.pk), ms(1)),
        lambda: records.expire_command(older, str(command.pk), ms(1)),
        lambda: records.keep_reply(older, str(command.pk), CommandState.DONE, "", "", ms(1)),
    ):
        with pytest.raises(FencedError):
            write()
    command.refresh_from_db()
    assert command.state == Command.State.PENDING


def test_token_of_another_device_renews_nothing(device: Device) -> None:
    identity = make_identity(device.door)
    own, other = UUID(identity.device), device.pk
    assert records.check_token(own, identity.token(), ms(0)) == (None, "")
    assert records.check_token(other, identity.token(), ms(0))[0] is CloseCode.TOKEN
    Device.objects.update(state=Device.State.REVOKED)
    assert records.check_token(own, identity.token(), ms(0))[0] is CloseCode.REVOKED
