"""Who may see and do what with passes, and what the pages answer."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from central.devices.models import Site
from central.directory import book as site_book
from central.directory import rows
from central.directory.enrolling import enrol
from central.directory.models import Credential, Member, Membership, Zone
from central.passes import issuing, phones
from central.passes.forms import end_of_day
from central.passes.models import Pass, PhoneLink
from rules.book import load
from tests.central_passes.conftest import RIGHTS, staff_with
from tests.passes.making import PassDoor, Phone, encoded
from wire.vocabulary import CredentialKind, HolderKind

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

PHONE = Phone()


def day_pass(staff: Client, **given: Any) -> Pass:
    answer = staff.post("/passes/", {"name": "Walk-in", **given})
    assert answer.status_code == 302, answer.content
    return Pass.objects.get(pk=answer["Location"].rsplit("/", 1)[1])


@pytest.mark.parametrize("path", ["/passes/", "/passes/{pass}"])
def test_page_asks_for_a_login_and_refuses_who_is_no_staff(
    site: Site, stranger: Client, staff: Client, path: str
) -> None:
    path = path.replace("{pass}", str(day_pass(staff).pk))
    assert Client().get(path).status_code == 302
    assert stranger.get(path).status_code == 403
    assert staff.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/passes/", "/passes/{pass}/revoke", "/passes/phones/{member}"])
def test_only_staff_change_anything(site: Site, member: Member, stranger: Client, staff: Client, path: str) -> None:
    made = day_pass(staff)
    path = path.replace("{pass}", str(made.pk)).replace("{member}", str(member.pk))
    assert Client().post(path).status_code == 302
    assert stranger.post(path).status_code == 403
    assert Client(enforce_csrf_checks=True).post(path).status_code in (302, 403)
    made.refresh_from_db()
    assert (Pass.objects.count(), made.revoked_at) == (1, None)


RIGHT_FOR = {
    "/passes/": "add_pass",
    "/passes/{pass}/revoke": "change_pass",
    "/passes/phones/{member}": "add_credential",
}


@pytest.mark.parametrize("path", RIGHT_FOR)
def test_each_act_needs_its_own_permission(site: Site, member: Member, staff: Client, path: str) -> None:
    made, right = day_pass(staff), RIGHT_FOR[path]
    path = path.replace("{pass}", str(made.pk)).replace("{member}", str(member.pk))
    others = staff_with(*{*RIGHTS, "view_pass"} - {right}, name="others")
    for refused in (staff_with(name="nothing"), others):
        answer = refused.post(path, {"name": "Walk-in"})
        assert (answer.status_code, f".{right}" in answer.content.decode()) == (403, True)
    made.refresh_from_db()
    assert (Pass.objects.count(), PhoneLink.objects.count(), made.revoked_at) == (1, 0, None)
    assert staff_with(right, name="owner").post(path, {"name": "Walk-in"}).status_code in (200, 302)
    made.refresh_from_db()
    assert (Pass.objects.count() - 1) + PhoneLink.objects.count() + (made.revoked_at is not None) == 1


@pytest.mark.parametrize("path", ["/passes/", "/passes/{pass}"])
def test_staff_without_any_right_to_passes_see_none(site: Site, staff: Client, path: str) -> None:
    path = path.replace("{pass}", str(day_pass(staff).pk))
    assert staff_with(name="nothing").get(path).status_code == 403
    assert staff_with("view_pass", name="looks").get(path).status_code == 200


def test_pages_offer_only_what_somebody_may_do(site: Site, member: Member, staff: Client) -> None:
    made = day_pass(staff)
    offered = {"add_pass": "Issue the pass", "change_pass": ">Revoke</button>", "add_credential": "Make a link"}
    for right in (*RIGHTS, "view_pass"):
        somebody = staff_with(right, name=right)
        pages = [somebody.get(path).content.decode() for path in (f"/passes/?member={member.pk}", f"/passes/{made.pk}")]
        assert {key for key, text in offered.items() if text in "".join(pages)} == {right} & offered.keys()
        assert (f'href="/passes/{made.pk}"' in pages[0]) == (right != "add_credential")


def test_pass_sold_to_a_member_of_another_site_lets_no_card_of_theirs_in(site: Site, staff: Client) -> None:
    other = Site.objects.create(name="Hill gym")
    traveller = Member.objects.create(full_name="Tom Example")
    Membership.objects.create(member=traveller, site=other)
    enrol(traveller, CredentialKind.HF_UID, bytes.fromhex("04A15BC2D3E4E6"))
    made = day_pass(staff, member=str(traveller.pk))
    assert list(rows.of_site(site.pk)) == []
    assert not Membership.objects.filter(site=site).exists()
    door = PassDoor(book=load(site_book.items_of(site)))
    door.clock.wall_ms = int(made.starts_at.timestamp() * 1000) + 1_000
    assert door.decide(issuing.text_of(made)).is_grant


def test_desk_sells_a_day_pass_to_a_visitor_without_a_card(site: Site, staff: Client) -> None:
    made = day_pass(staff)
    assert (made.member.full_name, made.member.holder, made.holder) == ("Walk-in", "guest", HolderKind.GUEST.value)
    assert made.ends_at == end_of_day(site, timezone.now())
    assert (made.issued_by, made.is_once, made.zones) == ("desk", False, [])
    drawn = re.search(r"<svg[^>]*>", staff.get(f"/passes/{made.pk}").content.decode())
    assert drawn and "viewBox" in drawn[0], "a code without it is cut off where the page is narrow"  # noqa: PT018


def test_desk_sells_a_pass_to_a_member(site: Site, member: Member, staff: Client) -> None:
    assert "Ann Example" in staff.get(f"/passes/?member={member.pk}").content.decode()
    zone = Zone.objects.get(site=site)
    until = (timezone.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    made = day_pass(staff, member=str(member.pk), zones=[zone.pk], is_once="on", until=until)
    assert (made.member, made.zones, made.is_once, made.holder) == (member, ["gym"], True, "member")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": ""}, "Who is the visitor?"),
        ({"until": "2020-01-01T10:00"}, "opens nothing"),
        ({"until": "soon"}, "Enter a valid date"),
        ({"zones": ["999"]}, "999 is not one of the available choices"),
        ({"member": "nobody"}, "is not a valid UUID"),
    ],
)
def test_desk_is_told_what_is_wrong(site: Site, staff: Client, given: dict[str, Any], says: str) -> None:
    answer = staff.post("/passes/", {"name": "Walk-in", **given})
    assert answer.status_code == 400
    assert says in answer.content.decode()
    assert not Pass.objects.exists()
    assert not Member.objects.filter(full_name="Walk-in").exists()


def test_unknown_site_is_not_found(site: Site, staff: Client) -> None:
    assert staff.get("/passes/?site=nowhere").status_code == 404


def test_revoked_and_ended_passes_show_no_code(site: Site, staff: Client) -> None:
    made = day_pass(staff)
    assert staff.post(f"/passes/{made.pk}/revoke").status_code == 302
    shown = staff.get(f"/passes/{made.pk}").content.decode()
    assert "revoked by desk" in shown and "<svg" not in shown  # noqa: PT018
    ended = day_pass(staff)
    Pass.objects.filter(pk=ended.pk).update(ends_at=timezone.now() - timedelta(seconds=1))
    assert "has ended" in staff.get(f"/passes/{ended.pk}").content.decode()


def test_pass_can_be_printed_while_it_is_good(site: Site, staff: Client) -> None:
    made = day_pass(staff)
    text = staff.get(f"/passes/{made.pk}").content.decode()
    assert ('id="print"' in text, "passes/print.js" in text, "<script>" in text) == (True, True, False)
    staff.post(f"/passes/{made.pk}/revoke")
    assert "print.js" not in staff.get(f"/passes/{made.pk}").content.decode()


def test_times_of_passes_are_those_of_the_site_and_name_its_zone(site: Site, staff: Client) -> None:
    Site.objects.update(time_zone="Asia/Tokyo")
    until = (timezone.now() + timedelta(days=2)).strftime("%Y-%m-%dT22:30")
    made = day_pass(staff, until=until)
    for path in ("/passes/", f"/passes/{made.pk}"):
        text = staff.get(path).content.decode()
        assert (until.replace("T", " ") in text, "Asia/Tokyo" in text, "UTC" in text) == (True, True, False)


def test_times_of_passes_are_utc_and_called_so_where_the_zone_is_not_known(site: Site, staff: Client) -> None:
    Site.objects.update(time_zone="Mars/Olympus")
    made = day_pass(staff)
    for path in ("/passes/", f"/passes/{made.pk}"):
        text = staff.get(path).content.decode()
        assert (f"{made.ends_at:%Y-%m-%d %H:%M}" in text, "UTC" in text, "Mars" in text) == (True, True, False)


def test_link_for_a_phone_is_shown_once_and_keeps_its_code_out_of_addresses(member: Member, staff: Client) -> None:
    shown = staff.post(f"/passes/phones/{member.pk}").content.decode()
    found = re.search(r'<code id="address">http://testserver/phone/#([\w-]+)</code>', shown)
    assert found
    proof = PHONE.key.sign(phones.proof_message(found[1]))
    body = {"code": found[1], "public_key": encoded(PHONE.public), "proof": encoded(proof)}
    answer = Client(enforce_csrf_checks=True).post("/phone/keys", json.dumps(body), content_type="application/json")
    assert (answer.status_code, answer.json()) == (201, {"sites": ["Harbour gym"]})
    assert Credential.objects.get().member == member


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"\xff", 400),
        (b"[" * 2000, 400),
        (b'{"code": 1, "public_key": "", "proof": ""}', 400),
        (b'{"code": "x", "public_key": "x", "proof": "x"}', 403),
        (b" " * 4096, 413),
    ],
)
def test_bad_registration_is_refused_in_one_sentence(db: None, body: bytes, status: int) -> None:
    answer = Client().post("/phone/keys", body, content_type="application/json")
    assert answer.status_code == status
    assert answer.json()["error"].endswith(".")


def test_page_of_the_phone_is_open_and_says_nothing_about_anybody(member: Member) -> None:
    client = Client()
    assert "Ann" not in client.get("/phone/").content.decode()
    assert abs(client.get("/phone/clock").json()["now_ms"] / 1000 - timezone.now().timestamp()) < 60
    worker = client.get("/phone/worker.js")
    assert worker["Content-Type"] == "text/javascript"
    assert '"/static/passes/phone.js"' in worker.content.decode()
    assert client.post("/phone/").status_code == 405


def test_administration_shows_passes_and_changes_none(site: Site, staff: Client, admin_client: Client) -> None:
    made = day_pass(staff)
    assert f"/passes/{made.pk}" in admin_client.get("/admin/passes/pass/").content.decode()
    assert admin_client.get("/admin/passes/passkey/").status_code == 200
    assert admin_client.get("/admin/passes/pass/add/").status_code == 403
    assert admin_client.post(f"/admin/passes/pass/{made.pk}/delete/", {"post": "yes"}).status_code == 403
