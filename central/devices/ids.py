"""UUID version 7: ids that sort by the time they were made (RFC 9562 section 5.7)."""

import secrets
import time
from uuid import UUID

_VERSION_7 = 0x7 << 76
_VARIANT = 0b10 << 62
_RANDOM_A = ((1 << 12) - 1) << 64
_RANDOM_B = (1 << 62) - 1


def uuid7(now_ms: int | None = None) -> UUID:
    """Return a new id: 48 bits of Unix time in ms (`now_ms`, else the wall clock), then 74 random bits."""
    unix_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    random = secrets.randbits(80)
    return UUID(int=(unix_ms & (1 << 48) - 1) << 80 | _VERSION_7 | random & _RANDOM_A | _VARIANT | random & _RANDOM_B)
