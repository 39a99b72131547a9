"""A device's journal as central sees it: events with numbers, digests and a chain, without a store."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from wire import chain
from wire.events import Body, DecisionBody, PassageBody, Receipt, Stamp, number, write_tail
from wire.limits import Limits
from wire.messages import Backlog, ClockReading, Hello, RunState
from wire.version import SPOKEN
from wire.vocabulary import (
    ClockQuality,
    CredentialKind,
    Direction,
    EventKind,
    Outcome,
    PassageOutcome,
    Reason,
)

BATCH = Limits().batch_events
BOOT = "0a0b0c0d-0000-4000-8000-000000000001"
START_MS = 1_780_000_000_000
"""Wall time at monotonic zero of the scripted boot."""


@dataclass
class JournalScript:
    """One run of one device. `texts[i]` is event i + 1 as stored, `heads[n]` is h(n)."""

    device: UUID
    run: str = "00000000000000aa"
    store: str = "5707e00000000001"
    ord: int = 1
    prev_n: int = 0
    prev_head: bytes = b""
    boot: str = BOOT
    texts: list[bytes] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.heads = [chain.genesis(str(self.device), self.store, self.run, self.ord, self.prev_n, self.prev_head)]

    @property
    def last(self) -> int:
        """The number of the last event."""
        return len(self.texts)

    def store_text(self, text: bytes) -> int:
        """Keep a text as the next event and return its number."""
        self.texts.append(text)
        self.heads.append(chain.link(self.heads[-1], chain.digest(text)))
        return self.last

    def record(self, kind: EventKind, body: Body, at_ms: int, *, q: ClockQuality = ClockQuality.SYNCED) -> int:
        """Record an event `at_ms` after START_MS and return its number."""
        wall_ms = START_MS + at_ms if q is ClockQuality.SYNCED else at_ms
        stamp = Stamp(self.boot, at_ms, wall_ms, q)
        return self.store_text(number(self.last + 1, write_tail(kind, stamp, body)))

    def grant(
        self,
        member: UUID,
        at_ms: int = 0,
        direction: Direction = Direction.IN,
        *,
        q: ClockQuality = ClockQuality.SYNCED,
    ) -> int:
        """Record that a member was let through."""
        return self.record(EventKind.DECISION, decision(member, direction), at_ms, q=q)

    def passage(
        self,
        of_n: int,
        at_ms: int,
        outcome: PassageOutcome = PassageOutcome.PASSED,
        *,
        of_run: str | None = None,
        q: ClockQuality = ClockQuality.SYNCED,
    ) -> int:
        """Record how a grant ended."""
        body = PassageBody(of_run=of_run or self.run, of_n=of_n, outcome=outcome)
        return self.record(EventKind.PASSAGE, body, at_ms, q=q)

    def visit(self, member: UUID, at_ms: int = 0, direction: Direction = Direction.IN) -> int:
        """Record a grant and, a second later, the passage; return the number of the grant."""
        n = self.grant(member, at_ms, direction)
        self.passage(n, at_ms + 1000)
        return n

    def raws(self, first: int = 1, last: int | None = None) -> list[bytes]:
        """Return events `first` to `last` as they stand in a frame."""
        return [chain.splice(text, chain.digest(text)) for text in self.texts[first - 1 : last]]

    def state(self, acked: int = 0, *, last: int | None = None) -> RunState:
        """Return the run as `hello` names it."""
        return RunState(
            run=self.run,
            ord=self.ord,
            last=self.last if last is None else last,
            acked=acked,
            head=self.heads[acked].hex(),
            prev_n=self.prev_n,
            prev_head=self.prev_head.hex(),
        )

    def next_run(self, run: str) -> "JournalScript":
        """Return the run after this one, of the same journal file."""
        return JournalScript(self.device, run, self.store, self.ord + 1, self.last, self.heads[-1], self.boot)


def decision(
    member: UUID | None, direction: Direction = Direction.IN, outcome: Outcome = Outcome.GRANT
) -> DecisionBody:
    """Return the body of a decision."""
    return DecisionBody(
        door="North door",
        reader="reader-1",
        direction=direction,
        kind=CredentialKind.HF_UID,
        credential="00112233445566778899aabbccddeeff",
        outcome=outcome,
        reason=Reason.MEMBER_VALID if outcome is Outcome.GRANT else Reason.UNKNOWN_CREDENTIAL,
        receipt=Receipt(dir_epoch="e1", dir_ver=1, rules=1, input="00" * 16),
        member=None if member is None else str(member),
    )


def hello(device: UUID, runs: Sequence[RunState], *, store: str = "5707e00000000001") -> Hello:
    """Return a `hello` that names these runs."""
    return Hello(
        device=str(device),
        store=store,
        boot=BOOT,
        agent="0.1.0",
        proto=SPOKEN,
        runs=list(runs),
        clock=ClockReading(mono_ms=0, wall_ms=START_MS, q=ClockQuality.SYNCED),
        backlog=Backlog(events=0, bytes=0, oldest_age_s=0),
    )
