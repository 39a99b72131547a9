"""Visits of packs: counted from all doors and sites, told at once, kept in the directory, and found when overspent."""

from typing import Any

import pytest

from central.checkins.models import Alert, moment
from central.devices.models import Site
from central.directory.models import DirectoryVersion, Member, Membership, VisitPack
from central.presence import packs
from central.presence.models import PackCount
from central.presence.versions import newest
from tests.central_ledger.conftest import make_device
from tests.central_presence.conftest import HOUR, Doorway, put_of
from tests.fakes.journal_script import START_MS
from wire.vocabulary import CredentialKind, Direction, PassageOutcome


@pytest.fixture
def pack(ann: Member) -> VisitPack:
    pack = VisitPack.objects.create(member=ann, visits=3, used=1)
    VisitPack.objects.filter(pk=pack.pk).update(created_at=moment(START_MS - HOUR))
    return VisitPack.objects.get(pk=pack.pk)


def visit(door: Doorway, member: Member, at_ms: int) -> None:
    door.passes(member, at_ms)
    door.passes(member, at_ms + HOUR // 2, Direction.OUT)
    door.tell(at_ms + HOUR // 2)


def test_a_visit_is_told_at_once(site: Site, north: Doorway, south: Doorway, ann: Member, pack: VisitPack) -> None:
    visit(north, ann, 0)
    assert put_of(south.hears(), ann.pk).used == 2
    pack.refresh_from_db()
    assert pack.used == 1


def test_inner_doors_and_unsure_passages_charge_nothing(
    north: Doorway, sauna: Doorway, ann: Member, pack: VisitPack
) -> None:
    north.passes(ann, 0)
    north.tell()
    sauna.passes(ann, HOUR)
    sauna.tell(HOUR)
    assert put_of(north.hears(), ann.pk).used == 2
    north.passes(ann, 2 * HOUR, Direction.OUT)
    north.passes(ann, 3 * HOUR, end=PassageOutcome.UNKNOWN)
    north.tell(3 * HOUR)
    assert put_of(north.hears(), ann.pk).used == 2


@pytest.mark.parametrize(
    ("kind", "used"), [(CredentialKind.PASS_SIGNED, 1), (CredentialKind.PASS_ROTATING, 2), (CredentialKind.HF_UID, 2)]
)
def test_a_day_pass_is_not_paid_for_twice(
    site: Site, north: Doorway, ann: Member, pack: VisitPack, kind: CredentialKind, used: int
) -> None:
    north.passes(ann, 0, kind=kind)
    north.tell()
    assert packs.visits(pack).count() == used - 1
    packs.fold(START_MS)
    pack.refresh_from_db()
    assert pack.used == used


def test_the_directory_learns_of_visits_and_the_count_stays(
    site: Site, north: Doorway, ann: Member, pack: VisitPack
) -> None:
    visit(north, ann, 0)
    before = DirectoryVersion.objects.get(site=site).ver
    packs.fold(START_MS)
    packs.fold(START_MS)
    pack.refresh_from_db()
    assert (pack.used, DirectoryVersion.objects.get(site=site).ver) == (2, before + 1)
    assert put_of(north.hears(), ann.pk).used == 2
    visit(north, ann, 2 * HOUR)
    assert put_of(north.hears(), ann.pk).used == 3


def test_what_the_directory_knows_for_a_while_is_told_no_more(north: Doorway, ann: Member, pack: VisitPack) -> None:
    visit(north, ann, 0)
    packs.fold(START_MS)
    packs.forget_told(START_MS + packs.KNOWN_MS)
    assert put_of(north.hears(), ann.pk).used == 2
    packs.forget_told(START_MS + packs.KNOWN_MS + 1)
    assert put_of(north.hears(), ann.pk) is None
    assert PackCount.objects.get().folded_ms is None


def test_staff_give_a_visit_back(
    site: Site,
    north: Doorway,
    ann: Member,
    pack: VisitPack,
    django_capture_on_commit_callbacks: Any,
) -> None:
    visit(north, ann, 0)
    pack.used = 0
    with django_capture_on_commit_callbacks(execute=True):
        pack.save()
    assert put_of(north.hears(), ann.pk).used == 1


def test_a_new_pack_is_not_used_up_by_the_visits_of_the_one_before(
    north: Doorway, ann: Member, pack: VisitPack, django_capture_on_commit_callbacks: Any
) -> None:
    visit(north, ann, 0)
    assert put_of(north.hears(), ann.pk).used == 2
    with django_capture_on_commit_callbacks(execute=True):
        VisitPack.objects.create(member=ann, visits=1)
    assert put_of(north.hears(), ann.pk).used == 0


def test_a_pack_that_nobody_used_yet_is_not_told(
    site: Site, pack: VisitPack, django_capture_on_commit_callbacks: Any
) -> None:
    before = newest(site.pk)
    with django_capture_on_commit_callbacks(execute=True):
        pack.save()
    assert newest(site.pk) == before


def test_other_sites_of_the_member_hear_of_it(north: Doorway, ann: Member, pack: VisitPack) -> None:
    other = Site.objects.create(name="Hill gym", time_zone="Europe/Berlin")
    Membership.objects.create(member=ann, site=other)
    hill = Doorway(make_device(other, "Hill door"))
    visit(north, ann, 0)
    assert put_of(hill.hears(), ann.pk).used == 2


def test_more_visits_than_the_pack_has_are_found_across_sites_once(
    north: Doorway, ann: Member, pack: VisitPack
) -> None:
    other = Site.objects.create(name="Hill gym", time_zone="Europe/Berlin")
    Membership.objects.create(member=ann, site=other)
    hill = Doorway(make_device(other, "Hill door"))
    visit(north, ann, 0)
    visit(north, ann, 2 * HOUR)
    assert not Alert.objects.exists()
    visit(hill, ann, 4 * HOUR)
    visit(hill, ann, 4 * HOUR)
    packs.tell({ann.pk})
    alert = Alert.objects.get()
    assert (alert.kind, alert.device) == (Alert.Kind.PACK_OVERSPENT, hill.device)
    assert alert.detail.startswith("Ann Example made 4 visits with a pack of 3; last: Hill gym, Hill door at ")


def test_somebody_without_a_pack_has_nothing_to_count(ben: Member, north: Doorway) -> None:
    visit(north, ben, 0)
    packs.tell({ben.pk})
    assert not PackCount.objects.exists()
