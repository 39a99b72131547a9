"""A lost card is replaced: the new one opens and the old one is revoked, both or neither."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from central.devices.models import Device, Site
from central.directory import versions
from central.directory.enrolling import HeldError, enrol, replace
from central.directory.models import Credential
from tests.central_ledger.conftest import make_member
from tests.central_ledger.told import rows_for
from wire.vocabulary import CredentialKind

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

HF = CredentialKind.HF_UID
LOST, NEW = bytes.fromhex("04A15BC2D3E4E6"), bytes.fromhex("04A15BC2D3E4E7")


@pytest.fixture
def lost(site: Site) -> Credential:
    return enrol(make_member(site, "Ann Example"), HF, LOST)


def client(*rights: str, is_staff: bool = True) -> Client:
    user = User.objects.create_user(f"user {User.objects.count()}", is_staff=is_staff)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    made = Client()
    made.force_login(user)
    return made


@pytest.fixture
def desk(site: Site) -> Client:
    return client("add_credential", "change_credential", "view_credential")


def post(desk: Client, lost: Credential, value: str = "04A15BC2D3E4E7") -> Any:
    path = f"/admin/directory/credential/{lost.pk}/replace/"
    return desk.post(path, {"kind": "hf_uid", "value": value}, follow=True)


def test_replacement_is_one_version_with_one_card_that_opens(site: Site, device: Device, lost: Credential) -> None:
    replace(lost, HF, NEW)
    assert sorted(row.is_revoked for row in rows_for(device)) == [False, True]


def test_card_that_somebody_holds_replaces_nothing(site: Site, lost: Credential) -> None:
    enrol(make_member(site, "Bob"), HF, NEW)
    before = versions.of_site(site.pk).ver
    with pytest.raises(HeldError, match="Bob holds this credential already"):
        replace(lost, HF, NEW)
    lost.refresh_from_db()
    assert (lost.is_revoked, versions.of_site(site.pk).ver) == (False, before)


def test_desk_replaces_a_card_on_its_page(desk: Client, lost: Credential) -> None:
    page = desk.get(f"/admin/directory/credential/{lost.pk}/change/").content.decode()
    assert f"/admin/directory/credential/{lost.pk}/replace/" in page
    text = post(desk, lost).content.decode()
    assert "04 ** ** ** ** ** E6 is revoked; Ann Example has Card, 13.56 MHz, 04 ** ** ** ** ** E7 instead" in text
    lost.refresh_from_db()
    assert lost.is_revoked
    assert lost.member.credentials.get(is_revoked=False).canonical == NEW
    assert "replaced by Card, 13.56 MHz, 04 ** ** ** ** ** E7" in LogEntry.objects.get().change_message


def test_what_is_refused_says_why_and_changes_nothing(desk: Client, site: Site, lost: Credential) -> None:
    enrol(make_member(site, "Bob"), HF, NEW)
    assert "Bob holds this credential already" in post(desk, lost).content.decode()
    assert "&#x27;04A1&#x27; is not" in post(desk, lost, "04A1").content.decode()
    lost.refresh_from_db()
    assert not lost.is_revoked
    assert Credential.objects.count() == 2


def test_replacing_takes_the_right_to_add_and_to_change(lost: Credential) -> None:
    path = f"/admin/directory/credential/{lost.pk}/replace/"
    for right in ("add_credential", "change_credential"):
        half = client(right, "view_credential")
        assert half.get(path).status_code == half.post(path).status_code == 403
        assert path not in half.get(f"/admin/directory/credential/{lost.pk}/change/").content.decode()
    for outsider in (client("add_credential", "change_credential", is_staff=False), Client()):
        assert outsider.get(path).status_code == outsider.post(path).status_code == 302
    lost.refresh_from_db()
    assert not lost.is_revoked
