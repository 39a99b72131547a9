"""A page of the administration that had been open for a while takes nothing back that somebody else did meanwhile."""

from html.parser import HTMLParser

import pytest
from django.contrib.auth.models import User
from django.test import Client

from central.devices.models import Site
from central.directory.enrolling import enrol
from central.directory.models import Credential, Group, Member, Membership, VisitPack
from wire.vocabulary import CredentialKind

pytestmark = [pytest.mark.unit, pytest.mark.django_db]


class Fields(HTMLParser):
    """What a browser would send back of a page's forms."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.sent: dict[str, list[str]] = {}
        self._select = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name, value = given.get("name") or "", given.get("value") or ""
        if tag == "select":
            self._select = name
        if tag == "option" and "selected" in given:
            self.sent.setdefault(self._select, []).append(value)
        is_box = given.get("type") in {"checkbox", "radio"}
        if tag == "input" and name and (not is_box or "checked" in given) and given.get("type") != "submit":
            self.sent.setdefault(name, []).append(value or "on" * is_box)


@pytest.fixture
def chief(django_user_model: type[User]) -> Client:
    client = Client()
    client.force_login(django_user_model.objects.create_superuser("chief"))
    return client


@pytest.fixture
def ann(site: Site) -> Member:
    ann = Member.objects.create(full_name="Ann Example")
    membership = Membership.objects.create(member=ann, site=site)
    membership.groups.add(Group.objects.create(site=site, name="mornings"))
    enrol(ann, CredentialKind.HF_UID, bytes.fromhex("04A15BC2D3E4E6"))
    VisitPack.objects.create(member=ann, visits=10, used=9)
    return ann


def opened(chief: Client, path: str) -> dict[str, list[str]]:
    sent = Fields(chief.get(path).content.decode()).sent
    assert sent["seen"][0]
    return {name: values for name, values in sent.items() if not name.startswith("_")}


def blocked(member: Member) -> None:
    member.is_blocked = True
    member.save()


def card_revoked(member: Member) -> None:
    card = Credential.objects.get(member=member)
    card.is_revoked = True
    card.save()


def visit_counted(member: Member) -> None:
    pack = VisitPack.objects.get(member=member)
    pack.used = 10
    pack.save()


def group_left(member: Member) -> None:
    Membership.objects.get(member=member).groups.clear()


@pytest.mark.parametrize("meanwhile", [blocked, card_revoked, visit_counted, group_left])
def test_page_of_a_member_takes_nothing_back(chief: Client, ann: Member, meanwhile: object) -> None:
    path = f"/admin/directory/member/{ann.pk}/change/"
    sent = opened(chief, path)
    assert callable(meanwhile)
    meanwhile(ann)
    answer = chief.post(path, sent | {"full_name": ["Ann Other"]})
    assert "somebody else changed this meanwhile" in answer.content.decode()
    now = Member.objects.get(pk=ann.pk)
    left = Membership.objects.get(member=ann).groups.count()
    stands = [now.is_blocked, now.credentials.get().is_revoked, now.packs.get().used == 10, left == 0]
    assert (now.full_name, sum(stands)) == ("Ann Example", 1)
    assert chief.post(path, opened(chief, path) | {"full_name": ["Ann Other"]}).status_code == 302
    assert Member.objects.get(pk=ann.pk).full_name == "Ann Other"


def test_page_of_a_card_gives_no_revoked_card_back(chief: Client, ann: Member) -> None:
    card = Credential.objects.get(member=ann)
    path = f"/admin/directory/credential/{card.pk}/change/"
    sent = opened(chief, path)
    card_revoked(ann)
    assert "somebody else changed this meanwhile" in chief.post(path, sent).content.decode()
    assert Credential.objects.get(pk=card.pk).is_revoked
    fresh = opened(chief, path)
    fresh.pop("is_revoked")
    assert chief.post(path, fresh).status_code == 302
    assert not Credential.objects.get(pk=card.pk).is_revoked
