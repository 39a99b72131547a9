"""The directory that a device decides from, as far as central can make it again."""

from dataclasses import dataclass, replace

from central.devices.models import Device
from central.devices.sealing import SealError
from central.review.decisions import Edition
from central.review.past import Past
from rules.book import BookError
from wire.errors import DoorstileError


class NotKnownError(DoorstileError):
    """Nothing can be said of a device's directory; says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Held:
    """A version of a device's directory. `says` tells people which it is and why it is that one."""

    past: Past
    edition: Edition
    is_held: bool
    says: str
    newest: Edition | None = None
    """The newest version, where that is another."""
    is_revoked: bool = False
    """The device may not work any more."""

    def with_newest(self) -> "Held | None":
        """Return the newest version in place of this one; None where this is it."""
        return None if self.newest is None else replace(self, edition=self.newest, newest=None)


def held_by(device: Device) -> Held:
    """Return what the device holds, or the newest where that is not known any more; raise NotKnownError."""
    if device.is_desk:
        raise NotKnownError(f"{device.door.name} is a card desk: it decides nothing and opens nothing; ask of a door")
    try:
        past = Past(device.pk)
        epoch, ver = past.newest
        edition = past.edition(device.dir_epoch, device.dir_ver) if device.dir_epoch else None
        newest = past.edition(epoch, ver)
    except SealError as fault:
        raise NotKnownError(
            f"the cards of this device cannot be read ({fault}); restore central's secret key"
        ) from fault
    except BookError as fault:
        raise NotKnownError(f"the site's rules make no sense ({fault}); correct them in the administration") from fault
    assert newest is not None, "what was just published is known"
    is_revoked = device.state == Device.State.REVOKED
    if edition is not None:
        is_newest = device.dir_ver == ver
        says = f"version {ver}, the newest, which this door has"
        if not is_newest:
            says = f"version {device.dir_ver}, which this door has; the newest is {ver}"
        other = None if is_newest else newest
        return Held(past, edition, is_held=True, says=says, newest=other, is_revoked=is_revoked)
    has = f"version {device.dir_ver}, which is not known here any more" if device.dir_epoch else "no directory yet"
    return Held(
        past, newest, is_held=False, says=f"version {ver}, the newest; this door has {has}", is_revoked=is_revoked
    )
