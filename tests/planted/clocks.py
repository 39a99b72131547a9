"""Bugs of what is believed of clocks: what has passed, what has ended, and what central signed when."""

from typing import Final

from agent.clock import Clock, KernelTime
from agent.core import modes
from agent.core.floor import HELD_MS, Floor
from agent.sync import exchange as ex
from agent.sync import staging
from tests.core.builders import WALL_MS, now
from tests.fakes.issuing import ISSUED_MS, delta_of
from tests.fakes.model_central import SERVER_MS
from tests.planted.door import patched
from tests.planted.registry import PlantedBug
from tests.sync.talk import Talk, of
from wire.transfer import DirectoryRef
from wire.vocabulary import ClockQuality, ModeCause

_HOUR_MS: Final = 3_600_000


class _Kernel:
    """A synchronised clock that somebody sets."""

    def __init__(self) -> None:
        self.mono_ms, self.off_ms = 0, 0

    def read(self) -> KernelTime:
        return KernelTime(self.mono_ms, WALL_MS + self.mono_ms + self.off_ms, is_synced=True, err_ms=10)


def _ended_begins_again() -> str | None:
    kernel = _Kernel()
    clock = Clock(kernel, boot="b")
    clock.now()
    kernel.mono_ms = HELD_MS
    before = clock.now()
    kernel.off_ms = -60_000
    after = clock.now()
    is_earlier = after.q is not ClockQuality.NONE and after.wall_ms < before.wall_ms - 5_000
    return f"{before.wall_ms - after.wall_ms} ms of what has passed are still to come" if is_earlier else None


def _ended_by_one_reading() -> str | None:
    set_ = modes.lockdown(1, ModeCause.COMMAND, "Ann", 8 * _HOUR_MS, now(1_000))
    back = modes.restored(set_.promise, now(5))
    assert isinstance(back, modes.Lockdown)
    wrong = now(5_000, wall_ms=WALL_MS + 9 * _HOUR_MS)
    ended = modes.over(modes.Standing(lockdown=back), wrong)
    return "a clock that was nine hours ahead for a moment ended a lockdown" if ended is not None else None


def _kept_out_by_a_clock_that_was_ahead() -> str | None:
    ahead_ms = SERVER_MS + 30 * 24 * _HOUR_MS
    held = DirectoryRef("epoch", 3, "aa")
    talk = Talk(0).open(held, issued_ms=ahead_ms).welcome(dir=held).forget()
    taken = of(talk.receive(delta_of((), (), first=3, to=3, issued_ms=ISSUED_MS)), ex.ApplyDelta)
    return None if taken else "what central signs now is refused because its clock was a month ahead once"


PLANTED: Final = (
    PlantedBug(
        "passed-time-forgotten", "only central's signature says what time has passed",
        "what has ended stays ended", "tests.planted.clocks",
        patched(Floor, "lived", lambda floor, _: floor), _ended_begins_again,
    ),
    PlantedBug(
        "lockdown-ended-by-one-reading", "one synchronised reading ends what a restart kept",
        "a lockdown stands until its end", "tests.planted.clocks", patched(modes, "HELD_MS", 0), _ended_by_one_reading,
    ),
    PlantedBug(
        "directory-ahead-believed", "an issue time that central's clock cannot show yet keeps every other out",
        "a revocation reaches every door that has a link", "tests.planted.clocks",
        patched(staging, "_dated", lambda issued_ms, _: issued_ms), _kept_out_by_a_clock_that_was_ahead,
    ),
)  # fmt: skip
"""The layer of the clocks."""
