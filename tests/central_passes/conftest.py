"""A site with a zone and a member; passes begin at the moment that the doors of the tests show."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from central.devices.models import Site
from central.directory.models import Member, Membership, Zone
from tests.core.builders import WALL_MS

RIGHTS = ("add_pass", "change_pass", "add_credential")
NOW = datetime.fromtimestamp(WALL_MS / 1000, UTC)


@pytest.fixture
def site(db: None) -> Site:
    site = Site.objects.create(name="Harbour gym", time_zone="Europe/Berlin")
    Zone.objects.create(site=site, name="gym")
    return site


@pytest.fixture
def member(site: Site) -> Member:
    member = Member.objects.create(full_name="Ann Example")
    Membership.objects.create(member=member, site=site)
    return member


def staff_with(*rights: str, name: str = "desk") -> Client:
    """Return somebody of staff who has these permissions and no other."""
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set([Permission.objects.get(codename=right) for right in rights])
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def staff(db: None) -> Client:
    return staff_with(*RIGHTS)


@pytest.fixture
def stranger(django_user_model: type) -> Client:
    client = Client()
    client.force_login(django_user_model.objects.create_user("guest"))  # type: ignore[attr-defined]
    return client
