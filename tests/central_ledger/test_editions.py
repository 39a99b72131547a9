"""What devices are told of a directory's changes: every version is one of central's, whatever a device has."""

import random
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from central.devices.models import CREDENTIAL_KEY, Device, Door, Site
from central.devices.sealing import seal, unseal
from central.devices.signing import directory_key, sign
from central.directory.enrolling import enrol
from central.directory.models import Credential, Member, Membership
from central.directory.models_rules import DoorRules, Zone
from central.directory.rows import NOBODY
from central.directory.versions import raise_for_sites
from central.editions import offering, publishing
from central.editions.lines import BOOK, LineNow
from central.editions.models import Change, Line, Published, Total, Touched
from central.editions.publishing import published
from central.sync.exchange import Whole
from tests.central_ledger.conftest import make_device, make_member
from tests.central_ledger.twins import HF, Twin, card, populated, told, truth
from wire.directory import Issue, read_row
from wire.transfer import DirDelta, DirectoryRef

pytestmark = [pytest.mark.unit, pytest.mark.django_db(transaction=False)]


@pytest.fixture
def twin(device: Device) -> Twin:
    return Twin(device)


def test_signature_holds_under_the_key_that_devices_pin() -> None:
    issue = Issue(device="d", epoch="e", ver=1, digest="00", issued_ms=5)
    from base64 import urlsafe_b64decode

    Ed25519PublicKey.from_public_bytes(bytes.fromhex(directory_key())).verify(
        urlsafe_b64decode(sign(issue) + "=="), issue.signed
    )


def test_one_change_is_one_row_and_not_the_whole(site: Site, twin: Twin) -> None:
    members = populated(site, 5)
    assert told(twin.sync()) == truth(site)
    members[2].is_active = False
    members[2].save()
    offered = offering.offer(twin.device.pk, twin.ref, 7, takes_deltas=True)
    assert isinstance(offered.what, DirDelta)
    assert (len(offered.what.put), offered.what.gone, offered.what.issued_ms) == (1, [], 7)
    assert told(twin.sync()) == truth(site)
    assert (twin.wholes, twin.deltas) == (1, 1)


def test_cost_of_a_change_does_not_grow_with_the_directory(
    site: Site, twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = populated(site, 40)
    twin.sync()
    opened: list[bytes] = []

    def opening(sealed: bytes, purpose: str) -> bytes:
        opened.append(sealed)
        return unseal(sealed, purpose)

    monkeypatch.setattr(offering, "unseal", opening)
    with CaptureQueriesContext(connection) as captured:
        members[7].is_active = False
        members[7].save()
        twin.sync()
    assert len(opened) <= 3
    assert len(captured) < 80


CHANGES: dict[str, Callable[[Member, Credential], Any]] = {
    "member deactivated": lambda member, _: Member.save(_set(member, is_active=False)),
    "credential revoked": lambda _, credential: Credential.save(_set(credential, is_revoked=True)),
    "credential deleted": lambda _, credential: credential.delete(),
    "credentials deleted at once": lambda _, credential: Credential.objects.all().delete(),
    "member deleted": lambda member, _: member.delete(),
    "membership deleted": lambda member, _: member.memberships.get().delete(),
    "card added": lambda member, _: enrol(member, HF, card(77)),
    "nothing that devices are told": lambda member, _: Member.save(_set(member, full_name="Other")),
    "card taken from one and given to another": lambda member, credential: _handed_over(member, credential),
}  # fmt: skip


def _set(row: Any, **values: object) -> Any:
    for name, value in values.items():
        setattr(row, name, value)
    return row


def _handed_over(member: Member, credential: Credential) -> None:
    site = member.memberships.get().site
    credential.delete()
    enrol(make_member(site, "Heir"), HF, card(0))


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_reaches_devices_as_a_delta(site: Site, twin: Twin, change: str) -> None:
    member, *_ = populated(site, 3)
    twin.sync()
    CHANGES[change](member, member.credentials.get())
    assert told(twin.sync()) == truth(site)
    assert (twin.wholes, twin.deltas) == (1, 1)
    assert not Touched.objects.exists()


def test_change_outside_of_the_models_is_found_by_comparing_everything(site: Site, twin: Twin) -> None:
    populated(site, 4)
    twin.sync()
    Credential.objects.update(is_revoked=True)
    raise_for_sites([site.pk])
    assert told(twin.sync()) == truth(site)
    assert twin.wholes == 1


def test_book_travels_with_the_rows_under_one_digest(site: Site, twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    members = populated(site, 2)
    book = {"site": b'{"item":"site","id":"s","tz":"UTC"}'}
    monkeypatch.setattr(publishing, "book_lines", lambda _: (_item(*item) for item in book.items()))
    assert twin.sync().book == book
    book["zone/pool"] = b'{"item":"zone","name":"pool"}'
    members[0].is_active = False
    members[0].save()
    assert (twin.sync().book, told(twin)) == (book, truth(site))
    del book["zone/pool"]
    raise_for_sites([site.pk], ())
    assert twin.sync().book == book
    assert (twin.wholes, twin.deltas) == (1, 2)
    assert Published.objects.get().feat == ["rules"]


def _item(key: str, text: bytes) -> LineNow:
    return LineNow(f"{BOOK}/{key}", None, BOOK, None, text, "rules")


def test_site_with_rules_has_its_book_and_each_device_its_own_door(site: Site, twin: Twin) -> None:
    populated(site, 1)
    assert twin.sync().book == {}
    zone = Zone.objects.create(site=site, name="hall")
    assert b"hall" in twin.sync().book["zone/hall"]
    assert (twin.wholes, twin.deltas) == (1, 1)
    DoorRules.objects.create(door=twin.device.door, zone=zone)
    assert str(twin.device.door_id).encode() in twin.sync().book["here"]
    zone.limit = 9
    zone.save()
    assert b"9" in twin.sync().book["zone/hall"]
    assert (twin.wholes, twin.deltas) == (2, 2)


def test_minor_whose_guardian_is_deleted_is_told_of(site: Site, twin: Twin) -> None:
    guardian, minor, *_ = populated(site, 2)
    minor.is_minor = True
    minor.save()
    minor.guardians.add(guardian)
    twin.sync()
    guardian.delete()
    assert [read_row(text).guardians for text in twin.sync().rows.values()] == [[NOBODY]]


def test_item_of_one_device_is_told_to_no_other(site: Site, twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    populated(site, 1)
    other = Twin(make_device(site, "South door"))

    def own_items(device: Device) -> tuple[tuple[str, bytes], ...]:
        return (("here", b'{"item":"here","door":"%s"}' % device.door.name[:5].encode()),)

    monkeypatch.setattr(offering, "own_items", own_items)
    assert b"North" in twin.sync().book["here"]
    assert b"South" in other.sync().book["here"]


def test_devices_share_the_changes_but_no_index(site: Site, twin: Twin) -> None:
    populated(site, 3)
    other = Twin(make_device(site, "South door")).sync()
    assert not twin.sync().rows.keys() & other.rows.keys()
    enrol(Member.objects.first() or Member(), HF, card(50))
    assert told(twin.sync()) == told(other.sync()) == truth(site)
    assert Change.objects.count() == 1


def test_many_changes_are_several_deltas_or_a_snapshot(site: Site, twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offering, "DELTA_ROWS", 3)
    members = populated(site, 8)
    twin.sync()
    for member in members[:5]:
        member.is_active = False
        member.save()
        published(site.pk)
    assert told(twin.sync()) == truth(site)
    assert (twin.wholes, twin.deltas) == (1, 2)
    Member.objects.update(is_active=False)
    raise_for_sites([site.pk])
    assert told(twin.sync()) == truth(site)
    assert twin.wholes == 1
    Member.objects.update(is_active=True)
    raise_for_sites([site.pk])
    assert told(twin.sync()) == truth(site)
    assert twin.wholes == 2


def test_delta_stays_within_its_bytes(site: Site, twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offering, "DELTA_BYTES", 300)
    members = populated(site, 4)
    twin.sync()
    for member in members:
        member.is_active = False
        member.save()
        published(site.pk)
    assert told(twin.sync()) == truth(site)
    assert twin.deltas == 4


def test_what_came_and_went_between_two_versions_is_not_told(site: Site, twin: Twin) -> None:
    member, *_ = populated(site, 1)
    twin.sync()
    guest = enrol(member, HF, card(60))
    published(site.pk)
    guest.delete()
    published(site.pk)
    offered = offering.offer(twin.device.pk, twin.ref, 7, takes_deltas=True).what
    assert isinstance(offered, DirDelta)
    assert (offered.put, offered.gone, offered.to) == ([], [], published(site.pk).ver)
    twin.sync()


def test_forgotten_changes_cost_a_snapshot(site: Site, twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "CHANGES_KEPT", 2)
    members = populated(site, 5)
    twin.sync()
    for member in members:
        member.is_active = False
        member.save()
        published(site.pk)
    assert Change.objects.count() <= 2
    assert told(twin.sync()) == truth(site)
    assert twin.wholes == 2


@pytest.mark.parametrize("held", ["another digest", "another epoch", "a later version", "none"])
def test_device_with_what_is_none_of_our_versions_gets_the_whole(site: Site, twin: Twin, held: str) -> None:
    populated(site, 2)
    twin.sync()
    assert twin.ref is not None
    ref = {
        "another digest": DirectoryRef(twin.ref.epoch, twin.ref.ver, "00" * 32),
        "another epoch": DirectoryRef("ee", twin.ref.ver, twin.ref.digest),
        "a later version": DirectoryRef(twin.ref.epoch, twin.ref.ver + 1, twin.ref.digest),
        "none": None,
    }[held]
    assert isinstance(offering.offer(twin.device.pk, ref, 5, takes_deltas=True).what, Whole)


def test_device_that_went_back_to_an_older_version_is_brought_on(site: Site, twin: Twin) -> None:
    """A card that reverted: the hash that is kept is of a later version, and changes lead back as well as on."""
    members = populated(site, 3)
    twin.sync()
    assert twin.ref is not None
    old = (twin.ref, dict(twin.rows))
    for member in members:
        member.is_active = False
        member.save()
        twin.sync()
    twin.ref, twin.rows = old
    assert told(twin.sync()) == truth(site)
    assert twin.wholes == 1


def test_new_key_or_another_door_costs_a_snapshot(site: Site, twin: Twin) -> None:
    populated(site, 2)
    twin.sync()
    device = twin.device
    device.sealed_credential_key = seal(b"\1" * 32, CREDENTIAL_KEY)
    device.save()
    before = set(twin.rows)
    assert not before & set(twin.sync().rows)
    device.door = Door.objects.create(site=Site.objects.create(name="Hill gym"), name="Gate")
    device.save()
    assert twin.sync().rows == {}


def test_device_that_does_not_take_changes_gets_wholes_only(site: Site, twin: Twin) -> None:
    member, *_ = populated(site, 2)
    twin.sync()
    assert offering.offer(twin.device.pk, twin.ref, 5, takes_deltas=False).what is None
    member.delete()
    assert isinstance(offering.offer(twin.device.pk, twin.ref, 5, takes_deltas=False).what, Whole)


def test_random_days_at_a_site_end_with_every_device_at_the_newest_version(site: Site) -> None:
    """Members come and go, devices look in at random, some fall far behind: each step is one of the versions."""
    chance = random.Random(7)
    twins = [Twin(make_device(site, f"Door {number}")) for number in range(3)]
    hill = Site.objects.create(name="Hill gym")
    for step in range(120):
        members = list(Member.objects.all())
        match chance.randrange(7) if members else 0:
            case 0 | 1:
                enrol(make_member(site, f"Member {step}"), HF, card(1000 + step))
            case 2:
                enrol(chance.choice(members), HF, card(2000 + step))
            case 3:
                member = chance.choice(members)
                Member.save(_set(member, is_active=not member.is_active))
            case 4:
                chance.choice(members).delete()
            case 5:
                credential = Credential.objects.order_by("?").first()
                if credential is not None:
                    Credential.save(_set(credential, is_revoked=not credential.is_revoked))
            case _:
                Membership.objects.get_or_create(member=chance.choice(members), site=hill)
        if chance.random() < 0.4:
            chance.choice(twins).sync()
    for twin in twins:
        assert told(twin.sync()) == truth(site)
        assert twin.wholes == 1
    assert Line.objects.filter(site=site).count() == len(twins[0].rows)


def test_things_are_named_for_staff(site: Site, twin: Twin) -> None:
    member, *_ = populated(site, 1)
    twin.sync()
    member.save()
    now = published(site.pk)
    assert str(now) == f"{now.epoch}/{now.ver}"
    assert str(Line.objects.get()).startswith("row/")
    assert str(Total.objects.get()).startswith(str(twin.device.pk))
    enrol(member, HF, card(5))
    assert str(Touched.objects.get()) == f"{member.pk} at {site.pk}"
    published(site.pk)
    assert str(Change.objects.get()).endswith(f"in version {published(site.pk).ver}")


def test_restored_central_that_begins_a_new_epoch_is_believed_again(site: Site, twin: Twin) -> None:
    """A door that had a later version would refuse an older one of the same epoch as a step back."""
    member, *_ = populated(site, 2)
    before = twin.sync().ref
    said = StringIO()
    call_command("renew_directories", stdout=said)
    assert said.getvalue().startswith("1 sites")
    after = twin.sync().ref
    assert before is not None
    assert after is not None
    assert (after.epoch != before.epoch, twin.wholes) == (True, 2)
    member.is_active = False
    member.save()
    assert told(twin.sync()) == truth(site)
    assert (twin.wholes, twin.deltas) == (2, 1)
