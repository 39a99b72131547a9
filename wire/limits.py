"""How large and how fast: the bounds that hold until central states others in `welcome`."""

from typing import Annotated, Final

import msgspec

MAX_INTEGER: Final = 2**53 - 1
"""The largest integer that every JSON reader holds exactly (RFC 8259, section 6); it fits into a database's bigint."""
Whole = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]
"""A count, a size or a time in milliseconds."""
Moment = Annotated[int, msgspec.Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)]
"""A wall time in milliseconds since 1970 that a person may have entered, so perhaps before."""
Number = Annotated[int, msgspec.Meta(ge=1, le=MAX_INTEGER)]
"""The number of an event in its run."""

MAX_FRAME_BYTES: Final = 128 * 1024
MAX_EVENT_DEPTH: Final = 32
"""How deep the JSON of one event may nest; what stores events need not bear more."""
MAX_RUNS_IN_HELLO: Final = 64


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """Bounds of one connection. `window` counts unacknowledged events over all runs."""

    frame_bytes: int = MAX_FRAME_BYTES
    batch_events: int = 200
    batch_bytes: int = 96 * 1024
    window: int = 1024


class Reconnect(msgspec.Struct, frozen=True):
    """How central wants a device to come back: full jitter from `min_ms`, at most `cap_ms`, spread over `spread_ms`."""

    min_ms: int = 250
    spread_ms: int = 0
    cap_ms: int = 4_000


HEARTBEAT_S: Final = 15.0
ACK_TIMEOUT_S: Final = 20.0
LEASE_S: Final = 12 * 3600
LEASE_REFRESH_AT: Final = 0.8
"""Share of the lease after which the agent sends a new token."""
ECHO_MAX_AGE_S: Final = 30.0
"""Without a heartbeat echo younger than this, no command that expires may begin."""
STABLE_S: Final = 60.0
"""A connection that lasted this long after its welcome resets the backoff."""
