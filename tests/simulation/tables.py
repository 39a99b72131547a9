"""The tables of the modelled ledger, as values that a backup can copy."""

from dataclasses import dataclass, field, replace
from typing import Final

from central.checkins.admission import Admitted as Taken
from central.checkins.clock import Anchor
from central.checkins.gaps import Gap
from central.checkins.movements import _Known
from central.checkins.visits import EventKey
from wire.events import Event

OPEN: Final = ("pending", "sent", "queued")


@dataclass(slots=True)
class Held:
    """One run; `digests[n - 1]` is event n's, None where it was declared lost."""

    device: str
    run: str
    store: str
    ord: int
    prev_n: int
    head: bytes
    digests: list[bytes | None] = field(default_factory=list)
    rejected: set[int] = field(default_factory=set)

    @property
    def upto(self) -> int:
        """The last number held."""
        return len(self.digests)

    def copy(self) -> "Held":
        """Return the same, apart from this."""
        return replace(self, digests=list(self.digests), rejected=set(self.rejected))


@dataclass(slots=True)
class Order:
    """A command; states as in central's table."""

    id: str
    device: str
    created_ms: int
    ttl_ms: int
    state: str = "pending"
    name: str = "unlock"
    args: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Tables:
    """Everything that a backup holds."""

    runs: dict[tuple[str, str], Held] = field(default_factory=dict)
    events: dict[EventKey, tuple[Event, Taken]] = field(default_factory=dict)
    known: dict[EventKey, _Known] = field(default_factory=dict)
    anchors: dict[tuple[str, str], set[Anchor]] = field(default_factory=dict)
    sessions: dict[str, int] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    alerts: list[tuple[str, str]] = field(default_factory=list)
    gaps: set[tuple[str, Gap]] = field(default_factory=set)
    revoked: set[str] = field(default_factory=set)

    def copy(self) -> "Tables":
        """Return a backup."""
        return Tables(
            {key: held.copy() for key, held in self.runs.items()},
            dict(self.events),
            dict(self.known),
            {key: set(anchors) for key, anchors in self.anchors.items()},
            dict(self.sessions),
            {key: replace(order) for key, order in self.orders.items()},
            list(self.alerts),
            set(self.gaps),
            set(self.revoked),
        )
