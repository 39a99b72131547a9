"""Receiving a snapshot of the directory, chunk by chunk. Pure; the store stages, checks and swaps.

At most one snapshot is under way. Versions do not go back within an epoch. Anything out of order costs the snapshot,
never the directory that stands.
"""

from msgspec import Struct
from msgspec.structs import replace

from agent.sync.exchange import Effects, Report, Send, StageBegin, StageChunk, StageEnd, Trouble
from wire.messages import DirBegin, DirChunk, DirectoryRef, DirEnd, DirGot, DirResync, DirState

RESYNC_EVERY_MS = 30_000
"""At most one request for a snapshot in this time."""
STALL_MS = 60_000
"""A snapshot without progress for so long is given up."""


class Snapshot(Struct, frozen=True):
    """A snapshot under way: `next_i` is the chunk that comes next."""

    begin: DirBegin
    next_i: int
    moved_ms: int
    is_ending: bool = False


class Staging(Struct, frozen=True):
    """The directory on this device, and the snapshot that may replace it."""

    current: DirectoryRef | None = None
    snapshot: Snapshot | None = None
    resync_after_ms: int = 0

    def begun(self, begin: DirBegin, now_ms: int) -> tuple["Staging", Effects]:
        """A snapshot starts; it replaces one under way."""
        current = self.current
        if current is not None and begin.epoch == current.epoch and begin.ver < current.ver:
            detail = f"central offers version {begin.ver} of epoch {begin.epoch}, this device has {current.ver}"
            return self, (Report(Trouble.DIRECTORY_REFUSED, detail),)
        if begin.chunks < 0 or begin.rows < 0:
            return self, (Report(Trouble.DIRECTORY_REFUSED, f"a snapshot of {begin.chunks} chunks"),)
        return replace(self, snapshot=Snapshot(begin, 0, now_ms)), (StageBegin(begin),)

    def chunk(self, chunk: DirChunk, now_ms: int) -> tuple["Staging", Effects]:
        """Part of the snapshot came."""
        under_way = self.snapshot
        if under_way is None or under_way.begin.snap != chunk.snap:
            return self, ()
        if chunk.i != under_way.next_i or chunk.i >= under_way.begin.chunks or under_way.is_ending:
            return self.failed(f"chunk {chunk.i} came where {under_way.next_i} was due", now_ms)
        return replace(self, snapshot=replace(under_way, next_i=chunk.i + 1, moved_ms=now_ms)), (StageChunk(chunk),)

    def chunk_staged(self, snap: str, i: int) -> Effects:
        """The store holds a chunk: credit for the next."""
        return () if self.snapshot is None or self.snapshot.begin.snap != snap else (Send(DirGot(snap=snap, i=i)),)

    def ended(self, end: DirEnd, now_ms: int) -> tuple["Staging", Effects]:
        """The snapshot is complete, says central."""
        under_way = self.snapshot
        if under_way is None or under_way.begin.snap != end.snap or under_way.is_ending:
            return self, ()
        if under_way.next_i != under_way.begin.chunks:
            return self.failed(f"ended after {under_way.next_i} of {under_way.begin.chunks} chunks", now_ms)
        return replace(self, snapshot=replace(under_way, is_ending=True, moved_ms=now_ms)), (StageEnd(end),)

    def staged(self, ref: DirectoryRef) -> tuple["Staging", Effects]:
        """The device decides from the new directory."""
        state = DirState(epoch=ref.epoch, ver=ref.ver, digest=ref.digest)
        return replace(self, current=ref, snapshot=None), (Send(state),)

    def failed(self, why: str, now_ms: int) -> tuple["Staging", Effects]:
        """Give a snapshot up and ask for another, though not too often."""
        staging = replace(self, snapshot=None)
        staging, effects = staging.resynced(why[:200], now_ms)
        return staging, (Report(Trouble.DIRECTORY_REFUSED, why), *effects)

    def compared(self, ver: int, now_ms: int) -> tuple["Staging", Effects]:
        """Central says which version is current: versions are the truth, pushes are only hints."""
        own = 0 if self.current is None else self.current.ver
        if ver <= own or self.snapshot is not None:
            return self, ()
        return self.resynced(f"has version {own}, central {ver}", now_ms)

    def resynced(self, why: str, now_ms: int) -> tuple["Staging", Effects]:
        """Ask for a snapshot, at most once in `RESYNC_EVERY_MS`."""
        if now_ms < self.resync_after_ms:
            return self, ()
        return replace(self, resync_after_ms=now_ms + RESYNC_EVERY_MS), (Send(DirResync(why=why)),)

    def ticked(self, now_ms: int) -> tuple["Staging", Effects]:
        """Give up a snapshot that stalls."""
        under_way = self.snapshot
        if under_way is None or under_way.is_ending or now_ms < under_way.moved_ms + STALL_MS:
            return self, ()
        return self.failed(f"no chunk for {STALL_MS // 1000} s", now_ms)
