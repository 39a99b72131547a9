"""The other ports of the link, in memory, and an identity to sign with."""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from agent.errors import DirectoryRefusedError, StoreError
from agent.identity import Identity
from provisioning.keys import private_pem
from tests.fakes.issuing import PUBLIC
from tests.fakes.memory_outbox import DEVICE
from wire.directory import Issue, directory_digest, read_row
from wire.messages import Command, CommandResult
from wire.rows import DirectoryRow
from wire.transfer import DirBegin, DirChunk, DirDelta, DirectoryRef, DirEnd
from wire.vocabulary import ClockQuality, CommandState, DirectoryRefusal


@dataclass(frozen=True, slots=True)
class Reading:
    mono_ms: int
    wall_ms: int
    q: ClockQuality


@dataclass(slots=True)
class SettableClock:
    """A clock that a test moves."""

    mono_ms: int = 1_000_000
    wall_ms: int = 1_800_000_000_000
    q: ClockQuality = ClockQuality.SYNCED
    boot: str = "b" * 32

    def now(self) -> Reading:
        return Reading(self.mono_ms, self.wall_ms, self.q)

    def advance(self, ms: int) -> None:
        self.mono_ms += ms
        self.wall_ms += ms


@dataclass(slots=True)
class MemoryDirectoryStore:
    """Stages snapshots in memory, with the real digest."""

    ref: DirectoryRef | None = None
    issue: Issue | None = None
    rows: list[DirectoryRow] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    faults: list[StoreError] = field(default_factory=list)
    _begin: DirBegin | None = None
    _staged: list[DirectoryRow] = field(default_factory=list)
    _issue: Issue | None = None

    def get(self, name: str) -> str | None:
        return self.kept.get(name)

    async def put(self, name: str, value: str) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.kept[name] = value

    async def stage_begin(self, begin: DirBegin, issue: Issue) -> None:
        self._begin, self._staged, self._issue = begin, [], issue

    async def stage_chunk(self, chunk: DirChunk) -> None:
        self._staged += map(read_row, map(bytes, chunk.rows))

    async def stage_end(self, end: DirEnd) -> DirectoryRef:
        begin = self._begin
        if begin is None or begin.snap != end.snap or directory_digest(self._staged) != begin.digest:
            raise DirectoryRefusedError(DirectoryRefusal.DIGEST, "the digest of the snapshot is wrong")
        return self._took(self._staged, self._issue)

    async def apply(self, message: DirDelta, issue: Issue) -> DirectoryRef:
        rows = {row.key: row for row in self.rows if row.key not in message.gone}
        rows |= {row.key: row for row in map(read_row, map(bytes, message.put))}
        if directory_digest(rows.values()) != issue.digest:
            raise DirectoryRefusedError(DirectoryRefusal.DIGEST, "the digest after the change is wrong")
        return self._took(list(rows.values()), issue)

    def _took(self, rows: list[DirectoryRow], issue: Issue | None) -> DirectoryRef:
        assert issue is not None
        self.rows, self.issue, self.ref = rows, issue, issue.ref
        return issue.ref


@dataclass(slots=True)
class RecordingCommands:
    """Carries out commands by writing them down."""

    executed: list[tuple[Command, int]] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    faults: list[StoreError] = field(default_factory=list)

    async def execute(self, command: Command, begin_before_ms: int) -> CommandResult:
        if self.faults:
            raise self.faults.pop(0)
        self.executed.append((command, begin_before_ms))
        return CommandResult(id=command.id, state=CommandState.DONE, code="opened")

    async def forget(self, id_: str) -> None:
        self.forgotten.append(id_)


def identity_for(central: str, key: Ed25519PrivateKey | None = None, **fields: str) -> Identity:
    """Return an identity at a central."""
    made = Identity(
        device=DEVICE,
        central=central,
        audience="doorstile-test",
        kid="kid1",
        private_key=private_pem(key or Ed25519PrivateKey.generate()),
        credential_key="00" * 32,
        name="North door",
        site="Gym",
        time_zone="Europe/Berlin",
        directory_key=PUBLIC.hex(),
    )
    return replace(made, **fields)
