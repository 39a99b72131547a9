"""How the administration is ordered, what its lists show, and what a membership is offered."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client

from central.devices.models import Site
from central.directory.enrolling import enrol
from central.directory.models import Group, Member, Membership, Plan, Zone
from central.office.groups import GROUPS
from wire.vocabulary import CredentialKind

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

MEMBERS = "/admin/directory/member/"


@pytest.fixture
def ann(site: Site) -> Member:
    member = Member.objects.create(full_name="Ann Example")
    enrol(member, CredentialKind.HF_UID, bytes.fromhex("04A15BC2D3E4E6"))
    plan = Plan.objects.create(site=site, name="mornings", is_everywhere=True)
    Membership.objects.create(member=member, site=site, plan=plan)
    return member


def staff_who_may(*codenames: str) -> Client:
    user = User.objects.create_user("somebody", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def shown_groups(client: Client) -> list[tuple[str, list[str]]]:
    found = client.get("/admin/").context["app_list"]
    return [(group["name"], [model["object_name"] for model in group["models"]]) for group in found]


def test_every_list_is_in_one_group_with_a_line_of_its_own() -> None:
    listed = [each.model for group in GROUPS for each in group.lists]
    assert sorted(listed) == sorted(model._meta.label for model in admin.site._registry)
    assert all(each.says for group in GROUPS for each in group.lists)


def test_index_and_sidebar_have_the_groups_and_say_what_each_list_is_for(admin_client: Client) -> None:
    assert [name for name, _ in shown_groups(admin_client)] == [group.name for group in GROUPS]
    for page in ("/admin/", MEMBERS):
        text = admin_client.get(page).content.decode()
        assert all(each.says.replace("'", "&#x27;") in text for group in GROUPS for each in group.lists)
    assert 'aria-current="page">Members' in admin_client.get(MEMBERS).content.decode()


def test_staff_see_the_groups_of_what_they_may_see(db: None) -> None:
    assert shown_groups(staff_who_may("view_member", "view_visit")) == [
        ("People", ["Member"]),
        ("What happened", ["Visit"]),
    ]


def test_list_of_no_group_is_shown_after_the_others(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("central.office.site.GROUPS", GROUPS[1:])
    name, models = shown_groups(admin_client)[-1]
    assert (name, "Member" in models) == ("Other", True)


def test_page_of_one_app_has_its_lists(admin_client: Client) -> None:
    text = admin_client.get("/admin/directory/").content.decode()
    assert MEMBERS in text


def test_times_are_marked_as_utc_where_they_are_shown_and_entered(admin_client: Client, ann: Member) -> None:
    Member.objects.update(valid_from=datetime(2027, 1, 13, 11, 30, tzinfo=UTC))
    assert "2027-01-13 11:30:00 UTC" in admin_client.get(MEMBERS).content.decode()
    page = admin_client.get(f"{MEMBERS}{ann.pk}/change/").content.decode()
    assert re.search(r'name="valid_from_1"[^>]*>.*?UTC', page, re.DOTALL)


def test_members_are_listed_with_site_plan_and_card(ann: Member, site: Site, admin_client: Client) -> None:
    other = Site.objects.create(name="Aaa gym")
    Membership.objects.create(member=ann, site=other)
    text = admin_client.get(MEMBERS).content.decode()
    assert f"Aaa gym; {site}: mornings" in text
    assert "04\N{NO-BREAK SPACE}**" in text


def test_cards_are_listed_to_those_who_may_see_them(ann: Member) -> None:
    assert "04\N{NO-BREAK SPACE}**" not in staff_who_may("view_member").get(MEMBERS).content.decode()


def test_membership_is_offered_what_its_site_has(ann: Member, site: Site, admin_client: Client) -> None:
    page = f"{MEMBERS}{ann.pk}/change/"
    assert "memberships-0-groups" not in admin_client.get(page).content.decode()
    other = Site.objects.create(name="Aaa gym")
    Group.objects.create(site=site, name="Team")
    Group.objects.create(site=other, name="Rowers")
    Zone.objects.create(site=other, name="boathouse")
    membership = page_forms(admin_client, page)
    assert [label for _, label in membership["groups"].choices] == ["Team"]
    assert [label for _, label in membership["plan"].choices] == ["---------", "mornings"]
    assert (list(membership["zones"].choices), membership["zones"].help_text) == ([], f"{site} has none")
    assert 'type="checkbox" name="memberships-0-groups"' in admin_client.get(page).content.decode()


def page_forms(client: Client, page: str) -> dict[str, Any]:
    """Return the fields of the first membership on a member's page."""
    inlines = client.get(page).context["inline_admin_formsets"]
    (memberships,) = (each.formset for each in inlines if each.formset.model is Membership)
    return dict(memberships.forms[0].fields)
