"""When an event really happened, to the best that is known. Pure.

An event keeps the time that the device wrote. Where its clock was not set yet, a later anchor of the same boot says
what the wall clock truly was at a monotonic moment, and so at every other moment of that boot.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from wire.vocabulary import ClockQuality

LATEST_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999: later ones are no date here."""


@dataclass(frozen=True, slots=True, order=True)
class Anchor:
    """At monotonic `mono_ms` of a boot the wall clock was `wall_ms`, give or take `err_ms`; the least is the best."""

    err_ms: int
    mono_ms: int
    wall_ms: int


def best(anchors: Iterable[Anchor]) -> Anchor | None:
    """Return the anchor to go by: the most certain, and among equals the same one in whatever order they arrived."""
    return min(anchors, default=None)


def corrected_ms(quality: str, mono_ms: int, wall_ms: int, anchor: Anchor | None) -> int:
    """Return the wall time of an event: its own where the device's clock was synchronised, else the anchor's."""
    if anchor is None or quality == ClockQuality.SYNCED:
        return wall_ms
    return min(max(0, anchor.wall_ms + mono_ms - anchor.mono_ms), LATEST_MS)
