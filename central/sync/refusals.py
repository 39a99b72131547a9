"""A directory that a device refused: what it said, what staff do about it, and the alert that shows both."""

from typing import Final
from uuid import UUID

from central.checkins.alerts import raise_alert
from central.checkins.models import Alert
from wire.transfer import DirRefusal
from wire.vocabulary import DirectoryRefusal

_SENT_AGAIN: Final = "nothing need be done, central sends it again"
REMEDIES: Final = {
    DirectoryRefusal.UNSIGNED: "the device knows another key than central signs with: join it again, doorstile join",
    DirectoryRefusal.OLDER: (
        "the device has a newer one: after a restored backup run manage renew_directories once; "
        "where it says that this clock went back, set this server's clock right"
    ),
    DirectoryRefusal.GAP: f"{_SENT_AGAIN} as a whole",
    DirectoryRefusal.NOT_UNDERSTOOD: "the agent is too old for it: update the agent on the device",
    DirectoryRefusal.INCOMPLETE: f"{_SENT_AGAIN}; if this comes again, look at the network between them",
    DirectoryRefusal.DIGEST: f"{_SENT_AGAIN}; if this comes again, replace the device's card or disk",
    DirectoryRefusal.CANARY: "decisions from it went wrong: undo the last change of the rules, report it",
    DirectoryRefusal.STORE: "the device could not write it: free space on it, or replace its card or disk",
}
"""What to do, by the code of the refusal."""


def told(refusal: DirRefusal) -> str:
    """Return what the device said, as it is kept with the device."""
    return f"version {refusal.ver}: {refusal.code}: {refusal.detail}".replace("\0", "")


def alert(device_id: UUID, refusal: DirRefusal) -> None:
    """Raise the alert: one for each device, version and code, however often the device refuses it."""
    key = f"{refusal.epoch}/{refusal.ver}: {refusal.code}"
    said = f"Version {refusal.ver} is {refusal.code.replace('_', ' ')}; {REMEDIES[refusal.code]}"
    detail = f"{said}. The device keeps the one that it has, and says: {refusal.detail or 'nothing more'}"
    raise_alert(device_id, Alert.Kind.DIRECTORY_REFUSED, key.replace("\0", ""), detail.replace("\0", ""))
