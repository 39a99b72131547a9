"""The messages by which a site's presence travels: who is where, visits used of packs, codes used at other doors.

Each row has a version of its own within an epoch, so what a device misses is always what has a higher version than the
device; from version 0 that is everything. Presence is kept in memory alone: a device that starts has none.
"""

from typing import ClassVar, Final

import msgspec

from wire.limits import Moment, Number, Whole
from wire.message import Message
from wire.vocabulary import CredentialKind

PRESENCE: Final = "presence"
"""In `hello.feat`: the device takes presence."""
PRESENT_ROWS: Final = 400
"""What one message may hold, used codes included: well below a frame of 128 KiB."""


class PresenceRef(msgspec.Struct, frozen=True):
    """Which presence: versions rise within an epoch; without any, `epoch` is empty."""

    epoch: str
    ver: Whole


class Present(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a member is by the record of the whole site: in `zone` since `since_ms` (wall time), "" is outside.

    `used` counts the visits of the member's pack, those that the directory does not know of yet included; None where
    there is no pack. `is_forgiven` lets the member in once more, whatever anti-passback says.
    """

    member: str
    zone: str = ""
    since_ms: Moment = 0
    used: Whole | None = None
    is_certain: bool = True
    is_forgiven: bool = False
    is_visitor: bool = True


class UsedStep(msgspec.Struct, frozen=True):
    """A step of a rotating pass that was used at another door; `key` is the pass's index under this device's key."""

    kind: CredentialKind
    key: str
    step: Whole


class Heard(msgspec.Struct, frozen=True):
    """How far the device's own events of a run are part of this presence; said with the last message alone."""

    run: str
    upto: Number


class PresDelta(Message, frozen=True, kw_only=True):
    """What presence of version `to` has other than version `from`; from 0 it replaces all that the device had.

    `server_ms` is central's clock, for the age of each row. More follows at once unless it `is_last`.
    """

    type: ClassVar[str] = "pres.delta"
    epoch: str
    first: Whole = msgspec.field(name="from")
    to: Whole
    server_ms: Whole
    put: list[Present] = msgspec.field(default_factory=list)
    steps: list[UsedStep] = msgspec.field(default_factory=list)
    heard: list[Heard] = msgspec.field(default_factory=list)
    is_last: bool = True


class PresState(Message, frozen=True, kw_only=True):
    """The presence that the device has now: credit for the next message."""

    type: ClassVar[str] = "pres.state"
    epoch: str
    ver: Whole
