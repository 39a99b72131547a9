"""A wrong time zone is refused where it is entered; one that is in the database takes no other site with it."""

import json
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client

from central.checkins.deriving import rule_of
from central.devices import zones
from central.devices.models import Device, Door, Site
from central.directory.importing.running import import_members
from central.directory.models import Member, SiteRules
from central.sync import records
from tests.fakes.journal_script import hello

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

WRONG = "Mars/Olympus"


@pytest.fixture
def lost(device: Device) -> Site:
    """The site of a device, with a zone that nobody knows in its row."""
    Site.objects.filter(pk=device.door.site_id).update(time_zone=WRONG)
    return Site.objects.get(pk=device.door.site_id)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (WRONG, "no time zone 'Mars/Olympus'; write an IANA name such as Europe/Madrid"),
        ("europe/berlin", "such as Europe/Berlin"),
        ("America/New York", "such as America/New_York"),
        ("Europe", "no time zone 'Europe'"),
        ("../../etc/passwd", "no time zone"),
        ("localtime", "no time zone"),
        ("", "no time zone ''"),
    ],
)
def test_wrong_zone_is_refused_with_what_to_write(name: str, says: str) -> None:
    assert says in zones.fault_of(name)
    assert not zones.is_known(name)
    with pytest.raises(ValidationError, match="no time zone"):
        Site.objects.create(name="Hill gym", time_zone=name)
    assert not Site.objects.exists()


@pytest.mark.parametrize("name", ["Europe/Berlin", "UTC", "Asia/Kolkata"])
def test_zone_of_the_database_is_taken(name: str) -> None:
    assert zones.fault_of(name) == ""
    assert zones.zone_of(name) == ZoneInfo(name)


def test_page_of_a_site_refuses_the_zone_and_keeps_what_was_typed(admin_client: Client) -> None:
    form = {"name": "Hill gym", "time_zone": WRONG, "longest_stay_h": "6"}
    text = admin_client.post("/admin/devices/site/add/", form).content.decode()
    assert "there is no time zone" in text
    assert WRONG in text
    assert not Site.objects.exists()


def test_command_refuses_the_zone_and_makes_nothing() -> None:
    with pytest.raises(CommandError, match="no time zone"):
        call_command("enrolment_code", "--create", "--site", "Hill", "--door", "North", "--time-zone", WRONG)
    assert not Site.objects.exists()


@pytest.mark.parametrize(
    ("site", "door"), [("Hill\x07", "North"), ("a;b", "North"), ("Hill", " "), ("x" * 101, "North")]
)
def test_command_refuses_names_that_pages_or_files_could_not_show(site: str, door: str) -> None:
    with pytest.raises(CommandError):
        call_command("enrolment_code", "--create", "--site", site, "--door", door)
    assert not Site.objects.exists()


def test_command_says_what_an_existing_site_and_door_keep(site: Site) -> None:
    Door.objects.create(site=site, name="North")
    words = ["--create", "--site", site.name, "--door", "North", "--time-zone", "Europe/Madrid", "--direction", "out"]
    out, err = StringIO(), StringIO()
    call_command("enrolment_code", *words, "--json", stdout=out, stderr=err)
    assert json.loads(out.getvalue())["door"] == "North"
    assert "site Harbour gym exists and keeps Europe/Berlin" in err.getvalue()
    assert "door North exists and stays a way in" in err.getvalue()


def test_command_names_codes_of_before_and_cancels_them_on_request(site: Site) -> None:
    Door.objects.create(site=site, name="North")
    said = [StringIO() for _ in range(3)]
    for err, more in zip(said, ([], [], ["--only"]), strict=True):
        call_command("enrolment_code", "--site", site.name, "--door", "North", *more, stdout=StringIO(), stderr=err)
    first, second, third = (err.getvalue() for err in said)
    assert first == ""
    assert second.count("is still good; --only cancels") == 1
    assert third.count("is cancelled") == 2
    assert Door.objects.get().enrolment_codes.count() == 1


def test_zone_that_is_in_the_database_counts_as_utc_and_is_said(lost: Site, admin_client: Client) -> None:
    assert zones.zone_of(WRONG) == ZoneInfo("UTC")
    assert rule_of(lost).time_zone == ZoneInfo("UTC")
    assert "UTC: there is no time zone" in admin_client.get("/admin/devices/site/").content.decode()


def test_every_page_of_both_sites_is_there(lost: Site, hill: Site, device: Device, admin_client: Client) -> None:
    SiteRules.objects.create(site=lost)
    for path in (
        "/", f"/?site={lost.pk}", f"/?site={hill.pk}", f"/devices/{device.pk}/what-if",
        f"/devices/{device.pk}/without-link",
        f"/passes/?site={lost.pk}", "/admin/devices/site/",
    ):  # fmt: skip
        assert admin_client.get(path).status_code == 200, path
    assert 'data-zone="UTC"' in admin_client.get(f"/?site={lost.pk}").content.decode()


def test_file_of_members_of_another_site_is_taken(lost: Site, hill: Site) -> None:
    assert import_text(f"external_id,full_name,sites,valid_to\n1,Ada,{hill.name},2026-12-31\n") == ""
    assert Member.objects.get().valid_to is not None
    assert "the time zone of site 'Harbour gym' is not known" in import_text(
        f"external_id,full_name,sites\n2,Bo,{lost.name}\n"
    )


def import_text(text: str) -> str:
    """Import a file; return what was wrong with it."""
    return "; ".join(map(str, import_members(text.encode(), is_dry_run=False).faults))


def test_door_is_told_the_zone_of_its_site_and_no_wrong_one(device: Device) -> None:
    assert told_zone(device) == "Europe/Berlin"
    Site.objects.filter(pk=device.door.site_id).update(time_zone=WRONG)
    assert told_zone(device) == ""


def told_zone(device: Device) -> str:
    """Greet as the device; return the time zone that it is told."""
    return records.open_session(device.pk, hello(device.pk, []), 1_800_000_000_000).time_zone
