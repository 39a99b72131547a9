"""Credentials by the API: given, revoked, replaced, deleted; a value comes in and never goes out."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.admin.models import LogEntry

from central.devices.models import Device, Site
from central.directory.models import Credential, Member
from tests.central_api.conftest import Caller
from tests.central_ledger.conftest import make_member
from tests.central_ledger.told import rows_for

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

VALUE = "04A15BC2D3E4E6"


@pytest.fixture
def member(site: Site) -> Member:
    return make_member(site, "Ann Example")


def give(call: Caller, member: Member, value: str = VALUE, **more: Any) -> Any:
    return call("POST", "credentials", {"member": str(member.pk), "kind": "hf_uid", "value": value, **more})


def test_credential_is_given_and_its_value_never_told(device: Device, member: Member, call: Caller) -> None:
    answer = give(call, member)
    credential = Credential.objects.get()
    assert answer.body == {
        "id": str(credential.pk), "member": str(member.pk), "kind": "hf_uid", "hint": "04 ** ** ** ** ** E6",
        "assurance": "low", "is_revoked": False, "created_at": answer.body["created_at"],
    }  # fmt: skip
    assert answer["Location"] == f"/api/v1/credentials/{credential.pk}"
    assert call("GET", f"credentials/{credential.pk}").body == answer.body
    assert credential.canonical.hex().upper() == VALUE
    assert len(rows_for(device)) == 1
    told = f"{answer.content!r} {list(LogEntry.objects.values())}"
    assert VALUE.lower() not in told.lower().replace(" ", "")


def test_value_is_read_in_the_form_that_is_named(member: Member, call: Caller) -> None:
    give(call, member, "E6E4D3C25BA104", form="hex_reversed", is_revoked=True)
    assert (Credential.objects.get().canonical.hex().upper(), Credential.objects.get().is_revoked) == (VALUE, True)


def test_credential_is_revoked_and_given_back(device: Device, member: Member, call: Caller) -> None:
    path = f"credentials/{give(call, member).body['id']}"
    for is_revoked in (True, False):
        assert call("PATCH", path, {"is_revoked": is_revoked}).body["is_revoked"] is is_revoked
        assert rows_for(device)[0].is_revoked is is_revoked


def test_replacement_revokes_the_old_one_at_the_same_moment(device: Device, member: Member, call: Caller) -> None:
    lost = give(call, member).body["id"]
    answer = call("POST", f"credentials/{lost}/replacement", {"kind": "lf_hid", "value": "118-01603"})
    assert (answer.status_code, answer.body["member"]) == (201, str(member.pk))
    assert call("GET", f"credentials/{lost}").body["is_revoked"] is True
    assert sorted(row.is_revoked for row in rows_for(device)) == [False, True]


def test_credential_is_deleted_and_may_go_to_another(site: Site, member: Member, call: Caller) -> None:
    path = f"credentials/{give(call, member).body['id']}"
    assert call("DELETE", path).status_code == 204
    assert call("DELETE", path).status_code == 404
    assert give(call, make_member(site, "Bob")).status_code == 201


def test_card_of_another_member_is_a_conflict_and_changes_nothing(site: Site, member: Member, call: Caller) -> None:
    give(call, member)
    bob = make_member(site, "Bob")
    other = give(call, bob, "04A15BC2D3E4E7").body["id"]
    for answer in (
        give(call, bob),
        call("POST", f"credentials/{other}/replacement", {"kind": "hf_uid", "value": VALUE}),
    ):
        assert (answer.status_code, str(member.pk) in answer.body["detail"]) == (409, True)
    assert call("GET", f"credentials/{other}").body["is_revoked"] is False


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"value": "04A1"}, "value", "'04A1' is not 8 or 14 or 20 hex digits"),
        ({"form": "wiegand26_last"}, "value", "drops bits and names no single card"),
        ({"form": "runes"}, "value", "has no form 'runes'"),
        ({"kind": "pass_signed"}, "kind", "is issued by central; give one of hf_uid"),
        ({"kind": "nfc"}, "kind", "Invalid enum value 'nfc'"),
        ({"member": str(uuid4())}, "member", "there is no member"),
        ({"member": 7}, "member", "Expected `uuid`, got `int`"),
    ],
)
def test_what_makes_no_sense_is_refused_by_field(
    member: Member, call: Caller, change: dict[str, Any], field: str, says: str
) -> None:
    body = {"member": str(member.pk), "kind": "hf_uid", "value": VALUE, **change}
    answer = call("POST", "credentials", body)
    assert answer.status_code == 422
    (error,) = answer.body["errors"]
    assert (error["field"], says in error["detail"]) == (field, True), answer.body
    assert Credential.objects.count() == 0


def test_list_goes_page_by_page_and_by_member(site: Site, member: Member, call: Caller) -> None:
    bob = make_member(site, "Bob")
    ids = [give(call, bob if n % 2 else member, f"0400000000000{n}").body["id"] for n in range(5)]
    first = call("GET", "credentials?limit=3").body
    rest = call("GET", f"credentials?limit=3&after={first['next']}").body
    assert [each["id"] for each in first["items"] + rest["items"]] == sorted(ids)
    assert rest["next"] is None
    assert {each["member"] for each in call("GET", f"credentials?member={bob.pk}").body["items"]} == {str(bob.pk)}
