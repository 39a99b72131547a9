"""Which version of the protocol two sides speak: the highest that both know."""

from typing import Final

import msgspec

from wire.errors import RemoteProtocolError
from wire.vocabulary import CloseCode, ErrorCode


class VersionRange(msgspec.Struct, frozen=True):
    """The oldest and newest protocol version that a side speaks, both included."""

    min: int
    max: int


SPOKEN: Final = VersionRange(min=1, max=1)


def negotiate(ours: VersionRange, theirs: VersionRange) -> int:
    """Return the highest common version; raise RemoteProtocolError (close 4426) where there is none."""
    best = min(ours.max, theirs.max)
    if theirs.min > theirs.max or best < max(ours.min, theirs.min):
        detail = (
            f"this side speaks versions {ours.min} to {ours.max}, the other {theirs.min} to {theirs.max}; "
            "update the older side"
        )
        raise RemoteProtocolError(ErrorCode.UNSUPPORTED_VERSION, detail, close=CloseCode.UPGRADE)
    return best
