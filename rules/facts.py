"""What a decision is made of: a read, the facts around it, and the answer."""

from msgspec import Struct

from rules.book import Book
from wire.events import Receipt
from wire.facts import DoorFacts, PassFacts, PresenceFacts
from wire.rows import DirectoryRow
from wire.transfer import DirectoryRef
from wire.vocabulary import ClockQuality, CredentialKind, Direction, HolderKind, Notice, Outcome, Reason


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
    """Both clocks at one moment, and how far the wall clock can be trusted; `err_ms` is None where nobody can say.

    `steady_ms` is for how long the wall clock has kept pace with the monotonic one; no decision depends on it.
    """

    mono_ms: int
    wall_ms: int
    q: ClockQuality
    err_ms: int | None = None
    steady_ms: int = 0


class Facts(Struct, frozen=True):
    """Everything that one decision may depend on; `row` is what the directory holds for the credential.

    `book` is the site's book, None where the directory has none: then only the rules about the credential itself are
    asked, and whatever names an item of a book denies. A `door` without a name where the book has doors denies as well:
    its rules would go unasked. `stale_s` is how long ago central was last heard of, counted
    without the wall clock.
    """

    read: Read
    now: Now
    directory: DirectoryRef | None
    row: DirectoryRow | None
    book: Book | None = None
    door: DoorFacts = DoorFacts()
    presence: PresenceFacts = PresenceFacts()
    stale_s: int = 0
    passed: PassFacts | None = None
    """What looking at a pass found; None for every other credential."""


class Decision(Struct, frozen=True):
    """Grant or deny, one stable reason, and the receipt from which it can be made again.

    `notices` are for staff, `holder` says whose passage this is: only some make visits (`wire.vocabulary.VISITORS`).
    """

    outcome: Outcome
    reason: Reason
    receipt: Receipt
    member: str | None = None
    holder: HolderKind = HolderKind.MEMBER
    notices: tuple[Notice, ...] = ()

    @property
    def is_grant(self) -> bool:
        """True for a grant."""
        return self.outcome is Outcome.GRANT
