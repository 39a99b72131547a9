"""One run on one connection, and what the link bore so far. Pure."""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from wire.messages import Tomb
from wire.window import SendWindow

MAX_SHRINK = 8
"""Halvings after which even 200 events become one."""
MAX_SLOW_SHRINK = 4
"""Halvings for a link that is merely slow."""
CALM_MOVES = 64
"""Acknowledgements after which halved batches double again."""


class Batch(Struct, frozen=True):
    """Events `first` to `upto` went out at `sent_ms` and wait for their acknowledgement."""

    first: int
    upto: int
    sent_ms: int


class Lane(Struct, frozen=True):
    """One run on this connection."""

    run: str
    ord: int
    window: SendWindow
    head: str = ""
    batches: tuple[Batch, ...] = ()
    tombs: tuple[Tomb, ...] = ()
    is_stopped: bool = False
    is_rewinding: bool = False
    nacks: int = 0
    nacked: int = 0

    @property
    def has_unsent(self) -> bool:
        """True while there is something to send."""
        return self.window.unsent > 0 and not self.is_stopped and not self.is_rewinding

    @property
    def is_settled(self) -> bool:
        """True where nothing more will happen on this connection."""
        return self.is_stopped or (self.window.is_drained and not self.is_rewinding)

    def stopped(self) -> "Lane":
        """The run rests until the next connection."""
        return replace(self, is_stopped=True, batches=())

    def sent(self, uptos: Sequence[int], now_ms: int) -> "Lane":
        """Batches that end at `uptos` go out now."""
        batches, first = list(self.batches), self.window.sent + 1
        for upto in uptos:
            batches.append(Batch(first, upto, now_ms))
            first = upto + 1
        return replace(self, window=self.window.advanced(uptos[-1]), batches=tuple(batches))

    def acked(self, upto: int) -> "Lane":
        """The store agrees that central holds everything up to `upto`."""
        window = self.window.acknowledged(min(upto, self.window.last))
        tombs = tuple(tomb for tomb in self.tombs if tomb.to > window.acked)
        return replace(self, window=window, tombs=tombs, nacks=0, nacked=0)

    def tomb_at(self, n: int) -> Tomb | None:
        """The declared loss that event `n` lies in, cut to begin there."""
        for tomb in self.tombs:
            if tomb.first <= n <= tomb.to:
                return Tomb(run=tomb.run, first=n, to=tomb.to, why=tomb.why, count=tomb.to - n + 1, head=tomb.head)
        return None

    def events_before_tomb(self, n: int) -> int:
        """How many events from `n` on come before the next declared loss."""
        return min((tomb.first - n for tomb in self.tombs if tomb.first > n), default=self.window.last - n + 1)


class Throttle(Struct, frozen=True):
    """What central, or the way to it, did not bear; outlives a connection."""

    shrink: int = 0
    """How often the batch limits are halved."""
    moves: int = 0
    """Acknowledgements since it was last halved or doubled."""
    refused: frozenset[tuple[str, int]] = frozenset()
    """Events that were refused as too large although each was alone in its batch."""

    def tightened(self) -> "Throttle":
        """Halve the batches."""
        return replace(self, shrink=min(self.shrink + 1, MAX_SHRINK), moves=0)

    def eased(self) -> "Throttle":
        """Halve the batches because they take too long, but not down to single events."""
        return self.tightened() if self.shrink < MAX_SLOW_SHRINK else self

    def relaxed(self) -> "Throttle":
        """Count an acknowledgement; a long calm doubles the batches."""
        if self.shrink == 0:
            return self
        if self.moves + 1 < CALM_MOVES:
            return replace(self, moves=self.moves + 1)
        return replace(self, shrink=self.shrink - 1, moves=0)
