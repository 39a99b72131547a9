"""Who may see and do what on staff's pages, and what the pages answer."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from central.checkins import ingest, runs
from central.checkins.models import Alert, DeadLetter, Event, Visit
from central.devices import commands
from central.devices.ids import uuid7
from central.devices.models import Command, Device, Site
from central.directory.models import Credential, Member, Membership
from tests.central_ledger.conftest import make_member
from tests.fakes.journal_script import START_MS, JournalScript, decision, hello
from wire.events import AlarmBody, CommandResultBody
from wire.vocabulary import CommandName, CommandState, Direction, EventKind, Outcome, PassageOutcome

pytestmark = [pytest.mark.unit, pytest.mark.django_db]


@pytest.fixture
def staff(django_user_model: type[User]) -> Client:
    user = django_user_model.objects.create_user("desk", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="add_command"))
    return logged_in(user)


@pytest.fixture
def clerk(django_user_model: type[User]) -> Client:
    """Return somebody of staff without a single permission."""
    return logged_in(django_user_model.objects.create_user("clerk", is_staff=True))


@pytest.fixture
def superuser(django_user_model: type[User]) -> Client:
    return logged_in(django_user_model.objects.create_superuser("chief"))


@pytest.fixture
def stranger(django_user_model: type[User]) -> Client:
    return logged_in(django_user_model.objects.create_user("member"))


def logged_in(user: User) -> Client:
    client = Client(raise_request_exception=True)
    client.force_login(user)
    return client


@pytest.fixture
def online(device: Device) -> Device:
    device.connected_at = device.last_seen_at = timezone.now()
    device.save()
    return device


def play(journal: JournalScript) -> None:
    runs.register(journal.device, 1, hello(journal.device, [journal.state()]))
    ingest.ingest_events(journal.device, 1, journal.run, 1, journal.raws())


PAGES = ["/", "/?site={site}"]
DATA = ["/api/stats", "/api/stats?site={site}", "/api/feed", "/commands/{command}"]


@pytest.fixture
def addresses(site: Site, device: Device) -> dict[str, str]:
    command = commands.issue(device, CommandName.UNLOCK, actor="desk", reason="a", now=timezone.now())
    return {"site": str(site.pk), "command": str(command.pk), "device": str(device.pk)}


@pytest.mark.parametrize("path", PAGES)
def test_page_asks_for_a_login_and_refuses_who_is_no_staff(
    addresses: dict[str, str], stranger: Client, staff: Client, path: str
) -> None:
    path = path.format(**addresses)
    refused = Client().get(path)
    assert (refused.status_code, refused["Location"].split("?")[0]) == (302, "/admin/login/")
    assert stranger.get(path).status_code == 403
    assert staff.get(path).status_code == 200
    assert staff.post(path).status_code == 405


@pytest.mark.parametrize("path", DATA)
def test_data_is_for_staff_only(addresses: dict[str, str], stranger: Client, staff: Client, path: str) -> None:
    path = path.format(**addresses)
    assert (Client().get(path).status_code, stranger.get(path).status_code) == (401, 403)
    answer = staff.get(path)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert "no-store" in answer["Cache-Control"]


def test_unlock_is_for_staff_only(online: Device, stranger: Client, staff: Client) -> None:
    path = f"/devices/{online.pk}/unlock"
    assert Client().post(path, {"reason": "a"}).status_code == 302
    assert stranger.post(path, {"reason": "a"}).status_code == 403
    assert staff.get(path).status_code == 405
    assert Command.objects.count() == 0


def test_unlock_is_offered_to_those_who_may(online: Device, clerk: Client, staff: Client) -> None:
    answer = clerk.post(f"/devices/{online.pk}/unlock", {"reason": "a"})
    assert (answer.status_code, "devices.add_command" in answer.content.decode()) == (403, True)
    assert Command.objects.count() == 0
    assert 'class="unlock"' not in clerk.get("/").content.decode()
    assert 'class="unlock"' in staff.get("/").content.decode()


@pytest.mark.parametrize("link", ['href="/passes/', 'href="/admin/directory/member/"'])
def test_dashboard_leads_to_passes_and_members_those_who_may_see_them(
    online: Device, clerk: Client, superuser: Client, link: str
) -> None:
    assert link not in clerk.get("/").content.decode()
    assert link in superuser.get("/").content.decode()


@pytest.mark.parametrize("path", ["/passes/", "/admin/directory/member/"])
def test_refusal_is_a_page_with_a_title_and_a_way_back(site: Site, clerk: Client, path: str) -> None:
    answer = clerk.get(path)
    text = answer.content.decode()
    assert (answer.status_code, "<title>Not allowed" in text, 'href="/"' in text) == (403, True, True)
    assert "Ask an administrator" in text


def test_refusal_says_in_words_what_is_missing(site: Site, clerk: Client) -> None:
    assert "the right to see passes (passes.view_pass) or issue passes" in clerk.get("/passes/").content.decode()


def test_desk_is_no_door_that_could_be_opened_or_asked(online: Device, superuser: Client) -> None:
    assert 'class="unlock"' in superuser.get("/").content.decode()
    Device.objects.update(is_desk=True)
    text = superuser.get("/").content.decode()
    assert ('class="unlock"' in text, "what-if" in text, "opens nothing" in text) == (False, False, True)
    for accept in ("application/json", "text/html"):
        answer = superuser.post(f"/devices/{online.pk}/unlock", {"reason": "a"}, headers={"Accept": accept})
        assert (answer.status_code, "is a card desk" in answer.content.decode()) == (409, True)
    assert Command.objects.count() == 0


@pytest.mark.parametrize(
    ("reported", "says", "tone"),
    [("idle", "ready", "good"), ("out_of_service", "out of service", "bad"), ("staff_away", "nobody answers", "bad")],
)
def test_state_of_a_door_is_told_in_words_and_coloured_by_what_it_does(
    online: Device, staff: Client, reported: str, says: str, tone: str
) -> None:
    Device.objects.update(door_state=reported)
    (door,) = staff.get("/api/stats").json()["doors"]
    assert (says in door["says"], door["tone"], door["state"]) == (True, tone, "online")


def test_unlock_without_a_csrf_token_is_refused(online: Device, django_user_model: type[User]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(django_user_model.objects.create_user("desk", is_staff=True))
    assert client.post(f"/devices/{online.pk}/unlock", {"reason": "a"}).status_code == 403
    assert Command.objects.count() == 0


def test_unlock_makes_a_command_that_says_who_and_why(online: Device, staff: Client) -> None:
    answer = staff.post(f"/devices/{online.pk}/unlock", {"reason": " forgot the card "}, follow=True)
    command = Command.objects.get()
    assert (command.actor, command.reason, command.ttl_ms) == ("desk", "forgot the card", 10_000)
    assert (command.mode, command.state) == ("once", "pending")
    assert "North door: Pending" in answer.content.decode()


def test_unlock_answers_the_page_with_the_state(online: Device, staff: Client) -> None:
    answer = staff.post(f"/devices/{online.pk}/unlock", {"reason": "a"}, headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["state"], answer.json()["isOver"]) == (201, "pending", False)
    Command.objects.update(state="done", code="relocked")
    state = staff.get(f"/commands/{answer.json()['id']}").json()
    assert (state["state"], state["code"], state["isOver"]) == ("done", "relocked", True)


def test_unlock_of_a_door_that_is_away_is_refused_at_once(device: Device, staff: Client) -> None:
    answer = staff.post(f"/devices/{device.pk}/unlock", {"reason": "a"}, headers={"Accept": "application/json"})
    said = {"state": "refused", "code": "device_offline", "why": "the door is not connected", "isOver": True}
    assert answer.json() | {"id": ""} == {"id": "", **said}


@pytest.mark.parametrize("reason", ["", "   ", "x" * 201, "\0"])
def test_unlock_needs_a_reason(online: Device, staff: Client, reason: str) -> None:
    path = f"/devices/{online.pk}/unlock"
    assert staff.post(path, {"reason": reason}).status_code == 400
    answer = staff.post(path, {"reason": reason}, headers={"Accept": "application/json"})
    assert (answer.status_code, "Give a reason" in answer.json()["error"]) == (400, True)
    assert Command.objects.count() == 0


def test_unlock_of_no_device_is_not_found(staff: Client) -> None:
    assert staff.post(f"/devices/{uuid7()}/unlock", {"reason": "a"}).status_code == 404


@pytest.mark.parametrize("path", ["/api/stats?site=nonsense", f"/api/feed?site={UUID(int=7)}", "/?site=7"])
def test_unknown_site_is_not_found(staff: Client, path: str) -> None:
    assert staff.get(path).status_code == 404


def test_figures_and_doors_are_told(online: Device, journal: JournalScript, member: Member, staff: Client) -> None:
    now_ms = int(timezone.now().timestamp() * 1000)
    journal.visit(member.pk, now_ms - START_MS)
    play(journal)
    found = staff.get("/api/stats").json()
    assert (found["currentlyIn"], found["todayTotal"], found["averageStayMinutes"]) == (1, 1, 0)
    (door,) = found["doors"]
    assert (door["door"], door["state"], door["waiting"], door["site"]) == ("North door", "online", 0, "Harbour gym")


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "away"),
        ({"connected_at": 0, "last_seen_at": 0}, "online"),
        ({"connected_at": 30, "last_seen_at": 19}, "online"),
        ({"connected_at": 30, "last_seen_at": 22}, "silent"),
        ({"connected_at": 60, "last_seen_at": 46}, "away"),
        ({"connected_at": 60, "last_seen_at": 5, "disconnected_at": 4}, "away"),
        ({"connected_at": 0, "last_seen_at": 0, "state": "revoked"}, "revoked"),
    ],
)
def test_door_says_whether_it_is_there(device: Device, staff: Client, changes: dict[str, Any], state: str) -> None:
    now = timezone.now()
    for name, value in changes.items():
        setattr(device, name, value if name == "state" else now - timedelta(seconds=value))
    device.save()
    assert staff.get("/api/stats").json()["doors"][0]["state"] == state


@pytest.mark.parametrize(
    ("heard_s", "backlog", "says"),
    [(0, 0, "0"), (0, 21, "21"), (22, 0, "?"), (22, 21, "at least 21"), (60, 0, "?"), (60, 3, "at least 3")],
)
def test_what_waits_is_a_number_only_as_long_as_the_door_says_so(
    device: Device, staff: Client, heard_s: int, backlog: int, says: str
) -> None:
    device.connected_at = device.last_seen_at = timezone.now() - timedelta(seconds=heard_s)
    device.backlog = backlog
    device.save()
    (door,) = staff.get("/api/stats").json()["doors"]
    assert (door["waiting"], door["waitingSays"]) == (backlog, says)
    assert f">{says}</td>" in staff.get("/").content.decode()


def test_silent_door_is_not_said_to_be_ready(device: Device, staff: Client) -> None:
    device.connected_at = device.last_seen_at = timezone.now() - timedelta(seconds=25)
    device.door_state = "idle"
    device.save()
    (door,) = staff.get("/api/stats").json()["doors"]
    assert (door["says"], door["tone"]) == ("a heartbeat is missing", "warn")


def test_feed_tells_what_happened_in_words_and_names(
    device: Device, journal: JournalScript, member: Member, staff: Client
) -> None:
    now_ms = int(timezone.now().timestamp() * 1000) - START_MS
    journal.grant(member.pk, now_ms)
    journal.passage(1, now_ms, PassageOutcome.UNUSED)
    journal.record(EventKind.DECISION, decision(None, Direction.IN, Outcome.DENY), now_ms)
    journal.record(EventKind.ALARM, AlarmBody(code="reader_lost", detail="usb"), now_ms)
    result = CommandResultBody(id="x", name=CommandName.UNLOCK, state=CommandState.DONE)
    journal.record(EventKind.COMMAND_RESULT, result, now_ms)
    journal.visit(uuid7(), 0, Direction.OUT)
    play(journal)
    told = staff.get("/api/feed").json()["entries"]
    assert [(entry["what"], entry["direction"], entry["detail"], entry["is_late"]) for entry in told] == [
        ("grant", "in", "", False),
        ("passage_unused", "", "", False),
        ("deny", "in", "not known here", False),
        ("alarm", "", "reader lost: usb", False),
        ("command", "", "one person let in", False),
        ("grant", "out", "", True),
    ]
    assert told[0]["who"] == "Ann Example"
    assert told[2]["who"] == ""
    assert told[5]["who"].startswith("unknown member")


def test_feed_ends_with_the_last_fifty(journal: JournalScript, member: Member, staff: Client) -> None:
    for n in range(60):
        journal.grant(member.pk, n * 1000)
    play(journal)
    told = staff.get("/api/feed").json()["entries"]
    assert len(told) == 50
    assert told[-1]["id"].endswith("/60")


def test_names_are_data(device: Device, site: Site, journal: JournalScript, staff: Client) -> None:
    evil = "</script><img src=x onerror=alert(1)>"
    journal.grant(make_member(site, evil).pk)
    play(journal)
    device.door.name = evil
    device.door.save()
    text = staff.get("/").content.decode()
    assert "<img" not in text
    assert evil not in text


def test_page_without_sites_or_devices_says_what_to_do(db: None, staff: Client) -> None:
    text = staff.get("/").content.decode()
    assert "No device has joined yet" in text
    assert "doorstile join" in text


def test_page_lets_choose_among_sites_and_counts_alerts(site: Site, device: Device, staff: Client) -> None:
    Site.objects.create(name="Aaa gym")
    Alert.objects.create(device=device, kind="lost_range", key="a", detail="b")
    assert "1 finding" not in staff.get("/").content.decode()
    text = staff.get(f"/?site={site.pk}").content.decode()
    assert "1 finding" in text
    assert "Aaa gym" in text


def test_page_forbids_foreign_scripts_and_frames(site: Site, staff: Client) -> None:
    answer = staff.get("/")
    assert "default-src 'self'" in answer["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "DENY"
    assert "<script>" not in answer.content.decode()


ADMIN = ["run", "event", "loss", "visit", "deadletter", "alert"]


@pytest.fixture
def filled(journal: JournalScript, member: Member) -> JournalScript:
    journal.visit(member.pk)
    journal.visit(uuid7())
    journal.store_text(b"{}")
    play(journal)
    Alert.objects.create(device_id=journal.device, kind="lost_range", key="a", detail="b")
    return journal


def test_the_list_of_events_says_outcome_and_member(filled: JournalScript, superuser: Client) -> None:
    text = superuser.get("/admin/checkins/event/").content.decode()
    assert "grant, member_valid" in text
    assert "Ann Example" in text
    assert "unknown member " in text
    assert "Check-ins" in text


@pytest.mark.parametrize("name", ADMIN)
def test_records_can_be_read_and_not_changed(filled: JournalScript, superuser: Client, name: str) -> None:
    assert superuser.get(f"/admin/checkins/{name}/").status_code == 200
    assert superuser.get(f"/admin/checkins/{name}/add/").status_code == 403


@pytest.mark.parametrize("model", [Event, Visit, DeadLetter, Alert])
def test_record_can_be_looked_at(filled: JournalScript, superuser: Client, model: Any) -> None:
    row = model.objects.first()
    path = f"/admin/checkins/{model._meta.model_name}/{row.pk}/"
    assert superuser.get(f"{path}change/").status_code == 200
    assert superuser.post(f"{path}delete/", {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("path", ["checkins/event/", "directory/member/", "directory/credential/", "devices/site/"])
def test_admin_is_closed_to_others(stranger: Client, staff: Client, path: str) -> None:
    assert Client().get(f"/admin/{path}").status_code == 302
    assert stranger.get(f"/admin/{path}").status_code == 302
    assert staff.get(f"/admin/{path}").status_code == 403


def test_visit_of_an_unknown_member_is_listed(filled: JournalScript, superuser: Client) -> None:
    text = superuser.get("/admin/checkins/visit/").content.decode()
    assert "Ann Example" in text
    assert "unknown member" in text


def test_staff_try_a_dead_letter_again(filled: JournalScript, superuser: Client) -> None:
    letter = DeadLetter.objects.get()
    answer = superuser.post(
        "/admin/checkins/deadletter/", {"action": "try_again", "_selected_action": [letter.pk]}, follow=True
    )
    assert "0 of 1 applied" in answer.content.decode()
    letter.refresh_from_db()
    assert letter.retries == 1


def test_staff_acknowledge_an_alert(filled: JournalScript, superuser: Client) -> None:
    alert = Alert.objects.get()
    superuser.post("/admin/checkins/alert/", {"action": "acknowledge", "_selected_action": [alert.pk]})
    alert.refresh_from_db()
    assert alert.acknowledged_by is not None
    assert alert.acknowledged_by.get_username() == "chief"


def card(member: Member, value: str, kind: str = "hf_uid") -> dict[str, str]:
    return {"member": str(member.pk), "kind": kind, "value": value}


def test_card_is_entered_and_from_then_on_masked(member: Member, superuser: Client) -> None:
    answer = superuser.post("/admin/directory/credential/add/", card(member, "04 A1 5B C2 D3 E4 E6"), follow=True)
    assert answer.status_code == 200
    credential = Credential.objects.get()
    assert credential.canonical.hex() == "04a15bc2d3e4e6"
    for path in ("/admin/directory/credential/", f"/admin/directory/credential/{credential.pk}/change/"):
        text = superuser.get(path).content.decode()
        assert "04 ** ** ** ** ** E6" in text
        assert "a15bc2" not in text.lower().replace(" ", "")


def test_card_that_cannot_be_is_refused_with_the_value(member: Member, superuser: Client) -> None:
    text = superuser.post("/admin/directory/credential/add/", card(member, "04A1")).content.decode()
    assert "&#x27;04A1&#x27; is not" in text
    assert Credential.objects.count() == 0


def test_card_of_another_member_is_refused_naming_the_holder(site: Site, member: Member, superuser: Client) -> None:
    superuser.post("/admin/directory/credential/add/", card(member, "04A15BC2"))
    bob = make_member(site, "Bob")
    text = superuser.post("/admin/directory/credential/add/", card(bob, "04:a1:5b:c2")).content.decode()
    assert "Ann Example holds this credential already" in text
    assert Credential.objects.count() == 1


def test_card_is_revoked_on_its_page(member: Member, superuser: Client) -> None:
    superuser.post("/admin/directory/credential/add/", card(member, "04A15BC2"))
    credential = Credential.objects.get()
    superuser.post(f"/admin/directory/credential/{credential.pk}/change/", {"is_revoked": "on"})
    credential.refresh_from_db()
    assert credential.is_revoked
    assert credential.canonical.hex() == "04a15bc2"


def member_form(**changes: Any) -> dict[str, Any]:
    management = {
        f"{prefix}-{name}": value
        for prefix in ("memberships", "credentials", "credentials-2")
        for name, value in (("TOTAL_FORMS", 2), ("INITIAL_FORMS", 0), ("MIN_NUM_FORMS", 0), ("MAX_NUM_FORMS", 1000))
    }
    facts = {"full_name": "Cid", "is_active": "on", "holder": "member", "grace_days": "0", "clearance": "0"}
    no_packs = {"packs-TOTAL_FORMS": 0, "packs-INITIAL_FORMS": 0}
    return {**facts, **no_packs, **management, **changes}


def test_member_is_entered_with_site_and_card(site: Site, superuser: Client) -> None:
    form = member_form(**{
        "memberships-0-site": str(site.pk), "credentials-2-0-kind": "hf_uid", "credentials-2-0-value": "04A15BC2",
    })  # fmt: skip
    superuser.post("/admin/directory/member/add/", form)
    member = Member.objects.get()
    assert (member.memberships.get().site, member.credentials.get().hint) == (site, "04 ** ** C2")
    assert superuser.get(f"/admin/directory/member/{member.pk}/change/").status_code == 200


def test_a_card_without_a_membership_is_saved_with_a_warning(site: Site, superuser: Client) -> None:
    card = {"credentials-2-0-kind": "hf_uid", "credentials-2-0-value": "04A15BC2"}
    answer = superuser.post("/admin/directory/member/add/", member_form(**card), follow=True)
    assert "Cid: no membership: opens no door" in answer.content.decode()
    listed = superuser.get("/admin/directory/credential/").content.decode()
    assert "Card, 13.56 MHz" in listed
    with_site = member_form(**{**card, "credentials-2-0-value": "04A15BC3", "memberships-0-site": str(site.pk)})
    assert (
        "opens no door" not in superuser.post("/admin/directory/member/add/", with_site, follow=True).content.decode()
    )


def test_same_card_twice_on_one_page_is_refused(site: Site, superuser: Client) -> None:
    same = {
        f"credentials-2-{i}-{name}": value
        for i in (0, 1)
        for name, value in (("kind", "hf_uid"), ("value", "04A15BC2"))
    }
    answer = superuser.post("/admin/directory/member/add/", member_form(**same))
    assert "entered twice" in answer.content.decode()
    assert Member.objects.count() == 0


def test_validity_that_ends_before_it_begins_is_refused(site: Site, superuser: Client) -> None:
    dates = {"valid_from_0": "2026-05-02", "valid_from_1": "00:00", "valid_to_0": "2026-05-01", "valid_to_1": "00:00"}
    answer = superuser.post("/admin/directory/member/add/", member_form(**dates))
    assert "Must be later than the beginning" in answer.content.decode()
    assert Membership.objects.count() == 0


def test_change_of_a_member_is_in_the_audit_trail(site: Site, superuser: Client) -> None:
    superuser.post("/admin/directory/member/add/", member_form())
    text = superuser.get(f"/admin/directory/member/{Member.objects.get().pk}/history/").content.decode()
    assert "chief" in text
