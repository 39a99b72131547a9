"""The newest moment that is known to have passed: a wall clock that reads earlier is not believed. Pure.

Two things raise it: central's signature under the directory in force, and the device's own clock, where NTP disciplined
it and it kept pace with the monotonic clock for HELD_MS, so that one wrong reading counts for nothing. What raised it
can have been wrong all the same. Therefore a newer signature takes the place of the older, and where NTP and central
agree on an earlier moment, two witnesses outweigh one of before.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from rules.facts import Now
from wire.events import Event
from wire.vocabulary import ClockQuality

CLOCKS_DIFFER_MS: Final = 60_000
"""What two right clocks may differ by."""
HELD_MS: Final = 120_000
"""So long a wall clock keeps pace with the monotonic one before it counts for more than one reading."""
STEP_MS: Final = 2_000
"""By more than this the wall clock does not move against the monotonic one but where it is set."""
_GRAIN_MS: Final = 1_000


class Steady(Struct, frozen=True):
    """Since `since_ms` (monotonic) the wall clock has been ahead of the monotonic one by `ahead_ms`."""

    since_ms: int
    ahead_ms: int


class Floor(Struct, frozen=True):
    """No moment before `at_ms` is believed: neither before `issued_ms`, by central, nor `lived_ms`, by the device."""

    least_ms: int
    issued_ms: int = 0
    lived_ms: int = 0
    steady: Steady | None = None

    @property
    def at_ms(self) -> int:
        """The floor itself, wall time."""
        return max(self.least_ms, self.issued_ms, self.lived_ms)

    def steady_ms(self, mono_ms: int) -> int:
        """Return for how long the wall clock has kept pace with the monotonic one, 0 where nothing is known of it."""
        return 0 if self.steady is None else max(0, mono_ms - self.steady.since_ms)

    def lived(self, now: Now) -> "Floor":
        """The clock shows `now`; what a battery alone says, with an error that nobody knows, says nothing."""
        if now.q is ClockQuality.NONE or (now.q is ClockQuality.ESTIMATED and now.err_ms is None):
            return self if self.steady is None else replace(self, steady=None)
        ahead_ms = now.wall_ms - now.mono_ms
        if self.steady is None or abs(ahead_ms - self.steady.ahead_ms) > STEP_MS:
            return replace(self, steady=Steady(now.mono_ms, ahead_ms))
        lived_ms = now.wall_ms - STEP_MS
        return replace(self, lived_ms=lived_ms) if self.is_sure(now) and lived_ms - self.lived_ms > _GRAIN_MS else self

    def is_sure(self, now: Now) -> bool:
        """Say whether what the clock shows is more than one reading: synchronised, and held."""
        return now.q is ClockQuality.SYNCED and self.steady_ms(now.mono_ms) >= HELD_MS

    def issued(self, wall_ms: int, now: Now) -> "Floor":
        """Central signed the directory that is in force from now on at `wall_ms`, by its clock.

        Where a synchronised clock that held says that this has not come yet, central's clock was ahead.
        """
        issued_ms = wall_ms - CLOCKS_DIFFER_MS
        return self if self.is_sure(now) and issued_ms > now.wall_ms else replace(self, issued_ms=issued_ms)

    def agreed(self, wall_ms: int, told_ms: int) -> "Floor":
        """NTP says that it is `wall_ms`, central says `told_ms`: what both agree on holds, also far below the floor.

        A floor that is less than that ahead of them they reach by themselves.
        """
        is_near = max(wall_ms, told_ms) >= self.at_ms - CLOCKS_DIFFER_MS
        if is_near or abs(wall_ms - told_ms) > CLOCKS_DIFFER_MS:
            return self
        most_ms = wall_ms - CLOCKS_DIFFER_MS
        return replace(self, issued_ms=min(self.issued_ms, most_ms), lived_ms=min(self.lived_ms, most_ms), steady=None)


def remembered(floor: Floor, events: Iterable[Event]) -> Floor:
    """Return the floor with what the clock showed at events of earlier runs, oldest first; the newest that held counts.

    A later one that reads earlier is no contradiction: it was believed only after two witnesses had said so.
    """
    boot = ""
    for event in events:
        if event.boot != boot:
            floor, boot = replace(floor, steady=None), event.boot
        now = Now(event.mono_ms, event.wall_ms, event.q, event.err_ms)
        floor = floor.lived(now)
        if floor.is_sure(now) and now.wall_ms < floor.lived_ms:
            floor = replace(floor, lived_ms=now.wall_ms - STEP_MS)
    return replace(floor, steady=None)
