"""What devices are told of members and credentials, and that every change is a new version."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, transaction

from central.checkins.visits import EndedBy
from central.devices.models import CREDENTIAL_KEY, Device, Door, Site
from central.devices.sealing import SealError, seal, unseal
from central.directory import enrolling, versions
from central.directory.enrolling import HeldError, enrol
from central.directory.models import Credential, DirectoryVersion, Member, Membership
from central.editions import offering
from central.editions.publishing import published
from central.sync import hints
from tests.central_ledger.conftest import make_device, make_member, make_visit
from tests.central_ledger.told import rows_for, whole_for
from wire.credentials import CredentialError, credential_key
from wire.directory import directory_digest
from wire.rows import DirectoryRow
from wire.vocabulary import CredentialKind

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

UID = bytes.fromhex("04A15BC2D3E4E6")
HF = CredentialKind.HF_UID


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """Return the sites whose devices were told of a new directory."""
    sites: list[UUID] = []
    monkeypatch.setattr(hints, "directory_changed", sites.append)
    return sites


def ver(site: Site) -> int:
    return versions.of_site(site.pk).ver


def test_rows_are_keyed_for_the_device_and_in_order_of_key(site: Site, device: Device) -> None:
    members = [make_member(site, f"Member {i}") for i in range(5)]
    uids = [secrets.token_bytes(7) for _ in members]
    for member, uid in zip(members, uids, strict=True):
        enrol(member, HF, b"\x04" + uid[1:])
    rows = rows_for(device)
    expected = {credential_key(device.credential_key, HF, b"\x04" + uid[1:]) for uid in uids}
    assert {row.key for row in rows} == expected
    assert rows == sorted(rows, key=lambda row: row.key)
    other = rows_for(make_device(site, "South door"))
    assert not {row.key for row in rows} & {row.key for row in other}


def test_reference_covers_the_rows(site: Site, device: Device, member: Member) -> None:
    enrol(member, HF, UID)
    assert offering.newest(device.pk).digest == ""
    ref = whole_for(device).issue.ref
    assert ref.digest == directory_digest(rows_for(device))
    assert (ref.epoch, ref.ver) == (versions.of_site(site.pk).epoch, ver(site))
    assert offering.newest(device.pk) == whole_for(device).issue.ref == ref


def test_row_tells_what_the_decision_needs(site: Site, device: Device) -> None:
    begins, ends = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    member = Member.objects.create(full_name="Ann", is_active=False, valid_from=begins, valid_to=ends)
    Membership.objects.create(member=member, site=site)
    credential = enrol(member, HF, UID)
    credential.is_revoked = True
    credential.save()
    assert rows_for(device) == [
        DirectoryRow(
            key=credential_key(device.credential_key, HF, UID),
            kind=HF,
            member=str(member.pk),
            is_active=False,
            is_revoked=True,
            valid_from_ms=int(begins.timestamp() * 1000),
            valid_to_ms=int(ends.timestamp() * 1000),
        )
    ]


def test_members_of_another_site_are_not_told(site: Site, device: Device) -> None:
    enrol(make_member(Site.objects.create(name="Hill gym"), "Bob"), HF, UID)
    assert rows_for(device) == []


def test_device_that_moves_to_another_site_is_told_of_its_members(site: Site, device: Device, member: Member) -> None:
    enrol(member, HF, UID)
    before = whole_for(device).issue
    hill = Site.objects.create(name="Hill gym")
    device.door = Door.objects.create(site=hill, name="Gate")
    device.save()
    assert whole_for(device).issue.epoch != before.epoch
    assert rows_for(device) == []


def edit(row: Member | Credential, name: str, value: object) -> None:
    setattr(row, name, value)
    row.save()


CHANGES: dict[str, Callable[[Member, Credential], Any]] = {
    "member renamed": lambda member, _: edit(member, "full_name", "Other"),
    "member deactivated": lambda member, _: edit(member, "is_active", False),
    "credential revoked": lambda _, credential: edit(credential, "is_revoked", True),
    "credential deleted": lambda _, credential: credential.delete(),
    "credentials deleted at once": lambda _, credential: Credential.objects.all().delete(),
    "member deleted": lambda member, _: member.delete(),
    "members deleted at once": lambda member, _: Member.objects.all().delete(),
    "membership deleted": lambda member, _: member.memberships.get().delete(),
    "card added": lambda member, _: enrol(member, HF, b"\x04" + bytes(6)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_a_new_version_and_is_told_after_the_commit(
    site: Site, member: Member, told: list[UUID], change: str, django_capture_on_commit_callbacks: Any
) -> None:
    credential = enrol(member, HF, UID)
    before = ver(site)
    with django_capture_on_commit_callbacks(execute=True):
        CHANGES[change](member, credential)
        assert ver(site) > before
        assert told == []
    assert set(told) == {site.pk}


def test_joining_a_second_site_changes_that_site(site: Site, member: Member, told: list[UUID]) -> None:
    hill = Site.objects.create(name="Hill gym")
    before = (ver(site), ver(hill))
    Membership.objects.create(member=member, site=hill)
    assert (ver(site), ver(hill)) == (before[0], before[1] + 1)


def test_change_that_is_rolled_back_is_no_new_version(site: Site, member: Member) -> None:
    before = ver(site)
    with transaction.atomic():
        enrol(member, HF, UID)
        transaction.set_rollback(True)
    assert ver(site) == before


def test_rows_read_while_the_directory_changes_are_read_again(
    site: Site, device: Device, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(member, HF, UID)
    changes = iter([True])

    def changing(*args: Any) -> bytes:
        if next(changes, False):
            enrol(member, HF, b"\x04" + bytes(6))
            published(site.pk)
        return unseal(*args)

    monkeypatch.setattr(offering, "unseal", changing)
    assert len(rows_for(device)) == 2
    assert whole_for(device).issue.ver == ver(site)


def test_directory_that_never_stands_still_says_so(
    site: Site, device: Device, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(member, HF, UID)

    def changing(*args: Any) -> bytes:
        member.save()
        published(site.pk)
        return unseal(*args)

    monkeypatch.setattr(offering, "unseal", changing)
    with pytest.raises(offering.DirectoryBusyError, match="changed 5 times"):
        rows_for(device)


def test_card_is_sealed_and_shown_masked(member: Member) -> None:
    credential = enrol(member, HF, UID)
    assert credential.canonical == UID
    assert credential.hint == "04 ** ** ** ** ** E6"
    assert str(credential) == "Card, 13.56 MHz, 04 ** ** ** ** ** E6"
    stored = Credential.objects.filter(pk=credential.pk).values().get()
    assert UID not in bytes(stored["sealed"])
    assert UID.hex() not in str(stored).lower()


def test_text_is_masked_altogether(member: Member) -> None:
    assert enrol(member, CredentialKind.QR_STATIC, b"SECRET-17").hint == "text of 9 characters"


def test_card_that_another_member_holds_is_refused_naming_the_holder(site: Site, member: Member) -> None:
    enrol(member, HF, UID)
    with pytest.raises(HeldError, match="Ann Example holds this credential already"):
        enrol(make_member(site, "Bob"), HF, UID)
    with pytest.raises(HeldError):
        enrol(member, HF, UID)
    assert Credential.objects.count() == 1


def test_same_bytes_of_another_kind_are_another_credential(member: Member) -> None:
    enrol(member, HF, b"\x04\x01\x02\x03")
    enrol(member, CredentialKind.LF_HID, b"\x1a\x01\x02\x03")
    assert Credential.objects.count() == 2


def test_race_for_a_card_has_one_winner(site: Site, member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    enrol(member, HF, UID)
    holders = iter([None, member])
    monkeypatch.setattr(enrolling, "holder_of", lambda *_: next(holders))
    with pytest.raises(HeldError):
        enrol(make_member(site, "Bob"), HF, UID)
    monkeypatch.setattr(enrolling, "holder_of", lambda *_: None)
    with pytest.raises(IntegrityError):
        enrol(make_member(site, "Cid"), HF, UID)


@pytest.mark.parametrize(
    ("kind", "typed", "canonical"),
    [
        (HF, "04 a1 5b c2 d3 e4 e6", UID),
        (HF, "04:A1:5B:C2", UID[:4]),
        (CredentialKind.LF_EM4100, "01 02 03 04 05", bytes(range(1, 6))),
        (CredentialKind.LF_EM4100, "0004328719365", bytes(range(1, 6))),
        (CredentialKind.LF_HID, "118-01603", b"\x1a\x76\x06\x43"),
        (CredentialKind.QR_STATIC, "Gym pass 7", b"Gym pass 7"),
    ],
)
def test_typed_forms_are_read(kind: CredentialKind, typed: str, canonical: bytes) -> None:
    assert enrolling.read_typed(kind, typed) == canonical


@pytest.mark.parametrize(
    ("kind", "typed"),
    [(HF, "04A1"), (HF, "hello"), (HF, "88A15BC2"), (CredentialKind.LF_EM4100, "12345"), (CredentialKind.LF_HID, "9")],
)
def test_what_is_no_credential_is_refused_by_value(kind: CredentialKind, typed: str) -> None:
    with pytest.raises(CredentialError, match=typed[:2]):
        enrolling.read_typed(kind, typed)


def test_credential_sealed_with_another_key_says_so(site: Site, device: Device, member: Member, settings: Any) -> None:
    enrol(member, HF, UID)
    device.sealed_credential_key = seal(b"\0" * 32, CREDENTIAL_KEY)
    settings.SECRET_KEY = "another"
    with pytest.raises(SealError, match="DOORSTILE_SECRET_KEY"):
        _ = Credential.objects.get().canonical


def test_member_with_visits_cannot_be_deleted(site: Site, device: Device, member: Member) -> None:
    make_visit(member, site, device, 1, 1, 2, EndedBy.OUT)
    with pytest.raises(IntegrityError):
        member.delete()


def test_things_are_named_for_staff(site: Site, member: Member) -> None:
    assert str(member) == "Ann Example"
    assert str(member.memberships.get()) == "Ann Example at Harbour gym"
    version = DirectoryVersion.objects.get(site=site)
    assert str(version) == f"{version.epoch}/{version.ver}"
