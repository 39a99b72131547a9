"""What staff can do with doors and devices: the admin's actions, and the commands of `manage.py`."""

import re
import threading
from datetime import timedelta
from functools import partial
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from agent.core.modes import LOCKDOWN_MS, OVERRIDE_MS
from central.devices import asking, commands, outcome
from central.devices.codes import issue_code
from central.devices.models import Command, Device, EnrolmentCode
from tests.central_link.minting import NOW, make_door, make_identity
from wire.vocabulary import CommandName

pytestmark = [pytest.mark.unit, pytest.mark.django_db]


@pytest.fixture
def device() -> Device:
    return Device.objects.get(pk=make_identity().device)


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ann"))
    return client


def act(client: Client, model: str, action: str, pk: object) -> Any:
    data = {"action": action, "_selected_action": [str(pk)]}
    return client.post(f"/admin/devices/{model}/", data, follow=True)


def test_admin_makes_a_code_and_shows_it_once(staff: Client) -> None:
    door = make_door()
    shown = act(staff, "door", "make_enrolment_code", door.pk).content.decode()
    assert "Harbour gym, North door: " in shown
    assert EnrolmentCode.objects.get().door == door
    assert LogEntry.objects.get().get_change_message() == "made an enrolment code"


def test_admin_revokes_and_reinstates(staff: Client, device: Device) -> None:
    act(staff, "device", "revoke", device.pk)
    device.refresh_from_db()
    assert device.state == Device.State.REVOKED
    act(staff, "device", "reinstate", device.pk)
    device.refresh_from_db()
    assert device.state == Device.State.ACTIVE
    assert LogEntry.objects.count() == 2


@pytest.mark.parametrize("model", ["site", "door", "device", "enrolmentcode", "command"])
def test_admin_lists_everything_and_shows_no_key(staff: Client, device: Device, model: str) -> None:
    issue_code(device.door, now=NOW)
    unlock(device)
    shown = staff.get(f"/admin/devices/{model}/")
    assert shown.status_code == 200
    assert device.credential_key.hex() not in shown.content.decode()


@pytest.mark.parametrize("model", ["device", "enrolmentcode", "command"])
def test_admin_adds_nothing_that_has_its_own_way(staff: Client, model: str) -> None:
    assert staff.get(f"/admin/devices/{model}/add/").status_code == 403


@pytest.mark.parametrize("model", ["device", "command"])
def test_admin_deletes_nothing_that_events_belong_to(staff: Client, device: Device, model: str) -> None:
    pk = device.pk if model == "device" else unlock(device).pk
    assert staff.post(f"/admin/devices/{model}/{pk}/delete/", {"post": "yes"}).status_code == 403


def test_admin_page_of_a_device_shows_no_key(staff: Client, device: Device) -> None:
    shown = staff.get(f"/admin/devices/device/{device.pk}/change/").content.decode()
    assert device.credential_key.hex() not in shown
    assert "credential_key" not in shown


def test_stranger_sees_nothing(client: Client) -> None:
    assert client.get("/admin/devices/device/").status_code == 302


def connect(device: Device) -> None:
    Device.objects.filter(pk=device.pk).update(connected_at=timezone.now(), last_seen_at=timezone.now())


def unlock(device: Device, *options: str) -> Command:
    connect(device)
    call_command("unlock", "--door", device.door.name, "--reason", "test", *options, "--no-wait", stdout=StringIO())
    return Command.objects.get()


def test_unlock_names_its_actor_and_reason(device: Device) -> None:
    command = unlock(device, "--site", "Harbour gym")
    assert command.actor.startswith("manage.py, ")
    assert (command.reason, command.state) == ("test", Command.State.PENDING)


def test_unlock_names_the_door_that_has_no_device() -> None:
    with pytest.raises(CommandError, match="no active device at door 'Attic'"):
        call_command("unlock", "--door", "Attic", "--reason", "test")


def test_unlock_asks_which_of_two(device: Device) -> None:
    make_identity(make_door(device.door.name, "Other gym"))
    with pytest.raises(CommandError, match="has two active devices"):
        unlock(device)


def test_revoke_names_the_device_that_is_none() -> None:
    with pytest.raises(CommandError, match="no device 0189"):
        call_command("revoke_device", "01890000-0000-7000-8000-000000000000")


def test_revoke_and_undo(device: Device) -> None:
    out = StringIO()
    call_command("revoke_device", str(device.pk), stdout=out)
    call_command("revoke_device", str(device.pk), "--undo", stdout=out)
    assert out.getvalue().splitlines() == [f"North ({device.pk}) is revoked", f"North ({device.pk}) is active"]


def test_rows_name_themselves(device: Device) -> None:
    code = issue_code(device.door, now=NOW)[1]
    key = device.keys.get()
    assert [str(row) for row in (device.door.site, device.door, device, key)] == [
        "Harbour gym", "Harbour gym, North door", "North", key.kid,
    ]  # fmt: skip
    assert str(code) == f"{code.code_hash[:8]} for Harbour gym, North door"
    assert str(unlock(device)).startswith("unlock ")


def door(device: Device, name: str, *options: str) -> Command:
    connect(device)
    call_command("door", name, "--door", device.door.name, "--reason", "test", *options, "--no-wait", stdout=StringIO())
    return Command.objects.get()


@pytest.mark.parametrize("name", ["hold", "lock", "lockdown", "release", "identify"])
def test_a_door_is_told_what_to_do_by_whom_and_why(device: Device, name: str) -> None:
    command = door(device, name)
    assert (command.name, command.reason, command.state) == (name, "test", Command.State.PENDING)
    assert command.args.keys() == {"actor"}
    assert command.args["actor"] == command.actor


def test_a_lockdown_carries_its_level_and_its_end(device: Device) -> None:
    command = door(device, "lockdown", "--level", "2", "--for-s", "600", "--site", "Harbour gym")
    assert (command.args["level"], command.args["for_s"]) == ("2", "600")


@pytest.mark.parametrize("words", [("unlock",), ("unlock", "--no-wait"), ("door", "hold")])
def test_a_door_that_is_away_refuses_and_is_not_opened_later(device: Device, words: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match=r"^refused: the door is not connected$"):
        call_command(*words, "--door", device.door.name, "--reason", "test")
    command = Command.objects.get()
    assert (command.state, command.code) == (Command.State.REFUSED, "device_offline")


def answered(device: Device, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, state: str, code: str) -> str:
    """What a command prints where the device answers while it is waited for."""
    connect(device)
    ended = partial(Command.objects.update, state=state, code=code, ended_at=timezone.now())
    monkeypatch.setattr(threading.Event, "wait", lambda _self, _s: ended())
    out = StringIO()
    call_command(*words, "--door", device.door.name, "--reason", "test", stdout=out)
    return out.getvalue().strip()


def test_commands_wait_for_their_result(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answered(device, ("unlock",), monkeypatch, "done", "pulsed") == "unlocked"
    assert answered(device, ("door", "hold"), monkeypatch, "done", "held") == "done: held"
    with pytest.raises(CommandError, match=r"^failed: lock$"):
        answered(device, ("unlock",), monkeypatch, "failed", "lock")


def test_a_command_without_a_result_by_its_expiry_is_an_error(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(device)
    monkeypatch.setitem(commands.TTL_MS, CommandName.UNLOCK, 0)
    monkeypatch.setattr(outcome, "_GRACE", timedelta())
    with pytest.raises(CommandError, match=r"^asked: no central sent it; see that one runs on this database"):
        call_command("unlock", "--door", device.door.name, "--reason", "test")
    monkeypatch.setattr(outcome, "_GRACE", timedelta(milliseconds=50))
    with pytest.raises(CommandError, match=r"^sent: no result by its expiry; see command "):
        answered(device, ("unlock",), monkeypatch, "sent", "")


def test_a_command_is_waited_for_until_central_says_how_it_ended(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(commands.TTL_MS, CommandName.UNLOCK, 0)
    with pytest.raises(CommandError, match=r"^expired: not sent in time$"):
        answered(device, ("unlock",), monkeypatch, "expired", "not_sent_in_time")


def test_an_unlock_during_a_lockdown_says_so(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match=r"^failed: the door is locked down$"):
        answered(device, ("unlock",), monkeypatch, "failed", "lockdown")


def test_a_door_command_says_what_is_wrong_with_it(device: Device) -> None:
    with pytest.raises(CommandError, match="no active device at door 'Attic'"):
        call_command("door", "hold", "--door", "Attic", "--reason", "test")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("lockdown", "--level", "0"), "--level 0 is out of range; give 1 to 32767"),
        (("lockdown", "--level", "32768"), "--level 32768 is out of range"),
        (("hold", "--level", "1"), "--level is of a lockdown; hold has none"),
        (("lockdown", "--for-s", "6000000"), "--for-s 6000000 is out of range; give 60 to 86400, which is 24 hours"),
        (("lock", "--for-s", "59"), "--for-s 59 is out of range"),
        (("release", "--for-s", "60"), "--for-s is of hold, lock, lockdown; release does not last"),
        (("release", "--what", "bogus"), "nothing that release takes; it takes mode, lockdown, fire, assist"),
        (("lock", "--what", "fire"), "nothing that lock takes; it takes maintenance"),
        (("hold", "--what", "mode"), "nothing that hold takes; it takes none"),
        (("hold", "--reason", " "), "--reason has 0 characters; give 1 to 200"),
    ],
)
def test_what_no_door_can_be_asked_for_travels_to_none(device: Device, words: tuple[str, ...], said: str) -> None:
    with pytest.raises(CommandError, match=re.escape(said)):
        door(device, *words)
    assert not Command.objects.exists()


def test_nobody_unlocks_without_a_reason(device: Device) -> None:
    connect(device)
    with pytest.raises(CommandError, match="--reason has 0 characters"):
        call_command("unlock", "--door", device.door.name, "--reason", "")


def test_the_bounds_at_the_command_line_are_the_doors_own() -> None:
    bounds_s = tuple(for_s * 1000 for for_s in asking.FOR_S)
    assert (LOCKDOWN_MS[0], LOCKDOWN_MS[2]) == (OVERRIDE_MS[0], OVERRIDE_MS[2]) == bounds_s


@pytest.mark.parametrize(
    ("in_force", "said"),
    [
        ("", "failed: nothing to release"),
        ("lockdown 2", "failed: nothing to release of that; in force: lockdown 2; name one: --what lockdown"),
        (
            "fire, mode locked",
            "failed: nothing to release of that; in force: fire, mode locked; name one: --what fire or mode",
        ),
    ],
)
def test_a_release_of_nothing_says_what_is_in_force(device: Device, in_force: str, said: str) -> None:
    command = door(device, "release")
    command.state, command.code, command.out = Command.State.FAILED, "nothing_to_release", in_force
    assert outcome.words_of(command) == said
