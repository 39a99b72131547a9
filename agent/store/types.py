"""What callers hand to the journal and get from it."""

from dataclasses import dataclass

from msgspec import Struct

from agent.core.types import Use
from wire.events import Body, Stamp
from wire.vocabulary import EventKind, TombReason


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """Bounds of the journal.

    `max_bytes` bounds the live rows (the file is about a fifth larger); acknowledged rows beyond `keep_events` or
    `keep_bytes` are deleted when there is nothing else to do. `tail_rows` are verified at every start.
    """

    max_bytes: int = 1 << 30
    keep_events: int = 20_000
    keep_bytes: int = 16 << 20
    queue_events: int = 1024
    group_events: int = 128
    checkpoint_frames: int = 96
    reserve_bytes: int = 1 << 20
    page_bytes: int = 2048
    tail_rows: int = 4096
    idle_s: float = 1.0


class Draft(Struct, frozen=True):
    """An event that has no number yet.

    `opens` names a promise that is durable with the event; `settles` ends one: with an `outcome` it is kept until
    central confirmed it (`Journal.forget`), without one it is gone. `uses` is durable with the event as well, or
    neither is.
    """

    kind: EventKind
    at: Stamp
    body: Body
    opens: str | None = None
    settles: str | None = None
    outcome: str = ""
    uses: Use | None = None


class Promise(Struct, frozen=True):
    """Something begun by event `n` of `run`; `outcome` is None while its end is not recorded."""

    key: str
    run: str
    n: int
    outcome: str | None = None


class RunInfo(Struct, frozen=True):
    """One run: `last` is durable, `acked` acknowledged, `head` is h(acked); the run before ended at `prev_n`."""

    run: str
    ord: int
    last: int
    acked: int
    head: bytes
    prev_n: int
    prev_head: bytes


class Spliced(Struct, frozen=True):
    """An event ready for the link: its stored text with the digest spliced in front."""

    n: int
    data: bytes


class Loss(Struct, frozen=True):
    """Events `first` to `to` of a run that can never be sent; `head` is h(to) where it is known."""

    run: str
    first: int
    to: int
    why: TombReason
    head: bytes | None


class Waiting(Struct, frozen=True):
    """What waits for an acknowledgement; `oldest` is the time of the first event of it."""

    events: int
    bytes: int
    oldest: Stamp | None


class StoreStats(Struct, frozen=True):
    """Figures for the heartbeat."""

    wal_bytes: int
    used_bytes: int
    max_bytes: int
    queued_events: int


class OpenReport(Struct, frozen=True):
    """What opening found: empty `found` is the normal case.

    `found` says in plain words what was wrong, `quarantine` is the folder that holds the damaged files, `kept` and
    `lost` count rows that were copied to the new file and rows known to be gone.
    """

    found: tuple[str, ...] = ()
    quarantine: str | None = None
    kept: int = 0
    lost: int = 0
