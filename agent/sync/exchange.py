"""What goes into the agent's session and what comes out of it. `*_ms` without a prefix are monotonic milliseconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from wire.limits import Reconnect
from wire.messages import (
    Anchor,
    Backlog,
    ClockReading,
    Command,
    CommandResult,
    DirBegin,
    DirChunk,
    DirectoryRef,
    DirEnd,
    Message,
    RunAck,
    RunState,
    Tomb,
)
from wire.vocabulary import CommandState, ErrorCode


class Trouble(StrEnum):
    """What the session met and reports; the text of a report says more."""

    ACK_AHEAD = "ack_ahead"
    WRONG_HEAD = "wrong_head"
    STORAGE_WENT_BACK = "storage_went_back"
    CENTRAL_WENT_BACK = "central_went_back"
    UNKNOWN_RUN = "unknown_run"
    BAD_NACK = "bad_nack"
    ROWS_MISSING = "rows_missing"
    EVENT_REJECTED = "event_rejected"
    RANGE_LOST = "range_lost"
    UNEXPECTED_MESSAGE = "unexpected_message"
    DIRECTORY_REFUSED = "directory_refused"
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


@dataclass(frozen=True, slots=True)
class Greeting:
    """What the device says of itself in `hello`. `runs` are the unacknowledged ones, oldest first, and the current.

    `losses` are declared losses that central has not acknowledged.
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


# Inputs


@dataclass(frozen=True, slots=True)
class Opened:
    """The connection stands and the subprotocol is agreed."""

    now_ms: int
    greeting: Greeting


@dataclass(frozen=True, slots=True)
class Received:
    """Central sent a message."""

    now_ms: int
    message: Message


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Central sent a frame that is no message, but the connection can go on."""

    now_ms: int
    code: ErrorCode
    detail: str


@dataclass(frozen=True, slots=True)
class Grown:
    """Events up to `last` of the current run are durable."""

    now_ms: int
    run: str
    last: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """The answer to `Load`: events after `after`, consecutive; empty where the rows are not there."""

    now_ms: int
    run: str
    after: int
    items: Sequence[Spliced]


@dataclass(frozen=True, slots=True)
class CursorMoved:
    """The store accepted an acknowledgement."""

    now_ms: int
    run: str
    upto: int


@dataclass(frozen=True, slots=True)
class CursorRefused:
    """The store refused an acknowledgement: nothing changed there."""

    now_ms: int
    run: str
    upto: int
    trouble: Trouble
    detail: str


@dataclass(frozen=True, slots=True)
class Rewound:
    """The answer to `Rewind`: the run counts as acknowledged up to `upto` again; `pruned` is what is gone for good."""

    now_ms: int
    state: RunState
    upto: int
    pruned: Tomb | None = None


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The answer to `Reconcile`: so many acknowledged runs have to go out again; `missing` says what was not found."""

    now_ms: int
    moved: int
    missing: str = ""


@dataclass(frozen=True, slots=True)
class ChunkStaged:
    """The answer to `StageChunk`."""

    now_ms: int
    snap: str
    i: int


@dataclass(frozen=True, slots=True)
class DirectoryStaged:
    """The answer to `StageEnd`: the device decides from this directory now."""

    now_ms: int
    ref: DirectoryRef


@dataclass(frozen=True, slots=True)
class DirectoryFailed:
    """Staging failed; the old directory stands."""

    now_ms: int
    detail: str


@dataclass(frozen=True, slots=True)
class CommandFinished:
    """A command ended, physically."""

    now_ms: int
    result: CommandResult


@dataclass(frozen=True, slots=True)
class AnchorKnown:
    """The wall clock of a boot is known now."""

    now_ms: int
    anchor: Anchor


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""

    now_ms: int


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is gone; `code` is its close code, where there was one."""

    now_ms: int
    code: int | None = None


Input = (
    Opened | Received | Unreadable | Grown | Loaded | CursorMoved | CursorRefused | Rewound | Reconciled | ChunkStaged
    | DirectoryStaged | DirectoryFailed | CommandFinished | AnchorKnown | Tick | Disconnected
)  # fmt: skip


# Effects


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message."""

    message: Message


@dataclass(frozen=True, slots=True)
class SendEvents:
    """Send a batch, spliced as it is stored."""

    run: str
    first: int
    spliced: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SendHeartbeat:
    """Send the device's health; `mono_ms` is the moment that central echoes."""

    mono_ms: int


@dataclass(frozen=True, slots=True)
class RenewLease:
    """Mint a token and send `auth.refresh`."""


@dataclass(frozen=True, slots=True)
class Load:
    """Read events after `after`: at most so many, at most so many bytes, but at least one."""

    run: str
    after: int
    max_events: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class MoveCursor:
    """Central holds the run up to `upto`, its chain stands at `head`: check it and move the cursor."""

    run: str
    upto: int
    head: bytes


@dataclass(frozen=True, slots=True)
class Rewind:
    """Central holds less than it once acknowledged: move the cursor of the run back to `upto`."""

    run: str
    upto: int


@dataclass(frozen=True, slots=True)
class Reconcile:
    """Runs that count as acknowledged were not in `hello`; this is the last that central knows (None: it knows none).

    Where the store holds that run beyond `upto`, or later ones, rewind them; where it does not know the run, say so.
    """

    last_run: RunAck | None


@dataclass(frozen=True, slots=True)
class RunCommand:
    """Carry a command out, once. It may begin only before `begin_before_ms`."""

    command: Command
    begin_before_ms: int


@dataclass(frozen=True, slots=True)
class ForgetCommand:
    """Central recorded the result of a command."""

    id: str


@dataclass(frozen=True, slots=True)
class StageBegin:
    """Begin to stage a snapshot."""

    message: DirBegin


@dataclass(frozen=True, slots=True)
class StageChunk:
    """Stage part of a snapshot."""

    message: DirChunk


@dataclass(frozen=True, slots=True)
class StageEnd:
    """Check the staged snapshot and decide from it."""

    message: DirEnd


@dataclass(frozen=True, slots=True)
class KeepReconnect:
    """How central wants the device to come back; outlives the process."""

    values: Reconnect


@dataclass(frozen=True, slots=True)
class Welcomed:
    """The session stands."""

    session: int


@dataclass(frozen=True, slots=True)
class ServerTime:
    """Central's clock showed `server_ms` at some moment between `asked_ms` and `answered_ms`."""

    asked_ms: int
    answered_ms: int
    server_ms: int


@dataclass(frozen=True, slots=True)
class Parted:
    """Central announced that it closes, and how to come back."""

    code: int
    retry_after_ms: int
    spread_ms: int


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection."""

    code: int
    why: str


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Feed a `Tick` at this moment; replaces the one before."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Report:
    """Tell the operator."""

    trouble: Trouble
    detail: str


Effect = (
    Send | SendEvents | SendHeartbeat | RenewLease | Load | MoveCursor | Rewind | Reconcile | RunCommand | ForgetCommand
    | StageBegin | StageChunk | StageEnd | KeepReconnect | Welcomed | ServerTime | Parted | Close | WakeAt | Report
)  # fmt: skip

Effects = tuple[Effect, ...]

FINAL_STATES = frozenset({CommandState.DONE, CommandState.FAILED, CommandState.EXPIRED, CommandState.UNKNOWN})
"""States in which a command has ended."""
