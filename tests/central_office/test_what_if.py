"""What staff ask of a door: the decision rule by rule as the door would make it, and what opens without its link."""

import re
from datetime import UTC, datetime, time, timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from central.checkins.words import reason_words
from central.devices.models import Device, Door, Site
from central.directory.enrolling import enrol
from central.directory.models import (
    CredentialClass,
    DoorRules,
    Member,
    Membership,
    Plan,
    Schedule,
    ScheduleWindow,
    SiteRules,
    VisitPack,
    Zone,
)
from central.editions import offering
from central.passes import issuing
from central.presence.models import Whereabouts
from central.review.past import Past
from central.whatif import surviving
from central.whatif.asking import Circumstances, of_member
from central.whatif.held import held_by
from rules.policy import RULES
from tests.central_ledger.conftest import make_device
from wire.vocabulary import CredentialKind, Reason

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

HF = CredentialKind.HF_UID
CARD = "04A15BC2D3E4E6"
NOON_MS = int(datetime(2027, 1, 13, 11, tzinfo=UTC).timestamp() * 1000)
DAY_MS = 86_400_000


@pytest.fixture
def gym(site: Site) -> Zone:
    """The site has rules: hours for one plan, and what holds without the link."""
    SiteRules.objects.create(site=site, stale_after_h=72, companions_offline="deny")
    CredentialClass.objects.create(site=site, name="hf_uid", clock_unknown="allow", stale_after_h=48)
    mornings = Schedule.objects.create(site=site, name="mornings")
    ScheduleWindow.objects.create(schedule=mornings, days=["MO", "TU", "WE", "TH", "FR"], starts=time(6), ends=time(12))
    plan = Plan.objects.create(site=site, name="mornings", is_everywhere=True)
    plan.schedules.add(mornings)
    return Zone.objects.create(site=site, name="gym", anti_passback="hard", limit=5, limit_offline="allow")


@pytest.fixture
def device(gym: Zone, site: Site) -> Device:
    made = make_device(site, "North door")
    DoorRules.objects.create(door=Door.objects.get(pk=made.door_id), zone=gym)
    return made


def member_with(site: Site, uid: str, *, plan: str = "", **fields: object) -> Member:
    member = Member.objects.create(full_name=f"Holder of {uid[-2:]}", **fields)
    Membership.objects.create(member=member, site=site, plan=Plan.objects.filter(name=plan).first())
    enrol(member, HF, bytes.fromhex(uid))
    return member


def brought(device: Device) -> Device:
    """Bring the device the newest directory."""
    offering.offer(device.pk, None, 1_000, takes_deltas=True)
    ref = offering.newest(device.pk)
    device.dir_epoch, device.dir_ver = ref.epoch, ref.ver
    device.save()
    return device


def staff(*rights: str) -> Client:
    user = User.objects.create_user(f"user {User.objects.count()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def desk(db: None) -> Client:
    return staff("view_credential")


def text_of(page: bytes) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.decode()))


@pytest.mark.parametrize("page", ["what-if", "without-link"])
def test_pages_are_for_staff_with_the_permission(device: Device, desk: Client, page: str) -> None:
    path = f"/devices/{device.pk}/{page}"
    assert Client().get(path).status_code == 302
    assert staff("view_member").get(path).status_code == 403
    assert desk.get(path).status_code == 200
    assert "What if" in text_of(desk.get(f"/?site={device.door.site_id}").content)
    assert "What if" not in text_of(staff("view_member").get(f"/?site={device.door.site_id}").content)


def test_kinds_have_the_names_that_staff_know_from_the_administration(device: Device, desk: Client) -> None:
    shown = text_of(desk.get(f"/devices/{device.pk}/what-if").content)
    assert "Card, 13.56 MHz" in shown
    assert "hf_uid" not in shown


def test_rules_are_told_in_their_order_and_words_and_the_decisive_one_is_marked(
    device: Device, site: Site, desk: Client
) -> None:
    member = member_with(site, CARD, plan="mornings")
    brought(device)
    answer = desk.post(f"/devices/{device.pk}/what-if", {"member": member.pk, "at": "2027-01-13T13:00"})
    [shown] = answer.context["answers"]
    assert (shown["outcome"], shown["reason"]) == ("deny", "outside_hours")
    assert [(step["reason"], step["says"]) for step in shown["steps"]] == [(rule.reason, rule.says) for rule in RULES]
    assert [step["reason"] for step in shown["steps"] if step["decides"]] == ["outside_hours"]
    early = desk.post(f"/devices/{device.pk}/what-if", {"member": member.pk, "at": "2027-01-13T07:00"})
    assert early.context["answers"][0]["outcome"] == "grant"
    assert "Holder of E6" in text_of(early.content)


def test_door_is_asked_by_the_directory_that_it_has(device: Device, site: Site, desk: Client) -> None:
    member = member_with(site, CARD)
    brought(device)
    member.is_blocked = True
    member.save()
    page = desk.get(f"/devices/{device.pk}/what-if?member={member.pk}")
    [shown] = page.context["answers"]
    assert shown["outcome"] == "grant"
    assert shown["soon"] == ("deny", "member_blocked")
    brought(device)
    [shown] = desk.get(f"/devices/{device.pk}/what-if?member={member.pk}").context["answers"]
    assert (shown["reason"], shown.get("soon")) == ("member_blocked", None)


def test_door_without_a_directory_is_asked_by_the_newest_and_that_is_said(
    device: Device, site: Site, desk: Client
) -> None:
    member = member_with(site, CARD)
    page = desk.get(f"/devices/{device.pk}/what-if?member={member.pk}")
    assert "this door has no directory yet" in text_of(page.content)
    assert page.context["answers"][0]["outcome"] == "grant"


@pytest.mark.parametrize(
    ("value", "reason"), [("04 A1 5B C2 D3 E4 E6", "member_valid"), ("04 A1 5B C2 D3 E4 FF", "unknown_credential")]
)
def test_typed_card_is_found_and_not_repeated(
    device: Device, site: Site, desk: Client, value: str, reason: str
) -> None:
    member_with(site, CARD)
    brought(device)
    page = desk.post(f"/devices/{device.pk}/what-if", {"kind": "hf_uid", "value": value})
    assert page.context["answers"][0]["reason"] == reason
    assert f'value="{value}"' not in page.content.decode()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "hf_uid", "value": "04 A1 XX"}, "hex"),
        ({"at": "9999-12-31T23:59"}, "The year must be from 1970 to 2199"),
        ({"offline_h": "-1"}, "greater than or equal to 0"),
        ({"member": "7"}, "valid"),
    ],
)
def test_nonsense_is_refused_with_what_would_do(device: Device, desk: Client, given: dict[str, str], said: str) -> None:
    page = desk.post(f"/devices/{device.pk}/what-if", {"kind": "hf_uid", **given})
    assert page.status_code == 400
    assert said in str(page.context["form"].errors)
    assert page.context["answers"] == []


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"offline_h": 49}, "directory_stale"),
        ({"where": "yes"}, "anti_passback"),
        ({"lockdown": 1}, "lockdown"),
        ({"mode": "locked"}, "door_locked"),
        ({"direction": "out", "lockdown": 1}, "member_valid"),
        ({"knows_no_time": "on"}, "member_valid"),
    ],
)
def test_circumstances_count(device: Device, site: Site, desk: Client, given: dict[str, str], reason: str) -> None:
    member = member_with(site, CARD)
    brought(device)
    page = desk.post(f"/devices/{device.pk}/what-if", {"member": member.pk, **given})
    assert page.context["answers"][0]["reason"] == reason


def answer(device: Device, member: Member, seen: Circumstances) -> Reason:
    return of_member(held_by(device), member, seen)[0].explanation.decision.reason


def test_device_that_was_revoked_lets_nobody_in(device: Device, site: Site) -> None:
    member = member_with(site, CARD)
    brought(device)
    device.state = Device.State.REVOKED
    device.save()
    assert answer(device, member, Circumstances(NOON_MS)) is Reason.DEVICE_REVOKED
    assert surviving.survival(held_by(device), Circumstances(NOON_MS), 30).counts[0].linked == 0


def test_minor_without_company_is_denied(device: Device, site: Site) -> None:
    member = member_with(site, CARD, is_minor=True)
    brought(device)
    said = [answer(device, member, Circumstances(NOON_MS, has_company=company)) for company in (True, False, None)]
    assert said == [Reason.MEMBER_VALID, Reason.GUARDIAN_ABSENT, Reason.GUARDIAN_ABSENT]


def test_where_people_are_is_as_the_record_of_the_site_says(device: Device, site: Site) -> None:
    member, guardian = member_with(site, CARD, is_minor=True), member_with(site, "04A15BC2D3E4E7")
    member.guardians.add(guardian)
    brought(device)
    inside = {"site": site, "zone": "gym", "since_ms": NOON_MS - 60_000, "ver": 2}
    seen = Circumstances(NOON_MS)
    assert answer(device, guardian, seen) is Reason.MEMBER_VALID
    Whereabouts.objects.create(member=guardian, **inside)
    assert (answer(device, member, seen), answer(device, guardian, seen)) == (Reason.MEMBER_VALID, Reason.ANTI_PASSBACK)
    assert answer(device, guardian, Circumstances(NOON_MS, is_inside=False)) is Reason.MEMBER_VALID
    for number in range(5):
        Whereabouts.objects.create(member=member_with(site, f"04A15BC2D3F0{number:02X}"), **inside)
    assert answer(device, member, seen) is Reason.ZONE_FULL
    assert answer(device, member, Circumstances(NOON_MS, offline_s=60)) is Reason.NEEDS_LINK


def test_visits_used_of_a_pack_are_as_the_record_says(device: Device, site: Site) -> None:
    member = member_with(site, CARD)
    VisitPack.objects.create(member=member, visits=3, used=1)
    brought(device)
    assert answer(device, member, Circumstances(NOON_MS)) is Reason.MEMBER_VALID
    Whereabouts.objects.create(member=member, site=site, ver=2, used=3)
    assert answer(device, member, Circumstances(NOON_MS)) is Reason.PACK_EMPTY


def test_passes_of_a_member_are_asked_about_by_their_signed_text(device: Device, site: Site) -> None:
    member, now = member_with(site, CARD), timezone.now()
    made = issuing.issue(site, member, starts_at=now, ends_at=now + timedelta(days=1), actor="desk", now=now)
    brought(device)
    seen = Circumstances(int(now.timestamp() * 1000) + 1_000)
    assert [each.explanation.decision.reason for each in of_member(held_by(device), member, seen)] == [
        "member_valid"
    ] * 2
    issuing.revoke(made, actor="desk", now=now)
    brought(device)
    assert of_member(held_by(device), member, seen)[1].explanation.decision.reason == Reason.PASS_REVOKED


def test_members_are_found_by_name_and_external_id(device: Device, site: Site, desk: Client) -> None:
    member = member_with(site, CARD, external_id="crm-17")
    for text in ("older of", "crm-17"):
        page = desk.get(f"/devices/{device.pk}/what-if", {"find": text})
        assert f"?member={member.pk}" in page.content.decode()
    assert "No member is called that" in text_of(desk.get(f"/devices/{device.pk}/what-if?find=zz").content)


def test_answer_is_in_words_and_the_table_of_rules_is_folded(device: Device, site: Site, desk: Client) -> None:
    member = Member.objects.create(full_name="Ann Example")
    enrol(member, HF, bytes.fromhex(CARD))
    answer = desk.get(f"/devices/{device.pk}/what-if", {"member": str(member.pk), "lockdown": "1"})
    text = answer.content.decode()
    assert "Card, 13.56 MHz, 04 " in text
    assert "hf_uid" not in text.partition('class="answer"')[2]
    assert ("by the clock of " + site.time_zone in text, "<details><summary>Rule by rule" in text) == (True, True)
    (shown,) = answer.context["answers"]
    assert reason_words(shown["reason"]) in text
    assert {step["verdict"] for step in shown["objections"]} <= {"objects", "lifted"}
    assert [step["decides"] for step in shown["objections"]].count(True) == 1


def test_card_desk_is_no_door_to_be_asked(device: Device, site: Site, desk: Client, admin_client: Client) -> None:
    front = make_device(site, "Front desk")
    Device.objects.filter(pk=front.pk).update(is_desk=True)
    for page in ("what-if", "without-link"):
        assert "Front desk is a card desk" in desk.get(f"/devices/{front.pk}/{page}").content.decode()
        assert str(front.pk) not in desk.get(f"/devices/{device.pk}/{page}").content.decode()
    listed = admin_client.get("/admin/devices/device/").content.decode()
    assert (f"{device.pk}/what-if" in listed, f"{front.pk}/what-if" in listed) == (True, False)


def test_what_opens_without_the_link_is_counted_by_the_rules(device: Device, site: Site) -> None:
    for at in range(3):
        member_with(site, f"04A15BC2D3E4{at:02X}")
    member_with(site, CARD, is_minor=True)
    member_with(site, "04A15BC2D3E4E7", is_blocked=True)
    now = timezone.now()
    issuing.issue(site, Member.objects.all()[0], starts_at=now, ends_at=now + timedelta(days=2), actor="d", now=now)
    held = held_by(brought(device))
    found = surviving.survival(held, Circumstances(int(now.timestamp() * 1000) + 1_000), 3)
    by = {(count.days, count.knows_time): count for count in found.counts}
    assert (found.asked, found.one_in) == (5, 1)
    assert (by[0, True].linked, by[0, True].alone, by[0, True].passes) == (4, 3, 1)
    assert by[0, True].lost == {Reason.NEEDS_LINK: 1}
    assert (by[1, True].alone, by[1, True].passes) == (3, 1)
    assert (by[3, True].alone, by[3, True].passes, by[3, True].lost) == (0, 0, {Reason.DIRECTORY_STALE: 4})
    assert by[0, False].passes == 0


def test_clock_that_is_lost_may_let_more_in_and_that_is_told(device: Device, site: Site) -> None:
    member_with(site, CARD, plan="mornings")
    held = held_by(brought(device))
    evening = int(datetime(2027, 1, 13, 20, tzinfo=UTC).timestamp() * 1000)
    by = {(count.days, count.knows_time): count for count in surviving.survival(held, Circumstances(evening), 1).counts}
    assert (by[0, True].alone, by[0, True].gained) == (0, 0)
    assert (by[0, False].alone, by[0, False].gained) == (1, 1)


def test_survey_is_of_the_directory_that_the_door_has(device: Device, site: Site) -> None:
    kept, gone = member_with(site, CARD), member_with(site, "04A15BC2D3E4E7")
    brought(device)
    gone.delete()
    kept.is_blocked = True
    kept.save()
    member_with(site, "04A15BC2D3E4E8")
    held = held_by(device)
    assert surviving.survival(held, Circumstances(NOON_MS), 1).counts[0].alone == 2
    assert len(list(Past(device.pk).rows(held.past.newest[1]))) == 2


def test_large_directories_are_asked_in_part(device: Device, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surviving, "_MOST", 3)
    for at in range(6):
        member_with(site, f"04A15BC2D3E4{at:02X}", valid_to=timezone.now() + timedelta(days=40, hours=at))
    found = surviving.survival(held_by(brought(device)), Circumstances(int(timezone.now().timestamp() * 1000)), 1)
    assert (found.asked, found.one_in, found.counts[0].alone) == (6, 2, 6)


def test_outage_page_says_what_the_site_chose(device: Device, site: Site, desk: Client) -> None:
    member_with(site, CARD)
    brought(device)
    page = text_of(desk.get(f"/devices/{device.pk}/without-link?days=14").content)
    for said in (
        "counts for 3 days after the last contact",
        "counts for 2 days",
        "14 days",
        "needs_link",
        "limit of 5 in gym",
    ):
        assert said in page
    assert desk.get(f"/devices/{device.pk}/without-link?days=0").status_code == 400


def test_site_without_rules_says_so(site: Site, desk: Client) -> None:
    bare = make_device(site, "Bare door")
    assert "the site has no rules yet" in text_of(desk.get(f"/devices/{bare.pk}/without-link").content)


def test_cards_that_cannot_be_read_are_said_with_the_remedy(device: Device, desk: Client) -> None:
    Device.objects.filter(pk=device.pk).update(sealed_credential_key=b"other")
    for page in ("what-if", "without-link"):
        assert "restore central's secret key" in text_of(desk.get(f"/devices/{device.pk}/{page}").content).replace(
            "&#x27;", "'"
        )


def test_text_of_a_pass_is_verified_as_the_door_does(device: Device, site: Site, desk: Client) -> None:
    member, now = member_with(site, CARD), timezone.now()
    made = issuing.issue(site, member, starts_at=now, ends_at=now + timedelta(days=1), actor="desk", now=now)
    brought(device)
    text = issuing.text_of(made)
    for value, reason in ((text, "pass_not_yet"), (text[:-4] + "AAAA", "pass_signature")):
        given = {"kind": "qr_static", "value": value, "at": "2020-01-01T12:00"}
        page = desk.post(f"/devices/{device.pk}/what-if", given)
        assert page.context["answers"][0]["reason"] == reason
