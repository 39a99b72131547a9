"""Bringing a device its directory: which it has, whether it wants another, and the snapshot under way. Pure.

A snapshot goes out in chunks, CREDIT of them ahead of what the device has staged. At most one is under way, and no more
than half of the time is spent on them, however often the directory changes or the device asks.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from central.sync.exchange import DirectoryLoaded, Effect, Effects, LoadDirectory, Report, Send
from wire.directory import row_text
from wire.messages import DirBegin, DirChunk, DirectoryRef, DirectoryRow, DirEnd, DirGot, DirState

CREDIT: Final = 4
CHUNK_ROWS: Final = 500
CHUNK_BYTES: Final = 96 * 1024
STALL_MS: Final = 60_000
"""A snapshot that the device does not take on for so long is given up, and its rows with it."""
PAUSE_MS: Final = 1_000
"""Least time between the starts of two snapshots."""


def cuts_of(rows: Iterable[DirectoryRow]) -> tuple[int, ...]:
    """Return where the chunks of a snapshot end: within CHUNK_ROWS and CHUNK_BYTES each."""
    cuts: list[int] = []
    count = size = begin = 0
    for count, row in enumerate(rows, start=1):
        row_bytes = len(row_text(row)) + 1
        if count - 1 > begin and (size + row_bytes > CHUNK_BYTES or count - begin > CHUNK_ROWS):
            begin, size = count - 1, 0
            cuts.append(begin)
        size += row_bytes
    return (*cuts, count) if count else ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot under way: `next_i` goes out next, the device staged everything before `staged`."""

    snap: str
    ref: DirectoryRef
    rows: Sequence[DirectoryRow]
    cuts: tuple[int, ...]
    moved_ms: int
    next_i: int = 0
    staged: int = 0

    def chunk(self, i: int) -> DirChunk:
        """Return chunk `i`."""
        begin = self.cuts[i - 1] if i else 0
        return DirChunk(snap=self.snap, i=i, rows=list(self.rows[begin : self.cuts[i]]))


@dataclass(frozen=True, slots=True)
class Delivery:
    """The directory of one device; `held` is what it decides from, as far as we know."""

    held: DirectoryRef | None = None
    snapshot: Snapshot | None = None
    is_loading: bool = False
    is_wanted: bool = False
    is_forced: bool = False
    earliest_ms: int = 0
    started_ms: int = 0
    count: int = 0

    @property
    def wake_ms(self) -> int | None:
        """When something is due without any input."""
        if self.snapshot is not None:
            return self.snapshot.moved_ms + STALL_MS
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
        due = delivery.is_wanted and not delivery.is_loading and delivery.snapshot is None
        if due and now_ms >= delivery.earliest_ms:
            effects.append(LoadDirectory(None if delivery.is_forced else delivery.held))
            delivery = replace(delivery, is_loading=True, is_wanted=False, is_forced=False)
        return delivery, tuple(effects)

    def loaded(self, loaded: DirectoryLoaded) -> tuple["Delivery", Effects]:
        """The newest directory is here: send it, unless the device has it."""
        now_ms = loaded.now.mono_ms
        if loaded.rows is None:
            return replace(self, is_loading=False).ticked(now_ms)
        count = self.count + 1
        snapshot = Snapshot(f"{loaded.ref.ver}-{count}", loaded.ref, loaded.rows, loaded.cuts, now_ms)
        begin = DirBegin(
            snap=snapshot.snap,
            epoch=loaded.ref.epoch,
            ver=loaded.ref.ver,
            rows=len(loaded.rows),
            chunks=len(loaded.cuts),
            digest=loaded.ref.digest,
        )
        delivery = replace(
            self,
            is_loading=False,
            snapshot=snapshot,
            started_ms=now_ms,
            earliest_ms=now_ms + PAUSE_MS,
            count=count,
        )
        delivery, effects = delivery.credited()
        return delivery, (Send(begin), *effects)

    def got(self, credit: DirGot, now_ms: int) -> tuple["Delivery", Effects]:
        """The device staged a chunk; credit for an older snapshot, or out of order, counts for nothing."""
        snapshot = self.snapshot
        if snapshot is None or credit.snap != snapshot.snap or not snapshot.staged <= credit.i < snapshot.next_i:
            return self, ()
        return replace(self, snapshot=replace(snapshot, staged=credit.i + 1, moved_ms=now_ms)).credited()

    def settled(self, state: DirState, now_ms: int) -> tuple["Delivery", Effects]:
        """The device decides from this directory now."""
        held = DirectoryRef(state.epoch, state.ver, state.digest)
        delivery = replace(self, held=held)
        if self.snapshot is not None and held == self.snapshot.ref:
            earliest_ms = max(self.earliest_ms, 2 * now_ms - self.started_ms)
            delivery = replace(delivery, snapshot=None, earliest_ms=earliest_ms)
        return delivery.ticked(now_ms)

    def given_up(self, now_ms: int) -> tuple["Delivery", Effects]:
        """The device asks for a whole snapshot; it has dropped the one under way."""
        earliest_ms = max(self.earliest_ms, 2 * now_ms - self.started_ms) if self.snapshot else self.earliest_ms
        return replace(self, snapshot=None, earliest_ms=earliest_ms).wanted(now_ms, is_forced=True)

    def compared(self, newest: DirectoryRef, shown_ver: int, now_ms: int) -> tuple["Delivery", Effects]:
        """A heartbeat shows which version the device has; bring the newest where that is another."""
        is_current = self.held is not None and self.held == newest and shown_ver == newest.ver
        if is_current or self.snapshot is not None or self.is_loading:
            return self, ()
        return self.wanted(now_ms, is_forced=self.held == newest)

    def credited(self) -> tuple["Delivery", Effects]:
        """Send what the device has credit for, and the end behind the last chunk."""
        snapshot = self.snapshot
        assert snapshot is not None
        total = len(snapshot.cuts)
        upto = min(total, snapshot.staged + CREDIT)
        effects: list[Effect] = [Send(snapshot.chunk(i)) for i in range(snapshot.next_i, upto)]
        if upto == total and (snapshot.next_i < total or total == 0):
            effects.append(Send(DirEnd(snap=snapshot.snap)))
        return replace(self, snapshot=replace(snapshot, next_i=upto)), tuple(effects)
