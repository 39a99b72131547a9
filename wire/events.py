"""What an event in the journal says: one body for each `EventKind`.

An event's text is a JSON object {n, kind, boot, mono_ms, wall_ms, q, err_ms?, body}; it is written once, on the
device, and never changes.
"""

from typing import Final

import msgspec

from wire.facts import DoorFacts, PassFacts, PresenceFacts
from wire.limits import MAX_EVENT_DEPTH, Number, Whole
from wire.vocabulary import (
    ClockQuality,
    CommandName,
    CommandState,
    CredentialKind,
    Direction,
    DoorChange,
    DoorMode,
    EventKind,
    HolderKind,
    ModeCause,
    Notice,
    Outcome,
    PassageOutcome,
    PassageSense,
    Reason,
    ShedReason,
)


class Body(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all event bodies."""


class StartedBody(Body, frozen=True, kw_only=True):
    """The agent started a run. `senses` is what tells of a passage here; with `pulse` no grant is ever unused."""

    agent: str
    reason: str = "start"
    senses: PassageSense | None = None


class Receipt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Enough to make the decision again: the directory, the rules, and a digest of the facts that went in.

    Credential, direction and time stand in the event itself; what else differed from its default stands here. `scope`
    is `site` where presence was the whole site's, else `device`.
    """

    dir_epoch: str
    dir_ver: Whole
    rules: Whole
    input: str
    scope: str = "device"
    stale_s: Whole = 0
    door: DoorFacts | None = None
    presence: PresenceFacts | None = None
    passed: PassFacts | None = None


class DecisionBody(Body, frozen=True, kw_only=True):
    """One presentation and what was decided; `credential` is the keyed index, never the raw value."""

    door: str
    reader: str
    direction: Direction
    kind: CredentialKind
    credential: str
    outcome: Outcome
    reason: Reason
    receipt: Receipt
    member: str | None = None
    holder: HolderKind = HolderKind.MEMBER
    notices: list[Notice] = []


class PassageBody(Body, frozen=True, kw_only=True):
    """How the grant (run, n) ended; `sense` is what told so, where anything did."""

    of_run: str
    of_n: Number
    outcome: PassageOutcome
    member: str | None = None
    direction: Direction | None = None
    sense: PassageSense | None = None


class ReadFaultBody(Body, frozen=True, kw_only=True):
    """A read that yielded no credential; `detail` is short, escaped and holds no card digits."""

    reader: str
    fault: str
    detail: str = ""


class CommandBegunBody(Body, frozen=True, kw_only=True):
    """A command is about to act; durable before it does."""

    id: str
    name: CommandName
    actor: str = ""


class CommandResultBody(Body, frozen=True, kw_only=True):
    """How a command ended, physically."""

    id: str
    name: CommandName
    state: CommandState
    code: str = ""
    out: str = ""


class AlarmBody(Body, frozen=True, kw_only=True):
    """Something staff should look at; `code` is one of AlarmCode, or of a newer agent's."""

    code: str
    detail: str = ""


class DoorBody(Body, frozen=True, kw_only=True):
    """The door or its turnstile moved, or somebody asked to leave; `input` is its name in the profile."""

    door: str
    what: DoorChange
    input: str = ""


class ModeBody(Body, frozen=True, kw_only=True):
    """What the door does from here on; `lockdown` is the level in force, 0 is none, and outweighs the mode.

    `for_ms` is after how long it ends by itself, where it does.
    """

    door: str
    mode: DoorMode
    cause: ModeCause
    actor: str = ""
    lockdown: Whole = 0
    for_ms: Whole | None = None


BODIES: Final[dict[EventKind, type[Body]]] = {
    EventKind.STARTED: StartedBody,
    EventKind.DECISION: DecisionBody,
    EventKind.PASSAGE: PassageBody,
    EventKind.READ_FAULT: ReadFaultBody,
    EventKind.COMMAND_BEGUN: CommandBegunBody,
    EventKind.COMMAND_RESULT: CommandResultBody,
    EventKind.ALARM: AlarmBody,
    EventKind.DOOR: DoorBody,
    EventKind.MODE: ModeBody,
}


class Stamp(msgspec.Struct, frozen=True, omit_defaults=True):
    """When, on the device: monotonic ms since boot `boot`, wall ms since 1970 and how far to trust it."""

    boot: str
    mono_ms: Whole
    wall_ms: Whole
    q: ClockQuality
    err_ms: Whole | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """An event as its text reads; `body` stays raw until its kind is known."""

    n: Number
    kind: str
    boot: str
    mono_ms: Whole
    wall_ms: Whole
    q: ClockQuality
    body: msgspec.Raw
    err_ms: Whole | None = None


class Stub(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands for event `n` once its text is gone, or too large to send; its digest keeps the chain whole.

    A text with any other member is an event, whatever it claims: a stub escapes the comparison of digests.
    """

    n: Number
    shed: ShedReason


class _Rest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    kind: EventKind
    boot: str
    mono_ms: Whole
    wall_ms: Whole
    q: ClockQuality
    err_ms: Whole | None = None
    body: Body


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Event).decode
_decode_stub = msgspec.json.Decoder(Stub).decode
_body_decoders: Final = {kind: msgspec.json.Decoder(body).decode for kind, body in BODIES.items()}


def write_tail(kind: EventKind, at: Stamp, body: Body) -> bytes:
    """Return the text of an event without its number: everything after `{"n":N,`."""
    rest = _Rest(kind=kind, boot=at.boot, mono_ms=at.mono_ms, wall_ms=at.wall_ms, q=at.q, err_ms=at.err_ms, body=body)
    return _encode(rest)[1:]


def number(n: int, tail: bytes) -> bytes:
    """Return the whole text of event `n` from its tail."""
    return b'{"n":%d,' % n + tail


def is_text_of(n: int, text: bytes) -> bool:
    """True where a text made by `number` is that of event `n`."""
    return text.startswith(b'{"n":%d,' % n)


def stub(n: int, why: ShedReason) -> bytes:
    """Return what is spliced with the digest of event `n` in place of its text; the digest does not cover it."""
    return _encode(Stub(n, why))


def read_stub(text: bytes) -> Stub | None:
    """Return the stub in a text, or None for any other text; ask before comparing the digest."""
    try:
        return _decode_stub(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def read_event(text: bytes) -> Event:
    """Parse an event's text; raise msgspec.DecodeError (ValidationError among them) where it is none or too deep."""
    if text.count(b"[") + text.count(b"{") > MAX_EVENT_DEPTH and _depth(text) > MAX_EVENT_DEPTH:
        raise msgspec.ValidationError(f"event nests deeper than {MAX_EVENT_DEPTH} levels")
    try:
        return _decode(text)
    except UnicodeDecodeError as fault:
        raise msgspec.DecodeError(f"not UTF-8: {fault}") from fault


def read_body(event: Event) -> Body | None:
    """Parse an event's body; None for a kind that this version does not know; raise msgspec.DecodeError as above."""
    try:
        kind = EventKind(event.kind)
    except ValueError:
        return None
    try:
        return _body_decoders[kind](event.body)
    except UnicodeDecodeError as fault:
        raise msgspec.DecodeError(f"not UTF-8: {fault}") from fault


def _depth(text: bytes) -> int:
    depth = deepest = 0
    in_string = escaped = False
    for byte in text:
        if in_string:
            in_string, escaped = escaped or byte != 0x22, byte == 0x5C and not escaped
        elif byte == 0x22:
            in_string = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest
