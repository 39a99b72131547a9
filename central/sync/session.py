"""Central's half of the conversation with one device. Pure: `step(state, input) -> (state, effects)`.

One `State` lives as long as one connection. Time is an argument; a timer is the effect `WakeAt`. Whatever a device
sends, the answer is an effect: at worst `Close`, after which every input is ignored.
"""

from collections.abc import Callable
from dataclasses import replace
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
    PresenceChanged,
    PresenceLoaded,
    Received,
    ReplyKept,
    Report,
    Send,
    Tick,
    TokenChecked,
    Unreadable,
    WakeAt,
)
from central.sync.greeting import fault_of, is_id, welcome_of
from central.sync.intake import Intake
from central.sync.orders import ordered, sent
from central.sync.sharing import Sharing
from central.sync.state import MAX_COMPLAINTS, MAX_DETAIL, Phase, State, closing, complained, complaint
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
from wire.presence import PresState
from wire.transfer import DirGot, DirResync, DirState
from wire.version import SPOKEN, negotiate
from wire.vocabulary import CloseCode, CommandState, ErrorCode

__all__ = ["HELLO_WITHIN_MS", "MAX_COMPLAINTS", "SILENT_BEATS", "Phase", "State", "step"]

HELLO_WITHIN_MS: Final = 10_000
SILENT_BEATS: Final = 3
"""Heartbeats that may be missed before the connection counts as dead."""
_ACK_STATES: Final = (CommandState.QUEUED, CommandState.DUPLICATE, CommandState.EXPIRED, CommandState.REFUSED)
_END_STATES: Final = (CommandState.DONE, CommandState.FAILED, CommandState.EXPIRED, CommandState.UNKNOWN)


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


# The connection's beginning and end


def _on_connected(state: State, event: Connected) -> tuple[State, Effects]:
    return replace(state, heard_ms=event.now.mono_ms), ()


def _on_hello(state: State, hello: Hello, now: Now) -> tuple[State, Effects]:
    if state.phase is not Phase.GREETING:
        return state, (complaint(ErrorCode.UNEXPECTED, "a second hello"), *closing(CloseCode.PROTOCOL, "hello"))
    fault = fault_of(hello, state.device)
    if fault is not None:
        return state, (complaint(ErrorCode.MALFORMED, fault), *closing(CloseCode.PROTOCOL, fault))
    try:
        proto = negotiate(SPOKEN, hello.proto)
    except RemoteProtocolError as refusal:
        return state, (complaint(refusal.code, refusal.detail), *closing(CloseCode.UPGRADE, refusal.detail))
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
    sharing, more = Sharing.opened(hello)
    welcome = Send(welcome_of(hello, opened, state.terms, state.proto))
    state = replace(state, delivery=delivery, sharing=sharing)
    return state, (welcome, *effects, *more, *ordered(opened.commands, opened.now))


def _on_ended(state: State, event: Ended) -> tuple[State, Effects]:
    if event.retry_after_ms is None:
        return state, closing(event.close, event.why)
    spread_ms = state.terms.reconnect.spread_ms
    bye = Bye(code=event.close, retry_after_ms=event.retry_after_ms, spread_ms=spread_ms)
    return state, (Send(bye), *closing(event.close, event.why))


def _on_tick(state: State, tick: Tick) -> tuple[State, Effects]:
    now_ms = tick.now.mono_ms
    if state.phase is not Phase.LIVE:
        if now_ms >= state.heard_ms + HELLO_WITHIN_MS:
            return state, closing(CloseCode.OVERDUE, f"no hello within {HELLO_WITHIN_MS} ms")
        return state, ()
    if now_ms >= _silent_ms(state):
        return state, closing(CloseCode.OVERDUE, f"nothing heard for {SILENT_BEATS} heartbeats")
    if now_ms >= state.lease_ends_ms:
        return state, closing(CloseCode.TOKEN, "the lease ended without a new token")
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
        return state, (complaint(ErrorCode.UNEXPECTED, detail), *closing(CloseCode.PROTOCOL, detail))
    return _MESSAGES[type(message)](replace(state, heard_ms=now.mono_ms), message, now)


def _detail_of(message: Error | Bye) -> str:
    return ascii(message.detail[:MAX_DETAIL]) if isinstance(message, Error) else "the device is about to leave"


def _on_unreadable(state: State, event: Unreadable) -> tuple[State, Effects]:
    return complained(state, event.code, event.detail, event.close)


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
        return complained(state, error.code, error.detail, ref=error.ref)
    return state, effects


def _on_anchor(state: State, anchor: Anchor, _now: Now) -> tuple[State, Effects]:
    if not is_id(anchor.boot):
        return complained(state, ErrorCode.MALFORMED, f"anchor of boot {anchor.boot[:40]!a}")
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
        return complained(state, ErrorCode.MALFORMED, f"dir.state of epoch {message.epoch[:40]!a}")
    delivery, effects = state.delivery.settled(message, now.mono_ms)
    refused = message.refused
    if refused is not None:
        why = f"version {refused.ver}: {refused.code}: {refused.detail[:MAX_DETAIL]!a}"
        effects = (Report("directory_refused", why), *effects)
    return replace(state, delivery=delivery), (KeepDirState(message), *effects)


def _on_dir_resync(state: State, message: DirResync, now: Now) -> tuple[State, Effects]:
    delivery, effects = state.delivery.given_up(now.mono_ms)
    report = Report("directory_resync", ascii(message.why[:MAX_DETAIL]))
    return replace(state, delivery=delivery), (report, *effects)


def _on_pres_state(state: State, message: PresState, _now: Now) -> tuple[State, Effects]:
    if message.epoch and not is_id(message.epoch):
        return complained(state, ErrorCode.MALFORMED, f"pres.state of epoch {message.epoch[:40]!a}")
    sharing, effects = state.sharing.settled(message)
    return replace(state, sharing=sharing), effects


def _on_command_ack(state: State, message: CommandAck, _now: Now) -> tuple[State, Effects]:
    if message.state not in _ACK_STATES:
        return complained(state, ErrorCode.MALFORMED, f"cmd.ack says {message.state}", ref=message.id[:40])
    return state, (KeepReply(message.id, message.state, is_result=False),)


def _on_command_result(state: State, message: CommandResult, _now: Now) -> tuple[State, Effects]:
    if message.state not in _END_STATES:
        return complained(state, ErrorCode.MALFORMED, f"cmd.result says {message.state}", ref=message.id[:40])
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
    PresState: _on_pres_state,
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
    sharing, shared = state.sharing.compared(event.presence, event.shown_pres_ver, event.now.mono_ms)
    ack = HeartbeatAck(
        echo_mono_ms=event.echo_mono_ms,
        server_ms=event.now.wall_ms,
        dir_ver=event.directory.ver,
        cmds_pending=len(event.commands),
        pres_ver=0 if event.presence is None else event.presence.ver,
    )
    state = replace(state, delivery=delivery, sharing=sharing)
    return state, (Send(ack), *more, *shared, *ordered(event.commands, event.now))


def _on_directory_loaded(state: State, event: DirectoryLoaded) -> tuple[State, Effects]:
    delivery, effects = state.delivery.loaded(event)
    return replace(state, delivery=delivery), effects


def _on_presence_loaded(state: State, event: PresenceLoaded) -> tuple[State, Effects]:
    sharing, effects = state.sharing.loaded(event.delta, event.now.mono_ms)
    return replace(state, sharing=sharing), effects


def _on_presence_changed(state: State, _event: PresenceChanged) -> tuple[State, Effects]:
    if state.phase is not Phase.LIVE:
        return state, ()
    sharing, effects = state.sharing.wanted()
    return replace(state, sharing=sharing), effects


def _on_commands_loaded(state: State, event: CommandsLoaded) -> tuple[State, Effects]:
    return state, ordered(event.commands, event.now)


def _on_command_marked(state: State, event: CommandMarked) -> tuple[State, Effects]:
    return state, sent(event.command, event.now)


def _on_reply_kept(state: State, event: ReplyKept) -> tuple[State, Effects]:
    # A device keeps a result until it is confirmed, so one of an unknown command is confirmed as well.
    done: Effects = (Send(CommandDone(id=event.id)),) if event.is_result else ()
    if event.is_known:
        return state, done
    state, complaint = complained(state, ErrorCode.UNEXPECTED, "no such command", ref=event.id[:40])
    return state, (*done, *complaint)


def _on_token_checked(state: State, event: TokenChecked) -> tuple[State, Effects]:
    if event.close is not None:
        return state, closing(event.close, "the new token was refused")
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
    PresenceLoaded: _on_presence_loaded,
    PresenceChanged: _on_presence_changed,
    CommandsLoaded: _on_commands_loaded,
    CommandMarked: _on_command_marked,
    ReplyKept: _on_reply_kept,
    TokenChecked: _on_token_checked,
    DirectoryChanged: _on_directory_changed,
    CommandDue: _on_command_due,
    Ended: _on_ended,
    Tick: _on_tick,
}
