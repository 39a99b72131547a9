"""Commands in the database: never for a device that is away, sent once, always ended; and who may write at all."""

from datetime import timedelta
from io import StringIO
from pathlib import Path
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import transaction

from central.devices import boots, commands
from central.devices.boots import mono_ms
from central.devices.fencing import FLOOR_STEP, FencedError, MissingDeviceError, RevokedError, assert_current
from central.devices.ids import uuid7
from central.devices.models import Command, Device
from central.devices.revocation import set_state
from central.sync import records
from tests.central_link.minting import NOW, make_identity
from wire.vocabulary import CommandName, CommandState

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

S = timedelta(seconds=1)
STATE = Command.State


@pytest.fixture
def device() -> Device:
    held = Device.objects.get(pk=make_identity().device)
    held.connected_at = held.last_seen_at = NOW
    held.session = 3
    held.save()
    return held


def issue(device: Device, at_s: float = 0) -> Command:
    return commands.issue(device, CommandName.UNLOCK, actor="ann", reason="forgot card", now=NOW + at_s * S)


def now_of(command: Command) -> tuple[str, str]:
    command.refresh_from_db()
    return command.state, command.code


def reply(command: Command, state: CommandState, *, code: str = "") -> bool:
    return commands.record_reply(command.device_id, command.pk, state, NOW + S, code=code)


def test_command_for_a_connected_device_waits_to_be_sent(device: Device) -> None:
    command = issue(device)
    assert commands.due(device.pk) == [command]
    assert not command.is_over


@pytest.mark.parametrize(
    "changes",
    [
        {"connected_at": None},
        {"disconnected_at": NOW},
        {"last_seen_at": None},
        {"last_seen_at": NOW - 46 * S},
        {"state": Device.State.REVOKED},
    ],
    ids=str,
)
def test_device_that_is_away_refuses_at_once(device: Device, changes: dict[str, object]) -> None:
    for name, value in changes.items():
        setattr(device, name, value)
    command = issue(device)
    assert now_of(command) == (STATE.REFUSED, "device_offline")
    assert command.is_over
    assert commands.due(device.pk) == []


def test_command_is_marked_sent_once(device: Device) -> None:
    command = issue(device)
    assert commands.mark_sent(device.pk, command.pk, NOW)
    assert not commands.mark_sent(device.pk, command.pk, NOW)


def test_another_device_cannot_take_or_answer_it(device: Device) -> None:
    command = issue(device)
    stranger = uuid7()
    assert not commands.mark_sent(stranger, command.pk, NOW)
    assert not commands.record_reply(stranger, command.pk, CommandState.DONE, NOW)
    assert now_of(command) == (STATE.PENDING, "")


def test_replies_move_it_to_its_end(device: Device) -> None:
    command = issue(device)
    commands.mark_sent(device.pk, command.pk, NOW)
    assert reply(command, CommandState.QUEUED)
    assert now_of(command)[0] == STATE.QUEUED
    assert reply(command, CommandState.DUPLICATE)
    assert reply(command, CommandState.DONE, code="pulsed\0" + "x" * 99)
    assert now_of(command) == (STATE.DONE, ("pulsed" + "x" * 99)[:64])


def test_ending_that_the_device_reported_stays(device: Device) -> None:
    command = issue(device)
    reply(command, CommandState.DONE, code="pulsed")
    for later in (CommandState.FAILED, CommandState.QUEUED, CommandState.UNKNOWN):
        reply(command, later)
    assert now_of(command) == (STATE.DONE, "pulsed")


def test_device_knows_better_than_an_assumed_ending(device: Device) -> None:
    command = issue(device)
    commands.mark_sent(device.pk, command.pk, NOW)
    commands.sweep(NOW + 71 * S)
    assert now_of(command) == (STATE.UNKNOWN, "no_result")
    reply(command, CommandState.DONE, code="pulsed")
    assert now_of(command) == (STATE.DONE, "pulsed")


def test_command_that_was_never_sent_expires(device: Device) -> None:
    command = issue(device)
    assert commands.sweep(NOW + 10 * S) == 0
    assert commands.sweep(NOW + 10.1 * S) == 1
    assert now_of(command) == (STATE.EXPIRED, "not_sent_in_time")


def test_command_that_was_never_sent_does_not_outlive_a_clock_set_back(device: Device) -> None:
    command = issue(device)
    assert commands.sweep(NOW - 5 * S) == 0
    assert commands.sweep(NOW - 5.1 * S) == 1
    assert now_of(command) == (STATE.EXPIRED, "not_sent_in_time")


def test_command_of_before_the_host_went_down_ends_at_the_start_and_is_not_sent_again(device: Device) -> None:
    waits, sent, received = [issue(device) for _ in range(3)]
    commands.mark_sent(device.pk, sent.pk, NOW)
    reply(received, CommandState.QUEUED)
    Command.objects.update(boot="another")
    assert commands.outlived(NOW) == 2
    assert now_of(waits) == (STATE.EXPIRED, "not_sent_in_time")
    assert now_of(sent) == (STATE.UNKNOWN, "no_result")
    assert now_of(received)[0] == STATE.QUEUED


def test_start_leaves_what_keeps_people_out_and_what_can_be_dated(device: Device) -> None:
    made_here = issue(device)
    lockdown = commands.issue(device, CommandName.LOCKDOWN, actor="ann", reason="fight", now=NOW)
    Command.objects.filter(pk=lockdown.pk).update(boot="another")
    assert commands.outlived(NOW) == 0
    assert {now_of(made_here)[0], now_of(lockdown)[0]} == {STATE.PENDING}


def test_command_goes_out_with_its_age_by_the_clock_that_nobody_sets(device: Device) -> None:
    before_ms = mono_ms()
    here, elsewhere = issue(device), issue(device, 1)
    Command.objects.filter(pk=elsewhere.pk).update(boot="another")
    due = records.load_commands(records.Session(device.pk, device.session))
    assert [one.id for one in due] == [str(here.pk), str(elsewhere.pk)]
    assert due[0].made_mono_ms is not None
    assert before_ms <= due[0].made_mono_ms <= mono_ms()
    assert due[1].made_mono_ms is None


def test_boot_has_one_id_also_where_the_kernel_tells_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(boots, "_BOOT_ID", tmp_path / "none")
    fresh = boots.boot_id.__wrapped__
    assert len(fresh()) == 32
    assert boots.boot_id() == boots.boot_id()


def test_every_open_command_ends(device: Device) -> None:
    made = [issue(device) for _ in range(3)]
    commands.mark_sent(device.pk, made[1].pk, NOW)
    reply(made[2], CommandState.QUEUED)
    commands.sweep(NOW + 71 * S)
    assert all(Command.objects.get(pk=command.pk).is_over for command in made)


def test_restored_central_sends_no_command_and_gives_no_session_of_its_backup_again(device: Device) -> None:
    made = [issue(device) for _ in range(3)]
    commands.mark_sent(device.pk, made[1].pk, NOW)
    reply(made[2], CommandState.DONE, code="pulsed")
    session = device.session
    call_command("renew_directories", stdout=StringIO())
    assert [now_of(command) for command in made] == [
        (STATE.UNKNOWN, "restored"), (STATE.UNKNOWN, "restored"), (STATE.DONE, "pulsed"),
    ]  # fmt: skip
    assert commands.due(device.pk) == []
    device.refresh_from_db()
    assert device.session >= session + FLOOR_STEP
    with pytest.raises(FencedError):
        check(device.pk, session)


def test_sender_may_end_what_grew_too_old_on_the_way(device: Device) -> None:
    command = issue(device)
    commands.mark_sent(device.pk, command.pk, NOW)
    commands.mark_expired(device.pk, command.pk, NOW)
    assert now_of(command)[0] == STATE.EXPIRED


def check(device_id: UUID, session: int) -> None:
    with transaction.atomic():
        assert_current(device_id, session)


def test_current_session_may_write(device: Device) -> None:
    check(device.pk, 3)


@pytest.mark.parametrize("session", [2, 4])
def test_any_other_session_may_not(device: Device, session: int) -> None:
    with pytest.raises(FencedError, match="superseded by 3"):
        check(device.pk, session)


def test_revoked_device_may_not_write(device: Device) -> None:
    set_state(device, Device.State.REVOKED)
    with pytest.raises(RevokedError, match="is revoked"):
        check(device.pk, 3)
    set_state(device, Device.State.ACTIVE)
    check(device.pk, 3)


def test_unknown_device_may_not_write() -> None:
    with pytest.raises(MissingDeviceError, match="does not exist"):
        check(uuid7(), 1)
