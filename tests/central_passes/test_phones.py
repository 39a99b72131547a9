"""A phone becomes a member's by a one-time link and the proof that it holds its key."""

from datetime import timedelta

import pytest

from central.devices.models import Site
from central.directory import versions
from central.directory.models import Credential, Member
from central.passes import phones
from central.passes.models import PhoneLink
from central.passes.phones import PhoneRefusedError
from tests.central_passes.conftest import NOW
from tests.passes.making import Phone, encoded, private_key
from wire.vocabulary import Assurance, CredentialKind

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

PHONE, OTHER = Phone(), Phone(private_key(7))


def registered(
    code: str, phone: Phone = PHONE, *, says: str | None = None, late: timedelta = timedelta()
) -> Credential:
    proof = phone.key.sign(phones.proof_message(code if says is None else says))
    return phones.register(code, encoded(phone.public), encoded(proof), now=NOW + late)


def link(member: Member, *, replaces: bool = True) -> str:
    return phones.make_link(member, actor="desk", now=NOW, replaces=replaces)


def test_link_registers_a_phone_which_doors_then_know(site: Site, member: Member) -> None:
    ver = versions.of_site(site.pk).ver
    credential = registered(link(member))
    assert (credential.member, credential.kind) == (member, CredentialKind.PASS_ROTATING.value)
    assert (credential.canonical, credential.assurance) == (PHONE.public, Assurance.HIGH.value)
    assert versions.of_site(site.pk).ver > ver


def test_lost_answer_spends_nothing(member: Member) -> None:
    code = link(member)
    assert registered(code) == registered(code)


def test_link_is_good_for_one_phone(member: Member) -> None:
    code = link(member)
    registered(code)
    with pytest.raises(PhoneRefusedError, match="another phone"):
        registered(code, OTHER)
    assert Credential.objects.count() == 1


def test_failures_spend_nothing(member: Member) -> None:
    code = link(member)
    for phone, says in ((PHONE, "something else"), (OTHER, "")):
        with pytest.raises(PhoneRefusedError, match="prove its key"):
            registered(code, phone, says=says)
    for public, proof in (("", ""), ("AAAA", "AAAA"), ("!", "!"), (encoded(bytes(32)), encoded(bytes(64)))):
        with pytest.raises(PhoneRefusedError):
            phones.register(code, public, proof, now=NOW)
    assert registered(code).member == member


def test_old_and_unknown_links_are_refused(member: Member) -> None:
    code = link(member)
    with pytest.raises(PhoneRefusedError, match="too old"):
        registered(code, late=phones.LINK_LIFE)
    with pytest.raises(PhoneRefusedError, match="not known"):
        registered("made-up")


def test_new_phone_replaces_the_old_one_in_one_transaction(member: Member) -> None:
    old = registered(link(member))
    new = registered(link(member), OTHER)
    old.refresh_from_db()
    assert (old.is_revoked, new.is_revoked) == (True, False)


def test_second_phone_may_stand_beside_the_first(member: Member) -> None:
    old = registered(link(member))
    registered(link(member, replaces=False), OTHER)
    old.refresh_from_db()
    assert not old.is_revoked


def test_phone_that_somebody_holds_is_not_taken_over_and_the_old_phone_stays(site: Site, member: Member) -> None:
    registered(link(member))
    other = Member.objects.create(full_name="Ben Example")
    mine = registered(link(other), OTHER)
    code = link(other)
    with pytest.raises(PhoneRefusedError, match="registered already"):
        registered(code)
    mine.refresh_from_db()
    assert not mine.is_revoked


def test_phone_that_was_removed_does_not_come_back_by_its_link(member: Member) -> None:
    code = link(member)
    credential = registered(code)
    credential.is_revoked = True
    credential.save()
    with pytest.raises(PhoneRefusedError, match="removed again"):
        registered(code)


def test_code_of_a_link_is_not_kept(member: Member) -> None:
    code = link(member)
    assert code not in str(PhoneLink.objects.values())
    phones.make_link(member, actor="desk", now=NOW + timedelta(days=2))
    assert PhoneLink.objects.count() == 1
