"""Which device works a door: what commands for a door are sent to."""

from central.devices.models import Device


def device_at(door: str, site: str = "") -> Device:
    """Return the active device at a door; raise LookupError, with the remedy, where there is none or more than one."""
    found = Device.objects.filter(door__name=door, state=Device.State.ACTIVE)
    if site:
        found = found.filter(door__site__name=site)
    devices = list(found.order_by("-last_seen_at")[:2])
    if not devices:
        raise LookupError(f"no active device at door {door!r}; see the admin for their names")
    if len(devices) > 1:
        raise LookupError(f"door {door!r} has two active devices; name the --site, or revoke one")
    return devices[0]
