"""What a device is told of its directory, read as the device reads it."""

from central.devices.models import Device
from central.editions import offering
from central.sync.exchange import Whole
from wire.directory import read_row
from wire.rows import DirectoryRow


def whole_for(device: Device) -> Whole:
    """Return the whole directory as it is offered to a device."""
    offered = offering.offer(device.pk, None, 0, takes_deltas=True).what
    assert isinstance(offered, Whole)
    return offered


def rows_for(device: Device) -> list[DirectoryRow]:
    """Return the rows that a device is told."""
    return [read_row(text) for text in whole_for(device).rows]
