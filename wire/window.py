"""Sliding windows over a numbered run: what may be sent, what was acknowledged, what comes next.

Side-neutral and immutable: every method returns a new window. Numbers start at 1 and have no gaps, so one
high-water mark says everything (like TCP's cumulative acknowledgement, RFC 9293 section 3.4).
"""

from dataclasses import dataclass, replace


class AckAheadError(ValueError):
    """An acknowledgement reaches beyond what the sender holds."""

    def __init__(self, upto: int, last: int) -> None:
        super().__init__(f"acknowledged up to {upto}, but only {last} exist")
        self.upto = upto
        self.last = last


@dataclass(frozen=True, slots=True)
class SendWindow:
    """The sender's side of one run; always 0 <= acked <= sent <= last."""

    acked: int = 0
    sent: int = 0
    last: int = 0

    def __post_init__(self) -> None:
        assert 0 <= self.acked <= self.sent <= self.last, self

    @property
    def in_flight(self) -> int:
        """Events sent and not yet acknowledged."""
        return self.sent - self.acked

    @property
    def unsent(self) -> int:
        """Events that exist and were not sent on this connection."""
        return self.last - self.sent

    @property
    def is_drained(self) -> bool:
        """True once everything that exists is acknowledged."""
        return self.acked == self.last

    def grown(self, last: int) -> "SendWindow":
        """Events up to `last` exist now; an older figure changes nothing."""
        return replace(self, last=max(self.last, last))

    def advanced(self, upto: int) -> "SendWindow":
        """Events up to `upto` went out."""
        return replace(self, sent=max(self.sent, upto))

    def acknowledged(self, upto: int) -> "SendWindow":
        """The receiver holds everything up to `upto`; raise AckAheadError beyond `last`."""
        if upto > self.last:
            raise AckAheadError(upto, self.last)
        acked = max(self.acked, upto)
        return replace(self, acked=acked, sent=max(self.sent, acked))

    def rewound(self) -> "SendWindow":
        """Nothing is in flight any more: send again from the first unacknowledged event."""
        return replace(self, sent=self.acked)


@dataclass(frozen=True, slots=True)
class Gap:
    """The receiver misses events: it expects number `expect` next."""

    expect: int


@dataclass(frozen=True, slots=True)
class Fresh:
    """A batch that continues the run once its first `skip` events, already held, are left out."""

    skip: int


@dataclass(frozen=True, slots=True)
class ReceiveWindow:
    """The receiver's side of one run: it holds 1 to `upto` without a gap."""

    upto: int = 0

    @property
    def expect(self) -> int:
        """The number of the next event."""
        return self.upto + 1

    def place(self, first: int, count: int) -> Fresh | Gap:
        """Say where a batch of `count` events from number `first` belongs."""
        if first > self.expect:
            return Gap(self.expect)
        return Fresh(skip=min(count, self.expect - first))

    def received(self, upto: int) -> "ReceiveWindow":
        """Everything up to `upto` is held now."""
        return ReceiveWindow(max(self.upto, upto))
