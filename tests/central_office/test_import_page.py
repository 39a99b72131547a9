"""The import page: who may use it, what it says of a file, and that applying is a second step."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from central.devices.models import Site
from central.directory.importing import pages
from central.directory.models import ImportDraft, Member

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

PATH = "/admin/directory/member/import/"
GOOD = "external_id,full_name,sites,credential_kind,credential\n17,Ann Example,Harbour gym,hf_uid,04A15BC2D3E4E6\n"
RIGHTS = ["add_member", "change_member", "add_credential", "change_credential", "view_member"]


def logged_in(name: str, *rights: str, is_staff: bool = True) -> Client:
    user = User.objects.create_user(name, is_staff=is_staff)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights, content_type__app_label="directory"))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def office(site: Site) -> Client:
    return logged_in("office", *RIGHTS)


def upload(client: Client, text: str, name: str = "members.csv") -> Any:
    return client.post(PATH, {"file": SimpleUploadedFile(name, text.encode())})


def apply(client: Client, draft_id: UUID) -> Any:
    return client.post(f"{PATH}{draft_id}/", follow=True)


def test_page_is_for_those_who_may_add_and_change_members_and_credentials(office: Client) -> None:
    upload(office, GOOD)
    draft = ImportDraft.objects.get()
    for path in (PATH, f"{PATH}{draft.pk}/"):
        for refused in (Client(), logged_in(f"member{path}", *RIGHTS, is_staff=False)):
            answer = refused.post(path)
            assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/admin/login/")
        for missing in RIGHTS[:-1]:
            client = logged_in(f"{missing}{path}", *(right for right in RIGHTS if right != missing))
            assert client.get(path).status_code == client.post(path).status_code == 403
    assert office.get(PATH).status_code == 200
    assert ImportDraft.objects.get() == draft


def test_list_offers_the_import_to_those_who_may(office: Client) -> None:
    assert "Import from a file" in office.get("/admin/directory/member/").content.decode()
    reader = logged_in("reader", "view_member")
    assert "Import from a file" not in reader.get("/admin/directory/member/").content.decode()


def test_file_is_checked_first_and_applied_by_a_second_step(office: Client) -> None:
    text = upload(office, GOOD).content.decode()
    assert "members.csv is in order" in text
    assert "members 1 new" in text
    assert "04A15BC2" not in text
    assert Member.objects.count() == 0
    answer = apply(office, ImportDraft.objects.get().pk)
    assert "Applied members.csv: 1 line; members 1 new" in answer.content.decode()
    assert Member.objects.get().credentials.count() == 1
    assert ImportDraft.objects.count() == 0
    entry = LogEntry.objects.get()
    assert (entry.user.get_username(), entry.object_repr) == ("office", "import of members.csv")
    assert "members 1 new" in entry.change_message


def test_faults_are_listed_and_nothing_can_be_applied(office: Client) -> None:
    answer = upload(office, "external_id,full_name,is_active\n17,Ann,<b>perhaps</b>\n")
    text = answer.content.decode()
    assert answer.status_code == 400
    assert "Nothing was applied" in text
    assert "<td>2</td><td>is_active</td><td>&lt;b&gt;perhaps&lt;/b&gt;</td><td>write yes or no</td>" in text
    assert ImportDraft.objects.count() == 0


def test_draft_is_sealed_single_use_and_its_uploaders_own(office: Client) -> None:
    upload(office, GOOD)
    draft = ImportDraft.objects.get()
    assert b"04A15BC2" not in bytes(draft.sealed)
    other = logged_in("other", *RIGHTS)
    assert "no longer here; upload it again" in apply(other, draft.pk).content.decode()
    assert office.get(f"{PATH}{draft.pk}/").status_code == 302
    assert Member.objects.count() == 0
    apply(office, draft.pk)
    assert "no longer here" in apply(office, draft.pk).content.decode()
    assert Member.objects.count() == 1


def test_draft_is_forgotten_after_an_hour_and_with_the_next_file(office: Client) -> None:
    upload(office, GOOD)
    first = ImportDraft.objects.get()
    upload(office, GOOD)
    second = ImportDraft.objects.get()
    assert first.pk != second.pk
    ImportDraft.objects.update(created_at=timezone.now() - timedelta(minutes=61))
    assert "no longer here" in apply(office, second.pk).content.decode()
    upload(logged_in("other", *RIGHTS), GOOD)
    assert [draft.owner.get_username() for draft in ImportDraft.objects.all()] == ["other"]


def test_file_is_checked_again_when_it_is_applied(office: Client, site: Site) -> None:
    upload(office, GOOD)
    site.name = "Dock gym"
    site.save()
    answer = office.post(f"{PATH}{ImportDraft.objects.get().pk}/")
    assert answer.status_code == 400
    assert "there is no site &#x27;Harbour gym&#x27;" in answer.content.decode()
    assert Member.objects.count() == 0


def test_no_file_and_too_large_a_file_are_refused(office: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "This field is required" in office.post(PATH).content.decode()
    monkeypatch.setattr(pages, "MAX_BYTES", 4)
    assert "split it into parts of up to 4" in upload(office, GOOD).content.decode()


def test_only_so_many_faults_are_shown(office: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_MOST_SHOWN", 1)
    text = upload(office, "external_id,is_active\n1,maybe\n2,maybe\n").content.decode()
    assert "3 more faults are not shown" in text
