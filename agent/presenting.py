"""From a scan to the facts of a decision: what the directory, the book and the journal say about what was shown.

A pass is verified here; its text goes no further than this module and `agent.reading`.
"""

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from agent.clock import Clock
from agent.core.types import Facts, Now, Read
from agent.reading import ReaderPlace, credentials_of, is_shown_pass, read_of
from agent.store.steps import DOUBTED
from hardware.base import Scan
from rules.book import Book
from rules.modes import mode_at
from rules.passes import Check, Moment, Register, check, row_of
from wire.credentials import credential_key
from wire.facts import DoorFacts, PassFacts, PresenceFacts
from wire.passes import STEP_MS, STEPS_AROUND, step_at
from wire.rows import DirectoryRow
from wire.transfer import DirectoryRef
from wire.vocabulary import ClockQuality, CredentialKind, Direction, DoorMode, WhenUnsure

log = logging.getLogger(__name__)


class MemberDirectory(Protocol):
    """Whom the device knows."""

    @property
    def ref(self) -> DirectoryRef | None:
        """Which directory this is; None before the first."""

    def find(self, key: str) -> DirectoryRow | None:
        """Return the row of a keyed credential index."""


class StepMemory(Protocol):
    """Which steps of passes were used at this door."""

    def last_step(self, name: str) -> int:
        """Return the highest step of a pass that counts as used, 0 where none does; `name` is `KIND:INDEX`."""


class PresenceMemory(Protocol):
    """Who is where, as far as this device knows."""

    def facts(self, row: DirectoryRow | None) -> PresenceFacts:
        """Return what a decision about this credential is to know."""

    def lapse(self) -> None:
        """Forget whoever was seen too long ago."""


class Keys(Protocol):
    """The keys of the credential index. Both are newest first and hold at least one; a rotation changes them."""

    @property
    def finding(self) -> tuple[bytes, ...]:
        """Those by which a card is looked up: the directory is under one of them."""

    @property
    def naming(self) -> tuple[bytes, ...]:
        """Those under which a used step of a pass may be remembered."""


@dataclass(frozen=True, slots=True)
class OneKey:
    """A key that nobody ever changed."""

    key: bytes

    @property
    def finding(self) -> tuple[bytes, ...]:
        """The key."""
        return (self.key,)

    @property
    def naming(self) -> tuple[bytes, ...]:
        """The key."""
        return (self.key,)


class _NobodyKnown:
    def facts(self, row: DirectoryRow | None) -> PresenceFacts:
        return PresenceFacts()

    def lapse(self) -> None:
        """Nobody is remembered."""


class Presenter:
    """Collects the facts for one door; `age_s` says how long ago central was last heard of.

    `is_revoked` says whether central has told the device that it may not work any more.

    `is_doubtful` says that the memory of used steps lost something at a moment that no clock has told. Rotating codes
    of the time before the clock is known, and passes good once that began before it, then count as used, as nobody
    knows better; in later runs the memory tells up to which step that is so.
    """

    def __init__(
        self,
        directory: MemberDirectory,
        steps: StepMemory,
        clock: Clock,
        keys: Keys,
        *,
        book: Callable[[], Book | None] = lambda: None,
        age_s: Callable[[], int] = lambda: 0,
        is_revoked: Callable[[], bool] = lambda: False,
        is_doubtful: bool = False,
        presence: PresenceMemory | None = None,
    ) -> None:
        self._directory = directory
        self._steps = steps
        self._clock = clock
        self._keys = keys
        self._book = book
        self._age_s = age_s
        self.is_revoked = is_revoked
        self._is_doubtful = is_doubtful
        self._presence = presence or _NobodyKnown()
        self._doubted_step = 0

    def facts(self, scan: Scan, place: ReaderPlace) -> Facts:
        """Return the facts about what a reader saw."""
        now, book = self._clock.now(), self._book()
        read, row, passed = self.seen(scan, place, now, book)
        return Facts(
            read=read,
            now=now,
            directory=self._directory.ref,
            row=row,
            book=book,
            door=DoorFacts("" if book is None else book.here, is_revoked=self.is_revoked()),
            presence=self._presence.facts(row),
            stale_s=self._age_s(),
            passed=passed,
        )

    def seen(
        self, scan: Scan, place: ReaderPlace, now: Now, book: Book | None
    ) -> tuple[Read, DirectoryRow | None, PassFacts | None]:
        """Return the read of a scan at a moment, its row where there is one, and what became of a pass."""
        if scan.form:
            return (*self._spelled(scan, place), None)
        if is_shown_pass(scan):
            checked = self._check(scan, place, now, book)
            read, known = self._found(lambda key: read_of(scan, place, key, checked))
            return read, known or row_of(checked.passed, read.credential.key), checked.passed
        return (*self._found(lambda key: read_of(scan, place, key)), None)

    def mode(self) -> tuple[DoorMode, DoorMode]:
        """Return the mode that the book gives this door now, and what `first_person` becomes; card without a book."""
        book = self._book()
        door = None if book is None else book.doors.get(book.here)
        if book is None or door is None:
            return DoorMode.CARD, DoorMode.CARD
        return mode_at(book, book.here, self._clock.now()), door.after_first_person

    def prepare(self) -> None:
        """Work out today's and tomorrow's hours, so that nobody has to wait for that, and forget who left long ago."""
        self._presence.lapse()
        book = self._book()
        if book is not None:
            book.calendar.prepare(self._clock.now().wall_ms)

    def _found(self, read_by: Callable[[bytes], Read]) -> tuple[Read, DirectoryRow | None]:
        """Look up by the newest key first: while a key is being changed the directory may be under either."""
        newest, *older = (read_by(key) for key in self._keys.finding)
        for read in (newest, *older):
            row = self._directory.find(read.credential.key)
            if row is not None:
                return read, row
        return newest, None

    def _spelled(self, scan: Scan, place: ReaderPlace) -> tuple[Read, DirectoryRow | None]:
        """Return what a reading is that may be several things; what two members share is nobody's."""
        possible = [one for key in self._keys.finding for one in credentials_of(scan, place.also, key)]
        rows = {one: row for one in possible if (row := self._directory.find(one.key)) is not None}
        known = next(iter(rows), possible[0])
        read = Read(scan.reader, place.direction, known, scan.at_mono_ms)
        if len({row.member for row in rows.values()}) > 1:
            log.warning("%s: a reading is the credential of two members; give its reader a whole form", scan.reader)
            return read, None
        return read, rows.get(known)

    def _check(self, scan: Scan, place: ReaderPlace, now: Now, book: Book | None) -> Check:
        if self._is_doubtful and now.q is not ClockQuality.NONE:
            self._is_doubtful, self._doubted_step = False, step_at(now.wall_ms) + STEPS_AROUND
        moment = Moment(
            wall_ms=now.wall_ms,
            is_known=now.q is not ClockQuality.NONE,
            zone=_zone(book),
            when_unsure=_when_unsure(book),
            is_exit=place.direction is Direction.OUT,
            doubted_ms=sys.maxsize if self._is_doubtful else self._doubted() * STEP_MS,
        )
        return check(scan.data, Register() if book is None else book.passes, moment, self._last_step)

    def _last_step(self, kind: CredentialKind, canonical: bytes) -> int:
        # Whatever key it stands under: a change of keys makes no used code good again.
        names = (f"{kind}:{credential_key(key, kind, canonical)}" for key in self._keys.naming)
        used = max(map(self._steps.last_step, names))
        return max(used, self._doubted()) if kind is CredentialKind.PASS_ROTATING else used

    def _doubted(self) -> int:
        """Return the step up to which nobody knows what was used, 0 where all of it is known."""
        return max(self._doubted_step, self._steps.last_step(DOUBTED))


def _zone(book: Book | None) -> str:
    here = None if book is None else book.doors.get(book.here)
    return "" if here is None else here.zone


def _when_unsure(book: Book | None) -> WhenUnsure:
    policy = None if book is None else book.classes.get(CredentialKind.PASS_SIGNED.value)
    return WhenUnsure.DENY if policy is None else policy.clock_unknown
