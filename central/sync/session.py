"""Central's half of the conversation with one device. Pure: `step(state, input) -> (state, effects)`.

One `State` lives as long as one connection. Time is an argument; a timer is the effect `WakeAt`. Whatever a device
sends, the answer is an effect: at worst `Close`, after which every input is ignored.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from central.sync.delivery import Delivery
from central.sync.exchange import (
    CheckToken,
    Close,
    CommandDue,
    CommandMarked,
    CommandsLoaded,
    Connected,
    DirectoryChanged,
    DirectoryLoaded,
    Effects,
    Ended,
    HeartbeatKept,
    Ingested,
    Input,
    KeepAnchor,
    KeepDirState,
    KeepHeartbeat,
    KeepReply,
    LoadCommands,
    Missing,
    Now,
    Opened,
    OpenSession,
    Received,
    ReplyKept,
    Report,
    Send,
    Terms,
    Tick,
    TokenChecked,
    Unreadable,
    WakeAt,
)
from central.sync.greeting import fault_of, is_id, welcome_of
from central.sync.intake import Intake
from central.sync.orders import ordered, sent
from wire.errors import RemoteProtocolError
from wire.message import Message
from wire.messages import (
    Anchor,
    AuthOk,
    AuthRefresh,
    Bye,
    CommandAck,
    CommandDone,
    CommandResult,
    Error,
    Events,
    Heartbeat,
    HeartbeatAck,
    Hello,
    Tomb,
)
from wire.transfer import DirGot, DirResync, DirState
from wire.version import SPOKEN, negotiate
from wire.vocabulary import CloseCode, CommandState, ErrorCode

HELLO_WITHIN_MS: Final = 10_000
SILENT_BEATS: Final = 3
"""Heartbeats that may be missed before the connection counts as dead."""
MAX_COMPLAINTS: Final = 100
"""Messages that cannot be used before the connection is closed: an endless error loop helps nobody."""
_MAX_DETAIL: Final = 200
_ACK_STATES: Final = (CommandState.QUEUED, CommandState.DUPLICATE, CommandState.EXPIRED, CommandState.REFUSED)
_END_STATES: Final = (CommandState.DONE, CommandState.FAILED, CommandState.EXPIRED, CommandState.UNKNOWN)


class Phase(StrEnum):
    """Where the conversation stands."""

    GREETING = "greeting"
    OPENING = "opening"
    LIVE = "live"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class State:
    """Everything that the session knows; `device` is whom the token admitted."""

    device: str
    terms: Terms = field(default_factory=Terms)
    phase: Phase = Phase.GREETING
    hello: Hello | None = None
    proto: int = 0
    session: int = 0
    heard_ms: int = 0
    lease_ends_ms: int = 0
    complaints: int = 0
    intake: Intake = field(default_factory=Intake)
    delivery: Delivery = field(default_factory=Delivery)
    wake_ms: int | None = None


def step(state: State, event: Input) -> tuple[State, Effects]:
    """Take one input; return the next state and what to do, in order."""
    if state.phase is Phase.CLOSED:
        return state, ()
    state, effects = _HANDLERS[type(event)](state, event)
    if any(isinstance(effect, Close) for effect in effects):
        return replace(state, phase=Phase.CLOSED, delivery=Delivery(), wake_ms=None), effects
    wake_ms = _wake_ms(state)
    if wake_ms != state.wake_ms:
        effects = (*effects, WakeAt(wake_ms))
    return replace(state, wake_ms=wake_ms), effects


def _wake_ms(state: State) -> int:
    if state.phase is not Phase.LIVE:
        return state.heard_ms + HELLO_WITHIN_MS
    moments = [_silent_ms(state), state.lease_ends_ms]
    if state.delivery.wake_ms is not None:
        moments.append(state.delivery.wake_ms)
    return min(moments)


def _silent_ms(state: State) -> int:
    return state.heard_ms + int(state.terms.hb_s * 1000) * SILENT_BEATS


def _closing(code: CloseCode, why: str) -> Effects:
    return (Close(code, why[:_MAX_DETAIL]),)


# The connection's beginning and end


def _on_connected(state: State, event: Connected) -> tuple[State, Effects]:
    return replace(state, heard_ms=event.now.mono_ms), ()


def _on_hello(state: State, hello: Hello, now: Now) -> tuple[State, Effects]:
    if state.phase is not Phase.GREETING:
        return state, (_complaint(ErrorCode.UNEXPECTED, "a second hello"), *_closing(CloseCode.PROTOCOL, "hello"))
    fault = fault_of(hello, state.device)
    if fault is not None:
        return state, (_complaint(ErrorCode.MALFORMED, fault), *_closing(CloseCode.PROTOCOL, fault))
    try:
        proto = negotiate(SPOKEN, hello.proto)
    except RemoteProtocolError as refusal:
        return state, (_complaint(refusal.code, refusal.detail), *_closing(CloseCode.UPGRADE, refusal.detail))
    return replace(state, phase=Phase.OPENING, hello=hello, proto=proto), (OpenSession(hello),)


def _on_opened(state: State, opened: Opened) -> tuple[State, Effects]:
    hello = state.hello
    assert hello is not None
    state = replace(
        state,
        phase=Phase.LIVE,
        session=opened.session,
        heard_ms=opened.now.mono_ms,
        lease_ends_ms=opened.now.mono_ms + state.terms.lease_s * 1000,
        intake=Intake.of(state.terms.limits, opened.runs),
    )
    delivery, effects = Delivery.opened(hello, opened.directory, opened.now.mono_ms, state.terms.chunk_rows)
    welcome = Send(welcome_of(hello, opened, state.terms, state.proto))
    return replace(state, delivery=delivery), (welcome, *effects, *ordered(opened.commands, opened.now))


def _on_ended(state: State, event: Ended) -> tuple[State, Effects]:
    if event.retry_after_ms is None:
        return state, _closing(event.close, event.why)
    spread_ms = state.terms.reconnect.spread_ms
    bye = Bye(code=event.close, retry_after_ms=event.retry_after_ms, spread_ms=spread_ms)
    return state, (Send(bye), *_closing(event.close, event.why))


def _on_tick(state: State, tick: Tick) -> tuple[State, Effects]:
    now_ms = tick.now.mono_ms
    if state.phase is not Phase.LIVE:
        if now_ms >= state.heard_ms + HELLO_WITHIN_MS:
            return state, _closing(CloseCode.OVERDUE, f"no hello within {HELLO_WITHIN_MS} ms")
        return state, ()
    if now_ms >= _silent_ms(state):
        return state, _closing(CloseCode.OVERDUE, f"nothing heard for {SILENT_BEATS} heartbeats")
    if now_ms >= state.lease_ends_ms:
        return state, _closing(CloseCode.TOKEN, "the lease ended without a new token")
    delivery, effects = state.delivery.ticked(now_ms)
    return replace(state, delivery=delivery), effects


# What the device sends


def _on_received(state: State, event: Received) -> tuple[State, Effects]:
    message, now = event.message, event.now
    if isinstance(message, Hello):
        return _on_hello(state, message, now)
    if isinstance(message, Error | Bye):
        return state, (Report(f"device_{message.type}", f"{message.code}: {_detail_of(message)}"),)
    if state.phase is not Phase.LIVE:
        detail = f"{message.type} before welcome"
        return state, (_complaint(ErrorCode.UNEXPECTED, detail), *_closing(CloseCode.PROTOCOL, detail))
    return _MESSAGES[type(message)](replace(state, heard_ms=now.mono_ms), message, now)


def _detail_of(message: Error | Bye) -> str:
    return ascii(message.detail[:_MAX_DETAIL]) if isinstance(message, Error) else "the device is about to leave"


def _on_unreadable(state: State, event: Unreadable) -> tuple[State, Effects]:
    return _complained(state, event.code, event.detail, event.close)


def _complained(
    state: State, code: ErrorCode, detail: str, close: CloseCode | None = None, ref: str | None = None
) -> tuple[State, Effects]:
    effects: Effects = (_complaint(code, detail, ref),)
    state = replace(state, complaints=state.complaints + 1)
    if close is None and state.complaints >= MAX_COMPLAINTS:
        close = CloseCode.PROTOCOL
    return state, effects if close is None else (*effects, *_closing(close, detail))


def _complaint(code: ErrorCode, detail: str, ref: str | None = None) -> Send:
    return Send(Error(code=code, detail=detail[:_MAX_DETAIL], ref=ref))


def _on_events(state: State, message: Events, _now: Now) -> tuple[State, Effects]:
    intake, effects = state.intake.events(message)
    return _taken_in(state, intake, effects)


def _on_tomb(state: State, message: Tomb, _now: Now) -> tuple[State, Effects]:
    intake, effects = state.intake.tomb(message)
    return _taken_in(state, intake, effects)


def _taken_in(state: State, intake: Intake, effects: Effects) -> tuple[State, Effects]:
    state = replace(state, intake=intake)
    if len(effects) == 1 and isinstance(effects[0], Send) and isinstance(effects[0].message, Error):
        error = effects[0].message
        return _complained(state, error.code, error.detail, ref=error.ref)
    return state, effects


def _on_anchor(state: State, anchor: Anchor, _now: Now) -> tuple[State, Effects]:
    if not is_id(anchor.boot):
        return _complained(state, ErrorCode.MALFORMED, f"anchor of boot {anchor.boot[:40]!a}")
    return state, (KeepAnchor(anchor),)


def _on_heartbeat(state: State, heartbeat: Heartbeat, now: Now) -> tuple[State, Effects]:
    return state, (KeepHeartbeat(heartbeat, heartbeat.wall_ms - now.wall_ms),)


def _on_auth_refresh(state: State, message: AuthRefresh, _now: Now) -> tuple[State, Effects]:
    return state, (CheckToken(message.token),)


def _on_dir_got(state: State, message: DirGot, now: Now) -> tuple[State, Effects]:
    delivery, effects = state.delivery.got(message, now.mono_ms)
    return replace(state, delivery=delivery), effects


def _on_dir_state(state: State, message: DirState, now: Now) -> tuple[State, Effects]:
    if message.epoch and not is_id(message.epoch):
        return _complained(state, ErrorCode.MALFORMED, f"dir.state of epoch {message.epoch[:40]!a}")
    delivery, effects = state.delivery.settled(message, now.mono_ms)
    refused = message.refused
    if refused is not None:
        why = f"version {refused.ver}: {refused.code}: {refused.detail[:_MAX_DETAIL]!a}"
        effects = (Report("directory_refused", why), *effects)
    return replace(state, delivery=delivery), (KeepDirState(message), *effects)


def _on_dir_resync(state: State, message: DirResync, now: Now) -> tuple[State, Effects]:
    delivery, effects = state.delivery.given_up(now.mono_ms)
    report = Report("directory_resync", ascii(message.why[:_MAX_DETAIL]))
    return replace(state, delivery=delivery), (report, *effects)


def _on_command_ack(state: State, message: CommandAck, _now: Now) -> tuple[State, Effects]:
    if message.state not in _ACK_STATES:
        return _complained(state, ErrorCode.MALFORMED, f"cmd.ack says {message.state}", ref=message.id[:40])
    return state, (KeepReply(message.id, message.state, is_result=False),)


def _on_command_result(state: State, message: CommandResult, _now: Now) -> tuple[State, Effects]:
    if message.state not in _END_STATES:
        return _complained(state, ErrorCode.MALFORMED, f"cmd.result says {message.state}", ref=message.id[:40])
    return state, (KeepReply(message.id, message.state, is_result=True, code=message.code, out=message.out),)


_MESSAGES: Final[dict[type[Message], Callable[[State, Any, Now], tuple[State, Effects]]]] = {
    Events: _on_events,
    Tomb: _on_tomb,
    Anchor: _on_anchor,
    Heartbeat: _on_heartbeat,
    AuthRefresh: _on_auth_refresh,
    DirGot: _on_dir_got,
    DirState: _on_dir_state,
    DirResync: _on_dir_resync,
    CommandAck: _on_command_ack,
    CommandResult: _on_command_result,
}


# What was done


def _on_ingested(state: State, event: Ingested) -> tuple[State, Effects]:
    intake, effects = state.intake.ingested(event)
    return replace(state, intake=intake), effects


def _on_missing(state: State, event: Missing) -> tuple[State, Effects]:
    intake, effects = state.intake.missing(event)
    return replace(state, intake=intake), effects


def _on_heartbeat_kept(state: State, event: HeartbeatKept) -> tuple[State, Effects]:
    delivery, more = state.delivery.compared(event.directory, event.shown_dir_ver, event.now.mono_ms)
    ack = HeartbeatAck(
        echo_mono_ms=event.echo_mono_ms,
        server_ms=event.now.wall_ms,
        dir_ver=event.directory.ver,
        cmds_pending=len(event.commands),
    )
    return replace(state, delivery=delivery), (Send(ack), *more, *ordered(event.commands, event.now))


def _on_directory_loaded(state: State, event: DirectoryLoaded) -> tuple[State, Effects]:
    delivery, effects = state.delivery.loaded(event)
    return replace(state, delivery=delivery), effects


def _on_commands_loaded(state: State, event: CommandsLoaded) -> tuple[State, Effects]:
    return state, ordered(event.commands, event.now)


def _on_command_marked(state: State, event: CommandMarked) -> tuple[State, Effects]:
    return state, sent(event.command, event.now)


def _on_reply_kept(state: State, event: ReplyKept) -> tuple[State, Effects]:
    # A device keeps a result until it is confirmed, so one of an unknown command is confirmed as well.
    done: Effects = (Send(CommandDone(id=event.id)),) if event.is_result else ()
    if event.is_known:
        return state, done
    state, complaint = _complained(state, ErrorCode.UNEXPECTED, "no such command", ref=event.id[:40])
    return state, (*done, *complaint)


def _on_token_checked(state: State, event: TokenChecked) -> tuple[State, Effects]:
    if event.close is not None:
        return state, _closing(event.close, "the new token was refused")
    state = replace(state, lease_ends_ms=event.now.mono_ms + state.terms.lease_s * 1000)
    return state, (Send(AuthOk(lease_s=state.terms.lease_s)),)


def _on_directory_changed(state: State, event: DirectoryChanged) -> tuple[State, Effects]:
    if state.phase is not Phase.LIVE:
        return state, ()
    delivery, effects = state.delivery.wanted(event.now.mono_ms)
    return replace(state, delivery=delivery), effects


def _on_command_due(state: State, _event: CommandDue) -> tuple[State, Effects]:
    return state, (LoadCommands(),) if state.phase is Phase.LIVE else ()


_HANDLERS: Final[dict[type[Input], Callable[[State, Any], tuple[State, Effects]]]] = {
    Connected: _on_connected,
    Received: _on_received,
    Unreadable: _on_unreadable,
    Opened: _on_opened,
    Ingested: _on_ingested,
    Missing: _on_missing,
    HeartbeatKept: _on_heartbeat_kept,
    DirectoryLoaded: _on_directory_loaded,
    CommandsLoaded: _on_commands_loaded,
    CommandMarked: _on_command_marked,
    ReplyKept: _on_reply_kept,
    TokenChecked: _on_token_checked,
    DirectoryChanged: _on_directory_changed,
    CommandDue: _on_command_due,
    Ended: _on_ended,
    Tick: _on_tick,
}
