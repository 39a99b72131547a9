"""A pass that is good once, used at one door, is closed at the others as soon as they hear of it."""

import secrets
from datetime import timedelta

import pytest
from django.utils import timezone

from central.checkins import ingest, runs
from central.checkins.models import Alert
from central.devices.models import CREDENTIAL_KEY, Device, Door, Site
from central.devices.sealing import seal
from central.directory import book as site_book
from central.directory import versions
from central.directory.models import Member
from central.passes import issuing
from central.passes.models import Pass
from rules.book import load
from rules.policy import decide
from tests.fakes.journal_script import JournalScript, hello
from tests.passes.making import PassDoor
from wire.events import DecisionBody
from wire.vocabulary import Direction, EventKind, Reason

pytestmark = [pytest.mark.unit, pytest.mark.django_db]


@pytest.fixture
def made(site: Site, member: Member) -> Pass:
    now = timezone.now()
    return issuing.issue(
        site, member, starts_at=now - timedelta(hours=1), ends_at=now + timedelta(hours=1), actor="desk", now=now,
        is_once=True,
    )  # fmt: skip


def device_at(site: Site, name: str) -> Device:
    door = Door.objects.create(site=site, name=name)
    key = seal(secrets.token_bytes(32), CREDENTIAL_KEY)
    return Device.objects.create(door=door, name=name, session=1, sealed_credential_key=key)


def shown(made: Pass, device: Device, direction: Direction = Direction.IN) -> JournalScript:
    """Show the pass at a door that knows nothing of others, and bring its events to central."""
    door = PassDoor(book=load(site_book.items_of(made.site)))
    door.clock.wall_ms = int(timezone.now().timestamp() * 1000)
    facts = door.facts(issuing.text_of(made), direction)
    decision = decide(facts)
    assert decision.is_grant, decision.reason
    body = DecisionBody(
        door=device.name, reader="in", direction=direction, kind=facts.read.credential.kind,
        credential=facts.read.credential.key, outcome=decision.outcome, reason=decision.reason,
        receipt=decision.receipt, member=decision.member, holder=decision.holder,
    )  # fmt: skip
    journal = JournalScript(device.pk)
    journal.record(EventKind.DECISION, body, 1_000)
    return journal


def deliver(journal: JournalScript) -> None:
    runs.register(journal.device, 1, hello(journal.device, [journal.state()]))
    ingest.ingest_events(journal.device, 1, journal.run, 1, journal.raws())


def test_use_at_one_door_closes_the_pass_at_the_others(made: Pass) -> None:
    ver = versions.of_site(made.site_id).ver
    deliver(shown(made, device_at(made.site, "North")))
    assert versions.of_site(made.site_id).ver == ver + 1
    other = PassDoor(book=load(site_book.items_of(made.site)))
    other.clock.wall_ms = int(timezone.now().timestamp() * 1000)
    assert other.decide(issuing.text_of(made)).reason is Reason.PASS_REVOKED
    assert other.decide(issuing.text_of(made), Direction.OUT).is_grant


def test_use_at_two_offline_doors_raises_an_alert(made: Pass) -> None:
    journals = [shown(made, device_at(made.site, name)) for name in ("North", "South")]
    for journal in journals:
        deliver(journal)
    alert = Alert.objects.get()
    assert (alert.kind, alert.device.name) == ("pass_used_twice", "South")
    assert "North" in alert.detail and "South" in alert.detail  # noqa: PT018


def test_going_out_uses_nothing_up(made: Pass) -> None:
    deliver(shown(made, device_at(made.site, "North"), Direction.OUT))
    made.refresh_from_db()
    assert made.used_event == ""
