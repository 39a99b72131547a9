"""What a file says of members that names other things: each is told to the doors, and what leads nowhere is a fault."""

from typing import Any

import pytest

from central.devices.models import Device, Site
from central.directory import versions
from central.directory.enrolling import enrol
from central.directory.importing.running import Report, import_members
from central.directory.models import Group, Member, Membership, Plan, Schedule, VisitPack, Zone
from central.directory.rows import NOBODY
from central.presence.models import PackCount, Whereabouts
from tests.central_ledger.conftest import make_member
from tests.central_ledger.told import rows_for
from wire.rows import DirectoryRow, Pack
from wire.vocabulary import CredentialKind, Right

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

HEADER = (
    "external_id,full_name,sites,is_minor,guardians,host,clearance,rights,"
    "groups,schedules,zones,pack_visits,pack_used\n"
)
GOOD = HEADER + (
    "kid,Kim,Harbour gym,yes,ann|bob,,,,juniors,,,,\n"
    "guest,Gus,Harbour gym,,,ann,,,,,,10,3\n"
    "ann,Ann,Harbour gym|Hill gym,,,,2,OVERRIDE|maintenance,staff|juniors,nights,pool|gym,,\n"
    "bob,Bob,Harbour gym,,,,,,,,,,\n"
)


@pytest.fixture(autouse=True)
def things(site: Site, hill: Site) -> None:
    for name in ("juniors", "staff"):
        Group.objects.create(site=site, name=name)
    for each in (site, hill):
        Schedule.objects.create(site=each, name="nights")
    Zone.objects.create(site=site, name="pool")
    Zone.objects.create(site=hill, name="gym")


def run(text: str, *, is_dry_run: bool = False) -> Report:
    return import_members(text.encode(), is_dry_run=is_dry_run)


def faults(text: str) -> list[str]:
    report = run(text)
    assert not report.is_applied
    return [str(fault) for fault in report.faults]


def told(device: Device) -> dict[str, DirectoryRow]:
    """Return what the device is told of each member, a card given to each of them, by external id."""
    for at, member in enumerate(Member.objects.filter(credentials=None)):
        enrol(member, CredentialKind.HF_UID, b"\x04" + at.to_bytes(6, "big"))
    names = {str(member.pk): member.external_id or "" for member in Member.objects.all()}
    return {names[row.member]: row for row in rows_for(device)}


def everything() -> list[Any]:
    relations = (Member.guardians, Member.sites)
    return [
        list(Member.objects.order_by("pk").values()),
        [list(relation.through.objects.order_by("pk").values()) for relation in relations],
        list(VisitPack.objects.values()),
    ]


def test_doors_are_told_of_all_of_it(site: Site, device: Device) -> None:
    assert run(GOOD).new_members == 4
    rows, ids = told(device), {member.external_id: str(member.pk) for member in Member.objects.all()}
    assert sorted(rows["kid"].guardians) == sorted([ids["ann"], ids["bob"]])
    assert rows["kid"].groups == ["juniors"]
    assert rows["guest"].host == ids["ann"]
    pack = VisitPack.objects.get()
    assert rows["guest"].pack == Pack(id=str(pack.pk), visits=10, used=3)
    ann = rows["ann"]
    assert (ann.clearance, ann.rights) == (2, [Right.MAINTENANCE, Right.OVERRIDE])
    assert (ann.groups, ann.schedules, ann.zones) == (["juniors", "staff"], ["nights"], ["pool"])


def test_same_file_again_changes_nothing_and_tells_no_door(site: Site, hill: Site) -> None:
    run(GOOD)
    before, vers = everything(), [versions.of_site(at.pk).ver for at in (site, hill)]
    report = run(GOOD)
    assert (report.same_members, report.changed_members, report.new_members) == (4, 0, 0)
    assert (everything(), [versions.of_site(at.pk).ver for at in (site, hill)]) == (before, vers)


def test_dry_run_says_the_same_and_changes_nothing() -> None:
    dry, before = run(GOOD, is_dry_run=True), (Member.objects.count(), VisitPack.objects.count())
    assert before == (0, 0)
    assert dry.counts == run(GOOD).counts
    assert (Member.objects.count(), VisitPack.objects.count()) == (4, 1)


def test_empty_cells_keep_and_dashes_take_away(device: Device) -> None:
    run(GOOD)
    before = told(device)
    run("external_id,groups,zones,guardians,host,rights\nkid,,,,,\nann,,,,,\nguest,,,,,\n")
    assert told(device) == before
    run("external_id,groups,zones,guardians,host,rights\nkid,-,,-,,\nann,-,-,,,-\nguest,,,,-,\n")
    rows = told(device)
    assert (rows["kid"].groups, rows["kid"].guardians, rows["guest"].host) == ([], [NOBODY], "")
    assert (rows["ann"].groups, rows["ann"].zones, rows["ann"].rights) == ([], [], [])
    assert rows["ann"].schedules == ["nights"]


def test_list_replaces_the_one_that_was_there(device: Device) -> None:
    run(GOOD)
    run("external_id,groups,guardians\nann,staff,\nkid,,bob\n")
    rows = told(device)
    assert rows["ann"].groups == ["staff"]
    assert rows["kid"].guardians == [str(Member.objects.get(external_id="bob").pk)]


def test_site_without_any_of_the_names_keeps_what_its_membership_has(site: Site, hill: Site) -> None:
    """The lists of the other site restrict there as before: the file says nothing of them."""
    early = Group.objects.create(site=hill, name="early birds")
    assert run(GOOD).is_applied
    membership = Membership.objects.get(member__external_id="ann", site=hill)
    membership.groups.add(early)
    assert run("external_id,groups\nann,juniors\n").is_applied
    assert list(membership.groups.all()) == [early]
    assert [group.name for group in Membership.objects.get(member__external_id="ann", site=site).groups.all()] == [
        "juniors"
    ]
    assert run("external_id,groups\nann,-\n").is_applied
    assert not membership.groups.exists()


def test_member_without_a_plan_is_kept_to_named_hours_and_zones_at_every_site(site: Site, hill: Site) -> None:
    Schedule.objects.filter(site=hill).delete()
    says = "one of the member's sites has none of these schedules: name one of each site"
    assert [says in fault for fault in faults(GOOD)] == [True]
    for each in (site, hill):
        Plan.objects.create(site=each, name="basic", is_always=True, is_everywhere=True)
    assert run(
        GOOD.replace("bob,Bob", "eve,Eve")
        .replace("pack_used\n", "pack_used,plan\n", 1)
        .replace("pool|gym,,\n", "pool|gym,,,basic\n")
        .replace("ann|bob", "ann")
    ).is_applied


def test_guardian_and_host_may_be_members_of_earlier_files(site: Site) -> None:
    ann = make_member(site, "Ann Example")
    Member.objects.filter(pk=ann.pk).update(external_id="ann")
    run(
        "external_id,full_name,sites,guardians,host,is_minor\nkid,Kim,Harbour gym,ann,,yes\ngus,Gus,Harbour gym,,ann,\n"
    )
    assert list(Member.objects.get(external_id="kid").guardians.all()) == [ann]
    assert Member.objects.get(external_id="gus").host == ann


def test_pack_is_set_and_its_use_kept(site: Site, device: Device) -> None:
    run(GOOD)
    pack = VisitPack.objects.get()
    before = versions.of_site(site.pk).ver
    run("external_id,pack_visits\nguest,20\n")
    pack.refresh_from_db()
    assert (pack.visits, pack.used, VisitPack.objects.count()) == (20, 3, 1)
    run("external_id,pack_used\nguest,4\n")
    pack.refresh_from_db()
    assert (pack.visits, pack.used) == (20, 4)
    assert run("external_id,pack_used\nguest,1\n").same_members == 1, "a file gives no visits back"
    pack.refresh_from_db()
    assert pack.used == 4
    assert versions.of_site(site.pk).ver > before
    assert told(device)["guest"].pack == Pack(id=str(pack.pk), visits=20, used=4)


def test_change_of_a_pack_whose_visits_are_counted_is_told_to_doors_at_once(
    site: Site, django_capture_on_commit_callbacks: Any
) -> None:
    run(GOOD)
    pack = VisitPack.objects.get()
    PackCount.objects.create(pack=pack)
    with django_capture_on_commit_callbacks(execute=True):
        run("external_id,pack_used\nguest,7\n")
    assert Whereabouts.objects.get(site=site, member=pack.member).used == 7


def test_every_fault_is_named_with_line_column_value_and_remedy() -> None:
    text = HEADER + (
        "a,A,Harbour gym,maybe,nobody,a,-1,walk,lifters,,,x,\n"
        "b,B,Harbour gym,,b,,99999,,,days,pool|sauna,5,6\n"
        "c,C,,,,,,,juniors,,,,2\n"
    )
    assert faults(text) == [
        "line 2, column is_minor, 'maybe': write yes or no",
        "line 2, column clearance, '-1': write a whole number, 0 to 32767",
        "line 2, column rights, 'walk': there is no right 'walk'; known are " + ", ".join(Right),
        "line 2, column pack_visits, 'x': write a whole number, 0 to 1000000",
        "line 2, column groups, 'lifters': none of the member's sites has 'lifters'; known there are juniors, staff",
        "line 2, column host, 'a': nobody is their own guardian or host; write another member's external_id",
        "line 2, column guardians, 'nobody': there is no member 'nobody', here or in this file; write an external_id",
        "line 3, column clearance, '99999': write a whole number, 0 to 32767",
        "line 3, column schedules, 'days': none of the member's sites has 'days'; known there are nights",
        "line 3, column zones, 'pool|sauna': none of the member's sites has 'sauna'; known there are pool",
        "line 3, column guardians, 'b': nobody is their own guardian or host; write another member's external_id",
        "line 3, column pack_used, '6': 6 visits are used of 5; write at most as many as were bought",
        "line 4, column groups: the member may enter no site; fill in sites too",
    ]
    assert faults("external_id,full_name,sites,pack_used\nd,D,Harbour gym,2\n") == [
        "line 2, column pack_used, '2': the member has no pack; fill in pack_visits too"
    ]
    assert not Member.objects.exists()


def test_many_members_take_few_queries(site: Site, django_assert_max_num_queries: Any) -> None:
    lines = [f"m{at},Member {at},Harbour gym,,m{at - 1},,,,juniors,,pool,10,{at % 10}\n" for at in range(1, 400)]
    text = HEADER + "m0,Member 0,Harbour gym,,,,,,,,,,\n" + "".join(lines)
    with django_assert_max_num_queries(60):
        assert run(text).new_members == 400
    with django_assert_max_num_queries(40):
        assert run(text).same_members == 400
