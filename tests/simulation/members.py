"""The modelled directory file of a device: it is one whole version, before and after any crash."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from agent.errors import DirectoryRefusedError, StoreError, StoreFullError
from tests.simulation.truth import Truth
from wire.directory import Issue, directory_digest, read_row
from wire.rows import DirectoryRow
from wire.transfer import DirBegin, DirChunk, DirDelta, DirectoryRef, DirEnd
from wire.vocabulary import DirectoryRefusal

STAGE_S: Final = 0.003


@dataclass(slots=True)
class MemberFile:
    """What is on the disk: one version, and small values beside it."""

    issue: Issue | None = None
    rows: dict[str, DirectoryRow] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)

    @property
    def ref(self) -> DirectoryRef | None:
        """Which version it is."""
        return None if self.issue is None else self.issue.ref

    def copy(self) -> "MemberFile":
        """Return the same, apart from this."""
        return MemberFile(self.issue, dict(self.rows), dict(self.kept))


class MemberDirectory:
    """The directory of one process."""

    found: str | None = None

    def __init__(
        self, file: MemberFile, device: str, truth: Truth, is_full: Callable[[], bool] = lambda: False
    ) -> None:
        self._file = file
        self._is_full = is_full
        self._device = device
        self._truth = truth
        self._begin: DirBegin | None = None
        self._issue: Issue | None = None
        self._rows: list[DirectoryRow] = []
        self._next = 0
        self.is_dead = False

    @property
    def ref(self) -> DirectoryRef | None:
        """Which directory this is."""
        return self._file.ref

    @property
    def issue(self) -> Issue | None:
        """What central signed of it."""
        return self._file.issue

    def find(self, key: str) -> DirectoryRow | None:
        """Return what is known of a credential."""
        return self._file.rows.get(key)

    def get(self, name: str) -> str | None:
        """Return a kept value."""
        return self._file.kept.get(name)

    async def put(self, name: str, value: str) -> None:
        """Keep a value; where the disk is full it takes none."""
        await asyncio.sleep(STAGE_S)
        if self._is_full():
            raise StoreFullError("no room on the disk")
        if not self.is_dead:
            self._file.kept[name] = value

    async def stage_begin(self, begin: DirBegin, issue: Issue) -> None:
        """Begin a snapshot."""
        self._begin, self._issue, self._rows, self._next = begin, issue, [], 0

    async def stage_chunk(self, chunk: DirChunk) -> None:
        """Take part of it."""
        await asyncio.sleep(STAGE_S)
        if self._begin is None or chunk.snap != self._begin.snap or chunk.i != self._next:
            self._begin = None
            raise StoreError(f"chunk {chunk.i} was not expected")
        self._next += 1
        self._rows += map(read_row, map(bytes, chunk.rows))

    async def stage_end(self, end: DirEnd) -> DirectoryRef:
        """Check it and decide from it."""
        await asyncio.sleep(STAGE_S)
        begin, self._begin = self._begin, None
        if begin is None or end.snap != begin.snap or directory_digest(self._rows) != begin.digest:
            raise DirectoryRefusedError(DirectoryRefusal.DIGEST, "the snapshot is not what was announced")
        assert self._issue is not None
        return self._take(self._issue, {row.key: row for row in self._rows})

    async def apply(self, message: DirDelta, issue: Issue) -> DirectoryRef:
        """Take a change: it is durable in one moment, and seen a little later."""
        ref = self.ref
        if ref is None or (message.epoch, message.first) != (ref.epoch, ref.ver):
            raise DirectoryRefusedError(DirectoryRefusal.GAP, f"a change of version {message.first}")
        rows = {key: row for key, row in self._file.rows.items() if key not in message.gone}
        rows |= {row.key: row for row in map(read_row, map(bytes, message.put))}
        if directory_digest(rows.values()) != issue.digest:
            raise DirectoryRefusedError(DirectoryRefusal.DIGEST, "the change does not give what was signed")
        await asyncio.sleep(STAGE_S)
        return self._take(issue, rows)

    def _take(self, issue: Issue, rows: dict[str, DirectoryRow]) -> DirectoryRef:
        if self.is_dead:
            raise StoreError("the process is gone")
        self._check(issue.ref, rows)
        self._file.issue, self._file.rows = issue, rows
        return issue.ref

    def _check(self, ref: DirectoryRef, rows: dict[str, DirectoryRow]) -> None:
        truth, old = self._truth, self.ref
        truth.note("directory", self._device[-4:], ref.epoch, ref.ver)
        true = truth.site.versions.get((self._device, ref.epoch, ref.ver))
        truth.require(true == rows, f"directory {ref} is none of central's versions")
        went_back = old is not None and old.epoch == ref.epoch and ref.ver < old.ver
        truth.require(not went_back, f"the directory went back from {old} to {ref}")
