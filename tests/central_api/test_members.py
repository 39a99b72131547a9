"""Members by the API: made, read, changed, deleted, listed; what makes no sense is refused by field."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User

from central.api import keys
from central.api.models import Scope
from central.checkins.visits import EndedBy
from central.devices.models import Device, Site
from central.directory import versions
from central.directory.enrolling import enrol
from central.directory.models import Group, Member, Plan, Schedule, Zone
from tests.central_api.conftest import Caller
from tests.central_ledger.conftest import make_member, make_visit
from tests.central_ledger.told import rows_for
from wire.vocabulary import CredentialKind

pytestmark = [pytest.mark.unit, pytest.mark.django_db]


def make_plan(site: Site) -> None:
    Plan.objects.create(site=site, name="basic", is_always=True, is_everywhere=True)
    Group.objects.create(site=site, name="juniors")
    Schedule.objects.create(site=site, name="evenings")
    Zone.objects.create(site=site, name="pool")


def test_member_is_made_with_all_that_rules_ask(site: Site, call: Caller) -> None:
    make_plan(site)
    guardian, host = make_member(site, "Gil"), make_member(site, "Hal")
    membership = {
        "site": str(site.pk), "plan": "basic", "groups": ["juniors"], "schedules": ["evenings"], "zones": ["pool"],
    }  # fmt: skip
    body = {
        "full_name": "Ann Example", "external_id": "17", "is_active": False, "valid_from": "2026-01-01T00:00:00+01:00",
        "valid_to": "2027-01-01T00:00:00Z", "holder": "guest", "is_blocked": True, "paid_to": "2026-06-01T00:00:00Z",
        "grace_days": 5, "is_minor": True, "guardians": [str(guardian.pk)], "host": str(host.pk), "clearance": 2,
        "rights": ["override"], "memberships": [membership], "pack": {"visits": 10, "used": 3},
    }  # fmt: skip
    answer = call("POST", "members", body)
    assert answer.status_code == 201
    member = Member.objects.get(external_id="17")
    assert answer["Location"] == f"/api/v1/members/{member.pk}"
    assert answer.body == {
        **body, "id": str(member.pk), "valid_from": "2025-12-31T23:00:00Z",
        "created_at": answer.body["created_at"],
    }  # fmt: skip
    assert call("GET", f"members/{member.pk}").body == answer.body
    assert (member.valid_from, member.holder, member.rights) == (
        datetime(2025, 12, 31, 23, tzinfo=UTC), "guest", ["override"],
    )  # fmt: skip
    assert member.memberships.get().plan == Plan.objects.get()


def test_short_request_makes_an_active_member(call: Caller, owner: User) -> None:
    answer = call("POST", "members", {"full_name": "Ann"})
    assert (answer.body["is_active"], answer.body["memberships"]) == (True, [])
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (owner, answer.body["id"])
    assert entry.change_message.startswith("added with the API key office (")


def test_change_touches_what_it_names(site: Site, device: Device, call: Caller) -> None:
    make_plan(site)
    member = make_member(site, "Ann")
    enrol(member, CredentialKind.HF_UID, bytes.fromhex("04A15BC2D3E4E6"))
    before = versions.of_site(site.pk).ver
    answer = call("PATCH", f"members/{member.pk}", {"is_active": False, "external_id": "17"})
    assert (answer.body["full_name"], answer.body["is_active"]) == ("Ann", False)
    assert len(answer.body["memberships"]) == 1
    assert versions.of_site(site.pk).ver > before
    assert not rows_for(device)[0].is_active
    answer = call("PATCH", f"members/{member.pk}", {"external_id": None, "memberships": []})
    assert (answer.body["external_id"], answer.body["memberships"], rows_for(device)) == (None, [], [])


def test_pack_is_given_set_and_told_to_doors(site: Site, device: Device, call: Caller) -> None:
    member = make_member(site, "Ann")
    enrol(member, CredentialKind.HF_UID, bytes.fromhex("04A15BC2D3E4E6"))
    assert call("GET", f"members/{member.pk}").body["pack"] is None
    assert call("PATCH", f"members/{member.pk}", {"pack": {"visits": 10}}).body["pack"] == {"visits": 10, "used": 0}
    before = versions.of_site(site.pk).ver
    assert call("PATCH", f"members/{member.pk}", {"pack": {"visits": 10, "used": 2}}).body["pack"]["used"] == 2
    pack = rows_for(device)[0].pack
    assert pack is not None
    assert (pack.visits, pack.used) == (10, 2)
    assert versions.of_site(site.pk).ver > before
    assert call("PATCH", f"members/{member.pk}", {"pack": {"visits": 12}}).body["pack"] == {"visits": 12, "used": 2}
    refused = call("PATCH", f"members/{member.pk}", {"pack": {"visits": 1}})
    assert (refused.status_code, refused.body["errors"][0]["field"]) == (422, "pack.used")
    assert member.packs.get().visits == 12


def test_member_is_deleted_with_their_credentials(site: Site, device: Device, call: Caller) -> None:
    member = make_member(site, "Ann")
    enrol(member, CredentialKind.HF_UID, bytes.fromhex("04A15BC2D3E4E6"))
    assert call("DELETE", f"members/{member.pk}").status_code == 204
    assert rows_for(device) == []
    for method in ("GET", "DELETE"):
        assert call(method, f"members/{member.pk}").body["detail"] == f"there is no member {member.pk}"


def test_member_with_visits_stays(site: Site, device: Device, call: Caller) -> None:
    member = make_member(site, "Ann")
    make_visit(member, site, device, 1, 1, 2, EndedBy.OUT)
    answer = call("DELETE", f"members/{member.pk}")
    assert (answer.status_code, answer.body["title"]) == (409, "Conflict")
    assert "set is_active to false instead" in answer.body["detail"]
    assert LogEntry.objects.count() == 0


def test_pages_follow_each_other_without_gap_or_repetition(site: Site, call: Caller) -> None:
    ids = [str(make_member(site, f"Member {n}").pk) for n in range(7)]
    seen: list[str] = []
    path = "members?limit=3"
    sizes = []
    while path:
        page = call("GET", path).body
        seen += [member["id"] for member in page["items"]]
        sizes.append(len(page["items"]))
        path = "" if page["next"] is None else f"members?limit=3&after={page['next']}"
    assert (seen, sizes) == (sorted(ids), [3, 3, 1])


def test_list_is_narrowed_by_external_id_and_site(site: Site, call: Caller) -> None:
    call("POST", "members", {"full_name": "Ann", "external_id": "17"})
    make_member(site, "Bob")
    assert [member["full_name"] for member in call("GET", "members?external_id=17").body["items"]] == ["Ann"]
    assert [member["full_name"] for member in call("GET", f"members?site={site.pk}").body["items"]] == ["Bob"]


def test_page_of_members_takes_few_queries(site: Site, call: Caller, django_assert_max_num_queries: Any) -> None:
    for n in range(20):
        make_member(site, f"Member {n}")
    with django_assert_max_num_queries(12):
        call("GET", "members")


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=many", "limit=٣", "after=7", "site=here"])
def test_parameter_that_makes_no_sense_is_refused(call: Caller, query: str) -> None:
    answer = call("GET", f"members?{query}")
    assert answer.status_code == 422
    assert answer.body["errors"][0]["field"] == query.partition("=")[0]


NOBODY = "01890000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"full_name": ""}, "full_name", "length >= 1"),
        ({"full_name": "x" * 151}, "full_name", "length <= 150"),
        ({"fullname": "Ann"}, "body", "unknown field `fullname`"),
        ({"valid_to": "2026-01-01T00:00:00"}, "valid_to", "timezone"),
        ({"valid_to": "soon"}, "valid_to", "RFC3339"),
        ({"valid_from": "2026-05-02T00:00:00Z", "valid_to": "2026-05-01T00:00:00Z"}, "valid_to", "later than"),
        ({"holder": "ghost"}, "holder", "Invalid enum value 'ghost'"),
        ({"rights": ["fly"]}, "rights[0]", "Invalid enum value 'fly'"),
        ({"grace_days": 400}, "grace_days", "<= 366"),
        ({"guardians": [NOBODY]}, "guardians[0]", f"there is no member {NOBODY}"),
        ({"host": NOBODY}, "host", f"there is no member {NOBODY}"),
        ({"memberships": [{"site": NOBODY}]}, "memberships[0].site", f"there is no site {NOBODY}"),
        ({"memberships": [{"site": "SITE"}, {"site": "SITE"}]}, "memberships[1].site", "stands twice"),
        (
            {"memberships": [{"site": "SITE", "plan": "gold"}]}, "memberships[0].plan",
            "there is no plan 'gold' at Harbour gym; known are basic",
        ),
        ({"memberships": [{"site": "SITE", "zones": ["x"]}]}, "memberships[0].zones", "known are pool"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_by_field(
    site: Site, call: Caller, change: dict[str, Any], field: str, says: str
) -> None:
    make_plan(site)
    member = make_member(site, "Bob")
    for membership in change.get("memberships", []):
        membership["site"] = membership["site"].replace("SITE", str(site.pk))
    before = (versions.of_site(site.pk).ver, LogEntry.objects.count())
    for answer in (
        call("POST", "members", {"full_name": "Ann", **change}),
        call("PATCH", f"members/{member.pk}", change),
    ):
        assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json")
        (error,) = answer.body["errors"]
        assert (error["field"], says in error["detail"]) == (field, True), answer.body
    assert Member.objects.count() == 1
    assert (versions.of_site(site.pk).ver, LogEntry.objects.count()) == before


def test_id_of_another_member_is_a_conflict_that_names_it(call: Caller) -> None:
    first = call("POST", "members", {"full_name": "Ann", "external_id": "17"}).body
    second = call("POST", "members", {"full_name": "Bob"}).body
    for answer in (
        call("POST", "members", {"full_name": "Cid", "external_id": "17"}),
        call("PATCH", f"members/{second['id']}", {"external_id": "17"}),
    ):
        assert (answer.status_code, first["id"] in answer.body["detail"]) == (409, True)
    assert call("PATCH", f"members/{first['id']}", {"external_id": "17"}).status_code == 200


def test_member_that_is_not_there_is_not_found(call: Caller) -> None:
    for method, body in (("GET", None), ("PATCH", {"is_active": True}), ("DELETE", None)):
        assert call(method, f"members/{uuid4()}", body).status_code == 404


def test_a_key_gives_nothing_that_its_owner_could_not_give(site: Site) -> None:
    clerk = User.objects.create_user("clerk")
    names = ["add_member", "change_member", "view_member", "delete_member"]
    clerk.user_permissions.set(Permission.objects.filter(codename__in=names))
    clerks = Caller(keys.issue("clerk", clerk, Scope)[0])
    made = clerks("POST", "members", {"full_name": "Ann Example"})
    assert made.status_code == 201
    path = f"members/{made.body['id']}"
    for field, value in (("memberships", [{"site": str(site.pk)}]), ("pack", {"visits": 99})):
        for method, where, body in (("PATCH", path, {}), ("POST", "members", {"full_name": "Bob Example"})):
            answer = clerks(method, where, {**body, field: value})
            assert answer.status_code == 403, (field, method)
            assert "lacks the permission directory.add_" in answer.body["detail"]
    assert clerks("DELETE", path).status_code == 403
    assert clerks("PATCH", path, {"memberships": []}).status_code == 403
    assert clerks("PATCH", path, {"full_name": "Ann Other"}).status_code == 200
