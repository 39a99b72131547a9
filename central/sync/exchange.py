"""What goes into central's half of the conversation and what comes out of it: values, nothing that acts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from wire.directory import DELTA_ROWS, Issue
from wire.limits import ACK_TIMEOUT_S, HEARTBEAT_S, LEASE_S, Limits, Reconnect
from wire.message import Message
from wire.messages import Anchor, Heartbeat, Hello, Rejection, RunAck, Tomb
from wire.presence import PresDelta, PresenceRef
from wire.transfer import BookEntry, DirDelta, DirectoryRef, DirState
from wire.vocabulary import CloseCode, CommandMode, CommandState, ErrorCode


@dataclass(frozen=True, slots=True)
class Now:
    """One moment: `mono_ms` for intervals, `wall_ms` since 1970 for what the device is told."""

    mono_ms: int
    wall_ms: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What central asks of every device in `welcome`."""

    limits: Limits = field(default_factory=Limits)
    hb_s: float = HEARTBEAT_S
    ack_timeout_s: float = ACK_TIMEOUT_S
    lease_s: int = LEASE_S
    reconnect: Reconnect = field(default_factory=Reconnect)
    directory_key: str = ""
    chunk_rows: int = DELTA_ROWS


@dataclass(frozen=True, slots=True)
class Due:
    """A command that waits to be sent; `created_ms` is wall time.

    `made_mono_ms` is the same moment by this host's monotonic clock, None where it was made in another boot.
    """

    id: str
    name: str
    mode: CommandMode
    ttl_ms: int
    created_ms: int
    args: dict[str, str]
    made_mono_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole directory for one device: the texts of its rows in order of their keys, and the items of its book."""

    issue: Issue
    sig: str
    rows: Sequence[bytes]
    book: tuple[BookEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """A change, a whole directory, or None where there is nothing to say; more follows where it is not the last.

    A change that leaves the device at its version confirms that this is the newest.
    """

    what: Whole | DirDelta | None
    is_last: bool = True


# Inputs


@dataclass(frozen=True, slots=True)
class Connected:
    """The token held and the socket is open."""

    now: Now


@dataclass(frozen=True, slots=True)
class Received:
    """The device sent a message."""

    now: Now
    message: Message


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The device sent a frame that is no message; `close` where the connection cannot go on."""

    now: Now
    code: ErrorCode
    detail: str
    close: CloseCode | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """The session exists: newer than all others of the device. The runs of `hello` are known, `commands` wait."""

    now: Now
    session: int
    runs: tuple[RunAck, ...]
    last_run: RunAck | None
    directory: DirectoryRef
    commands: tuple[Due, ...] = ()
    presence: PresenceRef | None = None
    time_zone: str = ""


@dataclass(frozen=True, slots=True)
class Ingested:
    """A batch or a declared loss is committed: the run is held up to `upto`, where its chain stands at `head`."""

    now: Now
    run: str
    upto: int
    head: bytes
    rejections: tuple[Rejection, ...] = ()


@dataclass(frozen=True, slots=True)
class Missing:
    """A batch does not continue what is held: number `expect` is next."""

    now: Now
    run: str
    expect: int


@dataclass(frozen=True, slots=True)
class HeartbeatKept:
    """A heartbeat is recorded; `directory` and `presence` are the newest, `commands` wait to be sent."""

    now: Now
    echo_mono_ms: int
    shown_dir_ver: int
    directory: DirectoryRef
    commands: tuple[Due, ...] = ()
    presence: PresenceRef | None = None
    shown_pres_ver: int = 0


@dataclass(frozen=True, slots=True)
class DirectoryLoaded:
    """What brings the device on to the newest directory, or confirms the one that it has."""

    now: Now
    offer: Offer


@dataclass(frozen=True, slots=True)
class PresenceLoaded:
    """What brings the device on to the newest presence; None where it has that."""

    now: Now
    delta: PresDelta | None


@dataclass(frozen=True, slots=True)
class CommandsLoaded:
    """Commands that wait to be sent."""

    now: Now
    commands: tuple[Due, ...]


@dataclass(frozen=True, slots=True)
class CommandMarked:
    """A command is recorded as sent, by this connection and no other."""

    now: Now
    command: Due


@dataclass(frozen=True, slots=True)
class ReplyKept:
    """What the device said of a command is recorded; `is_known` is false where it has no such command."""

    now: Now
    id: str
    is_result: bool
    is_known: bool


@dataclass(frozen=True, slots=True)
class TokenChecked:
    """A token sent inside the connection holds, or `close` says why the connection ends."""

    now: Now
    close: CloseCode | None = None


@dataclass(frozen=True, slots=True)
class DirectoryChanged:
    """A hint: the site's directory may have a new version."""

    now: Now


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """A hint: somebody came or went at the site."""

    now: Now


@dataclass(frozen=True, slots=True)
class CommandDue:
    """A hint: a command may wait."""

    now: Now


@dataclass(frozen=True, slots=True)
class Ended:
    """The connection must end for a reason outside of it: superseded, revoked, no database, shutdown."""

    now: Now
    close: CloseCode
    why: str
    retry_after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""

    now: Now


Input = (
    Connected
    | Received
    | Unreadable
    | Opened
    | Ingested
    | Missing
    | HeartbeatKept
    | DirectoryLoaded
    | PresenceLoaded
    | CommandsLoaded
    | CommandMarked
    | ReplyKept
    | TokenChecked
    | DirectoryChanged
    | PresenceChanged
    | CommandDue
    | Ended
    | Tick
)


# Effects


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message."""

    message: Message


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Give the device a session newer than all others and register the runs; answered by Opened."""

    hello: Hello


@dataclass(frozen=True, slots=True)
class Ingest:
    """Commit a batch; answered by Ingested or Missing."""

    run: str
    first: int
    raws: list[bytes]


@dataclass(frozen=True, slots=True)
class IngestTomb:
    """Commit a declared loss; answered like Ingest."""

    tomb: Tomb


@dataclass(frozen=True, slots=True)
class KeepAnchor:
    """Commit what the wall clock of a boot truly was."""

    anchor: Anchor


@dataclass(frozen=True, slots=True)
class KeepHeartbeat:
    """Record the device's health; answered by HeartbeatKept."""

    heartbeat: Heartbeat
    offset_ms: int
    """How far the device's wall clock is ahead of ours."""


@dataclass(frozen=True, slots=True)
class KeepDirState:
    """Record which directory the device decides from."""

    state: DirState


@dataclass(frozen=True, slots=True)
class LoadDirectory:
    """Fetch what brings a device that has `held` to the newest directory; the whole where that is None.

    Answered by DirectoryLoaded.
    """

    held: DirectoryRef | None
    takes_deltas: bool


@dataclass(frozen=True, slots=True)
class LoadPresence:
    """Fetch what a device that has `held` misses of its site's presence; answered by PresenceLoaded."""

    held: PresenceRef | None


@dataclass(frozen=True, slots=True)
class LoadCommands:
    """Fetch the commands that wait; answered by CommandsLoaded."""


@dataclass(frozen=True, slots=True)
class MarkSent:
    """Record that a command goes out now; answered by CommandMarked unless it ended meanwhile."""

    command: Due


@dataclass(frozen=True, slots=True)
class ExpireCommand:
    """Record that a command was too old to be sent."""

    id: str


@dataclass(frozen=True, slots=True)
class KeepReply:
    """Record what the device said of a command; answered by ReplyKept."""

    id: str
    state: CommandState
    is_result: bool
    code: str = ""
    out: str = ""


@dataclass(frozen=True, slots=True)
class CheckToken:
    """Check a token that came inside the connection; answered by TokenChecked."""

    token: str


@dataclass(frozen=True, slots=True)
class Report:
    """Something for the log."""

    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Give a Tick at this monotonic moment; replaces the one before."""

    mono_ms: int


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection; nothing follows."""

    code: CloseCode
    why: str


Effect = (
    Send
    | OpenSession
    | Ingest
    | IngestTomb
    | KeepAnchor
    | KeepHeartbeat
    | KeepDirState
    | LoadDirectory
    | LoadPresence
    | LoadCommands
    | MarkSent
    | ExpireCommand
    | KeepReply
    | CheckToken
    | Report
    | WakeAt
    | Close
)
Effects = tuple[Effect, ...]
