"""Bugs planted into central's office: the import, the replacement of cards, the API's repetitions, the review."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from unittest import mock

import msgspec
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists
from django.test import Client
from django.utils import timezone

from central.api import idempotency, keys
from central.api.models import ApiKey, KeptAnswer, Scope
from central.devices.models import Door, Site
from central.directory import enrolling, versions
from central.directory.enrolling import enrol
from central.directory.importing import changes, running
from central.directory.importing.running import import_members
from central.directory.importing.sheet import Fault, Line
from central.directory.models import Credential, Member, Membership
from central.editions import offering, splitting
from central.parts import alike
from central.parts.models import CardPart, DoorForm
from central.passes import issuing, watching
from central.review import decisions
from central.review.decisions import Edition
from rules.facts import Credential as ReadCredential
from rules.facts import Decision, Facts, Now, Read
from rules.policy import decide
from tests.central_ledger.conftest import make_device
from tests.central_ledger.twins import Twin, card, populated, told, truth
from tests.planted.registry import PlantedBug
from wire.events import DecisionBody, Event
from wire.rows import DirectoryRow
from wire.transfer import DirectoryRef
from wire.vocabulary import ClockQuality, CredentialKind, Direction, Outcome, Reason

_CARD, _OTHER = bytes.fromhex("04A15BC2D3E4E6"), bytes.fromhex("04A15BC2D3E4E7")
_FILE: Final = b"external_id,full_name,sites\n1,Ann,Planted gym\n2,Bob,Attic gym\n"
_GOOD: Final = b"external_id,full_name,sites\n1,Ann,Planted gym\n"


def _in_database(catch: Callable[[Site], str | None]) -> Callable[[], str | None]:
    """Return a harness that gets a site of its own and leaves nothing behind."""

    def run() -> str | None:
        with transaction.atomic():
            try:
                return catch(Site.objects.create(name="Planted gym"))
            finally:
                transaction.set_rollback(True)

    return run


def _applies_in_part(site: Site) -> str | None:
    import_members(_FILE, is_dry_run=False)
    count = Member.objects.filter(memberships__site=site).count()
    return f"{count} member of a file with a fault was taken over" if count else None


def _tells_nobody(site: Site) -> str | None:
    before = versions.of_site(site.pk).ver
    import_members(_GOOD, is_dry_run=False)
    return "members came and doors are not told" if versions.of_site(site.pk).ver == before else None


def _leaves_lost_card_open(site: Site) -> str | None:
    member = Member.objects.create(full_name="Ann")
    Membership.objects.create(member=member, site=site)
    lost = enrol(member, CredentialKind.HF_UID, _CARD)
    enrolling.replace(lost, CredentialKind.HF_UID, _OTHER)
    is_open = Credential.objects.filter(pk=lost.pk, is_revoked=False).exists()
    return "a card that was replaced still opens" if is_open else None


def _opens_as_another(site: Site) -> str | None:
    """Let a member come to a site with a card that a reader there spells like another's."""
    DoorForm.objects.create(door=Door.objects.create(site=site, name="Planted door"), spelling="hf_uid/wiegand34_first")
    for name, sites in (("Ann", [site]), ("Bob", [])):
        member = Member.objects.create(full_name=name)
        Membership.objects.bulk_create(Membership(member=member, site=each) for each in sites)
        enrol(member, CredentialKind.HF_UID, _CARD if sites else _OTHER)
    Membership.objects.create(member=Member.objects.get(full_name="Bob"), site=site)
    known = alike.spellings_by_card(site.pk)
    return f"{len(known)} cards are known by one reading" if known else None


def _lets_the_blocked_in(site: Site) -> str | None:
    """Block a visitor who has a day pass and no membership."""
    now = timezone.now()
    visitor = Member.objects.create(full_name="Ann")
    issuing.issue(site, visitor, starts_at=now, ends_at=now + timedelta(hours=1), actor="planted", now=now)
    before = versions.of_site(site.pk).ver
    visitor.is_blocked = True
    visitor.save()
    return "doors go on taking a blocked visitor's pass" if versions.of_site(site.pk).ver == before else None


def _does_twice(_site: Site) -> str | None:
    owner = User.objects.create_superuser("planted")
    headers = {"Authorization": f"Bearer {keys.issue('planted', owner, Scope)[0]}", "Idempotency-Key": "planted"}
    for _ in range(2):
        body = json.dumps({"full_name": "Repeated"})
        Client(SERVER_NAME="localhost").post("/api/v1/members", body, content_type="application/json", headers=headers)
    count = Member.objects.filter(full_name="Repeated").count()
    return f"a request that was repeated made {count} members" if count != 1 else None


def _agrees_with_anything() -> str | None:
    row = DirectoryRow(key="00" * 16, kind=CredentialKind.HF_UID, member="m", is_active=False)
    edition = Edition(DirectoryRef("e", 1, ""), None, lambda *_: row)
    read = Read("reader", Direction.IN, ReadCredential(row.kind, row.key), 0)
    honest = decide(Facts(read, Now(0, 0, ClockQuality.SYNCED), edition.ref, row))
    body = DecisionBody(
        door="door", reader="reader", direction=Direction.IN, kind=row.kind, credential=row.key,
        outcome=Outcome.GRANT, reason=Reason.MEMBER_VALID, receipt=honest.receipt, member="m",
    )  # fmt: skip
    event = Event(n=1, kind="decision", boot="b", mono_ms=0, wall_ms=0, q=ClockQuality.SYNCED, body=msgspec.Raw(b"{}"))
    return "a grant that no rule allows is agreed with" if decisions.review(event, body, edition).agrees else None


def _parts_a_card(site: Site) -> str | None:
    """Cards change hands in a change that is parted: each goes under the index under which it comes."""
    with (
        mock.patch.object(offering, "DELTA_ROWS", 3), mock.patch.object(splitting, "DELTA_ROWS", 3),
    ):  # fmt: skip
        members = populated(site, 40)
        twin = Twin(make_device(site, "Planted door")).sync()
        Credential.objects.filter(member__in=members[:4]).delete()
        for number, member in enumerate(members[4:8]):
            enrol(member, CredentialKind.HF_UID, card(number))
        try:
            return None if told(twin.sync()) == truth(site) else "a door knows other cards than central"
        except (AssertionError, KeyError):
            return "a version in between is none of central's"


@contextmanager
def _forgiving_import() -> Iterator[None]:
    real = running._work_out

    def forgiving(lines: list[Line], faults: list[Fault]) -> changes.Changes:
        found = real(lines, faults)
        faults.clear()
        return found

    with mock.patch.object(running, "_work_out", forgiving):
        yield


@contextmanager
def _forgetful_endpoint() -> Iterator[None]:
    real = idempotency.begin

    def forgetful(api_key: ApiKey, key: str, digest: str, now: datetime) -> tuple[KeptAnswer, bool]:
        KeptAnswer.objects.all().delete()
        return real(api_key, key, digest, now)

    with mock.patch.object(idempotency, "begin", forgetful):
        yield


def _says_what_it_heard(facts: Facts) -> Decision:
    return msgspec.structs.replace(decide(facts), outcome=Outcome.GRANT, reason=Reason.MEMBER_VALID)


PLANTED: Final[tuple[PlantedBug, ...]] = (
    PlantedBug(
        name="import-half-applied",
        breaks="an import goes on without the lines that are wrong",
        promise="a file is taken over as a whole or not at all",
        layer="tests.planted.office",
        plant=_forgiving_import,
        catch=_in_database(_applies_in_part),
        uses_database=True,
    ),
    PlantedBug(
        name="import-not-told",
        breaks="an import raises no version of the directory",
        promise="doors learn of every change",
        layer="tests.planted.office",
        plant=partial(mock.patch.object, versions, "raise_for_sites", lambda *_: None),
        catch=_in_database(_tells_nobody),
        uses_database=True,
    ),
    PlantedBug(
        name="replaced-card-opens",
        breaks="a card that is replaced is not revoked",
        promise="a lost card stops opening when the new one begins to",
        layer="tests.planted.office",
        plant=partial(mock.patch.object, enrolling, "replace", lambda lost, kind, card: enrol(lost.member, kind, card)),
        catch=_in_database(_leaves_lost_card_open),
        uses_database=True,
    ),
    PlantedBug(
        name="like-card-opens",
        breaks="of two cards that look alike at a door one goes on being known by that",
        promise="nobody comes in under another's name",
        layer="tests.planted.office",
        plant=partial(mock.patch.object, alike, "_looks_like_another", lambda: Exists(CardPart.objects.none())),
        catch=_in_database(_opens_as_another),
        uses_database=True,
    ),
    PlantedBug(
        name="blocked-visitor-untold",
        breaks="a site is not told that a visitor with a pass and no membership is blocked",
        promise="whoever is blocked is let in nowhere, whatever they hold",
        layer="tests.planted.office",
        plant=partial(mock.patch.object, watching, "changed", lambda _: None),
        catch=_in_database(_lets_the_blocked_in),
        uses_database=True,
    ),
    PlantedBug(
        name="repetition-done-again",
        breaks="a request with a known idempotency key is done again",
        promise="a request takes effect once, however often it is sent",
        layer="tests.planted.office",
        plant=_forgetful_endpoint,
        catch=_in_database(_does_twice),
        uses_database=True,
    ),
    PlantedBug(
        name="large-change-in-any-order",
        breaks="what comes is told before what goes, where a change is several versions",
        promise="every version in between is one of central's",
        layer="tests.planted.office",
        plant=partial(mock.patch.object, splitting, "_lets_in", lambda change: change.now is None),
        catch=_in_database(_parts_a_card),
        uses_database=True,
    ),
    PlantedBug(
        name="review-blind",
        breaks="central makes a decision again from what the device said it was",
        promise="a door that decides otherwise than central is noticed",
        layer="tests.planted.office",
        plant=partial(mock.patch.object, decisions, "decide", _says_what_it_heard),
        catch=_agrees_with_anything,
    ),
)
