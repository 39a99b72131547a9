"""A member, a lost card, a connected desk and a door, and a device's half of a capture."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from central.desk.models import Capture
from central.devices import commands
from central.devices.models import CREDENTIAL_KEY, Command, Device, Door, Site
from central.devices.sealing import seal
from central.directory.enrolling import enrol
from central.directory.models import Credential, Member, Membership
from wire.sealing import CapturedCard, seal_card
from wire.vocabulary import CommandState, CredentialKind

UID = bytes.fromhex("04A1B2C3D4E5E6")
LOST_UID = bytes.fromhex("04000000000001")


def device_at(site: Site, name: str, *, is_desk: bool = False) -> Device:
    door = Door.objects.create(site=site, name=name)
    now = timezone.now()
    return Device.objects.create(
        door=door, name=name, is_desk=is_desk, sealed_credential_key=seal(bytes(32), CREDENTIAL_KEY),
        connected_at=now, last_seen_at=now,
    )  # fmt: skip


@dataclass
class Desk:
    """One desk with somebody of staff at it."""

    site: Site
    member: Member
    device: Device
    door: Device
    lost: Credential
    staff: Client

    def begin(self, *, replaces: bool = False, client: Client | None = None) -> Capture:
        address = f"/desk/members/{self.member.pk}" + (f"?replaces={self.lost.pk}" if replaces else "")
        answer = (client or self.staff).post(address, {"device": str(self.device.pk)})
        assert answer.status_code == 302, answer.content.decode()
        return Capture.objects.get(pk=answer.headers["Location"].rsplit("/", 1)[1])

    def look(self, capture: Capture, client: Client | None = None) -> str:
        answer = (client or self.staff).post(f"/desk/captures/{capture.pk}/look")
        return answer.content.decode()

    def say(self, capture: Capture, state: CommandState, *, code: str = "", out: str = "") -> None:
        """Let the device answer."""
        assert commands.record_reply(self.device.pk, capture.command_id, state, timezone.now(), code=code, out=out)

    def tap(self, capture: Capture, value: bytes = UID, *, bound: str = "") -> str:
        """Let the device read a card; return what it sent."""
        key = bytes.fromhex(capture.command.args["key"])
        card = CapturedCard(kind=CredentialKind.HF_UID, value=value, card="MIFARE Classic 1K")
        sealed = seal_card(card, key, bound or f"{self.device.pk}|{capture.command_id}", os.urandom(32))
        self.say(capture, CommandState.DONE, code="read", out=sealed)
        return sealed


def staff_with(*rights: str, name: str = "ben") -> Client:
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set([Permission.objects.get(codename=right) for right in rights])
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def desk(db: None) -> Desk:
    site = Site.objects.create(name="Harbour gym", time_zone="Europe/Berlin")
    member = Member.objects.create(full_name="Ann Example")
    Membership.objects.create(member=member, site=site)
    lost = enrol(member, CredentialKind.HF_UID, LOST_UID)
    device, door = device_at(site, "Desk", is_desk=True), device_at(site, "North door")
    return Desk(site, member, device, door, lost, staff_with("add_credential", "change_credential", name="desk"))


@pytest.fixture
def half_a_minute_later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what lets half a minute go by."""

    def pass_by() -> None:
        Capture.objects.update(expires_at=timezone.now() - timedelta(milliseconds=1))
        Command.objects.update(expires_at=timezone.now() - timedelta(milliseconds=1))

    return pass_by
