"""A site whose office looks after members by files, by the administration and by another system."""

import pytest

from central.devices.models import Device, Site
from tests.central_ledger.conftest import make_device


@pytest.fixture
def site(db: None) -> Site:
    return Site.objects.create(name="Harbour gym", time_zone="Europe/Berlin")


@pytest.fixture
def hill(db: None) -> Site:
    return Site.objects.create(name="Hill gym", time_zone="America/New_York")


@pytest.fixture
def device(site: Site) -> Device:
    return make_device(site, "North door")
