"""An import of members and credentials: all of it or nothing, the same again changes nothing, each fault is named."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError

from central.devices.models import Device, Site
from central.directory import versions
from central.directory.enrolling import TYPED_FORMS, enrol
from central.directory.importing import changes
from central.directory.importing.running import Report, import_members
from central.directory.models import Credential, Member, Membership, Plan
from central.passes import issuing
from tests.central_ledger.conftest import make_member
from tests.central_ledger.told import rows_for
from wire.vocabulary import CredentialKind

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

HEADER = (
    "external_id,full_name,sites,is_active,valid_from,valid_to,credential_kind,credential_form,credential,"
    "credential_revoked\n"
)
GOOD = HEADER + (
    "17,Ann Example,Harbour gym,yes,2026-01-01,2026-12-31,hf_uid,,04 A1 5B C2 D3 E4 E6,\n"
    "17,,,,,,lf_em4100,decimal,0004328719365,\n"
    "18,Bob Example,Harbour gym|Hill gym,,,,hf_uid,hex_reversed,E5E4D3C25BA104,yes\n"
    "19,Cid Example,,no,,,,,,\n"
)


def run(text: str, *, is_dry_run: bool = False) -> Report:
    return import_members(text.encode(), is_dry_run=is_dry_run)


def faults(text: str) -> list[str]:
    report = run(text)
    assert not report.is_applied
    return [str(fault) for fault in report.faults]


def ver(site: Site) -> int:
    return versions.of_site(site.pk).ver


def everything() -> list[Any]:
    return [
        list(Member.objects.order_by("pk").values()),
        list(Credential.objects.order_by("pk").values("pk", "member_id", "fingerprint", "is_revoked")),
        list(Membership.objects.order_by("member", "site").values_list("member", "site")),
    ]


def test_members_sites_and_credentials_are_there_after_an_import(site: Site, hill: Site, device: Device) -> None:
    report = run(GOOD)
    assert (report.lines, report.new_members, report.new_credentials, report.is_applied) == (4, 3, 3, True)
    ann, bob, cid = Member.objects.order_by("external_id")
    assert (ann.full_name, list(ann.sites.all()), ann.is_active) == ("Ann Example", [site], True)
    assert {credential.canonical.hex() for credential in ann.credentials.all()} == {"04a15bc2d3e4e6", "0102030405"}
    assert set(bob.sites.all()) == {site, hill}
    card = bob.credentials.get()
    assert (card.canonical.hex(), card.is_revoked) == ("04a15bc2d3e4e5", True)
    assert (cid.is_active, cid.sites.count()) == (False, 0)
    assert len(rows_for(device)) == 3


def test_date_alone_is_a_day_in_the_time_zone_of_the_site(site: Site, hill: Site) -> None:
    run(GOOD)
    ann = Member.objects.get(external_id="17")
    assert (ann.valid_from, ann.valid_to) == (
        datetime(2025, 12, 31, 23, tzinfo=UTC),
        datetime(2026, 12, 31, 23, tzinfo=UTC),
    )
    run("external_id,valid_to\n17,2027-06-30\n18,2027-06-30T12:00\n19,2027-06-30T12:00+05:00\n")
    ends = list(Member.objects.order_by("external_id").values_list("valid_to", flat=True))
    assert ends == [
        datetime(2027, 6, 30, 22, tzinfo=UTC),
        datetime(2027, 6, 30, 10, tzinfo=UTC),
        datetime(2027, 6, 30, 7, tzinfo=UTC),
    ]


def test_same_file_again_changes_nothing_and_tells_no_device(site: Site, hill: Site) -> None:
    run(GOOD)
    before, told = everything(), ver(site)
    report = run(GOOD)
    assert (report.new_members, report.changed_members, report.same_members, report.same_credentials) == (0, 0, 3, 3)
    assert (everything(), ver(site)) == (before, told)


def test_dry_run_says_the_same_and_changes_nothing(site: Site, hill: Site) -> None:
    before, told = everything(), ver(site)
    report = run(GOOD, is_dry_run=True)
    assert (report.new_members, report.new_credentials, report.is_applied, report.faults) == (3, 3, False, [])
    assert (everything(), ver(site)) == (before, told)


def test_whole_import_is_one_new_version_of_each_site(site: Site, hill: Site) -> None:
    before = (ver(site), ver(hill))
    run(GOOD)
    assert (ver(site), ver(hill)) == (before[0] + 1, before[1] + 1)
    run("external_id,full_name\n18,Bobby Example\n")
    assert (ver(site), ver(hill)) == (before[0] + 2, before[1] + 2)
    run("external_id,is_active\n17,no\n")
    assert (ver(site), ver(hill)) == (before[0] + 3, before[1] + 2)


def test_empty_cell_keeps_and_dash_takes_away(site: Site, hill: Site) -> None:
    run(GOOD)
    report = run(HEADER + "17,,,,-,,,,,\n18,,-,,,,,,,\n19,,Hill gym,,,,,,,\n")
    assert report.changed_members == 3
    ann, bob, cid = Member.objects.order_by("external_id")
    assert (ann.full_name, ann.valid_from, ann.valid_to is None, ann.sites.count()) == ("Ann Example", None, False, 1)
    assert (bob.sites.count(), list(cid.sites.all())) == (0, [hill])


def test_card_is_revoked_and_given_back_by_a_file(site: Site, hill: Site, device: Device) -> None:
    run(GOOD)
    line = "external_id,credential_kind,credential,credential_revoked\n17,hf_uid,04A15BC2D3E4E6,{}\n"
    for said, is_revoked in (("yes", True), ("", True), ("no", False)):
        run(line.format(said))
        assert Member.objects.get(external_id="17").credentials.get(kind="hf_uid").is_revoked is is_revoked
    assert sum(row.is_revoked for row in rows_for(device)) == 1


def test_every_fault_is_named_with_line_column_value_and_remedy(site: Site) -> None:
    enrol(make_member(site, "Dora"), CredentialKind.HF_UID, bytes.fromhex("04000000000001"))
    text = HEADER + (
        ",Nobody,,,,,,,,\n"
        "20,,Harbour gym,,,,,,,\n"
        "21,Eve,Attic gym,perhaps,2026-02-30,1815-06-18,,,,\n"
        "22,Fay,,,2026-05-02,2026-05-01,hf_uid,,04000000000001,\n"
        "22,Fey,,,,,hf_uid,,04000000000002,\n"
        "23,Gil,,,,,hf_uid,,04000000000002,maybe\n"
        "24,Hal,,,,,nfc,,04000000000003,\n"
        "25,Ida,,,,,,,04000000000004,\n"
        "26,Jon,,,,,hf_uid,wiegand26_last,0,\n"
        "27,-,,,,,hf_uid,,04A1,\n"
    )
    assert faults(text) == [
        "line 2, column external_id: every line needs the operator's own id of the member; fill it in",
        "line 3, column full_name: a new member needs a name; fill it in",
        "line 4, column sites, 'Attic gym': there is no site 'Attic gym'; known are Harbour gym",
        "line 4, column is_active, 'perhaps': write yes or no",
        "line 4, column valid_from, '2026-02-30': no such date; write 2026-12-31 or 2026-12-31T18:00+01:00",
        "line 4, column valid_to, '1815-06-18': the year must be from 1970 to 2199",
        "line 5, column valid_to, '2026-05-01': Must be later than the beginning, 2026-05-02 00:00",
        "line 5, column credential: Dora holds this credential already; delete it there first",
        "line 6, column full_name, 'Fey': line 5 says 'Fay' of the same member; write one of them, or leave this "
        "cell empty",
        "line 7, column credential_revoked, 'maybe': write yes or no",
        "line 7, column credential: line 6 gives the same credential; leave one of them out",
        f"line 8, column credential_kind, 'nfc': no such kind; known are {', '.join(TYPED_FORMS)}",
        "line 9, column credential_kind: a credential needs its kind and its value; fill it in",
        "line 10, column credential: '0': the form wiegand26_last drops bits and names no single card; read the "
        "whole one",
        "line 11, column full_name, '-': a member has a name; write it, or leave the cell empty to keep the one there "
        "is",
        "line 11, column credential: '04A1' is not 8 or 14 or 20 hex digits; give the leading zeros too",
    ]
    assert Member.objects.count() == 1


RULES = "external_id,full_name,sites,plan,holder,is_blocked,paid_to,grace_days\n"


def test_plan_holder_and_payment_come_with_the_file(site: Site, hill: Site) -> None:
    plans = [Plan.objects.create(site=at, name="basic", is_always=True, is_everywhere=True) for at in (site, hill)]
    text = RULES + "17,Ann,Harbour gym|Hill gym,basic,guest,yes,2026-06-30,5\n18,Bob,Harbour gym,,,,,\n"
    run(text)
    ann, bob = Member.objects.order_by("external_id")
    assert (ann.holder, ann.is_blocked, ann.grace_days) == ("guest", True, 5)
    assert ann.paid_to == datetime(2026, 6, 30, 22, tzinfo=UTC)
    assert {membership.plan for membership in ann.memberships.all()} == set(plans)
    before = ver(site)
    assert (run(text).same_members, ver(site)) == (2, before)
    run("external_id,plan\n17,-\n18,basic\n")
    assert [membership.plan for membership in ann.memberships.all()] == [None, None]
    assert bob.memberships.get().plan == plans[0]
    assert ver(site) > before


def test_plan_that_is_not_there_is_a_fault(site: Site, hill: Site) -> None:
    Plan.objects.create(site=site, name="basic", is_always=True, is_everywhere=True)
    text = RULES + (
        "17,Ann,Harbour gym|Hill gym,basic,ghost,,,\n18,Bob,Harbour gym,gold,,,-,9999\n19,Cid,,basic,,maybe,,\n"
    )
    assert faults(text) == [
        "line 2, column holder, 'ghost': no such holder; known are member, guest, staff, cleaner, contractor",
        "line 2, column plan, 'basic': there is no plan 'basic' at one of the member's sites; known there are none",
        "line 3, column grace_days, '9999': write a whole number of days, 0 to 366",
        "line 3, column plan, 'gold': there is no plan 'gold' at one of the member's sites; known there are basic",
        "line 4, column is_blocked, 'maybe': write yes or no",
        "line 4, column plan: the member may enter no site; fill in sites too",
    ]


def test_one_bad_line_keeps_all_others_out(site: Site, hill: Site) -> None:
    before, told = everything(), ver(site)
    assert len(faults(GOOD + "20,Dan,Attic gym,,,,,,,\n")) == 1
    assert (everything(), ver(site)) == (before, told)


def test_card_cannot_be_taken_from_its_holder(site: Site, hill: Site) -> None:
    run(GOOD)
    said = faults("external_id,credential_kind,credential\n18,hf_uid,04A15BC2D3E4E6\n")
    assert said == ["line 2, column credential: Ann Example holds this credential already; delete it there first"]


def test_change_by_somebody_else_meanwhile_is_a_fault_and_no_crash(
    site: Site, hill: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raced(_: changes.Changes) -> None:
        raise IntegrityError("duplicate key")

    monkeypatch.setattr(changes, "write", raced)
    assert faults(GOOD) == ["somebody else changed the same members or credentials meanwhile; run the import again"]


def test_too_long_an_id_is_a_fault(site: Site) -> None:
    assert faults(f"external_id,full_name\n{'x' * 65},Ann\n") == [
        f"line 2, column external_id, '{'x' * 40}\\u2026': 65 characters; at most 64 are possible"
    ]


def test_many_members_take_few_queries(site: Site, django_assert_max_num_queries: Any) -> None:
    lines = [f"{n},Member {n},Harbour gym,hf_uid,{0x04000000000000 + n:014X}\n" for n in range(1200)]
    text = "external_id,full_name,sites,credential_kind,credential\n" + "".join(lines)
    with django_assert_max_num_queries(80):
        assert run(text).new_credentials == 1200


def command(path: Path | str, *options: str) -> str:
    out = StringIO()
    call_command("import_members", str(path), *options, stdout=out, stderr=out)
    return out.getvalue()


def test_command_tells_what_it_did(site: Site, hill: Site, tmp_path: Path) -> None:
    path = tmp_path / "members.csv"
    path.write_text(GOOD)
    counts = "4 lines\n  members 3 new, 0 changed, 0 as they were\n  credentials 3 new, 0 changed, 0 as they were\n"
    assert command(path, "--dry-run") == f"dry run, nothing was changed: {counts}"
    assert Member.objects.count() == 0
    assert command(path) == f"applied: {counts}"
    assert Member.objects.count() == 3


def test_command_says_what_it_changes_of_whom_in_80_columns(site: Site, hill: Site, tmp_path: Path) -> None:
    path = tmp_path / "members.csv"
    header = "external_id,full_name,sites,is_blocked\n"
    path.write_text(header + "".join(f"{n},Ann,{site.name},no\n" for n in range(3)))
    command(path)
    path.write_text(header + f"0,Ann,{hill.name},yes\n1,Ann,{site.name}|{hill.name},no\n2,Ann,{site.name},no\n")
    for words, begins in ((("--dry-run",), "dry run"), ((), "applied")):
        said = command(path, *words)
        assert said.startswith(begins)
        assert "members 0 new, 2 changed, 1 as they were\n" in said
        assert "  changed 0: sites -Harbour gym +Hill gym; is_blocked\n" in said
        assert "  changed 1: sites +Hill gym\n" in said
        assert "changed 2" not in said
    path.write_text(header + "0,Ann," + "no such site at all " * 3 + ",perhaps\n")
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("import_members", str(path), stdout=out, stderr=out)
    assert max(map(len, out.getvalue().splitlines())) <= 80


def test_command_counts_one_fault_as_one(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "members.csv"
    path.write_text("external_id,full_name,is_active\n1,Ann,perhaps\n")
    with pytest.raises(CommandError, match=r"^1 fault; nothing was applied"):
        call_command("import_members", str(path), stderr=StringIO())


def test_command_prints_every_fault_and_fails(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "members.csv"
    path.write_text("external_id,full_name,is_active\n1,Ann,perhaps\n2,,\n")
    out = StringIO()
    with pytest.raises(CommandError, match="2 faults; nothing was applied"):
        call_command("import_members", str(path), stdout=out, stderr=out)
    assert "line 2, column is_active, 'perhaps': write yes or no\n" in out.getvalue()
    with pytest.raises(CommandError, match=r"nowhere\.csv: No such file or directory; name a file that can be read"):
        call_command("import_members", str(tmp_path / "nowhere.csv"))


def test_command_reads_standard_input(site: Site, hill: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", StdIn(GOOD.encode()))
    assert command("-").startswith("applied")


class StdIn:
    """Standard input of which only the bytes are read."""

    def __init__(self, data: bytes) -> None:
        self.buffer = self
        self._data = data

    def read(self) -> bytes:
        """Return all of it."""
        return self._data


def test_file_that_blocks_a_visitor_is_heard_where_only_a_pass_lets_them_in(site: Site, hill: Site) -> None:
    run(HEADER + "17,Ann Example,Hill gym,,,,,,,\n")
    ann, now = Member.objects.get(external_id="17"), datetime.now(UTC)
    issuing.issue(site, ann, starts_at=now, ends_at=now + timedelta(hours=1), actor="desk", now=now)
    before = ver(site)
    assert run("external_id,is_blocked\n17,yes\n").is_applied
    assert ver(site) == before + 1
