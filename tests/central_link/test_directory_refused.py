"""A device refuses its directory: staff see an alert with what to do, once for each device, version and code."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from central.checkins.models import Alert
from central.devices.models import Device, Site
from central.sync import records
from central.sync.refusals import REMEDIES
from tests.central_ledger.conftest import make_device
from wire.transfer import DirRefusal, DirState
from wire.vocabulary import DirectoryRefusal

pytestmark = [pytest.mark.unit, pytest.mark.django_db]


@pytest.fixture
def device(db: None) -> Device:
    return make_device(Site.objects.create(name="Harbour gym"), "North door")


def refuse(device: Device, code: DirectoryRefusal, ver: int = 7, detail: str = "the book") -> None:
    refusal = DirRefusal(epoch="e1", ver=ver, code=code, detail=detail)
    session = records.Session(device.pk, device.session)
    records.keep_dir_state(session, DirState(epoch="e1", ver=6, digest="", refused=refusal))


def test_every_refusal_has_its_remedy() -> None:
    assert REMEDIES.keys() == set(DirectoryRefusal)


@pytest.mark.parametrize("code", list(DirectoryRefusal))
def test_refusal_is_an_alert_that_says_what_to_do(device: Device, code: DirectoryRefusal) -> None:
    refuse(device, code, detail="row 4 \0is odd")
    [alert] = Alert.objects.all()
    assert (alert.device, alert.kind) == (device, Alert.Kind.DIRECTORY_REFUSED)
    assert REMEDIES[code] in alert.detail
    assert "Version 7" in alert.detail
    assert "row 4 is odd" in alert.detail


def test_same_refusal_is_one_alert_and_another_is_another(device: Device) -> None:
    for _ in range(3):
        refuse(device, DirectoryRefusal.DIGEST)
    assert Alert.objects.count() == 1
    refuse(device, DirectoryRefusal.DIGEST, ver=8)
    refuse(device, DirectoryRefusal.STORE)
    refuse(make_device(device.door.site, "South door"), DirectoryRefusal.DIGEST)
    assert Alert.objects.count() == 4


def test_directory_that_is_taken_raises_none(device: Device) -> None:
    records.keep_dir_state(records.Session(device.pk, device.session), DirState(epoch="e1", ver=7, digest="d"))
    assert not Alert.objects.exists()


def test_dashboard_names_the_door_and_the_remedy(device: Device) -> None:
    refuse(device, DirectoryRefusal.NOT_UNDERSTOOD)
    staff = Client()
    staff.force_login(User.objects.create_user("desk", is_staff=True))
    page = staff.get("/").content.decode()
    assert "1 finding to look at" in page
    assert "North door" in page
    assert REMEDIES[DirectoryRefusal.NOT_UNDERSTOOD] in page
    told = staff.get("/api/stats").json()["alerts"]
    assert (told["count"], told["newest"][0]["door"]) == (1, "North door")
