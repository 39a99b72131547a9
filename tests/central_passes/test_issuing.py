"""What central issues, doors accept, until it is revoked; keys come and go without a pass being lost."""

from datetime import timedelta
from typing import Any

import pytest

from central.devices.models import Site
from central.directory import book as site_book
from central.directory import versions
from central.directory.models import Member, Membership
from central.passes import issuing, keys
from central.passes.issuing import PassRefusedError
from central.passes.models import Pass, PassKey
from rules.book import load
from tests.central_passes.conftest import NOW
from tests.passes.making import PassDoor
from wire.book import PassRevocation
from wire.vocabulary import HolderKind, Reason

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

HOUR = timedelta(hours=1)


def issued(site: Site, member: Member, **changes: Any) -> Pass:
    given: dict[str, Any] = {"starts_at": NOW, "ends_at": NOW + HOUR, "actor": "desk", "now": NOW, **changes}
    return issuing.issue(site, member, **given)


def door(site: Site) -> PassDoor:
    """Return a door that has the site's directory of this moment, and hears nothing any more."""
    return PassDoor(book=load(site_book.items_of(site)))


def test_door_that_is_offline_accepts_what_is_issued_later(site: Site, member: Member) -> None:
    keys.make(NOW, signs_from=NOW)
    offline = door(site)
    visitor = Member.objects.create(full_name="Walk-in", holder=HolderKind.GUEST.value)
    decision = offline.decide(issuing.text_of(issued(site, visitor)))
    assert (decision.reason, decision.member) == (Reason.MEMBER_VALID, str(visitor.pk))
    assert offline.decide(issuing.text_of(issued(site, member))).is_grant


def test_pass_is_shown_again_as_it_was(site: Site, member: Member) -> None:
    made = issued(site, member, zones=["gym"], is_once=True)
    assert issuing.text_of(made) == issuing.text_of(Pass.objects.get(pk=made.pk))


def test_pass_of_another_site_is_refused(site: Site, member: Member) -> None:
    other = Site.objects.create(name="Hill gym")
    made = issued(other, member)
    assert door(site).decide(issuing.text_of(made)).reason is Reason.PASS_WRONG_SITE


def test_revoked_pass_opens_nothing_once_the_door_hears_of_it(site: Site, member: Member) -> None:
    made = issued(site, member)
    before, ver = door(site), versions.of_site(site.pk).ver
    issuing.revoke(made, actor="chief", now=NOW)
    assert before.decide(issuing.text_of(made)).is_grant
    assert door(site).decide(issuing.text_of(made)).reason is Reason.PASS_REVOKED
    assert versions.of_site(site.pk).ver == ver + 1
    issuing.revoke(made, actor="another", now=NOW)
    assert (made.revoked_by, versions.of_site(site.pk).ver) == ("chief", ver + 1)


@pytest.mark.parametrize("how", ["inactive", "blocked", "left"])
def test_passes_of_a_member_who_may_not_come_are_revoked_with_the_member(site: Site, member: Member, how: str) -> None:
    made, ver = issued(site, member), versions.of_site(site.pk).ver
    if how == "left":
        Membership.objects.get(member=member).delete()
    else:
        member.is_active, member.is_blocked = how != "inactive", how == "blocked"
        member.save()
    assert door(site).decide(issuing.text_of(made)).reason is Reason.PASS_REVOKED
    assert versions.of_site(site.pk).ver > ver


@pytest.mark.parametrize("how", ["inactive", "blocked"])
def test_no_pass_is_issued_to_somebody_who_may_not_come(site: Site, member: Member, how: str) -> None:
    """A door that has heard nothing new would let its holder in."""
    stale = Member.objects.get(pk=member.pk)
    member.is_active, member.is_blocked = how != "inactive", how == "blocked"
    member.save()
    with pytest.raises(PassRefusedError, match=r"Ann Example is (blocked|not active): change that"):
        issued(site, stale)
    assert not Pass.objects.exists()


@pytest.mark.parametrize("home", [True, False])
def test_site_hears_that_a_visitor_with_a_pass_is_blocked(site: Site, home: bool) -> None:
    visitor = Member.objects.create(full_name="Walk-in", holder=HolderKind.GUEST.value)
    if home:
        Membership.objects.create(member=visitor, site=Site.objects.create(name="Hill gym"))
    issued(site, visitor)
    ver = versions.of_site(site.pk).ver
    visitor.is_blocked = True
    visitor.save()
    assert versions.of_site(site.pk).ver == ver + 1


def test_site_hears_of_nobody_whose_passes_ended_long_ago(site: Site) -> None:
    visitor = Member.objects.create(full_name="Walk-in", holder=HolderKind.GUEST.value)
    issued(site, visitor)
    Pass.objects.update(is_over=True)
    ver = versions.of_site(site.pk).ver
    visitor.save()
    assert versions.of_site(site.pk).ver == ver


@pytest.mark.parametrize("how", ["", "inactive", "blocked", "revoked"])
def test_pass_of_somebody_who_is_no_member_of_the_site_is_a_right_of_its_own(site: Site, how: str) -> None:
    visitor = Member.objects.create(full_name="Walk-in", holder=HolderKind.GUEST.value)
    made = issued(site, visitor)
    visitor.is_active, visitor.is_blocked = how != "inactive", how == "blocked"
    visitor.save()
    if how == "revoked":
        issuing.revoke(made, actor="chief", now=NOW)
    assert door(site).decide(issuing.text_of(made)).reason is (Reason.PASS_REVOKED if how else Reason.MEMBER_VALID)


def test_passes_that_ended_long_ago_leave_the_book(site: Site, member: Member) -> None:
    made = issued(site, member)
    issuing.revoke(made, actor="desk", now=NOW)
    assert any(isinstance(item, PassRevocation) for item in site_book.items_of(site))
    later, ver = NOW + timedelta(days=4), versions.of_site(site.pk).ver
    issued(site, member, starts_at=later, ends_at=later + HOUR, now=later)
    assert not any(isinstance(item, PassRevocation) for item in site_book.items_of(site))
    assert versions.of_site(site.pk).ver == ver + 1


def test_site_without_a_key_has_no_book(site: Site) -> None:
    from central.directory.models import Zone

    Zone.objects.all().delete()
    assert site_book.items_of(site) == []


def test_new_key_signs_only_after_doors_had_time_to_hear_of_it(site: Site, member: Member) -> None:
    old = issued(site, member).key_id
    new = keys.make(NOW)
    assert issued(site, member).key_id == old
    later = NOW + keys.HEAD_START
    assert issued(site, member, starts_at=later, ends_at=later + HOUR, now=later).key_id == new.pk
    told = load(site_book.items_of(site))
    assert told is not None
    assert {key.kid for key in PassKey.objects.all()} == set(told.passes.keys)


def test_retired_key_is_good_for_what_it_signed_and_no_longer(site: Site, member: Member) -> None:
    made = issued(site, member)
    keys.retire(made.key, NOW)
    at = door(site)
    assert at.decide(issuing.text_of(made)).is_grant
    at.clock.wall_ms += 3_600_000
    assert at.decide(issuing.text_of(made)).reason is Reason.PASS_UNKNOWN_KEY
    assert issued(site, member).key_id != made.key_id


def test_revoked_key_takes_all_its_passes_with_it(site: Site, member: Member) -> None:
    made = issued(site, member)
    keys.retire(made.key, NOW, is_revoked=True)
    assert door(site).decide(issuing.text_of(made)).reason is Reason.PASS_UNKNOWN_KEY


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ends_at": NOW}, "opens nothing"),
        ({"starts_at": NOW - 2 * HOUR, "ends_at": NOW - HOUR}, "opens nothing"),
        ({"ends_at": NOW + timedelta(days=367)}, "too long"),
        ({"zones": ["a/b"]}, "no door would accept"),
        ({"zones": ["z"] * 17}, "no door would accept"),
    ],
)
def test_pass_that_makes_no_sense_is_not_issued(site: Site, member: Member, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(PassRefusedError, match=says):
        issued(site, member, **changes)
    assert not Pass.objects.exists()


def test_private_key_stands_sealed(site: Site, member: Member) -> None:
    made = issued(site, member)
    assert made.key.private_bytes not in bytes(made.key.sealed)
