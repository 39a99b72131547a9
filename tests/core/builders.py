"""Facts and states for the core's tests, each with a default that grants."""

from agent.core.station import Door, Station, start
from agent.core.types import Credential, Facts, Now, Read
from wire.rows import DirectoryRow
from wire.transfer import DirectoryRef
from wire.vocabulary import ClockQuality, CredentialKind, Direction

KEY = "0" * 32
DIRECTORY = DirectoryRef(epoch="e1", ver=7, digest="d")
WALL_MS = 1_800_000_000_000


def row(
    member: str = "m1",
    *,
    key: str = KEY,
    is_active: bool = True,
    is_revoked: bool = False,
    valid_from_ms: int | None = None,
    valid_to_ms: int | None = None,
) -> DirectoryRow:
    return DirectoryRow(
        key=key,
        kind=CredentialKind.HF_UID,
        member=member,
        is_active=is_active,
        is_revoked=is_revoked,
        valid_from_ms=valid_from_ms,
        valid_to_ms=valid_to_ms,
    )


def now(
    mono_ms: int = 1_000, *, wall_ms: int = WALL_MS, q: ClockQuality = ClockQuality.SYNCED, steady_ms: int = 0
) -> Now:
    return Now(mono_ms, wall_ms, q, steady_ms=steady_ms)


def read(at_mono_ms: int = 1_000, *, key: str = KEY, direction: Direction = Direction.IN, reader: str = "in") -> Read:
    return Read(reader, direction, Credential(CredentialKind.HF_UID, key), at_mono_ms)


def facts(
    at: Read | None = None,
    *,
    known: DirectoryRow | None = None,
    at_now: Now | None = None,
    directory: DirectoryRef | None = DIRECTORY,
) -> Facts:
    presented = at or read()
    return Facts(presented, at_now or now(presented.at_mono_ms), directory, known)


def station(*, pulse_ms: int | None = 3_000, readers: frozenset[str] = frozenset({"in", "out"})) -> Station:
    return start(Door("North", run="00000000000000aa", pulse_ms=pulse_ms), readers)
