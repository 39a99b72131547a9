"""What central may ask of a device: its limits and pauses, kept within reason. Pure."""

import re
from typing import Final

from wire.limits import MAX_FRAME_BYTES, Limits, Reconnect

HOUR_MS: Final = 3_600_000
_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+/-]{0,63}")


def bounded_limits(limits: Limits) -> Limits:
    """Return limits that a device can keep and make progress under."""
    frame_bytes = max(4096, min(limits.frame_bytes, MAX_FRAME_BYTES))
    return Limits(
        frame_bytes=frame_bytes,
        batch_events=max(1, min(limits.batch_events, 1000)),
        batch_bytes=max(1024, min(limits.batch_bytes, frame_bytes)),
        window=max(1, min(limits.window, 8192)),
    )


def bounded_reconnect(values: Reconnect) -> Reconnect:
    """Return pauses that neither hammer central nor keep a device away for good."""
    min_ms = max(100, min(values.min_ms, 60_000))
    return Reconnect(
        min_ms=min_ms,
        spread_ms=bounded_pause_ms(values.spread_ms),
        cap_ms=max(2 * min_ms, min(values.cap_ms, 600_000)),
    )


def is_zone_name(name: str) -> bool:
    """Say whether this may be the name of a time zone: what is kept of central's word has an end."""
    return _ZONE.fullmatch(name) is not None


def bounded_pause_ms(asked_ms: int | None) -> int:
    """Return a pause of at most an hour."""
    return max(0, min(asked_ms or 0, HOUR_MS))
