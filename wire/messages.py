"""Every message of `doorstile.v1`, as it stands in a frame's `payload`.

A frame is a JSON text `{"type": ..., "payload": {...}}`. Wire changes only add fields; a removal or a change of meaning
bumps the protocol version. Unknown fields are ignored. Names ending in `_ms` are milliseconds, `mono_ms` monotonic
since the device's boot, `wall_ms` and `server_ms` since 1970.
"""

from typing import ClassVar, Final

import msgspec

from wire.limits import Limits, Number, Reconnect, Whole
from wire.message import Message
from wire.presence import PresDelta, PresenceRef, PresState
from wire.transfer import DirBegin, DirChunk, DirDelta, DirectoryRef, DirEnd, DirGot, DirResync, DirState
from wire.version import VersionRange
from wire.vocabulary import (
    ClockQuality,
    CommandMode,
    CommandState,
    DirectoryMode,
    ErrorCode,
    RejectCode,
    TombReason,
)


class RunState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run of the journal: `last` exists, `acked` is acknowledged and `head` is h(acked), hex.

    `prev_n` and `prev_head` are the end of the run before, which h(0) covers.
    """

    run: str
    ord: Whole
    last: Whole
    acked: Whole
    head: str
    prev_n: Whole = 0
    prev_head: str = ""


class RunAck(msgspec.Struct, frozen=True):
    """What central holds of a run: everything up to `upto`, where the chain stands at `head` (hex)."""

    run: str
    upto: Whole
    head: str


class CommandRef(msgspec.Struct, frozen=True):
    """A command that the device remembers, and where it stands."""

    id: str
    state: CommandState


class ClockReading(msgspec.Struct, frozen=True):
    """Both clocks of the device, read at one moment."""

    mono_ms: Whole
    wall_ms: Whole
    q: ClockQuality


class Backlog(msgspec.Struct, frozen=True):
    """What waits to be sent."""

    events: Whole
    bytes: Whole
    oldest_age_s: Whole


class Hello(Message, frozen=True, kw_only=True):
    """The device's first message on a connection.

    `forms` are those that its readers yield, as `kind/form`; a `desk` reads cards for enrolment and has no door.
    `keys` names those of the credential index by which it looks up, newest first (`wire.credentials.key_id`).
    """

    type: ClassVar[str] = "hello"
    device: str
    store: str
    boot: str
    agent: str
    proto: VersionRange
    runs: list[RunState]
    clock: ClockReading
    backlog: Backlog
    feat: list[str] = []
    more: bool = False
    dir: DirectoryRef | None = None
    pres: PresenceRef | None = None
    cmds: list[CommandRef] = []
    reason: str = "start"
    forms: list[str] = []
    desk: bool = False
    keys: list[str] = []


class Welcome(Message, frozen=True, kw_only=True):
    """Central's answer to `hello`; after it, events flow.

    `dir_key` is the Ed25519 key (64 hex digits) that signs directories: a device that joined before there was one pins
    the first that it is told. `tz` is the IANA name of the site's time zone, for a device whose site has no book; empty
    where central does not know it either.
    """

    type: ClassVar[str] = "welcome"
    session: Whole
    server_ms: Whole
    proto: Whole
    runs: list[RunAck]
    limits: Limits
    hb_s: float
    ack_timeout_s: float
    lease_s: Whole
    reconnect: Reconnect
    dir: DirectoryRef
    dir_mode: DirectoryMode
    feat: list[str] = []
    last_run: RunAck | None = None
    dir_key: str = ""
    pres: PresenceRef | None = None
    tz: str = ""


class Events(Message, frozen=True, kw_only=True):
    """A batch of consecutive events of one run, each as its stored text with `digest` spliced in front."""

    type: ClassVar[str] = "events"
    run: str
    first: Number = msgspec.field(name="from")
    ev: list[msgspec.Raw]


class Rejection(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event that central could not apply and keeps as a dead letter."""

    n: Number
    code: RejectCode
    detail: str = ""


class Ack(Message, frozen=True, kw_only=True):
    """Central committed everything up to `upto`; rejected events count as acknowledged."""

    type: ClassVar[str] = "ack"
    run: str
    upto: Whole
    head: str
    window: Whole
    rej: list[Rejection] = []


class Nack(Message, frozen=True, kw_only=True):
    """Central misses events of a run and expects number `expect` next."""

    type: ClassVar[str] = "nack"
    run: str
    expect: Number


class Anchor(Message, frozen=True, kw_only=True):
    """What the wall clock truly was at a monotonic moment of a boot; corrects earlier events. Idempotent."""

    type: ClassVar[str] = "anchor"
    boot: str
    mono_ms: Whole
    wall_ms: Whole
    err_ms: Whole


class Tomb(Message, frozen=True, kw_only=True):
    """A declared loss: events `first` to `to` of a run can never be sent. Acknowledged like events.

    `head` is h(to), hex, where the device still knows it; without it central continues the chain from the next event
    and raises an alarm.
    """

    type: ClassVar[str] = "tomb"
    run: str
    first: Number = msgspec.field(name="from")
    to: Number
    why: TombReason
    count: Whole
    head: str | None = None


class Command(Message, frozen=True, kw_only=True):
    """Do something now. `age_ms` is how old the command was when it was sent, at `server_ms`."""

    type: ClassVar[str] = "cmd"
    id: str
    name: str
    mode: CommandMode
    ttl_ms: Whole
    age_ms: Whole
    server_ms: Whole
    args: dict[str, str] = {}


class CommandAck(Message, frozen=True, kw_only=True):
    """The device has the command; `state` is queued, dup, expired or refused."""

    type: ClassVar[str] = "cmd.ack"
    id: str
    state: CommandState


class CommandResult(Message, frozen=True, kw_only=True):
    """How the command ended, physically; `state` is done, failed, expired or unknown."""

    type: ClassVar[str] = "cmd.result"
    id: str
    state: CommandState
    code: str = ""
    out: str = ""


class CommandDone(Message, frozen=True, kw_only=True):
    """Central recorded the result: the device may forget the command."""

    type: ClassVar[str] = "cmd.done"
    id: str


class Heartbeat(Message, frozen=True, kw_only=True):
    """Health of the device, and the versions it holds."""

    type: ClassVar[str] = "heartbeat"
    mono_ms: Whole
    wall_ms: Whole
    q: ClockQuality
    backlog: Whole
    oldest_age_s: Whole = 0
    wal_bytes: Whole = 0
    rss_bytes: Whole = 0
    disk_free_bytes: Whole = 0
    drops: Whole = 0
    dir_ver: Whole = 0
    pres_ver: Whole = 0
    readers: list[str] = []
    door: str = ""
    reconnects: Whole = 0
    rtt_ms: Whole = 0
    errors: Whole = 0


class HeartbeatAck(Message, frozen=True, kw_only=True):
    """Central heard the heartbeat of `echo_mono_ms`; its versions are the truth that pushes only hint at."""

    type: ClassVar[str] = "heartbeat_ack"
    echo_mono_ms: Whole
    server_ms: Whole
    dir_ver: Whole
    cmds_pending: Whole = 0
    pres_ver: Whole = 0


class AuthRefresh(Message, frozen=True, kw_only=True):
    """A fresh token inside the connection, before the lease ends."""

    type: ClassVar[str] = "auth.refresh"
    token: str


class AuthOk(Message, frozen=True, kw_only=True):
    """The lease runs for another `lease_s` seconds."""

    type: ClassVar[str] = "auth.ok"
    lease_s: Whole


class Error(Message, frozen=True, kw_only=True):
    """The other side could not use a message; the connection stays."""

    type: ClassVar[str] = "error"
    code: ErrorCode
    detail: str = ""
    ref: str | None = None
    retryable: bool = False
    retry_after_ms: Whole | None = None


class Bye(Message, frozen=True, kw_only=True):
    """The sender is about to close with `code`; a device comes back after `retry_after_ms`, spread over `spread_ms`."""

    type: ClassVar[str] = "bye"
    code: Whole
    retry_after_ms: Whole | None = None
    spread_ms: Whole | None = None


FROM_AGENT: Final[tuple[type[Message], ...]] = (
    Hello, Events, Anchor, Tomb, DirGot, DirResync, DirState, PresState, CommandAck, CommandResult, Heartbeat,
    AuthRefresh, Error, Bye,
)  # fmt: skip
FROM_CENTRAL: Final[tuple[type[Message], ...]] = (
    Welcome, Ack, Nack, DirBegin, DirChunk, DirEnd, DirDelta, PresDelta, Command, CommandDone, HeartbeatAck, AuthOk,
    Error, Bye,
)  # fmt: skip
