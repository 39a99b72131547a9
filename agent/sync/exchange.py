"""What goes into the agent's session and what comes out of it. `*_ms` without a prefix are monotonic milliseconds."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from wire.directory import Issue
from wire.limits import Reconnect
from wire.message import Message
from wire.messages import Anchor, Backlog, ClockReading, Command, CommandResult, RunAck, RunState, Tomb
from wire.presence import PresDelta
from wire.transfer import DirBegin, DirChunk, DirDelta, DirectoryRef, DirEnd
from wire.vocabulary import CommandState, DirectoryRefusal, ErrorCode


class Trouble(StrEnum):
    """What the session met and reports; the text of a report says more."""

    ACK_AHEAD = "ack_ahead"
    WRONG_HEAD = "wrong_head"
    STORAGE_WENT_BACK = "storage_went_back"
    CENTRAL_WENT_BACK = "central_went_back"
    UNKNOWN_RUN = "unknown_run"
    BAD_NACK = "bad_nack"
    ROWS_MISSING = "rows_missing"
    NO_ROOM = "no_room"
    EVENT_REJECTED = "event_rejected"
    RANGE_LOST = "range_lost"
    UNEXPECTED_MESSAGE = "unexpected_message"
    DIRECTORY_REFUSED = "directory_refused"
    DIRECTORY_FROZEN = "directory_frozen"
    DIRECTORY_KEY = "directory_key"
    COMMAND_REFUSED = "command_refused"
    COMMAND_EXPIRED = "command_expired"
    CENTRAL_COMPLAINS = "central_complains"
    LINK_OVERDUE = "link_overdue"


class Spliced(Protocol):
    """One event as it goes over the link (`wire.chain.splice`)."""

    @property
    def n(self) -> int:
        """Its number in the run."""

    @property
    def data(self) -> bytes:
        """Its text, the digest in front."""


class Greeting(Struct, frozen=True):
    """What the device says of itself in `hello`. `runs` are the unacknowledged ones, oldest first, and the current.

    `losses` are declared losses that central has not acknowledged, `issued_ms` is when central issued the directory,
    and `directory_key` the key that signs directories, where it is known. `forms` are what its readers yield.
    """

    device: str
    store: str
    boot: str
    agent: str
    runs: tuple[RunState, ...]
    losses: tuple[Tomb, ...]
    clock: ClockReading
    backlog: Backlog
    directory: DirectoryRef | None
    reason: str = "start"
    issued_ms: int = 0
    directory_key: bytes | None = None
    forms: tuple[str, ...] = ()
    is_desk: bool = False
    keys: tuple[str, ...] = ()


# Inputs


class Opened(Struct, frozen=True):
    """The connection stands and the subprotocol is agreed."""

    now_ms: int
    greeting: Greeting


class Received(Struct, frozen=True):
    """Central sent a message."""

    now_ms: int
    message: Message


class Unreadable(Struct, frozen=True):
    """Central sent a frame that is no message, but the connection can go on."""

    now_ms: int
    code: ErrorCode
    detail: str


class Grown(Struct, frozen=True):
    """Events up to `last` of the current run are durable."""

    now_ms: int
    run: str
    last: int


class Loaded(Struct, frozen=True):
    """The answer to `Load`: events after `after`, consecutive; empty where the rows are not there."""

    now_ms: int
    run: str
    after: int
    items: Sequence[Spliced]


class CursorMoved(Struct, frozen=True):
    """The store accepted an acknowledgement."""

    now_ms: int
    run: str
    upto: int


class CursorRefused(Struct, frozen=True):
    """The store refused to move a cursor: nothing changed there. With `no_room` it may agree later."""

    now_ms: int
    run: str
    upto: int
    trouble: Trouble
    detail: str


class Rewound(Struct, frozen=True):
    """The answer to `Rewind`: the run counts as acknowledged up to `upto` again; `pruned` is what is gone for good."""

    now_ms: int
    state: RunState
    upto: int
    pruned: Tomb | None = None


class Reconciled(Struct, frozen=True):
    """The answer to `Reconcile`: so many acknowledged runs have to go out again; `missing` says what was not found."""

    now_ms: int
    moved: int
    missing: str = ""


class ChunkStaged(Struct, frozen=True):
    """The answer to `StageChunk`."""

    now_ms: int
    snap: str
    i: int


class DirectoryStaged(Struct, frozen=True):
    """The answer to `StageEnd` and `ApplyDelta`: the device decides from this directory now."""

    now_ms: int
    ref: DirectoryRef
    issued_ms: int = 0


class DirectoryFailed(Struct, frozen=True):
    """What was to replace the directory is wrong or could not be written; the old one stands."""

    now_ms: int
    detail: str
    code: DirectoryRefusal = DirectoryRefusal.STORE


class DirectoryLost(Struct, frozen=True):
    """The directory that stood is damaged and set aside: the device decides from none."""

    now_ms: int
    detail: str


class CommandFinished(Struct, frozen=True):
    """A command ended, physically."""

    now_ms: int
    result: CommandResult


class AnchorKnown(Struct, frozen=True):
    """The wall clock of a boot is known now."""

    now_ms: int
    anchor: Anchor


class Tick(Struct, frozen=True):
    """Time passed."""

    now_ms: int


class Disconnected(Struct, frozen=True):
    """The connection is gone; `code` is its close code, where there was one."""

    now_ms: int
    code: int | None = None


Input = (
    Opened | Received | Unreadable | Grown | Loaded | CursorMoved | CursorRefused | Rewound | Reconciled | ChunkStaged
    | DirectoryStaged | DirectoryFailed | DirectoryLost | CommandFinished | AnchorKnown | Tick | Disconnected
)  # fmt: skip


# Effects


class Send(Struct, frozen=True):
    """Send a message."""

    message: Message


class SendEvents(Struct, frozen=True):
    """Send a batch, spliced as it is stored; `size` is about its bytes."""

    run: str
    first: int
    spliced: tuple[bytes, ...]
    size: int


class SendHeartbeat(Struct, frozen=True):
    """Send the device's health; `mono_ms` is the moment that central echoes."""

    mono_ms: int


class RenewLease(Struct, frozen=True):
    """Mint a token and send `auth.refresh`."""


class Load(Struct, frozen=True):
    """Read events after `after`: at most so many, at most so many bytes, but at least one."""

    run: str
    after: int
    max_events: int
    max_bytes: int


class MoveCursor(Struct, frozen=True):
    """Central holds the run up to `upto`, its chain stands at `head`: check it and move the cursor."""

    run: str
    upto: int
    head: bytes


class Rewind(Struct, frozen=True):
    """Central holds less than it once acknowledged: move the cursor of the run back to `upto`."""

    run: str
    upto: int


class Reconcile(Struct, frozen=True):
    """`hello` does not name runs that count as acknowledged; does central, perhaps restored, still hold them?

    `last_run` is the last that central has events of (None: of none), `told` are the runs that `hello` named. Of the
    others, move the cursor of that run back to where central stands and of later ones to their beginning; where the
    store does not know the run, say so and move all of them. No event is sent before this is answered.
    """

    last_run: RunAck | None
    told: frozenset[str]


class RunCommand(Struct, frozen=True):
    """Carry a command out, once. It may begin only before `begin_before_ms`."""

    command: Command
    begin_before_ms: int


class ForgetCommand(Struct, frozen=True):
    """Central recorded the result of a command."""

    id: str


class StageBegin(Struct, frozen=True):
    """Begin to stage a snapshot; central signed `issue`."""

    message: DirBegin
    issue: Issue


class StageChunk(Struct, frozen=True):
    """Stage part of a snapshot."""

    message: DirChunk


class StageEnd(Struct, frozen=True):
    """Check the staged snapshot and decide from it."""

    message: DirEnd


class ApplyDelta(Struct, frozen=True):
    """Change the directory, as one transaction; central signed `issue`."""

    message: DirDelta
    issue: Issue


class KeepDirectoryKey(Struct, frozen=True):
    """Pin the key that signs directories, on a device that joined before there was one."""

    key: bytes


class KeepReconnect(Struct, frozen=True):
    """How central wants the device to come back; outlives the process."""

    values: Reconnect


class KeepZone(Struct, frozen=True):
    """The IANA name of the site's time zone, as central has it now; outlives the process."""

    name: str


class Welcomed(Struct, frozen=True):
    """The session stands."""

    session: int


class ServerTime(Struct, frozen=True):
    """Central's clock showed `server_ms` at some moment between `asked_ms` and `answered_ms`.

    `is_current` says that central, with that, named the directory of this device as the current one.
    """

    asked_ms: int
    answered_ms: int
    server_ms: int
    is_current: bool = False


class TakePresence(Struct, frozen=True):
    """Take in what central says of who is where, and of codes used at other doors."""

    message: PresDelta


class PresenceTold(Struct, frozen=True):
    """Central named its version of the presence at `asked_ms` or later; `is_current` where this device has that."""

    asked_ms: int
    is_current: bool


class Parted(Struct, frozen=True):
    """Central announced that it closes, and how to come back."""

    code: int
    retry_after_ms: int
    spread_ms: int


class Close(Struct, frozen=True):
    """Close the connection."""

    code: int
    why: str


class WakeAt(Struct, frozen=True):
    """Feed a `Tick` at this moment; replaces the one before."""

    at_ms: int


class Report(Struct, frozen=True):
    """Tell the operator."""

    trouble: Trouble
    detail: str


Effect = (
    Send | SendEvents | SendHeartbeat | RenewLease | Load | MoveCursor | Rewind | Reconcile | RunCommand | ForgetCommand
    | StageBegin | StageChunk | StageEnd | ApplyDelta | KeepDirectoryKey | KeepReconnect | KeepZone | Welcomed
    | ServerTime | TakePresence | PresenceTold | Parted | Close | WakeAt | Report
)  # fmt: skip

Effects = tuple[Effect, ...]

FINAL_STATES = frozenset({CommandState.DONE, CommandState.FAILED, CommandState.EXPIRED, CommandState.UNKNOWN})
"""States in which a command has ended."""
