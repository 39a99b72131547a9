"""Forms that a device reports: entered once, by the profile; what staff entered holds."""

import pytest
from django.utils import timezone
from msgspec.structs import replace

from central.devices.models import CREDENTIAL_KEY, Device, Door, Site
from central.devices.sealing import seal
from central.directory import versions
from central.directory.enrolling import enrol
from central.directory.models import Member, Membership
from central.parts import reported
from central.parts.models import CardPart, DoorForm
from central.sync import records
from tests.fakes.journal_script import hello
from wire.vocabulary import CredentialKind

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

FIRST, LAST = "hf_uid/wiegand34_first", "hf_uid/wiegand26_last"


@pytest.fixture
def device(db: None) -> Device:
    site = Site.objects.create(name="Harbour gym")
    door = Door.objects.create(site=site, name="North")
    member = Member.objects.create(full_name="Ann")
    Membership.objects.create(member=member, site=site)
    enrol(member, CredentialKind.HF_UID, bytes.fromhex("04A15BC2D3E4E6"))
    return Device.objects.create(door=door, name="North", sealed_credential_key=seal(bytes(32), CREDENTIAL_KEY))


def greets(device: Device, *forms: str) -> None:
    said = replace(hello(device.pk, []), forms=list(forms))
    records.open_session(device.pk, said, int(timezone.now().timestamp() * 1000))


def spelled(device: Device) -> list[tuple[str, bool]]:
    return list(DoorForm.objects.filter(door=device.door).order_by("spelling").values_list("spelling", "is_reported"))


def test_a_form_that_drops_bits_is_entered_by_the_device(device: Device) -> None:
    greets(device, "hf_uid/hex", FIRST, "no/such")
    assert spelled(device) == [(FIRST, True)]
    assert CardPart.objects.filter(spelling=FIRST).count() == 1


def test_the_same_report_again_is_no_new_version_of_the_directory(device: Device) -> None:
    greets(device, FIRST)
    before = versions.of_site(device.door.site_id).ver
    greets(device, FIRST)
    assert versions.of_site(device.door.site_id).ver == before


def test_another_profile_takes_the_place_of_the_first(device: Device) -> None:
    greets(device, FIRST)
    greets(device, LAST)
    assert spelled(device) == [(LAST, True)]
    greets(device)
    assert spelled(device) == []
    assert not CardPart.objects.exists()


def test_what_staff_entered_holds_and_what_they_take_back_does_not(device: Device) -> None:
    greets(device, FIRST)
    own = DoorForm.objects.create(door=device.door, spelling=LAST)
    assert spelled(device) == [(LAST, False)]
    greets(device, FIRST, "hf_uid/cascade1")
    assert spelled(device) == [(LAST, False)]
    own.delete()
    assert spelled(device) == [("hf_uid/cascade1", True), (FIRST, True)]


def test_two_devices_of_a_door_report_together_and_a_revoked_one_no_more(device: Device) -> None:
    other = Device.objects.create(
        door=device.door, name="North, out", sealed_credential_key=seal(bytes(32), CREDENTIAL_KEY)
    )
    greets(device, FIRST)
    greets(other, LAST)
    assert spelled(device) == [(LAST, True), (FIRST, True)]
    Device.objects.filter(pk=other.pk).update(state=Device.State.REVOKED)
    reported.settle(device.door_id)
    assert spelled(device) == [(FIRST, True)]
