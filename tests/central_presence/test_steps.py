"""A code that was used at one door reaches the others under their own index."""

import secrets

import msgspec
import pytest

from central.devices.models import Site
from central.directory.enrolling import enrol
from central.directory.models import Member
from central.presence.following import STEPS_MS
from central.presence.models import StepUsed
from central.presence.versions import newest
from tests.central_presence.conftest import Doorway
from tests.fakes.journal_script import decision
from wire.credentials import credential_key
from wire.facts import PassFacts
from wire.presence import UsedStep
from wire.vocabulary import CredentialKind, EventKind

STEP = 118_000_000
ROTATING = CredentialKind.PASS_ROTATING


def shows(door: Doorway, member: Member, canonical: bytes, at_ms: int = 0, step: int = STEP) -> None:
    body = decision(member.pk)
    receipt = msgspec.structs.replace(body.receipt, passed=PassFacts(step=step))
    index = credential_key(door.device.credential_key, ROTATING, canonical)
    shown = msgspec.structs.replace(body, kind=ROTATING, credential=index, receipt=receipt)
    door.journal.record(EventKind.DECISION, shown, at_ms)


@pytest.fixture
def phone(ann: Member) -> bytes:
    canonical = secrets.token_bytes(32)
    enrol(ann, ROTATING, canonical)
    return canonical


def test_a_used_code_reaches_the_other_doors(
    site: Site, north: Doorway, south: Doorway, ann: Member, phone: bytes
) -> None:
    held = newest(site.pk)
    shows(north, ann, phone)
    north.tell()
    told, own = south.hears(held), north.hears(held)
    assert told is not None
    assert own is not None
    assert told.steps == [UsedStep(ROTATING, credential_key(south.device.credential_key, ROTATING, phone), STEP)]
    assert own.steps == []


def test_a_code_of_a_phone_that_is_not_known_any_more_is_not_told(north: Doorway, south: Doorway, ann: Member) -> None:
    shows(north, ann, secrets.token_bytes(32))
    north.tell()
    told = south.hears()
    assert told is not None
    assert told.steps == []


def test_old_codes_are_forgotten(north: Doorway, ann: Member, phone: bytes) -> None:
    shows(north, ann, phone)
    north.tell()
    shows(north, ann, phone, STEPS_MS + 1, STEP + 40)
    north.tell(STEPS_MS + 1)
    assert [used.step for used in StepUsed.objects.all()] == [STEP + 40]
