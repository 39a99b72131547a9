"""A change too large for one delta is several versions, each of them one that a door may decide from."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from central.devices.models import Device, Site
from central.directory import versions
from central.directory.enrolling import enrol
from central.directory.importing.running import import_members
from central.directory.models import Credential, Member, Membership, Zone
from central.directory.versions import raise_for_sites
from central.editions import offering, publishing, splitting
from central.editions.models import Change, Published
from central.editions.publishing import published
from central.editions.splitting import versions_of
from central.review.past import Past
from tests.central_ledger.conftest import make_device, make_member
from tests.central_ledger.twins import HF, Twin, card, populated, told, truth
from wire.directory import read_row
from wire.rows import DirectoryRow
from wire.transfer import DirDelta

pytestmark = [pytest.mark.unit, pytest.mark.django_db]


@pytest.fixture
def device(site: Site) -> Device:
    return make_device(site, "North door")


@pytest.fixture
def twin(device: Device) -> Twin:
    return Twin(device)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A delta holds three rows."""
    monkeypatch.setattr(offering, "DELTA_ROWS", 3)
    monkeypatch.setattr(splitting, "DELTA_ROWS", 3)


def rows_of(twin: Twin) -> dict[bytes, DirectoryRow]:
    return {key: read_row(text) for key, text in twin.rows.items()}


def block(members: list[Member]) -> None:
    Member.objects.filter(pk__in=[member.pk for member in members]).update(is_blocked=True)


def steps(twin: Twin) -> Iterator[DirDelta]:
    """Take what is offered step by step."""
    while twin.ref is None or twin.ref.ver != published(twin.device.door.site_id).ver:
        offered = offering.offer(twin.device.pk, twin.ref, 1_000, takes_deltas=True).what
        assert isinstance(offered, DirDelta)
        twin.take(offered)
        yield offered


def test_large_change_is_several_signed_versions_in_order(site: Site, twin: Twin) -> None:
    members = populated(site, 40)
    twin.sync()
    before = published(site.pk).ver
    block(members[:8])
    raise_for_sites([site.pk])
    found = [(delta.first, delta.to, len(delta.put)) for delta in steps(twin)]
    assert found == [(before, before + 1, 3), (before + 1, before + 2, 3), (before + 2, before + 3, 2)]
    assert versions.of_site(site.pk).ver == Published.objects.get().ver == before + 3
    assert {row.member for row in rows_of(twin).values() if row.is_blocked} == {str(m.pk) for m in members[:8]}
    assert twin.wholes == 1


def test_import_of_many_is_told_in_deltas(site: Site, twin: Twin) -> None:
    populated(site, 60)
    twin.sync()
    lines = [f"{at},New {at},{site.name},hf_uid,04{at:012X}\n" for at in range(1000, 1010)]
    assert import_members(("external_id,full_name,sites,credential_kind,credential\n" + "".join(lines)).encode(),
                          is_dry_run=False).is_applied  # fmt: skip
    assert [len(delta.put) for delta in steps(twin)] == [3, 3, 3, 1]
    assert told(twin) == truth(site)


def test_what_goes_and_what_lets_in_less_comes_first(site: Site, twin: Twin) -> None:
    members = populated(site, 60)
    twin.sync()
    block(members[:2])
    Credential.objects.filter(member__in=members[2:4]).update(is_revoked=True)
    for member in members[4:6]:
        member.credentials.all().delete()
    for number in range(3):
        enrol(make_member(site, f"New {number}"), HF, card(900 + number))
    raise_for_sites([site.pk])
    found = list(steps(twin))
    assert [(len(delta.gone), len(delta.put)) for delta in found] == [(2, 1), (0, 3), (0, 3)]
    held = [[read_row(bytes(text)) for text in delta.put] for delta in found]
    lets_in = [not (row.is_blocked or row.is_revoked) for rows in held for row in rows]
    assert lets_in == sorted(lets_in)


@pytest.mark.parametrize("why", ["it is much of the directory", "the book changes as well", "there are too many"])
def test_change_that_is_not_parted_is_one_version_and_a_snapshot(
    site: Site, twin: Twin, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = populated(site, 16 if why == "it is much of the directory" else 40)
    twin.sync()
    before = published(site.pk).ver
    if why == "there are too many":
        monkeypatch.setattr(splitting, "MOST", 4)
    if why == "the book changes as well":
        Zone.objects.create(site=site, name="pool")
    block(members[:5])
    raise_for_sites([site.pk])
    ver = versions.of_site(site.pk).ver
    assert told(twin.sync()) == truth(site)
    assert (twin.wholes, versions.of_site(site.pk).ver) == (2, ver)
    assert ver > before


def test_bytes_part_a_change_as_well(site: Site, twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    members = populated(site, 40)
    twin.sync()
    for module in (offering, splitting):
        monkeypatch.setattr(module, "DELTA_BYTES", 300)
    block(members[:4])
    raise_for_sites([site.pk])
    assert len(list(steps(twin))) > 2
    assert told(twin) == truth(site)


def test_small_change_stays_one_version_in_the_order_it_was_found() -> None:
    changes = [Change(name=f"row/{at}", kind="hf_uid", now=b"x") for at in range(3)]
    assert versions_of(changes, 1000) == [changes]
    assert versions_of([], 1000) == [[]]


def test_version_in_between_can_be_reviewed(site: Site, twin: Twin) -> None:
    members = populated(site, 40)
    twin.sync()
    block(members[:8])
    raise_for_sites([site.pk])
    for delta in steps(twin):
        edition = Past(twin.device.pk).edition(delta.epoch, delta.to)
        assert edition is not None
        assert edition.ref == twin.ref
        for key, row in rows_of(twin).items():
            assert edition.find(key.hex(), row.member) == row


def test_changes_beyond_those_that_are_kept_cost_a_snapshot(
    site: Site, twin: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "CHANGES_KEPT", 4)
    members = populated(site, 40)
    twin.sync()
    block(members[:8])
    raise_for_sites([site.pk])
    assert told(twin.sync()) == truth(site)
    assert twin.wholes == 2


def _at_random(chance: random.Random, site: Site, step: int) -> None:
    """Change a few things at once or many, as an import or a script does."""
    members = list(Member.objects.order_by("pk"))
    some = chance.sample(members, min(len(members), chance.choice((1, 2, 5, 6))))
    match chance.randrange(5):
        case 0:
            block(some)
        case 1:
            Member.objects.filter(pk__in=[member.pk for member in some]).update(is_blocked=False)
        case 2:
            Credential.objects.filter(member__in=some).update(is_revoked=chance.random() < 0.5)
        case 3:
            cards = Credential.objects.filter(member__in=some)
            values = [(credential.member, credential.canonical) for credential in cards]
            cards.delete()
            for at, (_, value) in enumerate(values):  # each card is given to the next of them
                enrol(values[(at + 1) % len(values)][0], HF, value)
        case _:
            late = datetime(2030, 1, 1 + step % 28, tzinfo=UTC)
            Member.objects.filter(pk__in=[member.pk for member in some]).update(valid_to=late)
    raise_for_sites([site.pk])


@pytest.mark.parametrize("seed", range(3))
def test_in_between_each_credential_is_as_before_gone_or_as_after(site: Site, seed: int) -> None:
    """Whatever changes at once, and wherever devices stop: no version in between lets in whom neither end does."""
    chance = random.Random(seed)
    populated(site, 50)
    twins = [Twin(make_device(site, f"Door {number}")).sync() for number in range(2)]
    for step in range(8):
        befores = [rows_of(twin) for twin in twins]
        _at_random(chance, site, step)
        published(site.pk)
        for twin, before in zip(twins, befores, strict=True):
            seen: list[dict[bytes, DirectoryRow]] = []
            for _ in steps(twin):
                seen.append(rows_of(twin))
            after = rows_of(twin)
            for rows in seen:
                for key, row in rows.items():
                    assert row in (before.get(key), after.get(key))
            assert told(twin) == truth(site)
            assert twin.wholes == 1
    assert Membership.objects.count() == 50


@pytest.mark.parametrize("some", [2, 3, 4, 7, 1000])
def test_device_that_is_far_behind_reads_no_more_than_it_is_sent(
    site: Site, twin: Twin, some: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offering, "_SOME", some)
    members = populated(site, 60)
    twin.sync()
    for at in (0, 12):
        block(members[at : at + 12])
        raise_for_sites([site.pk])
        published(site.pk)
    members[40].is_blocked = True
    members[40].save()
    assert [len(delta.put) for delta in steps(twin)] == [3] * 8 + [1]
    assert told(twin) == truth(site)
    assert {row.member for row in rows_of(twin).values() if row.is_blocked} == {
        str(member.pk) for member in (*members[:24], members[40])
    }
