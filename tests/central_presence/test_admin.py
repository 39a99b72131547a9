"""Staff see who is where, and let somebody in once more if they may."""

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from central.devices.models import Site
from central.directory.models import Member
from central.presence.models import Whereabouts
from tests.central_presence.conftest import Doorway
from wire.vocabulary import Direction

PAGE = "/admin/presence/whereabouts/"


@pytest.fixture
def row(north: Doorway, site: Site, ann: Member) -> Whereabouts:
    north.passes(ann)
    north.tell()
    return Whereabouts.objects.get(site=site, member=ann)


def staff(client: Client, *permissions: str) -> User:
    user = User.objects.create_user("desk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions, content_type__app_label="presence"))
    client.force_login(user)
    return user


def let_in(client: Client, *rows: Whereabouts) -> str:
    chosen = {"action": "let_in_once_more", "_selected_action": [row.pk for row in rows]}
    return client.post(PAGE, chosen, follow=True).content.decode()


def test_staff_see_who_is_where(client: Client, row: Whereabouts) -> None:
    staff(client, "view_whereabouts")
    page = client.get(PAGE).content.decode()
    assert "Ann Example" in page
    assert "gym" in page
    assert 'value="let_in_once_more"' not in page


def test_who_may_lets_somebody_in_once_more_and_it_is_written_down(client: Client, row: Whereabouts) -> None:
    user = staff(client, "view_whereabouts", "forgive")
    assert "1 let in once more; the doors are told" in let_in(client, row)
    row.refresh_from_db()
    assert row.is_forgiven
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (user, str(row.pk))
    assert entry.change_message == "Let in once more: Ann Example was in gym by the record"


def test_who_may_only_look_lets_nobody_in(client: Client, row: Whereabouts) -> None:
    staff(client, "view_whereabouts")
    let_in(client, row)
    row.refresh_from_db()
    assert not row.is_forgiven


def test_strangers_see_nothing(client: Client, row: Whereabouts) -> None:
    assert client.get(PAGE).status_code == 302
    staff(client)
    assert client.get(PAGE).status_code == 403


def test_somebody_who_is_outside_needs_no_help(client: Client, north: Doorway, row: Whereabouts) -> None:
    north.passes(row.member, 1_000, Direction.OUT)
    north.tell()
    staff(client, "view_whereabouts", "forgive")
    assert "1 are inside no zone, so nothing keeps them out" in let_in(client, row)
    assert "outside" in client.get(PAGE).content.decode()


def test_nobody_changes_a_row_by_hand(client: Client, row: Whereabouts) -> None:
    client.force_login(User.objects.create_superuser("root"))
    assert client.post(f"{PAGE}{row.pk}/change/", {"zone": ""}).status_code == 403
    assert client.get(f"{PAGE}{row.pk}/change/").status_code == 200
