"""A site with one door and one device whose session 1 is current, and members who come and go."""

import secrets
from uuid import UUID

import pytest

from central.checkins.models import Visit
from central.checkins.visits import EndedBy
from central.devices.ids import uuid7
from central.devices.models import CREDENTIAL_KEY, Device, Door, Site
from central.devices.sealing import seal
from central.directory.models import Member, Membership
from tests.fakes.journal_script import JournalScript


@pytest.fixture
def site(db: None) -> Site:
    return Site.objects.create(name="Harbour gym", time_zone="Europe/Berlin", longest_stay_h=12)


@pytest.fixture
def device(site: Site) -> Device:
    return make_device(site, "North door")


@pytest.fixture
def member(site: Site) -> Member:
    return make_member(site, "Ann Example")


@pytest.fixture
def journal(device: Device) -> JournalScript:
    return JournalScript(device.pk)


def make_device(site: Site, door_name: str) -> Device:
    door = Door.objects.create(site=site, name=door_name)
    key = seal(secrets.token_bytes(32), CREDENTIAL_KEY)
    return Device.objects.create(door=door, name=f"Agent at {door_name}", session=1, sealed_credential_key=key)


def make_member(site: Site, name: str, pk: UUID | None = None) -> Member:
    member = Member.objects.create(pk=pk or uuid7(), full_name=name)
    Membership.objects.create(member=member, site=site)
    return member


def make_visit(
    member: Member, site: Site, device: Device, n: int, opened_ms: int, closed_ms: int, ended_by: EndedBy
) -> Visit:
    return Visit.objects.create(
        site=site, member=member, device=device, run="aa", n=n, grant_ms=opened_ms, grant_direction="in",
        at_ms=opened_ms, direction="in", is_certain=True, counts=True, opens=True, closed_ms=closed_ms,
        ended_by=ended_by.value, is_exit_certain=True,
    )  # fmt: skip
