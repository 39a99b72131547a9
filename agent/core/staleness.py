"""How long ago central was last heard of, counted so that neither a wrong clock nor a power cut can shorten it. Pure.

Within a boot monotonic time counts. Across boots the wall clock does, where it could be trusted on both sides; else a
boot counts as an hour, so that pulling the plug again and again does not keep an old directory young.
"""

from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec.structs import replace

from rules.facts import Now
from wire.vocabulary import ClockQuality

BOOT_PENALTY_MS: Final = 3_600_000
"""What a boot adds where nobody knows how long the power was off."""
UNKNOWN_MS: Final = 10 * 365 * 86_400_000
"""The age of a directory of which nobody knows when central last confirmed it: older than any site lets one become."""


class Known(Struct, frozen=True):
    """At this moment of a wall clock that could be trusted central had last been heard of `age_ms` ago."""

    wall_ms: int
    age_ms: Annotated[int, Meta(ge=0)]


class Mark(Struct, frozen=True, omit_defaults=True):
    """At this monotonic moment of a boot central had last been heard of `age_ms` ago.

    `wall_ms` is the wall clock then, None where it could not be trusted; `known` is then when it last could be, as a
    boot in the dark must not make forgotten how long the power was off before it.
    """

    boot: str
    mono_ms: int
    age_ms: Annotated[int, Meta(ge=0)]
    wall_ms: int | None = None
    known: Known | None = None


class Count(Struct, frozen=True):
    """The age that accumulates: from `mark`, which is of this boot, and `before`, what was last known for sure.

    `before` is kept until the wall clock can be trusted: then the time without power is known after all.
    """

    mark: Mark
    before: Known | None = None


def begin(kept: Mark | None, boot: str, now: Now, issued_ms: int | None = None) -> Count:
    """Return the count at a start of the agent; `kept` is what was last made durable, None where nothing was.

    `issued_ms` is when central signed the directory that there is, None where there is none. Without a mark it counts
    from then, once the wall clock can be trusted; until then the directory is too old for anything.
    """
    if kept is None and issued_ms is None:
        return Count(_mark(boot, now, BOOT_PENALTY_MS))
    if kept is None:
        assert issued_ms is not None
        return settled(Count(_mark(boot, now, UNKNOWN_MS), before=Known(issued_ms, 0)), now)
    if kept.boot == boot:
        return settled(Count(kept, before=kept.known), now)
    sure = kept.known if kept.wall_ms is None else Known(kept.wall_ms, kept.age_ms)
    return settled(Count(_mark(boot, now, kept.age_ms + BOOT_PENALTY_MS), before=sure), now)


def settled(count: Count, now: Now) -> Count:
    """Return the count with the time without power in place of the penalty, once the clock says how long it was."""
    before = count.before
    if before is None or now.q is ClockQuality.NONE:
        return count
    if now.wall_ms < before.wall_ms:
        return Count(count.mark)
    return Count(_mark(count.mark.boot, now, before.age_ms + now.wall_ms - before.wall_ms))


def age_ms(count: Count, now: Now) -> int:
    """Return how long ago central was last heard of."""
    return count.mark.age_ms + max(0, now.mono_ms - count.mark.mono_ms)


def heard(count: Count, now: Now) -> Count:
    """Central was heard of just now."""
    return Count(_mark(count.mark.boot, now, 0))


def mark(count: Count, now: Now) -> Mark:
    """Return what to make durable."""
    made = _mark(count.mark.boot, now, age_ms(count, now))
    return made if made.wall_ms is not None else replace(made, known=count.before)


def _mark(boot: str, now: Now, age: int) -> Mark:
    return Mark(boot, now.mono_ms, age, None if now.q is ClockQuality.NONE else now.wall_ms)
