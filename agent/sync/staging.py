"""Receiving the directory: a snapshot chunk by chunk, or a change at a time. Pure; the store checks and swaps.

At most one snapshot is under way. Nothing is handed to the store that central's key did not sign for this device, that
goes back in version, or in issue time within one version, or that demands what this agent does not understand. A later
version may have been issued earlier: central's clock was ahead. Anything out of order costs the snapshot, never the
directory that stands; every refusal is told to central with the version that stays.
"""

from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from agent.sync.budget import Budget
from agent.sync.exchange import (
    ApplyDelta,
    ChunkStaged,
    DirectoryFailed,
    DirectoryLost,
    DirectoryStaged,
    Effects,
    Greeting,
    KeepDirectoryKey,
    Report,
    Send,
    StageBegin,
    StageChunk,
    StageEnd,
    Trouble,
)
from agent.sync.signature import is_signed, read_key
from wire.book import FEATURES
from wire.directory import Issue, issue_of
from wire.messages import Welcome
from wire.transfer import DirBegin, DirChunk, DirDelta, DirectoryRef, DirEnd, DirGot, DirRefusal, DirResync, DirState
from wire.vocabulary import DirectoryMode, DirectoryRefusal

STALL_MS: Final = 60_000
"""A snapshot without progress for so long is given up."""
FROZEN_MS: Final = 3_600_000
"""A linked device whose directory central has not confirmed for so long reports that it is frozen."""
TELL_EVERY_MS: Final = 30_000
"""Where central has a newer version and does not send it, the device says so at most this often."""
AHEAD_MS: Final = 60_000
"""What was issued so long after what central's clock shows was issued by a clock that was ahead."""
_DETAIL_CHARS: Final = 200

DirMessage = DirBegin | DirChunk | DirEnd | DirDelta


class Snapshot(Struct, frozen=True):
    """A snapshot under way: `next_i` is the chunk that comes next."""

    begin: DirBegin
    next_i: int
    moved_ms: int
    is_ending: bool = False


class Staging(Struct, frozen=True):
    """The directory on this device, what signs it, and what is about to replace it.

    `issued_ms` is the issue time that is in force, 0 where it cannot be true, `heard_ms` (monotonic) when it came.
    `delta` is at the store. `epoch` is what central's versions count in, by its welcome.
    """

    device: str = ""
    key: bytes | None = None
    current: DirectoryRef | None = None
    issued_ms: int = 0
    snapshot: Snapshot | None = None
    delta: DirDelta | None = None
    budget: Budget = Budget()
    heard_ms: int = 0
    told_ms: int = -TELL_EVERY_MS
    is_frozen: bool = False
    epoch: str = ""

    @property
    def wake_ms(self) -> int | None:
        """When something is due without any input."""
        under_way = self.snapshot
        return None if under_way is None or under_way.is_ending else under_way.moved_ms + STALL_MS

    def opened(self, greeting: Greeting, now_ms: int) -> "Staging":
        """A connection stands; what the store holds is where it starts."""
        return replace(
            self.cut(),
            device=greeting.device,
            key=greeting.directory_key or self.key,
            current=greeting.directory,
            issued_ms=greeting.issued_ms,
            heard_ms=now_ms,
        )

    def cut(self) -> "Staging":
        """The connection is gone, and what was under way with it."""
        return replace(self, snapshot=None, delta=None)

    def greeted(self, welcome: Welcome, now_ms: int) -> tuple["Staging", Effects]:
        """Central says what it will do about the directory, and which key signs it."""
        staging, effects = self._key_learned(welcome.dir_key)
        issued_ms = _dated(self.issued_ms, welcome.server_ms)
        staging = replace(staging, epoch=welcome.dir.epoch, issued_ms=issued_ms)
        if welcome.dir_mode is DirectoryMode.CURRENT and staging.current != welcome.dir:
            staging, resync = staging.resynced("welcome says current, but this device has another directory", now_ms)
            return staging, (*effects, *resync)
        return staging, effects

    def _key_learned(self, told: str) -> tuple["Staging", Effects]:
        key = read_key(told)
        if key is None or key == self.key:
            return self, ()
        if self.key is None:
            return replace(self, key=key), (KeepDirectoryKey(key),)
        why = "central names another key for directories than the one pinned here; if that is right, join again"
        return self, (Report(Trouble.DIRECTORY_KEY, why),)

    def received(self, message: DirMessage, now_ms: int) -> tuple["Staging", Effects]:
        """Central sent something about the directory."""
        match message:
            case DirBegin():
                return self._begun(message, now_ms)
            case DirChunk():
                return self._chunk(message, now_ms)
            case DirEnd():
                return self._ended(message, now_ms)
            case DirDelta():
                return self._changed(message)
            case _:
                assert_never(message)

    def _begun(self, begin: DirBegin, now_ms: int) -> tuple["Staging", Effects]:
        issue = issue_of(begin, self.device)
        refusal = self._objection(issue, begin.sig)
        if refusal is not None:
            return self, self._refused(issue, *refusal)
        return replace(self, snapshot=Snapshot(begin, 0, now_ms)), (StageBegin(begin, issue),)

    def _objection(self, issue: Issue, sig: str) -> tuple[DirectoryRefusal, str] | None:
        if self.key is None:
            return DirectoryRefusal.UNSIGNED, "this device knows no key that signs directories; update central"
        if not is_signed(issue, sig, self.key):
            return DirectoryRefusal.UNSIGNED, f"version {issue.ver} is not signed for this device by central's key"
        current = self.current
        if current is not None and issue.epoch == current.epoch:
            if issue.ver < current.ver:
                return DirectoryRefusal.OLDER, f"version {issue.ver} is older than {current.ver}, which is in use"
            if issue.ver == current.ver and issue.issued_ms < self.issued_ms:
                back_s = (self.issued_ms - issue.issued_ms) // 1000
                why = f"version {issue.ver} was issued {back_s} s before what is in use: central's clock went back"
                return DirectoryRefusal.OLDER, f"{why}, or this is a copy"
        unknown = sorted(set(issue.feat) - FEATURES)
        if unknown:
            why = f"version {issue.ver} demands {', '.join(unknown)[:80]}; update this agent"
            return DirectoryRefusal.NOT_UNDERSTOOD, why
        return None

    def _chunk(self, chunk: DirChunk, now_ms: int) -> tuple["Staging", Effects]:
        under_way = self.snapshot
        if under_way is None or under_way.begin.snap != chunk.snap:
            return self, ()
        if chunk.i != under_way.next_i or chunk.i >= under_way.begin.chunks or under_way.is_ending:
            why = f"chunk {chunk.i} came where {under_way.next_i} was due"
            return self.failed(DirectoryRefusal.INCOMPLETE, why, now_ms)
        return replace(self, snapshot=replace(under_way, next_i=chunk.i + 1, moved_ms=now_ms)), (StageChunk(chunk),)

    def _ended(self, end: DirEnd, now_ms: int) -> tuple["Staging", Effects]:
        under_way = self.snapshot
        if under_way is None or under_way.begin.snap != end.snap or under_way.is_ending:
            return self, ()
        if under_way.next_i != under_way.begin.chunks:
            why = f"ended after {under_way.next_i} of {under_way.begin.chunks} chunks"
            return self.failed(DirectoryRefusal.INCOMPLETE, why, now_ms)
        return replace(self, snapshot=replace(under_way, is_ending=True, moved_ms=now_ms)), (StageEnd(end),)

    def _changed(self, delta: DirDelta) -> tuple["Staging", Effects]:
        issue, current = issue_of(delta, self.device), self.current
        if self.snapshot is not None or self.delta is not None:
            return self, ()  # what is under way ends with a state, and central goes on from that
        refusal = self._objection(issue, delta.sig)
        if refusal is not None:
            return self, self._refused(issue, *refusal)
        if current is None or (issue.epoch, delta.first) != (current.epoch, current.ver) or delta.to < delta.first:
            why = f"a change from version {delta.first} to {delta.to}, this device has {_name(current)}"
            return self, self._refused(issue, DirectoryRefusal.GAP, why)
        return replace(self, delta=delta), (ApplyDelta(delta, issue),)

    def stored(
        self, event: ChunkStaged | DirectoryStaged | DirectoryFailed | DirectoryLost
    ) -> tuple["Staging", Effects]:
        """The store did its part, or could not."""
        match event:
            case ChunkStaged(_, snap, i):
                # Credit for the next.
                is_due = self.snapshot is not None and self.snapshot.begin.snap == snap
                return self, (Send(DirGot(snap=snap, i=i)),) if is_due else ()
            case DirectoryStaged(now_ms, ref, issued_ms):
                staging = replace(self.cut(), current=ref, issued_ms=issued_ms, heard_ms=now_ms, is_frozen=False)
                return staging, (Send(staging.state()),)
            case DirectoryFailed(now_ms, detail, code):
                return self.failed(code, detail, now_ms)
            case DirectoryLost(now_ms, detail):
                return replace(self.cut(), current=None, issued_ms=0).resynced(detail, now_ms)
            case _:
                assert_never(event)

    def failed(self, code: DirectoryRefusal, why: str, now_ms: int) -> tuple["Staging", Effects]:
        """Give up what is under way and ask for a whole directory, though not too often.

        One that is what central signed and yet wrong (`canary`) would come again as it was: central decides when.
        """
        told = self._refused(self._offered(), code, why)
        staging = replace(self, snapshot=None, delta=None)
        if code is DirectoryRefusal.CANARY:
            return staging, told
        staging, effects = staging.resynced(why, now_ms)
        return staging, (*told, *effects)

    def _offered(self) -> Issue:
        if self.snapshot is not None:
            return issue_of(self.snapshot.begin, self.device)
        return Issue(epoch="", ver=0, digest="") if self.delta is None else issue_of(self.delta, self.device)

    def _refused(self, issue: Issue, code: DirectoryRefusal, why: str) -> Effects:
        why = why[:_DETAIL_CHARS]
        refusal = DirRefusal(epoch=issue.epoch, ver=issue.ver, code=code, detail=why)
        return (Report(Trouble.DIRECTORY_REFUSED, f"{code}: {why}"), Send(self.state(refusal)))

    def state(self, refusal: DirRefusal | None = None) -> DirState:
        """Return what central is told of this device's directory."""
        ref = self.current or DirectoryRef("", 0, "")
        return DirState(epoch=ref.epoch, ver=ref.ver, digest=ref.digest, refused=refusal)

    def is_current(self, ver: int) -> bool:
        """Say whether the version that central names is the one that this device has."""
        return self.current is not None and (self.current.epoch, self.current.ver) == (self.epoch, ver)

    def compared(self, ver: int, server_ms: int, now_ms: int) -> tuple["Staging", Effects]:
        """Central says which version is current, at `server_ms`: versions are the truth, pushes are only hints."""
        staging = replace(self, issued_ms=_dated(self.issued_ms, server_ms))
        own = 0 if self.current is None else self.current.ver
        if ver <= own or self.snapshot is not None or self.delta is not None or now_ms < self.told_ms + TELL_EVERY_MS:
            return staging, ()
        return replace(staging, told_ms=now_ms), (Send(self.state()),)

    def resynced(self, why: str, now_ms: int) -> tuple["Staging", Effects]:
        """Ask for a snapshot, within the budget."""
        budget, may_ask = self.budget.asked(now_ms)
        return replace(self, budget=budget), (Send(DirResync(why=why[:_DETAIL_CHARS])),) if may_ask else ()

    def ticked(self, now_ms: int) -> tuple["Staging", Effects]:
        """Give up a snapshot that stalls; report a directory that nobody confirms."""
        if self.wake_ms is not None and now_ms >= self.wake_ms:
            return self.failed(DirectoryRefusal.INCOMPLETE, f"no chunk for {STALL_MS // 1000} s", now_ms)
        if self.is_frozen or self.current is None or now_ms < self.heard_ms + FROZEN_MS:
            return self, ()
        why = f"central has not confirmed {_name(self.current)} for {FROZEN_MS // 60_000} min"
        return replace(self, is_frozen=True), (Report(Trouble.DIRECTORY_FROZEN, why),)


def _dated(issued_ms: int, server_ms: int) -> int:
    """Central's clock shows `server_ms`: an issue of long after that keeps no other one of its version out."""
    return 0 if issued_ms > server_ms + AHEAD_MS else issued_ms


def _name(ref: DirectoryRef | None) -> str:
    return "none" if ref is None else f"version {ref.ver} of epoch {ref.epoch[:16]}"
