"""What the core talks about: a read, the facts around it, a decision and its receipt."""

from typing import Final

from msgspec import Struct

from wire.events import Receipt
from wire.messages import DirectoryRef, DirectoryRow
from wire.vocabulary import ClockQuality, CredentialKind, Direction, Outcome, Reason


class Credential(Struct, frozen=True):
    """A credential as a device may know it: its family and its keyed index (32 hex digits), never the raw value."""

    kind: CredentialKind
    key: str


class Read(Struct, frozen=True):
    """One whole presentation at one reader, `at_mono_ms` since boot."""

    reader: str
    direction: Direction
    credential: Credential
    at_mono_ms: int


class Now(Struct, frozen=True):
    """Both clocks at one moment, and how far the wall clock can be trusted."""

    mono_ms: int
    wall_ms: int
    q: ClockQuality


class Facts(Struct, frozen=True):
    """Everything that one decision may depend on; `row` is what the directory holds for the credential."""

    read: Read
    now: Now
    directory: DirectoryRef | None
    row: DirectoryRow | None


class Decision(Struct, frozen=True):
    """Grant or deny, one stable reason, and the receipt from which it can be made again."""

    outcome: Outcome
    reason: Reason
    receipt: Receipt
    member: str | None = None

    @property
    def is_grant(self) -> bool:
        """True for a grant."""
        return self.outcome is Outcome.GRANT


class EventId(Struct, frozen=True):
    """An event's place in the journal: number `n` of run `run`."""

    run: str
    n: int


UNRECORDED: Final = EventId("", 0)
"""Stands where an event is not durable yet."""


class OpenPromise(Struct, frozen=True):
    """Something begun in an earlier run whose end was never recorded; `key` names it."""

    key: str
    event: EventId
