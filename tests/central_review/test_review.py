"""Central makes decisions again: it agrees with an honest door, and names every difference once."""

from datetime import UTC, datetime, time
from io import StringIO
from typing import Any

import msgspec
import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from central.checkins.models import Alert, Event, Run
from central.devices.models import Site
from central.directory.enrolling import enrol
from central.directory.models import (
    Credential,
    DirectoryVersion,
    DoorRules,
    Member,
    Plan,
    Schedule,
    ScheduleWindow,
    Zone,
)
from central.editions.models import Published
from central.review import decisions, reviewing
from central.review.models import ReviewedRun
from central.review.reviewing import Tally, review_some
from central.rotation import rotating
from rules.policy import VERSION
from tests.central_ledger.conftest import make_member
from tests.central_review.conftest import ScriptedDoor
from wire.facts import DoorFacts, PresenceFacts
from wire.vocabulary import CredentialKind, DoorMode, Outcome, Reason

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

ANN, BOB, STRANGER = (bytes.fromhex(f"0400000000000{n}") for n in range(3))
GRANT = {"outcome": Outcome.GRANT, "reason": Reason.MEMBER_VALID}


@pytest.fixture
def ann(site: Site) -> Member:
    member = make_member(site, "Ann Example")
    enrol(member, CredentialKind.HF_UID, ANN)
    return member


@pytest.fixture
def bob(site: Site) -> Member:
    member = make_member(site, "Bob Example")
    member.valid_to = datetime(2020, 1, 1, tzinfo=UTC)
    member.save()
    enrol(member, CredentialKind.HF_UID, BOB)
    return member


def reviewed(door: ScriptedDoor) -> Tally:
    door.deliver()
    return review_some()


def counts(tally: Tally) -> tuple[int, int, int]:
    return tally.agreed, tally.differed, tally.other_facts


def test_honest_door_is_agreed_with_from_the_same_facts(ann: Member, bob: Member, door: ScriptedDoor) -> None:
    door.tap(ANN)
    door.update()
    for uid in (ANN, BOB, STRANGER):
        door.tap(uid)
    reasons = [msgspec.json.decode(text)["body"]["reason"] for text in door.journal.texts]
    assert reasons == ["no_directory", "member_valid", "expired", "unknown_credential"]
    assert counts(reviewed(door)) == (4, 0, 0)
    assert Alert.objects.count() == 0


def test_decision_is_made_again_from_the_directory_as_it_was(ann: Member, door: ScriptedDoor) -> None:
    door.update()
    door.tap(ANN)
    ann.is_active = False
    ann.save()
    door.update()
    door.tap(ANN)
    Credential.objects.all().delete()
    door.update()
    door.tap(ANN)
    reasons = [msgspec.json.decode(text)["body"]["reason"] for text in door.journal.texts]
    assert reasons == ["member_valid", "member_inactive", "unknown_credential"]
    assert counts(reviewed(door)) == (3, 0, 0)


def test_hours_zones_and_modes_are_those_of_the_time(site: Site, ann: Member, door: ScriptedDoor) -> None:
    hall = Zone.objects.create(site=site, name="hall")
    early = Schedule.objects.create(site=site, name="early")
    window = ScheduleWindow.objects.create(
        schedule=early, days=["MO", "TU", "WE", "TH", "FR", "SA", "SU"], starts=time(0), ends=time(0)
    )
    plan = Plan.objects.create(site=site, name="basic", is_everywhere=True)
    plan.schedules.add(early)
    ann.memberships.update(plan=plan)
    ann.save()
    DoorRules.objects.create(door=door.device.door, zone=hall)
    here = DoorFacts(door=str(door.device.door_id))
    door.update()
    door.record(door.decided(ANN, door=here))
    window.ends = time(0, 1)
    window.save()
    door.update()
    door.record(door.decided(ANN, door=here))
    door.record(door.decided(ANN, door=msgspec.structs.replace(here, mode=DoorMode.LOCKED)))
    hall.limit = 1
    hall.save()
    window.ends = time(0)
    window.save()
    door.update()
    door.record(door.decided(ANN, door=here, presence=PresenceFacts(is_site_wide=True, inside=1)))
    reasons = [msgspec.json.decode(text)["body"]["reason"] for text in door.journal.texts]
    assert reasons == ["member_valid", "outside_hours", "door_locked", "zone_full"]
    assert counts(reviewed(door)) == (4, 0, 0)


def test_door_that_lets_in_whom_the_rules_keep_out_is_an_alert(ann: Member, bob: Member, door: ScriptedDoor) -> None:
    door.update()
    door.tap(BOB, **GRANT)
    assert counts(reviewed(door)) == (0, 1, 0)
    alert = Alert.objects.get()
    assert (alert.kind, alert.device) == (Alert.Kind.DECISION_DIFFERS, door.device)
    assert alert.detail.startswith("the door granted, central denied (expired): event 1 of run 00000000000000aa, ")


def test_unknown_card_that_opened_is_an_alert(ann: Member, door: ScriptedDoor) -> None:
    door.update()
    door.tap(STRANGER, **GRANT, member=str(ann.pk))
    assert counts(reviewed(door)) == (0, 1, 0)
    assert "central denied (unknown_credential)" in Alert.objects.get().detail


def test_member_who_was_kept_out_and_the_wrong_member_are_differences(
    ann: Member, bob: Member, door: ScriptedDoor
) -> None:
    door.update()
    door.tap(ANN, outcome=Outcome.DENY, reason=Reason.MEMBER_BLOCKED)
    door.tap(ANN, member=str(bob.pk))
    assert counts(reviewed(door)) == (0, 2, 0)
    assert "the door denied (member_blocked), central granted" in Alert.objects.order_by("pk")[0].detail


def test_same_difference_is_one_alert_for_each_version(bob: Member, door: ScriptedDoor) -> None:
    door.update()
    for _ in range(3):
        door.tap(BOB, **GRANT)
    assert counts(reviewed(door)) == (0, 3, 0)
    assert Alert.objects.count() == 1
    bob.save()
    door.update()
    door.tap(BOB, **GRANT)
    reviewed(door)
    assert Alert.objects.count() == 2


def test_agreement_from_other_facts_is_counted(ann: Member, door: ScriptedDoor) -> None:
    door.update()
    body = door.decided(ANN)
    door.record(body, receipt=msgspec.structs.replace(body.receipt, input="0" * 32))
    assert counts(reviewed(door)) == (1, 0, 1)


def skipped(door: ScriptedDoor, **changes: Any) -> None:
    body = door.decided(ANN)
    door.record(body, receipt=msgspec.structs.replace(body.receipt, **changes))


def test_what_cannot_be_made_again_is_counted_by_its_cause(ann: Member, door: ScriptedDoor) -> None:
    door.update()
    skipped(door, rules=VERSION + 1)
    skipped(door, dir_epoch="another")
    skipped(door, dir_ver=10_000)
    door.tap(ANN, outcome=Outcome.DENY, reason=Reason.DOOR_BUSY)
    assert dict(reviewed(door).not_reviewed) == {"other_rules": 1, "edition_unknown": 2, "not_by_rules": 1}


def test_version_that_was_forgotten_cannot_be_made_again(ann: Member, door: ScriptedDoor) -> None:
    door.update()
    door.tap(ANN)
    ann.save()
    door.update()
    Published.objects.update(floor=Published.objects.get().ver)
    assert dict(reviewed(door).not_reviewed) == {"edition_unknown": 1}


def test_central_that_was_restored_does_not_judge_by_another_epoch(ann: Member, door: ScriptedDoor) -> None:
    door.update()
    door.tap(ANN)
    DirectoryVersion.objects.update(epoch="another")
    assert dict(reviewed(door).not_reviewed) == {"edition_unknown": 1}


def test_event_of_a_later_version_is_not_judged(ann: Member, door: ScriptedDoor) -> None:
    door.update()
    door.tap(ANN)
    door.deliver()
    Event.objects.update(text='{"n":1,"kind":"decision","body":{}}')
    assert dict(review_some().not_reviewed) == {"unreadable": 1}


def test_nothing_is_made_again_while_it_is_delivered_and_each_once_after(ann: Member, door: ScriptedDoor) -> None:
    door.update()
    for _ in range(3):
        door.tap(ANN)
    door.deliver()
    assert ReviewedRun.objects.count() == 0
    assert review_some(2).total == 2
    assert ReviewedRun.objects.get().n == 2
    assert review_some(2).total == 1
    assert review_some().total == 0
    door.tap(ANN)
    assert counts(reviewed(door)) == (1, 0, 0)
    kept = ReviewedRun.objects.get()
    assert (kept.n, kept.agreed, kept.differed, kept.not_reviewed) == (Run.objects.get().upto, 4, 0, {})


def test_command_goes_through_everything(ann: Member, bob: Member, door: ScriptedDoor) -> None:
    door.update()
    door.tap(ANN)
    door.tap(BOB, **GRANT)
    skipped(door, rules=VERSION + 1)
    door.deliver()
    out = StringIO()
    call_command("review_decisions", stdout=out)
    assert out.getvalue() == "1 agreed (0 of them from other facts), 1 differed\nnot made again: 1 other_rules\n"


def test_staff_read_what_came_of_it(ann: Member, door: ScriptedDoor, admin_client: Client) -> None:
    door.update()
    door.tap(ANN)
    reviewed(door)
    path = "/admin/review/reviewedrun/"
    assert "00000000000000aa" in admin_client.get(path).content.decode()
    assert admin_client.post(f"{path}add/").status_code == 403
    staff = Client()
    staff.force_login(User.objects.create_user("desk", is_staff=True))
    assert staff.get(path).status_code == 403
    assert Client().get(path).status_code == 302
    assert str(ReviewedRun.objects.get()).startswith("review of ")


def test_another_process_that_was_quicker_counts_alone(
    ann: Member, door: ScriptedDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.update()
    door.tap(ANN)
    door.deliver()

    def overtaken(*args: Any) -> Any:
        monkeypatch.setattr(reviewing, "review", decisions.review)
        assert review_some().total == 1
        return decisions.review(*args)

    monkeypatch.setattr(reviewing, "review", overtaken)
    assert review_some().total == 0
    assert ReviewedRun.objects.get().agreed == 1


def test_secret_key_that_was_lost_stops_nothing(ann: Member, door: ScriptedDoor, settings: Any) -> None:
    door.update()
    door.tap(ANN)
    door.deliver()
    settings.SECRET_KEY = "another"
    assert dict(review_some().not_reviewed) == {"edition_unknown": 1}


def test_decisions_of_before_a_change_of_keys_are_made_again_by_the_key_of_their_time(
    ann: Member, bob: Member, door: ScriptedDoor
) -> None:
    door.update()
    for uid in (ANN, BOB, STRANGER):
        door.tap(uid)
    (rotation,) = rotating.start([door.device], actor="ben", now=timezone.now())
    rotating.reported(door.device, [rotation.new_id, rotation.old_id], timezone.now())
    door.device.refresh_from_db()
    door.update()
    for uid in (ANN, BOB, STRANGER):
        door.tap(uid)
    tally = reviewed(door)
    assert (tally.agreed, tally.differed) == (6, 0)
    assert Alert.objects.count() == 0
    assert len({msgspec.json.decode(text)["body"]["credential"] for text in door.journal.texts}) == 6
