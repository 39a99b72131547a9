"""How often a device may ask for a whole directory. Pure."""

from typing import Final

from msgspec import Struct

LEAST_MS: Final = 30_000
"""Least time between two requests."""
HOUR_MS: Final = 3_600_000
PER_HOUR: Final = 12
"""Requests within any hour: a directory of 100,000 members is some 20 MB, and many devices share central's line."""


class Budget(Struct, frozen=True):
    """When whole directories were asked for, within the last hour; it outlives the connection."""

    asked_ms: tuple[int, ...] = ()

    def asked(self, now_ms: int) -> tuple["Budget", bool]:
        """Return whether it may be asked now, and the budget after that."""
        recent = tuple(at_ms for at_ms in self.asked_ms if at_ms > now_ms - HOUR_MS)
        if len(recent) >= PER_HOUR or (recent and now_ms < recent[-1] + LEAST_MS):
            return Budget(recent), False
        return Budget((*recent, now_ms)), True
