"""What the look for changes finds in the database."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection

from central.devices import commands
from central.devices.models import Command, Device, Site
from central.devices.revocation import set_state
from central.directory import versions
from central.presence import versions as presence
from central.sync import standing as standing_module
from central.sync.standing import Reader
from central.sync.switchboard import SiteVersions
from wire.presence import PresenceRef
from wire.vocabulary import CommandName

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

NOW = datetime(2026, 5, 1, 10, tzinfo=UTC)


def connect(device: Device) -> None:
    device.connected_at = device.last_seen_at = NOW
    device.disconnected_at = None
    device.save()


def order(device: Device) -> Command:
    return commands.issue(device, CommandName.UNLOCK, actor="Ann", reason="test", now=NOW)


def test_command_is_due_until_it_was_sent(device: Device) -> None:
    connect(device)
    command = order(device)
    found = Reader().read()
    assert found is not None
    assert found.due == {device.pk}
    commands.mark_sent(device.pk, command.pk, NOW)
    found = Reader().read()
    assert found is not None
    assert found.due == set()


def test_device_is_revoked_as_long_as_it_is_connected(device: Device) -> None:
    connect(device)
    set_state(device, Device.State.REVOKED)
    found = Reader().read()
    assert found is not None
    assert found.revoked == {device.pk}
    Device.objects.update(disconnected_at=NOW + timedelta(seconds=1))
    found = Reader().read()
    assert found is not None
    assert found.revoked == set()


def test_versions_are_those_that_devices_are_told(site: Site) -> None:
    epoch = versions.of_site(site.pk).epoch
    found = Reader().read()
    assert found is not None
    assert found.sites == {site.pk: SiteVersions((epoch, 1), PresenceRef(epoch, 1))}
    row = presence.locked(site.pk)
    row.ver += 4
    presence.publish(row)
    found = Reader().read()
    assert found is not None
    assert found.sites[site.pk].presence == presence.newest(site.pk)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the pragma is SQLite's")
def test_second_look_finds_that_nobody_else_wrote(device: Device) -> None:
    reader = Reader()
    assert reader.read() is not None
    assert reader.read() is None


def test_what_could_not_be_read_is_asked_for_again(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader()
    with monkeypatch.context() as broken:
        broken.setattr(standing_module, "_standing", _fail)
        with pytest.raises(OperationalError):
            reader.read()
    assert reader.read() is not None


def _fail() -> None:
    raise OperationalError("locked")
