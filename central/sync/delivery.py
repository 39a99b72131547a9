"""Bringing a device its directory: which it has, whether it wants another, and what is under way. Pure.

What changed goes out as one delta at a time; the device answers with the version that it has then. A snapshot goes out
in chunks, CREDIT of them ahead of what the device has staged. At most one of either is under way, no more than half of
the time is spent on snapshots, however often the directory changes or the device asks, and what a device refused comes
again ever more rarely. While nothing changes, a device is told now and then that its directory is still the newest.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from central.sync.exchange import DirectoryLoaded, Effect, Effects, LoadDirectory, Report, Send, Whole
from wire.directory import DELTA_BYTES, DELTA_ROWS, DELTAS
from wire.messages import Hello
from wire.transfer import BookEntry, DirBegin, DirChunk, DirDelta, DirectoryRef, DirEnd, DirGot, DirState

CREDIT: Final = 4
CHUNK_ROWS: Final = DELTA_ROWS
CHUNK_BYTES: Final = DELTA_BYTES
STALL_MS: Final = 60_000
"""What the device does not take on for so long is given up, and its rows with it."""
PAUSE_MS: Final = 1_000
"""Least time between the starts of two snapshots."""
DELTA_PAUSE_MS: Final = 100
"""Least time between two deltas: a site that is busy changing gathers its changes."""
CONFIRM_MS: Final = 600_000
"""How often a device is told that what it has is the newest."""
REFUSED_MS: Final = (10_000, 600_000)
"""After a refusal the next attempt waits so long, twice as long each time, up to the second value."""
_ITEM_BYTES: Final = 32


def cuts_of(sizes: Iterable[int], chunk_rows: int = CHUNK_ROWS) -> tuple[int, ...]:
    """Return where the chunks of a snapshot end, from the sizes of its parts: within `chunk_rows` and CHUNK_BYTES."""
    cuts: list[int] = []
    count = total = begin = 0
    for count, size in enumerate(sizes, start=1):
        if count - 1 > begin and (total + size > CHUNK_BYTES or count - begin > chunk_rows):
            begin, total = count - 1, 0
            cuts.append(begin)
        total += size
    return (*cuts, count) if count else ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot under way: `next_i` goes out next, the device staged everything before `staged`.

    The first chunks hold the book, whose parts end at `book_cuts`; the rest hold the rows, which end at `cuts`.
    """

    snap: str
    whole: Whole
    book_cuts: tuple[int, ...]
    cuts: tuple[int, ...]
    moved_ms: int
    next_i: int = 0
    staged: int = 0

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return len(self.book_cuts) + len(self.cuts)

    @property
    def begin(self) -> DirBegin:
        """Return the message that announces it."""
        issue = self.whole.issue
        return DirBegin(
            snap=self.snap,
            epoch=issue.epoch,
            ver=issue.ver,
            rows=len(self.whole.rows),
            items=len(self.whole.book),
            chunks=self.chunks,
            digest=issue.digest,
            issued_ms=issue.issued_ms,
            feat=list(issue.feat),
            sig=self.whole.sig,
        )

    def chunk(self, i: int) -> DirChunk:
        """Return chunk `i`."""
        place = i - len(self.book_cuts)
        if place < 0:
            return DirChunk(snap=self.snap, i=i, book=list(self.whole.book[slice(*_bounds(self.book_cuts, i))]))
        texts = self.whole.rows[slice(*_bounds(self.cuts, place))]
        return DirChunk(snap=self.snap, i=i, rows=list(map(msgspec.Raw, texts)))


def _bounds(cuts: tuple[int, ...], i: int) -> tuple[int, int]:
    return (cuts[i - 1] if i else 0), cuts[i]


def _size(entry: BookEntry) -> int:
    return len(entry.key) + len(bytes(entry.item)) + _ITEM_BYTES


@dataclass(frozen=True, slots=True)
class Delivery:
    """The directory of one device; `held` is what it decides from, as far as we know."""

    held: DirectoryRef | None = None
    takes_deltas: bool = False
    chunk_rows: int = CHUNK_ROWS
    snapshot: Snapshot | None = None
    delta: DirDelta | None = None
    is_loading: bool = False
    is_wanted: bool = False
    is_forced: bool = False
    earliest_ms: int = 0
    whole_after_ms: int = 0
    started_ms: int = 0
    confirmed_ms: int = 0
    refusals: int = 0
    count: int = 0

    @classmethod
    def opened(cls, hello: Hello, newest: DirectoryRef, now_ms: int, chunk_rows: int) -> tuple["Delivery", Effects]:
        """A session begins. Where the device has the newest, that this is so is news as well: signed, with its time."""
        delivery = cls(held=hello.dir, takes_deltas=DELTAS in hello.feat, chunk_rows=chunk_rows)
        return delivery.wanted(now_ms) if delivery.takes_deltas or hello.dir != newest else (delivery, ())

    @property
    def is_busy(self) -> bool:
        """Whether something is being fetched or is under way."""
        return self.is_loading or self.snapshot is not None or self.delta is not None

    @property
    def wake_ms(self) -> int | None:
        """When something is due without any input."""
        if self.snapshot is not None:
            return self.snapshot.moved_ms + STALL_MS
        if self.delta is not None:
            return self.started_ms + STALL_MS
        return self.earliest_ms if self.is_wanted and not self.is_loading else None

    def wanted(self, now_ms: int, *, is_forced: bool = False) -> tuple["Delivery", Effects]:
        """The device should get the newest directory, or have it confirmed; `is_forced` even if it has it."""
        return replace(self, is_wanted=True, is_forced=self.is_forced or is_forced).ticked(now_ms)

    def ticked(self, now_ms: int) -> tuple["Delivery", Effects]:
        """Give up what stalls; begin what is due."""
        effects: list[Effect] = []
        delivery = self
        if self.snapshot is not None and now_ms >= self.snapshot.moved_ms + STALL_MS:
            delivery = replace(self, snapshot=None, earliest_ms=now_ms + STALL_MS)
            effects.append(Report("snapshot_stalled", f"{self.snapshot.snap} after chunk {self.snapshot.staged}"))
        if self.delta is not None and now_ms >= self.started_ms + STALL_MS:
            delivery = replace(self, delta=None, is_wanted=True, earliest_ms=now_ms + STALL_MS)
            effects.append(Report("delta_stalled", f"version {self.delta.to}"))
        if delivery.is_wanted and not delivery.is_busy and now_ms >= delivery.earliest_ms:
            effects.append(LoadDirectory(None if delivery.is_forced else delivery.held, delivery.takes_deltas))
            delivery = replace(delivery, is_loading=True, is_wanted=False, is_forced=False)
        return delivery, tuple(effects)

    def loaded(self, loaded: DirectoryLoaded) -> tuple["Delivery", Effects]:
        """What the device needs is here: send it."""
        now_ms = loaded.now.mono_ms
        delivery = replace(self, is_loading=False, started_ms=now_ms)
        match loaded.offer.what:
            case None:
                return replace(delivery, confirmed_ms=now_ms).ticked(now_ms)
            case DirDelta() as delta:
                earliest_ms = max(self.earliest_ms, now_ms + DELTA_PAUSE_MS)
                is_wanted = self.is_wanted or not loaded.offer.is_last
                return replace(delivery, delta=delta, earliest_ms=earliest_ms, is_wanted=is_wanted), (Send(delta),)
            case Whole() if now_ms < self.whole_after_ms:
                return replace(delivery, is_wanted=True, earliest_ms=self.whole_after_ms), ()
            case Whole() as whole:
                return delivery.snapshot_begun(whole, now_ms)

    def snapshot_begun(self, whole: Whole, now_ms: int) -> tuple["Delivery", Effects]:
        """A whole directory goes out in chunks."""
        count = self.count + 1
        cuts = cuts_of((len(text) + 1 for text in whole.rows), self.chunk_rows)
        snapshot = Snapshot(f"{whole.issue.ver}-{count}", whole, cuts_of(map(_size, whole.book)), cuts, now_ms)
        delivery = replace(self, snapshot=snapshot, earliest_ms=now_ms + PAUSE_MS, count=count)
        delivery, effects = delivery.credited()
        return delivery, (Send(snapshot.begin), *effects)

    def got(self, credit: DirGot, now_ms: int) -> tuple["Delivery", Effects]:
        """The device staged a chunk; credit for an older snapshot, or out of order, counts for nothing."""
        snapshot = self.snapshot
        if snapshot is None or credit.snap != snapshot.snap or not snapshot.staged <= credit.i < snapshot.next_i:
            return self, ()
        return replace(self, snapshot=replace(snapshot, staged=credit.i + 1, moved_ms=now_ms)).credited()

    def settled(self, state: DirState, now_ms: int) -> tuple["Delivery", Effects]:
        """The device decides from this directory now, or still, having refused what it was sent."""
        held = DirectoryRef(state.epoch, state.ver, state.digest) if state.epoch else None
        delivery = replace(self, held=held)
        if state.refused is not None:
            return delivery.refused(now_ms)
        if self.snapshot is not None and held == self.snapshot.whole.issue.ref:
            after_ms = max(self.earliest_ms, 2 * now_ms - self.started_ms)
            # A change costs little, so it does not wait as the next whole directory does.
            earliest_ms = now_ms + DELTA_PAUSE_MS if self.takes_deltas else after_ms
            delivery = replace(delivery, snapshot=None, earliest_ms=earliest_ms, whole_after_ms=after_ms, refusals=0)
            return delivery.went_on(now_ms)
        if self.delta is not None:
            return replace(delivery, delta=None, refusals=0).went_on(now_ms)
        return delivery.wanted(now_ms) if self.held != held else delivery.ticked(now_ms)

    def went_on(self, now_ms: int) -> tuple["Delivery", Effects]:
        """One step is done; what is still missing is asked for, what is not is confirmed by having been sent."""
        return replace(self, confirmed_ms=now_ms).ticked(now_ms)

    def refused(self, now_ms: int) -> tuple["Delivery", Effects]:
        """The device did not take what it was sent: again later, and later each time."""
        least_ms, most_ms = REFUSED_MS
        pause_ms = min(most_ms, least_ms << min(self.refusals, 16))
        delivery = replace(
            self, snapshot=None, delta=None, refusals=self.refusals + 1, earliest_ms=now_ms + pause_ms, is_wanted=True
        )
        return delivery, ()

    def given_up(self, now_ms: int) -> tuple["Delivery", Effects]:
        """The device asks for a whole snapshot; it has dropped the one under way."""
        earliest_ms = max(self.earliest_ms, 2 * now_ms - self.started_ms) if self.snapshot else self.earliest_ms
        return replace(self, snapshot=None, delta=None, earliest_ms=earliest_ms).wanted(now_ms, is_forced=True)

    def compared(self, newest: DirectoryRef, shown_ver: int, now_ms: int) -> tuple["Delivery", Effects]:
        """A heartbeat shows which version the device has; bring the newest where that is another."""
        if self.is_busy:
            return self, ()
        is_lost = self.held is not None and shown_ver != self.held.ver
        if self.held == newest and not is_lost:
            is_due = self.takes_deltas and now_ms >= self.confirmed_ms + CONFIRM_MS
            return self.wanted(now_ms) if is_due else (self, ())
        return self.wanted(now_ms, is_forced=is_lost)

    def credited(self) -> tuple["Delivery", Effects]:
        """Send what the device has credit for, and the end behind the last chunk."""
        snapshot = self.snapshot
        assert snapshot is not None
        total = snapshot.chunks
        upto = min(total, snapshot.staged + CREDIT)
        effects: list[Effect] = [Send(snapshot.chunk(i)) for i in range(snapshot.next_i, upto)]
        if upto == total and (snapshot.next_i < total or total == 0):
            effects.append(Send(DirEnd(snap=snapshot.snap)))
        return replace(self, snapshot=replace(snapshot, next_i=upto)), tuple(effects)
